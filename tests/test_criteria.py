"""Information criteria: closed forms, derivatives of fits, scikit-learn's LassoLarsIC."""

import math

import numpy as np
import pytest
import scipy.sparse
from problems import STORAGES, penalty_arguments, regression, row_weights, shaped

import fastreg

MODELS = {
    "lasso": {},
    "elastic net": {"l1_ratio": 0.4},
    "ridge": {"l1_ratio": 0.0},
    "origin": {"fit_intercept": False, "l1_ratio": 0.6},
    "standardized": {"standardize": True, "l1_ratio": 0.6},
    "factors": {"penalty_factor": [0.0, 0.5, np.inf, 1.0, 2.0, 3.0], "l1_ratio": 0.6},
    "bounds": {"lower": [-0.3, -1, 0, -1, -1, -1], "upper": [0.4, 1, 1, 0, 0.2, 1]},
}


def arguments(model):
    return {k: v for k, v in model.items() if k != "l1_ratio"}


@pytest.fixture
def data():
    return regression(40, 6, seed=2)


def derivative(X, y, alpha, weight, step=1e-4, **model):
    """Degrees of freedom by definition: the sum over i of d prediction_i / d y_i."""
    total = 0.0
    for i in range(len(y)):
        ends = []
        for sign in (1, -1):
            moved = y.copy()
            moved[i] += sign * step
            fit = fastreg.solve(X, moved, alpha, sample_weight=weight, tol=1e-14, **model)
            ends.append(fit.predict(X)[i])
        total += (ends[0] - ends[1]) / (2 * step)
    return total


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("model", MODELS)
def test_degrees_of_freedom_are_the_derivative_of_the_fit(model, weighted, data):
    X, y = data
    weight = row_weights(len(y)) if weighted else None
    model = MODELS[model]
    path = fastreg.solve_path(X, y, n_alphas=6, sample_weight=weight, tol=1e-12, **model)
    found = fastreg.information_criteria(path, X, y, sample_weight=weight, **arguments(model))
    expected = [derivative(X, y, alpha, weight, **model) for alpha in path.alphas]
    # at alpha_max a move of y lets a feature enter
    np.testing.assert_allclose(found.df[1:], expected[1:], rtol=1e-5)


@pytest.mark.parametrize("storage", [k for k, (kind, _) in STORAGES.items() if kind == "real"])
def test_criteria_of_every_storage(storage, data, tmp_path):
    X, y = shaped("n > p")
    make = STORAGES[storage][1]
    Z = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape) if make is None else make(X)
    if make is None:
        Z[:] = X
    path = fastreg.solve_path(Z, y, n_alphas=9, l1_ratio=0.7)
    found = fastreg.information_criteria(path, Z, y)
    for i, alpha in enumerate(path.alphas):
        active = path.coef[i] != 0
        A = np.asarray(X, float)[:, active]
        A = A - A.mean(axis=0)
        hat = A @ np.linalg.solve(A.T @ A + len(y) * alpha * (1 - 0.7) * np.eye(active.sum()), A.T)
        df = np.trace(hat) + 1
        mse = np.mean((y - path.predict(Z)[:, i]) ** 2)
        n = len(y)
        deviance = n * math.log(2 * math.pi * mse) + n
        choose = math.log(math.comb(X.shape[1], int(active.sum())))
        expected = {
            "df": df,
            "mean_squared_error": mse,
            "deviance": deviance,
            "aic": deviance + 2 * df,
            "aicc": deviance + 2 * df + 2 * (df + 1) * (df + 2) / (n - df - 2),
            "bic": deviance + math.log(n) * df,
            "ebic": deviance + math.log(n) * df + choose,
        }
        for name, value in expected.items():
            assert getattr(found, name)[i] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("criterion", ["aic", "bic"])
@pytest.mark.parametrize("variance", [None, 0.5])
def test_the_choice_is_that_of_lasso_lars_ic(criterion, variance, data):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = data
    reference = linear_model.LassoLarsIC(criterion=criterion, noise_variance=variance).fit(X, y)
    knots = reference.alphas_[1:-1]
    # on a knot rounding decides whether the next feature is in
    path = fastreg.solve_path(X, y, alphas=knots * (1 + 1e-9), tol=1e-14)
    given = "estimate" if variance is None else variance
    found = fastreg.information_criteria(path, X, y, criterion=criterion, noise_variance=given)
    assert found.noise_variance == pytest.approx(reference.noise_variance_)
    intercept = 2 if criterion == "aic" else math.log(len(y))  # which is not counted there
    np.testing.assert_allclose(
        getattr(found, criterion) - intercept, reference.criterion_[1:-1], rtol=1e-6
    )
    if reference.alpha_ in knots:
        assert found.alpha == pytest.approx(reference.alpha_)


def test_the_corrected_criterion_is_hurvich_and_tsais(data):
    X, y = data
    found = fastreg.information_criteria(fastreg.solve_path(X, y, n_alphas=5), X, y)
    n, m = len(y), found.df
    theirs = n * np.log(2 * np.pi * found.mean_squared_error) + n * (1 + m / n) / (1 - (m + 2) / n)
    # they count the variance among the parameters, which is the same at every alpha
    np.testing.assert_allclose(found.aicc, theirs - 2)


def test_dependent_columns_count_by_rank(data):
    X, y = data
    X = np.column_stack([X, X[:, 0], X[:, 1] - 2 * X[:, 2] + 1])
    path = fastreg.solve_path(X, y, alphas=[1e-4], l1_ratio=1.0, penalty_factor=np.ones(8))
    coef = np.full((1, 8), 0.0)
    coef[0] = path.coef[0]
    coef[0, 0] = coef[0, 6] = (path.coef[0, 0] + path.coef[0, 6]) / 2  # as good a solution
    assert path.coef[0, 0] * path.coef[0, 6] >= 0
    path = type(path)(**{**vars(path), "coef": coef})
    found = fastreg.information_criteria(path, X, y)
    active = X[:, coef[0] != 0]
    rank = np.linalg.matrix_rank(active - active.mean(axis=0))
    assert rank < active.shape[1]
    assert found.df[0] == rank + 1


def test_wide_elastic_net():
    X, y = regression(15, 60, seed=4)
    path = fastreg.solve_path(X, y, n_alphas=8, l1_ratio=0.01)
    assert path.n_active[-1] > 15
    found = fastreg.information_criteria(path, X, y, noise_variance=1.0)
    for i, alpha in enumerate(path.alphas):
        A = X[:, path.coef[i] != 0]
        A = A - A.mean(axis=0)
        inverse = np.linalg.inv(A.T @ A + 15 * alpha * 0.99 * np.eye(A.shape[1]))
        assert found.df[i] == pytest.approx(1 + np.trace(A @ inverse @ A.T))


def test_weights_count_as_copies(data):
    X, y = data
    weight = np.arange(len(y)) % 3
    copies = np.repeat(np.arange(len(y)), weight)
    path = fastreg.solve_path(X, y, sample_weight=weight, n_alphas=20)
    found = fastreg.information_criteria(path, X, y, sample_weight=weight)
    other = fastreg.solve_path(X[copies], y[copies], alphas=path.alphas)
    expected = fastreg.information_criteria(other, X[copies], y[copies])
    assert found.n_samples == len(copies)
    for name in ("df", "aic", "aicc", "bic", "ebic"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-6)
    given = fastreg.information_criteria(path, X, y, sample_weight=weight, n_samples=40)
    np.testing.assert_allclose(
        given.deviance, 40 * (np.log(2 * np.pi * found.mean_squared_error) + 1)
    )


def test_several_responses_choose_for_themselves(data):
    X, y = data
    Y = np.column_stack([y, X[:, 1] + np.sin(np.arange(len(y)))])
    path = fastreg.solve_path(X, Y, n_alphas=30)
    found = fastreg.information_criteria(path, X, Y)
    for k in range(2):
        alone = fastreg.solve_path(X, Y[:, k], alphas=path.alphas)
        expected = fastreg.information_criteria(alone, X, Y[:, k])
        np.testing.assert_allclose(found.bic[:, k], expected.bic, rtol=1e-6)
        assert found.index[k] == expected.index
        np.testing.assert_allclose(found.result[k].coef, expected.result.coef, atol=1e-6)
        assert found.result[k].predict(X).shape == (len(y),)
        assert np.ndim(found.result[k].objective) == 0
    assert "response 1" in repr(found)


def test_the_choice_is_a_point_of_the_path(data):
    X, y = data
    path = fastreg.solve_path(X, y, sparse_coef=True)
    for criterion in ("aic", "aicc", "bic", "ebic"):
        found = fastreg.information_criteria(path, X, y, criterion=criterion)
        assert found.index == np.argmin(getattr(found, criterion))
        assert found.result.alpha == found.alpha == path.alphas[found.index]
        np.testing.assert_array_equal(found.result.coef, path[found.index].coef)
    assert "EBIC" in repr(found)
    assert fastreg.information_criteria(path, X, y, gamma=0).ebic.tolist() == found.bic.tolist()


def test_saturated_points_are_never_chosen():
    X, y = regression(8, 30, seed=1)
    path = fastreg.solve_path(X, y, eps=1e-8)
    found = fastreg.information_criteria(path, X, y, criterion="aicc")
    assert found.df[-1] >= 8
    assert np.isinf(found.aic[-1])
    assert found.df[found.index] < 6
    with pytest.raises(ValueError, match="fewer degrees of freedom than samples"):
        fastreg.information_criteria(_last(path), X, y)


def _last(path):
    def cut(value):
        return value[-1:] if isinstance(value, np.ndarray) and len(value) == 100 else value

    return type(path)(**{k: cut(v) for k, v in vars(path).items()})


def test_a_constant_response_chooses_the_empty_model(data):
    X, _ = data
    y = np.full(len(X), 2.0)
    found = fastreg.information_criteria(fastreg.solve_path(X, y, n_alphas=4), X, y)
    assert found.index == 0


def test_mistakes_are_named(data):
    X, y = data
    path = fastreg.solve_path(X, y, n_alphas=5)
    for message, change in (
        ("criterion must be one of", {"criterion": "cp"}),
        ("gamma must be in", {"gamma": 2}),
        ("noise_variance must be > 0", {"noise_variance": 0}),
        ("noise_variance must be a number or", {"noise_variance": "ols"}),
        ("noise_variance must be a number or have shape", {"noise_variance": [1, 2]}),
        ("n_samples must be > 0", {"n_samples": 0}),
        ("was not computed from these X, y", {"sample_weight": np.arange(40)}),
        ("was not computed from these X, y", {"fit_intercept": False}),
        ("was not computed from these X, y", {"penalty_factor": np.arange(1, 7)}),
    ):
        with pytest.raises(ValueError, match=message):
            fastreg.information_criteria(path, X, y, **change)
    with pytest.raises(ValueError, match="was not computed from these X, y"):
        fastreg.information_criteria(path, X[::-1], y)
    with pytest.raises(ValueError, match="X has 5 features"):
        fastreg.information_criteria(path, X[:, :5], y)
    with pytest.raises(ValueError, match="from a y of shape"):
        fastreg.information_criteria(path, X, np.c_[y, y])
    with pytest.raises(TypeError, match="must be a fastreg"):
        fastreg.information_criteria(path[0], X, y)
    with pytest.raises(TypeError, match="unknown argument 'alpha'"):
        fastreg.information_criteria(path, X, y, alpha=1)
    wide, z = regression(5, 8)
    path = fastreg.solve_path(wide, z, n_alphas=5)
    with pytest.raises(ValueError, match="needs more samples"):
        fastreg.information_criteria(path, wide, z, noise_variance="estimate")


def test_bounds_and_sparse_together():
    X, y = regression(12, 8, seed=9)
    model = penalty_arguments(8)["bounds"]
    path = fastreg.solve_path(scipy.sparse.csr_array(X), y, n_alphas=6, **model)
    found = fastreg.information_criteria(path, scipy.sparse.csc_array(X), y, **model)
    assert (found.df >= 1).all()
