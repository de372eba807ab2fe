"""Many responses in lockstep: every claim holds, and a lane knows nothing of its neighbours."""

from __future__ import annotations

import itertools
from time import monotonic

import numpy as np
import oracle
import pytest
from problems import regression, row_weights

import fastreg
from fastreg import engine
from fastreg._core import kernels
from fastreg._core.moment_path import MomentPath
from fastreg.choice import Plan
from fastreg.problem import prepare
from fastreg.settings import Settings

N, P = 70, 9
COUNTS = [4, 7, 8, 9, 16, 17, 33]
ALPHAS = np.geomspace(3.0, 1e-3, 6)
MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "elastic net": {"l1_ratio": 0.4},
    "weights": {"sample_weight": row_weights(N)},
    "standardize": {"standardize": True, "offset": np.linspace(-3, 3, N)},
    "excluded": {"penalty_factor": np.r_[np.inf, np.linspace(0.5, 2.0, P - 1)]},
}


def data(m, n=N, p=P, correlation=0.0, seed=3):
    rng = np.random.default_rng(seed)
    X, _ = regression(n, p, seed=seed)
    for j in range(1, p):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1 - correlation**2) * X[:, j]
    W = rng.standard_normal((p, m)) * (rng.random((p, m)) < 0.4)
    return X, X @ W + rng.standard_normal((n, m)) + np.arange(m)


@pytest.fixture
def together(monkeypatch):
    """How many responses each run of a path has solved in lockstep."""
    counts = []
    run = engine.Engine._run_from_moments

    def counted(self, path, record, first, rounding=0.0):
        found = run(self, path, record, first, rounding)
        if first == 0:
            counts.append(path.n_in_lockstep)
        return found

    monkeypatch.setattr(engine.Engine, "_run_from_moments", counted)
    return counts


@pytest.mark.parametrize("m", COUNTS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_claim_holds(model, m, level, together):
    X, Y = data(m)
    path = fastreg.solve_path(X, Y, alphas=ALPHAS, **model)
    assert together == [m]
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha, **model)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_tolerances(l1_ratio, correlation, tol, together):
    X, Y = data(12, n=300, p=30, correlation=correlation)
    path = fastreg.solve_path(X, Y, alphas=ALPHAS, tol=tol, l1_ratio=l1_ratio)
    assert together[0] >= (9 if correlation < 0.95 else 1)
    assert (path.duality_gap <= path.tolerance).all()
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha, converged=False, l1_ratio=l1_ratio)


def runner(X, Y, alphas, **options):
    """Return a function that solves some of the responses, given as numbers, from their moments."""
    settings = Settings(**options)
    problem = prepare(X, Y, plan=Plan(settings, False, 3.0, Y.shape[1]))
    l1, l2 = problem.factors(0)
    assert np.ptp(problem.y_scale) == 0  # so that the strengths are the same inside

    def solve(some):
        run = engine.Engine(problem, settings, 1.0, alphas, monotonic())
        record = run.new_record(len(alphas))
        path = MomentPath(problem.gram, np.arange(X.shape[1]), l1, l2)
        path.run(
            record,
            0,
            np.ascontiguousarray(problem.cross[some]),
            problem.y_size[some],
            problem.y_scale[some],
            problem.y_mean[some],
            alphas,
            0.0 * alphas,
            tol=settings.tol,
            max_sweeps=settings.max_sweeps,
            deadline=np.inf,
            n_threads=settings.n_threads,
        )
        assert path.n_in_lockstep == len(some)
        return {
            name: np.asarray(getattr(record, name))[:, : len(some)]
            for name in ("coef", "intercept", "duality_gap", "n_sweeps", "certified_zero")
        }

    return solve


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_neighbours_and_threads_change_no_bit(correlation, level):
    m = 40
    X, Y = data(m, correlation=correlation)
    Y = (Y - Y.mean(axis=0)) / Y.std(axis=0) * 1.3
    alphas = np.geomspace(1.0, 1e-3, 12)
    solve = runner(X, Y, alphas)
    whole = solve(np.arange(m))
    rng = np.random.default_rng(0)
    for size in (m, 4, 7, 8, 9, 23):
        some = rng.choice(m, size, replace=False)
        for name, values in solve(some).items():
            np.testing.assert_array_equal(values, whole[name][:, some], err_msg=name)
    for name, values in runner(X, Y, alphas, n_threads=3)(np.arange(m)).items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)


def test_levels_agree():
    X, Y = data(21, correlation=0.8)
    before, found = kernels.level(), []
    for name in kernels.levels():
        kernels.use(name)
        found.append(fastreg.solve_path(X, Y, alphas=ALPHAS, tol=1e-12))
    kernels.use(before)
    for first, second in itertools.pairwise(found):
        np.testing.assert_allclose(first.coef, second.coef, atol=1e-7)
        np.testing.assert_allclose(first.objective, second.objective, rtol=1e-11)
        np.testing.assert_array_equal(first.coef != 0, second.coef != 0)


def test_a_thousand_responses(together):
    X, Y = data(1000, n=40, p=3)
    result = fastreg.solve(X, Y, 0.2)
    assert together == [1000]
    oracle.check(result, X, Y, alpha=0.2)


@pytest.mark.parametrize("size", [1e-150, 1e-100, 1e100, 1e150])
def test_scales(size, together):
    X, Y = data(9)
    path = fastreg.solve_path(X / size, Y * size, alphas=ALPHAS)
    assert together == ([9] if size < 1e120 else [])  # a square of X is no number
    other = fastreg.solve_path(X, Y, alphas=ALPHAS)
    close = 2e-4 * np.abs(other.coef).max()  # a gap of 1e-8
    np.testing.assert_allclose(path.coef / size / size, other.coef, atol=close)
    assert (path.status > 0).all()


def test_responses_of_different_size(together):
    X, Y = data(9)
    Y *= np.geomspace(1e-2, 1e2, 9)
    for alpha in np.geomspace(1e-2, 1e2, 5):
        path = fastreg.solve_path(X, Y, alphas=[alpha])
        oracle.check(path[0], X, Y, alpha=alpha)
    assert together == [9] * 5


def test_what_is_not_for_lanes_is_solved_one_by_one(together):
    X, Y = data(9)
    Y[:, 2] = 5.0  # nothing to fit
    Y[:, 4] = X[:, 0]  # nothing is left of it, at the last strength
    alphas = np.r_[ALPHAS, 1e-12]
    path = fastreg.solve_path(X, Y, alphas=alphas)
    assert together.pop() in (7, 8)
    for alpha, result in zip(alphas, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha)
    X[:, 3] = X[:, 0] - 2 * X[:, 1]
    fastreg.solve_path(X, Y, alphas=ALPHAS)  # dependent columns
    X = data(9)[0]
    fastreg.solve_path(X[:8], Y[:8], alphas=ALPHAS)
    fastreg.solve_path(X, Y, alphas=ALPHAS, penalty_factor=np.r_[0.0, np.ones(P - 1)])
    fastreg.solve_path(X, Y[:, :3], alphas=ALPHAS)
    assert not any(together)


def test_constant_columns(together):
    X, Y = data(9)
    X[:, [1, 6]] = 2.0
    path = fastreg.solve_path(X, Y, alphas=ALPHAS)
    assert together == [9]
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha)


@pytest.mark.parametrize("argument", ["X", "y"])
def test_no_number_is_refused(argument):
    X, Y = data(9)
    (X if argument == "X" else Y)[3, 2] = np.nan
    with pytest.raises(ValueError, match=argument):
        fastreg.solve(X, Y, 0.1)


def test_a_limit_of_time_is_kept():
    X, Y = data(60, n=200, p=40)
    path = fastreg.solve_path(X, Y, n_alphas=200, time_limit=1e-9)
    assert np.isin(path.status, [fastreg.Status.CONVERGED, fastreg.Status.TIME_LIMIT]).all()
    assert (path.status[:, 0] != 0).all() if path.status.ndim > 1 else len(path.status) == 200


def test_moments_of_rows(together):
    X, Y = data(9, n=500)
    moments = fastreg.Moments().add(X, Y)
    path = moments.path(alphas=ALPHAS)
    assert together[0] == 9
    for alpha, result in zip(ALPHAS, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha)


def drawn(rng):
    """A random problem, of which the parts that are usual come often."""
    n, p, m = int(rng.integers(3, 80)), int(rng.integers(1, 25)), int(rng.integers(4, 22))
    X, Y = data(m, n, p, rng.choice([0.0, 0.5, 0.97]), seed=int(rng.integers(1 << 30)))
    model = {}
    if rng.random() < 0.3:
        model["sample_weight"] = rng.random(n) * (rng.random(n) > 0.1) + 1e-3
    if rng.random() < 0.3:
        model["l1_ratio"] = float(rng.choice([0.99, 0.5, 0.01]))
    model["fit_intercept"] = bool(rng.random() < 0.8)
    model["standardize"] = bool(rng.random() < 0.3)
    if rng.random() < 0.3:
        model["penalty_factor"] = rng.choice([0.5, 1.0, 3.0, np.inf], p)
    if rng.random() < 0.2:
        X[:, rng.integers(p)] = 1.5
    if rng.random() < 0.2:
        X[:, rng.integers(p)] = X[:, rng.integers(p)]
    if rng.random() < 0.2:
        Y[:, rng.integers(m)] = 0.0
    if rng.random() < 0.2:
        X = X.astype(np.float32)
    size = float(rng.choice([1e-100, 1e-3, 1.0, 1.0, 1.0, 1e4, 1e100]))
    tol = float(rng.choice([1e-3, 1e-6, 1e-8, 1e-10, 1e-12]))
    return X, Y * size, size * np.geomspace(2.0, 10 ** rng.uniform(-4, 0), 5), tol, model


@pytest.mark.parametrize("seed", range(60))
def test_random_problems(seed):
    X, Y, alphas, tol, model = drawn(np.random.default_rng(seed))
    path = fastreg.solve_path(X, Y, alphas=alphas, tol=tol, **model)
    for alpha, result in zip(alphas, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha, converged=False, **model)
    assert (path.duality_gap <= path.tolerance)[path.status > 0].all()
    for k in (0, Y.shape[1] - 1):  # alone it is not in lockstep
        alone = fastreg.solve_path(X, Y[:, k], alphas=alphas, tol=tol, **model)
        both = path.tolerance[:, k] + alone.tolerance
        assert (np.abs(path.objective[:, k] - alone.objective) <= both * (1 + 1e-9)).all()
