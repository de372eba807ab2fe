from typing import final

import numpy as np
import numpy.typing as npt

from fastreg._core.design import Design

ONE_READ: int
ROUGH: float

@final
class DenseDesign(Design):
    def rough_survey(
        self, weight: npt.NDArray[np.float64], responses: DenseDesign, centre: bool = True
    ) -> (
        tuple[
            npt.NDArray[np.float64],
            npt.NDArray[np.float64],
            npt.NDArray[np.float64],
            npt.NDArray[np.float64],
        ]
        | None
    ): ...
    def rows(self) -> npt.NDArray[np.float64]: ...
    def __init__(self, X: npt.NDArray[np.floating]) -> None: ...
