"""Ridge: closed forms against exact solutions, leave-one-out errors against leaving rows out."""

from __future__ import annotations

from fractions import Fraction

import nist
import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import regression, row_weights
from reference_solution import solution

import fastreg
from fastreg import ridge_grid, ridge_path

ALPHAS = np.array([100.0, 1.0, 0.03, 1e-4])
MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "weights": {"sample_weight": row_weights(14) + 0.25},
    "zero weights": {"sample_weight": row_weights(14)},
    "offset": {"offset": np.linspace(-3, 3, 14)},
    "factors": {"penalty_factor": [1.0, 2.0, 0.5, np.inf, 1.0]},
    "unpenalised": {"penalty_factor": [0.0, 2.0, 0.5, 1.0, 1.0]},
    "standardize": {"standardize": True},
    "everything": {
        "sample_weight": row_weights(14) + 0.25,
        "offset": np.linspace(-3, 3, 14),
        "penalty_factor": [0.0, 2.0, 0.5, np.inf, 1.0],
        "standardize": True,
    },
}
STORAGES = [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csc_array, scipy.sparse.csr_array]


def without_row(X, y, i, alpha, model):
    """The prediction error of row i by the fit without it, the total penalty kept."""
    weight = np.array(model.get("sample_weight", np.ones(len(y))), float)
    total = weight.sum()
    factor = np.array(model.get("penalty_factor", np.ones(X.shape[1])), float)
    if model.get("standardize"):
        mean = np.average(X, axis=0, weights=weight)
        factor = factor * np.average((X - mean) ** 2, axis=0, weights=weight)
    weight[i] = 0
    rest = {k: v for k, v in model.items() if k != "standardize"}
    problem = oracle.make_problem(
        X,
        y,
        alpha * total / weight.sum(),
        l1_ratio=0.0,
        **{**rest, "sample_weight": weight, "penalty_factor": factor},
    )
    coef, intercept = solution(problem)
    offset = model.get("offset", np.zeros(len(y)))[i]
    return float(y[i] - offset - intercept - X[i] @ coef)


@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_path_is_the_exact_solution(model, storage):
    X, y = regression(14, 5, seed=1)
    path = fastreg.ridge_path(storage(X), y, ALPHAS, **model)
    np.testing.assert_array_equal(np.sort(path.alphas), np.sort(ALPHAS))
    assert path.coef.shape == (4, 5)
    assert path.intercept.shape == (4,)
    for k, alpha in enumerate(path.alphas):
        problem = oracle.make_problem(X, y, alpha, l1_ratio=0.0, **model)
        coef, intercept = solution(problem)
        np.testing.assert_allclose(path.coef[k], coef.astype(float), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(path.intercept[k], float(intercept), rtol=1e-9, atol=1e-12)
        single = fastreg.solve(storage(X), y, alpha=alpha, l1_ratio=0.0, **model)
        oracle.check(single, X, y, alpha=alpha, l1_ratio=0.0, **model)


@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_leave_one_out_is_leaving_one_out(model, storage):
    X, y = regression(14, 5, seed=2)
    path = fastreg.ridge_path(storage(X), y, ALPHAS[:3], **model)
    assert path.loo_errors.shape == (3, 14)
    for k, alpha in enumerate(path.alphas):
        expected = [without_row(X, y, i, alpha, model) for i in range(14)]
        np.testing.assert_allclose(path.loo_errors[k], expected, rtol=1e-8, atol=1e-10)
    weight = model.get("sample_weight", np.ones(14))
    score = (path.loo_errors**2 @ weight) / weight.sum()
    np.testing.assert_allclose(path.loo_score, score, rtol=1e-12)


@pytest.mark.parametrize("shape", [(14, 5), (14, 20), (14, 14)], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
def test_without_leave_one_out(storage, shape):
    X, y = regression(*shape, seed=2)
    Y = np.column_stack([y, y**2])
    for target, model in ((y, {}), (y, {"standardize": True}), (Y, {})):
        path = fastreg.ridge_path(storage(X), target, ALPHAS[:3], **model)
        short = fastreg.ridge_path(storage(X), target, ALPHAS[:3], leave_one_out=False, **model)
        for name in ("alphas", "coef", "intercept", "duality_gap", "df"):
            np.testing.assert_array_equal(getattr(short, name), getattr(path, name))
        assert short.loo_errors is short.loo_score is short.gcv is None
        assert "leave-one-out" not in repr(short)
        assert "leave-one-out" in repr(path)


@pytest.mark.parametrize("shape", [(6, 12), (9, 9), (12, 3)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_shapes(shape, fit_intercept):
    """More features than rows: the smaller Gram matrix gives the same."""
    X, y = regression(*shape, seed=3)
    path = fastreg.ridge_path(X, y, [1.0, 0.01], fit_intercept=fit_intercept)
    model = {"fit_intercept": fit_intercept}
    for k, alpha in enumerate(path.alphas):
        coef, _ = solution(oracle.make_problem(X, y, alpha, l1_ratio=0.0, **model))
        np.testing.assert_allclose(path.coef[k], coef.astype(float), rtol=1e-8, atol=1e-11)
        expected = [without_row(X, y, i, alpha, model) for i in range(len(y))]
        np.testing.assert_allclose(path.loo_errors[k], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("alpha", [1e-4, 1e-9, 1e-13])
@pytest.mark.parametrize("model", ["plain", "no intercept", "zero weights", "unpenalised"])
def test_leave_one_out_where_the_fit_interpolates(model, alpha):
    """Residuals and what remains of the hat matrix vanish together; their ratio does not."""
    X, y = regression(14, 40, seed=7)
    model = dict(MODELS[model])
    if "penalty_factor" in model:
        model["penalty_factor"] = np.r_[model["penalty_factor"], np.ones(35)]
    path = fastreg.ridge_path(X, y, [alpha], **model)
    weight = model.get("sample_weight", np.ones(14))
    penalty = np.diag(np.sqrt(alpha * weight.sum() * model.get("penalty_factor", np.ones(40))))
    columns = np.column_stack([np.ones(14), X]) if model.get("fit_intercept", True) else X
    penalty = np.pad(penalty, ((0, 0), (columns.shape[1] - 40, 0)))
    for i in range(14):
        root = np.sqrt(np.where(np.arange(14) == i, 0, weight))
        stacked = np.vstack([root[:, None] * columns, penalty])
        coef = np.linalg.lstsq(stacked, np.r_[root * y, np.zeros(40)], rcond=1e-15)[0]
        assert path.loo_errors[0, i] == pytest.approx(y[i] - columns[i] @ coef, rel=1e-6, abs=1e-6)


def hat_matrix(X, alpha, *, fit_intercept):
    n = len(X)
    centred = X - X.mean(axis=0) if fit_intercept else X
    hat = centred @ np.linalg.solve(centred.T @ centred + n * alpha * np.eye(X.shape[1]), centred.T)
    return hat + (1 / n if fit_intercept else 0)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", [(14, 5), (8, 12)])
def test_degrees_of_freedom_and_gcv(shape, fit_intercept):
    X, y = regression(*shape, seed=4)
    path = fastreg.ridge_path(X, y, ALPHAS[:3], fit_intercept=fit_intercept)
    for k, alpha in enumerate(path.alphas):
        hat = hat_matrix(X, alpha, fit_intercept=fit_intercept)
        df = np.trace(hat)
        residual = y - hat @ y
        assert path.df[k] == pytest.approx(df, rel=1e-9)
        assert path.gcv[k] == pytest.approx(np.mean(residual**2) / (1 - df / len(y)) ** 2, rel=1e-8)
        np.testing.assert_allclose(path.loo_errors[k], residual / (1 - np.diag(hat)), rtol=1e-7)


def test_degrees_of_freedom_have_their_limits():
    X, y = regression(14, 5, seed=5)
    path = fastreg.ridge_path(X, y, [1e12, 1e-12])
    assert path.df[np.argmax(path.alphas)] == pytest.approx(1.0)
    assert path.df[np.argmin(path.alphas)] == pytest.approx(6.0)


def test_several_responses():
    X, y = regression(14, 5, seed=6)
    Y = np.column_stack([y, y**2, np.ones(14)])
    path = fastreg.ridge_path(X, Y, ALPHAS)
    assert path.coef.shape == (4, 3, 5)
    assert path.intercept.shape == path.loo_score.shape == path.gcv.shape == (4, 3)
    assert path.loo_errors.shape == (4, 14, 3)
    assert path.df.shape == (4,)
    for m in range(3):
        alone = fastreg.ridge_path(X, Y[:, m], ALPHAS)
        np.testing.assert_allclose(path.coef[:, m], alone.coef, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(path.loo_errors[:, :, m], alone.loo_errors, atol=1e-10)
        np.testing.assert_allclose(path.gcv[:, m], alone.gcv, atol=1e-10)


@pytest.mark.parametrize("method", ["auto", "cholesky", "svd", "krylov", "gram", "working_set"])
@pytest.mark.parametrize("shape", [(200, 12), (12, 200), (50, 50)])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "CSC"])
def test_methods_agree(method, shape, sparse):
    rng = np.random.default_rng(7)
    X = rng.standard_normal(shape) * (rng.random(shape) < 0.4)
    y = rng.standard_normal(shape[0])
    given = scipy.sparse.csc_array(X) if sparse else X
    if sparse and method == "svd":
        with pytest.raises(ValueError, match="method"):  # it would be dense
            fastreg.solve(given, y, l1_ratio=0.0, method=method)
        return
    for alpha in (1.0, 1e-3):
        result = fastreg.solve(given, y, alpha=alpha, l1_ratio=0.0, method=method, tol=1e-12)
        assert result.converged
        centred = X - X.mean(axis=0)
        truth = np.linalg.solve(
            centred.T @ centred + len(y) * alpha * np.eye(shape[1]), centred.T @ y
        )
        np.testing.assert_allclose(result.coef, truth, atol=1e-5)
        oracle.check(result, X, y, alpha=alpha, l1_ratio=0.0, converged=False)


@pytest.mark.parametrize("decades", [3, 6, 9])
def test_the_condition_number_is_not_squared(decades):
    """Against the exact solution of a design with singular values from 1 to 10^-decades."""
    rng = np.random.default_rng(8)
    U, _ = np.linalg.qr(rng.standard_normal((30, 6)))
    V, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    X = U * np.logspace(0, -decades, 6) @ V.T
    y = X @ np.ones(6) + 1e-3 * rng.standard_normal(30)
    root = Fraction(1, 10**decades)  # alpha = root^2 / 30, about the smallest eigenvalue
    columns = [
        tuple(Fraction(v) for v in column) + tuple(root * (i == j) for i in range(6))
        for j, column in enumerate(X.T)
    ]
    exact, _ = nist.least_squares(columns, tuple(Fraction(v) for v in y) + (0,) * 6, False)
    truth = np.array([float(v) for v in exact])
    alpha = float(root**2 / 30)
    for fitted in (
        fastreg.solve(X, y, alpha=alpha, l1_ratio=0.0, fit_intercept=False).coef,
        fastreg.ridge_path(X, y, [alpha], fit_intercept=False).coef[0],
    ):
        error = np.linalg.norm(fitted - truth) / np.linalg.norm(truth)
        assert error <= 100 * np.finfo(float).eps * 10.0**decades


def ill_conditioned(decades, n=120, p=60, seed=5):
    rng = np.random.default_rng(seed)
    U, _ = np.linalg.qr(rng.standard_normal((n, p)))
    V, _ = np.linalg.qr(rng.standard_normal((p, p)))
    return U * np.logspace(0, -decades, p) @ V.T, rng.standard_normal(n)


@pytest.mark.parametrize("alpha", [0.0, 1e-18])
@pytest.mark.parametrize("decades", [5, 6, 7, 8, 10])
def test_sparse_least_squares_of_any_condition(decades, alpha):
    """A Gram matrix loses its digits here; the products of X with a few vectors do not."""
    X, y = ill_conditioned(decades)
    X[:, :3] += [0, 10, 1]
    model = {"alpha": alpha, "l1_ratio": 0.0}
    result = fastreg.solve(scipy.sparse.csc_array(X), y, **model)
    assert result.status == fastreg.Status.CONVERGED
    oracle.check(result, X, y, **model)
    rows = np.sqrt(alpha * len(y)) * np.eye(60)
    stacked = np.vstack([X - X.mean(axis=0), rows])
    U, _, _ = np.linalg.svd(stacked, full_matrices=False)
    error = np.r_[y - result.predict(X), np.zeros(60)]
    error[len(y) :] = -rows @ result.coef
    assert np.sum((U.T @ error) ** 2) <= 1e-8 * np.sum((y - y.mean()) ** 2)


def test_sparse_columns_that_are_dependent_have_the_smallest_norm():
    X, y = ill_conditioned(6)
    X[:, 9] = X[:, 3] + X[:, 4]
    result = fastreg.solve(scipy.sparse.csc_array(X), y, 0.0, tol=1e-4)
    assert result.method == "krylov"
    X, y = regression(60, 12, seed=9)
    X[:, 9] = X[:, 3] + X[:, 4]
    result = fastreg.solve(scipy.sparse.csc_array(X), y, 0.0, tol=1e-16)
    assert result.status == fastreg.Status.RANK_DEFICIENT
    np.testing.assert_allclose(result.coef, fastreg.solve(X, y, 0.0).coef, atol=1e-6)


@pytest.mark.parametrize("shape", [(30, 4), (4, 30)])
@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_gaps_at_tiny_strengths(shape, factor):
    """Rounding in the slope is paid for by the curvature of the loss, not by alpha alone."""
    X, y = regression(*shape, seed=11)
    factors = np.r_[factor, np.ones(shape[1] - 1)]
    alpha = 1e-30 if shape[0] > shape[1] else 1e-12
    path = fastreg.ridge_path(X, y, [alpha], penalty_factor=factors)
    problem = oracle.make_problem(X, y, alpha, l1_ratio=0.0, penalty_factor=factors)
    exact = [part.astype(float) for part in solution(problem)]
    best = float(oracle.objective(problem, exact[0], float(exact[1])))
    found = float(oracle.objective(problem, path.coef[0], path.intercept[0]))
    assert found - best <= path.duality_gap[0] * (1 + 1e-6) + 1e-15
    assert path.duality_gap[0] <= 1e-18 * np.var(y)


STRENGTHS = [(1.0, 1e20), (1.0, 1e25), (1.0, 1e30), (1e-15, 1.0), (1e-18, 1.0), (1e-20, 1.0)]


@pytest.mark.parametrize(("unit", "factor"), STRENGTHS)
@pytest.mark.parametrize("method", ["cholesky", "svd", "auto"])
def test_a_penalty_that_holds_a_coefficient_at_zero(method, unit, factor):
    """However strong it is, it hides no column without one; nor do dependent ones hide."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4)) * [1.0, unit, 1.0, 1.0]
    y = X @ [1.0, 1.0, -1.0, 0.5] + rng.standard_normal(60)
    model = {"penalty_factor": [0.0, factor, 0.0, 1.0], "l1_ratio": 0.0, "method": method}
    rest = {**model, "penalty_factor": [0.0, 0.0, 1.0]}
    path = fastreg.solve_path(X, y, alphas=[10.0, 1.0, 0.1], **model)
    for alpha, result in [
        (1.0, fastreg.solve(X, y, 1.0, **model)),
        *zip(path.alphas, path, strict=True),
    ]:
        without = fastreg.solve(X[:, [0, 2, 3]], y, alpha, **rest)
        assert result.status == fastreg.Status.CONVERGED
        np.testing.assert_allclose(result.coef[[0, 2, 3]], without.coef, rtol=1e-9)
        assert abs(result.coef[1] * unit) < 1e-14
        assert result.objective <= without.objective + result.duality_gap + 1e-14
    X[:, 2] = X[:, 0]
    result = fastreg.solve(X, y, 1.0, **model)
    without = fastreg.solve(X[:, [0, 3]], y, 1.0, **{**model, "penalty_factor": [0.0, 1.0]})
    assert result.status == fastreg.Status.RANK_DEFICIENT
    np.testing.assert_allclose(result.coef[[0, 2]], without.coef[0] / 2, rtol=1e-9)
    np.testing.assert_allclose(result.objective, without.objective, rtol=1e-12)


def test_the_gap_of_a_wrong_ridge_coefficient_is_the_distance_to_the_optimum():
    from fastreg.problem import prepare
    from fastreg.spectrum import coefficients, decompose, gaps

    X, y = regression(30, 4, seed=11)
    problem = prepare(X, y, penalty_factor=[0, 1, 2, 1])
    grid = np.array([1.0, 1e-3, 1e-12])
    spectrum = decompose(problem, 1e-12)
    W = coefficients(problem, spectrum, grid, problem.y[0])

    def residual(W):
        rest = problem.y[0][:, None] - np.stack([problem.design.product(w) for w in W.T.copy()], 1)
        return np.sqrt(problem.weight)[:, None] * (rest - problem.weight @ rest)

    def objective(W):
        return 0.5 * np.sum(residual(W) ** 2, axis=0) + 0.5 * grid * (spectrum.unit**2 @ W[1:] ** 2)

    wrong = W + np.array([0.1, -0.2, 0.3, 0.05])[:, None]
    excess = objective(wrong) - objective(W)
    gap = gaps(problem, spectrum, grid, wrong, residual(wrong))
    assert np.all(gap >= excess * (1 - 1e-9))
    assert np.all(gap <= excess * 1.01)


@pytest.mark.parametrize("penalty_factor", [None, [0.0, 1, 2, 1, 1]])
def test_a_path_makes_no_matrix_of_the_size_of_the_design(penalty_factor, monkeypatch):
    from fastreg import spectrum

    X, y = regression(40, 5, seed=12)
    alphas = np.logspace(0, -3, 10)
    model = {"l1_ratio": 0.0, "penalty_factor": penalty_factor}
    monkeypatch.delattr(spectrum, "_images")
    rows = fastreg.ridge_path(X, y, alphas, penalty_factor=penalty_factor)
    path = fastreg.solve_path(X, y, alphas=alphas, **model)
    np.testing.assert_allclose(path.coef, rows.coef, rtol=1e-9, atol=1e-12)


LONG_MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "everything": {
        "sample_weight": row_weights(70),
        "offset": np.linspace(-3, 3, 70),
        "penalty_factor": np.r_[0.0, np.inf, np.linspace(0.5, 2.0, 28)],
        "standardize": True,
    },
}


@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
@pytest.mark.parametrize("model", LONG_MODELS.values(), ids=LONG_MODELS)
@pytest.mark.parametrize("dual", [False, True], ids=["primal", "dual"])
def test_a_long_grid_in_small_blocks_is_many_short_ones(model, storage, dual, monkeypatch):
    """A long grid is combined from few functions of alpha, block by block of rows."""
    from fastreg import blocks

    X, y = regression(70, 30, seed=13)
    if dual:
        X = np.hstack([X, np.random.default_rng(14).standard_normal((70, 60))])
        factor = model.get("penalty_factor")
        if factor is not None:
            model = {**model, "penalty_factor": np.r_[factor, np.ones(60)]}
    if model.get("fit_intercept", True):
        X = X + 50.0
    Y = np.column_stack([y, 1e5 * y**2])
    monkeypatch.setattr(blocks, "_CACHED", 0)
    monkeypatch.setattr(blocks, "_ROWS", 16)
    path = fastreg.ridge_path(storage(X), Y, np.geomspace(1e-3, 1e3, 60), **model)
    for k in (0, 7, 31, 59):
        short = fastreg.ridge_path(X, Y, [path.alphas[k]], **model)
        for name in ("coef", "intercept", "loo_errors", "loo_score", "gcv", "df"):
            ours, theirs = getattr(path, name)[k], getattr(short, name)[0]
            axis = {"coef": 1, "loo_errors": 0}.get(name, ())
            size = np.abs(theirs).max(axis=axis, keepdims=True)
            size = np.where(size > 0, size, 1.0)
            np.testing.assert_allclose(ours / size, theirs / size, atol=1e-10, err_msg=name)
    assert np.all(path.duality_gap <= 1e-22 * np.var(Y, axis=0))


def test_leave_one_out_of_float32_and_of_one_block():
    X, y = regression(600, 20, seed=15)
    X = X.astype(np.float32)
    path = fastreg.ridge_path(X, y, np.geomspace(1e-3, 10, 40))
    for k in (0, 20, 39):
        hat = hat_matrix(X.astype(float), path.alphas[k], fit_intercept=True)
        expected = (y - hat @ y) / (1 - np.diag(hat))
        np.testing.assert_allclose(path.loo_errors[k], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("decades", [0, 3, 8])
@pytest.mark.parametrize("span", [0.5, 3, 8])
def test_few_functions_of_alpha_give_all(decades, span):
    from fastreg.cauchy import factor

    exponent = np.random.default_rng(16).uniform(-decades, 0.1, 50)
    square, grid = 10.0**exponent, np.geomspace(10.0 ** (-span), 10.0, 100)
    if decades:
        square[0] = 0.0
    factors = factor(square, grid)
    if factors is None:  # nothing to gain
        assert decades == span == 8
        return
    L, U = factors
    assert L.shape[1] <= (20 if decades == 0 else 66)
    np.testing.assert_allclose(L @ U, 1 / (square[:, None] + grid), rtol=1e-14)


def test_a_cauchy_matrix_of_zeros_in_both_has_no_factors():
    from fastreg.cauchy import factor

    assert factor(np.arange(40.0), np.arange(40.0)) is None
    assert factor(np.arange(4.0), np.arange(1.0, 40.0)) is None


SMALL = {
    "C": lambda X, y: (X, y),
    "F": lambda X, y: (np.asfortranarray(X), y),
    "float32": lambda X, y: (X.astype(np.float32), y.astype(np.float32)),
    "far from zero": lambda X, y: (X + 100.0, y - 50.0),
    "unlike columns": lambda X, y: (X * np.logspace(-1, 1, X.shape[1]), y),
}


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("data", SMALL)
def test_small_data_have_the_same_path(data, fit_intercept):
    """The lane of small data against the general one, which weights ask for."""
    X, y = SMALL[data](*regression(60, 9, seed=2))
    kept = X.copy(), y.copy()
    model = {"alphas": [0.01, 3.0, 0.3], "fit_intercept": fit_intercept}
    grid = np.array([3.0, 0.3, 0.01])
    assert ridge_grid._fit_small(X, y, grid, fit_intercept) is not None
    one, other = ridge_path(X, y, **model), ridge_path(X, y, sample_weight=np.ones(60), **model)
    for name in ("alphas", "coef", "intercept", "loo_errors", "loo_score", "gcv", "df"):
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max(), err_msg=name)
        assert a.dtype == b.dtype
    assert one.method == other.method
    for k, alpha in enumerate(grid):
        problem = oracle.make_problem(
            X.astype(float), y.astype(float), alpha, l1_ratio=0.0, fit_intercept=fit_intercept
        )
        gap = oracle.duality_gap(problem, one.coef[k], one.intercept[k])
        assert gap <= one.duality_gap[k] + 1e-13 * oracle.null_objective(problem)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def doubtful():
    """Data whose digits the lane of small data must not be asked for."""
    X, y = regression(40, 5, seed=3)
    yield "dependent columns", np.c_[X, X[:, 0]], y, 1e-9
    yield "unlike columns", X * np.logspace(-4, 4, 5), y, 0.1
    yield "large mean", X + np.array([0, 1e6, 0, 0, 0]), y, 0.1
    yield "constant column", np.c_[X, np.ones(40)], y, 0.1
    yield "as many columns as rows", np.random.default_rng(0).standard_normal((40, 40)), y, 0.1
    yield "least squares", X, y, 0.0
    yield "tiny numbers", X * 1e-160, y, 1e-300
    yield "large numbers", X * 1e160, y, 0.1
    yield "y with a large mean", X, y + 1e9, 0.1
    yield "a row of its own", np.c_[X, np.eye(40)[:, 0]], y, 1e-9


@pytest.mark.parametrize("name", [case[0] for case in doubtful()])
def test_doubtful_small_data_are_left_alone(name):
    X, y, alpha = next(case[1:] for case in doubtful() if case[0] == name)
    assert ridge_grid._fit_small(X, y, np.array([alpha]), True) is None
    one = ridge_path(X, y, [alpha])
    other = ridge_path(X, y, [alpha], sample_weight=np.ones(40))
    np.testing.assert_array_equal(one.coef, other.coef)
    np.testing.assert_array_equal(one.loo_errors, other.loo_errors)


@pytest.mark.parametrize("place", ["X", "y"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_small_data_that_are_not_finite(place, value):
    X, y = regression(30, 4)
    (X if place == "X" else y).flat[5] = value
    with pytest.raises(ValueError, match=rf"\b{place}\b"):
        ridge_path(X, y, [0.1])
