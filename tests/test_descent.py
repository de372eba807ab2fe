"""Coordinate descent where columns depend on each other, and rounds gain next to nothing."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse

import fastreg
from fastreg._core.descent import coordinate_descent
from fastreg._core.working_set import WorkingSet
from fastreg.problem import prepare


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


def test_descent_copies_columns_that_a_working_set_has_given_up():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((3000, 400))
    given = prepare(X, X @ rng.standard_normal(400) + rng.standard_normal(3000))
    state = given.least_squares()
    given.begin(state, 0)
    work = WorkingSet(state, 1e9)
    limits = {"max_iter": 100, "max_sweeps": 10_000, "deadline": np.inf}
    assert work.solve(1e-2, 0.0, 1e-9, warm=False, **limits) > 0
    assert state.selection.size == 0
    status = coordinate_descent(state, 5e-3, 0.0, 1e-6, 100, np.inf, 1e9)[0]
    assert status > 0
    assert state.selection.size >= np.count_nonzero(state.state()[0]) > 200
