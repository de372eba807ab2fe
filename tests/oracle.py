"""An independent judge of fitted models: plain NumPy, no code shared with the package.

The objective, with S the sum of the weights s and f the penalty factors, is

    1/(2 S) sum_i s_i (y_i - b0 - offset_i - x_i'w)^2
        + alpha sum_j f_j (l1_ratio |w_j| + (1 - l1_ratio)/2 w_j^2),    lower_j <= w_j <= upper_j.

The module `standard_form` brings it to 1/2 |t - A w|^2 + sum_j h_j(w_j), with A the centred and
weighted columns and h_j(w) = a_j |w| + b_j/2 w^2 on [lo_j, hi_j]. For any dual point theta

    gap = 1/2 |rho - theta|^2 + sum_j [h_j(w_j) + h_j*(A_j'theta) - w_j A_j'theta],  rho = t - A w,

is the primal minus the dual value, written as a sum of terms that are never negative, so that
nothing cancels. Everything runs in `numpy.longdouble`, which on x86 has 11 bits more than the
solver's double; `rounding` says how much of a disagreement double precision can explain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from standard_form import DOUBLE_EPS, LONG, LONG_EPS, make_problem, norm


def intercept_error(problem, coef, intercept):
    """Weighted mean of the residual, 0 at the best intercept."""
    if not problem.fit_intercept:
        return LONG(0)
    return problem.y_mean - LONG(intercept) - problem.x_mean @ coef.astype(LONG)


def objective(problem, coef, intercept):
    coef = coef.astype(LONG)
    rho = problem.t - problem.A @ coef
    return (norm(rho) ** 2 + intercept_error(problem, coef, intercept) ** 2) / 2 + np.sum(
        problem.h(coef)
    )


def null_objective(problem):
    coef = np.clip(np.zeros(len(problem.a), LONG), problem.lo, problem.hi)
    return norm(problem.t - problem.A @ coef) ** 2 / 2 + np.sum(problem.h(coef))


def conjugate(problem, u):
    """h_j*(u_j), infinite where u_j is not feasible."""
    a, b, lo, hi = problem.a, problem.b, problem.lo, problem.hi
    excess = np.abs(u) - a
    soft = np.sign(u) * np.where(excess > 4 * LONG_EPS * a, excess, 0)
    curved = b > 0
    best = np.clip(np.where(curved, soft / np.where(curved, b, 1), 0), lo, hi)
    linear_up = ~curved & (soft > 0)
    linear_down = ~curved & (soft < 0)
    best = np.where(linear_up, hi, np.where(linear_down, lo, best))
    finite = np.isfinite(best)
    best = np.where(finite, best, 0)
    return np.where(finite, u * best - problem.h(best), np.inf)


def gap_at(problem, coef, rho, theta, u):
    """Duality gap for the dual point theta, with u = A'theta."""
    pairs = problem.h(coef) + conjugate(problem, u) - coef * u
    return norm(rho - theta) ** 2 / 2 + np.sum(np.maximum(pairs, 0))


def meet(columns, v, target, dependent):
    """The vector nearest to v whose products with the columns are `target`.

    Columns that depend on earlier ones, to the relative accuracy `dependent`, are left out, so
    that the system has a solution.
    """
    basis, coordinates = [], []  # orthonormal q, and the required q'v
    for column, wanted in zip(columns.T, target, strict=True):
        start = norm(column)
        for _ in range(2):
            for q, share in zip(basis, coordinates, strict=True):
                part = q @ column
                column = column - q * part
                wanted = wanted - part * share
        length = norm(column)
        if length > dependent * start:
            basis.append(column / length)
            coordinates.append(wanted / length)
    for _ in range(2):
        for q, share in zip(basis, coordinates, strict=True):
            v = v + q * (share - q @ v)
    return v


def largest_scaling(problem, c, silent):
    """The largest kappa <= 1 for which kappa c is feasible."""
    flat = (problem.b == 0) & ~silent
    limit = np.ones(len(c), LONG)
    for bad in (
        flat & np.isinf(problem.hi) & (c > problem.a),
        flat & np.isinf(problem.lo) & (-c > problem.a),
    ):
        limit[bad] = problem.a[bad] / np.abs(c[bad])
    return limit.min(initial=LONG(1))


def best_scaling(value, top):
    """Minimise a convex function on [0, top] by golden section, ends included."""
    shrink = (np.sqrt(LONG(5)) - 1) / 2
    low, high = LONG(0), top
    best = value(top)
    if best <= value(top * (1 - LONG(1e-6))):
        return best  # the minimum is at the end, or too near to matter
    for _ in range(48):
        step = shrink * (high - low)
        left, right = value(high - step), value(low + step)
        best = min(best, left, right)
        if left <= right:
            high = low + step
        else:
            low = high - step
    return best


def duality_gap(problem, coef, intercept, enough=0):
    """The smallest gap proven by the residual, or by the residual moved to the face of coef.

    Columns without curvature and without L1 strength (unpenalised; or bounded only) ask for an
    exact sign of A_j'theta, which scaling cannot repair: those with the wrong sign (and all that
    are inside their bounds) are projected out of theta until none is wrong. On the face those of
    all coefficients that may move are met exactly; this matters where the penalty is so small
    that the rounding of A_j'rho exceeds it. Columns that are dependent but for the rounding of
    their entries to double may count as dependent. The search ends at a gap of `enough`.
    """
    coef = coef.astype(LONG)
    rho = problem.t - problem.A @ coef
    inside = (coef > problem.lo) & (coef < problem.hi)
    face = inside & ((coef != 0) | (problem.a == 0)) | problem.unpenalised
    slope = problem.a * np.sign(coef) + problem.b * coef
    flat = (problem.a == 0) & (problem.b == 0)
    off = intercept_error(problem, coef, intercept) ** 2 / 2
    smallest = LONG(np.inf)
    for held in (problem.unpenalised, face & flat, face):
        for dependent in (64 * LONG_EPS, 256 * DOUBLE_EPS):
            gap = _gap_from(problem, coef, rho, slope, held, flat, dependent) + off
            smallest = min(smallest, gap)
            if smallest <= enough:
                return smallest
    return smallest


def _gap_from(problem, coef, rho, slope, held, flat, dependent):
    """The gap of the nearest theta to rho with A_j'theta = slope_j for the held columns, scaled."""
    for _ in range(len(coef) + 1):
        theta = meet(problem.A[:, held], rho, slope[held], dependent)
        c = problem.A.T @ theta
        near = np.abs(c - slope) <= 1e4 * LONG_EPS * problem.column_norms * norm(theta)
        c = np.where(held & (near | flat), slope, c)
        wrong = flat & ~held & ((np.isinf(problem.hi) & (c > 0)) | (np.isinf(problem.lo) & (c < 0)))
        if not wrong.any():
            break
        held, slope = held | wrong, np.where(wrong, 0, slope)
    top = largest_scaling(problem, c, flat & held)
    return best_scaling(lambda kappa: gap_at(problem, coef, rho, kappa * theta, kappa * c), top)


def kkt_violations(problem, coef):
    """Distance of each gradient from the subdifferential, over rms(x_j) rms(y): scale-free."""
    coef = coef.astype(LONG)
    c = problem.A.T @ (problem.t - problem.A @ coef) - problem.b * coef
    upper_slope = np.where(coef < 0, -problem.a, problem.a)  # slope of a|w| to the right
    lower_slope = np.where(coef > 0, problem.a, -problem.a)
    above = np.where(coef >= problem.hi, 0, np.maximum(c - upper_slope, 0))
    below = np.where(coef <= problem.lo, 0, np.maximum(lower_slope - c, 0))
    unit = problem.column_norms * norm(problem.t)
    return np.maximum(above, below) / np.where(unit > 0, unit, 1)


@dataclass(frozen=True)
class Rounding:
    """What double precision can explain: amounts to add to a tolerance.

    A residual that is computed from double coefficients carries, entry by entry, a few units
    in the last place of |t_i| + sum_j |A_ij w_j|: that is `residual`, as a norm. It enters the
    objective times |rho|, and the gap also through sum_j w_j A_j'rho. The reported intercept is
    rounded by `intercept`; centred columns do not feel it, so it enters both squared only.
    """

    residual: np.longdouble
    intercept: np.longdouble
    objective: np.longdouble
    gap: np.longdouble
    kkt: np.longdouble


def rounding(problem, coef, intercept, units=24):
    # units: 16, and half as many again because products round, too, without fused multiply-add
    signed = coef.astype(LONG)
    coef = np.abs(signed)
    unit = units * DOUBLE_EPS
    residual = unit * norm(np.abs(problem.t) + np.abs(problem.A) @ coef)
    residual += 2 * DOUBLE_EPS * problem.subtraction
    mean = unit * (abs(LONG(intercept)) + abs(problem.y_mean) + np.abs(problem.x_mean) @ coef)
    rho = norm(problem.t - problem.A @ signed)
    fitted = problem.column_norms @ coef
    tiny = 64 * LONG(np.finfo(np.float64).smallest_subnormal)
    flat = residual**2 + mean**2 + tiny
    return Rounding(
        residual=residual,
        intercept=mean,
        objective=residual * rho + flat,
        gap=residual * (rho + fitted) + flat,
        kkt=residual / norm(problem.t)
        if norm(problem.t) > 0
        else residual * problem.column_norms.max(initial=LONG(0)),
    )


def check(result, X, y, *, alpha, reference=None, converged=True, tol=1e-8, **model):
    """Assert that every claim of a result holds.

    `reference` maps a `Problem` to an exact (coef, intercept); with it, `certified_zero` and the
    prediction error bound are held against the true solution. `tol` is what the solver was asked.
    """
    y = np.asarray(y)
    several = y.ndim == 2
    weight = model.get("sample_weight")
    for k in range(y.shape[1] if several else 1):
        own = dict(model)
        if several and np.ndim(model.get("offset")) == 2:
            own["offset"] = np.asarray(model["offset"])[:, k]
        problem = make_problem(X, y[:, k] if several else y, alpha, **own)
        claims = _Claims(result, k if several else None)
        _check_response(claims, problem, reference, tol if converged else None)
    total = np.shape(y)[0] if weight is None else np.sum(np.asarray(weight, float))
    smallest = 8 * total * np.finfo(float).smallest_subnormal
    np.testing.assert_allclose(
        result.prediction_error_bound,
        2 * total * np.asarray(result.duality_gap),
        rtol=1e-9,
        atol=smallest,
        err_msg="prediction_error_bound is not 2 sum(s) duality_gap",
    )
    assert result.converged == (result.status > 0)
    if converged:
        assert result.converged, result.message


class _Claims:
    """The fields of a result for one response, as scalars and vectors."""

    def __init__(self, result, index):
        self._result, self._index = result, index

    def __getattr__(self, name):
        value = getattr(self._result, name)
        return value if self._index is None else value[self._index]


def _check_response(claims, problem, reference, tol):
    coef, intercept = claims.coef, claims.intercept
    assert np.all(np.isfinite(coef)), "coef is not finite"
    assert np.isfinite(intercept), "intercept is not finite"
    allowed = rounding(problem, coef, intercept)
    _check_feasible(problem, coef, intercept, allowed)
    _close("objective", claims.objective, objective(problem, coef, intercept), allowed.objective)
    null = null_objective(problem)
    nothing = np.clip(np.zeros(len(coef)), problem.lo, problem.hi).astype(float)
    _close(
        "null_objective",
        claims.null_objective,
        null,
        rounding(problem, nothing, float(problem.y_mean)).objective,
    )
    true_gap = duality_gap(problem, coef, intercept, enough=claims.duality_gap)
    assert np.isfinite(claims.duality_gap), "duality_gap is not finite"
    assert claims.duality_gap >= 0, "duality_gap is negative"
    limit = LONG(claims.duality_gap) * (1 + LONG(1e-6)) + allowed.gap
    if true_gap > limit:  # the solver may know a better dual point
        from reference_solution import suboptimality

        true_gap = min(true_gap, suboptimality(problem, coef, intercept))
    assert true_gap <= limit, (
        f"duality_gap claims {claims.duality_gap:.3e}, true is {float(true_gap):.3e}, "
        f"rounding explains {float(allowed.gap):.1e}"
    )
    if tol is not None:
        assert claims.duality_gap <= claims.tolerance, "converged with a gap above the tolerance"
        _close("tolerance", claims.tolerance, tol * null, tol * allowed.objective)
    violation = kkt_violations(problem, coef).max(initial=LONG(0))
    _close("kkt_violation", claims.kkt_violation, violation, allowed.kkt, relative=1e-6)
    assert claims.n_active == np.count_nonzero(coef), "n_active"
    if reference is not None:
        _check_against(reference(problem), claims, problem, allowed)


def _check_feasible(problem, coef, intercept, allowed):
    assert np.all(coef >= problem.lo), "a coefficient is below its bound"
    assert np.all(coef <= problem.hi), "a coefficient is above its bound"
    blind = ~problem.A.any(axis=0) & (problem.fit_intercept | ~problem.x_mean.any())
    nearest = np.clip(np.zeros(len(coef), LONG), problem.lo, problem.hi)
    assert np.all(coef[blind] == nearest[blind]), "a constant column has a coefficient"
    if problem.fit_intercept:
        off = intercept_error(problem, coef, intercept)
        assert abs(off) <= allowed.intercept + allowed.residual, f"intercept is off by {off:.1e}"
    else:
        assert intercept == 0, "an intercept was fitted"


def _check_against(truth, claims, problem, allowed):
    """Hold the claims about the optimum against an exact solution."""
    coef, intercept = truth
    wrong = np.asarray(claims.certified_zero) & (
        np.abs(coef) * problem.column_norms > 1e-12 * norm(problem.t)
    )
    assert not wrong.any(), f"certified_zero, but not zero: {np.flatnonzero(wrong)}"
    shift = intercept_error(problem, claims.coef, claims.intercept)
    difference = norm(problem.A @ (claims.coef - coef)) ** 2 + shift**2
    bound = claims.prediction_error_bound + 2 * problem.weight_sum * allowed.gap
    assert difference * problem.weight_sum <= bound * (1 + LONG(1e-6)), (
        f"prediction error {float(difference * problem.weight_sum):.3e} is above its bound"
    )
    below = objective(problem, claims.coef, claims.intercept) - objective(problem, coef, intercept)
    assert below >= -allowed.objective, "the reference solution is not optimal"


def _close(name, claimed, true, slack, relative=1e-9):
    assert abs(LONG(claimed) - true) <= relative * abs(true) + slack, (
        f"{name} claims {claimed!r}, true is {float(true)!r}, rounding explains {float(slack):.1e}"
    )
