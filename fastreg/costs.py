"""What the methods cost on a design of a shape, in entries that are read in the same time."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from fastreg.inputs import is_sparse

FEATURES_PER_PASS = 20  # whose Gram matrix costs as much as a pass over dense X
PASSES = 10  # of a working set, for one strength
CALL = 6e4  # of what surrounds the work at one strength
BATCH = 64  # features with which a working set begins
SHARE = 1.0 / 3.0  # of the features, from which a Gram matrix of all pays if X is dense
_GROWING = 80.0  # reads along a path on sparse X that takes in most features
_DESCENT = 150  # reads that a factor of all features costs where a path goes on with descent
_ROWS = 0.75  # nonzeros, as a share of the rows, that descent is used for at most
# Coordinate descent on sparse X along a path, at each strength:
_CHECKS = 5.0  # reads for what proves the answer and tells who will enter, and
_SWEEPS, _SLOWED = 15.0, 90.0  # sweeps, of which the latter times the odds of a row being used up
# Costs in entries of a sparse X that are read in the same time:
_SORT, _ROW, _PAIR = 10.0, 12.0, 1.2  # of a Gram matrix, per entry, row, and entries^2 / rows
_PLACE = 9.0  # of an entry of it, whatever it is,
_FACTOR = 0.013  # of a factor, per cube of its size
_MOVES = 2.0  # of the moves of a working set along a path, per square
_AGAIN = 0.5  # share of a factor that is made anew at each strength
_COLUMN = 8  # of the beginning of a column in a read,
_TURN = 30  # and of a turn of a feature in coordinate descent, beside its entries
# The same on dense X, where an entry is read in less time:
_DENSE_FACTOR = 0.3  # of a factor, per cube of its size
_LOOKS = 3.0  # reads of descent beside its rounds, more than a working set takes,
_ROUND = 1.2  # of an entry in a round,
_SLOW = 0.26  # and rounds for each digit, per condition number
_SHARED = 3.0  # features more a row that an L2 penalty as strong as the curvature lets in
_HOLLOW = 0.5  # share of stored entries from which X is not sparse but in its format


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
    def quiet(self) -> float:
        """Decades down a path without features that are noise.

        One of p such correlates with any residual by about sqrt(2 log(p) / n).
        """
        return 0.5 * math.log10(self.n / (2.0 * math.log(self.p + 1.0)))

    def gram(self, features: float) -> float:
        """Cost of the Gram matrix of so many features."""
        entries = self.entries * features / self.p
        by_rows = _SORT * entries + _ROW * self.n + _PAIR * entries**2 / self.n
        by_blocks = self.n * features * (0.6 + 0.04 * features) + _SORT * entries
        return min(by_rows, by_blocks) + _PLACE * features**2

    @property
    def share_for_all(self) -> float:
        """Share of the features from which the Gram matrix of all is cheaper than reads for more.

        That of a share costs about its square.
        """
        return math.sqrt(max(SHARE**2, 1.0 - _GROWING * self.read / self.gram(self.p)))

    def work(self, features: float) -> float:
        """Cost of a working set that large: its Gram matrix and its factor."""
        return self.gram(features) + _FACTOR * features**3

    @property
    def closed_form(self) -> float:
        """Cost of a factor of the smaller Gram matrix, of columns or of rows."""
        few, many = min(self.n, self.p), max(self.n, self.p)
        return Sparse(many, few, self.entries).work(few)

    def step(self, features: float) -> float:
        """Cost of one more strength of a path for a working set that large."""
        moves = _MOVES * features**2 + _AGAIN * _FACTOR * features**3
        return moves + _SORT * self.entries * features / self.p

    def descent(self, features: float) -> float:
        """Cost of one more strength for coordinate descent, if so many features are nonzero.

        Sweeps go over these, and are the more the nearer they come to the rows in number.
        """
        if features >= self.n:
            return math.inf
        sweeps = _SWEEPS + _SLOWED * features / (self.n - features)
        own = (self.entries + _TURN * self.p) * features / self.p
        return 2.0 * CALL + _CHECKS * self.read + sweeps * own

    @property
    def most_features(self) -> float:
        """How large a working set may be before coordinate descent may be cheaper."""
        few, many = float(BATCH), float(min(self.p, _ROWS * self.n))
        if self.step(many) <= self.descent(many):
            return math.inf
        while many > 1.1 * few:
            middle = math.sqrt(few * many)
            if self.step(middle) <= self.descent(middle):
                few = middle
            else:
                many = middle
        return many

    @property
    def may_descend(self) -> bool:
        """Whether coordinate descent on the residual may be worth a try.

        Not where the largest support is cheap beside reads, nor where everything is cheap, nor
        where most entries are stored: the end of a working set is exact.
        """
        rank = float(min(self.n, self.p))
        support = self.work(rank) + _MOVES * rank**2
        is_sparse = self.entries < _HOLLOW * self.n * self.p
        return is_sparse and support > 2.0 * self.read + 4.0 * CALL

    @property
    def outgrows(self) -> bool:
        """Whether the factor of all features is dear enough for a path to end with descent."""
        return self.n <= self.p or _FACTOR * self.p**3 > _DESCENT * self.read


class Dense(NamedTuple):
    """What the choice looks at in a dense design. Costs are in entries that are read."""

    n: int
    p: int
    rank: int  # features that may be nonzero at once: without an L2 penalty no more than rows
    per_pass: int = FEATURES_PER_PASS  # of all features: more where products in float will do

    @property
    def read(self) -> float:
        """Cost of one read."""
        return float(self.n * self.p)

    def gram(self, features: float) -> float:
        """Cost of the Gram matrix of so many features."""
        return self.n * features**2 / FEATURES_PER_PASS

    def work(self, features: float) -> float:
        """Cost of a working set that large: its Gram matrix and its factor."""
        return self.gram(features) + _DENSE_FACTOR * features**3

    def step(self, features: float) -> float:
        """Cost of one more strength of a path for a working set that large."""
        return _MOVES * features**2

    @property
    def share_for_all(self) -> float:
        """Share of the features from which the Gram matrix of all pays, as on sparse X."""
        return SHARE

    @property
    def may_descend(self) -> bool:
        """Whether coordinate descent on the residual may be worth a try."""
        return self.work(float(self.rank)) > 2.0 * self.read

    @property
    def outgrows(self) -> bool:
        """Whether a path ends with descent: its Gram matrix serves all strengths."""
        return False

    def prefers_descent(self, support: float, rank: float, q: float, tol: float) -> bool:
        """Whether coordinate descent comes to so many nonzero features in less time.

        `rank` is as how many independent features all count, `q` the L2 strength over the curvature
        of a feature. How many rounds a digit takes is as for independent features, whose Gram
        matrix has eigenvalues from (1 - sqrt(share))^2 to (1 + sqrt(share))^2.
        """
        support = min(support, self.n * (1.0 + _SHARED * q))
        share = math.sqrt(support / self.n)
        least = max(1.0 - share, 0.0) ** 2 + q
        if least == 0.0:
            return False
        rounds = 1.0 + _SLOW * math.sqrt(self.p / rank) * ((1.0 + share) ** 2 + q) / least
        rounds *= max(-math.log10(tol), 1.0) if tol > 0.0 else math.inf
        descent = _LOOKS * self.read + rounds * _ROUND * self.n * support
        other = self.work(support)
        if self.p <= 2 * self.n and support > SHARE * self.p:
            other = max(other, self.n * self.p**2 / self.per_pass)
        return descent < other


def sparse(X: Any) -> Sparse | None:
    """Return what the choice looks at in a sparse design, None for a dense one."""
    return Sparse(X.shape[0], X.shape[1], int(X.nnz)) if is_sparse(X) else None
