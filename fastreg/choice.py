"""Which method solves a problem: the one place where costs are weighed against each other.

With n rows, p features and one read of X (a pass) as the unit, the Gram matrix of all features
costs about p / 20 passes, after which X need not be read again. A working set needs some ten
passes for one strength and fifteen for a path (its own Gram matrix included), however many features
there are. A Cholesky factor on the smaller Gram matrix is the cheapest way to a smooth objective.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastreg.settings import Settings

_FEATURES_PER_PASS = 20  # whose Gram matrix costs as much as a pass
_PASSES_ONE, _PASSES_PATH = 10, 15
_BYTES_A_PAIR = 12  # Gram matrix and packed factor


@dataclass(frozen=True)
class Plan:
    """What is known of a task before its data are looked at."""

    settings: Settings
    smooth: bool  # no L1 strength and no bounds
    n_points: int  # strengths of the grid
    n_responses: int = 1

    def fits(self, features: int) -> bool:
        """Whether the Gram matrix of so many features may be kept."""
        return _BYTES_A_PAIR * float(features) ** 2 <= self.settings.gram_memory

    def method(self, n: int, p: int) -> str:
        """Return the method for a design of that shape."""
        if self.settings.method != "auto":
            return self.settings.method
        if self.smooth:
            return "cholesky" if self.fits(min(n, p)) else "krylov"
        passes = _PASSES_ONE if self.n_points * self.n_responses == 1 else _PASSES_PATH
        if n > p and p <= _FEATURES_PER_PASS * passes and self.fits(p):
            return "gram"
        return "working_set"

    def wants_gram(self, n: int, p: int) -> bool:
        """Whether the Gram matrix of all features will be needed, so that one read may give it."""
        method = self.method(n, p)
        return self.fits(p) and (method == "gram" or (method == "cholesky" and p <= n))
