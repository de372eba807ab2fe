"""Fits of which the moments are all that is known: the problem, a stand-in for its rows, the proof.

A fit first goes the way that needs nothing but moments. What that leaves in doubt, and bounds,
starts and every other method, get a few rows with the same moments, on which all of the engine
works as it does on X.

Either way the gap that comes out is that of moments which rounding has changed. With errors of at
most rho times both norms in each product, and S = |y| + sum_j |z_j| |w_j|, the objective of any w
is wrong by at most rho S^2 / 2, and each correlation by rho |z_j| S. Two bounds follow, and the
smaller one is reported:

- where every feature has an L1 strength, the dual point of the changed problem is shrunk by
  1 - rho S max_j |z_j| / l1_j, at which it is feasible for the rows;
- where the Hessian is definite, the distance of the minimum from w, and so its S, is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import linalg

from fastreg import lapack
from fastreg._core.dense import DenseDesign
from fastreg._core.objective import Outcome
from fastreg._core.record import Record
from fastreg.engine import Engine
from fastreg.inputs import Array
from fastreg.normal_equations import EPSILON
from fastreg.problem import Problem, check_flags, check_penalty
from fastreg.responses import solve_responses
from fastreg.settings import Settings
from fastreg.units import CONSTANT, penalty_units, unit_scale

_BLOCK = 1 << 20  # correlations of points that are held at a time


@dataclass(frozen=True)
class Sums:
    """The parts of moments, and how much rounding there may be in them."""

    mean: Array
    y_mean: Array
    gram: Array
    cross: Array
    square: Array
    mean_error: Array  # of the means of columns and responses
    weight_sum: float
    rounding: float  # relative error of gram, cross and square, to the deviations

    def rounding_of(self, problem: Problem) -> float:
        """Return the relative error of the products of a problem, to the norms."""
        if problem.fit_intercept:
            return self.rounding
        # the products of the means, too
        size = np.concatenate(
            [problem.norm / problem.design.scale, problem.y_size * problem.y_scale]
        )
        doubt = float(np.max(self.mean_error[size > 0] / size[size > 0], initial=0.0))
        return self.rounding + (2.0 + doubt) * doubt


def problem_of(
    sums: Sums,
    *,
    many: bool = False,
    feature_names: tuple[str, ...] | None = None,
    fit_intercept: bool = True,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: bool = False,
    standardize: bool = False,
) -> Problem:
    """Return the problem in standardised units, on a design that holds nothing but the units.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was wrong and what is accepted.
    """
    check_flags(fit_intercept, positive, standardize)
    p, m = len(sums.mean), len(sums.y_mean)
    factor, low, high, excluded = check_penalty(p, penalty_factor, lower, upper, positive)
    deviation, size = deviations(sums.mean, sums.gram.diagonal()), sums.square
    size = deviations(sums.y_mean, size)
    norm, gram, cross, y_mean = deviation, sums.gram, sums.cross, sums.y_mean
    if not fit_intercept:
        norm, size = np.hypot(norm, sums.mean), np.hypot(size, y_mean)
        gram = gram + sums.mean[:, None] * sums.mean
        cross, y_mean = cross + y_mean[:, None] * sums.mean, np.zeros(m)
    scale = unit_scale(norm)
    y_scale = np.ldexp(1.0, np.where(size > 0, np.frexp(size)[1], 0))
    l1_unit, unit = penalty_units(factor, excluded, deviation if standardize else None)
    rows, targets, weight = np.zeros((1, p)), np.zeros((1, m)), np.ones(1)
    return Problem(
        X=rows,
        n_responses=m,
        many=many,
        fit_intercept=bool(fit_intercept),
        feature_names=feature_names,
        design=_design(rows, scale),
        mean=sums.mean,
        norm=norm * scale,
        cross=cross * (scale / y_scale[:, None]),
        gram=gram * (scale * scale[:, None]),
        roughness=0.0,
        n_reads=0,
        weight=weight,
        weight_sum=sums.weight_sum,
        targets=targets,
        responses=_design(targets, 1.0 / y_scale),
        y_mean=y_mean,
        y_scale=y_scale,
        y_size=size / y_scale,
        l1_unit=l1_unit,
        unit=unit,
        lower=low,
        upper=high,
        excluded=excluded,
    )


def deviations(mean: Array, variance: Array) -> Array:
    """Return the deviations, zero where they are nothing but the rounding of the means."""
    deviation = np.sqrt(variance)
    deviation[deviation <= CONSTANT * np.abs(mean)] = 0.0
    return np.asarray(deviation)


def _design(rows: Array, scale: Array) -> DenseDesign:
    design = DenseDesign(rows)
    design.set_units(np.zeros(rows.shape[1]), scale)
    return design


def with_rows(problem: Problem, sums: Sums) -> tuple[Problem, float]:
    """Return the same problem on a few rows that have the moments, and by how much they fail to.

    The rows are a Cholesky factor of the covariances; with an intercept reflected, so that their
    means vanish, without one together with the row of the means, which costs no digit.
    """
    deviation, size = deviations(sums.mean, sums.gram.diagonal()), np.sqrt(sums.square)
    columns = np.flatnonzero(deviation > 0)
    unit = deviation[columns]
    y_unit = np.where(size > 0, size, 1.0)
    gram = sums.gram[np.ix_(columns, columns)] / (unit * unit[:, None])
    cross = sums.cross[:, columns].T / unit[:, None] / y_unit
    R, b = _factor(gram, cross)
    error = float(np.max(np.abs(gram - R.T @ R), initial=0.0))
    error = max(error, float(np.max(np.abs(cross - R.T @ b), initial=0.0)))
    n, p, m = len(R) + 2, len(sums.mean), len(sums.y_mean)
    both = np.zeros((n, p + m))
    both[1:-1, columns] = R * unit
    both[1:-1, p:] = b * y_unit
    both[-1, p:] = np.sqrt(np.maximum((size > 0) - np.sum(b * b, axis=0), 0.0)) * y_unit
    if problem.fit_intercept:
        axis = np.full(n, -1.0 / np.sqrt(n))
        axis[0] += 1.0
        both -= np.outer(axis * (2.0 / (axis @ axis)), axis @ both)
    else:
        both[0, :p], both[0, p:] = sums.mean, sums.y_mean
    both *= np.sqrt(n)
    rows, targets = np.ascontiguousarray(both[:, :p]), np.ascontiguousarray(both[:, p:])
    problem = replace(
        problem,
        X=rows,
        design=_design(rows, problem.design.scale),
        weight=np.full(n, 1.0 / n),
        targets=targets,
        responses=_design(targets, problem.responses.scale),
    )
    return problem, error + (p + 16) * EPSILON


def _factor(gram: Array, cross: Array) -> tuple[Array, Array]:
    """Return R and b with R'R = gram and R'b = cross, as far as rounding leaves them."""
    p = len(gram)
    if p == 0:
        return np.zeros((0, 0)), np.zeros((0, cross.shape[1]))
    U, order, rank, _ = linalg.lapack.dpstrf(gram)
    order = order - 1
    U = np.triu(U)[:rank]
    b = linalg.solve_triangular(U[:, :rank], cross[order[:rank]], trans="T", check_finite=False)
    R = np.empty_like(U)
    R[:, order] = U
    return R, np.asarray(b)


class MomentEngine(Engine):
    """The engine on a stand-in for X."""

    @property
    def n_passes(self) -> int:
        """Reads of X: none."""
        return 0

    def _choose(self, alpha: float) -> str:
        method = super()._choose(alpha)
        known = self.settings.method == "auto" and method == "working_set"
        return "gram" if known and self._plan.fits(self.problem.design.n_features) else method


class MomentFit:
    """One or all strengths of a grid for all responses, and the bounds on what rounding does."""

    def __init__(
        self,
        problem: Problem,
        sums: Sums,
        settings: Settings,
        l1_ratio: float,
        alphas: Array,
        started: float,
    ) -> None:
        self.problem, self.sums, self.rounding = problem, sums, sums.rounding_of(problem)
        self.task = (settings, l1_ratio, alphas, started)
        self.engine = MomentEngine(problem, *self.task)

    def run(self, start: Array | None, *, path: bool, sparse: bool = False) -> Record:
        """Return the points of all responses, with gaps that hold for the rows themselves."""
        m, n_points = self.problem.n_responses, len(self.engine.alphas)
        record = self.engine.new_record(n_points, sparse=sparse)
        lane = self.engine._moment_path(record) if start is None else None
        if lane is not None:
            if self.engine._run_from_moments(lane, record, 0, self.rounding) == m:
                return record
            record = self.engine.new_record(n_points, sparse=sparse)
            lane = self.engine._moment_path(record)
        if lane is None or self.engine._run_from_moments(lane, record, 0) < m:
            problem, error = with_rows(self.problem, self.sums)
            self.rounding += error
            self.engine = MomentEngine(problem, *self.task)
            record = self.engine.new_record(n_points, sparse=sparse)
            if path:
                self.engine.run_all(record, start)
            else:
                solve_responses(self.engine, record, start, np.zeros(m, np.intp))
        for k in range(m):
            self._count_rounding_in(record, k)
        return record

    def _count_rounding_in(self, record: Record, k: int) -> None:
        """Add to the gaps of a response what rounding of the moments may hide."""
        problem, engine = self.problem, self.engine
        assert problem.gram is not None
        assert problem.cross is not None
        unit = problem.y_scale[k] ** 2
        step = max(1, _BLOCK // problem.design.n_features)
        for first in range(0, len(engine.alphas), step):
            points = slice(first, min(first + step, len(engine.alphas)))
            strength = engine.alphas[points]
            l1 = strength[:, None] * engine.l1_ratio * problem.factors(k)[0]
            l2 = strength[:, None] * (1.0 - engine.l1_ratio) * problem.factors(k)[1]
            W = self._inside(record, points, k)
            gap = record.duality_gap[points, k] / unit
            value = record.objective[points, k] / unit
            gap, doubt = self._true_gap(gap, value, W, l1, l2, float(problem.y_size[k]))
            record.duality_gap[points, k] = gap * unit
            record.prediction_error_bound[points, k] = 2.0 * problem.weight_sum * gap * unit
            status = record.status[points, k]
            status[(status > 0) & ~(gap * unit <= record.tolerance[points, k])] = Outcome.STALLED
            # |z_j'(fit - best fit)| <= |z_j| sqrt(2 gap)
            c = problem.cross[k] - W @ problem.gram
            slack = problem.norm * (np.sqrt(2.0 * gap) + doubt)[:, None]
            lower, upper = problem.bounds(k)
            record.certified_zero[points, k] = (
                ((upper <= 0.0) | (c + slack < l1))
                & ((lower >= 0.0) | (slack - c < l1))
                & ((lower <= 0.0) & (upper >= 0.0))
            )

    def _inside(self, record: Record, points: slice, k: int) -> Array:
        """Return the coefficients of some points in standardised units."""
        problem = self.problem
        if record.sparse:
            coef = np.zeros((points.stop - points.start, problem.design.n_features))
            for i in range(points.start, points.stop):
                support, values = record.sparse[i, k]
                coef[i - points.start, support] = values
        else:
            coef = record.coef[points, k]
        return np.asarray(coef / (problem.design.scale * problem.y_scale[k]))

    def _true_gap(
        self, gap: Array, value: Array, W: Array, l1: Array, l2: Array, y_size: float
    ) -> tuple[Array, Array]:
        """Return gaps with rounding counted in, and the errors of correlations over |z_j|."""
        problem, rho = self.problem, self.rounding
        fitted = np.abs(W) @ problem.norm
        size = y_size + fitted
        doubt = rho * size
        best = value + 0.5 * doubt * size  # the minimum is not negative
        movable = problem.movable
        if not movable.any():
            return np.minimum(gap + 0.5 * doubt * size, best), doubt
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            reach = np.max(problem.norm[movable] / l1[:, movable], axis=1)
            shrunk = np.minimum(doubt * reach, 1.0)
            penalty = np.sum(l1 * np.abs(W), axis=1)
            root = np.sqrt(2.0 * np.maximum(value, 0.0))  # at least the norm of the residual
            plain = gap + shrunk * root * (np.sqrt(2.0 * gap) + 0.5 * shrunk * root)
            plain += doubt * (0.5 * size + fitted) + shrunk * penalty
            plain = np.where(doubt * reach < 0.5, plain, np.inf)
            enough = plain <= gap + self.engine.settings.tol * 0.05 * y_size * y_size
            if not enough.all():
                ridge = np.min(l2[:, movable] / problem.norm[movable] ** 2, axis=1)
                smallest = self._smallest_eigenvalue + ridge - movable.sum() * rho
                stretch = movable.sum() / np.maximum(smallest, 0.0)
                definite = (gap + 1.5 * doubt * size) / (1.0 - 2.0 * rho * stretch)
                plain = np.minimum(plain, np.where(2.0 * rho * stretch < 0.5, definite, np.inf))
        return np.fmin(plain, best), doubt

    @cached_property
    def _smallest_eigenvalue(self) -> float:
        """Return that of the correlations of the columns that may move."""
        problem = self.problem
        assert problem.gram is not None
        movable = np.flatnonzero(problem.movable)
        unit = problem.norm[movable]
        values, _ = lapack.eigh(problem.gram[np.ix_(movable, movable)] / (unit * unit[:, None]))
        return float(values[0]) - len(movable) * 16 * EPSILON
