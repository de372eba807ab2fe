"""Which rows serve for what, and how errors are measured on them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.cli.errors import UserError, count

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The indices of the rows of each part; any but the first may be empty."""

    train: Rows
    validation: Rows
    test: Rows

    @property
    def fitted(self) -> Rows:
        """The rows that the final models are fitted to."""
        return np.concatenate([self.train, self.validation])


@dataclass(frozen=True, kw_only=True)
class Data:
    """A regression problem: design matrix, target, weights, and which row serves for what."""

    X: Any
    y: Floats
    sample_weight: Floats | None
    parts: Parts

    def part(self, rows: Rows) -> tuple[Any, Floats, Floats | None]:
        """Take some rows."""
        return self.X[rows], self.y[rows], self.weight(rows)

    def weight(self, rows: Rows) -> Floats | None:
        """Take the weights of some rows."""
        return None if self.sample_weight is None else self.sample_weight[rows]

    def weight_of(self, rows: Rows) -> float:
        """Sum the weights of some rows."""
        weight = self.weight(rows)
        return float(len(rows) if weight is None else weight.sum())

    def mean(self, rows: Rows) -> float:
        """Compute the (weighted) mean of the target."""
        return float(np.average(self.y[rows], weights=self.weight(rows)))

    def deviation(self, rows: Rows) -> float:
        """Compute the (weighted) standard deviation of the target."""
        return self.error(self.y[rows] - self.mean(rows), rows)

    def error(self, residuals: Floats, rows: Rows) -> float:
        """Compute the (weighted) root mean square of the residuals of some rows."""
        return rms(residuals, self.weight(rows))


def split(n_rows: int, *, validation: float, test: float, seed: int) -> Parts:
    """Split rows at random.

    Parameters
    ----------
    n_rows : int
    validation, test : float
        The share of the rows in each part; 0 for none, otherwise at least one row.
    seed : int

    Raises
    ------
    UserError
        If no two rows are left to train on.
    """
    order = np.random.default_rng(seed).permutation(n_rows)
    n_test = max(1, round(test * n_rows)) if test else 0
    n_validation = max(1, round(validation * n_rows)) if validation else 0
    if n_rows - n_test - n_validation < 2:
        raise UserError(
            f"{count(n_rows, 'row')} of data cannot be split into parts: too few are left to train"
            " on" + ("; see --test-size and --validation-size" if n_rows > 2 else "")
        )
    return Parts(
        test=np.sort(order[:n_test]),
        validation=np.sort(order[n_test : n_test + n_validation]),
        train=np.sort(order[n_test + n_validation :]),
    )


def check_weights(weight: Floats, parts: Parts, option: str) -> None:
    """Refuse weights that are negative, or zero in a whole part."""
    negative = int((weight < 0.0).sum())
    if negative:
        verb = "is" if negative == 1 else "are"
        raise UserError(
            f"{option}: {count(negative, 'weight')} {verb} below zero; 0 or more is needed"
        )
    for rows in (parts.train, parts.validation, parts.test):
        if len(rows) and weight[rows].sum() == 0.0:
            raise UserError(f"{option}: all rows of one part have weight 0; try another --seed")


def rms(values: Floats, weight: Floats | None) -> float:
    """Compute a (weighted) root mean square; nan of no values, 0 of values without weight."""
    if not len(values):
        return float("nan")
    if weight is not None and not weight.any():
        return 0.0
    unit = power_of_two(values)
    return unit * float(np.sqrt(np.average((values / unit) ** 2, weights=weight)))


def power_of_two(values: Floats) -> float:
    """Find a power of two (no rounding) to divide by, so that the squares do not overflow."""
    largest = float(np.max(np.abs(values), initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return 1.0
    return math.ldexp(1.0, math.frexp(largest)[1] - 1)
