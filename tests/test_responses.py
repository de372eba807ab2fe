"""Many responses at once, and the proof from moments that it rests on."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import regression, row_weights
from test_ridge import STORAGES

import fastreg
from fastreg import normal_equations, responses
from fastreg._core import small
from fastreg.api import solve_each
from fastreg.normal_equations import (
    CholeskyInverse,
    Moments,
    SpectralInverse,
    fit_moments,
    summation_rounding,
)

N = 40
MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "zero weights": {"sample_weight": row_weights(N)},
    "everything": {
        "sample_weight": row_weights(N) + 0.25,
        "offset": np.linspace(-3, 3, N),
        "penalty_factor": np.r_[0.0, np.inf, np.linspace(0.5, 2.0, 4)],
        "standardize": True,
    },
    "all penalised": {"penalty_factor": np.r_[np.inf, np.linspace(0.5, 2.0, 5)]},
}


def data(n=N, p=6, m=12, seed=1):
    X, y = regression(n, p, seed=seed)
    noise = np.random.default_rng(seed).standard_normal((n, m))
    return X, y[:, None] * np.linspace(0.1, 30.0, m) + noise + np.arange(m)


@pytest.fixture
def alone(monkeypatch):
    """Count the responses that were left to the engine."""
    calls = []
    run = responses.Engine.run

    def counted(self, record, response, *args, **options):
        calls.append(response)
        return run(self, record, response, *args, **options)

    monkeypatch.setattr(responses.Engine, "run", counted)
    return calls


@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.3])
def test_many_responses_at_one_strength(alpha, model, storage, alone):
    X, Y = data()
    result = fastreg.solve(storage(X), Y, alpha, l1_ratio=0.0, **model)
    assert result.method == "cholesky"
    assert not alone
    oracle.check(result, X, Y, alpha=alpha, l1_ratio=0.0, **model)


@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("distinct", [3, 12])
def test_many_responses_with_a_strength_each(distinct, model, storage, alone):
    X, Y = data()
    alphas = np.geomspace(1e-4, 10.0, 12)[np.arange(12) % distinct]
    results = solve_each(storage(X), Y, alphas, l1_ratio=0.0, options={}, **model)
    assert not alone
    assert sorted(np.concatenate([own for _, own in results])) == list(range(12))
    for result, own in results:
        assert np.all(alphas[own] == result.alpha)
        oracle.check(result, X, Y[:, own], alpha=result.alpha, l1_ratio=0.0, **model)


@pytest.mark.parametrize("storage", STORAGES, ids=["C", "F", "CSC", "CSR"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_more_features_than_rows(fit_intercept, storage, alone):
    X, Y = data(15, 40)
    model = {"fit_intercept": fit_intercept, "l1_ratio": 0.0}
    oracle.check(fastreg.solve(storage(X), Y, 0.3, **model), X, Y, alpha=0.3, **model)
    for result, own in solve_each(storage(X), Y, np.geomspace(1e-3, 10, 12), options={}, **model):
        oracle.check(result, X, Y[:, own], alpha=result.alpha, **model)
    assert not alone


def test_what_moments_cannot_prove_is_left_to_the_engine(alone):
    X, Y = data()
    X[:, 5] = X[:, 0] + 1e-7 * X[:, 5]  # lost in the Gram matrix
    Y[:, 4] = X[:, 0]  # nothing is left of it
    Y[:, 7] = 3.0  # nothing to fit
    result = fastreg.solve(X, Y, 1e-9, l1_ratio=0.0)
    assert alone == list(range(12))
    oracle.check(result, X, Y, alpha=1e-9, l1_ratio=0.0)
    del alone[:]
    X[:, 5] = X[:, 1] ** 2
    result = fastreg.solve(X, Y, 1e-9, l1_ratio=0.0)
    assert alone == [4, 7]
    oracle.check(result, X, Y, alpha=1e-9, l1_ratio=0.0)


def test_dependent_columns_and_other_methods_are_left_to_the_engine(alone):
    X, Y = data()
    X[:, 5] = X[:, 0]
    result = fastreg.solve(X, Y, 0.0)
    assert result.status == fastreg.Status.RANK_DEFICIENT
    for method in ("svd", "krylov", "working_set"):
        fastreg.solve(X, Y, 0.1, l1_ratio=0.0, method=method)
    fastreg.solve(X, Y, 0.1, l1_ratio=0.0, lower=0.1)
    assert len(alone) == 12 * 5
    del alone[:]
    fastreg.solve(X, Y, 0.1, l1_ratio=0.5, method="working_set")
    assert len(alone) == 12


def test_no_time_is_no_time():
    X, Y = data()
    result = fastreg.solve(X, Y, 0.1, l1_ratio=0.0, time_limit=1e-9)
    oracle.check(result, X, Y, alpha=0.1, l1_ratio=0.0, converged=False)


def test_a_response_does_not_change_the_others():
    X, Y = data()
    first = fastreg.solve(X, Y, 0.1, l1_ratio=0.0)
    Y[:, 3] *= 1e150
    again = fastreg.solve(X, Y, 0.1, l1_ratio=0.0)
    others = np.arange(12) != 3
    np.testing.assert_allclose(first.coef[others], again.coef[others], rtol=1e-12)
    assert again.converged


# Moments made in NumPy, proofs held against long double.


def moments_in_numpy(X, Y, weight, dtype=np.float64):
    """Centred and weighted moments, and the columns and responses that they are of."""
    weight = (weight / weight.sum()).astype(dtype)
    Z, R = X.astype(dtype), Y.astype(dtype)
    Z, R = Z - weight @ Z, R - weight @ R
    rounding = summation_rounding(len(X))
    found = Moments(
        (Z.T * weight) @ Z, (Z.T * weight) @ R, np.sum(weight[:, None] * R * R, axis=0), rounding
    )
    return found, Z, R, weight


def inverses(moments, factors, alphas):
    yield CholeskyInverse(moments, alphas[0] * factors), np.full(len(alphas), alphas[0])
    yield SpectralInverse(moments, factors, alphas), alphas


@pytest.mark.parametrize("decades", [0, 1, 2, 3])
@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 10.0])
def test_a_fit_from_moments_is_proven_with_its_rounding(decades, alpha):
    """The excess over the true minimum, in extended precision, is within the proven gap."""
    rng = np.random.default_rng(decades)
    X = rng.standard_normal((300, 8)) * np.logspace(0, -decades, 8) + 3.0
    X[:, 7] += X[:, 0]
    Y = X @ rng.standard_normal((8, 4)) + 0.1 * rng.standard_normal((300, 4))
    weight = rng.uniform(0.1, 2.0, 300)
    moments, *_ = moments_in_numpy(X, Y, weight)
    exact, Z, R, s = moments_in_numpy(X, Y, weight, np.longdouble)
    factors = np.linspace(0.5, 2.0, 8)
    for inverse, alphas in inverses(moments, factors, alpha * np.arange(1, 5)):
        fit = fit_moments(moments, inverse, 1e-12 * moments.square)
        assert fit.proven(1e-12 * moments.square).all()
        assert np.all(fit.gap <= 1e-16 * moments.square * 10.0 ** (2 * decades))
        for k, strength in enumerate(alphas):
            H = exact.gram + np.diag(strength * factors).astype(np.longdouble)
            best = fit.coef[:, k].astype(np.longdouble)
            for _ in range(20):  # refinement in extended precision
                slope = exact.correlation[:, k] - H @ best
                best = best + np.linalg.solve(H.astype(float), slope.astype(float))
            step = fit.coef[:, k] - best
            assert float(step @ H @ step) / 2 <= fit.gap[k]
            residual = R[:, k] - Z @ fit.coef[:, k]
            square = float(np.sum(s * residual * residual))
            assert fit.square[k] == pytest.approx(square, rel=1e-9)
            np.testing.assert_allclose(
                fit.correlation[:, k], ((Z.T * s) @ residual).astype(float), atol=1e-13
            )


def test_a_perturbation_as_large_as_the_claimed_rounding_is_paid_for():
    """Whatever the rounding of the moments is said to be, the proof covers all of it."""
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((200, 6)), rng.standard_normal((200, 3))
    exact, *_ = moments_in_numpy(X, Y, np.ones(200))
    alphas, factors = np.array([0.1, 0.2, 0.4]), np.ones(6)
    norm, size = np.sqrt(np.diag(exact.gram)), np.sqrt(exact.square)
    for level in (1e-12, 1e-8, 1e-6):
        sign = rng.choice([-1.0, 1.0], (6, 6))
        wrong = Moments(
            exact.gram + level * np.outer(norm, norm) * np.triu(sign) + 0.0,
            exact.correlation + level * np.outer(norm, size) * rng.choice([-1.0, 1.0], (6, 3)),
            exact.square,
            level,
        )
        upper = np.triu(wrong.gram)
        wrong.gram[:] = upper + np.triu(upper, 1).T
        for inverse, strengths in inverses(wrong, factors, alphas):
            fit = fit_moments(wrong, inverse, np.inf)
            for k, strength in enumerate(strengths):
                H = exact.gram + strength * np.eye(6)
                step = fit.coef[:, k] - np.linalg.solve(H, exact.correlation[:, k])
                assert 0.5 * step @ H @ step <= fit.gap[k]
                assert fit.gap[k] <= 1e4 * level**2


@pytest.mark.parametrize("kind", [0, 1], ids=["Cholesky", "spectrum"])
def test_poor_moments_prove_nothing(kind):
    X, Y = data()
    X[:, 5] = X[:, 0] + 1e-6 * X[:, 5]
    moments, *_ = moments_in_numpy(X, Y, np.ones(N))
    inverse, _ = list(inverses(moments, np.ones(6), np.full(12, 1e-13)))[kind]
    fit = fit_moments(moments, inverse, 1e-8)
    assert np.all(np.isinf(fit.gap))
    assert not fit.proven(1e300).any()


def test_refinement_ends_at_the_tolerance():
    X, Y = data()
    moments, *_ = moments_in_numpy(X, Y, np.ones(N))
    inverse = CholeskyInverse(moments, np.full(6, 0.1))
    assert fit_moments(moments, inverse, 1e-8).n_iter <= 2
    assert fit_moments(moments, inverse, 0.0).n_iter == normal_equations._REFINEMENTS + 1


def test_sparse_columns_with_a_large_mean_pay_for_it(alone):
    X, Y = data()
    X[:, 2] += 1e7
    X[0, 2] = 0.0
    X[1:3] = 0.0
    result = fastreg.solve(scipy.sparse.csc_array(X), Y, 0.1, l1_ratio=0.0)
    oracle.check(result, X, Y, alpha=0.1, l1_ratio=0.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("kind", "many"),
    [
        ("independent", False),
        ("independent", True),
        ("a common part", False),
        ("a common part", True),
        ("nearly singular", False),
    ],
)
def test_wide_ridge_refines_what_its_factor_lacks(monkeypatch, kind, dtype, many):
    """A factor in float where some rows allow it, one in double otherwise, no decomposition."""
    monkeypatch.setattr(responses, "_FLOAT_PAYS", {4: 1, 8: 1})
    monkeypatch.setattr(responses, "_SMALL", 0)
    monkeypatch.setattr(responses, "decompose", None)
    monkeypatch.setattr(small, "fit", lambda *_: None)
    used = []
    row_gram = responses.row_gram
    monkeypatch.setattr(responses, "row_gram", lambda *a: used.append(a[-1]) or row_gram(*a))
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 150))
    if kind != "independent":
        X += rng.standard_normal((60, 1)) * (20.0 if kind == "a common part" else 2e3)
    X = X.astype(dtype)
    y = X[:, :3].sum(axis=1) + rng.standard_normal(60)
    both = np.column_stack([y, rng.standard_normal(60)]) if many else y
    alpha = 1e-3 if kind == "nearly singular" else 1.0
    weight = rng.choice([0.5, 1.0, 3.0], 60)
    for model in ({}, {"fit_intercept": False}, {"sample_weight": weight}):
        used.clear()
        result = fastreg.solve(X, both, alpha, l1_ratio=0.0, **model)
        assert result.method == "cholesky"
        assert used[0] == (kind != "nearly singular")
        oracle.check(result, X, both, alpha=alpha, l1_ratio=0.0, **model)
