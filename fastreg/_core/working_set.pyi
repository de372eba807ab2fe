from enum import IntFlag
from typing import final

from fastreg._core.objective import LeastSquares
from fastreg._core.quadratic import Quadratic

class Outcome(IntFlag):
    CONVERGED = 1
    MAX_ITER = -1
    TIME_LIMIT = -2
    STALLED = -3
    NUMERICAL_ERROR = -4
    GRAM_LIMIT = -100

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
    def n_movable(self) -> int: ...
    @property
    def n_sweeps(self) -> int: ...
    @property
    def problem(self) -> LeastSquares: ...
    @property
    def quadratic(self) -> Quadratic: ...
    @property
    def radius(self) -> float: ...
    def include_all(self) -> bool: ...
    def solve(
        self,
        l1: float,
        l2: float,
        tolerance: float,
        *,
        trust_gram: bool,
        warm: bool,
        max_iter: int,
        max_sweeps: int,
        deadline: float,
    ) -> Outcome: ...
    def __init__(self, problem: LeastSquares, gram_memory: float) -> None: ...
