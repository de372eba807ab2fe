"""Coordinate descent where columns depend on each other, and rounds gain next to nothing."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse

import fastreg


def common(rng, n, p):
    """Columns that share most of what they are."""
    return rng.standard_normal((n, p)) + 30.0 * rng.standard_normal((n, 1))


def integers(rng, n, p):
    return np.rint(2 * rng.standard_normal((n, p)))


def far_from_zero(rng, n, p):
    return rng.standard_normal((n, p)) + 10.0 ** rng.uniform(0, 3, p)


def copies(rng, n, p):
    X = rng.standard_normal((n, p))
    return X[:, rng.integers(0, p, p)] * rng.choice([-1.0, 1.0, 2.0], p)


@pytest.mark.parametrize("kind", [common, integers, far_from_zero, copies])
@pytest.mark.parametrize("shape", [(6, 30), (40, 40), (60, 20)])
@pytest.mark.parametrize("model", ["lasso", "elastic net", "positive", "bounds", "weights"])
def test_dependent_columns_take_few_rounds(kind, shape, model):
    for seed in range(4):
        rng = np.random.default_rng([seed, *shape])
        n, p = shape
        X = kind(rng, n, p)
        y = X @ (rng.standard_normal(p) * (rng.random(p) < 0.4)) + rng.standard_normal(n)
        keywords = {
            "lasso": {},
            "elastic net": {"l1_ratio": 0.9, "standardize": True},
            "positive": {"positive": True},
            "bounds": {"lower": -rng.choice([0.0, 0.1, np.inf], p), "upper": 0.5},
            "weights": {"sample_weight": rng.choice([0.0, 0.5, 1.0, 3.0], n)},
        }[model]
        keywords["fit_intercept"] = bool(seed % 2)
        alpha = 1e-3 * fastreg.alpha_max(X, y, **keywords)
        given = scipy.sparse.csc_array(X)
        result = fastreg.solve(given, y, alpha, method="descent", **keywords)
        oracle.check(result, X, y, alpha=alpha, **keywords)
        assert result.method == "descent"
        assert result.n_iter < 100
