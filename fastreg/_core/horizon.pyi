from typing import final

from fastreg._core.objective import LeastSquares
from fastreg._core.quadratic import Quadratic
from fastreg._core.span import Span

@final
class Horizon:
    def __init__(self, problem: LeastSquares, quadratic: Quadratic, span: Span) -> None: ...
