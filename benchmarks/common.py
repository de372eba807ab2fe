"""What a comparison is: the same work by the package and by plain NumPy, timed and checked.

asv takes the classes of this module for what they are, abstract, and runs their subclasses.
"""

import gc
from abc import ABC, abstractmethod
from time import perf_counter

import numpy as np

from . import data, reference

TOL = 1e-6
"""Relative duality gap at which both sides stop."""


def alternate(first, second, seconds=1.0, least=3, most=30):
    """Median over alternating pairs of (time of first, time of second, their ratio)."""
    times = []
    enabled, start = gc.isenabled(), perf_counter()
    gc.disable()
    try:
        while len(times) < least or (perf_counter() - start < seconds and len(times) < most):
            begin = perf_counter()
            first()
            middle = perf_counter()
            second()
            times.append((middle - begin, perf_counter() - middle))
    finally:
        if enabled:
            gc.enable()
    pairs = np.array(times)
    return (*np.median(pairs, axis=0), float(np.median(pairs[:, 0] / pairs[:, 1])))


def rounded(value):
    """Three digits: what is tracked is read in tables."""
    return float(f"{value:.3g}")


def relative_gap(result):
    """The gaps that a result reports, in units of the null objective."""
    return np.atleast_1d(np.asarray(result.duality_gap) / np.asarray(result.null_objective))


class Comparison(ABC):
    """One piece of work, done by ``fastreg`` and by ``reference`` on what ``setup`` prepared."""

    timeout = 300
    rounds = 1
    repeat = (3, 20, 2.0)
    warmup_time = 0.0

    @abstractmethod
    def setup(self, *parameters):
        """Prepare the data of one set of parameters."""

    @abstractmethod
    def fastreg(self):
        """Do the work with the package."""

    @abstractmethod
    def reference(self):
        """Do the work with plain NumPy."""

    @abstractmethod
    def disagreement(self):
        """(difference of the two results, how much is allowed), in the same unit."""

    def time_fastreg(self, *parameters):
        self.fastreg()

    def time_reference(self, *parameters):
        self.reference()

    def peakmem_fastreg(self, *parameters):
        self.fastreg()

    def peakmem_reference(self, *parameters):
        self.reference()

    def track_ratio(self, *parameters):
        self.fastreg()
        self.reference()
        return rounded(alternate(self.fastreg, self.reference)[2])

    track_ratio.unit = "time of fastreg / time of reference"


class SolverComparison(Comparison):
    """A fit of one or more penalties to one or more responses; ``setup`` calls ``prepare`` last.

    The difference is how far the package's objective may be above the minimum: above the better of
    the two dual points that the reference knows. Each side may be off by the gap that it stops at.
    The gap that the package reports must not be refuted by the reference's objective.
    """

    def prepare(self, X, y, penalties, sample_weight=None, fit_intercept=True):
        """The centred problem of each response, and the penalties (one an alpha)."""
        columns = y.T if y.ndim == 2 else [y]
        self.problems = [
            reference.centred(X, column, sample_weight, fit_intercept) for column in columns
        ]
        self.penalties = penalties

    def coefficients(self, result):
        """Coefficients of the package's result as (k, m, p): alphas, responses, features."""
        coef = np.asarray(result.coef)
        return coef.reshape(len(self.penalties), len(self.problems), coef.shape[-1])

    def certificates(self, coefs):
        """(k, m, 2) objectives and gaps over the null objective."""
        return np.array(
            [
                [
                    np.array(reference.certify(problem, penalty, w)) / (problem.b @ problem.b / 2)
                    for problem, w in zip(self.problems, row, strict=True)
                ]
                for penalty, row in zip(self.penalties, coefs, strict=True)
            ]
        )

    def disagreement(self):
        result = self.fastreg()
        ours = self.coefficients(result)
        theirs = np.reshape(self.reference(), ours.shape)
        ours, theirs = self.certificates(ours), self.certificates(theirs)
        bound = np.maximum(ours[..., 0] - ours[..., 1], theirs[..., 0] - theirs[..., 1])
        claimed = relative_gap(result).reshape(bound.shape)
        refuted = ours[..., 0] - theirs[..., 0] > claimed + 1e-12
        if refuted.any() or not claimed.max() <= TOL:
            raise AssertionError(f"reported gaps that do not hold: {claimed[refuted]}, {claimed}")
        return max(float(np.max(ours[..., 0] - bound)), 0.0), 2 * TOL

    def track_gap(self, *parameters):
        return rounded(relative_gap(self.fastreg()).max())

    track_gap.unit = "duality gap / null objective"

    def track_passes(self, *parameters):
        return float(np.sum(self.fastreg().n_passes))

    track_passes.unit = "reads of X"

    def track_sweeps(self, *parameters):
        return float(np.sum(self.fastreg().n_sweeps))

    track_sweeps.unit = "sweeps"


def alpha_max(loaded: data.Data, sample_weight=None) -> float:
    """The smallest alpha whose lasso solution is zero, by the reference."""
    problem = reference.centred(loaded.X, loaded.y, sample_weight)
    return float(np.abs(problem.correlate(problem.b)).max())
