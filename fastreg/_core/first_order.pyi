from fastreg._core.objective import LeastSquares

CONVERGED: int
RANK_DEFICIENT: int
MAX_ITER: int
TIME_LIMIT: int
STALLED: int

# Both return (status, gap, kappa, radius, iterations, sweeps).
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
