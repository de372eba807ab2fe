"""How much the columns of a design matrix vary."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def total_variance(X: Any, weight: Floats | None, standardize: bool) -> float:
    """Sum the variances of the columns: the L2 penalty of that alpha at least halves every fit.

    There is no smallest alpha that makes all coefficients of an L2 penalty zero, where a path
    could begin. This sum bounds the largest eigenvalue of the covariance of X from above.

    Raises
    ------
    ValueError
        If the sum is too large for a number.
    """
    deviation = column_deviations(X, weight)
    with np.errstate(over="ignore"):
        total = np.count_nonzero(deviation) if standardize else deviation @ deviation
    if not np.isfinite(total):
        raise ValueError("the columns are too large to be left as they are: --standardize them")
    return float(total) or 1.0


def column_deviations(X: Any, weight: Floats | None = None) -> Floats:
    """Compute the (weighted) standard deviation of every column; 0 for a constant one."""
    share = np.full(X.shape[0], 1.0 / X.shape[0]) if weight is None else weight / weight.sum()
    mean, unit = np.asarray(share @ X).ravel(), _units(X)
    if hasattr(X, "tocsc"):
        columns = X.tocsc()
        stored = np.diff(columns.indptr)
        centered, filled = columns.copy(), columns.copy()
        distance = columns.data - np.repeat(mean, stored)
        centered.data = (distance / np.repeat(unit, stored)) ** 2
        filled.data = np.ones_like(columns.data)
        empty = np.where(stored < X.shape[0], 1.0 - share @ filled, 0.0)
        variance = share @ centered + empty * (mean / unit) ** 2
    else:
        variance = np.array(
            [share @ ((X[:, j] - mean[j]) / unit[j]) ** 2 for j in range(X.shape[1])]
        )
    deviation = unit * np.sqrt(np.maximum(variance, 0.0))
    return np.where(deviation > 1e-13 * np.abs(mean), deviation, 0.0)


def _units(X: Any) -> Floats:
    """Find the power of two below the largest number of every column; 1 for a column of zeros."""
    ends = [X.max(axis=0), X.min(axis=0)]
    high, low = (end.toarray().ravel() if hasattr(end, "toarray") else end for end in ends)
    largest = np.maximum(high, -low)
    return np.where(largest > 0.0, np.ldexp(1.0, np.frexp(largest)[1] - 1), 1.0)
