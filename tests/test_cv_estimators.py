"""LassoCV, ElasticNetCV and RidgeCV choose what scikit-learn's choose, and tell how."""

import pickle

import numpy as np
import pytest
from problems import regression
from scipy import sparse

pytest.importorskip("sklearn", reason="the extra sklearn is not installed")

from sklearn import linear_model as theirs
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastreg import estimators as ours
from fastreg import ridge_path
from fastreg.estimators import _ridge_cv

STORAGES = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "csc": sparse.csc_array,
    "csr": sparse.csr_array,
    "float32": lambda X: np.asarray(X, dtype=np.float32),
}
FOLDS = {
    "none": None,
    "number": 4,
    "shuffled": KFold(3, shuffle=True, random_state=0),
    "overlapping": ShuffleSplit(4, random_state=0),
    "pairs": [(np.arange(20, 60), np.arange(20)), (np.arange(40), np.arange(40, 60))],
}


def data(n=60, p=6):
    X, y = regression(n, p, seed=2)[:2]
    X[np.abs(X) < 0.3] = 0
    return X, y


@parametrize_with_checks(
    [ours.LassoCV(), ours.ElasticNetCV(), ours.RidgeCV(), ours.LassoCV(selection="1se")]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("folds", FOLDS.values(), ids=FOLDS)
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_paths_are_scikit_learns(storage, folds, weighted):
    X, y = data()
    weight = np.arange(60) % 3 + 0.5 if weighted else None
    for name, options in (
        ("LassoCV", {"alphas": 12}),
        ("LassoCV", {"alphas": [0.5, 2.0, 0.1], "fit_intercept": False}),
        ("ElasticNetCV", {"alphas": 7, "l1_ratio": [0.3, 1.0], "positive": True}),
    ):
        tol = 1e-6 if storage is STORAGES["float32"] else 1e-10
        options |= {"cv": folds, "tol": tol, "max_iter": 100_000}
        one = getattr(ours, name)(**options).fit(storage(X), y, sample_weight=weight)
        two = getattr(theirs, name)(**options).fit(storage(X.copy()), y, sample_weight=weight)
        loose = 1e-3 if storage is STORAGES["float32"] else 1e-6
        assert one.alphas_.shape == two.alphas_.shape
        assert one.mse_path_.shape == two.mse_path_.shape
        np.testing.assert_allclose(one.alphas_, two.alphas_, rtol=loose)
        np.testing.assert_allclose(one.mse_path_, two.mse_path_, rtol=loose)
        assert one.alpha_ == pytest.approx(two.alpha_, rel=loose)
        np.testing.assert_allclose(one.coef_, two.coef_, atol=loose)
        assert one.coef_.dtype == two.coef_.dtype


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("folds", FOLDS.values(), ids=FOLDS)
def test_ridge_is_scikit_learns(folds, targets):
    X, y = data()
    y = y if targets == 1 else np.column_stack([y, X[:, 0] - y])
    weight = np.arange(60) % 3 + 0.5
    for options in (
        {"alphas": [10.0, 0.01, 1.0, 100.0]},
        {"alphas": np.geomspace(1e-3, 1e3, 9), "scoring": "neg_mean_absolute_error"},
        {"alphas": [0.3], "fit_intercept": False},
    ):
        options |= {"cv": folds}
        one = ours.RidgeCV(**options).fit(X, y, sample_weight=weight)
        two = theirs.RidgeCV(**options).fit(X.copy(), y.copy(), sample_weight=weight.copy())
        assert one.alpha_ == two.alpha_
        assert one.best_score_ == pytest.approx(two.best_score_, rel=1e-7)
        np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(one.intercept_, two.intercept_, rtol=1e-6, atol=1e-9)


def test_ridge_without_a_penalty_in_the_grid():
    X, y = data()
    one = ours.RidgeCV([0.0, 1e3], cv=3).fit(X, y)
    assert one.alpha_ == 0.0
    np.testing.assert_allclose(one.coef_, theirs.LinearRegression().fit(X, y).coef_, rtol=1e-7)


def simplest(alphas, losses, errors):
    """The largest alpha within one standard error of the smallest loss."""
    best = np.argmin(losses)
    return alphas[losses <= losses[best] + errors[best]].max()


def test_one_standard_error():
    X, y = data()
    for model in (ours.LassoCV(selection="1se", cv=5), ours.ElasticNetCV(selection="1se", cv=5)):
        model.fit(X, y)
        each = model.mse_path_
        error = each.std(axis=1, ddof=1) / np.sqrt(5)
        assert model.alpha_ == simplest(model.alphas_, each.mean(axis=1), error)
        assert model.alpha_ > clone(model).set_params(selection="cyclic").fit(X, y).alpha_
    alphas = np.geomspace(1e-3, 1e3, 30)
    model = ours.RidgeCV(alphas, selection="1se").fit(X, y)
    square = ridge_path(X, y, alphas / 60).loo_errors[::-1] ** 2
    error = square.std(axis=1, ddof=1) / np.sqrt(60)
    assert model.alpha_ == simplest(alphas, square.mean(axis=1), error)
    model = ours.RidgeCV(alphas, cv=5, scoring="neg_mean_squared_error", selection="1se")
    losses = np.empty((30, 5))
    for k, (train, test) in enumerate(KFold(5).split(X)):
        for i, alpha in enumerate(alphas):
            fit = theirs.Ridge(alpha).fit(X[train], y[train])
            losses[i, k] = np.mean((fit.predict(X[test]) - y[test]) ** 2)
    error = losses.std(axis=1, ddof=1) / np.sqrt(5)
    assert model.fit(X, y).alpha_ == simplest(alphas, losses.mean(axis=1), error)
    assert model.alpha_ > clone(model).set_params(selection="min").fit(X, y).alpha_


def test_one_standard_error_for_each_target():
    X, y = data()
    Y = np.column_stack([y, X[:, 1]])
    alphas = np.geomspace(1e-3, 1e3, 30)
    both = ours.RidgeCV(alphas, alpha_per_target=True, selection="1se").fit(X, Y)
    each = [ours.RidgeCV(alphas, selection="1se").fit(X, column).alpha_ for column in Y.T]
    assert both.alpha_.tolist() == each
    with pytest.raises(ValueError, match="needs scoring=None"):
        ours.RidgeCV(selection="1se", scoring="r2").fit(X, y)


def test_a_fitted_ridge_is_small():
    X, y = data(2000)
    alphas = np.geomspace(1e-3, 1e3, 100)
    model = ours.RidgeCV(alphas).fit(X, y)
    assert len(pickle.dumps(model)) < X.nbytes
    assert model.result_.loo_errors.shape == (0, 2000)
    kept = ours.RidgeCV(alphas, store_cv_results=True).fit(X, y)
    assert kept.cv_results_.shape == (2000, 100)
    assert kept.result_.loo_errors.shape == (100, 2000)


def test_what_was_validated_is_told():
    X, y = data()
    model = ours.ElasticNetCV(l1_ratio=[0.2, 1.0], cv=3, alphas=9).fit(X, y)
    assert model.validation_.mean.shape == (2, 9)
    assert model.l1_ratio_ == model.validation_.l1_ratio
    assert model.result_.converged
    lasso = pickle.loads(pickle.dumps(ours.LassoCV(n_jobs=2).fit(X, y)))
    assert not hasattr(lasso, "l1_ratio_")
    assert "l1_ratio" not in lasso.get_params()
    assert not isinstance(lasso, ours.ElasticNetCV)
    np.testing.assert_array_equal(lasso.coef_, ours.LassoCV().fit(X, y).coef_)


def test_mistakes():
    X, y = data()
    for model, message in (
        (ours.LassoCV(cv=GroupKFold(3)), "groups"),
        (ours.LassoCV(cv=100), "Cannot have number of splits"),
        (ours.LassoCV(eps=2.0), "eps must be < 1"),
        (ours.LassoCV(alphas=[-1.0]), "alphas\\[0\\] == -1.0, must be >= 0"),
        (ours.ElasticNetCV(l1_ratio=0.0), "no automatic grid"),
        (ours.LassoCV(n_jobs=0), "n_jobs == 0"),
        (ours.RidgeCV([0.0]), "must be > 0"),
        (ours.RidgeCV(cv=3, store_cv_results=True), "incompatible"),
        (ours.RidgeCV(selection="best"), "selection"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
    with pytest.raises(ValueError, match="takes one target"):
        ours.LassoCV().fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("n_targets", [1, 3])
def test_ridge_cv_by_a_factor_for_each_of_few_alphas(monkeypatch, n_targets):
    """As by a decomposition, which serves where a factor has too few digits."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20)) + 1.0
    y = X @ rng.standard_normal((20, n_targets)) + rng.standard_normal((60, n_targets))
    weight = rng.choice([0.5, 1.0, 2.0], 60)
    model = ours.RidgeCV(alphas=[1e-3, 1.0, 30.0], cv=4)
    paths = []
    by_decomposition = [model.fit(X, y, weight).best_score_, model.coef_, model.alpha_]
    monkeypatch.setattr(_ridge_cv, "_LARGE", 1)
    monkeypatch.setattr(_ridge_cv, "ridge_path", lambda *a, **k: paths.append(a))
    by_factors = [model.fit(X, y, weight).best_score_, model.coef_, model.alpha_]
    assert not paths
    for one, other in zip(by_factors, by_decomposition, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)
