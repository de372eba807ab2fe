from typing import final

import numpy as np
import numpy.typing as npt

from fastreg._core.design import Design

ONE_READ: int

@final
class DenseDesign(Design):
    def rows(self) -> npt.NDArray[np.float64]: ...
    def __init__(self, X: npt.NDArray[np.floating]) -> None: ...
