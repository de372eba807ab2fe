from collections.abc import Callable
from typing import final

import numpy as np
import numpy.typing as npt

from fastreg._core.objective import LeastSquares, Outcome
from fastreg._core.quadratic import Quadratic
from fastreg._core.record import Record

@final
class WorkingSet:
    @property
    def complete(self) -> bool: ...
    @property
    def gap(self) -> float: ...
    @property
    def kappa(self) -> float: ...
    @property
    def n_iter(self) -> int: ...
    @property
    def n_sweeps(self) -> int: ...
    @property
    def problem(self) -> LeastSquares: ...
    @property
    def quadratic(self) -> Quadratic: ...
    @property
    def radius(self) -> float: ...
    def include_all(
        self, gram: npt.NDArray[np.float64] | None = None, roughness: float = 0.0
    ) -> bool: ...
    @property
    def outcome(self) -> int: ...
    def foresee(
        self,
        rank: Callable[[], float],
        takes_all: bool,
        hands_over: bool,
        descends: Callable[[float, float], bool] | None = None,
    ) -> None: ...
    def run(
        self,
        record: Record,
        response: int,
        l1: npt.NDArray[np.float64],
        l2: npt.NDArray[np.float64],
        null: npt.NDArray[np.float64],
        tol: float,
        *,
        max_iter: int,
        max_sweeps: int,
        deadline: float,
    ) -> int: ...
    def solve(
        self,
        l1: float,
        l2: float,
        tolerance: float,
        *,
        warm: bool,
        max_iter: int,
        max_sweeps: int,
        deadline: float,
    ) -> Outcome: ...
    def __init__(self, problem: LeastSquares, gram_memory: float, share: float = ...) -> None: ...
