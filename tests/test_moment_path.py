"""Paths from moments alone: every claim holds, and what is in doubt is left to the engine."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import regression, row_weights
from test_ridge import STORAGES

import fastreg
from fastreg import engine
from fastreg._core import record

N = 60
MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "elastic net": {"l1_ratio": 0.4},
    "weights": {"sample_weight": row_weights(N)},
    "standardize": {"standardize": True, "offset": np.linspace(-3, 3, N)},
    "excluded": {"penalty_factor": np.r_[np.inf, np.linspace(0.5, 2.0, 7)]},
    "unpenalised": {"penalty_factor": np.r_[0.0, 0.0, np.linspace(0.5, 2.0, 6)]},
}
ALPHAS = np.geomspace(3.0, 1e-3, 7)


def data(m=9, seed=2):
    X, y = regression(N, 8, seed=seed)
    noise = np.random.default_rng(seed).standard_normal((N, m))
    return X, y[:, None] * np.linspace(0.1, 30.0, m) + noise + np.arange(m)


@pytest.fixture
def alone(monkeypatch):
    """Count the responses that were left to the engine."""
    calls = []
    run = engine.Engine.run

    def counted(self, record, response, *args, **options):
        calls.append(response)
        return run(self, record, response, *args, **options)

    monkeypatch.setattr(engine.Engine, "run", counted)
    return calls


@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("constant", [False, True], ids=["", "constant column"])
def test_paths_of_many_responses(constant, model, storage, alone):
    X, Y = data()
    if constant and model.get("fit_intercept", True):
        X[:, 3] = 2.0
    path = fastreg.solve_path(storage(X), Y, alphas=ALPHAS, **model)
    assert path.method == "gram"
    assert constant or not alone  # sparse and weighted, a constant column looks suspect
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha, **model)
    thin = fastreg.solve_path(storage(X), Y, alphas=ALPHAS, sparse_coef=True, **model)
    for k, coef in enumerate(thin.coef):
        np.testing.assert_array_equal(coef.toarray(), path.coef[:, k])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_working_set_says_the_same(model, alone):
    X, Y = data()
    path = fastreg.solve_path(X, Y, alphas=ALPHAS, tol=1e-12, **model)
    assert not alone
    other = fastreg.solve_path(X, Y, alphas=ALPHAS, tol=1e-12, method="working_set", **model)
    close = 1e-5 * np.abs(other.coef).max()  # a gap of 1e-12
    np.testing.assert_allclose(path.coef, other.coef, rtol=0, atol=close)
    np.testing.assert_allclose(path.intercept, other.intercept, rtol=1e-6, atol=close)
    np.testing.assert_allclose(path.objective, other.objective, rtol=1e-10)
    np.testing.assert_array_equal(path.n_active, other.n_active)


def test_one_response_is_a_path_too(alone):
    X, Y = data(1)
    path = fastreg.solve_path(X, Y[:, 0], alphas=ALPHAS)
    assert not alone
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y[:, 0], alpha=alpha)


def test_what_moments_cannot_prove_is_left_to_the_engine(alone):
    X, Y = data()
    Y[:, 4] = X[:, 0]  # nothing is left of it
    Y[:, 7] = 3.0  # nothing to fit
    alphas = np.r_[ALPHAS, 1e-12]
    path = fastreg.solve_path(X, Y, alphas=alphas)
    assert alone == [4]
    for alpha, result in zip(alphas, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha)
    del alone[:]
    Y[:, 4] *= 1e-3  # but its last point a path like the others
    again = fastreg.solve_path(X, Y, alphas=alphas)
    others = np.arange(9) != 4
    np.testing.assert_array_equal(path.coef[:, others], again.coef[:, others])


def test_no_penalty_and_dependent_columns(alone):
    X, Y = data(3)
    path = fastreg.solve_path(X, Y, alphas=[0.1, 0.0], method="gram")
    assert not alone
    oracle.check(path[1], X, Y, alpha=0.0)
    X[:, 5] = X[:, 0] + X[:, 1]
    path = fastreg.solve_path(X, Y, alphas=[0.1, 0.0], method="gram")
    assert alone == [0, 1, 2]
    assert path.status[1] == fastreg.Status.RANK_DEFICIENT
    oracle.check(path[0], X, Y, alpha=0.1)


def test_twin_columns(alone):
    X, Y = data(3)
    X[:, 5] = -X[:, 0]
    path = fastreg.solve_path(X, Y, alphas=ALPHAS)
    assert not alone
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"max_sweeps": 1}, "MAX_ITER"),
        ({"time_limit": 1e-9}, "TIME_LIMIT"),
        ({"tol": 1e-300}, "STALLED"),
    ],
)
def test_limits_are_reported(options, status):
    X, Y = data()
    path = fastreg.solve_path(X, Y, alphas=ALPHAS, **options)
    assert fastreg.Status[status] in path.status
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha, converged=False)


def test_bounds_and_starts_are_not_for_moments(alone):
    X, Y = data(2)
    fastreg.solve_path(X, Y, alphas=ALPHAS, positive=True)
    fastreg.solve_path(X, Y, alphas=ALPHAS, warm_start=np.zeros((2, 8)))
    fastreg.solve_path(scipy.sparse.csc_array(X), Y, alphas=ALPHAS, method="working_set")
    assert alone == [0, 1] * 3


def test_intercepts_keep_their_digits():
    rng = np.random.default_rng(0)
    means, W = 1e8 * rng.standard_normal(50), rng.standard_normal((3, 50))
    exact = [sum(Fraction(m) * Fraction(w) for m, w in zip(means, row, strict=True)) for row in W]
    first = np.add([float(total) for total in exact], [0.0, 1.0, 1e-3])
    found = record.accurate_differences(first, means, W)
    truth = [float(Fraction(f) - total) for f, total in zip(first, exact, strict=True)]
    np.testing.assert_allclose(found, truth, rtol=1e-12)
    assert len(record.accurate_differences(first[:0], means, W[:0])) == 0
    with pytest.raises(ValueError, match="shapes"):
        record.accurate_differences(first, means[:-1], W)
