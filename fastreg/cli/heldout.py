"""Which rows serve for what: most are fitted to, in folds; some may be kept apart for a test."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.cli.errors import UserError, count
from fastreg.validation import Folds, make_folds

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The rows that models are fitted to, those of the test, and the folds of the former."""

    fitted: Rows
    test: Rows
    folds: Folds | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of a regression problem."""

    X: Any
    y: Floats
    sample_weight: Floats | None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    def take(self, rows: Rows) -> "Sample":
        """Take some rows; all of them are not copied."""
        if len(rows) == len(self):
            return self
        weight = self.sample_weight
        X = self.X.tocsr() if hasattr(self.X, "tocsr") else self.X
        return Sample(
            X=X[rows], y=self.y[rows], sample_weight=None if weight is None else weight[rows]
        )

    @property
    def weight(self) -> Floats:
        """The weight of every row."""
        return np.ones(len(self)) if self.sample_weight is None else self.sample_weight


@dataclass(frozen=True, kw_only=True)
class Data:
    """What models are fitted to, its folds (None: no validation), and the test rows, if any."""

    fitted: Sample
    folds: Folds | None
    test: Sample

    @classmethod
    def of(cls, whole: Sample, parts: Parts) -> "Data":
        """Divide the rows."""
        test = (
            whole.take(parts.test)
            if len(parts.test)
            else Sample(X=None, y=np.empty(0), sample_weight=None)
        )
        return cls(fitted=whole.take(parts.fitted), folds=parts.folds, test=test)


def split(
    n_rows: int,
    *,
    n_folds: int,
    test: float = 0.0,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
    time_ordered: bool = False,
) -> Parts:
    """Divide rows into those of a test and folds of all others.

    Parameters
    ----------
    n_rows : int
    n_folds : int
        0: no folds.
    test : float
        The share of the test; 0 for none, otherwise at least one row (or group).
    seed : int
        Of what is drawn at random: all but the rows in the order of time.
    groups : ndarray of shape (n_rows,), optional
        Rows of one group stay together.
    time_ordered : bool
        The test has the last rows, and every fold trains on rows before those it holds out.

    Raises
    ------
    UserError
        If there are too few rows, or groups, for this.
    """
    rows = np.arange(n_rows)
    how: dict[str, Any] = {"time_ordered": time_ordered, "shuffle": not time_ordered}
    try:
        if test:
            generator = None if time_ordered else np.random.default_rng((seed, 1))
            options = {**how, "random_state": generator, "groups": groups}
            held = make_folds(None, rows, cv=test, **options).test[0]
        else:
            held = rows[:0]
        fitted = np.setdiff1d(rows, held, assume_unique=True)
        if len(fitted) < 2:
            raise ValueError
        folds = None
        if n_folds:
            own = None if groups is None else groups[fitted]
            options = {**how, "random_state": None if time_ordered else seed, "groups": own}
            folds = make_folds(None, fitted, cv=n_folds, **options)
    except ValueError as error:
        what = f"{count(n_rows, 'row')} of data"
        if groups is not None:
            what += f" in {count(len(np.unique(groups)), 'group')}"
        into = f" into {n_folds} folds" if n_folds else ""
        raise UserError(
            f"{what} cannot be split{into}{' and a test' if test else ''}: too few are left to"
            " train on; see --folds and --test-size"
        ) from error
    return Parts(fitted=fitted, test=held, folds=folds)


def check_weights(weight: Floats, parts: Parts, option: str) -> None:
    """Refuse weights that are negative, or zero in a whole part."""
    negative = int((weight < 0.0).sum())
    if negative:
        verb = "is" if negative == 1 else "are"
        raise UserError(
            f"{option}: {count(negative, 'weight')} {verb} below zero; 0 or more is needed"
        )
    if (len(parts.test) and not weight[parts.test].any()) or not weight[parts.fitted].any():
        raise UserError(f"{option}: all rows of one part have weight 0; try another --seed")
    if parts.folds is not None:
        try:
            parts.folds.require_weight(weight[parts.fitted])
        except ValueError as error:
            raise UserError(f"{option}: {error}; try another --seed") from error
