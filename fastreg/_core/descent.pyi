from collections.abc import Callable
from typing import final

from fastreg._core.first_order import FirstOrder
from fastreg._core.objective import LeastSquares

@final
class CoordinateDescent(FirstOrder):
    def __init__(
        self,
        problem: LeastSquares,
        gram_memory: float,
        tolerance: float,
        goes_on: Callable[[float, float, int], bool] | None,
    ) -> None: ...

# Returns (status, gap, kappa, radius, iterations, sweeps).
def coordinate_descent(
    problem: LeastSquares,
    l1: float,
    l2: float,
    tolerance: float,
    max_iter: int,
    deadline: float,
    gram_memory: float,
    goes_on: Callable[[float, float, int], bool] | None = None,
) -> tuple[int, float, float, float, int, int]: ...
