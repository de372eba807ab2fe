"""The judge judged: the oracle agrees with other libraries and rejects wrong answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle
import pytest
import scipy.optimize
from oracle import check
from problems import fake_result, regression
from reference_solution import solution

sklearn_linear_model = pytest.importorskip("sklearn.linear_model")


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), [(30, 5), (8, 12), (10, 10)])
@pytest.mark.parametrize("alpha", [1e-3, 0.1, 1.0])
def test_solution_is_scikit_learns_lasso_and_elastic_net(n, p, alpha, fit_intercept):
    X, y = regression(n, p, seed=n + p)
    for l1_ratio in (1.0, 0.5):
        problem = oracle.make_problem(X, y, alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
        coef, intercept = solution(problem)
        peer = sklearn_linear_model.ElasticNet(
            alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-15, max_iter=10**6
        ).fit(X, y)
        ours = oracle.objective(problem, coef, intercept)
        theirs = oracle.objective(problem, peer.coef_, peer.intercept_)
        assert ours <= theirs * (1 + 1e-15)
        np.testing.assert_allclose(np.double(ours), np.double(theirs), rtol=1e-12)
        np.testing.assert_allclose(peer.coef_, coef.astype(float), atol=1e-6)
        # The oracle's gap is an upper bound on the suboptimality of the peer's answer.
        assert theirs - ours <= oracle.duality_gap(problem, peer.coef_, peer.intercept_) + 1e-17


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), [(30, 5), (8, 12)])
def test_solution_is_scikit_learns_ridge(n, p, fit_intercept):
    X, y = regression(n, p, seed=n)
    weight = np.linspace(0.5, 2, n)
    problem = oracle.make_problem(
        X, y, 0.1, l1_ratio=0, fit_intercept=fit_intercept, sample_weight=weight
    )
    coef, intercept = solution(problem)
    peer = sklearn_linear_model.Ridge(alpha=0.1 * weight.sum(), fit_intercept=fit_intercept).fit(
        X, y, sample_weight=weight
    )
    np.testing.assert_allclose(coef.astype(float), peer.coef_, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(float(intercept), peer.intercept_, rtol=1e-10, atol=1e-12)


def minimise_with_scipy(problem):
    """L-BFGS-B on w = u - v with u, v >= 0: smooth, and bounds stay bounds."""
    A, t, a, b, lo, hi = (
        np.asarray(v, float)
        for v in (problem.A, problem.t, problem.a, problem.b, problem.lo, problem.hi)
    )
    p = len(a)

    def value(uv):
        w = uv[:p] - uv[p:]
        rho = t - A @ w
        slope = -A.T @ rho + b * w
        return (
            rho @ rho / 2 + a @ (uv[:p] + uv[p:]) + b @ w**2 / 2,
            np.concatenate([slope + a, a - slope]),
        )

    bounds = [
        *zip(np.maximum(lo, 0), np.maximum(hi, 0), strict=True),
        *zip(np.maximum(-hi, 0), np.maximum(-lo, 0), strict=True),
    ]
    found = scipy.optimize.minimize(
        value,
        np.zeros(2 * p),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 20000, "maxfun": 40000, "maxcor": 30},
    )
    return found.x[:p] - found.x[p:]


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    "model",
    [
        {"positive": True},
        {"lower": -0.1, "upper": 0.2},
        {"lower": np.linspace(-1, 0, 6)},
        {"penalty_factor": [0, 1, np.inf, 0.5, 2, 0]},
        {"penalty_factor": [0, 1, np.inf, 0.5, 2, 0], "upper": 0.5},
        {"sample_weight": np.arange(20) % 4, "offset": np.linspace(-1, 3, 20)},
    ],
    ids="+".join,
)
def test_solution_is_scipys(model, standardize, l1_ratio):
    X, y = regression(20, 6, seed=3)
    X = X * np.array([1, 5, 0.3, 1, 2, 1])
    problem = oracle.make_problem(X, y, 0.15, l1_ratio=l1_ratio, standardize=standardize, **model)
    coef, intercept = solution(problem)
    theirs = minimise_with_scipy(problem)
    best = oracle.objective(problem, coef, intercept)
    found = oracle.objective(problem, theirs, problem.y_mean - problem.x_mean @ theirs)
    assert best <= found * (1 + 1e-14)
    np.testing.assert_allclose(float(found), float(best), rtol=1e-8)
    np.testing.assert_allclose(theirs, coef.astype(float), atol=2e-4)


MODELS = {
    "lasso": {"alpha": 0.1},
    "elastic net": {"alpha": 0.1, "l1_ratio": 0.4},
    "ridge": {"alpha": 0.1, "l1_ratio": 0.0},
    "least squares": {"alpha": 0.0},
    "positive": {"alpha": 0.05, "positive": True},
    "factors": {"alpha": 0.1, "penalty_factor": [0, 1, np.inf, 0.5, 2, 1]},
    "bounds": {"alpha": 0.05, "lower": -0.2, "upper": 0.3},
    "bounded least squares": {"alpha": 0.0, "lower": -0.2, "upper": 0.3},
    "non-negative least squares": {"alpha": 0.0, "positive": True},
    "no intercept": {"alpha": 0.1, "fit_intercept": False},
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_perturbed_coefficients_are_rejected(model):
    """Any perturbation shows in the gap, by at least what it costs in the objective."""
    X, y = regression(20, 6, seed=4)
    problem = oracle.make_problem(X, y, **model)
    coef, intercept = solution(problem)
    best = oracle.objective(problem, coef, intercept)
    assert oracle.duality_gap(problem, coef, intercept) <= 1e-16 * oracle.null_objective(problem)
    assert oracle.kkt_violations(problem, coef).max() < 1e-14
    for j in range(6):
        for step in (1e-3, -1e-3, 0.1):
            wrong = coef.copy()
            wrong[j] = np.clip(wrong[j] + step, problem.lo[j], problem.hi[j])
            if wrong[j] == coef[j]:
                continue
            wrong_intercept = problem.y_mean - problem.x_mean @ wrong
            if not problem.fit_intercept:
                wrong_intercept = 0.0
            gap = oracle.duality_gap(problem, wrong, wrong_intercept)
            excess = oracle.objective(problem, wrong, wrong_intercept) - best
            assert gap >= excess - 1e-16
            assert excess > 1e-9
            assert oracle.kkt_violations(problem, wrong).max() > 1e-6
    if problem.fit_intercept:
        gap = oracle.duality_gap(problem, coef, intercept + 0.01)
        assert gap == pytest.approx(0.01**2 / 2, rel=1e-6)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_true_result_passes(model):
    X, y = regression(20, 6, seed=5)
    check(fake_result(X, y, **model), X, y, **model)


def corruptions():
    def nudge(coef):
        coef = coef.copy()
        coef[np.flatnonzero(coef)[0]] *= 1.001
        return coef

    return {
        "coef": lambda r: {"coef": nudge(r.coef)},
        "nan": lambda r: {"coef": r.coef * np.nan},
        "intercept": lambda r: {"intercept": r.intercept + 1e-6},
        "objective": lambda r: {"objective": r.objective * (1 + 1e-8)},
        "null objective": lambda r: {"null_objective": r.null_objective * (1 + 1e-8)},
        "negative gap": lambda r: {"duality_gap": -1e-20},
        "gap above tolerance": lambda r: {"duality_gap": 2 * r.tolerance},
        "tolerance": lambda r: {"tolerance": r.tolerance * 10},
        "kkt": lambda r: {"kkt_violation": r.kkt_violation + 1e-6},
        "active": lambda r: {"n_active": r.n_active + 1},
        "bound": lambda r: {"prediction_error_bound": r.prediction_error_bound / 2},
        "certified": lambda r: {"certified_zero": r.coef != 0},
        "status": lambda r: {"status": -1, "converged": False},
    }


@pytest.mark.parametrize("name", corruptions())
def test_a_false_claim_is_rejected(name):
    X, y = regression(20, 6, seed=5)
    result = fake_result(X, y, alpha=0.1)
    check(result, X, y, alpha=0.1)
    with pytest.raises(AssertionError):
        check(replace(result, **corruptions()[name](result)), X, y, alpha=0.1, reference=solution)


def test_a_gap_smaller_than_the_truth_is_rejected():
    X, y = regression(20, 6, seed=5)
    result = fake_result(X, y, alpha=0.1, error=3e-5)
    problem = oracle.make_problem(X, y, 0.1)
    true_gap = float(oracle.duality_gap(problem, result.coef, result.intercept))
    assert result.duality_gap == pytest.approx(true_gap)
    check(result, X, y, alpha=0.1, reference=solution)
    bound = 2 * 20 * 0.9 * true_gap
    with pytest.raises(AssertionError, match="gap"):
        check(
            replace(result, duality_gap=0.9 * true_gap, prediction_error_bound=bound),
            X,
            y,
            alpha=0.1,
        )


def test_bounds_and_exclusions_are_checked():
    X, y = regression(20, 6, seed=5)
    result = fake_result(X, y, alpha=0.1)
    assert result.coef[0] < 0
    for model in ({"lower": 0.0}, {"penalty_factor": [np.inf, 1, 1, 1, 1, 1]}):
        with pytest.raises(AssertionError):
            check(result, X, y, alpha=0.1, **model)


def test_the_gap_keeps_its_digits_at_any_scale():
    """Rescaled data rescale the gap, from 1e-150 to 1e150."""
    X, y = regression(20, 6, seed=6)
    problem = oracle.make_problem(X, y, 0.1)
    coef = solution(problem)[0].astype(float) * (1 + 1e-5)
    expected = oracle.duality_gap(problem, coef, float(problem.y_mean - problem.x_mean @ coef))
    for power in (-150, -75, 75, 150):
        big = oracle.make_problem(X, y * 10.0**power, 0.1 * 10.0**power)
        scaled = coef.astype(oracle.LONG) * oracle.LONG(10) ** power
        gap = oracle.duality_gap(big, scaled, big.y_mean - big.x_mean @ scaled)
        assert float(gap / oracle.LONG(10) ** (2 * power)) == pytest.approx(float(expected), 1e-6)
