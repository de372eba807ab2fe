from typing import final

import numpy as np
import numpy.typing as npt

from fastreg._core.design import Design

@final
class Span:
    @property
    def capacity(self) -> int: ...
    @property
    def size(self) -> int: ...
    def __init__(
        self,
        design: Design,
        weight: npt.NDArray[np.float64],
        norm: npt.NDArray[np.float64],
        capacity: int,
    ) -> None: ...
