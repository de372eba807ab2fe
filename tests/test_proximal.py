"""The proximal operator against its optimality conditions, in plain NumPy."""

import numpy as np
import pytest

from fastreg._core import kernels
from fastreg._core.shrink import proximal_step
from fastreg.proximal import penalty, prox

SHAPE = (7, 4)


def steps(kind, rng):
    return {
        "one": 0.3,
        "each": rng.uniform(0.1, 0.5, SHAPE),
        "far apart": 10.0 ** rng.uniform(-3, 1, SHAPE),
    }[kind]


@pytest.mark.parametrize("kind", ["one", "each", "far apart"])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.7), (0.8, 0.0), (0.8, 0.7)])
def test_absolute_values(kind, l1, l2):
    rng = np.random.default_rng(0)
    z, step = rng.standard_normal(SHAPE), steps(kind, rng)
    w = prox(np, z, 0.2, 0.2 / step, l1=l1, l2=l2)
    slope = (w - z) / step + l2 * w  # of the smooth part; minus it is a subgradient of l1 |w|
    zero = w == 0.0
    np.testing.assert_allclose(slope[~zero], -l1 * np.sign(w[~zero]), atol=1e-9)
    assert np.all(np.abs(slope[zero]) <= l1)
    if l1 > 0.0:
        assert 0 < zero.sum() < zero.size


@pytest.mark.parametrize("kind", ["one", "each", "far apart"])
@pytest.mark.parametrize("l2", [0.0, 0.7])
@pytest.mark.parametrize("axis", [0, 1, -2, -1])
def test_norms_of_slices(kind, l2, axis):
    rng = np.random.default_rng(1)
    scale = np.linspace(0.01, 5.0, SHAPE[axis]).reshape((-1, 1) if axis in (0, -2) else (1, -1))
    z, step, l1 = scale * rng.standard_normal(SHAPE), steps(kind, rng), 1.3
    w = prox(np, z, 0.2, 0.2 / step, l1=l1, l2=l2, axis=axis)
    slope = np.moveaxis((w - z) / step + l2 * w, axis, 0)
    slices = np.moveaxis(w, axis, 0)
    norms = np.linalg.norm(slices, axis=1)
    assert 0 < np.sum(norms == 0.0) < len(norms)
    for w_g, slope_g, norm in zip(slices, slope, norms, strict=True):
        if norm == 0.0:
            assert np.linalg.norm(slope_g) <= l1
        else:
            np.testing.assert_allclose(slope_g, -l1 * w_g / norm, atol=1e-8)


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("scale", [1.0, np.full(SHAPE, 4.0)], ids=["one", "each"])
def test_no_step_changes_nothing(axis, scale):
    z = np.random.default_rng(2).standard_normal(SHAPE)
    z[2] = 0.0
    np.testing.assert_array_equal(prox(np, z, 0.0, scale, l1=0.5, l2=0.5, axis=axis), z)


@pytest.mark.parametrize("axis", [None, 1])
def test_zeros_stay_and_input_is_not_written_to(axis):
    z = np.zeros(SHAPE)
    z.flags.writeable = False
    w = prox(np, z, 0.1, np.full(SHAPE, 0.1), l1=0.5, l2=0.0, axis=axis)
    np.testing.assert_array_equal(w, 0.0)


def test_penalty():
    w = np.array([[3.0, 0.0], [-4.0, 0.0]])
    assert penalty(np, w, l1=0.1, l2=0.0) == pytest.approx(0.7)
    assert penalty(np, w, l1=0.1, l2=0.2) == pytest.approx(0.7 + 2.5)
    assert penalty(np, w, l1=0.1, l2=0.0, axis=1) == pytest.approx(0.5)
    assert penalty(np, w, l1=0.0, l2=0.0) == 0.0


@pytest.mark.parametrize("level", kernels.levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_steps_in_memory_at_every_level(level, dtype, l2):
    before = kernels.level()
    kernels.use(level)
    try:
        for n in [*range(1, 70), 1000]:
            rng = np.random.default_rng(n)
            w = rng.standard_normal(n).astype(dtype)
            square = (rng.random(n) ** 4 * 10.0 ** rng.integers(-6, 3)).astype(dtype)
            square[n // 2] = 0.0
            out = w.copy()
            proximal_step(out, square, 1e-3, 0.1, 0.5, l2)
            scale = np.sqrt(square.astype(np.float64)) + 1e-3
            exact = prox(np, w.astype(np.float64), 0.1, scale, l1=0.5, l2=l2)
            rounding = 8 * np.finfo(dtype).eps
            np.testing.assert_allclose(out, exact, rtol=rounding, atol=rounding * np.abs(w).max())
            clear = np.abs(np.abs(w) - 0.05 / scale) > rounding * np.abs(w)
            np.testing.assert_array_equal((out == 0)[clear], (exact == 0)[clear])
            assert (exact == 0).any() or n < 8
        out = np.array([np.nan, 1.0, np.inf, -np.inf], dtype=dtype)
        proximal_step(out, np.array([1.0, np.nan, 1.0, 1.0], dtype), 1e-3, 0.1, 0.5, l2)
        np.testing.assert_array_equal(np.isnan(out), [True, True, False, False])
    finally:
        kernels.use(before)
