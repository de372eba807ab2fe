from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from fastreg._core.objective import LeastSquares

_Floats: TypeAlias = npt.NDArray[np.float64]
_Counts: TypeAlias = npt.NDArray[np.int64]

def accurate_differences(first: _Floats, a: _Floats, B: _Floats) -> _Floats: ...

@final
class Record:
    @property
    def certified_zero(self) -> npt.NDArray[np.bool_]: ...
    @property
    def coef(self) -> _Floats: ...
    @property
    def duality_gap(self) -> _Floats: ...
    @property
    def intercept(self) -> _Floats: ...
    @property
    def kkt_violation(self) -> _Floats: ...
    @property
    def n_active(self) -> _Counts: ...
    @property
    def n_iter(self) -> _Counts: ...
    @property
    def n_sweeps(self) -> _Counts: ...
    @property
    def null_objective(self) -> _Floats: ...
    @property
    def objective(self) -> _Floats: ...
    @property
    def prediction_error_bound(self) -> _Floats: ...
    @property
    def sparse(self) -> dict[tuple[int, int], tuple[npt.NDArray[np.int32], _Floats]]: ...
    @property
    def status(self) -> _Counts: ...
    @property
    def tolerance(self) -> _Floats: ...
    def begin(self, unit: float, mean: float, size: float) -> None: ...
    def forget(self, k: int) -> None: ...
    def put_state(
        self,
        problem: LeastSquares,
        i: int,
        k: int,
        status: int,
        gap: float,
        kappa: float,
        radius: float,
        null: float,
        tol: float,
        n_iter: int,
        n_sweeps: int,
    ) -> None: ...
    def __init__(
        self,
        n_points: int,
        n_responses: int,
        scale: _Floats,
        mean: _Floats,
        weight_sum: float,
        fit_intercept: bool,
        sparse: bool,
    ) -> None: ...
