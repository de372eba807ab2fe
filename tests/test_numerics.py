"""Data on which careless arithmetic fails."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import regression
from reference_solution import solution

import fastreg

STORAGES = [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csc_array, scipy.sparse.csr_array]
STORAGE_IDS = ["C", "F", "CSC", "CSR"]
PENALTIES = {
    "lasso": {"alpha": 0.05},
    "elastic net": {"alpha": 0.05, "l1_ratio": 0.5},
    "ridge": {"alpha": 0.05, "l1_ratio": 0.0},
    "least squares": {"alpha": 0.0},
}
storages = pytest.mark.parametrize("storage", STORAGES, ids=STORAGE_IDS)
penalties = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)


def judged(given, X, y, *, reference=solution, **model):
    result = fastreg.solve(given, y, **model)
    oracle.check(result, X, y, reference=reference, **model)
    return result


def judged_path(given, X, y, *, depth=1e-4, **model):
    path = fastreg.solve_path(given, y, n_alphas=15, eps=depth, **model)
    for alpha, result in zip(path.alphas, path, strict=True):
        oracle.check(result, X, y, alpha=alpha, **model)
    return path


@storages
@pytest.mark.parametrize("positive", [False, True])
def test_duplicates_and_sign_twins(storage, positive):
    base, y = regression(15, 6, seed=1)
    X = np.column_stack([base, base, -base, base[:, :2], 2 * base[:, 2:3]])
    path = judged_path(storage(X), X, y, positive=positive)
    plain = fastreg.solve_path(base, y, alphas=path.alphas) if not positive else None
    if plain is not None and not np.any(plain.coef[:, 2]):
        np.testing.assert_allclose(path.objective, plain.objective, rtol=1e-6)
    for penalty in PENALTIES.values():
        judged(storage(X), X, y, positive=positive, **penalty)


def test_a_thousand_copies():
    base, y = regression(20, 3, seed=2)
    X = np.tile(base, (1, 340))
    path = judged_path(X, X, y)
    assert np.all(path.n_active <= 19)


@storages
@pytest.mark.parametrize("shape", [(12, 4), (6, 6)])
def test_collinear_columns(storage, shape):
    base, y = regression(*shape, seed=3)
    X = np.column_stack(
        [base, base[:, 0] + base[:, 1], base[:, 0] - 2 * base[:, 2], base.sum(axis=1)]
    )
    judged_path(storage(X), X, y)
    judged_path(storage(X), X, y, penalty_factor=np.r_[0, 0, np.ones(X.shape[1] - 4), 0, 0])
    for penalty in PENALTIES.values():
        judged(storage(X), X, y, **penalty)


@penalties
@storages
def test_constant_columns(storage, penalty):
    """With an intercept they have coefficient 0, whatever the rounding of their mean."""
    base, y = regression(11, 3, seed=4)
    X = np.column_stack([np.full(11, 0.1), base, np.zeros(11), np.full(11, -1e9 / 3)])
    weight = np.linspace(0.1, 1.3, 11)
    for model in (
        {},
        {"sample_weight": weight},
        {"standardize": True},
        {"penalty_factor": [0, 1, 1, 1, 0, 0]},
    ):
        result = judged(storage(X), X, y, **model, **penalty)
        np.testing.assert_array_equal(result.coef[[0, 4, 5]], 0.0)
        assert np.all(np.isfinite(result.coef))
    bounded = judged(storage(X), X, y, lower=0.25, upper=1.0, **penalty)
    np.testing.assert_array_equal(bounded.coef[[0, 4, 5]], 0.25)
    free = judged(storage(X[:, :5]), X[:, :5], y, fit_intercept=False, **penalty)
    assert free.coef[4] == 0
    only = X[:, [0, 4]]
    alone = judged(storage(only), only, y, **penalty)
    assert not alone.coef.any()
    assert alone.intercept == pytest.approx(y.mean())


@penalties
@storages
def test_columns_that_are_constant_where_the_weight_is(storage, penalty):
    X, y = regression(10, 3, seed=5)
    weight = np.where(np.arange(10) < 6, 1.7, 0.0)
    X = X.copy()
    X[:6, 1] = 0.3
    result = judged(storage(X), X, y, sample_weight=weight, **penalty)
    assert result.coef[1] == 0


@penalties
@storages
@pytest.mark.parametrize("mean", [1e3, 1e6, 1e8])
def test_columns_far_from_zero(storage, penalty, mean):
    """Unit variance, a huge mean: the coefficients of the centred columns, to many digits."""
    rng = np.random.default_rng(6)
    Z = np.round(rng.standard_normal((40, 4)) * 1024) / 1024  # so that Z + mean is exact
    y = Z @ [1.0, -0.5, 0.0, 0.02] + 0.1 * rng.standard_normal(40)
    X = Z + mean * np.array([1, -1, 1, 0])
    for weight in (None, rng.uniform(0.5, 2, 40)):
        result = judged(storage(X), X, y, sample_weight=weight, **penalty)
        centred, _ = solution(oracle.make_problem(Z, y, sample_weight=weight, **penalty))
        tight = fastreg.solve(storage(X), y, sample_weight=weight, tol=1e-13, **penalty)
        np.testing.assert_allclose(tight.coef, centred.astype(float), rtol=1e-9, atol=1e-10)
        assert result.kkt_violation < 1e-4
    judged_path(storage(X), X, y)


@storages
def test_columns_far_from_zero_in_float32(storage):
    rng = np.random.default_rng(7)
    X = (rng.standard_normal((60, 3)) + 4096).astype(np.float32)
    y = (X.astype(float) - 4096) @ [1.0, 0, -1] + 0.1 * rng.standard_normal(60)
    given = X if storage in STORAGES[:2] else storage(X)
    judged(given, X, y, alpha=0.05)
    judged(given, X, y, alpha=0.0)


@penalties
def test_a_response_far_from_zero(penalty):
    X, y = regression(30, 4, seed=8)
    far = y + 2.0**27
    near = fastreg.solve(X, y, tol=1e-13, **penalty)
    result = fastreg.solve(X, far, tol=1e-13, **penalty)
    judged(X, X, far, **penalty)
    np.testing.assert_allclose(result.coef, near.coef, rtol=1e-7, atol=1e-9)


@storages
@pytest.mark.parametrize("power", [-500, -250, 250, 498])
def test_scales_of_y(storage, power):
    """A power of two changes no digit (498: the objective is near 1e300)."""
    X, y = regression(20, 4, seed=9)
    for alpha, l1_ratio, unit in ((0.05, 1.0, 2.0**power), (0.05, 0.0, 1.0), (0.0, 1.0, 1.0)):
        small = fastreg.solve(storage(X), y, alpha=alpha, l1_ratio=l1_ratio)
        model = {"alpha": alpha * unit, "l1_ratio": l1_ratio}
        large = judged(storage(X), X, y * 2.0**power, reference=None, **model)
        np.testing.assert_allclose(large.coef / 2.0**power, small.coef, rtol=1e-12, atol=1e-14)
        assert large.objective / 2.0**power / 2.0**power == pytest.approx(small.objective)
    assert fastreg.alpha_max(storage(X), y * 2.0**power) / 2.0**power == pytest.approx(
        fastreg.alpha_max(storage(X), y)
    )


@storages
@pytest.mark.parametrize("power", [-498, -250, 250, 498])
def test_scales_of_columns(storage, power):
    X, y = regression(20, 4, seed=10)
    unit = 2.0**power
    for alpha, l1_ratio, factor in ((0.05, 1.0, unit), (0.05, 0.0, unit * unit), (0.0, 1.0, 1.0)):
        plain = fastreg.solve(storage(X), y, alpha=alpha, l1_ratio=l1_ratio)
        model = {"alpha": alpha * factor, "l1_ratio": l1_ratio}
        scaled = judged(storage(X * unit), X * unit, y, reference=None, **model)
        np.testing.assert_allclose(scaled.coef * unit, plain.coef, rtol=1e-12, atol=1e-14)
        assert scaled.objective == pytest.approx(plain.objective)
    standardized = {"alpha": 0.05, "standardize": True}
    plain = fastreg.solve(storage(X), y, **standardized)
    scaled = judged(storage(X * unit), X * unit, y, reference=None, **standardized)
    np.testing.assert_allclose(scaled.coef * unit, plain.coef, rtol=1e-12, atol=1e-14)


@storages
def test_scales_that_differ_wildly(storage):
    """Columns from 1e-150 to 1e150 side by side."""
    X, y = regression(25, 5, seed=11)
    unit = 10.0 ** np.array([-150.0, -75, 0, 75, 150])
    for fit_intercept in (True, False):
        model = {"fit_intercept": fit_intercept}
        for alpha, l1_ratio in ((0.05, 1.0), (0.05, 0.5), (0.05, 0.0), (0.0, 1.0)):
            own = {**model, "alpha": alpha, "l1_ratio": l1_ratio, "standardize": True}
            plain = fastreg.solve(storage(X), y, tol=1e-13, **own)
            judged(storage(X * unit), X * unit, y, reference=None, **own)
            scaled = fastreg.solve(storage(X * unit), y, tol=1e-13, **own)
            np.testing.assert_allclose(scaled.coef * unit, plain.coef, rtol=1e-7, atol=1e-9)
        lasso = {**model, "alpha": 0.05, "penalty_factor": unit}
        judged(storage(X * unit), X * unit, y, reference=None, **lasso)


def monomials(degree, low, high, n=60):
    x = np.linspace(low, high, n)
    return x, x[:, None] ** np.arange(1, degree + 1)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1), (-3, 5), (0, 20)])
@pytest.mark.parametrize("degree", [10, 15, 20])
def test_monomials(degree, low, high):
    x, X = monomials(degree, low, high)
    u = (x - low) / (high - low)
    y = np.cos(7 * u) + 0.3 * np.exp(-u) + 0.01 * np.random.default_rng(12).standard_normal(len(x))
    basis = np.polynomial.chebyshev.chebvander(2 * u - 1, degree)
    best = np.linalg.lstsq(basis, y, rcond=None)[0]
    floor = np.mean((y - basis @ best) ** 2) / 2
    least = judged(X, X, y, reference=None, alpha=0.0)
    # The terms of a prediction reach 3e7 and more, and the objective is measured on rounded ones.
    assert least.objective >= floor * (1 - (1e-9 if degree == 10 else 1e-6))
    if degree == 10:  # beyond it the last digits of the powers are seen in the fit
        assert least.objective <= floor * (1 + 1e-6)
    for model in (
        {"alpha": 1e-3, "standardize": True},
        {"alpha": 1e-7, "standardize": True},
        {"alpha": 1e-4, "l1_ratio": 0.5, "standardize": True},
    ):
        judged(X, X, y, reference=None, **model)
    judged_path(X, X, y, depth=1e-6, standardize=True)
    for alpha in (1e-2, 1e-6, 1e-10):
        ridge = {"alpha": alpha, "l1_ratio": 0.0, "standardize": True}
        judged(X, X, y, reference=None, **ridge)
        path = fastreg.ridge_path(X, y, [alpha], standardize=True)
        problem = oracle.make_problem(X, y, **ridge)
        gap = oracle.duality_gap(problem, path.coef[0], path.intercept[0])
        assert gap <= 1e-8 * oracle.null_objective(problem)


@pytest.mark.parametrize("method", ["auto", "working_set", "gram", "gradient"])
def test_strongly_correlated_columns(method):
    rng = np.random.default_rng(13)
    X = rng.standard_normal((30, 1)) + 1e-4 * rng.standard_normal((30, 12))
    y = X[:, 0] + 0.1 * rng.standard_normal(30)
    for alpha in (0.1, 1e-3, 1e-6):
        result = fastreg.solve(X, y, alpha=alpha, method=method)
        oracle.check(result, X, y, alpha=alpha, converged=method != "gradient")


@storages
@pytest.mark.parametrize("shape", [(12, 4), (6, 12), (8, 8)])
def test_interpolation(storage, shape):
    """No noise: the residual at the optimum is nothing but what the penalty leaves."""
    X, _ = regression(*shape, seed=14)
    y = X @ np.where(np.arange(shape[1]) < 3, 1.0, 0.0) + 2
    for alpha in (1e-3, 1e-7, 1e-11, 0.0):
        for l1_ratio in (1.0, 0.5, 0.0):
            judged(storage(X), X, y, reference=None, alpha=alpha, l1_ratio=l1_ratio)
    exact = fastreg.solve(storage(X), y, alpha=0.0)
    np.testing.assert_allclose(exact.predict(X), y, atol=1e-12)
    judged_path(storage(X), X, y, depth=1e-9)


@penalties
@storages
@pytest.mark.parametrize("value", [0.0, 0.1, -3e8])
def test_constant_responses(storage, penalty, value):
    X, _ = regression(13, 4, seed=15)
    y = np.full(13, value)
    result = judged(storage(X), X, y, reference=None, **penalty)
    unit = 1e-15 * abs(value)  # the rounding of the mean
    np.testing.assert_allclose(result.coef, 0, atol=10 * unit)
    assert abs(result.intercept - value) <= 10 * unit
    assert result.objective <= 100 * unit**2
    assert not np.isnan(result.relative_gap)
    offset = np.linspace(0, 1, 13)
    shifted = fastreg.solve(storage(X), y + offset, offset=offset, **penalty)
    assert shifted.converged
    np.testing.assert_allclose(shifted.coef, 0, atol=1e-6)
    through = fastreg.solve(storage(X), y * 0, fit_intercept=False, **penalty)
    assert not through.coef.any()
    assert through.converged


@penalties
@storages
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_row_that_counts(storage, penalty, fit_intercept):
    X, y = regression(9, 3, seed=16)
    weight = np.zeros(9)
    weight[4] = 0.7
    model = {"fit_intercept": fit_intercept, **penalty}
    result = judged(storage(X), X, y, sample_weight=weight, **model)
    alone = judged(storage(X[4:5]), X[4:5], y[4:5], **model)
    np.testing.assert_allclose(result.predict(X[4:5]), alone.predict(X[4:5]), atol=1e-3)
    if fit_intercept:
        assert not result.coef.any()
        assert result.intercept == pytest.approx(y[4])


@storages
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
def test_tiny_and_huge_alphas(storage, l1_ratio):
    X, y = regression(20, 5, seed=17)
    least = fastreg.solve(storage(X), y, alpha=0.0, tol=1e-13)
    for alpha in (1e-300, 1e-30, 1e-15):
        result = judged(storage(X), X, y, reference=None, alpha=alpha, l1_ratio=l1_ratio)
        np.testing.assert_allclose(result.coef, least.coef, atol=1e-3)
    for alpha in (1e6, 1e100, 1e300):
        result = judged(storage(X), X, y, reference=None, alpha=alpha, l1_ratio=l1_ratio)
        np.testing.assert_allclose(result.coef, 0, atol=1e-5)
        assert result.intercept == pytest.approx(y.mean(), abs=1e-5)
        if l1_ratio > 0:
            assert not result.coef.any()


@storages
def test_extreme_weights(storage):
    X, y = regression(20, 4, seed=18)
    rng = np.random.default_rng(19)
    for weight in (
        10.0 ** rng.uniform(-12, 0, 20),
        1e-200 * rng.uniform(1, 2, 20),
        1e200 * rng.uniform(1, 2, 20),
    ):
        for penalty in PENALTIES.values():
            judged(storage(X), X, y, reference=None, sample_weight=weight, **penalty)


@storages
def test_outlying_rows(storage):
    X, y = regression(20, 4, seed=20)
    X = X * np.where(np.arange(20) == 7, 1e7, 1.0)[:, None]
    y = y * np.where(np.arange(20) == 12, 1e6, 1.0)
    for penalty in PENALTIES.values():
        judged(storage(X), X, y, reference=None, **penalty)


@pytest.mark.parametrize("method", ["auto", "gram", "working_set", "cholesky", "svd", "krylov"])
def test_strengths_that_overflow_inside(method):
    """Of columns so unlike, a ridge part may exceed every double; others feel next to nothing."""
    X, y = regression(6, 5, seed=8)
    X = X * [1e140, 1e140, 1e-140, 1, 1]
    weight = [1, 0.5, 0.5, 0.5, 1, 1e-3]
    alpha = 1e139
    result = fastreg.solve(X, y, alpha, l1_ratio=0.0, method=method, sample_weight=weight)
    assert result.converged
    assert result.duality_gap <= result.tolerance
    assert alpha * result.coef[2] ** 2 < 1e-30
    plain = fastreg.solve(X[:, :2] * 1e-140, y, 0.0, sample_weight=weight)
    np.testing.assert_allclose(result.coef[:2] * 1e140, plain.coef, rtol=1e-5)


def test_tiny_columns_keep_their_penalty():
    X, y = regression(12, 4)
    unit = 2.0**-498
    result = fastreg.solve(X * unit, y * unit, 0.1 * unit**2, l1_ratio=0.0)
    plain = fastreg.solve(X, y, 0.1, l1_ratio=0.0)
    np.testing.assert_allclose(result.coef, plain.coef, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-162, 1e-200, 1e-290, 1e150])
def test_standardised_mixtures_do_not_depend_on_the_unit_of_a_column(unit):
    X, y = regression(40, 4, seed=11)
    usual = fastreg.solve(X, y, alpha=0.05, l1_ratio=0.4, standardize=True, tol=1e-12)
    other = fastreg.solve(unit * X, y, alpha=0.05, l1_ratio=0.4, standardize=True, tol=1e-12)
    np.testing.assert_allclose(other.coef * unit, usual.coef, rtol=1e-9)
    assert other.objective == pytest.approx(usual.objective, rel=1e-10)
