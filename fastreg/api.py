"""The functional interface: one fit, a path of fits."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core import small
from fastreg._core.record import Record
from fastreg.choice import Plan, decades
from fastreg.engine import Engine
from fastreg.grid import check_grid, default_grid
from fastreg.inputs import (
    Array,
    as_alphas,
    as_float,
    as_strength,
    dense_if_small,
    known_model,
)
from fastreg.problem import Problem, prepare
from fastreg.responses import solve_responses
from fastreg.result import PathResult, Result, Status
from fastreg.settings import Settings, resolve_settings


def solve(
    X: Any,
    y: Any,
    alpha: float = 1.0,
    *,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    offset: Any = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: bool = False,
    standardize: bool = False,
    warm_start: Any = None,
    settings: Settings | None = None,
    **options: Any,
) -> Result:
    """Minimise 1/(2 S) sum_i s_i (y_i - b - x_i'w)^2 + alpha penalty(w), with a proof.

    Precisely, over the coefficients w and the intercept b:

        1/(2 S) sum_i s_i (y_i - offset_i - b - x_i'w)^2
            + alpha sum_j f_j (l1_ratio |w_j| + (1 - l1_ratio)/2 w_j^2),   lower <= w <= upper

    with s the sample weights, S their sum, and f the penalty factors.

    Parameters
    ----------
    X : array, sparse matrix or data frame of shape (n_samples, n_features)
        float64 and float32 in C or Fortran order (also as slices along rows or columns) and CSC
        are read where they lie; anything else (CSR, other types, strides in both directions) is
        converted to one of these, which takes a copy. See Notes for the memory.
    y : array of shape (n_samples,) or (n_samples, n_responses)
        Several responses are independent fits that share the work on X.
    alpha : float, default 1.0
        Strength of the penalty, >= 0. At 0 this is least squares. Where columns without a
        penalty are linearly dependent (up to rounding) the optimum is not unique and the status
        is ``RANK_DEFICIENT``; without bounds and other penalties the solution with the smallest
        norm is returned then, except by the methods "working_set", "gram" and "descent".
    l1_ratio : float, default 1.0
        1 is the lasso, 0 is ridge regression, between them is the elastic net.
    fit_intercept : bool, default True
        Whether to fit b; it is not penalised. Sparse X is centred implicitly.
    sample_weight : array of shape (n_samples,), optional
        Weights >= 0; a weight of k equals k copies of the row.
    offset : array of shape (n_samples,) or that of y, optional
        Known part of the prediction.
    penalty_factor : array of shape (n_features,), optional
        Multiplies the penalty of each feature: 0 leaves it free, inf excludes it.
    lower, upper : float or array of shape (n_features,), optional
        Bounds on the coefficients.
    positive : bool, default False
        Shorthand for ``lower=0``.
    standardize : bool, default False
        Penalise the coefficients of columns scaled to unit (weighted, population) standard
        deviation; coefficients and bounds stay on the scale of X.
    warm_start : array of the shape of coef, or Result, optional
        Where to start.
    settings : Settings, optional
        Tolerance, limits and method.
    **options
        Fields of `Settings`, for instance ``tol=1e-10`` or ``method="gradient"``.

    Returns
    -------
    Result

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    Notes
    -----
    Coordinate descent [1]_ on a growing working set finds the support; Newton steps on its
    Cholesky factor finish; the duality gap [2]_ proves the answer, over all features. Where X is
    sparse, or few digits are asked for, and the support is large, coordinate descent on the
    residual does all of it.

    Memory beyond X and the result: Gram matrix and factor of the working set (at most
    ``gram_memory``), about five vectors of n_samples and twenty-five of n_features, and what
    proves the answer without reading X: at least 4 and at most 40 vectors of n_samples +
    n_features, as far as they are needed, and beyond 4 only up to a tenth of X. For dense X of
    500 rows or more, all vectors together are less than a tenth of it, or a fifth in float32; of a
    sparse X with some thirty entries a column they are about half. CSR is held as CSC, too: once
    more the size of X.

    References
    ----------
    .. [1] Friedman, Hastie, Tibshirani, "Regularization Paths for Generalized Linear Models via
       Coordinate Descent", J. Stat. Softw. 33(1), 2010.
    .. [2] Ndiaye, Fercoq, Gramfort, Salmon, "Gap Safe Screening Rules for Sparsity Enforcing
       Penalties", JMLR 18, 2017.
    """
    started = monotonic()
    chosen = resolve_settings(settings, options)
    if offset is warm_start is None:
        penalty = penalty_factor, lower, upper, positive, standardize
        plain = dense_if_small(X, l1_ratio)
        found = small.fit(plain, y, alpha, l1_ratio, fit_intercept, chosen, sample_weight, *penalty)
        if found is not None:
            return _small_result(found, started)
    strength = as_strength("alpha", alpha)
    ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
    unbounded = lower is None and upper is None and positive is False
    problem = prepare(
        X,
        y,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        offset=offset,
        penalty_factor=penalty_factor,
        lower=lower,
        upper=upper,
        positive=positive,
        standardize=standardize,
        plan=Plan(
            chosen,
            (ratio == 0 or strength == 0) and unbounded,
            0.0,
            _width(y),
            ratio * strength,
            (1.0 - ratio) * strength,
        ),
    )
    start = as_warm_start(warm_start, problem)
    engine = Engine(problem, chosen, ratio, np.array([strength]), started)
    record = engine.new_record(1)
    solve_responses(engine, record, start, np.zeros(problem.n_responses, np.intp))
    return point_result(engine, record, strength, monotonic() - started)


def _small_result(found: dict[str, Any], started: float) -> Result:
    """Return the result whose fields are given, without what a frozen dataclass costs."""
    result = object.__new__(Result)
    found["status"] = Status.CONVERGED
    found["seconds"] = monotonic() - started
    object.__setattr__(result, "__dict__", found)
    return result


def solve_each(
    X: Any, y: Any, alphas: Array, *, l1_ratio: float, options: dict[str, Any], **model: Any
) -> list[tuple[Result, npt.NDArray[np.intp]]]:
    """Minimise the objective of `solve` with an alpha of its own for each column of y.

    They share all work on X. Returns a result for each distinct alpha, in increasing order, with
    the responses that it is for; `n_passes` and `seconds` are those of the whole call.
    """
    started = monotonic()
    chosen = resolve_settings(None, options)
    grid, place = np.unique(-alphas, return_inverse=True)  # decreasing
    plan = Plan(chosen, l1_ratio == 0 and not model.get("positive"), decades(-grid), _width(y))
    problem = prepare(X, y, **known_model(model), plan=plan)
    engine = Engine(problem, chosen, l1_ratio, -grid, started)
    record = engine.new_record(1)
    solve_responses(engine, record, None, place)
    seconds = monotonic() - started
    results = []
    for i in reversed(range(len(grid))):
        own = np.flatnonzero(place == i)
        results.append((point_result(engine, record, float(engine.alphas[i]), seconds, own), own))
    return results


def point_result(
    engine: Engine,
    record: Record,
    alpha: float,
    seconds: float,
    responses: npt.NDArray[np.intp] | None = None,
) -> Result:
    """Return the result of all or some responses at one strength."""

    def gather(name: str) -> Any:
        values = getattr(record, name)[0]
        if responses is not None:
            return values[responses]
        if engine.problem.many:
            return values
        return values[0] if values.ndim > 1 else values[0].item()

    status = record.status[0] if responses is None else record.status[0][responses]
    return Result(
        **{name: gather(name) for name in _POINT_FIELDS},
        coef=gather("coef"),
        alpha=alpha,
        l1_ratio=engine.l1_ratio,
        status=Status(int(worst_status(status))),
        n_passes=engine.n_passes,
        seconds=seconds,
        method=engine.method,
        n_features=engine.problem.design.n_features,
        feature_names=engine.problem.feature_names,
    )


def solve_path(
    X: Any,
    y: Any,
    *,
    alphas: Any = None,
    n_alphas: int = 100,
    eps: float = 1e-3,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    offset: Any = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: bool = False,
    standardize: bool = False,
    warm_start: Any = None,
    sparse_coef: bool = False,
    settings: Settings | None = None,
    **options: Any,
) -> PathResult:
    """Minimise the objective of `solve` for every alpha of a decreasing grid.

        w(alpha) = argmin 1/(2 S) sum_i s_i (y_i - offset_i - b - x_i'w)^2
            + alpha sum_j f_j (l1_ratio |w_j| + (1 - l1_ratio)/2 w_j^2)

    Each point starts from the one before it; working set, Gram matrix and factor are kept.

    Parameters
    ----------
    X, y, l1_ratio, fit_intercept, sample_weight, offset, penalty_factor, lower, upper, positive, \
standardize, warm_start, settings, **options
        As in `solve`.
    alphas : array of shape (n_alphas,), optional
        The grid, in any order; sorted to decreasing. Default: `alpha_grid`.
    n_alphas : int, default 100
        Length of the default grid.
    eps : float, default 1e-3
        Smallest alpha of the default grid divided by the largest; for l1_ratio = 0 its root.
    sparse_coef : bool, default False
        Return the coefficients as scipy.sparse.csr_array.

    Returns
    -------
    PathResult

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.
    """
    started = monotonic()
    chosen = resolve_settings(settings, options)
    ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
    if not isinstance(sparse_coef, (bool, np.bool_)):
        raise TypeError(f"sparse_coef must be True or False, got {sparse_coef!r}")
    grid = None if alphas is None else as_alphas(alphas)
    check_grid(n_alphas, eps)
    unbounded = lower is None and upper is None and positive is False
    depth = (0.0 if n_alphas == 1 else -math.log10(eps)) if grid is None else decades(grid)
    problem = prepare(
        X,
        y,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        offset=offset,
        penalty_factor=penalty_factor,
        lower=lower,
        upper=upper,
        positive=positive,
        standardize=standardize,
        plan=Plan(chosen, ratio == 0 and unbounded, depth, _width(y)),
    )
    start = as_warm_start(warm_start, problem)
    if grid is None:
        grid = default_grid(problem, ratio, n_alphas, eps, chosen, started)
    engine = Engine(problem, chosen, ratio, grid, started)
    record = engine.new_record(len(grid), sparse=bool(sparse_coef))
    engine.run_all(record, start)

    return path_result(engine, record, bool(sparse_coef), monotonic() - started)


def path_result(engine: Engine, record: Record, sparse_coef: bool, seconds: float) -> PathResult:
    """Return the result of all responses over the grid of an engine."""
    problem = engine.problem

    def gather(name: str) -> npt.NDArray[Any]:
        values = getattr(record, name)
        return np.asarray(values if problem.many else values[:, 0])

    coef: Any
    if sparse_coef:
        matrices = tuple(
            _stack_sparse(record, k, problem.design.n_features) for k in range(problem.n_responses)
        )
        coef = matrices if problem.many else matrices[0]
    else:
        coef = gather("coef")
    return PathResult(
        **{name: gather(name) for name in _POINT_FIELDS},
        coef=coef,
        alphas=engine.alphas,
        l1_ratio=engine.l1_ratio,
        status=worst_status(record.status),
        n_passes=engine.n_passes,
        seconds=seconds,
        method=engine.method,
        n_features=problem.design.n_features,
        feature_names=problem.feature_names,
    )


_POINT_FIELDS = (
    "intercept",
    "objective",
    "null_objective",
    "duality_gap",
    "tolerance",
    "kkt_violation",
    "certified_zero",
    "prediction_error_bound",
    "n_iter",
    "n_sweeps",
    "n_active",
)


def as_warm_start(given: Any, problem: Problem) -> Array | None:
    """Return first coefficients, one row a response."""
    if given is None:
        return None
    array = as_float("warm_start", getattr(given, "coef", given), ndim=(1, 2))
    shape = (problem.n_responses, problem.design.n_features)
    if array.shape != (shape if problem.many else shape[1:]):
        raise ValueError(
            f"warm_start must have the shape of coef, {shape if problem.many else shape[1:]}, "
            f"got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError("warm_start must be finite")
    return array.reshape(shape)


def _width(y: Any) -> int:
    """Return the number of responses, as far as the shape of y tells."""
    shape: tuple[int, ...] = getattr(y, "shape", ())
    return int(shape[1]) if len(shape) == 2 and shape[1] > 0 else 1


def worst_status(status: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the worst status over the responses, the last axis."""
    low = status.min(axis=-1)
    return np.asarray(np.where(low < 0, low, status.max(axis=-1)))


def _stack_sparse(record: Record, response: int, n_features: int) -> Any:
    from scipy import sparse

    points = [record.sparse[i, response] for i in range(len(record.status))]
    indices = np.concatenate([point[0] for point in points])
    values = np.concatenate([point[1] for point in points])
    starts = np.cumsum([0] + [len(point[0]) for point in points])
    return sparse.csr_array((values, indices, starts), shape=(len(points), n_features))
