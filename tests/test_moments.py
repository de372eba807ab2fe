"""Moments added up chunk by chunk say what all rows at once say."""

from __future__ import annotations

import doctest
import io
import subprocess
import sys
from fractions import Fraction

import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import regression, row_weights

import fastreg
from fastreg import moments as module
from fastreg.fold_moments import fold_moments, heldout_error, training_moments

N = 90
STORAGES = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "CSC": scipy.sparse.csc_array,
    "CSR": scipy.sparse.csr_array,
}
MODELS = {
    "lasso": {},
    "no intercept": {"fit_intercept": False},
    "elastic net": {"l1_ratio": 0.4},
    "ridge": {"l1_ratio": 0.0},
    "positive": {"positive": True},
    "bounds": {"lower": -0.5, "upper": np.linspace(0.1, 2.0, 8)},
    "zero is out of bounds": {"lower": np.r_[0.2, np.full(7, -1.0)]},
    "standardize": {"standardize": True},
    "excluded": {"penalty_factor": np.r_[np.inf, np.linspace(0.5, 2.0, 7)]},
    "unpenalised": {"penalty_factor": np.r_[0.0, 0.0, np.linspace(0.5, 2.0, 6)]},
}


def added(X, Y, weight=None, step=25):
    moments = fastreg.Moments()
    for first in range(0, X.shape[0], step):
        rows = slice(first, first + step)
        X_rows = X.tocsr()[rows] if scipy.sparse.issparse(X) else X[rows]
        moments.add(X_rows, Y[rows], None if weight is None else weight[rows])
    return moments


def plain(X, Y, weight=None):
    """Means and covariances in extended precision."""
    X, Y = np.asarray(X, np.longdouble), np.asarray(Y, np.longdouble).reshape(len(X), -1)
    s = np.ones(len(X), np.longdouble) if weight is None else np.asarray(weight, np.longdouble)
    s = s / s.sum()
    mean, y_mean = s @ X, s @ Y
    A, B = X - mean, Y - y_mean
    return mean, y_mean, A.T @ (s[:, None] * A), B.T @ (s[:, None] * A), s @ (B * B)


def assert_moments(moments, X, Y, weight=None, scale=1.0):
    mean, y_mean, gram, cross, variance = plain(X, Y, weight)
    unit, y_unit = np.sqrt(np.diag(gram)), np.sqrt(variance)
    allowed = scale * moments.rounding
    level = 1e-14 * (np.abs(X).max() + 1)
    np.testing.assert_allclose(moments.mean, mean.astype(float), rtol=1e-13, atol=level)
    np.testing.assert_allclose(moments.y_mean, y_mean.astype(float), rtol=1e-13, atol=1e-13)
    assert np.all(np.abs(moments.gram - gram) <= allowed * np.outer(unit, unit) + 1e-30)
    assert np.all(np.abs(moments.cross - cross) <= allowed * np.outer(y_unit, unit) + 1e-30)
    assert np.all(np.abs(moments.y_variance - variance) <= allowed * variance)
    np.testing.assert_array_equal(moments.gram, moments.gram.T)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_sums(storage, weighted):
    X, y = regression(N, 8)
    Y = np.column_stack([y, X[:, 1] * 3 + 5])
    weight = row_weights(N) if weighted else None
    moments = added(storage(X), Y, weight)
    assert_moments(moments, X, Y, weight)
    assert (moments.n_features, moments.n_responses, moments.n_rows) == (8, 2, N)
    assert moments.weight_sum == pytest.approx(N if weight is None else weight.sum())
    assert "90 rows" in repr(moments)


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_fits(model, storage):
    X, y = regression(N, 8, seed=3)
    moments = added(storage(X), y, row_weights(N))
    model = dict(model)
    for alpha in (0.3, 0.01, 0.0):
        result = moments.solve(alpha, **model)
        oracle.check(result, X, y, alpha=alpha, sample_weight=row_weights(N), **model)
        assert result.n_passes == 0
        once = fastreg.solve(X, y, alpha, tol=1e-11, sample_weight=row_weights(N), **model)
        exact = moments.solve(alpha, tol=1e-10, **model)
        np.testing.assert_allclose(exact.coef, once.coef, rtol=1e-6, atol=1e-7)
    path = moments.path(n_alphas=12, **model)
    for i, result in enumerate(path):
        oracle.check(result, X, y, alpha=path.alphas[i], sample_weight=row_weights(N), **model)
    grid = fastreg.alpha_grid(X, y, n_alphas=12, sample_weight=row_weights(N), **model)
    np.testing.assert_allclose(path.alphas, grid, rtol=1e-11)
    np.testing.assert_allclose(moments.alpha_grid(n_alphas=12, **model), grid, rtol=1e-11)
    largest = fastreg.alpha_max(X, y, sample_weight=row_weights(N), **model)
    np.testing.assert_allclose(moments.alpha_max(**model), largest, rtol=1e-11)
    thin = moments.path(n_alphas=12, sparse_coef=True, **model)
    np.testing.assert_array_equal(thin.coef.toarray(), path.coef)
    np.testing.assert_array_equal(thin.duality_gap, path.duality_gap)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_many_responses(model):
    X, y = regression(N, 8, seed=4)
    Y = np.column_stack([y, -3 * X[:, 2] + y, np.full(N, 2.0), X[:, 0] - X[:, 4]])
    moments = added(X, Y)
    oracle.check(moments.solve(0.05, **model), X, Y, alpha=0.05, **model)
    path = moments.path(alphas=[0.5, 0.05, 0.005], **model)
    for alpha, result in zip(path.alphas, path, strict=True):
        oracle.check(result, X, Y, alpha=alpha, **model)
    assert moments.alpha_max(**model).shape == (4,)


@pytest.mark.parametrize("method", ["gram", "working_set", "descent", "gradient"])
def test_methods_and_starts(method):
    X, y = regression(N, 8)
    moments = added(X, y)
    result = moments.solve(0.05, method=method)
    oracle.check(result, X, y, alpha=0.05)
    again = moments.solve(0.05, method=method, warm_start=result)
    oracle.check(again, X, y, alpha=0.05)


def test_a_weight_is_so_many_rows():
    X, y = regression(N, 8)
    weight = np.arange(N) % 4.0
    some, repeated = added(X, y, weight), np.repeat(np.arange(N), weight.astype(int))
    many = added(X[repeated], y[repeated])
    np.testing.assert_allclose(some.gram, many.gram, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(some.path().coef, many.path().coef, rtol=1e-9, atol=1e-10)
    assert some.weight_sum == many.weight_sum


def test_order_and_grouping_of_merges():
    X, y = regression(N, 8)
    parts = [fastreg.Moments().add(X[a : a + 30], y[a : a + 30]) for a in (0, 30, 60)]
    a, b, c = parts
    before = a.gram.copy()
    sums = [a + b + c, c + a + b, a + (c + b), b + c + a]
    np.testing.assert_array_equal(a.gram, before)
    for one in sums:
        assert_moments(one, X, y)
        np.testing.assert_allclose(one.solve(0.1).coef, sums[0].solve(0.1).coef, atol=1e-12)
    np.testing.assert_array_equal((a + b).gram, (b + a).gram)
    empty = fastreg.Moments()
    np.testing.assert_array_equal((empty + a).gram, a.gram)
    np.testing.assert_array_equal((a + empty).gram, a.gram)


def test_rows_of_no_weight_count_for_nothing():
    X, y = regression(N, 8)
    moments = fastreg.Moments().add(X * 100, y, np.zeros(N)).add(X, y)
    np.testing.assert_array_equal(moments.gram, fastreg.Moments().add(X, y).gram)
    assert moments.n_rows == 2 * N
    assert moments.weight_sum == N


def test_large_means():
    X, y = regression(N, 6)
    X, y = X + 2.0**27 * np.arange(6), y + 2.0**27
    moments = added(X, y)
    assert_moments(moments, X, y, scale=4.0)
    once = fastreg.solve(X, y, 0.05)
    # some 1e8 times the rounding of numbers is what the rounded means of chunks may cost a proof
    assert moments.solve(0.05).status == fastreg.Status.STALLED
    result = moments.solve(0.05, tol=1e-4)
    assert result.converged
    np.testing.assert_allclose(result.coef, once.coef, atol=1e-7)


def test_chunks_far_from_each_other():
    X, y = regression(N, 6)
    X[N // 2 :] += 1e6
    assert_moments(added(X, y, step=N // 2), X, y, scale=4.0)


def test_constant_columns():
    X, y = regression(N, 6)
    X[:, 2] = 0.1
    X[:, 4] = 0.0
    result = added(X, y).solve(0.01)
    oracle.check(result, X, y, alpha=0.01)
    assert result.coef[2] == result.coef[4] == 0
    oracle.check(added(X, y).solve(0.0), X, y, alpha=0.0)


def test_dependent_columns():
    X, y = regression(N, 6)
    X[:, 5] = X[:, 0] + X[:, 1]
    moments = added(X, y)
    oracle.check(moments.solve(0.01), X, y, alpha=0.01)
    # without a penalty moments cannot tell dependent columns from nearly dependent ones
    result = moments.solve(0.0)
    assert result.status == fastreg.Status.STALLED
    oracle.check(result, X, y, alpha=0.0, converged=False)


def test_exact_fit_is_proven_no_further_than_moments_can():
    X, _ = regression(N, 6)
    y = X[:, 0] - 2 * X[:, 3]
    moments = added(X, y)
    oracle.check(moments.solve(0.0), X, y, alpha=0.0)
    result = moments.solve(0.0, tol=1e-15)
    assert result.status == fastreg.Status.STALLED
    oracle.check(result, X, y, alpha=0.0, converged=False)


def test_more_features_than_rows():
    X, y = regression(20, 35)
    oracle.check(added(X, y, step=7).solve(0.1), X, y, alpha=0.1)


def test_the_gap_is_that_of_the_rows():
    """Gaps of moments that rounding has changed by as much as they say are never too small."""
    X, y = regression(N, 8, seed=5)
    X[:, 3] = X[:, 0] + 1e-3 * X[:, 3]
    moments = added(X, y)
    rng, rho = np.random.default_rng(0), 1e-7
    state = moments._state.copy()
    unit = np.sqrt(np.diag(moments.gram))
    for _ in range(5):
        moments._state = state.copy()
        noise = rng.uniform(-1, 1, (8, 8))
        first = 3 + 8 + 1
        block = np.tril(noise) + np.tril(noise, -1).T
        moments._state[first : first + 64] += (rho * block * np.outer(unit, unit)).ravel()
        moments._state[2] = rho
        for alpha in (0.1, 1e-3, 0.0):
            result = moments.solve(alpha, tol=1e-4)
            coef, b = result.coef, float(y.mean() - X.mean(axis=0) @ result.coef)
            problem = oracle.make_problem(X, y, alpha)
            true = oracle.duality_gap(problem, coef, b, enough=result.duality_gap)
            assert true <= result.duality_gap


def test_files(tmp_path):
    X, y = regression(N, 8)
    moments = added(X, y)
    file = tmp_path / "some.moments"
    moments.save(file)
    again = fastreg.Moments.load(file)
    np.testing.assert_array_equal(again.gram, moments.gram)
    assert repr(again) == repr(moments)
    np.testing.assert_array_equal(again.solve(0.1).coef, moments.solve(0.1).coef)
    again.add(X, y)
    buffer = io.BytesIO()
    fastreg.Moments().save(buffer)
    buffer.seek(0)
    assert fastreg.Moments.load(buffer).n_rows == 0


def test_wrong_files(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"nothing of ours")
    with pytest.raises(ValueError, match="no moments"):
        fastreg.Moments.load(file)
    with pytest.raises(FileNotFoundError):
        fastreg.Moments.load(tmp_path / "none")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="no moments"):
        fastreg.Moments.load(tmp_path / "other.npz")
    fastreg.Moments().add(*regression(9, 2)).save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as archive:
        parts = dict(archive)
    np.savez(tmp_path / "newer.npz", **{**parts, "version": np.array(99)})
    with pytest.raises(ValueError, match="version 99"):
        fastreg.Moments.load(tmp_path / "newer.npz")
    for broken in ({"state": parts["state"][:-1]}, {"shape": np.array([-1, 1, 0])}):
        np.savez(tmp_path / "broken.npz", **{**parts, **broken})
        with pytest.raises(ValueError, match="damaged"):
            fastreg.Moments.load(tmp_path / "broken.npz")


def test_mistakes():
    X, y = regression(N, 3)
    moments = fastreg.Moments()
    with pytest.raises(ValueError, match="no rows"):
        moments.solve(0.1)
    with pytest.raises(ValueError, match="no rows"):
        _ = moments.gram
    moments.add(X, y)
    before = moments.gram.copy()
    for args, message in (
        ((X[:, :2], y), "2 features"),
        ((X, np.column_stack([y, y])), "y has shape"),
        ((X, y[:-1]), "rows"),
        ((np.full_like(X, np.inf), y), "X contains"),
        ((X * 1e200, y), "too large"),
        ((X * 1e-200, y), "too small"),
        ((X, y * np.nan), "y contains"),
        ((X, y, -np.ones(N)), "sample_weight"),
    ):
        with pytest.raises(ValueError, match=message), np.errstate(all="ignore"):
            moments.add(*args)
    np.testing.assert_array_equal(moments.gram, before)
    with pytest.raises(TypeError, match="must be a Moments"):
        moments.merge(3)
    with pytest.raises(TypeError):
        moments + 3
    with pytest.raises(TypeError, match="offset"):
        moments.alpha_max(offset=y)
    with pytest.raises(ValueError, match="read-only"):
        moments.gram[0, 0] = 1.0


def test_feature_names():
    pd = pytest.importorskip("pandas")
    X, y = regression(N, 3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    moments = fastreg.Moments().add(frame[:40], y[:40]).add(frame[40:], y[40:])
    assert moments.solve(0.1).feature_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="column 1 of X is 'c'"):
        moments.add(frame[["a", "c", "b"]], y)
    buffer = io.BytesIO()
    moments.save(buffer)
    buffer.seek(0)
    assert fastreg.Moments.load(buffer).feature_names == ("a", "b", "c")


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("kind", ["contiguous", "shuffled", "some in none"])
def test_folds(kind, storage):
    X, y = regression(2500, 5)
    weight = np.arange(2500) % 3.0
    fold = np.arange(2500) * 4 // 2500
    if kind == "shuffled":
        fold = np.random.default_rng(0).permutation(fold)
    elif kind == "some in none":
        fold = np.where(fold == 2, -1, fold)
    folds = fold_moments(storage(X), y, weight, fold, 4)
    for k, (own, others) in enumerate(zip(folds, training_moments(folds), strict=True)):
        if np.any(fold == k):
            assert_moments(own, X[fold == k], y[fold == k], weight[fold == k])
        else:
            assert own.weight_sum == 0
        rest = (fold != k) & (fold >= 0)
        assert_moments(others, X[rest], y[rest], weight[rest])
        assert others.n_rows == rest.sum()
    threads = fold_moments(storage(X), y, weight, fold, 4, n_threads=2)
    for one, two in zip(folds, threads, strict=True):
        np.testing.assert_array_equal(one._state, two._state)


def test_folds_refuse():
    X, y = regression(N, 3)
    for fold, error in (
        (np.zeros(N), TypeError),
        (np.zeros(3, int), ValueError),
        (np.full(N, 2), ValueError),
        (np.full(N, -2), ValueError),
    ):
        with pytest.raises(error, match="fold"):
            fold_moments(X, y, None, fold, 2)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN in column 1"):
        fold_moments(X, y, None, np.arange(N) % 2, 2)


@pytest.mark.parametrize("seed", range(8))
def test_rounding_of_a_mean_in_the_product_with_another_columns_step(seed):
    """Chunks agree in the large mean of one column, and differ in the mean of the other."""
    rng = np.random.default_rng(seed)
    first = 1e8 + rng.standard_normal(20)
    far = np.concatenate([first, rng.permutation(first)])
    steps = np.repeat([0.0, 10.0], 20) + 1e-3 * rng.standard_normal(40)
    X, y = np.column_stack([far, steps]), steps + 0.1 * (far - 1e8)
    moments = fastreg.Moments().add(X[:20], y[:20]).add(X[20:], y[20:])
    columns = [[Fraction(value) for value in column] for column in X.T]
    centred = [[value - sum(column) / 40 for value in column] for column in columns]
    product = sum(a * b for a, b in zip(*centred, strict=True)) / 40
    error = abs(float(product - Fraction(float(moments.gram[0, 1]))))
    assert error <= moments.rounding * X.std(axis=0).prod()
    assert not heldout_error(moments, np.array([[0.1, 1.0]]), np.array([-1e7]))[1].any()


def test_heldout_errors():
    X, y = regression(200, 8)
    Y, weight = np.column_stack([y, 2 - y]), np.arange(200) % 3 + 0.5
    fold = np.arange(200) % 4
    folds = fold_moments(X, Y, weight, fold, 4)
    for k, others in enumerate(training_moments(folds)):
        path = others.path(n_alphas=9)
        error, certain = heldout_error(folds[k], path.coef, path.intercept)
        own = fold == k
        square = (path.predict(X[own]) - Y[own][:, None, :]) ** 2
        np.testing.assert_allclose(
            error, np.average(square, axis=0, weights=weight[own]), rtol=1e-10
        )
        assert certain.all()
    one, known = heldout_error(folds[0], np.zeros((1, 2, 8)), np.zeros((1, 2)))
    np.testing.assert_allclose(one[0], np.average(Y[::4] ** 2, axis=0, weights=weight[::4]))
    assert known.all()


def test_heldout_errors_say_where_digits_are_lost():
    X, _ = regression(N, 4)
    w = np.array([1.0, -2.0, 0.0, 3.0])
    exact = fold_moments(X, X @ w, None, np.zeros(N, int), 1)[0]
    assert not heldout_error(exact, w[None], np.zeros(1))[1].any()
    assert heldout_error(exact, w[None] * 0.9, np.zeros(1))[1].all()
    far = fold_moments(X + 1e12, X @ w, None, np.zeros(N, int), 1)[0]
    assert not heldout_error(far, w[None] * 0.9, np.array([w.sum() * -0.9e12]))[1].any()
    nothing = fold_moments(X, X @ w, None, np.zeros(N, int), 2)[1]
    error, certain = heldout_error(nothing, w[None], np.zeros(1))
    assert np.isnan(error).all()
    assert not certain.any()


def test_example_of_a_file_larger_than_memory():
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


LARGER_THAN_MEMORY = """
import resource, sys
import numpy as np, fastreg
fastreg.Moments().add(np.eye(3), np.arange(3.0)).solve(0.1)  # what is imported is no data
p, rows = int(sys.argv[2]), int(sys.argv[3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
folds, chunk = [fastreg.Moments() for _ in range(4)], 0
with open(sys.argv[1], "rb") as file:
    while len(data := np.fromfile(file, count=rows * (p + 1))):
        data = data.reshape(-1, p + 1)
        folds[chunk % 4].add(data[:, :p], data[:, p])
        chunk += 1
moments = sum(folds, fastreg.Moments())
found = fastreg.validate_moments(folds, alphas=[0.5, 0.1, 0.02], tol=1e-10)
path = moments.path(alphas=[0.5, 0.1, 0.02], tol=1e-10)
fit = moments.solve(0.1, tol=1e-10)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
np.savez(sys.argv[4], fit=fit.coef, path=path.coef, mean=found.mean, grown=after - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss")
def test_a_file_larger_than_the_memory_that_is_taken(tmp_path):
    p, rows, n_chunks = 20, 2000, 150
    file, answer = tmp_path / "rows", tmp_path / "answer.npz"
    rng = np.random.default_rng(0)
    data = rng.standard_normal((rows * n_chunks, p + 1))
    data[:, p] += data[:, 0] - 2 * data[:, 1]
    data.tofile(file)
    arguments = [str(file), str(p), str(rows), str(answer)]
    subprocess.run([sys.executable, "-c", LARGER_THAN_MEMORY, *arguments], check=True, timeout=120)
    X, y = data[:, :p], data[:, p]
    fold = np.repeat(np.arange(n_chunks) % 4, rows)
    alphas = [0.5, 0.1, 0.02]
    with np.load(answer) as found:
        assert found["grown"] * 1024 < file.stat().st_size / 4
        one = fastreg.solve(X, y, 0.1, tol=1e-10)
        np.testing.assert_allclose(found["fit"], one.coef, atol=1e-8)
        path = fastreg.solve_path(X, y, alphas=alphas, tol=1e-10)
        np.testing.assert_allclose(found["path"], path.coef, atol=1e-8)
        validated = fastreg.validate(X, y, alphas=alphas, foldid=fold, tol=1e-10)
        np.testing.assert_allclose(found["mean"], validated.mean, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(30, 1, 1), (300, 5, 2), (700, 40, 1)])
def test_moments_of_small_folds(shape, weighted, order, dtype):
    n, p, m = shape
    rng = np.random.default_rng(n)
    X = np.asarray(rng.normal(3.0, 1.0, (n, p)), dtype=dtype, order=order)
    y = X @ np.ones((p, m)) + rng.normal(size=(n, m))
    weight = rng.uniform(0.5, 2.0, n) if weighted else None
    for fold in (np.arange(n) * 3 // n, rng.integers(-1, 3, n)):
        fold[0] = 0
        for k, part in enumerate(fold_moments(X, y, weight, fold, 3)):
            rows = fold == k
            own = np.ones(n)[rows] if weight is None else weight[rows]
            mean = np.average(X[rows].astype(float), axis=0, weights=own)
            y_mean = np.average(y[rows], axis=0, weights=own)
            Z, r = X[rows] - mean, y[rows] - y_mean
            assert part.n_rows == rows.sum()
            np.testing.assert_allclose(part.weight_sum, own.sum(), rtol=1e-13)
            np.testing.assert_allclose(part.mean, mean, rtol=1e-13)
            np.testing.assert_allclose(part.y_mean, y_mean, rtol=1e-12, atol=1e-12)
            scale = own.sum()
            np.testing.assert_allclose(part.gram, (Z * own[:, None]).T @ Z / scale, atol=1e-12)
            np.testing.assert_allclose(part.cross, (r * own[:, None]).T @ Z / scale, atol=1e-11)
            np.testing.assert_allclose(part.y_variance, own @ r**2 / scale, rtol=1e-12)


def test_what_small_folds_cannot_do_at_once():
    X, y = np.random.default_rng(0).normal(size=(2, 60, 3))
    X[:30, 1] = 2.0  # constant in a fold
    fold = np.repeat([0, 3], 30)
    parts = fold_moments(X, y[:, 0], None, fold, 5)
    assert [part.n_rows for part in parts] == [30, 0, 0, 30, 0]
    assert parts[0].gram[1, 1] == 0.0
    assert parts[3].gram[1, 1] > 0.0
    X[3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fold_moments(X, y[:, 0], None, fold, 5)
