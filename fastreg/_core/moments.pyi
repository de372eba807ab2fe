from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_Floats: TypeAlias = npt.NDArray[np.float64]

def length(p: int, m: int) -> int: ...
def write(
    out: _Floats,
    weight: float,
    rows: float,
    rounding: float,
    mean: _Floats,
    y_mean: _Floats,
    gram: _Floats,
    cross: _Floats,
    square: _Floats,
) -> None: ...
def parts(
    state: _Floats, p: int, m: int
) -> tuple[_Floats, _Floats, _Floats, _Floats, _Floats, _Floats]: ...
def survey_runs(
    X: npt.NDArray[np.floating[Any]],
    Y: _Floats,
    weight: _Floats,
    edges: npt.NDArray[np.intp],
    rounding: float,
) -> _Floats | None: ...
def first_columns(state: _Floats, p: int, m: int, size: int) -> _Floats: ...
def merge(a: _Floats, b: _Floats, p: int, m: int) -> _Floats: ...
def merge_others(folds: _Floats, p: int, m: int) -> _Floats: ...
def heldout(
    state: _Floats, p: int, m: int, response: int, coef: _Floats, intercept: _Floats
) -> tuple[_Floats, npt.NDArray[np.bool_]]: ...
