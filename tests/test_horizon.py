"""Paths on sparse X that certify points without reading rows: far features are left out of sight.

Judged by the oracle, and against the same path with every point measured on a dense copy of X.
"""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse

import fastreg

N, P = 150, 600


def words(seed, spread):
    """Rows of words, of which few are common where `spread` is small."""
    rng = np.random.default_rng(seed)
    column = np.minimum(rng.pareto(spread, size=(N, 30)) * 4, P - 1).astype(int)
    X = np.zeros((N, P))
    np.add.at(X, (np.repeat(np.arange(N), 30), column.ravel()), 1.0)
    X *= rng.uniform(0.5, 2.0, X.shape)
    order = np.argsort(-X.astype(bool).sum(axis=0))[:15]
    y = (X[:, order] / X[:, order].std(axis=0)) @ rng.standard_normal(15)
    return X, y / y.std() + 0.5 * rng.standard_normal(N) + 2.0


MODELS = {
    "lasso": {},
    "no intercept": {"fit_intercept": False},
    "elastic net": {"l1_ratio": 0.6},
    "weights": {"sample_weight": np.random.default_rng(0).uniform(0.0, 2.0, N)},
    "standardize": {"standardize": True},
    "free": {"penalty_factor": np.where(np.arange(P) % 100 == 7, 0.0, 1.0)},
}


@pytest.mark.parametrize("spread", [0.4, 1.2])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_point_is_certified(model, spread):
    X, y = words(1, spread)
    alphas = fastreg.alpha_max(X, y, **model) * np.geomspace(1.0, 0.02, 60)
    options = {"alphas": alphas, "method": "working_set", **model}
    path = fastreg.solve_path(scipy.sparse.csc_array(X), y, **options)
    dense = fastreg.solve_path(X, y, tol=1e-12, **options)
    assert path.n_passes < len(alphas)
    for i in range(0, len(alphas), 7):
        oracle.check(path[i], X, y, alpha=alphas[i], **model)
    assert not np.any(path.certified_zero & (dense.coef != 0.0))
    assert path.certified_zero.sum() > 0.95 * dense.certified_zero.sum()


def test_steps_of_any_length_are_certified():
    """Small steps after large ones, and the other way: a pace that was guessed is no proof."""
    X, y = words(2, 0.5)
    step = np.r_[np.full(5, 0.999), 0.3, np.full(5, 0.99), 0.5, np.full(20, 0.97)]
    alphas = fastreg.alpha_max(X, y) * np.cumprod(np.r_[1.0, step])
    path = fastreg.solve_path(scipy.sparse.csc_array(X), y, alphas=alphas, method="working_set")
    for i in range(len(alphas)):
        oracle.check(path[i], X, y, alpha=alphas[i])


def test_responses_share_nothing_of_the_horizon():
    X, y = words(3, 0.5)
    rng = np.random.default_rng(3)
    Y = np.column_stack([y, -3.0 * y + rng.standard_normal(N), rng.standard_normal(N)])
    matrix, alphas = scipy.sparse.csc_array(X), fastreg.alpha_max(X, y) * np.geomspace(1, 0.1, 20)
    path = fastreg.solve_path(matrix, Y, alphas=alphas, tol=1e-10, method="working_set")
    for k in range(Y.shape[1]):
        alone = fastreg.solve_path(
            matrix, Y[:, k].copy(), alphas=alphas, tol=1e-10, method="working_set"
        )
        np.testing.assert_allclose(path.coef[:, k], alone.coef, atol=1e-5)
