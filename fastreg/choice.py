"""Which method solves a problem.

What is known beforehand is weighed here; what shows on the way (a working set that takes in all
features, a factor that is made anew) is weighed where it shows.

With n rows, p features and one read of X (a pass) as the unit, the Gram matrix of all features
costs about p / 20 passes, after which X need not be read again. A working set comes down to one
strength by steps, of a few passes each, and more where more features enter: a few runs of rows tell
alpha_max roughly, and so the number of steps. Along a path that grows with the depth of the path. A
Cholesky factor on the smaller Gram matrix is the cheapest way to a smooth objective. For one
strength and up to 512 features, from 80 in float32 X and from 160 in float64, the Gram matrix is
made in float, and one pass measures the answer on X.

A working set on many rows may find after its first steps that its support will be large: what
correlates with the residual more than the strength will do so at the end, if it is noise and not
another feature's shadow. Then it gives way to the Gram matrix of all features at once.

The same look tells where descent is cheaper: it needs as many rounds as the digits asked for, and
the dependence of the features, demand, and no Gram matrix.

On sparse X a read is so cheap that the work on the support decides: its Gram matrix and factor may
have many more entries than X, so that a working set takes in all features only for a larger
support. Coordinate descent on the residual needs neither, and how many rounds it takes nobody knows
beforehand. So it is tried, where it may pay, and a working set goes on from where it arrived if it
makes too little headway. In the same way conjugate gradients are tried first for one strength of a
smooth objective, as long as a factor would have cost more. A path begins with a working set and
goes on with descent from where the support has become large.

`python -m benchmarks.choice` measures how good the choice is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fastreg._core.dense import ONE_READ
from fastreg.costs import BATCH, CALL, FEATURES_PER_PASS, PASSES, Dense, Sparse
from fastreg.inputs import Array
from fastreg.settings import Settings

_FLOAT_PER_PASS = 40  # features whose Gram matrix in float costs as much as a pass over double X
_STEP = 3.0  # factor between the steps in which a working set comes down
_STEPS = 2.4  # down to one strength, at a guess
_NARROW = 96  # features up to which the Gram matrix is the best in any case,
_WIDE = 1000  # and from which it never is before the support is seen to be large
_LOOK = 2e5  # entries that are read in the time that surrounds the work of a step
_SMALL = 1 << 25  # multiplications that count for nothing beside many strengths
_FLOAT_PAYS = 80  # features from which float products of float X save more than a pass,
_WIDE_PAYS = 160  # and those of double X
_FLOAT_ENTRIES = 1_000_000  # of X, below which nothing counts
_FLOAT_TOL = 1e-10  # gap that a few rounds reach
_READS = 12.0  # along a path,
_NOISY, _MOST_READS = 200.0, 30.0  # more a decade of noise, and so many more at most,
_EARLIER = 0.15  # where the largest noise is so many decades ahead of the typical one
_STRENGTHS = 100  # along a path, at a guess, each with a residual
_CALLS = 12  # such calls' worth of small work along a path that a Gram matrix of all saves
_FEWEST_STEPS = 10  # of conjugate gradients that are worth a try
_NEAR = 1e-3  # gap, over the null objective, from which a working set knows the support
_TRIAL = 0.25  # share of what a working set costs before descent on dense X is judged
_FAR = 3.0  # factors' worth of descent that may come before
ROWS = 64  # of a sample that tells how much features differ
_WORTH_A_LOOK = 100_000  # entries of X from which it is asked
_RUNS = 16  # of rows that tell alpha_max,
_RUN = 32  # and how long they are
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


def steps_down(X: Array, y: Array, weight: Array, factor: Array, l1: float, centre: bool) -> float:
    """Return about how many steps a strength lies below alpha_max, which some rows tell.

    `factor` multiplies the strength, one a column. The rows are short runs, spread over all.
    """
    n, pull = len(y), np.zeros(X.shape[1])
    starts = np.linspace(0, max(n - _RUN, 0), min(_RUNS, 1 + n // _RUN)).astype(np.intp)
    runs = [slice(start, start + _RUN) for start in starts.tolist()]
    with np.errstate(all="ignore"):
        total = math.fsum(weight[run].sum() for run in runs)
        if total == 0.0:
            return _STEPS
        mean = sum(weight[run] @ y[run] for run in runs) / total if centre else 0.0
        for run in runs:
            pull += (weight[run] * (y[run] - mean)) @ X[run]
        largest = float(np.max(np.abs(pull) / factor))
        down = float(np.log(np.float64(largest) / (total * l1))) / math.log(_STEP)
    return max(down, 0.0) if math.isfinite(down) else _STEPS


def rank_of(rows: Array) -> float:
    """Return as how many independent features those of a sample of rows count.

    That is p^2 / sum_jk C_jk^2 with C their correlation matrix, p where they are independent. The
    rows are standardised, and exchangeable: the mean square of their products is the sum.
    """
    products = rows @ rows.T
    count, p = rows.shape
    square = float(np.sum(products**2) - np.sum(np.diag(products) ** 2)) / (count * (count - 1))
    return float(p * p / max(square, p))


def starts_with_descent(n_violating: int) -> bool:
    """Whether so many features will enter at the first strength of many."""
    return n_violating > BATCH


class Outlook(NamedTuple):
    """What a few rows of X have told."""

    steps: float = _STEPS  # from alpha_max down to the strength, by factors of _STEP
    per_pass: int = FEATURES_PER_PASS  # features whose Gram matrix costs as much as a pass

    def after(self, steps: float, halved: bool) -> Outlook:
        """Return the same with so many steps; halved: products in float are to be had."""
        return Outlook(steps, _FLOAT_PER_PASS if halved else FEATURES_PER_PASS)

    @property
    def passes(self) -> float:
        """What a working set takes more than a Gram matrix: more a step as the support grows."""
        return 2.0 * self.steps + self.steps**2


UNKNOWN = Outlook()


@dataclass(frozen=True)
class Plan:
    """What is known of a task before its data are looked at."""

    settings: Settings
    smooth: bool  # no L1 strength and no bounds
    depth: float  # decades of the grid of strengths
    n_responses: int = 1
    l1: float = 0.0  # L1 strength, if there is one strength only and it is known
    l2: float = 0.0  # and L2 strength
    outlook: Outlook = UNKNOWN

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
        tall = n > p or self._is_small(n, p)
        passes = self.outlook.passes + _LOOK * (1.0 + self.outlook.steps) / (n * p)
        passes *= (1.0 + self.depth**2) * math.sqrt(self.n_responses)
        if tall and p <= self.outlook.per_pass * passes and self.fits(p):
            return "gram"
        return "working_set"

    def steps_first(self, X: Sparse | None) -> int:
        """Return how many steps of conjugate gradients are tried before a factor is made.

        They cost as much as it does, about; with a penalty it rarely takes as many.
        """
        single = self.depth == 0.0 and self.n_responses == 1
        if X is None or not (single and self.smooth and self.l2 > 0.0):
            return 0
        steps = int(X.closed_form / (2.0 * X.read)) if self.settings.method == "auto" else 0
        return steps if steps >= _FEWEST_STEPS else 0

    def asks_rows(self, n: int, p: int) -> bool:
        """Whether a look at some rows of dense X may change the method."""
        single = self.depth == 0.0 and self.n_responses == 1 and not self.smooth and self.l1 > 0.0
        open_ = _NARROW <= p <= _WIDE and p < n and n * p >= _WORTH_A_LOOK
        return self.settings.method == "auto" and single and open_

    def _for_sparse(self, X: Sparse) -> str:
        calls = 0.0 if self.depth == 0.0 else _CALLS * CALL + _STRENGTHS * X.n
        tall = X.n > X.p or self._is_small(X.n, X.p)
        reads = _READS + min(_NOISY * max(0.0, self.depth - X.quiet + _EARLIER), _MOST_READS)
        reads *= math.sqrt(self.n_responses)
        if tall and X.gram(X.p) <= reads * X.read + calls and self.fits(X.p):
            return "working_set" if self.may_descend(X) else "gram"
        return "working_set"

    def may_descend(self, X: Sparse | Dense) -> bool:
        """Whether coordinate descent on the residual may be worth a try.

        Not along a path, if in the end a Gram matrix of all features is cheaper.
        """
        alone = self.depth == 0.0 and self.n_responses == 1
        return X.may_descend and (alone or X.outgrows or not self.fits(X.p))

    def _is_small(self, n: int, p: int) -> bool:
        """Whether a Gram matrix of all features is little beside the calls of a path."""
        return self.depth > 0.0 and p <= 4 * n and n * p * p <= _SMALL

    def foresees(self, n: int, p: int, X: Sparse | None) -> bool:
        """Whether a working set asks if all features will matter: at once it may take them all.

        Where rows are few beside them, a fit that goes up to its support by steps is cheaper; on
        sparse X one goes on with coordinate descent.
        """
        if X is not None and self.depth == 0.0:
            return False
        rows = 2 * p if self.depth == 0.0 else p
        return n >= rows and n * p >= _WORTH_A_LOOK and self.fits(p)

    def wants_gram(self, n: int, p: int, X: Sparse | None) -> bool:
        """Whether the Gram matrix of all features will be needed, so that one read may give it."""
        method = self.method(n, p, X)
        if self.steps_first(X):
            return False
        return self.fits(p) and (method == "gram" or (method == "cholesky" and p <= n))

    def takes_float(self, n: int, p: int, is_float: bool) -> bool:
        """Return whether a Gram matrix in float and a pass to measure are cheaper than double.

        For one strength one pass proves the answer; along a path every point would need its own.
        `is_float` says whether X is.
        """
        return self.pays_float(n, p, is_float) and self.method(n, p, None) == "gram"

    def pays_float(self, n: int, p: int, is_float: bool) -> bool:
        """Return the same of a Gram matrix that is wanted in any case."""
        single = self.depth == 0 and self.n_responses == 1 and not self.smooth
        least = _FLOAT_PAYS if is_float else _WIDE_PAYS
        worth = least <= p <= ONE_READ and n * p >= _FLOAT_ENTRIES
        return single and worth and self.settings.tol >= _FLOAT_TOL


@dataclass
class Headway:
    """Whether coordinate descent still promises to arrive first.

    A working set that takes over pays for the work on the support, once for all strengths that
    are left, and for some moves at each of them. It needs a point that is near, or it goes through
    many supports first.
    """

    X: Sparse | Dense
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
        read = self.X.read
        once = (self.X.work(n_active) + 4.0 * CALL) / read + PASSES
        other = once / self.n_left + (self.X.step(n_active) + CALL) / read
        free = other if isinstance(self.X, Sparse) else _TRIAL * other
        if reads <= free or (gap > _NEAR * self.null and reads <= _FAR * free):
            return True
        # at the pace of the last half
        then, was = next(past for past in reversed(self._past) if past[0] <= 0.5 * reads)
        return (was - level) * other >= (reads - then) * level
