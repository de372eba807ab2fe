"""validate with many more features than rows: every fold against `solve_path` on its rows."""

import numpy as np
import pytest
from problems import regression
from scipy import sparse

import fastreg

N, P = 36, 1100  # coefficients of paths are kept sparse from 1000 features on
GRID = np.geomspace(1.0, 0.02, 9)
TOL = 1e-11

STORAGES = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "float32": lambda X: np.asfortranarray(X, dtype=np.float32),
    "csc": sparse.csc_array,
}
FACTOR = np.where(np.arange(P) % 7 == 3, np.inf, 0.5 + np.arange(P) % 3)
FACTOR[5] = 0.0
MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "standardize": {"standardize": True},
    "factor": {"penalty_factor": FACTOR},
    "bounds": {"lower": -0.1, "upper": 0.3},
    "positive": {"positive": True},
    "elastic net": {"l1_ratio": 0.6},
}


def data(seed=0):
    """X, in numbers of float32 and half of them zero, and y."""
    X, y = regression(N, P, seed=seed)[:2]
    X = X.astype(np.float32).astype(np.float64)
    X[np.abs(X) < 0.6] = 0.0
    return X, y


def expected_scores(X, y, folds, alphas, weight, **model):
    """The held-out errors of paths on copies of the rows of each fold, and their supports."""
    scores = np.empty((len(alphas), len(folds)))
    for k in range(len(folds)):
        train, test = folds.train_rows(k), folds.test[k]
        path = fastreg.solve_path(
            np.asfortranarray(X[train]),
            y[train],
            alphas=alphas,
            sample_weight=weight[train],
            tol=TOL,
            **model,
        )
        assert np.max(path.relative_gap) <= TOL
        predicted = X[test] @ path.coef.T + path.intercept
        scores[:, k] = np.average((y[test, None] - predicted) ** 2, axis=0, weights=weight[test])
    return scores


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_fold_is_a_path_on_its_rows(storage, model, weighted):
    X, y = data()
    weight = np.random.default_rng(1).integers(0, 3, N) + 0.5 if weighted else np.ones(N)
    options = {"sample_weight": weight} if weighted else {}
    found = fastreg.validate(
        storage(X), y, alphas=GRID, groups=np.arange(N) // 3, cv=4, tol=TOL, **options, **model
    )
    assert found.method == "paths"
    assert found.converged
    assert found.largest_gap <= TOL
    expected = expected_scores(X, y, found.folds, GRID, weight, **model)
    np.testing.assert_allclose(found.fold_scores, expected, rtol=1e-3, atol=1e-6)


def degenerate():
    """Data of which the first of six folds sees little: name, X, y."""
    X, y = data(2)
    only = X.copy()
    only[:, ::2] = 0.0
    only[:6, ::2] = 1.0  # constant in the rows that the first fold trains on
    yield "columns", only, y
    level = np.full(N, 2.5)
    level[:6] += np.arange(6)
    yield "response", X, level
    twins = X.copy()
    twins[6:, 1::2] = twins[6:, ::2]  # equal in the rows of the first fold alone
    yield "twins", twins, y
    far = y.copy()
    far[:6] *= 1e4
    yield "outlier", X, far  # the grid is far above where the first fold begins


@pytest.mark.parametrize(("X", "y"), [pytest.param(X, y, id=name) for name, X, y in degenerate()])
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_folds_that_see_little(storage, X, y):
    found = fastreg.validate(storage(X), y, n_alphas=8, eps=0.05, cv=6, tol=TOL)
    assert found.converged
    assert np.isfinite(found.fold_scores).all()
    expected = expected_scores(X, y, found.folds, found.alphas, np.ones(N))
    # the first fold does not tell twins apart, its held-out rows do
    known = slice(1, None) if np.array_equal(X[6:, 1::2], X[6:, ::2]) else slice(None)
    scale = np.var(y)
    np.testing.assert_allclose(
        found.fold_scores[:, known], expected[:, known], rtol=1e-3, atol=1e-6 * scale
    )


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_threads_change_no_bit(storage):
    X, y = data(3)
    one, two = (
        fastreg.validate(storage(X), y, n_alphas=10, eps=0.02, cv=5, n_threads=n) for n in (1, 2)
    )
    np.testing.assert_array_equal(one.fold_scores, two.fold_scores)
    np.testing.assert_array_equal(one.path.coef, two.path.coef)
    assert one.n_passes == two.n_passes
