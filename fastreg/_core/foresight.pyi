from collections.abc import Callable
from typing import final

from fastreg._core.objective import LeastSquares
from fastreg._core.outside import Outside
from fastreg._core.quadratic import Quadratic

@final
class Foresight:
    def __init__(
        self,
        problem: LeastSquares,
        quadratic: Quadratic,
        outside: Outside,
        rank: Callable[[], float],
    ) -> None: ...
