"""Which method solves a problem: the one place where costs are weighed against each other.

With n rows, p features and one read of X (a pass) as the unit, the Gram matrix of all features
costs about p / 20 passes, after which X need not be read again. A working set costs some ten passes
for one strength (its own Gram matrix included). Along a path that grows with the number of features
that enter, and so with the depth of the path. A Cholesky factor on the smaller Gram matrix is the
cheapest way to a smooth objective. `python -m benchmarks.choice` measures how good the choice is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastreg.inputs import Array, is_sparse
from fastreg.settings import Settings

_FEATURES_PER_PASS = 20  # whose Gram matrix costs as much as a pass
_PASSES = 10  # of a working set, for one strength
_ROUNDS = 20  # reads of a sparse X that coordinate descent takes for one strength, at a guess
_READS = 10  # of it that are worth an exact end
_FACTOR = 0.03  # entries of X read in the time that a factor takes, per cube of its size
_MOVES = 3.0  # the same for the moves of a working set along a path, per square
_COLUMN = 8  # the same for the beginning of a column
_BATCH = 64  # features, with which a working set begins
_CALL = 2e4  # the same for what surrounds the work at one strength
_NEAR = 1e-3  # gap, over the null objective, from which a working set knows the support
_FAR = 10.0  # factors' worth of descent that may come before
_DEEPEST = 3.0  # decades of a path that ends at zero


def gram_bytes(features: int) -> float:
    """Return what the Gram matrix of so many features and its packed factor take."""
    return 12.0 * float(features) ** 2


def decades(grid: Array) -> float:
    """Return how deep a decreasing grid of strengths is, in powers of ten."""
    top, last = float(grid[0]), float(grid[-1])
    if top == 0.0:
        return 0.0
    return min(math.log10(top / last), _DEEPEST) if last > 0.0 else _DEEPEST


def stored(X: Any) -> int | None:
    """Return how many entries a sparse design stores, None for a dense one."""
    return int(X.nnz) if is_sparse(X) else None


def read_cost(X: Any) -> float:
    """Return what one read of a sparse design costs, in entries: the columns count, too."""
    return float(X.nnz + _COLUMN * X.shape[1])


def may_descend(X: Any) -> bool:
    """Whether coordinate descent on the residual of a sparse design may be worth a try.

    Where even the largest support is cheap, the working set, whose end is exact, is preferred.
    """
    rank = float(min(X.shape))
    return _FACTOR * rank**3 + _MOVES * rank**2 > _READS * read_cost(X) + 2.0 * _CALL


def starts_with_descent(n_violating: int) -> bool:
    """Whether so many features will enter at the first strength of many."""
    return n_violating > _BATCH


def most_features(X: Any) -> float:
    """Return how large a working set on a sparse design may be before descent may be cheaper.

    The moves of the working set then cost as much as a few reads of X, and a call.
    """
    return math.sqrt(2.0 * read_cost(X) + _CALL)


@dataclass(frozen=True)
class Plan:
    """What is known of a task before its data are looked at."""

    settings: Settings
    smooth: bool  # no L1 strength and no bounds
    depth: float  # decades of the grid of strengths
    n_responses: int = 1

    def fits(self, features: int) -> bool:
        """Whether the Gram matrix of so many features may be kept."""
        return gram_bytes(features) <= self.settings.gram_memory

    def method(self, n: int, p: int, entries: int | None) -> str:
        """Return the method for a design of that shape, with so many entries if it is sparse."""
        if self.settings.method != "auto":
            return self.settings.method
        if self.smooth:
            return "cholesky" if self.fits(min(n, p)) else "krylov"
        if entries is not None:
            return self._for_sparse(n, p, entries)
        passes = _PASSES * (1.0 + self.depth**2) * np.sqrt(self.n_responses)
        if n > p and p <= _FEATURES_PER_PASS * passes and self.fits(p):
            return "gram"
        return "working_set"

    def _for_sparse(self, n: int, p: int, entries: int) -> str:
        a_row = entries / n
        gram = min(0.6 * a_row, p * (0.3 + 0.02 * p) / max(a_row, 1.0))
        gram += _FACTOR * float(p) ** 3 / max(entries, 1)
        reads = _ROUNDS * (1.0 + self.depth) * math.sqrt(self.n_responses)
        if n > p and gram <= reads and self.fits(p):
            return "gram"
        return "working_set"

    def wants_gram(self, n: int, p: int, entries: int | None) -> bool:
        """Whether the Gram matrix of all features will be needed, so that one read may give it."""
        method = self.method(n, p, entries)
        return self.fits(p) and (method == "gram" or (method == "cholesky" and p <= n))


@dataclass
class Headway:
    """Whether coordinate descent on a sparse design still promises to arrive first.

    A working set that takes over pays for the factor of the support, once for all strengths that
    are left, and for some moves at each of them. It needs a point that is near, or it goes through
    many supports first.
    """

    read: float  # its cost, in entries
    null: float  # objective
    target: float  # gap
    n_left: int  # strengths of the grid, from this one on
    n_active: int = 0
    _past: list[tuple[float, float]] = field(default_factory=list)  # (reads of X, log of gap)

    def suffices(self, reads: float, gap: float, n_active: int) -> bool:
        """Take note of what has been reached, and say whether to go on."""
        level = math.log(max(gap / self.target, 1e-300))
        self._past.append((reads, level))
        self.n_active = n_active
        square = float(n_active) ** 2
        once = (_FACTOR * square * n_active + 10.0 * _CALL) / self.read + _PASSES
        other = once / self.n_left + (_MOVES * square + _CALL) / self.read
        if reads <= other or (gap > _NEAR * self.null and reads <= _FAR * other):
            return True
        then, was = next(past for past in self._past if past[0] >= 0.5 * reads)
        return (was - level) * other >= (reads - then) * level
