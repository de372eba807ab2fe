"""Many responses with a smooth penalty at once: one decomposition, matrix products, proofs for all.

Whatever is not proven here is left to the engine, one response after the other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg import lapack
from fastreg._core.objective import Outcome
from fastreg._core.record import Record
from fastreg.blocks import product, row_blocks, row_gram, times_transposed
from fastreg.engine import Engine
from fastreg.inputs import Array, is_sparse
from fastreg.normal_equations import (
    CholeskyInverse,
    MomentFit,
    Moments,
    SpectralInverse,
    fit_moments,
    summation_rounding,
)
from fastreg.problem import Problem
from fastreg.spectrum import combine, decompose, gaps_of, project_responses

_SMALL = 100_000  # entries up to which one response takes its way over X, the most accurate one
_WELL = 1e-6  # reciprocal condition number that leaves enough digits without refinement
_REFINED = {False: 1e-13, True: 3e-7}  # and with it: of factors in double, and in float
_SHARP = 1e-4  # share of the tolerance that refinement goes on to
_GAIN = 0.1  # and what of the gap a step must leave at most
_FLOAT_PAYS = {4: 300, 8: 500}  # rows from which a factor in float pays, by the size of a number
_ROWS = 32  # that tell of the condition
_FEW = 8  # distinct strengths up to which a Cholesky factor for each is cheapest


def solve_responses(
    engine: Engine, record: Record, start: Array | None, which: npt.NDArray[np.intp]
) -> None:
    """Write a point for each response, at the strength of the engine's grid that `which` names."""
    problem = engine.problem
    size = problem.design.n_samples * problem.design.n_features
    done = np.zeros(len(which), dtype=bool)
    if engine.takes_cholesky and (problem.n_responses > 1 or size > _SMALL):
        try:
            with lapack.until(engine.deadline), np.errstate(all="ignore"):
                done[_together(engine, record, engine.alphas[which])] = True
        except TimeoutError:
            pass  # the engine says so
    if len(engine.alphas) == 1 and not done.any():
        engine.run_all(record, start)
        return
    for k in np.flatnonzero(~done).tolist():
        engine.run(record, k, None if start is None else start[k], only=int(which[k]))


def moments_of(
    problem: Problem, columns: npt.NDArray[np.intp], square: Array
) -> tuple[Moments, Array, Array]:
    """Return the moments of some columns and all responses, and the means of both."""
    weight, m = problem.weight, problem.n_responses
    gram = problem.gram_of(columns)
    if problem.cross is not None:
        correlation = problem.cross[:, columns].T
    elif m == 1:
        correlation = problem.design.correlation(problem.y[0] * weight)[columns, None]
    else:
        correlation = np.zeros((len(columns), m))
        for rows, block in row_blocks(problem, columns):
            correlation += block.transposed_times((problem.y[:, rows] * weight[rows]).T)
    centre, means = np.zeros(len(columns)), np.zeros(m)
    if problem.fit_intercept and problem.gram is None:
        centre, means = problem.design.correlation(weight)[columns], problem.y @ weight
    for row, mean in zip(gram, centre, strict=True):
        row -= mean * centre
    rounding = summation_rounding(problem.design.n_samples)
    if is_sparse(problem.X):  # centred after the sum, which costs digits
        offset = np.abs(problem.design.shift * problem.design.scale)[columns]
        rounding *= 2.0 * (1.0 + float(np.max(offset / problem.norm[columns])))
    moments = Moments(
        gram=gram,
        correlation=correlation - np.outer(centre, means),
        square=square - means * means,
        rounding=rounding,
    )
    return moments, centre, means


def _together(engine: Engine, record: Record, alphas: Array) -> npt.NDArray[np.intp]:
    """Write the points of all responses that are proven; return which ones these are."""
    problem = engine.problem
    columns = np.flatnonzero(problem.movable)
    factors = problem.factors(0)[1][columns]
    l2 = alphas * (1.0 - engine.l1_ratio)
    square = problem.y_size**2
    null = 0.5 * square
    tolerance = engine.settings.tol * null
    penalised = bool((factors > 0).all())
    if 0 < len(columns) <= problem.design.n_samples:
        moments, centre, means = moments_of(problem, columns, square)
        fit = _fit_in_groups(moments, factors, l2, tolerance, penalised)
        mean = means - centre @ fit.coef
        engine.method = "cholesky"
    elif len(columns) and penalised and l2.min() > 0:
        fit, mean = _fit_dual(problem, columns, l2, tolerance)
        engine.method = "cholesky"
    else:
        return np.empty(0, dtype=np.intp)
    engine.extra_passes += 0 if problem.gram is not None else 2
    return _write(engine, record, columns, factors[:, None] * l2, fit, mean, null)


def _fit_in_groups(
    moments: Moments, factors: Array, l2: Array, tolerance: Array, penalised: bool
) -> MomentFit:
    """Return the fits of all responses, one decomposition for all that it can serve."""
    strengths, group = np.unique(l2, return_inverse=True)
    if penalised and len(strengths) > _FEW:
        return fit_moments(moments, SpectralInverse(moments, factors, l2), tolerance)
    if len(strengths) == 1:
        return fit_moments(moments, CholeskyInverse(moments, l2[0] * factors), tolerance)
    p, m = moments.correlation.shape
    fit = MomentFit(np.empty((p, m)), np.empty((p, m)), np.empty(m), np.empty(m), 0)
    for i, strength in enumerate(strengths):
        own = group == i
        part = Moments(
            moments.gram, moments.correlation[:, own], moments.square[own], moments.rounding
        )
        found = fit_moments(part, CholeskyInverse(part, strength * factors), tolerance[own])
        fit.coef[:, own], fit.correlation[:, own] = found.coef, found.correlation
        fit.square[own], fit.gap[own] = found.square, found.gap
    return fit


def _fit_dual(
    problem: Problem, columns: npt.NDArray[np.intp], l2: Array, tolerance: Array
) -> tuple[MomentFit, Array]:
    """Return the fits where there are more columns than rows, proven on the residuals."""
    factors = problem.factors(0)[1][columns]
    may_be_float = _may_be_float(problem, factors, float(l2.min()))
    for in_float in (True, False) if may_be_float else (False,):
        found = _fit_by_factors(problem, columns, factors, l2, tolerance, in_float)
        if found is not None:
            return found
    spectrum = decompose(problem, float(l2.min()))
    assert spectrum is not None  # all columns are penalised
    targets, inner = project_responses(problem, spectrum)
    shrunk = inner * np.stack([spectrum.shrink(strength) for strength in l2], axis=1)
    W = combine(problem, spectrum, shrunk, targets)[columns]
    fit, mean, _ = _proven_dual(problem, columns, factors, l2, W)
    unit = np.sqrt(factors)[:, None]
    slope = fit.correlation / unit - l2 * (unit * W)
    gap = gaps_of(spectrum, l2, slope, np.zeros((0, len(l2))), None)
    return replace(fit, gap=gap), mean


def _may_be_float(problem: Problem, factors: Array, strength: float) -> bool:
    """Whether a factor in float pays, and what some rows tell of its condition allows one.

    Eigenvalues of a part of a matrix lie between the smallest and the largest of the whole, which
    grows with the number of rows where columns depend on each other.
    """
    X, n = problem.X, problem.design.n_samples
    if is_sparse(X) or n < _FLOAT_PAYS[X.dtype.itemsize]:
        return False
    rows = problem.sampled_rows(_ROWS)[:, problem.movable]
    rows *= problem.norm[problem.movable] / np.sqrt(n * factors)
    values = np.linalg.eigvalsh(rows @ rows.T)
    return bool(values[0] + strength > _REFINED[True] * n / _ROWS * values[-1])


def _fit_by_factors(
    problem: Problem,
    columns: npt.NDArray[np.intp],
    factors: Array,
    l2: Array,
    tolerance: Array,
    in_float: bool,
) -> tuple[MomentFit, Array] | None:
    """Return the fits by a Cholesky factor for each strength; None if that is not best.

    (Z diag(1/f) Z' + l2) theta = y  and  w = Z'theta / f, with rows times the roots of the weights.
    A factor that has lost digits, or never had them (`in_float`), is made up for by steps on the
    true residual, as long as these converge.
    """
    strengths, group = np.unique(l2, return_inverse=True)
    if len(strengths) > _FEW:
        return None
    inverse = np.zeros(problem.design.n_features)
    inverse[columns] = 1.0 / factors
    kernel = row_gram(problem, inverse, in_float)
    diagonal = np.diag_indices_from(kernel)
    root = np.sqrt(problem.weight)
    if problem.fit_intercept:
        # Centred rows depend on each other along the roots, where neither y nor theta has a part:
        # what is added there changes nothing but the condition.
        kernel += np.outer(root, root).astype(kernel.dtype) * np.mean(kernel[diagonal])
    values = kernel[diagonal]
    solvers, well = [], True
    for i, strength in enumerate(strengths):
        kernel[diagonal] = values + kernel.dtype.type(strength)
        factor, rcond = lapack.cholesky(kernel)
        if not rcond > _REFINED[in_float]:
            return None
        well = well and rcond > _WELL and not in_float
        solvers.append((group == i, factor))
    target = tolerance if well else _SHARP * tolerance
    error = root[:, None] * problem.y.T
    theta, last = np.zeros_like(error), np.inf
    while True:
        for own, factor in solvers:
            right = error[:, own].astype(kernel.dtype, copy=False)
            theta[:, own] += linalg.cho_solve((factor, True), right, check_finite=False)
        W = times_transposed(problem, columns, theta) / factors[:, None]
        fit, mean, residual = _proven_dual(problem, columns, factors, l2, W)
        worst = float(np.max(fit.gap - target, initial=0.0))
        if well or worst <= 0.0:
            return fit, mean
        if not worst <= _GAIN * last:
            return (fit, mean) if bool(np.all(fit.gap <= tolerance)) else None
        last, error = worst, residual - l2 * theta


def _proven_dual(
    problem: Problem, columns: npt.NDArray[np.intp], factors: Array, l2: Array, W: Array
) -> tuple[MomentFit, Array, Array]:
    """Return fits of given coefficients, the means of their residuals, and these, weighted."""
    residual = problem.y.T - product(problem, columns, W)
    mean = problem.weight @ residual if problem.fit_intercept else np.zeros(len(l2))
    residual -= mean
    residual *= np.sqrt(problem.weight)[:, None]
    correlation = times_transposed(problem, columns, residual)
    unit = np.sqrt(factors)[:, None]
    slope = correlation / unit - l2 * (unit * W)
    gap = 0.5 * np.sum(slope * slope, axis=0) / l2
    square = np.einsum("ij,ij->j", residual, residual)
    return MomentFit(W, correlation, square, gap, 1), mean, residual


def _write(
    engine: Engine,
    record: Record,
    columns: npt.NDArray[np.intp],
    l2: Array,
    fit: MomentFit,
    mean: Array,
    null: Array,
) -> npt.NDArray[np.intp]:
    """Write the proven fits in the user's units."""
    problem, tol = engine.problem, engine.settings.tol
    unit = problem.y_scale**2
    slope = np.abs(fit.correlation - l2 * fit.coef) / problem.norm[columns][:, None]
    lower, upper = problem.bounds(0)
    proven = np.flatnonzero(fit.proven(tol * null) & (null > 0))
    W = np.zeros((len(proven), problem.design.n_features))
    W[:, columns] = fit.coef[:, proven].T
    coef, intercept = problem.outside_many(W, mean[proven], proven)
    record.coef[0, proven] = coef
    record.intercept[0, proven] = intercept
    record.status[0, proven] = Outcome.CONVERGED
    record.certified_zero[0, proven] = (lower >= 0.0) & (upper <= 0.0)
    record.n_iter[0, proven] = fit.n_iter
    record.n_active[0, proven] = np.count_nonzero(coef, axis=1)
    gap = np.maximum(fit.gap, 0.0) * unit
    for values, target in (
        (0.5 * (fit.square + np.sum(l2 * fit.coef * fit.coef, axis=0)) * unit, record.objective),
        (null * unit, record.null_objective),
        (gap, record.duality_gap),
        (tol * null * unit, record.tolerance),
        (slope.max(axis=0) / np.sqrt(2.0 * null), record.kkt_violation),
        (2.0 * problem.weight_sum * gap, record.prediction_error_bound),
    ):
        target[0, proven] = values[proven]
    return proven
