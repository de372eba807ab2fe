"""Which method solves a problem, and that every way through the choice ends with a true proof."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse

import fastreg
from fastreg import choice, costs
from fastreg._core import small


def sparse_problem(n, p, density, seed=0, dtype=np.float64):
    """A sparse design with a full and an empty column, and a response of ten columns."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < density)
    X[:, 0] = 5.0 + rng.standard_normal(n)
    X[:, 1] = 0.0
    y = X[:, 2:12].sum(axis=1) + rng.standard_normal(n) + 2.0
    return scipy.sparse.csc_array(X.astype(dtype)), y


MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "weights": {"sample_weight": "weights"},
    "weights, no intercept": {"sample_weight": "weights", "fit_intercept": False},
    "elastic net": {"l1_ratio": 0.5},
    "standardize": {"standardize": True},
    "positive": {"positive": True},
    "bounds": {"lower": -0.3, "upper": 0.2},
    "factors": {"penalty_factor": "factors"},
}


def arguments(name, n, p):
    """The arguments of a model, and alpha."""
    rng = np.random.default_rng(1)
    model = dict(MODELS[name])
    if "sample_weight" in model:
        model["sample_weight"] = rng.choice([0.0, 0.5, 1.0, 3.0], n)
    if "penalty_factor" in model:
        model["penalty_factor"] = rng.choice([0.5, 1.0, 2.0, np.inf], p)
    return model


@pytest.mark.parametrize("storage", ["csc", "C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", MODELS)
def test_descent_is_proven(name, dtype, storage):
    X, y = sparse_problem(80, 40 if storage == "csc" else 70, 0.2, dtype=dtype)
    if storage != "csc":
        X = np.asarray(X.toarray(), order=storage)
    model = arguments(name, *X.shape)
    for alpha in (0.3, 0.02):
        result = fastreg.solve(X, y, alpha, method="descent", **model)
        assert result.method == "descent"
        oracle.check(result, X, y, alpha=alpha, **model)
        exact = fastreg.solve(X, y, alpha, method="working_set", tol=1e-12, **model)
        np.testing.assert_allclose(result.coef, exact.coef, atol=1e-4)
        assert result.objective - exact.objective <= result.duality_gap + exact.duality_gap + 1e-14


def test_descent_leaves_unpenalised_features_to_the_certificate():
    X, y = sparse_problem(80, 30, 0.3)
    factor = np.ones(30)
    factor[[2, 5]] = 0.0
    result = fastreg.solve(X, y, 0.1, method="descent", penalty_factor=factor)
    oracle.check(result, X, y, alpha=0.1, penalty_factor=factor)


def test_descent_of_smooth_problems_paths_and_responses():
    X, y = sparse_problem(80, 40, 0.2)
    both = np.column_stack([y, y**2])
    for alpha, l1_ratio in ((0.1, 0.0), (0.0, 1.0)):
        result = fastreg.solve(X, both, alpha, l1_ratio=l1_ratio, method="descent")
        assert result.method == "descent"
        oracle.check(result, X, both, alpha=alpha, l1_ratio=l1_ratio)
    path = fastreg.solve_path(X, both, n_alphas=5, eps=1e-2, method="descent")
    assert path.method == "descent"
    for i in range(5):
        oracle.check(path[i], X, both, alpha=path.alphas[i])


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"max_iter": 1}, "MAX_ITER"),
        ({"time_limit": 1e-9}, "TIME_LIMIT"),
        ({"tol": 1e-300}, "STALLED"),
    ],
)
def test_limits_of_descent(options, status):
    X, y = sparse_problem(80, 40, 0.2)
    result = fastreg.solve(X, y, 1e-3, method="descent", **options)
    assert result.status is fastreg.Status[status]
    oracle.check(result, X, y, alpha=1e-3, converged=False)


def test_descent_of_a_constant_response():
    X, _ = sparse_problem(60, 20, 0.3)
    result = fastreg.solve(X, np.full(60, 3.0), 0.1, method="descent")
    assert result.converged
    assert not result.coef.any()
    np.testing.assert_allclose(result.intercept, 3.0)


def test_a_large_support_is_left_to_descent():
    X, y = sparse_problem(3000, 1000, 0.004)
    result = fastreg.solve(X, y, 0.01 * fastreg.alpha_max(X, y), tol=1e-6)
    assert result.method == "descent"
    assert result.n_active > 300
    exact = fastreg.solve(X, y, result.alpha, tol=1e-12, method="working_set")
    assert result.objective - exact.objective <= result.duality_gap <= 1e-6 * result.null_objective


def test_a_path_goes_on_with_descent():
    X, y = sparse_problem(3000, 1000, 0.004)
    path = fastreg.solve_path(X, y, n_alphas=30, eps=0.01, tol=1e-6)
    assert path.method == "working_set, then descent"
    other = fastreg.solve_path(X, y, alphas=path.alphas, method="working_set", tol=1e-10)
    np.testing.assert_allclose(path.objective, other.objective, rtol=2e-6)
    assert np.all(path.duality_gap <= 1e-6 * path.null_objective)


@pytest.mark.parametrize("shape", [(2000, 20_000), (20_000, 2000)])
def test_a_working_set_has_room_for_some_features(shape):
    n, p = shape
    few = costs.Sparse(n, p, n * p // 500)
    assert 64 < few.most_features < 0.75 * min(n, p)
    assert few.step(few.most_features) >= few.descent(few.most_features)
    assert costs.Sparse(n, p, n * p // 2).most_features == np.inf  # reads are dear


@pytest.fixture
def eager(monkeypatch):
    """Descent is considered for the smallest sparse problem, and follows a tiny working set."""
    monkeypatch.setattr(choice.Plan, "may_descend", lambda plan, X: True)
    monkeypatch.setattr(costs.Sparse, "most_features", 3.0)
    monkeypatch.setattr(choice.Plan, "_for_sparse", lambda plan, X: "working_set")
    monkeypatch.setattr("fastreg.api.dense_if_small", lambda X, l1_ratio: X)


@pytest.mark.parametrize("steps", [0, 2, 10**9])
@pytest.mark.parametrize("name", MODELS)
def test_every_change_of_method_keeps_the_proof(eager, monkeypatch, name, steps):
    seen = []

    def suffices(headway, reads, gap, n_active):
        headway.n_active = n_active
        seen.append(reads)
        return len(seen) <= steps

    monkeypatch.setattr(choice.Headway, "suffices", suffices)
    X, y = sparse_problem(60, 50 if name == "plain" else 30, 0.3)
    model = arguments(name, *X.shape)
    result = fastreg.solve(X, y, 0.05, **model)
    assert result.method == ("descent" if steps > 2 else "descent, then working_set")
    oracle.check(result, X, y, alpha=0.05, **model)
    seen.clear()
    path = fastreg.solve_path(X, y, n_alphas=12, eps=1e-2, **model)
    assert path.method.startswith("working_set, then descent")
    for i in range(12):
        oracle.check(path[i], X, y, alpha=path.alphas[i], **model)


def test_several_responses_change_the_method_each(eager):
    X, y = sparse_problem(60, 30, 0.3)
    both = np.column_stack([y, np.random.default_rng(3).standard_normal(60)])
    path = fastreg.solve_path(X, both, n_alphas=8, eps=1e-2)
    single = [fastreg.solve_path(X, both[:, k], alphas=path.alphas) for k in range(2)]
    assert path.method == "working_set, then descent"
    for i in range(8):
        oracle.check(path[i], X, both, alpha=path.alphas[i])
    for k in range(2):
        np.testing.assert_allclose(path.objective[:, k], single[k].objective, rtol=1e-7)
    assert np.all(path.duality_gap <= 1e-8 * path.null_objective)


def test_a_grid_that_ends_at_zero_with_bounds(eager):
    X, y = sparse_problem(60, 10, 0.5)
    path = fastreg.solve_path(X, y, alphas=[1.0, 0.01, 0.0], positive=True)
    assert "descent" not in path.method
    for i in range(3):
        oracle.check(path[i], X, y, alpha=path.alphas[i], positive=True)


def test_descent_gives_up_where_it_makes_no_headway():
    headway = choice.Headway(costs.Sparse(100, 100, 9200), null=1.0, target=1e-8, n_left=1)
    assert headway.suffices(0.0, np.inf, 0)
    assert headway.suffices(5.0, 1e-4, 10)
    assert not headway.suffices(500.0, 9e-5, 10)


def test_descent_goes_on_where_the_end_is_near():
    headway = choice.Headway(costs.Sparse(100, 100, 9200), null=1.0, target=1e-8, n_left=1)
    gap = 1e-3
    for reads in range(0, 60, 10):
        assert headway.suffices(float(reads), gap, 10)
        gap *= 0.05


def test_nothing_to_reach_ends_descent():
    headway = choice.Headway(costs.Sparse(100, 100, 9200), null=0.0, target=0.0, n_left=1)
    assert headway.suffices(0.0, np.inf, 0)
    assert not headway.suffices(1.0, 1e-3, 0)


def dense_problem(n, p, seed=0, kind="independent"):
    """A dense design, and a response of ten columns with as much noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    if kind == "autoregressive":
        for j in range(1, p):
            X[:, j] = 0.9 * X[:, j - 1] + np.sqrt(0.19) * X[:, j]
    signal = X[:, :: p // 10].sum(axis=1)
    return X, signal / signal.std() + rng.standard_normal(n) + 2.0


def test_correlated_features_count_as_few():
    rng = np.random.default_rng(0)
    for kind, expected in (("independent", 400.0), ("autoregressive", 400 * 0.19 / 1.81)):
        X = dense_problem(64, 400, kind=kind)[0]
        assert expected / 2 < choice.rank_of(X) < 2 * expected
    assert choice.rank_of(np.tile(rng.standard_normal((64, 1)), 50)) < 3.0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_tell_the_steps_down(order, dtype, weighted):
    X, y = dense_problem(5000, 100)
    X, factor = np.asarray(X + 3.0, order=order, dtype=dtype), np.full(100, 2.0)
    weight = np.random.default_rng(2).choice([0.0, 1.0, 2.0], 5000) if weighted else np.ones(5000)
    largest = fastreg.alpha_max(X, y, sample_weight=weight, penalty_factor=factor)
    for share in (1.0, 0.1, 1e-3):
        steps = choice.steps_down(X, y, weight / weight.sum(), factor, share * largest, True)
        assert abs(steps - np.log(1 / share) / np.log(3)) < 0.5
    assert choice.steps_down(X, y, weight, factor, 10 * largest, True) == 0.0


@pytest.mark.parametrize(
    ("X", "y"),
    [(np.nan, 1.0), (np.inf, 1.0), (1e300, 1e300), (0.0, 1.0), (1.0, 0.0)],
)
def test_rows_that_tell_nothing(X, y):
    rng = np.random.default_rng(0)
    X, y = X * rng.random((40, 5)), y * rng.random(40)
    steps = choice.steps_down(X, y, np.full(40, 1 / 40), np.ones(5), 0.1, True)
    assert steps == choice.UNKNOWN.steps
    assert choice.steps_down(X, y, np.zeros(40), np.ones(5), 0.1, True) == choice.UNKNOWN.steps


def test_a_strength_near_the_largest_is_left_to_a_working_set():
    X, y = dense_problem(2000, 200)
    largest = fastreg.alpha_max(X, y)
    for share, method in ((0.6, "working_set"), (0.01, "gram")):
        result = fastreg.solve(X, y, share * largest)
        assert result.method == method
        oracle.check(result, X, y, alpha=share * largest)


def test_small_matrices_along_a_path():
    X, y = dense_problem(60, 100)
    assert fastreg.solve_path(X, y, n_alphas=5).method == "gram"
    wide = np.hstack([X, X**3, np.sin(9 * X)])
    assert fastreg.solve_path(wide, y, n_alphas=5).method == "working_set"


@pytest.fixture
def foresight(monkeypatch):
    """Small dense problems begin with a working set that may foresee a large support."""
    monkeypatch.setattr(choice, "_WORTH_A_LOOK", 0)
    monkeypatch.setattr(choice.Outlook, "passes", 0.0)
    monkeypatch.setattr(choice, "_LOOK", 0.0)
    monkeypatch.setattr(choice, "_SMALL", 0)
    monkeypatch.setattr(small, "fit", lambda *_: None)


@pytest.mark.parametrize("in_float", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", MODELS)
def test_a_large_support_is_foreseen(foresight, monkeypatch, name, order, in_float):
    if in_float:
        monkeypatch.setattr(choice, "_WIDE_PAYS", 1)
        monkeypatch.setattr(choice, "_FLOAT_ENTRIES", 0)
    X, y = dense_problem(3000 if in_float else 300, 60 if in_float else 90)
    X = np.asarray(X, order=order)
    model = arguments(name, *X.shape)
    result = fastreg.solve(X, y, 0.002, **model)
    assert result.method == "working_set, then gram"
    oracle.check(result, X, y, alpha=0.002, **model)
    exact = fastreg.solve(X, y, 0.002, method="working_set", tol=1e-12, **model)
    assert result.objective - exact.objective <= result.duality_gap + exact.duality_gap + 1e-14


def test_a_small_support_is_not_taken_for_a_large_one(foresight):
    X, _ = dense_problem(300, 90)
    exact = X[:, :5].sum(axis=1)
    assert fastreg.solve(X, exact, 0.01).method == "working_set"
    assert fastreg.solve(*dense_problem(300, 90), 0.2).method == "working_set"
    X, y = dense_problem(900, 400, kind="autoregressive")
    result = fastreg.solve(X, y, 0.3)
    assert result.method == "working_set"
    oracle.check(result, X, y, alpha=0.3)


def test_a_path_takes_all_features_once_that_is_foreseen(foresight):
    X, y = dense_problem(300, 90)
    path = fastreg.solve_path(X, y, n_alphas=20, eps=1e-3)
    assert path.method == "working_set"
    other = fastreg.solve_path(X, y, alphas=path.alphas, method="gram", tol=1e-10)
    np.testing.assert_allclose(path.objective, other.objective, rtol=1e-7)
    for i in range(20):
        oracle.check(path[i], X, y, alpha=path.alphas[i])


def test_a_path_on_sparse_columns_takes_all_features_once_that_is_foreseen(foresight, monkeypatch):
    monkeypatch.setattr(choice, "_READS", 0.0)
    monkeypatch.setattr(choice, "_MOST_READS", 0.0)
    monkeypatch.setattr(choice, "_CALLS", 0.0)
    monkeypatch.setattr(choice, "_STRENGTHS", 0.0)
    monkeypatch.setattr("fastreg.api.dense_if_small", lambda X, l1_ratio: X)
    sampled = []
    rank = choice.rank_of
    monkeypatch.setattr("fastreg.engine.rank_of", lambda rows: sampled.append(rows) or rank(rows))
    X, y = sparse_problem(900, 90, 0.3)
    path = fastreg.solve_path(X, y, n_alphas=20, eps=1e-3)
    assert path.method == "working_set"
    rows = sampled[0][[0, -1]] * X.toarray().std(axis=0) + X.mean(axis=0)
    np.testing.assert_allclose(rows, X[[0, 899]].toarray(), atol=1e-12)
    for i in range(20):
        oracle.check(path[i], X, y, alpha=path.alphas[i])


def test_no_memory_for_all_features_means_no_foresight(foresight):
    X, y = dense_problem(300, 90)
    result = fastreg.solve(X, y, 0.002, gram_memory=12.0 * 80**2)
    assert "gram" not in result.method.split(", then ")
    oracle.check(result, X, y, alpha=0.002)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", [(2000, 120), (300, 600)], ids=str)
def test_ridge_on_sparse_columns_goes_by_steps(shape, fit_intercept, weighted):
    X, y = sparse_problem(*shape, 0.05)
    weight = np.random.default_rng(1).uniform(0.1, 3.0, shape[0]) if weighted else None
    model = {"l1_ratio": 0.0, "fit_intercept": fit_intercept, "sample_weight": weight}
    result = fastreg.solve(X, y, 0.01, **model)
    assert result.method == "krylov"
    assert result.relative_gap <= 1e-12  # far below the tolerance, which a factor would be, too
    oracle.check(result, X, y, alpha=0.01, **model)
    direct = fastreg.solve(X, y, 0.01, method="cholesky", **model)
    np.testing.assert_allclose(result.coef, direct.coef, atol=1e-5 * np.abs(direct.coef).max())


def test_steps_that_lead_nowhere_give_way_to_a_factor():
    X, y = sparse_problem(2000, 120, 0.05)
    X = X.tolil()
    for j in range(1, 120):  # neighbours that are nearly the same
        X[:, j] = X[:, [j - 1]] + 1e-3 * X[:, [j]]
    X = scipy.sparse.csc_array(X)
    result = fastreg.solve(X, y, 1e-6, l1_ratio=0.0)
    assert result.method == "cholesky"
    assert result.converged
    direct = fastreg.solve(X, y, 1e-6, l1_ratio=0.0, method="cholesky")
    assert result.objective == pytest.approx(direct.objective, rel=1e-7)


@pytest.mark.parametrize(
    "model",
    [
        {"alpha": 0.0},
        {"alpha": 0.1, "penalty_factor": np.arange(120) > 0},
        {"alpha": 0.1, "method": "cholesky"},
    ],
    ids=["least squares", "an unpenalised feature", "cholesky"],
)
def test_where_no_steps_are_tried(model):
    X, y = sparse_problem(2000, 120, 0.05)
    assert fastreg.solve(X, y, l1_ratio=0.0, **model).method == "cholesky"


def test_limits_and_tight_tolerances_of_steps():
    X, y = sparse_problem(2000, 120, 0.05)
    for options in ({"max_iter": 1}, {"tol": 1e-15}, {"tol": 1e-30}):
        result = fastreg.solve(X, y, 0.01, l1_ratio=0.0, **options)
        reference = fastreg.solve(X, y, 0.01, l1_ratio=0.0, method="cholesky")
        np.testing.assert_allclose(
            result.coef, reference.coef, atol=1e-6 * np.abs(reference.coef).max()
        )


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "standardize"])
def test_descent_takes_over_where_the_support_of_dense_data_is_large(name, order):
    rng = np.random.default_rng(3)
    X = np.asarray(rng.standard_normal((600, 500)), order=order)
    y, model = rng.standard_normal(600), arguments(name, 600, 500)
    share = 0.1 if name in ("positive", "factors") else 0.15  # where some may not move
    alpha = share * fastreg.alpha_max(X, y, **model)
    result = fastreg.solve(X, y, alpha, tol=1e-4, **model)
    assert result.method == "working_set, then descent"
    oracle.check(result, X, y, alpha=alpha, tol=1e-4, **model)
    assert not fastreg.solve(X, y, alpha, tol=1e-14, **model).method.endswith("descent")


def test_an_elastic_net_with_more_nonzeros_than_rows_goes_on_with_descent():
    rng = np.random.default_rng(4)
    common = rng.standard_normal((100, 5)) @ rng.standard_normal((5, 2000))
    X = rng.standard_normal((100, 2000)) + 3.0 * common
    y = X[:, ::2].sum(axis=1)
    model = {"l1_ratio": 0.1}
    alpha = 0.02 * fastreg.alpha_max(X, y, **model)
    result = fastreg.solve(X, y, alpha, tol=1e-4, **model)
    assert result.method == "working_set, then descent"
    assert result.n_active > 100
    oracle.check(result, X, y, alpha=alpha, tol=1e-4, **model)


def test_descent_on_dense_data_gives_up_where_it_makes_no_headway(monkeypatch):
    monkeypatch.setattr(choice.Headway, "suffices", lambda self, reads, *_: reads == 0.0)
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((600, 500)), rng.standard_normal(600)
    alpha = 0.15 * fastreg.alpha_max(X, y)
    result = fastreg.solve(X, y, alpha, tol=1e-4)
    assert result.method.startswith("working_set, then descent")
    assert result.duality_gap < 1e-9 * result.null_objective
    oracle.check(result, X, y, alpha=alpha, tol=1e-4)


def test_no_memory_for_copies_means_no_descent_on_dense_data():
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((600, 500)), rng.standard_normal(600)
    alpha = 0.15 * fastreg.alpha_max(X, y)
    for order, n_copies in (("C", 0), ("F", 1)):
        given = np.asarray(X, order=order)
        result = fastreg.solve(given, y, alpha, tol=1e-4, gram_memory=8.0 * X.size - 1.0)
        assert result.method.endswith("descent") == bool(n_copies)
        oracle.check(result, X, y, alpha=alpha, tol=1e-4)


@pytest.mark.parametrize(
    "model", [{}, {"positive": True}, {"l1_ratio": 0.9}, {"tol": 1e-2}], ids=str
)
def test_a_large_support_after_descent_has_given_up(model):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2400, 800))
    X[:, 1::2] = X[:, ::2] + 0.1 * X[:, 1::2]
    y = (X[:, 1::2] - X[:, ::2]).sum(axis=1)
    y += y.std() * rng.standard_normal(2400)
    alpha = 0.03 * fastreg.alpha_max(X, y)
    result = fastreg.solve(X, y, alpha, **model)
    assert result.method.startswith("working_set, then descent")
    assert result.converged
    oracle.check(result, X, y, alpha=alpha, **model)
    path = fastreg.solve_path(X, y, alphas=[alpha], **model)
    assert path.status[0] == fastreg.Status.CONVERGED
