"""Which method solves a problem: the one place where costs are weighed against each other.

With n rows, p features and one read of X (a pass) as the unit, the Gram matrix of all features
costs about p / 20 passes, after which X need not be read again. A working set costs some ten passes
for one strength (its own Gram matrix included). Along a path that grows with the number of features
that enter, and so with the depth of the path. A Cholesky factor on the smaller Gram matrix is the
cheapest way to a smooth objective. `python -m benchmarks.choice` measures how good the choice is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastreg._core.dense import ONE_READ
from fastreg.inputs import Array
from fastreg.settings import Settings

_FEATURES_PER_PASS = 20  # whose Gram matrix costs as much as a pass
_PASSES = 10  # of a working set, for one strength
_FLOAT_PAYS = 80  # features from which float products save more than a pass
_FLOAT_ENTRIES = 1_000_000  # of X, below which nothing counts
_FLOAT_TOL = 1e-10  # gap that a few rounds reach
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

    def method(self, n: int, p: int) -> str:
        """Return the method for a design of that shape."""
        if self.settings.method != "auto":
            return self.settings.method
        if self.smooth:
            return "cholesky" if self.fits(min(n, p)) else "krylov"
        passes = _PASSES * (1.0 + self.depth**2) * np.sqrt(self.n_responses)
        if n > p and p <= _FEATURES_PER_PASS * passes and self.fits(p):
            return "gram"
        return "working_set"

    def wants_gram(self, n: int, p: int) -> bool:
        """Whether the Gram matrix of all features will be needed, so that one read may give it."""
        method = self.method(n, p)
        return self.fits(p) and (method == "gram" or (method == "cholesky" and p <= n))

    def takes_float(self, n: int, p: int) -> bool:
        """Return whether a Gram matrix in float and a pass to measure are cheaper than double.

        For one strength one pass proves the answer; along a path every point would need its own.
        """
        single = self.depth == 0 and self.n_responses == 1 and not self.smooth
        worth = _FLOAT_PAYS <= p <= ONE_READ and n * p >= _FLOAT_ENTRIES
        return single and worth and self.settings.tol >= _FLOAT_TOL and self.method(n, p) == "gram"
