"""The maintained Cholesky factor, held against a fresh one after every step."""

import numpy as np
import pytest

from fastreg._core.factor import Factor

STEPS = 300


class Driven:
    """A factor of the Gram matrix of some columns, and a plain copy of what it should hold."""

    def __init__(self, A):
        self.gram = A.T @ A
        self.raised = np.zeros(len(self.gram))  # what was added to the diagonal by force
        self.members = []
        self.noise = 0.0  # of the pivot that was refused last
        self.factor = Factor()
        self.factor.make_room(len(self.gram))

    def column(self, j):
        """The new column, with room for the answer even where there are no members."""
        return self.gram[[*self.members, j], j][: max(1, len(self.members))].copy()

    def append(self, j):
        column = self.column(j)
        known = len(self.members)
        if self.factor.append_row(j, column, self.gram[j, j]):
            self.members.append(j)
            self.raised[j] = 0
            return True
        if self.gram[j, j] == 0:
            assert not column[:known].any()
            return False
        inside = self.matrix()
        fitted = inside @ column[:known]
        scale = np.sqrt(np.diag(inside) * self.gram[j, j])
        weight_size = np.abs(column[:known]) * np.sqrt(np.diag(inside)) / np.sqrt(self.gram[j, j])
        assert np.all(
            np.abs(fitted - self.gram[self.members, j]) <= 1e-12 * scale * (1 + weight_size.sum())
        )
        rest = self.gram[j, j] - column[:known] @ self.gram[self.members, j]
        size = 1 + weight_size.sum()
        self.noise = 1e-15 * self.gram[j, j] * size**2
        assert rest <= 1e-11 * self.gram[j, j] * size + self.noise
        return False

    def force(self, j):
        assert not self.append(j)
        self.raised[j] = self.factor.force_row(j, self.gram[j, j])
        assert 0 <= self.raised[j] <= 1e-11 * self.gram[j, j] + 2 * self.noise
        self.members.append(j)

    def delete(self, k):
        self.factor.delete_row(k)
        self.raised[self.members.pop(k)] = 0

    def rebuild(self, members):
        before = self.factor.arrays()
        none = np.zeros(len(self.gram))
        if self.factor.rebuild_from(np.array(members, dtype=np.int32), self.gram, none):
            self.members = list(members)
            self.raised[:] = 0
            return True
        np.testing.assert_array_equal(self.factor.arrays()[0], before[0])
        np.testing.assert_array_equal(self.factor.arrays()[1], before[1])
        return False

    def matrix(self):
        inside = self.gram[np.ix_(self.members, self.members)].copy()
        inside[np.diag_indices(len(inside))] += self.raised[self.members]
        return inside

    def judge(self, rng):
        members, lower = self.factor.arrays()
        np.testing.assert_array_equal(members, self.members)
        assert self.factor.size == len(self.members)
        if not self.members:
            return
        wanted = self.matrix()
        scale = np.sqrt(np.diag(wanted))
        assert np.all(np.diag(lower) > 0)
        product = lower @ lower.T
        assert np.all(np.abs(product - wanted) <= 1e-13 * len(wanted) * np.outer(scale, scale))
        right = rng.standard_normal(len(wanted)) * scale
        half, whole = self.factor.solved(right)
        size = np.abs(lower)
        assert np.all(np.abs(lower @ half - right) <= 1e-14 * len(right) * (size @ np.abs(half)))
        allowed = 1e-14 * len(right) * (size @ (size.T @ np.abs(whole)))
        assert np.all(np.abs(lower @ (lower.T @ whole) - right) <= allowed)
        if np.linalg.cond(wanted / np.outer(scale, scale)) < 1e8:
            fresh = np.linalg.cholesky(wanted)
            np.testing.assert_allclose(lower / scale[:, None], fresh / scale[:, None], atol=1e-6)
            true = np.linalg.solve(wanted / np.outer(scale, scale), right / scale)
            np.testing.assert_allclose(whole * scale, true, atol=1e-6 * np.linalg.norm(true))


def columns(kind, rng, n=30, p=40):
    A = rng.standard_normal((n, p))
    if kind == "twins":
        A = A[:, rng.integers(0, p // 2, p)] * rng.choice([-1.0, 1.0, 3.0], p)
    elif kind == "sums":
        A[:, p // 2 :] = A[:, : p // 2] @ rng.integers(-1, 2, (p // 2, p - p // 2))
        A[:, p - 1] = A[:, 0]
    elif kind == "near":
        A = A[:, np.arange(p) // 2 * 2] + 10.0 ** -rng.uniform(2, 9, p) * A
    elif kind == "scales":
        A *= 10.0 ** rng.uniform(-60, 60, p)
    return A


@pytest.mark.parametrize("kind", ["independent", "twins", "sums", "near", "scales"])
@pytest.mark.parametrize("seed", range(3))
def test_against_a_fresh_factor(kind, seed):
    rng = np.random.default_rng([seed, len(kind)])
    driven = Driven(columns(kind, rng))
    outside = list(range(len(driven.gram)))
    counts = dict.fromkeys(["taken", "refused", "forced", "rebuilt", "not rebuilt"], 0)
    for step in range(STEPS):
        growing = (step // 60) % 2 == 0
        choice = rng.random()
        outside = [j for j in range(len(driven.gram)) if j not in driven.members]
        if choice < 0.05:
            size = int(rng.integers(1, 30))
            members = rng.permutation(len(driven.gram))[:size].tolist()
            counts["rebuilt" if driven.rebuild(members) else "not rebuilt"] += 1
        elif outside and choice < (0.75 if growing else 0.3):
            j = int(rng.choice(outside))
            if driven.append(j):
                counts["taken"] += 1
            elif rng.random() < 0.3 and driven.raised.any() < 1:
                driven.force(j)
                counts["forced"] += 1
            else:
                counts["refused"] += 1
        elif driven.members:
            driven.delete(int(rng.integers(len(driven.members))))
        driven.judge(rng)
    assert counts["taken"] > 20
    assert counts["rebuilt"] > 0
    if kind in ("twins", "sums", "near"):
        assert counts["refused"] > 0
        assert counts["forced"] > 0
        assert counts["not rebuilt"] > 0


def test_a_zero_column_is_refused():
    driven = Driven(np.column_stack([np.ones(5), np.zeros(5)]))
    assert driven.append(0)
    assert not driven.append(1)
    assert not driven.rebuild([0, 1])
    driven.judge(np.random.default_rng(0))


@pytest.mark.parametrize(("apart", "rest"), [(1.1e-6, 0.03), (1e-4, 3e-5)])
def test_a_clear_pivot_that_rounding_made(apart, rest):
    """What expresses it by two columns that nearly agree has large weights."""
    rng = np.random.default_rng(3)
    Q, _ = np.linalg.qr(rng.standard_normal((30, 3)))
    near = Q[:, 1] + rest * Q[:, 2]
    driven = Driven(np.column_stack([Q[:, 0], Q[:, 0] + apart * near, Q[:, 1]]))
    assert driven.append(0)
    assert driven.append(1)
    assert not driven.append(2)
    assert not driven.rebuild([0, 1, 2])


def test_growing_keeps_what_is_there():
    rng = np.random.default_rng(1)
    driven = Driven(rng.standard_normal((9, 6)))
    driven.factor = Factor()
    for j in range(6):
        driven.factor.make_room(j + 1)
        assert driven.append(j)
        driven.judge(rng)


def built(A, members, ridge=0.0):
    """The factor of the Gram matrix of some columns, built at once; None where it is refused."""
    gram = A.T @ A
    factor = Factor()
    factor.make_room(len(gram))
    ridge = np.full(len(gram), ridge)
    if factor.rebuild_from(np.array(members, dtype=np.int32), gram, ridge):
        np.testing.assert_array_equal(factor.arrays()[0], members)
        return factor.arrays()[1]
    assert factor.size == 0
    return None


@pytest.mark.parametrize("m", [1, 2, 3, 5, 8, 31, 32, 33, 47, 64, 65, 100, 129, 200])
@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_a_factor_built_at_once(level, m, ridge):
    rng = np.random.default_rng(m)
    A = rng.standard_normal((m + 20, m + 9)) * 10.0 ** rng.uniform(-3, 3, m + 9)
    members = rng.permutation(m + 9)[:m]
    lower = built(A, members, ridge)
    wanted = A[:, members].T @ A[:, members] + ridge * np.eye(m)
    scale = np.sqrt(np.diag(wanted))
    error = np.abs(lower @ lower.T - wanted) / np.outer(scale, scale)
    assert error.max() <= 1e-15 * (m + 4)
    fresh = np.linalg.cholesky(wanted)
    np.testing.assert_allclose(lower / scale[:, None], fresh / scale[:, None], atol=1e-11)


@pytest.mark.parametrize("m", [1, 6, 40, 90])
def test_bad_pivots_are_refused(level, m):
    """Wherever in the matrix they are, and whatever is wrong with them."""
    rng = np.random.default_rng(m)
    for k in {0, m // 3, m // 2, m - 1}:
        A = rng.standard_normal((m + 10, m))
        assert built(A, np.arange(m)) is not None
        bad_columns = [np.zeros(m + 10), np.full(m + 10, np.nan)]
        if m > 1:
            bad_columns.append(A[:, k - 1] * (1 + 1e-6))
        for bad in bad_columns:
            spoilt = A.copy()
            spoilt[:, k] = bad
            assert built(spoilt, np.arange(m)) is None
        near = A.copy()
        near[:, k] = A[:, k - 1] + 1e-4 * A[:, k]
        assert built(near, np.arange(m)) is not None
