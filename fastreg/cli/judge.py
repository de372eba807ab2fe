"""What the scores of folds say about a model, and about the lead of one model over another.

With e_k the mean squared error on the rows that fold k holds out, and v_k the share of the weights
that it holds out, the held-out error of a model is sqrt(sum_k v_k e_k). Standard errors are those
of means over folds (see `fastreg.validate`), carried through the root to first order. Folds share
rows that they train on, so that standard errors are somewhat too small; nobody knows by how much
(Y. Bengio, Y. Grandvalet, "No Unbiased Estimator of the Variance of K-Fold Cross-Validation",
JMLR 5, 2004).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from fastreg.validation.scores import average

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error, and how many folds (or rows) these come from."""

    value: float
    standard_error: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether 0 is outside of the 95 % interval of Student's t with n - 1 degrees."""
        reach = float(stdtrit(max(self.n - 1, 1), 0.975)) * self.standard_error
        return abs(self.value) > reach


def root_mean(scores: Floats, weights: Floats) -> Estimate:
    """Return the root of the mean of squared errors: sqrt(m), s / (2 sqrt(m))."""
    unit = _unit(scores)
    mean, error = average(scores / unit, weights)
    root = math.sqrt(mean)
    spread = float(error) / (2.0 * root) if root else 0.0
    return Estimate(math.sqrt(unit) * root, math.sqrt(unit) * spread, len(scores))


def lead(first: Floats, second: Floats, weights: Floats) -> Estimate:
    """Return by how much the error of the first is below that of the second, on the same folds.

    The standard error is that of the paired differences e2_k / (2 sqrt(m2)) - e1_k / (2 sqrt(m1)):
    what makes a fold hard for both models cancels.
    """
    unit = max(_unit(first), _unit(second))
    one, two = first / unit, second / unit
    roots = [math.sqrt(average(scores, weights)[0]) for scores in (one, two)]
    parts = [
        scores / (2.0 * root) if root else np.zeros_like(scores)
        for scores, root in zip((one, two), roots, strict=True)
    ]
    _, error = average(parts[1] - parts[0], weights)
    size = math.sqrt(unit)
    return Estimate(size * (roots[1] - roots[0]), size * float(error), len(first))


def optimism(scores: Floats, index: tuple[int, ...], weights: Floats) -> float:
    """Estimate by how much the least error of a grid is below that of its model on new rows.

        bias = sum_k v_k (e_k(chosen) - min over the grid of e_k),    sqrt(m + bias) - sqrt(m)

    R. J. Tibshirani, R. Tibshirani, "A bias correction for the minimum error rate in
    cross-validation", Ann. Appl. Stat. 3(2), 2009.

    Parameters
    ----------
    scores : ndarray with a last axis over folds
        Of the whole grid.
    index : tuple of int
        The point that was chosen.
    weights : ndarray of shape (n_folds,)
    """
    chosen, least = scores[index], np.nanmin(scores.reshape(-1, len(weights)), axis=0)
    unit = _unit(chosen)
    mean, bias = (average(values / unit, weights)[0] for values in (chosen, chosen - least))
    return math.sqrt(unit) * (math.sqrt(mean + bias) - math.sqrt(mean))


def _unit(scores: Floats) -> float:
    """Return the largest score: sums of squares of scores over it neither overflow nor vanish."""
    largest = float(np.max(scores, initial=0.0))
    return largest if 0.0 < largest < math.inf else 1.0
