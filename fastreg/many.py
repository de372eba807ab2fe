"""Many independent problems in one call: stacked arrays, runs of a table, one X with many y."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.many import solve_batch
from fastreg.inputs import (
    Array,
    as_bounds,
    as_factor,
    as_float,
    as_generator,
    is_sparse,
    with_unit_stride,
)
from fastreg.settings import Settings


class ProblemStatus(IntEnum):
    """How one problem of a batch ended; only positive values are proven to the tolerance."""

    CONVERGED = 1
    MAX_SWEEPS = -1
    STALLED = -3
    NUMERICAL_ERROR = -4
    NOT_FINITE = -11
    NO_WEIGHT = -14

    @property
    def message(self) -> str:
        """The status as a sentence."""
        return _MESSAGES[self]


_MESSAGES = {
    ProblemStatus.CONVERGED: "Converged: the duality gap is within the tolerance.",
    ProblemStatus.MAX_SWEEPS: "Stopped at the limit of sweeps; raise max_sweeps, or tol.",
    ProblemStatus.STALLED: (
        "Stopped because the duality gap got no smaller: tol is below the rounding of these data, "
        "or columns without a penalty are nearly dependent; `fastreg.solve` may get further."
    ),
    ProblemStatus.NUMERICAL_ERROR: "Stopped because numbers overflowed; rescale X or y.",
    ProblemStatus.NOT_FINITE: "Not solved: NaN or infinity in X or y, or their squares overflow.",
    ProblemStatus.NO_WEIGHT: "Not solved: there is no row, or none with a weight.",
}


@dataclass(frozen=True, repr=False)
class BatchResult:
    """The fits of a batch: one entry a problem, or with a path one row a problem.

    Attributes
    ----------
    coef : ndarray of shape (B, n_features) or (B, n_alphas, n_features)
        Coefficients on the scale of X; exact zeros are exact. NaN where a problem was not solved.
    intercept : ndarray of shape (B,) or (B, n_alphas)
        This is also the shape of everything that follows. Zero without `fit_intercept`.
    alpha, l1_ratio : ndarray
        Strengths and mixing of the penalty.
    status : ndarray of int
        How the solver ended: a `ProblemStatus` each.
    objective, null_objective : ndarray
        Objective at the solution, and at the coefficients nearest to zero.
    duality_gap : ndarray
        Proven upper bound on objective - minimum, same unit; up to the rounding of the data,
        about 1e-15 of the squares that cancel in it. Infinite where a problem was not solved.
    tolerance : ndarray
        ``tol * null_objective``: what duality_gap had to reach, same unit.
    kkt_violation : ndarray
        Largest distance of minus a gradient of the loss to the subdifferential of the penalty,
        relative to rms(x_j) * rms(y), both about their means if an intercept is fitted.
    n_sweeps, n_active : ndarray of int
        Sweeps of coordinate descent; nonzero coefficients.
    criterion : ndarray of shape (B, n_alphas), or None
        Where alpha was selected: what was smallest at the selected one. For "cv" the weighted mean
        of the squared errors on rows held out. NaN where a problem was not solved.
    index : ndarray of shape (B,), or None
        Where alpha was selected: its place in the path.
    keys : ndarray of shape (B,), or None
        The distinct values of `groups`, in increasing order: the problems are in this order.
    seconds : float
        Wall-clock time of the call.
    """

    # solution
    coef: Array
    intercept: Array
    alpha: Array
    l1_ratio: Array

    # status
    status: npt.NDArray[np.int64]

    # quality
    objective: Array
    null_objective: Array
    duality_gap: Array
    tolerance: Array
    kkt_violation: Array

    # work
    n_sweeps: npt.NDArray[np.int64]
    n_active: npt.NDArray[np.int64]
    seconds: float

    criterion: Array | None = field(default=None, kw_only=True)
    index: npt.NDArray[np.int64] | None = field(default=None, kw_only=True)
    keys: npt.NDArray[Any] | None = field(default=None, kw_only=True)

    @property
    def converged(self) -> npt.NDArray[np.bool_]:
        """Which fits are proven to the tolerance."""
        return self.status > 0

    def __repr__(self) -> str:
        """Return the batch as a short table."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(self.converged, self.duality_gap / self.null_objective, 0.0)
        lines = [
            f"BatchResult of {len(self.coef)} problems with {self.coef.shape[-1]} features"
            + (f", {self.coef.shape[1]} alphas each" if self.coef.ndim == 3 else ""),
            f"  converged       {np.count_nonzero(self.converged)} of {self.status.size}",
            f"  largest gap     {np.nanmax(gap, initial=0.0):.2g} of the null objective",
            f"  active          {self.n_active.min()} to {self.n_active.max()} features",
            f"  work            {self.n_sweeps.sum()} sweeps, {self.seconds:.3g} s",
        ]
        for code in sorted(set(self.status[~self.converged].tolist())):
            count = np.count_nonzero(self.status == code)
            lines.append(f"  {count} times       {ProblemStatus(code).message}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Batch:
    """Problems as the core takes them: runs of the rows of X, or all of them (edges None)."""

    X: npt.NDArray[np.float64]
    y: Array  # one row for all runs, or one a problem
    edges: npt.NDArray[np.intp] | None
    weight: Array | None  # one row for all runs or all problems, or one a problem
    n_problems: int
    keys: npt.NDArray[Any] | None = None
    order: npt.NDArray[np.intp] | None = None  # of the rows as they were given


def solve_many(
    X: Any,
    y: Any,
    alpha: Any = 1.0,
    *,
    l1_ratio: Any = 1.0,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    groups: Any = None,
    offsets: Any = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: bool = False,
    standardize: bool = False,
    select: str | None = None,
    cv: Any = 5,
    random_state: Any = 0,
    tol: float = 1e-8,
    max_sweeps: int = 100_000,
    n_threads: int = 1,
) -> BatchResult:
    """Minimise 1/(2 S) sum_i s_i (y_i - b - x_i'w)^2 + alpha penalty(w), for many problems.

    Each problem b = 0 .. B - 1 has an objective of its own, that of `fastreg.solve`,

        1/(2 S) sum_i s_i (y_i - b - x_i'w)^2
            + alpha sum_j f_j (l1_ratio |w_j| + (1 - l1_ratio)/2 w_j^2),   lower <= w <= upper

    with the sum over the rows of that problem, and is solved from its Gram matrix.

    Parameters
    ----------
    X, y : array
        One of three layouts.

        Stacked: X of shape (B, n_samples, n_features), y of shape (B, n_samples).

        Ragged: X of shape (n_rows, n_features), y of shape (n_rows,), and `groups` or `offsets`.

        One X: X of shape (n_samples, n_features) with y of shape (n_samples, B), or with y of
        shape (n_samples,) and `sample_weight` of shape (B, n_samples).
    alpha : float, array of shape (B,) or (B, n_alphas) or (1, n_alphas), default 1.0
        Strength of the penalty, >= 0: for all problems, for each, or a path for each or for all.
        A path is solved in the given order, each point from the one before; let it decrease.
    l1_ratio : float or array of shape (B,), default 1.0
        1 is the lasso, 0 is ridge regression, between them is the elastic net.
    fit_intercept : bool, default True
        Whether to fit b; it is not penalised.
    sample_weight : array, optional
        Weights >= 0. Stacked: (B, n_samples), or (n_samples,) for all. Ragged: (n_rows,). One X:
        (n_samples,) for all, or (B, n_samples), for instance how often a bootstrap drew each row.
    groups : array of shape (n_rows,), optional
        The problem that each row belongs to, by a key of any sortable type. Where rows of a group
        do not follow each other, X is copied once.
    offsets : array of shape (B + 1,), optional
        Problem b has rows offsets[b] up to offsets[b + 1].
    penalty_factor : array of shape (n_features,), optional
        Multiplies the penalty of each feature, in all problems: 0 leaves it free, inf excludes it.
    lower, upper : float or array of shape (n_features,), optional
        Bounds on the coefficients, in all problems.
    positive : bool, default False
        Shorthand for ``lower=0``.
    standardize : bool, default False
        Penalise the coefficients of columns scaled to unit (weighted, population) standard
        deviation within each problem; coefficients and bounds stay on the scale of X.
    select : {None, "aic", "bic", "cv"}, default None
        Choose one alpha of its path for each problem, in the same call: by an information
        criterion (the formulas of `information_criteria`), or by the weighted mean of the squared
        errors on rows held out. Of equal ones the first is taken.
    cv : int or array of shape (n_samples,) or (n_rows,), default 5
        For "cv": the number of folds, drawn at random and as even as can be within each problem
        (where problems have the same rows or shape, the same ones for all); or the fold that
        holds out each row, an integer >= 0, or less for rows that are always trained on.
    random_state : int or numpy.random.Generator, default 0
        Draws the folds.
    tol : float, default 1e-8
        Stop when duality gap <= tol * null objective (scale-free).
    max_sweeps : int, default 100000
        Most coordinate-descent sweeps for each problem and alpha.
    n_threads : int, default 1
        Threads, which need no GIL and change no bit of any result.

    Returns
    -------
    BatchResult
        One status and one duality gap for each fit. Problems with NaN, or without weight, are not
        solved; the status says so, and the others are not touched by it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    Notes
    -----
    float64 is read where it lies, but for stacked arrays that are not in C order; everything else
    is copied. Beside the result, memory is that of one problem for each thread: about three Gram
    matrices and three vectors of its rows. Meant for some hundred features; each problem is of
    order n_samples * n_features^2, whatever alpha is. Single large problems are for `solve`.
    """
    started = monotonic()
    chosen = Settings(tol=tol, max_sweeps=max_sweeps, n_threads=n_threads)
    batch = _lay_out(X, y, sample_weight, groups, offsets)
    p = batch.X.shape[1]
    alphas, ratios = _as_strengths(alpha, l1_ratio, batch.n_problems)
    bounds = as_bounds(lower, upper, positive, p)
    if select not in (None, "aic", "bic", "cv"):
        raise ValueError(f"select must be None, 'aic', 'bic' or 'cv', got {select!r}")
    if select is not None and np.ndim(alpha) != 2:
        raise ValueError("select needs a path: alpha of shape (B, n_alphas) or (1, n_alphas)")
    coef, number, count, criterion = solve_batch(
        batch.X,
        batch.y,
        batch.edges,
        batch.weight,
        np.ascontiguousarray(alphas * ratios),
        np.ascontiguousarray(alphas * (1.0 - ratios)),
        None if penalty_factor is None else np.ascontiguousarray(as_factor(penalty_factor, p)),
        np.ascontiguousarray(bounds[0]),
        np.ascontiguousarray(bounds[1]),
        centred=bool(fit_intercept),
        standardize=bool(standardize),
        tol=chosen.tol,
        max_sweeps=chosen.max_sweeps,
        n_threads=chosen.n_threads,
        selection=select or "",
        fold=_as_folds(cv, batch, random_state) if select == "cv" else None,
    )
    several = np.ndim(alpha) == 2 and select is None
    keep: Any = ... if several else (..., 0)
    intercept, objective, null, gap, tolerance, violation = number[keep]
    status, n_sweeps, n_active, index = count[keep]
    if select is not None:
        alphas = np.take_along_axis(alphas, index[:, None], axis=1)
    return BatchResult(
        coef=coef if several else coef[:, 0],
        intercept=intercept,
        alpha=alphas[keep],
        l1_ratio=np.broadcast_to(ratios, alphas.shape)[keep],
        status=status,
        objective=objective,
        null_objective=null,
        duality_gap=gap,
        tolerance=tolerance,
        kkt_violation=violation,
        n_sweeps=n_sweeps,
        n_active=n_active,
        seconds=monotonic() - started,
        criterion=None if select is None else criterion,
        index=None if select is None else index,
        keys=batch.keys,
    )


def _lay_out(X: Any, y: Any, sample_weight: Any, groups: Any, offsets: Any) -> _Batch:
    """Recognise the layout, and check that the shapes fit."""
    if is_sparse(X):
        raise TypeError("X must be dense here; `fastreg.solve` takes sparse X")
    if groups is not None and offsets is not None:
        raise ValueError("groups and offsets exclude each other; give one of them")
    ragged = groups is not None or offsets is not None
    given = as_float("X", X, ndim=(2, 3))
    if 0 in given.shape:
        raise ValueError(f"X must have at least one row and one column, got shape {given.shape}")
    if given.ndim == 3:
        if ragged:
            raise ValueError("groups and offsets are for X of shape (n_rows, n_features)")
        return _stacked(np.ascontiguousarray(given), y, sample_weight)
    table = with_unit_stride(given)
    if not ragged:
        return _shared(table, y, sample_weight)
    n = len(table)
    response = _of_shape("y", y, (n,))
    weight = None if sample_weight is None else _as_weight(sample_weight, (n,))
    if offsets is None:
        return _grouped(table, response, weight, groups)
    return _Batch(table, response[None], *_edges(offsets, n, weight))


def _edges(offsets: Any, n: int, weight: Array | None) -> tuple[Any, Array | None, int]:
    edges = np.asarray(offsets)
    if edges.ndim != 1 or len(edges) < 2 or edges.dtype.kind not in "iu":
        raise ValueError(
            f"offsets must be integers of shape (B + 1,), got {edges.dtype} of shape {edges.shape}"
        )
    edges = edges.astype(np.intp)
    if edges[0] != 0 or edges[-1] != n or (np.diff(edges) < 0).any():
        raise ValueError(f"offsets must increase from 0 to {n}, the number of rows of X")
    return edges, None if weight is None else weight[None], len(edges) - 1


def _grouped(table: Array, response: Array, weight: Array | None, groups: Any) -> _Batch:
    labels = np.asarray(groups)
    if labels.shape != response.shape:
        raise ValueError(
            f"groups must have shape {response.shape} as X has rows, got {labels.shape}"
        )
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError("groups contains NaN; every row must belong to a problem")
    try:
        keys, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    except TypeError:
        raise TypeError("groups must hold keys that can be sorted") from None
    order = None
    if (np.diff(place) < 0).any():
        order = np.argsort(place, kind="stable")
        table, response = table[order], response[order]
        weight = None if weight is None else weight[order]
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
    one_row = None if weight is None else weight[None]
    return _Batch(with_unit_stride(table), response[None], edges, one_row, len(keys), keys, order)


def _stacked(stack: Array, y: Any, sample_weight: Any) -> _Batch:
    n_problems, n, p = stack.shape
    response = _of_shape("y", y, (n_problems, n))
    weight = None
    if sample_weight is not None:
        weight = _as_weight(sample_weight, (n_problems, n), (n,))
        weight = np.ascontiguousarray(np.broadcast_to(weight, (n_problems, n))).reshape(1, -1)
    edges = np.arange(n_problems + 1, dtype=np.intp) * n
    return _Batch(stack.reshape(-1, p), response.reshape(1, -1), edges, weight, n_problems)


def _shared(table: Array, y: Any, sample_weight: Any) -> _Batch:
    n = len(table)
    given = as_float("y", y, ndim=(1, 2))
    several = given.ndim == 2
    if given.shape[0] != n or 0 in given.shape:
        raise ValueError(f"y must have shape ({n},) or ({n}, B) as X has rows, got {given.shape}")
    response = np.ascontiguousarray(given.T if several else given[None])
    weight = None
    n_problems = len(response)
    if sample_weight is not None:
        many = np.ndim(sample_weight) == 2
        n_problems = n_problems if several or not many else len(sample_weight)
        weight = _as_weight(sample_weight, (n,), (n_problems, n))
        weight = np.ascontiguousarray(weight.reshape(-1, n))
    if not several and (weight is None or len(weight) == 1) and np.ndim(sample_weight) != 2:
        raise ValueError(
            "there is one problem only: X of shape (B, n_samples, n_features), y of shape "
            "(n_samples, B), sample_weight of shape (B, n_samples), groups or offsets make several"
        )
    return _Batch(table, response, None, weight, n_problems)


def _as_folds(cv: Any, batch: _Batch, random_state: Any) -> npt.NDArray[np.int32]:
    """Return the fold that holds out each row of the table."""
    rows = len(batch.X)
    edges = np.array([0, rows]) if batch.edges is None else batch.edges
    sizes = np.diff(edges)
    if np.ndim(cv) == 0:
        integer = isinstance(cv, (int, np.integer)) and not isinstance(cv, bool)
        if not integer or not 2 <= cv < 2**31:
            raise ValueError(f"cv must be an integer >= 2 or an array of folds, got {cv!r}")
        generator = as_generator(random_state)
        if (sizes == sizes[0]).all():
            return np.tile(generator.permutation(sizes[0]) % cv, len(sizes)).astype(np.int32)
        mixed = np.lexsort((generator.random(rows), np.repeat(np.arange(len(sizes)), sizes)))
        fold = np.empty(rows, dtype=np.int32)
        fold[mixed] = (np.arange(rows) - np.repeat(edges[:-1], sizes)) % cv
        return fold
    labels = np.asarray(cv)
    if labels.dtype.kind not in "iu" or labels.shape not in {(rows,), (sizes[0],)}:
        raise ValueError(
            f"cv must be integers, one for each row, got {labels.dtype} {labels.shape}"
        )
    if labels.max() < 0 or labels.max() >= 2**31:
        raise ValueError("cv must hold out some row: folds are counted from 0")
    if batch.order is not None:
        labels = labels[batch.order]
    return np.tile(labels, rows // len(labels)).astype(np.int32)


def _of_shape(name: str, value: Any, *shapes: tuple[int, ...]) -> Array:
    array = as_float(name, value, ndim=tuple(len(shape) for shape in shapes))
    if array.shape not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"{name} must have shape {wanted} to fit X, got {array.shape}")
    return np.ascontiguousarray(array)


def _as_weight(value: Any, *shapes: tuple[int, ...]) -> Array:
    array = _of_shape("sample_weight", value, *shapes)
    if not (array.min(initial=0.0) >= 0 and array.max(initial=0.0) < np.inf):
        raise ValueError("sample_weight must be finite and >= 0 everywhere")
    return array


def _as_strengths(alpha: Any, l1_ratio: Any, n_problems: int) -> tuple[Array, Array]:
    """Return alphas (B, K) and ratios (B, 1)."""
    alphas = as_float("alpha", alpha, ndim=(0, 1, 2))
    ratios = as_float("l1_ratio", l1_ratio, ndim=(0, 1))
    if not (alphas.size and np.isfinite(alphas).all() and alphas.min() >= 0):
        raise ValueError("alpha must be >= 0 and finite, and there must be one at least")
    if not (ratios.size and ratios.min() >= 0 and ratios.max() <= 1):
        raise ValueError("l1_ratio must lie between 0 and 1")
    if (alphas.ndim == 1 and len(alphas) != n_problems) or (
        alphas.ndim == 2 and len(alphas) not in {1, n_problems}
    ):
        raise ValueError(
            f"alpha must be a number or have shape ({n_problems},), ({n_problems}, n_alphas) or "
            f"(1, n_alphas), got {alphas.shape}"
        )
    if ratios.ndim == 1 and len(ratios) != n_problems:
        raise ValueError(f"l1_ratio must be a number or have shape ({n_problems},)")
    rows = alphas if alphas.ndim == 2 else alphas.reshape(-1, 1)
    return np.broadcast_to(rows, (n_problems, rows.shape[1])), ratios.reshape(-1, 1)
