"""Random calls of the C-level API, good and bad, for some seconds; a process of its own.

    python tests/fuzz_c_api.py SECONDS [SEED]

Every call must return a status that exists, write nothing outside of what it was given, and tell
the truth where it says that it has converged. A failure names the seed that repeats it.
"""

from __future__ import annotations

import ctypes
import sys
from time import monotonic

import c_api
import numpy as np
import oracle
from standard_form import make_problem

GUARD = -7.25e77
WIDE = np.longdouble(1) + np.longdouble(2) ** -60 > 1  # not so where a processor is emulated
ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 1e-300, 5e-324, 1e160, -1.0]


class Guarded:
    """Memory for numbers between two guards."""

    def __init__(self, size):
        self.memory = np.full(size + 16, GUARD)
        self.inside = self.memory[8 : 8 + size]

    @property
    def address(self):
        return self.inside.ctypes.data

    def is_whole(self):
        return bool((self.memory[:8] == GUARD).all() and (self.memory[-8:] == GUARD).all())


class Case:
    """One call; `sound` tells whether nothing in it is wrong on purpose."""

    def __init__(self, rng):
        self.rng = rng
        self.sound = True
        self.kind = rng.choice(["gram", "dense", "csc"])
        self.n = int(rng.integers(1, 14))
        self.p = int(rng.integers(0, 10))
        self.points = int(rng.integers(0, 4))
        self.X = self.numbers((self.n, self.p))
        self.shape_columns()
        self.y = self.numbers(self.n)
        if rng.random() < 0.1:
            self.y[:] = self.y[0]
        self.weight = np.round(rng.uniform(0, 2, self.n), 1) if rng.random() < 0.4 else None
        self.strengths = np.abs(self.numbers((2, max(self.points, 1))))
        self.intercept = bool(rng.random() < 0.5) and self.kind != "gram"
        self.make_penalty()
        self.spoil()

    def numbers(self, shape):
        scale = 10.0 ** self.rng.choice([0, 0, 0, 0, -3, 3, 8, -8, 60, -60, 200, -170])
        values = self.rng.standard_normal(shape) * scale
        return np.round(values / scale) * scale if self.rng.random() < 0.3 else values

    def shape_columns(self):
        for j in range(self.p):
            what = self.rng.random()
            if what < 0.08:
                self.X[:, j] = self.X[0, j]
            elif what < 0.2 and j:
                self.X[:, j] = self.X[:, : j + 1] @ self.rng.integers(-1, 2, j + 1)
            elif what < 0.25:
                self.X[:, j] += 1e6 * np.abs(self.X[:, j]).max()

    def make_penalty(self):
        rng, p = self.rng, self.p
        self.factor = rng.choice([0.0, 1.0, 2.5, np.inf], p) if rng.random() < 0.4 else None
        self.lower = rng.choice([-np.inf, -1.0, 0.0, 0.1], p) if rng.random() < 0.3 else None
        self.upper = rng.choice([np.inf, 1.0, 0.2, 0.1], p) if rng.random() < 0.3 else None

    def spoil(self):
        """Put odd numbers where they do not belong."""
        if self.rng.random() < 0.6:
            return
        self.sound = False
        arrays = [self.X, self.y, self.weight, self.strengths, self.factor, self.lower, self.upper]
        arrays = [a for a in arrays if a is not None and a.size]
        for _ in range(int(self.rng.integers(1, 4))):
            array = arrays[self.rng.integers(len(arrays))]
            array.flat[self.rng.integers(array.size)] = self.rng.choice(ODD)

    def sparse(self):
        rows = [np.flatnonzero(self.X[:, j] != 0) for j in range(self.p)]
        halves = [np.ones(len(r), dtype=int) for r in rows]
        if self.rng.random() < 0.3:  # entries of the same row are summed
            halves = [self.rng.integers(1, 3, len(r)) for r in rows]
        values = [
            np.repeat(self.X[r, j] / h, h)
            for j, (r, h) in enumerate(zip(rows, halves, strict=True))
        ]
        rows = [np.repeat(r, h) for r, h in zip(rows, halves, strict=True)]
        start = np.cumsum([0, *map(len, rows)]).astype(np.int32)
        row = np.concatenate([*rows, [0]]).astype(np.int32)
        x = np.concatenate([*values, [0.0]])
        if self.rng.random() < 0.15:
            self.sound = False
            array = [start, row][self.rng.integers(2)]
            # the ends of `start` stay within x, which only the caller can know
            place = self.rng.integers(len(array) - (array is start and len(array) > 1))
            array[place] = self.rng.integers(-3, self.n + 4)
            start[:] = np.minimum(start, len(x))
        return start, row, x

    def data(self):
        """The arguments of the data, and what must stay alive."""
        address = c_api.address
        if self.kind == "gram":
            Z = self.X
            G, c = np.ascontiguousarray(Z.T @ Z / self.n), Z.T @ self.y / self.n
            square = float(self.y @ self.y / self.n)
            if G.size and self.rng.random() < 0.15:
                self.sound = False
                G.flat[self.rng.integers(G.size)] *= self.rng.choice([-1.0, 3.0, 0.0])
            return [self.p], [address(G), max(self.p, 1), address(c), square], (G, c)
        if self.kind == "csc":
            parts = self.sparse()
            given = [*map(address, parts), address(self.y), address(self.weight)]
            return [self.n, self.p], given, parts
        by_column = self.rng.random() < 0.5
        X = np.array(self.X, order="F" if by_column else "C")
        rows, columns = (1, self.n) if by_column else (max(self.p, 1), 1)
        given = [address(X), rows, columns, address(self.y), address(self.weight)]
        return [self.n, self.p], given, (X,)

    def call(self):
        rng = self.rng
        sizes, data, alive = self.data()
        options = c_api.options(fit_intercept=self.intercept)
        if rng.random() < 0.1:
            self.sound = False
            name = rng.choice(["size", "tol", "max_sweeps"])
            values = {"size": [0, 7, 8, 1 << 40], "tol": [0.0, np.nan, -1.0, 1e-300, 1e300],
                      "max_sweeps": [-1, 0, 1, 2]}  # fmt: skip
            setattr(options, name, values[name][rng.integers(len(values[name]))])
        size = c_api.functions[f"{self.kind}_workspace"](*sizes)
        self.workspace = Guarded((size + 7) // 8)
        self.coef, self.offset = Guarded(self.points * self.p), Guarded(self.points)
        width = ctypes.sizeof(c_api.Result) // 8
        self.results = Guarded(self.points * width)
        outputs = [self.coef.address]
        if self.kind != "gram":
            outputs.append(self.offset.address if rng.random() < 0.8 else None)
        outputs.append(self.results.address)
        memory, what = [self.workspace.address, size], rng.random()
        if what < 0.2:
            memory = [None, 0]
        elif what < 0.25:
            self.sound = False
            memory[1] = int(rng.integers(0, size))
        if rng.random() < 0.05:
            self.sound = False
            sizes[rng.integers(len(sizes))] = int(rng.choice([-1, -(1 << 40), 1 << 62]))
        place = rng.random()
        if place < 0.03:
            self.sound = False
            data[rng.choice([k for k, d in enumerate(data) if d is not None])] = 0
        elif place < 0.06 and self.coef.inside.size >= self.n:  # outputs in inputs
            self.sound = False
            self.coef.inside[: self.n] = self.y
            data[-1 if self.kind == "gram" else -2] = (
                self.coef.address if (self.kind != "gram") else data[-1]
            )
        l1, l2 = (np.ascontiguousarray(row) for row in self.strengths)
        negative = any(s < 0 for s in sizes) or max(sizes) > 1 << 30
        if negative:  # then nobody could know how large the outputs are
            outputs[0] = None
        self.status = c_api.functions[f"{self.kind}_path"](
            *sizes, *data, self.points, c_api.address(l1), c_api.address(l2),
            c_api.address(self.factor), c_api.address(self.lower), c_api.address(self.upper),
            ctypes.addressof(options), *outputs, *memory)  # fmt: skip
        return alive

    def check(self):
        assert self.status in c_api.STATUSES
        for guarded in (self.workspace, self.coef, self.offset, self.results):
            assert guarded.is_whole(), "a guard was overwritten"
        results = (c_api.Result * self.points).from_buffer(self.results.inside.copy())
        assert self.status == min([r.status for r in results], default=self.status)
        coef = self.coef.inside.reshape(self.points, self.p)
        for k, result in enumerate(results):
            assert result.status in c_api.STATUSES
            if result.status == c_api.CONVERGED:
                assert np.isfinite(coef[k]).all()
                assert 0 <= result.duality_gap <= result.tolerance
                assert result.n_active == np.count_nonzero(coef[k])
                self.check_solution(coef[k], result, k)
            elif result.status <= c_api.BAD_ARGUMENT:
                assert result.duality_gap == np.inf

    def check_solution(self, coef, result, k):
        for bound, sign in ((self.lower, 1), (self.upper, -1)):
            if bound is not None:
                kept = np.isfinite(self.factor) if self.factor is not None else slice(None)
                assert (sign * (coef - bound)[kept] >= -1e-300).all()  # what is subnormal inside
        plain = np.abs(self.X[self.X != 0])
        if (
            not (self.sound and WIDE)
            or self.rng.random() < 0.8
            or (plain.size and (plain.max() > 1e30 or plain.min() < 1e-30))
        ):
            return
        l1, l2 = self.strengths[:, k]
        relative = [l1 / np.abs(self.X.T @ self.y).max(initial=1e-300),
                    l2 / (self.X**2).sum(axis=0).max(initial=1e-300)]  # fmt: skip
        if not 1e-6 < max(relative) < 1e6:  # rounding leaves the oracle nothing to say
            return
        if self.weight is not None and self.kind != "gram" and not self.weight.any():
            return
        offset = self.offset.inside[k]
        if self.kind == "gram":
            offset = 0.0
        elif offset == GUARD:
            return
        problem = make_problem(
            self.X, self.y, l1 + l2, l1_ratio=l1 / (l1 + l2) if l1 + l2 > 0 else 1.0,
            fit_intercept=self.intercept,
            sample_weight=None if self.kind == "gram" else self.weight,
            penalty_factor=self.factor, lower=self.lower, upper=self.upper)  # fmt: skip
        allowed = oracle.rounding(problem, coef, offset).gap
        gap = oracle.duality_gap(problem, coef, offset, enough=result.duality_gap)
        # moments are rounded, and so are penalties of bounds that lie away from zero
        allowed += (1e-12 if self.kind == "gram" else 1e-14) * oracle.null_objective(problem)
        assert gap <= result.duality_gap * (1 + 1e-6) + allowed, (gap, result.duality_gap, allowed)


def main():
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None
    end, count, sound, solved = monotonic() + seconds, 0, 0, 0
    while seed is not None or monotonic() < end:
        case = Case(np.random.default_rng(count if seed is None else seed))
        try:
            case.call()
            case.check()
        except BaseException:
            print(f"seed {count if seed is None else seed}: {vars(case)}", file=sys.stderr)
            raise
        sound += case.sound
        solved += case.status == c_api.CONVERGED
        count += 1
        if seed is not None:
            break
    print(f"{count} calls, {sound} sound, {solved} converged")


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main()
