"""Degenerate data through every method: a true certificate, or an honest status."""

from __future__ import annotations

import itertools

import numpy as np
import oracle
import pytest
import scipy.sparse

import fastreg


def twins(rng, n, p):
    """Columns that are equal, opposite, or multiples of one another."""
    X = rng.standard_normal((n, max(1, p // 3)))
    return X[:, rng.integers(0, X.shape[1], p)] * rng.choice([-1.0, 1.0, 2.0], p)


def sums(rng, n, p):
    """The second half are sums of columns of the first."""
    X = np.rint(2 * rng.standard_normal((n, p)))
    half = (p + 1) // 2
    X[:, half:] = X[:, :half] @ rng.integers(-1, 2, (half, p - half))
    return X


def categories(rng, n, p):
    """All levels of some categoricals: each group of columns sums to one."""
    levels = [np.eye(4)[rng.integers(0, 4, n)] for _ in range((p + 3) // 4)]
    return np.hstack(levels)[:, :p]


def thresholds(rng, n, p):
    """Steps of the same few variables."""
    x = rng.standard_normal((n, 2))[:, np.arange(p) % 2]
    return (x > rng.standard_normal(p)).astype(float)


def signs(rng, n, p):
    """Entries of one size: many correlations tie."""
    return rng.choice([-1.0, 1.0], (n, p))


def constants(rng, n, p):
    """Zero, constant and repeated columns among others."""
    X = rng.standard_normal((n, p))
    X[:, ::4] = rng.choice([0.0, 0.1, -3.0, 1e5], len(X[0, ::4]))
    X[:, 1::4] = X[:, rng.integers(0, p, len(X[0, 1::4]))]
    return X


KINDS = [twins, sums, categories, thresholds, signs, constants]
STORAGES = [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csc_array, scipy.sparse.csr_array]
METHODS = {
    "working_set": {"method": "working_set"},
    "gram": {"method": "gram"},
    "gradient": {"method": "gradient"},
    "cholesky": {"method": "cholesky"},
    "svd": {"method": "svd"},
    "krylov": {"method": "krylov"},
    "little memory": {"method": "working_set", "gram_memory": 12.0 * 4**2},
}
SMOOTH = ("cholesky", "svd", "krylov")


def draw(kind, seed, *, smooth):
    """A problem and a model: X, y, keywords."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    n = int(rng.choice([2, 6, 15, 30]))
    p = int(rng.choice([1, 6, n, n + 1, 30]))
    X = kind(rng, n, p)
    y = X @ (rng.integers(-2, 3, p) * (rng.random(p) < 0.4))
    y = y + rng.choice([0.0, 0.5, 3.0]) * rng.standard_normal(n) + rng.choice([0.0, 10.0])
    model = {"fit_intercept": bool(seed % 3), "standardize": bool(rng.random() < 0.3)}
    model["l1_ratio"] = 0.0 if smooth else float(rng.choice([1, 1, 1, 0.5]))
    if rng.random() < 0.3:
        model["sample_weight"] = rng.choice([0.5, 1.0, 2.0], n)
    if smooth:
        return X, y, model
    if seed % 4 == 1:
        model["positive"] = True
    elif seed % 4 == 2:
        model["lower"] = -rng.choice([0, 0.1, 1, np.inf], p)
        model["upper"] = rng.choice([0, 0.1, 1, np.inf], p)
    if rng.random() < 0.3:
        model["penalty_factor"] = rng.choice([0, 0.5, 1, 1, 2, np.inf], p)
    return X, y, model


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("method", METHODS)
def test_every_method(method, kind):
    for seed in range(12):
        X, y, model = draw(kind, seed, smooth=method in SMOOTH)
        given = STORAGES[seed % (2 if method == "svd" else 4)](X)
        options = METHODS[method]
        if seed % 2:
            path = fastreg.solve_path(given, y, n_alphas=12, eps=1e-4, **options, **model)
            points = list(zip(path.alphas, path, strict=True))
        else:
            top = fastreg.alpha_max(given, y, **{**model, "l1_ratio": model["l1_ratio"] or 1.0})
            alpha = [1.0, 0.3, 1e-2, 1e-4][seed // 2 % 4] * (top or 1.0)
            points = [(alpha, fastreg.solve(given, y, alpha=alpha, **options, **model))]
        for alpha, result in points:
            slow = result.method.endswith(("gradient", "krylov"))
            oracle.check(result, X, y, alpha=alpha, converged=not slow, **model)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("positive", [False, True])
def test_twins_cost_no_sweeps(seed, positive):
    """Copies of columns rest: the same path as without them, in about as many sweeps."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 120))
    y = X[:, :8] @ rng.standard_normal(8) + rng.standard_normal(40)
    copies = np.hstack([X, X[:, :80] * rng.choice([1.0] if positive else [-1.0, 1.0], 80)])
    copies = copies[:, rng.permutation(200)]
    alphas = fastreg.alpha_max(X, y, positive=positive) * np.geomspace(1, 1e-3, 40)
    plain = fastreg.solve_path(X, y, alphas=alphas, method="working_set", positive=positive)
    path = fastreg.solve_path(copies, y, alphas=alphas, method="working_set", positive=positive)
    assert path.converged
    np.testing.assert_allclose(path.objective, plain.objective, rtol=1e-7)
    np.testing.assert_array_equal(path.n_active, plain.n_active)
    assert np.sum(path.n_sweeps) <= 1.3 * np.sum(plain.n_sweeps)


@pytest.mark.parametrize("method", ["working_set", "gram"])
def test_twins_that_are_not_interchangeable(method):
    """The later one is cheaper, takes over from a bound, has the other sign, or shares a ridge."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((30, 1))
    other = rng.standard_normal((30, 2))
    y = 3 * x[:, 0] + other[:, 0] + 0.1 * rng.standard_normal(30)
    X = np.hstack([x, other, x])
    for model in (
        {"penalty_factor": [1.0, 1, 1, 0.5]},
        {"penalty_factor": [np.inf, 1, 1, 1]},
        {"penalty_factor": [1.0, 1, 1, 0]},
        {"upper": [1.0, np.inf, np.inf, np.inf]},
        {"upper": [0.0, np.inf, np.inf, np.inf]},
        {"l1_ratio": 0.5},
    ):
        result = fastreg.solve(X, y, alpha=0.1, method=method, tol=1e-12, **model)
        oracle.check(result, X, y, alpha=0.1, converged=False, **model)
        assert result.converged
        assert result.coef[3] > 0.5
    turned = np.hstack([-x, other, x])
    result = fastreg.solve(turned, y, alpha=0.1, method=method, positive=True)
    oracle.check(result, turned, y, alpha=0.1, positive=True)
    assert result.coef[3] > 2
    scaled = np.hstack([x, other, 2 * x])
    result = fastreg.solve(scaled, y, alpha=0.1, method=method)
    oracle.check(result, scaled, y, alpha=0.1)
    assert result.coef[0] == 0
    assert result.coef[3] > 1


def test_a_warm_start_with_weight_on_a_twin():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((30, 3))
    y = 3 * X[:, 0] + 0.1 * rng.standard_normal(30)
    X = np.hstack([X, X[:, :1], -X[:, :1]])
    for start in ([0, 0, 0, 3.0, 0], [1, 0, 0, 1.0, -1], [0, 0, 0, 0, -5.0], [-1, 0, 0, 4.0, 0]):
        result = fastreg.solve(X, y, alpha=0.1, warm_start=start)
        oracle.check(result, X, y, alpha=0.1)


def test_products_before_a_pass():
    """Correlations that single products gave are not corrected again by the pass after them."""
    for seed in range(60):
        rng = np.random.default_rng([7, seed])
        base = rng.standard_normal((7, 10))
        X = base[:, np.arange(10) // 2 * 2] + 10.0 ** -rng.uniform(3, 5) * base
        y = X @ (rng.standard_normal(10) * (rng.random(10) < 0.4)) + 3 * rng.standard_normal(7)
        model = {
            "lower": -rng.choice([0, 0.1, 1, np.inf], 10),
            "upper": rng.choice([0, 0.1, 1, np.inf], 10),
        }
        alpha = 0.05 * fastreg.alpha_max(X, y, **model)
        result = fastreg.solve(X, y, alpha=alpha, method="working_set", **model)
        oracle.check(result, X, y, alpha=alpha, converged=False, **model)


def light_levels(rng, n, n_groups, lightest):
    """All levels of some categoricals, most of whose rows weigh next to nothing."""
    groups = rng.integers(0, rng.integers(2, 25, n_groups), (n, n_groups))
    X = np.hstack([np.eye(g.max() + 1)[g] for g in groups.T])
    kind = int(rng.integers(3))
    if kind == 0:
        weight = 10.0 ** rng.uniform(np.log10(lightest), 0, n)
    elif kind == 1:
        weight = np.where(groups[:, 0] == 0, 1.0, lightest) * rng.uniform(0.5, 1, n)
    else:
        weight = 10.0 ** rng.uniform(np.log10(lightest), 0, groups[:, 0].max() + 1)[groups[:, 0]]
    return X, weight


@pytest.mark.parametrize("method", ["working_set", "gram"])
@pytest.mark.parametrize("lightest", [1e-3, 1e-6, 1e-9])
def test_unpenalised_levels_of_next_to_no_weight(method, lightest):
    """Scaled to one size, columns depend on others with large weights: pivots are all rounding."""
    for seed in range(40):
        rng = np.random.default_rng([seed, int(-np.log10(lightest))])
        n = int(rng.choice([40, 150, 400]))
        X, weight = light_levels(rng, n, int(rng.integers(1, 4)), lightest)
        free = X.shape[1]
        X = np.hstack([X, rng.standard_normal((n, int(rng.choice([1, 4, 20]))))])
        y = X @ rng.standard_normal(X.shape[1]) + rng.standard_normal(n)
        order = rng.permutation(X.shape[1])
        model = {
            "fit_intercept": bool(seed % 2),
            "sample_weight": weight,
            "penalty_factor": np.where(np.arange(X.shape[1]) < free, 0.0, 1.0)[order],
            "l1_ratio": float(rng.choice([1.0, 0.5])),
        }
        X = X[:, order]
        alpha = rng.choice([0.5, 0.1, 1e-2, 1e-4]) * fastreg.alpha_max(X, y, **model)
        result = fastreg.solve(X, y, alpha=alpha, method=method, **model)
        assert result.converged, (seed, result.message)
        truth = oracle.make_problem(X, y, alpha, **model)
        rounding = oracle.rounding(truth, result.coef, result.intercept)
        gap = oracle.duality_gap(truth, result.coef, result.intercept, result.duality_gap)
        assert gap <= result.duality_gap * (1 + 1e-6) + rounding.gap
        assert result.duality_gap <= result.tolerance
        assert np.abs(result.coef).max() < 1e8


def nearly_a_sum(d, eps):
    """Two columns that differ by d times nearly a third, and the least value of the loss."""
    n = 200
    x, other, z, free = np.random.default_rng(0).standard_normal((4, n))
    y = x + other + z + 0.5 * np.random.default_rng(1).standard_normal(n)
    X = np.stack([x, x + d * (other + eps * z), other, free], 1)
    apart = np.stack([x, (X[:, 1] - x) / d, other, free, np.ones(n)], 1)  # nothing is rounded
    residual = y - apart @ np.linalg.lstsq(apart, y)[0]
    return X, y, 0.5 * np.mean(residual**2)


@pytest.mark.parametrize("method", ["working_set", "gram", "gradient", "descent"])
@pytest.mark.parametrize("d", [1e-6, 3e-7, 1e-8])
def test_members_behind_one_that_depends_on_them(method, d):
    """Pivots of a Gram matrix are partly rounding, or raised, and others follow: no gap is lost."""
    storage = scipy.sparse.csc_array if method == "descent" else np.asarray
    models = [(0.0, None)] if method == "descent" else [(0.0, None), (1e-2, [0, 0, 0, 1e-12])]
    orders = list(itertools.permutations(range(4)))
    for eps, (alpha, factor) in itertools.product([1.0, 0.3, 0.1, 0.03], models):
        X, y, least = nearly_a_sum(d, eps)
        for k, order in enumerate(orders[:4] if method == "gradient" else orders):
            columns = list(order)
            result = fastreg.solve(
                storage(X[:, columns]),
                y,
                alpha,
                method=method,
                tol=[1e-3, 1e-4, 1e-8][k % 3],
                penalty_factor=None if factor is None else np.array(factor)[columns],
            )
            residual = y - X[:, columns].astype(np.longdouble) @ result.coef
            error = 0.5 * np.mean((residual - residual.mean()) ** 2) - least
            rounding = 1e-12 * np.var(y) + 64 * (2.2e-16 * np.abs(result.coef).max()) ** 2
            assert error <= result.duality_gap * (1 + 1e-6) + rounding, (eps, alpha, order)
            if method in ("working_set", "gram"):
                assert result.converged
