"""Many small random problems of every unpleasant kind, each answer judged by the oracle."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse

import fastreg

KINDS = {
    "gaussian": lambda X, rng: X,
    "integer": lambda X, rng: np.rint(X),
    "correlated": lambda X, rng: X * 10.0 ** -rng.uniform(0, 4) + rng.standard_normal((len(X), 1)),
    "duplicates": lambda X, rng: (
        X[:, rng.integers(0, X.shape[1], X.shape[1])] * rng.choice([-1, 1, 1, 2], X.shape[1])
    ),
    "sparse": lambda X, rng: X * (rng.random(X.shape) < 0.3),
    "means": lambda X, rng: X + 10.0 ** rng.uniform(0, 6, X.shape[1]),
    "scales": lambda X, rng: X * 10.0 ** rng.uniform(-6, 6, X.shape[1]),
    "low rank": lambda X, rng: (
        rng.standard_normal((len(X), 3)) @ rng.standard_normal((3, X.shape[1]))
    ),
    "nearly dependent": lambda X, rng: (
        X[:, np.arange(X.shape[1]) // 2 * 2] + 10.0 ** -rng.uniform(3, 6) * X
    ),
}
STORAGES = [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csc_array, scipy.sparse.csr_array]


def random_problem(kind, rng):
    n, p = rng.integers(2, 25), rng.integers(1, 25)
    X = KINDS[kind](rng.standard_normal((n, p)), rng)
    truth = rng.standard_normal(p) * (rng.random(p) < 0.4)
    y = X / np.maximum(np.abs(X).max(axis=0), 1e-9) @ truth
    y += rng.choice([0, 1e-6, 0.3, 3]) * rng.standard_normal(n) + rng.choice([0, 1, 100.0])
    return X, y


def random_model(n, p, rng):
    model = {
        "fit_intercept": bool(rng.random() < 0.7),
        "standardize": bool(rng.random() < 0.3),
        "l1_ratio": float(rng.choice([1, 1, 1, 0.9, 0.5, 0.01, 0])),
    }
    if rng.random() < 0.3:
        model["sample_weight"] = rng.choice([0, 0.5, 1, 2, 1e-3], n)
        model["sample_weight"][rng.integers(n)] = 1
    if rng.random() < 0.2:
        model["offset"] = 3 * rng.standard_normal(n)
    bounds = rng.random()
    if bounds < 0.2:
        model["positive"] = True
    elif bounds < 0.4:
        model["lower"] = -rng.choice([0, 0.1, 1, np.inf], p)
        model["upper"] = rng.choice([0, 0.1, 1, np.inf], p)
    elif bounds < 0.45:
        model["lower"] = rng.uniform(0.1, 0.2, p)
        model["upper"] = model["lower"] + rng.choice([0, 1.0], p)
        return model
    if rng.random() < 0.3:
        model["penalty_factor"] = rng.choice([0, 0.1, 1, 1, 3, np.inf], p)
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", range(5))
def test_random_problems(batch, kind):
    for number in range(8):
        rng = np.random.default_rng([batch, list(KINDS).index(kind), number])
        X, y = random_problem(kind, rng)
        model = random_model(*X.shape, rng)
        given = STORAGES[number % 4](X)
        method = rng.choice(["auto", "auto", "working_set", "gram"])
        if number % 2:
            path = fastreg.solve_path(given, y, n_alphas=8, eps=1e-4, method=str(method), **model)
            points = zip(path.alphas, path, strict=True)
        else:
            top = fastreg.alpha_max(given, y, **{**model, "l1_ratio": model["l1_ratio"] or 1.0})
            alpha = float(rng.choice([0.5, 0.05, 1e-3, 0])) * (top or 1.0)
            points = [(alpha, fastreg.solve(given, y, alpha=alpha, method=str(method), **model))]
        for alpha, result in points:
            oracle.check(result, X, y, alpha=alpha, **model)
