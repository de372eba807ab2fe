"""Where a careless solver crashes, hangs, or answers with what it did not compute."""

from __future__ import annotations

import threading
import time

import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import regression

import fastreg
from fastreg import lapack

METHODS = ["auto", "working_set", "gram", "cholesky", "svd", "krylov", "gradient"]
FORMATS = ["csc", "csr", "coo"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("index", [-1, 1000, 2**31 - 1])
def test_indices_outside_of_a_sparse_design(format_, index):
    X, y = regression(12, 4)
    damaged = scipy.sparse.coo_array(X).asformat(format_)
    (damaged.row if format_ == "coo" else damaged.indices)[3] = index
    with pytest.raises(ValueError, match="X is a damaged sparse matrix"):
        fastreg.solve(damaged, y, alpha=0.1)


@pytest.mark.parametrize("format_", ["csc", "csr"])
def test_column_starts_that_make_no_sense(format_):
    X, y = regression(12, 4)
    for position, value in ((-1, 10_000), (0, 5), (1, -3), (2, 0)):
        damaged = scipy.sparse.coo_array(X).asformat(format_)
        damaged.indptr[position] = value
        with pytest.raises(ValueError, match="X is a damaged sparse matrix"):
            fastreg.solve(damaged, y, alpha=0.1)


def test_a_sparse_design_that_is_wrong_about_its_order():
    X, y = regression(12, 4)
    matrix = scipy.sparse.csc_array(X)
    assert matrix.has_sorted_indices  # and now remembers it
    for j in range(4):
        part = slice(matrix.indptr[j], matrix.indptr[j + 1])
        matrix.indices[part] = matrix.indices[part][::-1].copy()
        matrix.data[part] = matrix.data[part][::-1].copy()
    oracle.check(fastreg.solve(matrix, y, alpha=0.1), X, y, alpha=0.1)


def test_stored_values_that_are_not_contiguous():
    X, y = regression(12, 4)
    matrix = scipy.sparse.csc_array(X)
    matrix.data = np.repeat(matrix.data, 2)[::2]
    oracle.check(fastreg.solve(matrix, y, alpha=0.1), X, y, alpha=0.1)


@pytest.mark.parametrize("method", ["auto", "gradient"])
def test_a_path_stops_at_the_time_limit(method):
    """The points after it are there, proven as far as they are good."""
    X, y = regression(300, 900, noise=3)
    limit = 0.003
    started = time.monotonic()
    path = fastreg.solve_path(X, y, time_limit=limit, method=method, tol=1e-14, eps=1e-5)
    assert time.monotonic() - started < limit + 5
    assert path.status[-1] == fastreg.Status.TIME_LIMIT
    for i in (0, 60, 99):
        oracle.check(path[i], X, y, alpha=path.alphas[i], converged=False)


@pytest.mark.parametrize("method", ["auto", "svd"])
def test_a_long_decomposition_stops_at_the_time_limit(method, monkeypatch):
    """The work goes on in the background; the point at hand is proven and returned."""
    finished = threading.Event()

    decompose = np.linalg.svd

    def svd(matrix, **options):
        finished.wait(20)
        return decompose(matrix, **options)

    monkeypatch.setattr(np.linalg, "svd", svd)
    X, y = regression(600, 700)
    started = time.monotonic()
    result = fastreg.solve(X, y, 0.0, method=method, time_limit=0.2)
    elapsed = time.monotonic() - started
    finished.set()
    assert result.status == fastreg.Status.TIME_LIMIT
    assert elapsed < 10
    oracle.check(result, X, y, alpha=0.0, converged=False)


def test_later_responses_keep_the_time_limit():
    """Only the very first fit is begun whatever the time."""
    X, y = regression(200, 500, noise=3)
    result = fastreg.solve(X, np.column_stack([y, y**2, y**3]), 0.01, time_limit=1e-9)
    assert result.status == fastreg.Status.TIME_LIMIT
    assert not result.coef[1:].any()
    oracle.check(result, X, np.column_stack([y, y**2, y**3]), alpha=0.01, converged=False)


def test_steps_whose_gain_is_rounding():
    """Backtracking must not mistake the noise of a residual for curvature."""
    X, y = regression(30, 5)
    X[:, 1] = X[:, 0] * (1 + 1e-9)
    for alpha in (0.0, 1e-12, 1e-8):
        for design in (X, 1e-5 * X + 1e3):
            result = fastreg.solve(design, y, alpha, method="gradient", tol=1e-15, max_iter=300)
            oracle.check(result, design, y, alpha=alpha, converged=False)


@pytest.mark.parametrize(
    "storage", [np.ascontiguousarray, np.asfortranarray, scipy.sparse.csc_array]
)
@pytest.mark.parametrize("size", [1e8, 1e100, 1e150])
def test_rows_without_weight_may_hold_anything(storage, size):
    X, y = regression(40, 4)
    weight = np.r_[np.zeros(3), np.ones(37)]
    X[0], X[2], y[1] = size, -size, size
    given = storage(X)
    expected = fastreg.solve(X[3:], y[3:], alpha=0.1)
    for scale in (1.0, 1e-100):
        target = np.where(weight > 0, y * scale, y)
        found = fastreg.solve(given, target, alpha=0.1 * scale, sample_weight=weight)
        np.testing.assert_allclose(found.coef / scale, expected.coef, rtol=1e-12)
        assert found.converged


def test_one_free_column_among_many_penalised():
    """The closed form of a wide design stays as small as its rows."""
    X, y = regression(30, 5000)
    factor = np.ones(5000)
    factor[7] = 0
    for method in ("auto", "cholesky", "svd", "krylov"):
        result = fastreg.solve(
            X, y, 0.1, l1_ratio=0, penalty_factor=factor, method=method, tol=1e-14
        )
        assert result.converged, method
        gradient = (X - X.mean(axis=0)).T @ (y - result.predict(X)) / 30
        np.testing.assert_allclose(gradient, 0.1 * factor * result.coef, atol=1e-6)
    factor[8] = 0
    X[:, 8] = X[:, 7]
    result = fastreg.solve(X, y, 0.1, l1_ratio=0, penalty_factor=factor)
    assert result.status == fastreg.Status.RANK_DEFICIENT


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", ["constant columns", "excluded columns", "constant response"])
def test_nothing_to_move(method, what):
    X, y = regression(10, 3)
    model = {"l1_ratio": 0.0}
    if what == "constant columns":
        X[:] = X[0]
    elif what == "excluded columns":
        model["penalty_factor"] = np.full(3, np.inf)
    else:
        y[:] = 0.1
    result = fastreg.solve(X, y, alpha=0.1, method=method, **model)
    oracle.check(result, X, y, alpha=0.1, **model)
    assert not result.coef.any()


@pytest.mark.parametrize("method", ["working_set", "gram", "gradient"])
@pytest.mark.parametrize("model", [{"alpha": 0.0, "lower": -9.0}, {"alpha": 0.1}])
def test_many_optima_are_reported(method, model):
    """Column 3 is the sum of two others; none of them has a penalty."""
    X, y = regression(40, 6)
    X[:, 3] = X[:, 1] + X[:, 2]
    factor = np.array([1.0, 0, 0, 0, 1, 1])
    result = fastreg.solve(X, y, penalty_factor=factor, method=method, **model)
    oracle.check(result, X, y, penalty_factor=factor, **model)
    assert result.status == fastreg.Status.RANK_DEFICIENT
    assert "one of many optima" in result.message


@pytest.mark.parametrize("method", ["krylov", "gradient"])
def test_the_smallest_norm_whatever_the_start(method):
    X, y = regression(40, 6)
    X[:, 3] = X[:, 1] + X[:, 2]
    start = np.arange(6.0)
    expected = fastreg.solve(X, y, alpha=0).coef
    found = fastreg.solve(X, y, alpha=0, method=method, warm_start=start, tol=1e-16)
    np.testing.assert_allclose(found.coef, expected, atol=1e-6)


@pytest.mark.parametrize("lower", [None, -0.5])
def test_alpha_max_where_no_gram_matrix_fits(lower):
    X, y = regression(200, 60)
    factor = np.r_[np.zeros(50), np.ones(10)]
    model = {"penalty_factor": factor, "lower": lower}
    path = fastreg.solve_path(X, y, gram_memory=1000.0, n_alphas=3, **model)
    np.testing.assert_allclose(path.alphas[0], fastreg.alpha_max(X, y, **model), rtol=1e-5)


@pytest.mark.parametrize("size", [1e10, 1e150, 1e300])
def test_a_start_that_is_far_off(size):
    X, y = regression(20, 30)
    found = fastreg.solve(X, y, alpha=0.1, warm_start=np.full(30, size))
    oracle.check(found, X, y, alpha=0.1)


@pytest.mark.parametrize(
    ("option", "value"),
    [("tol", 10**400), ("time_limit", 10**400), ("max_iter", 2**62), ("max_sweeps", 10**30)],
)
def test_options_beyond_the_range_of_numbers(option, value):
    X, y = regression(20, 3)
    with pytest.raises(ValueError, match=option):
        fastreg.solve(X, y, **{option: value})


@pytest.mark.parametrize("argument", ["y", "offset"])
def test_responses_whose_squares_are_no_numbers(argument):
    X, y = regression(20, 3)
    given = {"y": y, "offset": y, argument: y * 1e200}
    with pytest.raises(ValueError, match=f"{argument} must lie within"):
        fastreg.solve(X, alpha=0.1, **given)


def test_unbounded_memory_is_a_number():
    X, y = regression(20, 30)
    oracle.check(fastreg.solve(X, y, alpha=0.1, gram_memory=np.inf), X, y, alpha=0.1)


def test_many_constant_columns_take_no_time():
    X, y = regression(30, 3)
    wide = np.column_stack([np.ones((30, 20_000)), X])
    oracle.check(fastreg.solve(X, y, alpha=0.1), X, y, alpha=0.1)
    result = fastreg.solve(wide, y, alpha=0.1)
    assert not result.coef[:-3].any()
    np.testing.assert_allclose(result.coef[-3:], fastreg.solve(X, y, alpha=0.1).coef, rtol=1e-9)


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-6, 1e-7])
@pytest.mark.parametrize("model", ["bounds", "free columns", "lasso"])
def test_nearly_dependent_columns(model, distance):
    """The response lies in the small difference of two columns."""
    for seed in range(4):
        X, _ = regression(60, 6, seed=seed)
        rng = np.random.default_rng(seed)
        difference = rng.standard_normal(60)
        X[:, 1] = X[:, 0] + distance * difference
        y = difference + 0.3 * rng.standard_normal(60) + X[:, 3]
        arguments = {
            "bounds": {"alpha": 0.0, "lower": [-1e12] * 3 + [0] * 3},
            "free columns": {"alpha": 0.01, "penalty_factor": [0, 0, 1, 1, 1, 1]},
            "lasso": {"alpha": 1e-9},
        }[model]
        oracle.check(fastreg.solve(X, y, **arguments), X, y, **arguments)


@pytest.mark.parametrize("method", ["auto", "working_set", "gram", "gradient", "krylov", "svd"])
def test_a_free_column_that_is_constant_up_to_rounding(method):
    X, y = regression(40, 3)
    X[:, 0] = np.where(np.arange(40) % 2, 0.3, 0.1 + 0.2)
    model = {"alpha": 0.1, "l1_ratio": 0.0, "penalty_factor": [0, 1, 1]}
    result = fastreg.solve(X, y, method=method, **model)
    assert result.converged
    assert result.coef[0] == 0


def test_gradient_steps_on_unlike_scales():
    """Steps on the input scale, towards the smallest norm, would take forever."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 4)) * [1, 1e4, 1, 1]
    y = X.sum(axis=1) + rng.standard_normal(100)
    result = fastreg.solve(X, y, 0.0, method="gradient")
    oracle.check(result, X, y, alpha=0.0)
    assert result.method == "gradient, then krylov"


@pytest.mark.parametrize("function", [fastreg.solve_path, fastreg.alpha_grid])
def test_grids_that_no_memory_holds(function):
    X, y = regression(20, 3)
    with pytest.raises(ValueError, match="n_alphas must be >= 1 and <= 1000000"):
        function(X, y, n_alphas=10**12)
    with pytest.raises(ValueError, match=r"eps must be in \(0, 1\)"):
        function(X, y, eps=2)


@pytest.mark.parametrize("lower", [None, -0.5])
def test_alpha_max_where_the_working_set_fails(lower, monkeypatch):
    """Another method takes over; where none does, the answer is an upper bound."""
    from fastreg.engine import Engine
    from fastreg.smooth import Proof, SmoothSolver

    X, y = regression(200, 60)
    factor = np.r_[np.zeros(50), np.ones(10)]
    model = {"penalty_factor": factor, "lower": lower}
    expected = fastreg.alpha_max(X, y, **model)
    failed = Proof(fastreg.Status.STALLED, 1.0)
    monkeypatch.setattr(Engine, "_run_working_set", lambda *_: failed)
    assert fastreg.alpha_max(X, y, **model) == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(SmoothSolver, "iterate", lambda *_, **__: failed)
    monkeypatch.setattr(Engine, "_solve_gradient", lambda *_: failed)
    assert fastreg.alpha_max(X, y, **model) >= expected


@pytest.mark.parametrize("decompose", [lapack.svd, lapack.eigh])
def test_a_decomposition_does_not_hold_up_the_time_limit(decompose):
    matrix = np.random.default_rng(0).standard_normal((1400, 1400))
    with lapack.until(time.monotonic() + 0.02), pytest.raises(TimeoutError):
        decompose(matrix + matrix.T)
