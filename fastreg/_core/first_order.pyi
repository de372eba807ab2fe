from typing import final

from typing_extensions import disjoint_base

from fastreg._core.objective import LeastSquares

@disjoint_base
class FirstOrder:
    def __init__(self, problem: LeastSquares, gram_memory: float) -> None: ...

@final
class ProximalGradient(FirstOrder):
    def __init__(self, problem: LeastSquares, gram_memory: float) -> None: ...

@final
class ConjugateGradient(FirstOrder):
    def __init__(self, problem: LeastSquares, gram_memory: float, input_scale: bool) -> None: ...

# All return (status, gap, kappa, radius, iterations, sweeps).
def conjugate_gradient(
    problem: LeastSquares,
    tolerance: float,
    max_iter: int,
    deadline: float,
    gram_memory: float,
    input_scale: bool,
) -> tuple[int, float, float, float, int, int]: ...
def proximal_gradient(
    problem: LeastSquares,
    l1: float,
    l2: float,
    tolerance: float,
    max_iter: int,
    deadline: float,
    gram_memory: float,
) -> tuple[int, float, float, float, int, int]: ...
