"""Many independent problems in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.many import solve_batch
from fastreg._core.record import Record
from fastreg.batches import Batch, as_folds, as_strengths, lay_out
from fastreg.inputs import Array
from fastreg.lockstep import solve_together
from fastreg.problem import check_flags, check_penalty
from fastreg.resampling import likely_features
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
    ProblemStatus.NUMERICAL_ERROR: (
        "Stopped because numbers overflowed, or squares underflowed; rescale X or y."
    ),
    ProblemStatus.NOT_FINITE: "Not solved: NaN or infinity in X or y, or their squares overflow.",
    ProblemStatus.NO_WEIGHT: (
        "Not solved: there is no row, or none with a weight; with select='cv', none to hold out "
        "or to train on."
    ),
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
        The problem that each row belongs to, by a key of any sortable type; rows of a group need
        not follow each other.
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
    float64 is read where it lies, but for stacked arrays that are not in C order, and one X with
    many weights; everything else is copied. Beside the result, memory is that of one problem for
    each thread: about three Gram matrices and three vectors of its rows; and with many weights a
    few copies of X. What most of such problems need is guessed from some of them: each is solved
    with these features, and with all of them where the others are not proven to be zero. Many y on
    one X are solved in lockstep, from one product of X and all y: as many at a time as a few vector
    registers hold, none of which notices the others. Meant for some hundred features; each problem
    is of order n_samples * n_features^2, whatever alpha is. Single large problems are for `solve`.
    """
    started = monotonic()
    chosen = Settings(tol=tol, max_sweeps=max_sweeps, n_threads=n_threads)
    batch = lay_out(X, y, sample_weight, groups, offsets)
    p = batch.n_features
    alphas, ratios = as_strengths(alpha, l1_ratio, batch.n_problems)
    check_flags(fit_intercept, positive, standardize)
    factor, low, high, _ = check_penalty(p, penalty_factor, lower, upper, positive)
    if select not in (None, "aic", "bic", "cv"):
        raise ValueError(f"select must be None, 'aic', 'bic' or 'cv', got {select!r}")
    if select is not None and np.ndim(alpha) != 2:
        raise ValueError("select needs a path: alpha of shape (B, n_alphas) or (1, n_alphas)")
    l1, l2 = alphas * ratios, alphas * (1.0 - ratios)
    together = few = None
    plain = select is None and not (np.isfinite(low).any() or np.isfinite(high).any())
    if plain and not standardize:
        few = likely_features(batch, l1, l2, factor, fit_intercept=bool(fit_intercept))
    if plain:
        together = _solve_together(
            batch,
            l1,
            l2,
            chosen,
            fit_intercept=fit_intercept,
            penalty_factor=penalty_factor,
            standardize=standardize,
        )

    def solve_some(some: Any) -> Any:
        return solve_batch(
            batch.X,
            batch.order,
            batch.y[some] if len(batch.y) > 1 else batch.y,
            batch.edges,
            batch.weight,
            np.ascontiguousarray(l1[some]),
            np.ascontiguousarray(l2[some]),
            None if penalty_factor is None else np.ascontiguousarray(factor),
            np.ascontiguousarray(low),
            np.ascontiguousarray(high),
            centred=bool(fit_intercept),
            standardize=bool(standardize),
            tol=chosen.tol,
            max_sweeps=chosen.max_sweeps,
            n_threads=min(chosen.n_threads, batch.n_problems),
            selection="" if select is None else str(select),
            fold=as_folds(cv, batch, random_state) if select == "cv" else None,
            resampled=batch.resampled,
            few=few,
        )

    if together is None:
        coef, number, count, criterion = solve_some(slice(None))
    else:
        coef, number, count = _gather(*together, solve_some)
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


def _solve_together(
    batch: Batch, l1: Array, l2: Array, settings: Settings, **model: Any
) -> tuple[Record, npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None:
    """Solve in lockstep what shares X and weights; None where there is nothing of that kind.

    Returns what was found for the eligible problems, which of these are done, and which of all
    problems are eligible.
    """
    if batch.edges is not None or isinstance(batch.X, list):
        return None
    if batch.weight is not None and len(batch.weight) > 1:
        return None
    eligible = np.isfinite(batch.y.sum(axis=1)) & (l1.min(axis=1) > 0)
    if not eligible.any():
        return None
    good = slice(None) if eligible.all() else eligible
    found = solve_together(
        batch.X,
        batch.y[good].T,
        np.ascontiguousarray(l1[good].T),
        np.ascontiguousarray(l2[good].T),
        settings,
        sample_weight=None if batch.weight is None else batch.weight[0],
        **model,
    )
    if found is None or not found[1].any():
        return None
    return *found, eligible


def _gather(
    record: Record,
    done: npt.NDArray[np.bool_],
    eligible: npt.NDArray[np.bool_],
    solve_some: Callable[[Any], Any],
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Return what `solve_batch` does, of which it solves only what was not done in lockstep.

    The record is that of the eligible responses.
    """
    coef = np.ascontiguousarray(record.coef.transpose(1, 0, 2))
    number = np.stack([getattr(record, name).T for name in _NUMBERS])
    count = np.stack([record.status.T, record.n_sweeps.T, record.n_active.T, 0 * record.status.T])
    if done.all() and eligible.all():
        return coef, number, count
    place = np.cumsum(eligible) - 1  # the last eligible one stands in for those that are not
    coef, number, count = coef[place], number[:, place], count[:, place]
    rest = np.flatnonzero(~(eligible & done[place]))
    coef[rest], number[:, rest], count[:, rest], _ = solve_some(rest)
    return coef, number, count


_NUMBERS = (
    "intercept",
    "objective",
    "null_objective",
    "duality_gap",
    "tolerance",
    "kkt_violation",
)
