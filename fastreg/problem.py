"""Where users' arrays are checked and become a problem in the units of the solvers.

The sample weights sum to one, which makes the objective of the solvers the user's objective divided
by the square of the response's scale; `units` says what the scales are.
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
    require_square,
)
from fastreg.units import penalty_units, survey_columns, survey_responses, unit_scale

_HUGE = 1e308  # factor of a strength; most tiny columns need less, at whatever strength


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

    @cached_property
    def movable(self) -> npt.NDArray[np.bool_]:
        """Features that are neither fixed nor excluded nor constant."""
        return np.asarray((self.lower < self.upper) & ~self.excluded & (self.norm > 0))

    @cached_property
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
        """Return some rows of the design, its columns standardised to norm one."""
        some = np.linspace(0, len(self.weight) - 1, count).astype(np.intp)
        rows = self.X[some].toarray() if is_sparse(self.X) else self.X[some]
        norm = np.where(self.movable, self.norm, np.inf)
        return np.asarray((rows - self.design.shift) * (self.design.scale / norm))

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
    responses = survey_responses(targets, weight, sample_weight is not None, centre)
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
    mean, deviation, cross, gram, roughness = survey_columns(
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
