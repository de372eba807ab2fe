from typing import Any, final

import numpy as np
import numpy.typing as npt

@final
class RowBlock:
    def __init__(
        self,
        scale: npt.NDArray[np.float64],
        columns: npt.NDArray[np.int32],
        skip: npt.NDArray[np.int8],
    ) -> None: ...

def order_of(start: npt.NDArray[np.int32], index: npt.NDArray[np.int32], size: int) -> int: ...
def row_products(
    start: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    factor: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> None: ...
def columns_of(
    start: npt.NDArray[np.int32],
    index: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    p: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[Any]]: ...
