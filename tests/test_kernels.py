"""The verbs of a design, at every instruction-set level of the processor, against plain NumPy."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from fastreg._core import kernels
from fastreg._core.design import CSCDesign, DenseDesign

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


@pytest.fixture(params=LEVELS)
def level(request):
    before = kernels.level()
    kernels.use(request.param)
    yield request.param
    kernels.use(before)


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
    v -= v.mean()
    size = np.linalg.norm(v) * max(1.0, np.max(np.linalg.norm(Z, axis=0)))
    assert np.max(np.abs(design.correlation(v) - Z.T @ v)) <= 1e-14 * size
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
        for k in (1, len(columns) // 2, len(columns)):
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
