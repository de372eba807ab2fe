"""`solve_path`, `alpha_grid` and `alpha_max`, judged point by point by the oracle."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import penalty_arguments, regression, row_weights

import fastreg

MODELS = {
    "lasso": {},
    "elastic net": {"l1_ratio": 0.5},
    "weights": {"sample_weight": row_weights(20)},
    "no intercept": {"fit_intercept": False},
    "standardize": {"standardize": True},
    "positive": {"positive": True},
    "bounds": {"lower": -0.4, "upper": 0.3},
    "factors": {"penalty_factor": penalty_arguments(8)["factors"]["penalty_factor"]},
    "offset": {"offset": np.linspace(-2, 2, 20)},
    "everything": {
        "l1_ratio": 0.7,
        "sample_weight": row_weights(20),
        "standardize": True,
        "upper": 0.4,
        "penalty_factor": penalty_arguments(8)["factors"]["penalty_factor"],
        "offset": np.linspace(-2, 2, 20),
    },
}


def penalised_are_zero(result, model):
    factor = np.broadcast_to(model.get("penalty_factor", 1.0), result.coef.shape)
    return not np.any(result.coef[factor > 0])


@pytest.mark.parametrize("storage", [np.array, scipy.sparse.csc_array], ids=["dense", "CSC"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_point_is_proven(model, storage):
    X, y = regression(20, 8, seed=1)
    path = fastreg.solve_path(storage(X), y, n_alphas=12, eps=1e-3, **model)
    assert len(path) == 12
    assert np.all(np.diff(path.alphas) < 0)
    for alpha, result in zip(path.alphas, path, strict=True):
        assert result.alpha == alpha
        oracle.check(result, X, y, alpha=alpha, **model)
    assert penalised_are_zero(path[0], model)


@pytest.mark.parametrize(("n", "p"), [(15, 40), (40, 15), (20, 20)])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.8])
@pytest.mark.parametrize("method", ["auto", "working_set", "gram"])
def test_deep_paths(n, p, l1_ratio, method):
    """Down to almost no penalty, where the support reaches the rank."""
    X, y = regression(n, p, seed=n)
    path = fastreg.solve_path(X, y, n_alphas=25, eps=1e-5, l1_ratio=l1_ratio, method=method)
    for alpha, result in zip(path.alphas, path, strict=True):
        oracle.check(result, X, y, alpha=alpha, l1_ratio=l1_ratio)
        if l1_ratio == 1.0:
            assert result.n_active <= n - 1


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_path_and_single_solves_agree(model):
    X, y = regression(20, 8, seed=2)
    alphas = [0.3, 0.1, 0.02]
    path = fastreg.solve_path(X, y, alphas=alphas, **model)
    for k, alpha in enumerate(alphas):
        single = fastreg.solve(X, y, alpha=alpha, **model)
        slack = 2 * single.tolerance
        assert abs(path.objective[k] - single.objective) <= slack
        weight = model.get("sample_weight", np.ones(20))
        apart = np.sum(weight * (path[k].predict(X) - single.predict(X)) ** 2)
        bound = path.prediction_error_bound[k] + single.prediction_error_bound
        assert apart <= 2 * bound + 1e-12


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_ridge_as_a_path(l1_ratio):
    X, y = regression(20, 8, seed=3)
    path = fastreg.solve_path(X, y, alphas=[10.0, 0.1, 1e-4], l1_ratio=l1_ratio)
    for alpha, result in zip(path.alphas, path, strict=True):
        oracle.check(result, X, y, alpha=alpha, l1_ratio=l1_ratio)


def test_alphas_are_sorted():
    X, y = regression(20, 5, seed=4)
    given = [0.01, 0.5, 0.0, 0.1, 0.1]
    path = fastreg.solve_path(X, y, alphas=given)
    np.testing.assert_array_equal(path.alphas, [0.5, 0.1, 0.1, 0.01, 0.0])
    assert given == [0.01, 0.5, 0.0, 0.1, 0.1]
    np.testing.assert_array_equal(path.coef[1], path.coef[2])
    for alpha, result in zip(path.alphas, path, strict=True):
        oracle.check(result, X, y, alpha=alpha)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_alpha_max_is_the_smallest_that_gives_zero(model):
    X, y = regression(20, 8, seed=5)
    top = fastreg.alpha_max(X, y, **model)
    assert isinstance(top, float)
    assert top > 0
    above = fastreg.solve(X, y, alpha=top * (1 + 1e-9), tol=1e-14, **model)
    assert penalised_are_zero(above, model)
    below = fastreg.solve(X, y, alpha=top * 0.99, tol=1e-14, **model)
    assert not penalised_are_zero(below, model)
    # The same by the oracle: no violation at 0 just above, one just below.
    problem_above, problem_below = (
        oracle.make_problem(X, y, top * factor, **model) for factor in (1 + 1e-9, 0.999)
    )
    assert oracle.kkt_violations(problem_above, above.coef).max() < 1e-12
    assert oracle.kkt_violations(problem_below, above.coef).max() > 1e-5


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_grid(model):
    X, y = regression(20, 8, seed=6)
    grid = fastreg.alpha_grid(X, y, n_alphas=30, eps=1e-2, **model)
    top = fastreg.alpha_max(X, y, **model)
    np.testing.assert_allclose(grid, np.geomspace(top, 1e-2 * top, 30), rtol=1e-12)
    assert grid[0] == top
    path = fastreg.solve_path(X, y, n_alphas=30, eps=1e-2, **model)
    np.testing.assert_allclose(path.alphas, grid, rtol=1e-12)


def test_default_grid_and_single_alpha():
    X, y = regression(20, 4, seed=6)
    grid = fastreg.alpha_grid(X, y)
    assert grid.shape == (100,)
    assert grid[-1] / grid[0] == pytest.approx(1e-3)
    np.testing.assert_array_equal(fastreg.alpha_grid(X, y, n_alphas=1), grid[:1])


def test_the_grid_of_ridge():
    """No finite alpha makes ridge coefficients zero; the grid begins as that of a little L1."""
    X, y = regression(20, 4, seed=6)
    assert fastreg.alpha_max(X, y, l1_ratio=0.0) == np.inf
    grid = fastreg.alpha_grid(X, y, l1_ratio=0.0, n_alphas=5)
    assert grid[0] == fastreg.alpha_grid(X, y, l1_ratio=1e-3, n_alphas=5)[0]
    np.testing.assert_allclose(grid[1:] / grid[:-1], 1e-6**0.25, rtol=1e-12)
    path = fastreg.solve_path(X, y, l1_ratio=0.0, n_alphas=5)
    np.testing.assert_allclose(path.alphas, grid, rtol=1e-14)
    for alpha, result in zip(path.alphas, path, strict=True):
        oracle.check(result, X, y, alpha=alpha, l1_ratio=0.0)


def test_several_responses():
    X, _ = regression(20, 6, seed=7)
    Y = np.random.default_rng(2).standard_normal((20, 3)) * [1, 5, 0.2]
    tops = fastreg.alpha_max(X, Y)
    np.testing.assert_allclose(tops, [fastreg.alpha_max(X, y) for y in Y.T], rtol=1e-12)
    grid = fastreg.alpha_grid(X, Y, n_alphas=5)
    assert grid[0] == pytest.approx(tops.max())
    path = fastreg.solve_path(X, Y, n_alphas=5)
    assert path.coef.shape == (5, 3, 6)
    assert path.intercept.shape == (5, 3)
    assert path.certified_zero.shape == (5, 3, 6)
    assert path.predict(X).shape == (20, 5, 3)
    for alpha, result in zip(path.alphas, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha)


@pytest.mark.parametrize("storage", [np.array, scipy.sparse.csr_array], ids=["dense", "CSR"])
def test_sparse_coef(storage):
    X, y = regression(20, 30, seed=8)
    given = storage(X)
    full = fastreg.solve_path(given, y, n_alphas=10)
    thin = fastreg.solve_path(given, y, n_alphas=10, sparse_coef=True)
    assert isinstance(thin.coef, scipy.sparse.csr_array)
    assert thin.coef.shape == (10, 30)
    assert thin.coef.nnz == np.count_nonzero(full.coef)
    np.testing.assert_array_equal(thin.coef.toarray(), full.coef)
    np.testing.assert_allclose(thin.predict(given), full.predict(given), rtol=1e-12)
    np.testing.assert_array_equal(thin[3].coef, full.coef[3])
    for alpha, result in zip(thin.alphas, thin, strict=True):
        oracle.check(result, X, y, alpha=alpha)
    Y = np.column_stack([y, -y])
    both = fastreg.solve_path(given, Y, n_alphas=10, sparse_coef=True)
    assert isinstance(both.coef, tuple)
    assert len(both.coef) == 2
    np.testing.assert_allclose(both.coef[0].toarray(), -both.coef[1].toarray(), atol=1e-9)


def test_warm_start_of_a_path():
    X, y = regression(20, 30, seed=9)
    start = fastreg.solve(X, y, alpha=0.05)
    for warm in (start, start.coef):
        path = fastreg.solve_path(X, y, alphas=[0.04, 0.03], warm_start=warm)
        for alpha, result in zip(path.alphas, path, strict=True):
            oracle.check(result, X, y, alpha=alpha)


def test_certificates_exclude_features():
    """On a path with a wide margin most features are proven to be zero, and truly are."""
    X, y = regression(60, 40, seed=10, noise=0.05)
    path = fastreg.solve_path(X, y, n_alphas=8, eps=0.05)
    for alpha, result in zip(path.alphas[1:], list(path)[1:], strict=True):
        problem = oracle.make_problem(X, y, alpha)
        c = problem.A.T @ (problem.t - problem.A @ result.coef)
        radius = problem.column_norms * np.sqrt(2 * result.tolerance)
        must = np.abs(c) + 4 * radius < alpha  # a ball twice the theory's, at the largest gap
        assert must.any()
        assert np.all(result.certified_zero[must])
        assert not np.any(result.coef[result.certified_zero])


def test_the_work_is_shared_along_a_path():
    X, y = regression(100, 200, seed=11)
    path = fastreg.solve_path(X, y, n_alphas=50)
    alone = [fastreg.solve(X, y, alpha=alpha) for alpha in path.alphas]
    assert np.all(path.status == fastreg.Status.CONVERGED)
    assert 1 <= path.n_passes < sum(result.n_passes for result in alone) / 2


def autoregressive(n, p, rho, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    coef = np.zeros(p)
    coef[rng.choice(p, n // 5, replace=False)] = rng.standard_normal(n // 5)
    y = X @ coef
    return X, y + 0.5 * y.std() * rng.standard_normal(n)


@pytest.mark.parametrize("model", ["lasso", "elastic net", "weights", "no intercept", "bounds"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_correlations_by_the_gram_matrix_prove_a_wide_path(order, dtype, model):
    """Every coordinate of the working set is judged by it, many strengths after the last look."""
    X, y = autoregressive(60, 400, 0.9, seed=3)
    X = np.array(X, order=order, dtype=dtype)
    X[:, :20] += 1000  # what centring takes away is large
    settings = dict(MODELS[model])
    if "sample_weight" in settings:
        settings["sample_weight"] = row_weights(60)
    path = fastreg.solve_path(X, y, n_alphas=40, eps=0.02, **settings)
    for alpha, result in list(zip(path.alphas, path, strict=True))[::5]:
        oracle.check(result, X, y, alpha=alpha, **settings)


def test_a_large_working_set_of_rows_does_not_read_all_of_them_again():
    """Its columns are copied beyond a tenth of X, where the Gram matrix is larger than they."""
    X, y = autoregressive(100, 1000, 0.99, seed=0)
    passes = {
        order: fastreg.solve_path(np.array(X, order=order), y, n_alphas=100, eps=0.01).n_passes
        for order in "CF"
    }
    assert passes["C"] <= 2 * passes["F"]


@pytest.mark.parametrize(("model", "passes"), [("lasso", 6), ("weights", 6), ("positive", 9)])
def test_a_wide_path_reads_the_data_rarely(model, passes):
    """Between the last residual and a guess of a later one, the others hold few surprises."""
    X, y = regression(100, 2000, seed=12, noise=0.5)
    settings = dict(MODELS[model])
    if "sample_weight" in settings:
        settings["sample_weight"] = row_weights(100)
    path = fastreg.solve_path(np.asfortranarray(X), y, n_alphas=60, eps=0.02, **settings)
    assert path.n_passes <= passes
    for alpha, result in list(zip(path.alphas, path, strict=True))[::6]:
        oracle.check(result, X, y, alpha=alpha, **settings)


def test_the_same_bits_twice():
    X, y = regression(40, 60, seed=12)
    for given in (X, scipy.sparse.csc_array(X)):
        one, other = (fastreg.solve_path(given, y, n_alphas=20) for _ in range(2))
        np.testing.assert_array_equal(one.coef, other.coef)
        np.testing.assert_array_equal(one.duality_gap, other.duality_gap)


def test_nothing_to_explain():
    X, _ = regression(20, 5, seed=13)
    y = np.full(20, 3.0)
    assert fastreg.alpha_max(X, y) == 0.0
    path = fastreg.solve_path(X, y, alphas=[1.0, 0.1])
    assert not path.coef.any()
    np.testing.assert_array_equal(path.intercept, 3.0)
    assert np.all(path.status > 0)
