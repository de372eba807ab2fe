"""The verbs of a design, at every instruction-set level of the processor, against plain NumPy."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from fastreg._core import kernels
from fastreg._core.compressed import columns_of, order_of
from fastreg._core.dense import DenseDesign
from fastreg._core.sparse import CSCDesign

SHAPES = [
    (1, 1),
    (1, 5),
    (7, 1),
    (3, 2),
    (50, 20),
    (193, 33),
    (400, 17),
    (1000, 8),
    (385, 130),
    (20, 600),
    (300, 49),
    (9, 1025),
    (4500, 3),
]
STORAGES = ["C", "F", "rows of a wider array", "columns of a longer array", "csc"]
LEVELS = kernels.levels()


def stored(X, storage):
    if storage == "csc":
        return CSCDesign(sparse.csc_array(X))
    if storage == "rows of a wider array":
        return DenseDesign(np.hstack([X, X, X[:, :1]])[:, X.shape[1] : -1])
    if storage == "columns of a longer array":
        return DenseDesign(np.asfortranarray(np.vstack([X, X, X[:1]]))[len(X) : -1])
    return DenseDesign(np.array(X, order=storage))


def draw(shape, dtype, storage, seed=0):
    rng = np.random.default_rng(seed)
    X = (3 + rng.standard_normal(shape)).astype(dtype)
    if storage == "csc":
        density = rng.random(shape[1]) ** 2
        X[rng.random(shape) > np.where(density > 0.9, 1.0, density)] = 0
    weight = rng.random(shape[0]) * (rng.random(shape[0]) > 0.2)
    weight[rng.integers(shape[0])] = 1.0
    return X, weight / weight.sum(), rng


def error(ours, theirs):
    return np.max(np.abs(ours - theirs)) / (np.max(np.abs(theirs)) or 1.0)


@pytest.mark.parametrize("count", [1, 4])
def test_vectors(level, count):
    rng = np.random.default_rng(0)
    for n in [*range(1, 70), 100, 1000, 4099]:
        a, X, y = rng.standard_normal(count), rng.standard_normal((count, n)), np.ones(n)
        products = kernels.combine(a, X, y)
        assert np.max(np.abs(products - X.sum(axis=1))) < 1e-15 * n
        assert np.max(np.abs(y - 1 - a @ X)) < 4e-15


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
def test_loops_over_features(level, spread):
    """`spread` decides how many features are listed: nearly all, some, nearly none."""
    rng = np.random.default_rng(1)
    for n in [*range(1, 40), 100, 1001]:
        for m in (1, 3, 8):
            image, share = rng.standard_normal((m, n)), rng.standard_normal(m)
            rest, norm, limit = rng.random(n), rng.random(n), 0.2 + spread * rng.random(n)
            w = rng.standard_normal(n) * (rng.random(n) < 0.02)
            numbers = 0.3, 1e-3, 0.1, 0.9
            c, slack, undecided, urgent, below, size = kernels.over_features(
                image, share, rest, norm, w, limit, *numbers
            )
            assert np.allclose(c, share @ image, rtol=0, atol=1e-14)
            assert np.allclose(slack, 0.3 * rest + 1e-3 * norm, rtol=1e-14)
            assert np.array_equal(
                undecided, np.flatnonzero(np.abs(c) + (slack + 0.1 * norm) > limit)
            )
            assert np.array_equal(urgent, np.flatnonzero((np.abs(c) >= 0.9 * limit) | (w != 0)))
            assert np.array_equal(below, 0.9 * (np.abs(c) + slack) + norm * 0.1 < limit)
            assert abs(size - norm @ np.abs(w)) <= 1e-14 * n


def test_loops_over_features_list_what_is_no_number(level):
    n, one = 37, np.ones(37)
    for j in range(n):
        rest = np.zeros(n)
        rest[j] = np.nan
        _, _, undecided, _, below, _ = kernels.over_features(
            0.1 * np.ones((1, n)), np.ones(1), rest, one, np.zeros(n), one, 1.0, 0.0, 0.1, 0.5
        )
        assert undecided.tolist() == [j]
        assert np.flatnonzero(below == 0).tolist() == [j]


@pytest.mark.parametrize("density", [0.01, 0.3])
def test_order_of_indices(density):
    rng = np.random.default_rng(2)
    X = sparse.csc_array(rng.random((50, 40)) * (rng.random((50, 40)) < density))
    start, index = X.indptr.astype(np.int32), X.indices.astype(np.int32)
    assert order_of(start, index, 50) == 2
    assert order_of(start, index, int(index.max())) == 1
    assert order_of(start, index, 50 if len(index) else 0) == 2
    for k in np.flatnonzero(np.diff(start) > 1)[:3]:
        wrong = index.copy()
        wrong[start[k] + 1] = wrong[start[k]]  # twice
        assert order_of(start, wrong, 50) == 1
        wrong[start[k]] = -1
        assert order_of(start, wrong, 50) == 1
    broken = start.copy()
    broken[3] = broken[-1] + 5
    assert order_of(broken, index, 50) == 0
    assert order_of(start[:-1], index, 50) == 0 or start[-2] == start[-1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "p"), [(1, 1), (1, 40), (40, 1), (60, 300), (300, 60)])
def test_columns_of_rows(n, p, dtype):
    rng = np.random.default_rng(n + p)
    start = np.concatenate([[0], np.cumsum(rng.integers(0, 9, n))]).astype(np.int32)
    index = rng.integers(0, p, start[-1]).astype(np.int32)  # in no order, some of them twice
    values = rng.standard_normal(start[-1]).astype(dtype)
    parts = columns_of(start, index, values, p)
    expected = sparse.csr_array((values, index, start), shape=(n, p)).tocsc()
    for mine, theirs in zip(parts, (expected.indptr, expected.indices, expected.data), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_verbs(level, shape, dtype, storage):
    X, weight, rng = draw(shape, dtype, storage)
    n, p = shape
    design = stored(X, storage)
    wide = X.astype(np.float64)
    shift, scale = weight @ wide, np.ldexp(1.0, rng.integers(-2, 3, p))
    mean, variance = design.moments(weight)
    assert error(mean, shift) < 1e-14
    assert np.max(np.abs(variance - weight @ (wide - shift) ** 2)) < 1e-13
    design.set_units(shift, scale)
    Z = (wide - shift) * scale
    v, coef = rng.standard_normal(n), rng.standard_normal(p) * (rng.random(p) > 0.3)
    u = rng.standard_normal(n)
    v -= v.mean()
    size = np.linalg.norm(v) * max(1.0, np.max(np.linalg.norm(Z, axis=0)))
    assert np.max(np.abs(design.correlation(v) - Z.T @ v)) <= 1e-14 * size
    both = design.correlations(v, u)
    np.testing.assert_array_equal(both[0], design.correlation(v))
    np.testing.assert_array_equal(both[1], design.correlation(u))
    assert error(design.product(coef), Z @ coef) < 2e-14 or np.ptp(Z) < 1e-12
    some = rng.permutation(p)[: max(1, p // 2)].astype(np.int32)
    everything = np.arange(p, dtype=np.int32)
    for columns in (some, np.sort(some), everything, everything[min(3, p - 1) :]):
        ours = design.correlation_of(columns, v)
        assert np.max(np.abs(ours - Z[:, columns].T @ v)) <= 1e-14 * size
        gram = (Z[:, columns].T * weight) @ Z[:, columns]
        ours = design.gram_matrix(columns, weight)
        np.testing.assert_array_equal(ours, ours.T)
        norm = np.sqrt(np.maximum(np.diag(gram), 1e-30))
        assert np.max(np.abs(ours - gram) / (1e-14 + np.outer(norm, norm))) < 2e-12
        for k in (1, len(columns) // 2, len(columns)) if p < 100 else ():
            grown = design.gram_matrix(columns, weight, ours[:k, :k])
            np.testing.assert_array_equal(grown, grown.T)
            assert np.max(np.abs(grown - gram) / (1e-14 + np.outer(norm, norm))) < 2e-12


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_large_mean_costs_no_digit(level, storage, mean):
    rng = np.random.default_rng(0)
    X = mean + rng.standard_normal((2000, 12))
    design, weight = stored(X, storage), np.full(2000, 1 / 2000)
    center = X[0] + (X - X[0]).mean(axis=0)
    design.set_units(center, np.ones(12))
    exact = (X - X[0]).astype(np.longdouble)
    exact -= exact.mean(axis=0)
    gram = (exact.T @ exact / 2000).astype(np.float64)
    ours = design.gram_matrix(np.arange(12, dtype=np.int32), weight)
    limit = 1e-13 if level == "plain" else 1e-14
    assert error(ours, gram) < limit
    mean_of, variance = design.moments(weight)
    assert error(variance, np.diag(gram)) < limit
    assert np.max(np.abs(mean_of - center)) < limit + 4e-16 * mean


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("mean", [0.0, 5.0, 1e4])
def test_sparse_columns_of_every_length(level, dtype, mean):
    n = 45
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.tile(np.arange(n + 1), 2))
    X = np.zeros((n, len(lengths)), dtype=dtype)
    for j, length in enumerate(lengths):
        rows = rng.choice(n, length, replace=False)
        X[rows, j] = mean + rng.standard_normal(length)
    wide, y = X.astype(np.float64), rng.standard_normal(n)
    weight = np.full(n, 1 / n)
    exact = wide.astype(np.longdouble)
    exact -= exact.mean(axis=0)
    no_columns = np.zeros(0, dtype=np.int32)
    design = stored(X, "csc")
    shift, variance, cross, _ = design.survey(weight, responses(y[None], weight), no_columns)
    deviation = np.sqrt(np.mean(exact**2, axis=0)).astype(np.float64) + 1e-100
    assert np.max(np.abs(shift - wide.mean(axis=0))) < 1e-15 * (1 + mean)
    assert np.max(np.abs(variance / deviation**2 - 1)[lengths > 0]) < 1e-13
    assert np.max(np.abs(cross[0] - (exact.T @ y).astype(float) / n) / (deviation + mean)) < 1e-15
    design.set_units(shift, np.full(len(lengths), 0.5))
    assert np.max(np.abs(2 * design.correlation(y) - exact.T @ y) / (deviation + mean)) < 1e-13
    # what a column holds does not show in others, whichever lanes they share
    X[:, ::3] = np.where(X[:, ::3] != 0, np.nan, 0.0)
    damaged = stored(X, "csc")
    damaged.set_units(np.where(np.arange(len(lengths)) % 3, shift, 0.0), design.scale)
    kept = np.arange(len(lengths)) % 3 > 0
    np.testing.assert_array_equal(damaged.correlation(y)[kept], design.correlation(y)[kept])
    again = stored(X, "csc").survey(weight, responses(y[None], weight), no_columns)
    np.testing.assert_array_equal(again[0][kept], shift[kept])
    np.testing.assert_array_equal(again[1][kept], variance[kept])
    np.testing.assert_array_equal(again[2][0, kept], cross[0, kept])


# Few stored entries in many columns, many, few columns; each with columns that store (almost) all.
@pytest.mark.parametrize(("density", "p"), [(0.01, 200), (0.6, 100), (0.1, 3)])
@pytest.mark.parametrize("full", [0.0, 0.05, 0.6])
def test_gram_of_sparse_columns(level, density, p, full):
    rng = np.random.default_rng(0)
    n = 3000
    shares = np.where(rng.random(p) < full, rng.choice([0.8, 1.0], p), density)
    X = np.where(rng.random((n, p)) < shares, 5 + rng.standard_normal((n, p)), 0.0)
    X[:, shares > density] += np.where(X[:, shares > density] != 0, 1e3, 0.0)
    weight = rng.random(n) / n
    design = stored(X, "csc")
    shift = np.average(X, axis=0, weights=weight)
    design.set_units(shift, np.full(p, 0.5))
    columns = np.arange(p, dtype=np.int32)[::-1].copy()
    Z = ((X - shift) / 2)[:, columns]
    gram = (Z.T * weight) @ Z
    norm = np.sqrt(np.diag(gram))
    for old in (0, 1, p // 2, p - 1, p):
        ours = design.gram_matrix(columns, weight, gram[:old, :old])
        np.testing.assert_array_equal(ours[old:], ours.T[old:])
        assert np.max(np.abs(ours - gram) / np.outer(norm, norm)) < 1e-12


def test_rows_without_weight_may_be_huge(level):
    X, weight, _ = draw((300, 20), np.float64, "C")
    huge = X.copy()
    huge[weight == 0] = 1e300
    clean, dirty = DenseDesign(X), DenseDesign(huge)
    np.testing.assert_array_equal(dirty.moments(weight), clean.moments(weight))
    columns = np.arange(20, dtype=np.int32)
    for design in (clean, dirty):
        design.set_units(weight @ X, np.ones(20))
    np.testing.assert_array_equal(
        dirty.gram_matrix(columns, weight), clean.gram_matrix(columns, weight)
    )


def test_a_level_is_chosen_by_name():
    command = [sys.executable, "-c", "from fastreg._core import kernels; print(kernels.level())"]
    for name in LEVELS:
        environment = {**os.environ, "FASTREG_SIMD": name}
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert shown.stdout.strip() == name
    with pytest.raises(ValueError, match=r"'sse9'; this processor has plain"):
        kernels.use("sse9")
    assert kernels.level() in LEVELS


def responses(Y, weight=None):
    """The rows of Y as a design; with weights, about their means."""
    if not len(Y):
        return None
    design = DenseDesign(np.ascontiguousarray(Y.T))
    if weight is not None:
        design.set_units(Y @ weight, np.ones(len(Y)))
    return design


def surveyed(X, weight, Y, columns, centre):
    """The same in extended precision where there is one."""
    X, Y = X.astype(np.longdouble), Y.astype(np.longdouble)
    weight = weight.astype(np.longdouble) / weight.astype(np.longdouble).sum()
    mean, y_mean = weight @ X, Y @ weight
    Z = X - mean
    variance = weight @ Z**2
    if not centre:
        Z, y_mean = X, 0 * y_mean
    gram = (Z[:, columns].T * weight) @ Z[:, columns]
    return mean, variance, ((Y - y_mean[:, None]) * weight) @ Z, gram


def check_survey(design, X, weight, Y, columns, centre=True, limit=2e-14):
    ours = design.survey(weight, responses(Y, weight if centre else None), columns, centre)
    theirs = surveyed(X, weight, Y, columns, centre)
    deviation = np.sqrt(theirs[1].astype(float))
    unit = deviation if centre else np.hypot(deviation, theirs[0].astype(float))
    y_mean = Y @ weight
    y_unit = np.sqrt(((Y - centre * y_mean[:, None]) ** 2) @ weight)
    # what a column and its mean can be told apart by
    rounding = 4e-16 * np.abs(theirs[0].astype(float))
    assert np.all(np.abs(ours[0] - theirs[0]) <= limit * deviation + rounding)
    assert np.all(np.abs(ours[1] - theirs[1]) <= limit * theirs[1] + rounding**2)
    slack = limit * np.outer(y_unit, unit) + np.outer(y_unit, rounding)
    slack += np.outer(4e-16 * np.abs(y_mean), unit + rounding)
    assert np.all(np.abs(ours[2] - theirs[2]) <= slack)
    unit, rounding = unit[columns], rounding[columns]
    slack = limit * np.outer(unit, unit) + np.outer(rounding, rounding)
    slack += limit * (np.outer(unit, rounding) + np.outer(rounding, unit))
    assert np.all(np.abs(ours[3] - theirs[3]) <= slack)
    np.testing.assert_array_equal(ours[3], ours[3].T)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_survey(level, shape, dtype, storage):
    X, weight, rng = draw(shape, dtype, storage)
    n, p = shape
    design = stored(X, storage)
    limit = (1e-12 if level == "plain" else 1e-13) if storage == "csc" else 3e-14
    limit = 1e-12 if level == "plain" else limit
    for m, which in [(0, "none"), (1, "all"), (2, "some"), (1, "none"), (3, "all"), (21, "all")]:
        Y = 7 + rng.standard_normal((m, n))
        columns = np.arange({"none": 0, "some": (p + 1) // 2, "all": p}[which], dtype=np.int32)
        columns = columns[::-1].copy() if which == "some" else columns
        for centre in (True, False):
            check_survey(design, X, weight, Y, columns, centre, limit)


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("which", ["all", "some", "none"])
def test_survey_of_columns_with_large_means(level, storage, mean, which):
    rng = np.random.default_rng(0)
    X = mean + rng.standard_normal((4000, 12))
    X[:, 1] = np.arange(4000)  # a trend
    X[:, 2] = mean  # constant
    X[:, 3] = 0.0
    X[7, 3] = 1.0  # rare
    X[:, 4] = np.where(np.arange(4000) < 1030, mean, mean + 1)  # first values tell nothing
    X[0, 5] = 1e6 * (1 + mean)  # a first row far off
    X[:, 6] = mean + 1e-3 * rng.standard_normal(4000)
    X[:1024, 6] += 1e-3
    design, weight = stored(X, storage), np.full(4000, 1 / 4000)
    columns = np.arange({"all": 12, "some": 9, "none": 0}[which], dtype=np.int32)
    Y = rng.standard_normal((1, 4000)) + X[:, 6]
    limit = 1e-12 if level == "plain" or storage == "csc" else 1e-13
    check_survey(design, X, weight, Y, columns, limit=limit)
    constant = design.survey(weight, responses(Y), columns)[1][2]
    assert np.sqrt(constant) <= 1e-15 * mean


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 100, 299])
def test_survey_shows_what_is_not_finite(level, storage, bad, row):
    X, weight, _ = draw((300, 10), np.float64, storage)
    X[row, 4] = bad
    weight[row] = 0.01
    design = stored(X, storage)
    for columns in (np.arange(10, dtype=np.int32), np.zeros(0, dtype=np.int32)):
        with np.errstate(invalid="ignore"):
            variance = design.survey(weight, responses(np.ones((1, 300))), columns)[1]
        assert np.flatnonzero(~np.isfinite(variance)).tolist() == [4]


@pytest.mark.parametrize("storage", ["C", "F"])
def test_survey_of_rows_without_weight(level, storage):
    X, weight, rng = draw((300, 20), np.float64, storage)
    weight[:3] = 0.0
    weight /= weight.sum()
    Y = rng.standard_normal((2, 300))
    huge = X.copy()
    huge[weight == 0] = 1e300
    for columns in (np.arange(20, dtype=np.int32), np.arange(3, dtype=np.int32)):
        clean = stored(X, storage).survey(weight, responses(Y), columns)
        dirty = stored(huge, storage).survey(weight, responses(Y), columns)
        for ours, theirs in zip(dirty, clean, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products_of_every_width(level, dtype, order):
    """Tiles and vectors end anywhere; what lies beside the columns in memory counts for nothing."""
    rng = np.random.default_rng(0)
    n, Y = 131, rng.standard_normal((1, 131))
    memory = np.full((n + 2, 90), np.nan, dtype, order=order)
    weight = rng.random(n)
    weight /= weight.sum()
    for p in range(1, 84):
        X = memory[1:-1, 3 : 3 + p]
        X[...] = 3 + rng.standard_normal((n, p))
        design, columns = DenseDesign(X), np.arange(p, dtype=np.int32)
        check_survey(design, X, weight, Y, columns, limit=1e-12)
        known = p // 3
        start = design.gram_matrix(columns[:known], weight) if known else None
        gram = (X.astype(float).T * weight) @ X
        for found in (
            design.gram_matrix(columns, weight, start),
            design.gram_matrix(columns, weight),
        ):
            np.testing.assert_allclose(found, gram, rtol=1e-13)
        found = design.rough_survey(weight, responses(Y, weight))
        check = surveyed(X, weight, Y, columns, True)
        np.testing.assert_allclose(found[3], check[3].astype(float), atol=1e-5)


# Shapes whose passes and Gram products are worth a thread: slices of rows, and columns.
@pytest.mark.parametrize("shape", [(90_000, 60), (800, 6000), (5000, 900)])
@pytest.mark.parametrize("storage", ["C", "F", "csc"])
def test_threads_change_no_bit(shape, storage):
    rng = np.random.default_rng(0)
    n, p = shape
    X = rng.standard_normal(shape)
    if storage == "csc":
        X[rng.random(shape) < 0.5] = 0
    design, weight = stored(X, storage), np.full(n, 1 / n)
    columns = np.arange(min(p, 900), dtype=np.int32)
    listed = np.sort(rng.permutation(p)[: p - 7]).astype(np.int32)
    v, coef, Y = rng.standard_normal(n), rng.standard_normal(p), rng.standard_normal((1, n))
    known = design.gram_matrix(columns[:50], weight)

    def results():
        return (
            design.correlation(v),
            *design.correlations(v, Y[0]),
            design.product(coef),
            design.gram_matrix(columns, weight),
            design.gram_matrix(columns, weight, known),
            design.correlation_of(listed, v),
            *design.survey(weight, responses(Y), columns),
        )

    alone = results()
    scale = np.abs(alone[0]).max()
    np.testing.assert_allclose(alone[0], X.T @ v, atol=1e-12 * scale)
    np.testing.assert_array_equal(alone[1], alone[0])
    np.testing.assert_allclose(alone[6], X[:, listed].T @ v, atol=1e-12 * scale)
    np.testing.assert_allclose(alone[4], (X[:, columns].T / n) @ X[:, columns], atol=1e-13)
    for n_threads in (2, 3, 8):
        design.set_threads(n_threads)
        for ours, theirs in zip(results(), alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)


THREADS_AND_FORKS = """
import os, threading
import numpy as np
from fastreg._core.dense import DenseDesign
X = np.random.default_rng(0).standard_normal((100_000, 50))
v = X[:, 0].copy()
design = DenseDesign(X)
truth = design.correlation(v)
design.set_threads(2)
wrong = []
def work():
    for _ in range(20):
        if not np.array_equal(design.correlation(v), truth):
            wrong.append(1)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(3):  # while the pool is at work
    child = os.fork()
    if child == 0:
        work()
        os._exit(1 if wrong else 0)
    assert os.waitpid(child, 0)[1] == 0
for thread in threads:
    thread.join()
assert not wrong
print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_threads_beside_others_and_after_a_fork():
    command = [sys.executable, "-W", "ignore", "-c", THREADS_AND_FORKS]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert shown.stdout.strip() == "fine"


def test_a_sparse_survey_knows_no_units():
    """Means, variances and products are those of X as it is, with equal weights or others."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((50, 8), density=0.3, rng=rng, format="csc")
    response = DenseDesign(rng.standard_normal((50, 1)))
    for weight in (np.full(50, 0.02), rng.dirichlet(np.ones(50))):
        design = CSCDesign(X)
        before = design.survey(weight, response, np.zeros(0, dtype=np.int32))
        design.set_units(rng.standard_normal(8), rng.uniform(0.5, 2, 8))
        after = design.survey(weight, response, np.zeros(0, dtype=np.int32))
        for a, b in zip(before, after, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-16)
