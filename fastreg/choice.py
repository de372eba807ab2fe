"""Which method solves a problem.

What is known beforehand is weighed here; what shows on the way (a working set that takes in all
features, a factor that is made anew) is weighed where it shows.

With n rows, p features and one read of X (a pass) as the unit, the Gram matrix of all features
costs about p / 20 passes, after which X need not be read again. A working set costs some ten passes
for one strength (its own Gram matrix included). Along a path that grows with the number of features
that enter, and so with the depth of the path. A Cholesky factor on the smaller Gram matrix is the
cheapest way to a smooth objective. For one strength and up to 512 features, from 80 in float32 X
and from 160 in float64, the Gram matrix is made in float, and one pass measures the answer on X.

On sparse X a read is so cheap that the work on the support decides: its Gram matrix and factor may
have many more entries than X. Coordinate descent on the residual needs neither, and how many rounds
it takes nobody knows beforehand. So it is tried, where it may pay, and a working set goes on from
where it arrived if it makes too little headway. A path begins with a working set and goes on with
descent from where the support has become large.

`python -m benchmarks.choice` measures how good the choice is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastreg._core.dense import ONE_READ
from fastreg.inputs import Array, is_sparse
from fastreg.settings import Settings

_FEATURES_PER_PASS = 20  # whose Gram matrix costs as much as a pass
_PASSES = 10  # of a working set, for one strength
_FLOAT_PAYS = 80  # features from which float products of float X save more than a pass,
_WIDE_PAYS = 160  # and those of double X
_FLOAT_ENTRIES = 1_000_000  # of X, below which nothing counts
_FLOAT_TOL = 1e-10  # gap that a few rounds reach
_ROUNDS = 20  # reads of a sparse X that coordinate descent takes for one strength, at a guess
# Costs in entries of a sparse X that are read in the same time:
_FACTOR = 0.03  # of a factor, per cube of its size
_MOVES = 2.0  # of the moves of a working set along a path, per square
_COLUMN = 8  # of the beginning of a column
_HOLLOW = 0.5  # share of stored entries from which X is not sparse but in its format
_CALL = 6e4  # of what surrounds the work at one strength
_BATCH = 64  # features with which a working set begins
_NEAR = 1e-3  # gap, over the null objective, from which a working set knows the support
_FAR = 10.0  # factors' worth of descent that may come before
_DEEPEST = 3.0  # decades of a path that ends at zero


def gram_bytes(features: float) -> float:
    """Return what the Gram matrix of so many features and its packed factor take."""
    return 12.0 * float(features) ** 2


def decades(grid: Array) -> float:
    """Return how deep a decreasing grid of strengths is, in powers of ten."""
    top, last = float(grid[0]), float(grid[-1])
    if top == 0.0:
        return 0.0
    return min(math.log10(top / last), _DEEPEST) if last > 0.0 else _DEEPEST


class Sparse(NamedTuple):
    """What the choice looks at in a sparse design. Costs are in entries that are read."""

    n: int
    p: int
    entries: int

    @property
    def read(self) -> float:
        """Cost of one read: the columns count, too."""
        return float(self.entries + _COLUMN * self.p)

    @property
    def gram(self) -> float:
        """Cost of the Gram matrix of all features and of its factor."""
        by_rows = 0.6 * self.entries**2 / self.n
        by_blocks = self.n * self.p * (0.3 + 0.02 * self.p)
        return min(by_rows, by_blocks) + _FACTOR * float(self.p) ** 3

    @property
    def most_features(self) -> float:
        """How large a working set may be before coordinate descent may be cheaper.

        Its moves at one strength then cost as much as a few reads, and a call.
        """
        return math.sqrt(3.0 * self.read + _CALL)

    @property
    def may_descend(self) -> bool:
        """Whether coordinate descent on the residual may be worth a try.

        Not where the largest support is cheap beside reads, nor where everything is cheap, nor
        where most entries are stored: the end of a working set is exact.
        """
        rank = float(min(self.n, self.p))
        support = 0.6 * (self.entries * rank / self.p) ** 2 / self.n
        support += _FACTOR * rank**3 + _MOVES * rank**2
        is_sparse = self.entries < _HOLLOW * self.n * self.p
        return is_sparse and support > 2.0 * self.read and support + self.read > _CALL


def sparse(X: Any) -> Sparse | None:
    """Return what the choice looks at in a sparse design, None for a dense one."""
    return Sparse(X.shape[0], X.shape[1], int(X.nnz)) if is_sparse(X) else None


def starts_with_descent(n_violating: int) -> bool:
    """Whether so many features will enter at the first strength of many."""
    return n_violating > _BATCH


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

    def method(self, n: int, p: int, X: Sparse | None) -> str:
        """Return the method for a design of that shape, in more detail if it is sparse."""
        if self.settings.method != "auto":
            return self.settings.method
        if self.smooth:
            return "cholesky" if self.fits(min(n, p)) else "krylov"
        if X is not None:
            return self._for_sparse(X)
        passes = _PASSES * (1.0 + self.depth**2) * np.sqrt(self.n_responses)
        if n > p and p <= _FEATURES_PER_PASS * passes and self.fits(p):
            return "gram"
        return "working_set"

    def _for_sparse(self, X: Sparse) -> str:
        reads = _ROUNDS * (1.0 + self.depth) * math.sqrt(self.n_responses)
        alone = self.depth == 0.0 and self.n_responses == 1
        if X.n > X.p and X.gram <= reads * X.entries and self.fits(X.p):
            return "working_set" if alone and X.may_descend else "gram"
        return "working_set"

    def wants_gram(self, n: int, p: int, X: Sparse | None) -> bool:
        """Whether the Gram matrix of all features will be needed, so that one read may give it."""
        method = self.method(n, p, X)
        return self.fits(p) and (method == "gram" or (method == "cholesky" and p <= n))

    def takes_float(self, n: int, p: int, is_float: bool) -> bool:
        """Return whether a Gram matrix in float and a pass to measure are cheaper than double.

        For one strength one pass proves the answer; along a path every point would need its own.
        `is_float` says whether X is.
        """
        single = self.depth == 0 and self.n_responses == 1 and not self.smooth
        least = _FLOAT_PAYS if is_float else _WIDE_PAYS
        worth = least <= p <= ONE_READ and n * p >= _FLOAT_ENTRIES
        accurate = self.settings.tol >= _FLOAT_TOL
        return single and worth and accurate and self.method(n, p, None) == "gram"


@dataclass
class Headway:
    """Whether coordinate descent on a sparse design still promises to arrive first.

    A working set that takes over pays for the factor of the support, once for all strengths that
    are left, and for some moves at each of them. It needs a point that is near, or it goes through
    many supports first.
    """

    read: float  # cost of a read
    null: float  # objective
    target: float  # gap
    n_left: int  # strengths of the grid, from this one on
    n_active: int = 0
    _past: list[tuple[float, float]] = field(default_factory=list)  # (reads, log of gap to go)

    def suffices(self, reads: float, gap: float, n_active: int) -> bool:
        """Take note of what has been reached, and say whether to go on."""
        if reads == 0.0:
            return True
        if not self.target > 0.0:
            return False
        level = math.log(gap / self.target)
        self._past = self._past or [(0.0, math.log(self.null / self.target))]
        self._past.append((reads, level))
        self.n_active = n_active
        once = (_FACTOR * float(n_active) ** 3 + 4.0 * _CALL) / self.read + _PASSES
        other = once / self.n_left + (_MOVES * float(n_active) ** 2 + _CALL) / self.read
        if reads <= other or (gap > _NEAR * self.null and reads <= _FAR * other):
            return True
        # at the pace of the last half
        then, was = next(past for past in reversed(self._past) if past[0] <= 0.5 * reads)
        return (was - level) * other >= (reads - then) * level
