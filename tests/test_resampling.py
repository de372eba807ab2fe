"""One X and y with many weights: judged problem by problem, whatever the rows that are drawn."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from standard_form import make_problem

import fastreg
from fastreg import ProblemStatus, _core, solve_many
from fastreg import resampling as module

N, P, B = 600, 40, 64
RNG = np.random.default_rng(3)
X = RNG.standard_normal((N, P)) + 0.5
Y = X[:, :3].sum(axis=1) - 1.5 + RNG.standard_normal(N)
BOOTSTRAPS = RNG.multinomial(N, np.full(N, 1 / N), size=B).astype(float)
NAMES = ("coef", "intercept", "status", "objective", "null_objective", "duality_gap", "tolerance",
         "kkt_violation", "n_active")  # fmt: skip


@pytest.fixture
def few(monkeypatch):
    """The features that each call has tried alone, or None."""
    told = []

    def tell(*arguments, **model):
        told.append(likely_features(*arguments, **model))
        return told[-1]

    likely_features = module.likely_features
    monkeypatch.setattr("fastreg.many.likely_features", tell)
    return told


def check(result, X, y, alpha, weights, **model):
    for b, weight in enumerate(weights):
        found = SimpleNamespace(**{name: getattr(result, name)[b] for name in NAMES})
        assert found.status == ProblemStatus.CONVERGED
        problem = make_problem(X, y, alpha, sample_weight=weight, **model)
        oracle._check_response(found, problem, None, 1e-8)


@pytest.mark.parametrize("level", fastreg._core.kernels.levels())
@pytest.mark.parametrize("intercept", [True, False])
def test_few_features_at_every_level(few, level, intercept):
    before = _core.kernels.level()
    Z = X - 0.5
    _core.kernels.use(level)
    try:
        model = {"fit_intercept": intercept, "l1_ratio": 0.9}
        result = solve_many(Z, Y, 0.4, sample_weight=BOOTSTRAPS, **model)
        path = solve_many(Z, Y, [[0.5, 0.4]], sample_weight=BOOTSTRAPS, **model)
    finally:
        _core.kernels.use(before)
    assert 3 <= len(few[0]) < P / 2
    assert few[1] is None
    check(result, Z, Y, 0.4, BOOTSTRAPS, **model)
    np.testing.assert_allclose(result.coef, path.coef[:, 1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-12])
def test_tolerances(few, tol):
    result = solve_many(X, Y, 0.4, sample_weight=BOOTSTRAPS, tol=tol)
    assert few[0] is not None
    np.testing.assert_allclose(result.tolerance, tol * result.null_objective)
    assert (result.duality_gap <= result.tolerance).all()
    # which is far less than was asked for, and what the oracle knows
    check(replace(result, tolerance=1e-8 * result.null_objective), X, Y, 0.4, BOOTSTRAPS)


@pytest.mark.parametrize("intercept", [True, False])
def test_each_problem_has_its_own_y_and_weights(intercept):
    y = np.stack([Y + RNG.standard_normal(N) for _ in range(6)]) + 1e3 * intercept
    y[4] = 2.5
    weights = BOOTSTRAPS[:6]
    for p in (14, 15, 16, 40):  # y and the ones in front of, across and behind a panel's border
        result = solve_many(X[:, :p], y.T, 0.2, sample_weight=weights, fit_intercept=intercept)
        for b in range(6):
            found = SimpleNamespace(**{name: getattr(result, name)[b] for name in NAMES})
            model = {"sample_weight": weights[b], "fit_intercept": intercept}
            problem = make_problem(X[:, :p], y[b], 0.2, **model)
            oracle._check_response(found, problem, None, 1e-8)


def test_factors(few):
    factor = np.ones(P)
    factor[[5, 6, 7]] = 0.0, np.inf, 3.0
    result = solve_many(X, Y, 0.4, sample_weight=BOOTSTRAPS, penalty_factor=factor)
    assert 5 in few[0]
    assert 6 not in few[0]
    check(result, X, Y, 0.4, BOOTSTRAPS, penalty_factor=factor)


def test_problems_that_need_other_features_than_most(few):
    """Those that the choice does not look at have rows of their own, where others matter."""
    y = np.where(np.arange(N) < N // 2, Y, X[:, 30:33].sum(axis=1))
    weights = BOOTSTRAPS * (np.arange(N) < N // 2)
    weights[1::2] = BOOTSTRAPS[1::2] * (np.arange(N) >= N // 2)
    result = solve_many(X, y, 0.4, sample_weight=weights)
    assert not {30, 31, 32} & set(few[0])
    assert (result.coef[1::2, 30:33] > 0).all()
    check(result, X, y, 0.4, weights)


def test_columns_that_vary_in_some_draws_only(few):
    rare = X.copy()
    rare[:, 4] = np.arange(N) == 7
    rare[:, 5] = 3.0
    rare[:, 6] = 1e8 + np.arange(N) % 2
    result = solve_many(rare, Y, 0.3, sample_weight=BOOTSTRAPS)
    check(result, rare, Y, 0.3, BOOTSTRAPS)
    small = solve_many(rare[:, :8], Y, 0.01, sample_weight=BOOTSTRAPS)
    assert few[1] is None
    check(small, rare[:, :8], Y, 0.01, BOOTSTRAPS)
    without = BOOTSTRAPS[:, 7] == 0
    assert without.any()
    assert (small.coef[without, 4] == 0).all()


def test_draws_far_from_the_mean_of_the_table():
    """Groups of rows with other means, from which digits would be lost."""
    far = X + 1e6 * (np.arange(N) % 4)[:, None]
    y = Y - 1e5 * (np.arange(N) % 4)
    weights = np.stack([np.arange(N) % 4 == k for k in range(4)]).astype(float)
    result = solve_many(far, y, 0.2, sample_weight=weights)
    for k in range(4):
        rows = np.arange(N) % 4 == k
        alone = fastreg.solve(far[rows], y[rows], 0.2, tol=1e-12)
        np.testing.assert_allclose(result.coef[k], alone.coef, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("unit", [1e-40, 1e-3, 1e40])
def test_units_of_the_weights(unit):
    one = solve_many(X, Y, 0.4, sample_weight=BOOTSTRAPS)
    other = solve_many(X, Y, 0.4, sample_weight=unit * BOOTSTRAPS)
    np.testing.assert_allclose(other.coef, one.coef, rtol=1e-9, atol=1e-12)


def test_a_problem_without_weight_harms_no_other():
    weights = BOOTSTRAPS.copy()
    weights[5] = 0.0
    result = solve_many(X, Y, 0.4, sample_weight=weights)
    assert result.status[5] == ProblemStatus.NO_WEIGHT
    assert np.isnan(result.coef[5]).all()
    assert (np.delete(result.status, 5) == ProblemStatus.CONVERGED).all()


def test_the_same_bits_for_any_number_of_threads(few):
    one = solve_many(X, Y, 0.4, sample_weight=BOOTSTRAPS)
    other = solve_many(X, Y, 0.4, sample_weight=BOOTSTRAPS, n_threads=3)
    assert few[0] is not None
    for name in NAMES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
