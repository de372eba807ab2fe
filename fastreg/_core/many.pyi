from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[np.float64]

def solve_batch(
    X: _Array | list[_Array],
    order: npt.NDArray[np.intp] | None,
    y: _Array,
    edges: npt.NDArray[np.intp] | None,
    weight: _Array | None,
    l1: _Array,
    l2: _Array,
    factor: _Array | None,
    lower: _Array | None,
    upper: _Array | None,
    *,
    centred: bool,
    standardize: bool,
    tol: float,
    max_sweeps: int,
    n_threads: int,
    selection: str,
    fold: npt.NDArray[np.int32] | None,
    resampled: bool,
    few: npt.NDArray[np.int32] | None,
) -> tuple[_Array, _Array, npt.NDArray[np.int64], _Array]: ...
