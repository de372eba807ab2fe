"""Where users' arrays are checked and brought into the units of the solvers.

Inside, every column and every response has unit size: columns are shifted by their mean (with an
intercept) and columns and responses are scaled by powers of two. Such a scaling is exact, so it
costs no digit, and squares of 1e150 cannot overflow. The sample weights sum to one, which makes the
objective of the solvers the user's objective divided by the square of the response's scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.dense import ONE_READ, ROUGH, DenseDesign
from fastreg._core.design import Design
from fastreg._core.objective import LeastSquares
from fastreg._core.record import accurate_differences
from fastreg._core.sparse import CSCDesign
from fastreg.choice import UNKNOWN, Outlook, Plan, steps_down
from fastreg.costs import sparse
from fastreg.inputs import (
    Array,
    as_bounds,
    as_factor,
    as_matrix,
    as_offset,
    as_response,
    as_weight,
    is_sparse,
    name_bad_column,
    require_square,
    with_unit_stride,
)

# A column whose deviation is below the rounding of its mean is constant.
CONSTANT = 8 * np.finfo(np.float64).eps
_HUGE = 1e308  # factor of a strength; most tiny columns need less, at whatever strength
_FAR = 1e130  # of a response without weight, in units of the largest one with weight
_USUAL = 1e60  # size of a response that needs no care
_BLOCK = 1 << 20  # entries of X that are copied at a time


@dataclass(frozen=True)
class Problem:
    """Penalised least squares in standardised units; see `prepare`."""

    # what the user gave
    X: Any
    n_responses: int
    many: bool  # y was two-dimensional
    fit_intercept: bool
    feature_names: tuple[str, ...] | None

    # columns: z_j = (x_j - shift_j) * scale_j, norm_j = sqrt(sum_i weight_i z_ij^2)
    design: Design
    mean: Array
    norm: Array

    # rows
    weight: Array  # sums to one
    weight_sum: float

    # responses: inside, target k is that of the design `responses`, and has the length y_size
    targets: Array  # n x m, as they are read
    responses: DenseDesign
    y_mean: Array
    y_scale: Array
    y_size: Array

    # sums over the rows, where the survey of X has given them: (m, p) of z_j y_k, (p, p) of z_i z_j
    cross: Array | None
    gram: Array | None
    roughness: float  # relative error, beyond rounding, of both to their norms, and of `norm`
    n_reads: int  # of X, so far

    # penalty on the input scale: alpha l1_unit (l1_ratio |w| + (1 - l1_ratio) unit w^2 / 2)
    l1_unit: Array
    unit: Array  # one, or the deviations
    lower: Array
    upper: Array
    excluded: npt.NDArray[np.bool_]

    outlook: Outlook = UNKNOWN

    @cached_property
    def y(self) -> Array:
        """Responses, one a row: centred, divided by y_scale."""
        rows: Array = self.responses.rows()
        if self.fit_intercept:
            rows -= (rows @ self.weight)[:, None]
        return rows

    @cached_property
    def has_bounds(self) -> bool:
        """Whether any feature that may move has a finite bound."""
        free = (np.isneginf(self.lower) & np.isposinf(self.upper)) | self.excluded
        return not bool(free.all())

    @cached_property
    def _is_free(self) -> bool:
        """Whether nothing is bounded or excluded."""
        return not (self.has_bounds or self.excluded.any())

    @property
    def movable(self) -> npt.NDArray[np.bool_]:
        """Features that are neither fixed nor excluded nor constant."""
        return np.asarray((self.lower < self.upper) & ~self.excluded & (self.norm > 0))

    @property
    def rests_at_zero(self) -> bool:
        """Whether all coefficients are zero at large strengths: penalised, within their bounds."""
        penalised = (self.l1_unit > 0) | ~self.movable
        return bool(penalised.all() and ((self.lower <= 0) & (self.upper >= 0)).all())

    def factors(self, response: int) -> tuple[Array, Array]:
        """Return what multiplies alpha * l1_ratio and alpha * (1 - l1_ratio) inside."""
        scale = self.design.scale
        with np.errstate(over="ignore"):
            l1 = self.l1_unit * scale
            l2 = l1 * (self.unit * scale)  # the square of a deviation may be no number
            l1 /= self.y_scale[response]
        # A column so small that these overflow keeps its coefficient where the strength is zero.
        return np.minimum(l1, _HUGE, out=l1), np.minimum(l2, _HUGE, out=l2)

    def bounds(self, response: int) -> tuple[Array, Array]:
        """Return the bounds in standardised units; excluded features are fixed at zero."""
        if self._is_free:
            return self.lower, self.upper
        with np.errstate(over="ignore"):
            unit = self.design.scale * self.y_scale[response]
            lower, upper = self.lower / unit, self.upper / unit
        return np.where(self.excluded, 0.0, lower), np.where(self.excluded, 0.0, upper)

    def gram_of(self, columns: npt.NDArray[np.integer]) -> Array:
        """Return the Gram matrix of some columns: a new array."""
        if self.gram is None or self.roughness > 0:
            return np.asarray(self.design.gram_matrix(columns.astype(np.int32), self.weight))
        if len(columns) == len(self.gram):
            return self.gram.copy()
        return np.asarray(self.gram[np.ix_(columns, columns)])

    def whole_gram(self, in_float: bool) -> tuple[Array, float]:
        """Return the Gram matrix of all columns and its roughness; in float where it may be."""
        scale = self.design.scale
        if in_float and isinstance(self.design, DenseDesign):
            found = self.design.rough_survey(self.weight, self.responses, self.fit_intercept)
            if found is not None:
                gram = found[3]
                gram *= scale
                gram *= scale[:, None]
                return gram, ROUGH
        everything = np.arange(len(scale), dtype=np.int32)
        return np.asarray(self.design.gram_matrix(everything, self.weight)), 0.0

    def sampled_rows(self, count: int) -> Array:
        """Return some rows of a dense design, its columns standardised to norm one."""
        some = np.linspace(0, len(self.weight) - 1, count).astype(np.intp)
        norm = np.where(self.movable, self.norm, np.inf)
        return np.asarray((self.X[some] - self.design.shift) * (self.design.scale / norm))

    def least_squares(self) -> LeastSquares:
        """Return a new solver state; `begin` gives it a response."""
        return LeastSquares(self.design, self.weight, self.fit_intercept, self.norm)

    def begin(self, state: LeastSquares, response: int, coef: Array | None = None) -> None:
        """Load a response and a first point (on the input scale; default nearest to zero)."""
        l1, l2 = self.factors(response)
        lower, upper = self.bounds(response)
        state.set_penalty(l1, l2, lower, upper)
        shift, scale = self.responses.shift[response], self.responses.scale[response]
        state.take(self.targets[:, response], shift, scale)
        at_zero = coef is None and self.cross is not None
        if at_zero and (self._is_free or not np.any((lower > 0) | (upper < 0))):
            assert self.cross is not None
            state.start_at_zero(self.cross[response], self.y_size[response] ** 2)
            return
        start = np.zeros(self.design.n_features) if coef is None else self.inside(coef, response)
        state.start(start)

    def inside(self, coef: Array, response: int) -> Array:
        """Return coefficients on the input scale in standardised units."""
        with np.errstate(over="ignore"):
            w = coef / self.design.scale / self.y_scale[response]
        return np.where(self.norm > 0, np.clip(w, -1e300, 1e300), 0.0)

    @staticmethod
    def penalty_at(state: LeastSquares, l1: float, l2: float, w: Array) -> float:
        """Return the penalty of a point at some strengths, in standardised units."""
        if not w.any():
            return 0.0
        return float(state.penalty_of(w, l1, l2))

    def outside_many(
        self, W: Array, residual_mean: Array, responses: npt.NDArray[np.intp]
    ) -> tuple[Array, Array]:
        """Return coefficients (W, overwritten) and intercepts of responses on the input scale."""
        scale = self.y_scale[responses]
        W *= self.design.scale
        W *= scale[:, None]
        if not self.fit_intercept:
            return W, np.zeros(len(W))
        # Large means and coefficients cancel here.
        first = self.y_mean[responses] + residual_mean * scale
        return W, accurate_differences(first, self.mean, np.ascontiguousarray(W))


def prepare(
    X: Any,
    y: Any,
    *,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    offset: Any = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: bool = False,
    standardize: bool = False,
    plan: Plan | None = None,
) -> Problem:
    """Check everything that a user passed and return the problem in standardised units.

    `plan` says whether the Gram matrix of all features is wanted, too.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was wrong and what is accepted.
    """
    check_flags(fit_intercept, positive, standardize)
    matrix, names = as_matrix(X)
    n, p = matrix.shape
    targets, many = as_response(y, n)
    weight, weight_sum = as_weight(sample_weight, n)
    if offset is not None:
        require_square("y", targets)
        targets = as_offset(offset, targets)
    factor, low, high, excluded = check_penalty(p, penalty_factor, lower, upper, positive)
    design: Design = CSCDesign(matrix) if is_sparse(matrix) else DenseDesign(matrix)
    centre = bool(fit_intercept)
    responses = _survey_responses(targets, weight, sample_weight is not None, centre)
    is_float = matrix.dtype == np.float32
    # What is not penalised needs every digit of a slope; with standardize deviations are a part of
    # the problem.
    may_be_float = not standardize and bool(np.all(factor > 0))
    if plan is not None and plan.asks_rows(n, p) and not (standardize or is_sparse(matrix)):
        halved = may_be_float and not is_float and plan.pays_float(n, p, is_float)
        steps = steps_down(matrix, targets[:, 0], weight, factor, plan.l1, centre)
        plan = replace(plan, outlook=plan.outlook.after(steps, halved))
    wanted = np.arange(
        p if plan is not None and plan.wants_gram(n, p, sparse(matrix)) else 0, dtype=np.int32
    )
    if plan is not None:
        design.set_threads(plan.settings.n_threads)
    takes_float = plan is not None and may_be_float and plan.takes_float(n, p, is_float)
    mean, deviation, cross, gram, roughness = _survey(
        matrix, design, weight, responses.design, wanted, centre, takes_float
    )
    scale_of_column = deviation if fit_intercept else np.hypot(deviation, mean)
    scale = unit_scale(scale_of_column)
    design.set_units(mean if fit_intercept else np.zeros(p), scale)
    if cross is not None:
        cross *= scale
    if gram is not None:
        gram *= scale
        gram *= scale[:, None]
    l1_unit, unit = penalty_units(factor, excluded, deviation if standardize else None)
    return Problem(
        X=matrix,
        n_responses=responses.targets.shape[1],
        many=many,
        fit_intercept=bool(fit_intercept),
        feature_names=names,
        design=design,
        mean=mean,
        norm=scale_of_column * scale,
        cross=cross,
        gram=gram,
        roughness=roughness,
        n_reads=1 + (gram is not None and p > ONE_READ),
        weight=weight,
        weight_sum=weight_sum,
        targets=responses.targets,
        responses=responses.design,
        y_mean=responses.mean,
        y_scale=responses.scale,
        y_size=responses.size,
        l1_unit=l1_unit,
        unit=unit,
        lower=low,
        upper=high,
        excluded=excluded,
        outlook=UNKNOWN if plan is None else plan.outlook,
    )


def check_flags(fit_intercept: Any, positive: Any, standardize: Any) -> None:
    """Refuse what is neither True nor False."""
    for name, flag in (
        ("fit_intercept", fit_intercept),
        ("positive", positive),
        ("standardize", standardize),
    ):
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, got {flag!r}")


def check_penalty(
    p: int, penalty_factor: Any, lower: Any, upper: Any, positive: bool
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """Return penalty factors, lower and upper bounds, and which features are excluded."""
    if penalty_factor is lower is upper is None and not positive:
        return _plain_penalty(p)
    factor = as_factor(penalty_factor, p)
    low, high = as_bounds(lower, upper, positive, p)
    excluded = np.isposinf(factor)
    if np.any(excluded & ((low > 0) | (high < 0))):
        raise ValueError(
            "penalty_factor is inf (coefficient 0) for a feature whose lower and upper bounds "
            "leave out 0"
        )
    return factor, low, high, excluded


@lru_cache(maxsize=16)
def _plain_penalty(p: int) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """Return the same for the plain penalty: views of one number each, which nobody can change."""
    low, high = as_bounds(None, None, False, p)
    return as_factor(None, p), low, high, np.broadcast_to(np.False_, (p,))


def penalty_units(
    factor: Array, excluded: npt.NDArray[np.bool_], deviation: Array | None
) -> tuple[Array, Array]:
    """Return `l1_unit` and `unit`; the deviations of the columns are given to standardize."""
    if excluded.any():
        factor = np.where(excluded, 0.0, factor)
    if deviation is None:
        return factor, np.ones(len(factor))
    with np.errstate(over="ignore"):
        return factor * deviation, deviation


def unit_scale(size: Array) -> Array:
    """Return the powers of two that bring columns of the given sizes to unit size."""
    exponent = np.frexp(np.where(size > 0, size, 1.0))[1]
    return np.asarray(np.ldexp(1.0, np.clip(-exponent, -1022, 1022)))


def _survey(
    matrix: Any,
    design: Design,
    weight: Array,
    responses: DenseDesign,
    wanted: npt.NDArray[np.int32],
    centre: bool,
    takes_float: bool,
) -> tuple[Array, Array, Array | None, Array | None, float]:
    """Return weighted means and standard deviations; refuse columns that are not finite.

    Also the products with the responses, and the Gram matrix if it is wanted; None where columns
    are so large or small that their squares overflow or underflow: of these, means and deviations
    are computed again, scaled by a power of two. Last comes the roughness of all of this, not zero
    only where float precision may do.
    """
    cross: Array | None
    gram: Array | None
    if takes_float and isinstance(design, DenseDesign):
        found = design.rough_survey(weight, responses, centre)
        if found is not None:
            mean, variance, cross, gram = found
            return mean, np.sqrt(variance), cross, gram, ROUGH
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean, variance, cross, gram = design.survey(weight, responses, wanted, centre)
    suspect = ~(np.isfinite(mean) & np.isfinite(variance) & (variance > 1e-280))
    if is_sparse(matrix):
        suspect &= np.diff(matrix.indptr) > 0
    elif suspect.any():
        candidates = np.flatnonzero(suspect)
        suspect[candidates] = ~_is_constant(matrix, candidates)
    with np.errstate(invalid="ignore"):
        deviation = np.sqrt(variance)
    if suspect.any():
        cross = gram = None
    if len(wanted) == 0:
        gram = None
    used = weight > 0
    for j in np.flatnonzero(suspect):
        column = np.asarray(matrix[:, [j]].toarray() if is_sparse(matrix) else matrix[:, j])
        column = column.astype(np.float64).ravel()
        if not np.isfinite(column).all():
            raise name_bad_column(column, int(j))
        column = column[used]
        exponent = int(np.frexp(np.abs(column).max())[1])
        small = np.ldexp(column, -exponent)
        center = small[0] + weight[used] @ (small - small[0])
        square = weight[used] @ (small - center) ** 2 - (weight[used] @ (small - center)) ** 2
        mean[j] = np.ldexp(center, exponent)
        deviation[j] = np.ldexp(np.sqrt(max(square, 0.0)), exponent)
    deviation[deviation <= CONSTANT * np.abs(mean)] = 0.0
    return mean, deviation, cross, gram, 0.0


def _is_constant(matrix: npt.NDArray[Any], columns: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return which of the columns hold one finite value only, a bounded number at a time."""
    step = max(1, _BLOCK // len(matrix))
    blocks = [matrix[:, columns[k : k + step]] for k in range(0, len(columns), step)]
    return np.concatenate([np.isfinite(b[0]) & (b == b[0]).all(axis=0) for b in blocks])


@dataclass(frozen=True)
class _Responses:
    """Responses as they are read, their units, and their length inside."""

    targets: Array  # n x m
    design: DenseDesign
    mean: Array
    scale: Array
    size: Array


def _survey_responses(targets: Array, weight: Array, weighted: bool, centre: bool) -> _Responses:
    """Check the responses and return them with the units in which they are standardised.

    They are left where they lie, and are read once, unless a power of two cannot scale them within
    the range of numbers.
    """
    if min(targets.strides) <= 0:
        targets = targets.copy()
    targets = with_unit_stride(targets)
    largest = require_square("y", targets) if weighted else 0.0
    design = DenseDesign(targets)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean, variance = design.moments(weight)
        level = np.abs(mean)
        # With equal weights a value that is too large shows in its mean or its variance.
        usual = (level < _USUAL) & (variance < _USUAL**2)
        usual &= (variance > _USUAL**-2) | (level > _USUAL**-0.5)
        deviation = np.sqrt(variance)
        usual &= largest <= _USUAL * np.maximum(deviation, level)
    if not usual.all():
        require_square("y", targets)
        rows, mean, scale = _standardise_responses(targets, weight, centre)
        return _Responses(rows.T, DenseDesign(rows.T), mean, scale, np.sqrt((rows * rows) @ weight))
    if centre:
        size = np.where(deviation <= CONSTANT * level, 0.0, deviation)
    else:
        size, mean = np.hypot(deviation, mean), np.zeros(len(mean))
    scale = np.ldexp(1.0, np.where(size > 0, np.frexp(size)[1], 0))
    inverse = np.where(size > 0, 1.0 / scale, 0.0)
    design.set_units(mean, inverse)
    return _Responses(targets, design, mean, scale, size * inverse)


def _standardise_responses(
    responses: Array, weight: Array, centre: bool
) -> tuple[Array, Array, Array]:
    """Return the responses as rows, centred and divided by a power of two, and both numbers."""
    rows = np.ascontiguousarray(responses.T)
    largest = np.abs(rows[:, weight > 0]).max(axis=1)
    first = np.where(largest > 0, np.frexp(largest)[1], 0)
    # Rows without weight may be far larger; their squares must stay numbers.
    with np.errstate(over="ignore"):
        rows = np.clip(np.ldexp(rows, -first[:, None]), -_FAR, _FAR)
    mean = np.zeros(len(rows))
    if centre:
        for _ in range(2):  # the second round removes the rounding of the first
            shift = rows @ weight
            rows -= shift[:, None]
            mean += shift
    size = np.sqrt((rows * rows) @ weight)
    size[size <= CONSTANT * np.abs(mean)] = 0.0
    rows[size == 0] = 0.0
    second = np.where(size > 0, np.frexp(size)[1], 0)
    rows = np.ldexp(rows, -second[:, None])
    return rows, np.ldexp(mean, first), np.ldexp(1.0, first + second)
