from typing import final

from fastreg._core.objective import LeastSquares
from fastreg._core.quadratic import Quadratic

@final
class Outside:
    @property
    def n_movable(self) -> int: ...
    def __init__(self, problem: LeastSquares, quadratic: Quadratic) -> None: ...
