"""From the columns of a table to the features of a model, and the same again for new data.

Design
------
An `Encoder` is learned on the rows that a model may see and is then only applied, so that no
number of a held-out row enters it. Each column becomes one or more *basic* features:

- a number stays as it is; with products it is moved to mean 0 and scaled into [-1, 1] first, so
  that no power overflows and powers are as little correlated as may be;
- a true/false column is 0 or 1;
- text is one-hot encoded: its values are sorted, and every one but the first (the baseline) gets
  a 0/1 feature that is called ``column=value``.

A *term* is a product of basic features, written as the sorted tuple of their indices. Products
that say nothing new are left out: powers of a feature with two values, two values of one text
column, and products that do not vary. Only the wanted terms are ever computed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastreg.cli import cells
from fastreg.cli.errors import UserError, count, did_you_mean

Floats = NDArray[np.float64]
Term = tuple[int, ...]
Impute = Literal["mean", "median"]

#: The largest design matrix that is made: 2 GiB of float64.
MAX_ENTRIES = 2**28
MAX_FEATURES = 10**6


@dataclass(frozen=True, kw_only=True)
class Column:
    """What is known about one column of the table.

    Attributes
    ----------
    name : str
    kind : {"number", "flag", "text"}
    levels : tuple of str
        The sorted values of a text column; the first one is the baseline.
    fill : float or str or None
        What stands in for a missing value; None refuses them.
    center, scale : float
        A number x enters products as ``(x - center) / scale``.
    """

    name: str
    kind: str
    levels: tuple[str, ...] = ()
    fill: float | str | None = None
    center: float = 0.0
    scale: float = 1.0

    @property
    def labels(self) -> list[str]:
        """The names of the basic features."""
        return [f"{self.name}={level}" for level in self.levels[1:]] or [self.name]

    def basics(self, series: pl.Series) -> list[Floats]:
        """Compute the basic features of this column.

        Raises
        ------
        UserError
            If the values do not fit to what was learned.
        """
        if self.kind != "text":
            return [(self._numbers(series) - self.center) / self.scale]
        values = _text(series)
        if series.null_count():
            values = values.fill_null(self._need_fill(series))
        unknown = [v for v in values.unique().sort() if v not in self.levels]
        if unknown:
            raise UserError(
                f"column {self.name!r} has the value {unknown[0]!r}, which the model has never"
                f" seen{did_you_mean(unknown[0], self.levels)}"
            )
        if len(self.levels) == 1:
            return [np.zeros(len(values))]
        return [(values == level).to_numpy().astype(np.float64) for level in self.levels[1:]]

    def _numbers(self, series: pl.Series) -> Floats:
        if not _is_number(series):
            value, place = cells.first_that_is_no_number(_text(series))
            holds = f"{value} in {place}{cells.hint(value)}" if value else "text"
            raise UserError(f"column {self.name!r} holds {holds}, and the model expects numbers")
        values = series.cast(pl.Float64).to_numpy()
        missing = np.isnan(values)
        if missing.any():
            values = np.where(missing, self._need_fill(series), values)
        if not np.isfinite(values).all():
            raise UserError(f"column {self.name!r} holds infinite values")
        if self.kind == "flag" and not np.isin(values, (0.0, 1.0)).all():
            raise UserError(f"column {self.name!r} must be true or false")
        return np.asarray(values, dtype=np.float64)

    def _need_fill(self, series: pl.Series) -> float | str:
        if self.fill is None:
            raise UserError(
                f"column {self.name!r} has {count(_n_missing(series), 'missing value')}, and the"
                " model was fitted without --impute"
            )
        return self.fill


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Turns a table into a design matrix; made by `learn`."""

    columns: tuple[Column, ...]
    terms: tuple[Term, ...]

    @cached_property
    def basic_names(self) -> list[str]:
        """The names of the basic features."""
        return [label for column in self.columns for label in column.labels]

    def names(self) -> list[str]:
        """Name the features, one per term."""
        return [_term_name(term, self.basic_names) for term in self.terms]

    def keep(self, features: Sequence[int]) -> "Encoder":
        """Make an encoder of some of the features only."""
        return replace(self, terms=tuple(self.terms[k] for k in features))

    def transform(self, frame: pl.DataFrame) -> Floats:
        """Compute the features.

        Parameters
        ----------
        frame : polars.DataFrame
            Must have the learned columns, in any order; others are not looked at.

        Returns
        -------
        ndarray of shape (n_rows, n_terms), Fortran-ordered

        Raises
        ------
        UserError
            If a column is missing or its values do not fit.
        """
        known = set(frame.columns)
        absent = [column.name for column in self.columns if column.name not in known]
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            near = did_you_mean(absent[0], frame.columns)
            raise UserError(f"the data has no column {absent[0]!r}{more}{near}")
        needed = {index for term in self.terms for index in term}
        basics = _all_basics(self.columns, frame, needed)
        design = np.empty((frame.height, len(self.terms)), order="F")
        for k, term in enumerate(self.terms):
            design[:, k] = basics[term[0]]
            for index in term[1:]:
                design[:, k] *= basics[index]
        return design


def learn(
    frame: pl.DataFrame,
    rows: NDArray[np.intp],
    *,
    degree: int = 1,
    impute: Impute | None = None,
    max_levels: int = 100,
) -> Encoder:
    """Learn an encoder.

    Parameters
    ----------
    frame : polars.DataFrame
        All rows: the values that a text column can take are those of the whole file.
    rows : ndarray of int
        The rows that means, medians and scales may come from.
    degree : int
        The largest number of factors of a product.
    impute : {"mean", "median"}, optional
        How numbers are filled in; text and true/false columns then get their most frequent value.
    max_levels : int
        A text column with more values is refused.

    Raises
    ------
    UserError
        If a column cannot be used as it is, or the products are too many.
    """
    if frame.width == 0:
        raise UserError("no column is left to predict from")
    seen = frame[rows]
    columns = tuple(
        _learn_column(series, seen.get_column(series.name), impute, max_levels, degree > 1)
        for series in frame.iter_columns()
    )
    n_basics = sum(len(column.labels) for column in columns)
    if degree == 1:
        _check_size(n_basics, frame.height, degree)
        terms: Iterable[Term] = ((k,) for k in range(n_basics))
    else:
        terms = _products(columns, _all_basics(columns, seen, None), degree, frame.height)
    encoder = Encoder(columns=columns, terms=tuple(terms))
    ((name, times),) = Counter(encoder.names()).most_common(1)
    if times > 1:
        raise UserError(f"{times} features would be called {name!r}; rename that column")
    return encoder


def _learn_column(
    series: pl.Series, seen: pl.Series, impute: Impute | None, max_levels: int, scaled: bool
) -> Column:
    name, missing = series.name, _n_missing(series)
    if not name:
        raise UserError(
            "a column has no name, as row numbers often have none; leave it out with --drop ''"
        )
    if missing == len(series):
        raise UserError(f"column {name!r} is empty; leave it out with --drop {name!r}")
    if missing and impute is None:
        raise UserError(
            f"column {name!r} has {count(missing, 'missing value')}; fill them in with --impute"
            f" mean or --impute median, or leave the column out with --drop {name!r}"
        )
    known = seen.drop_nulls()
    if series.dtype.is_float():
        known = known.drop_nans()
    if len(known) == 0:
        raise UserError(
            f"column {name!r} has no value in the rows to fit; leave it out with --drop {name!r}"
        )
    if series.dtype == pl.Boolean:
        usual = float(_most_frequent(known))
        return Column(name=name, kind="flag", fill=usual if impute else None)
    if not _is_number(series):
        declared = isinstance(series.dtype, (pl.Categorical, pl.Enum))
        usual_text = _text(known) if impute else None
        return _learn_text(_text(series), usual_text, max_levels, declared)
    values = known.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        raise UserError(f"column {name!r} holds infinite values")
    fill = float(np.median(values) if impute == "median" else np.mean(values))
    column = Column(name=name, kind="number", fill=fill if impute else None)
    if not scaled:
        return column
    center = float(np.mean(values))
    return replace(column, center=center, scale=float(np.max(np.abs(values - center))) or 1.0)


def _learn_text(
    text: pl.Series, known: pl.Series | None, max_levels: int, declared: bool
) -> Column:
    """Learn the values of a text column; `declared`: it is categorical by its type."""
    levels = tuple(sorted(text.drop_nulls().unique().to_list()))
    drop = f"leave the column out with --drop {text.name!r}"
    if declared:
        pass
    elif cells.dates(text):
        raise UserError(
            f"column {text.name!r} holds dates, such as {levels[0][:40]!r}, neither numbers nor"
            f" text; {drop}"
        )
    elif cells.mostly_numbers(text):
        value, place = cells.first_that_is_no_number(text)
        raise UserError(
            f"column {text.name!r} is made of numbers, but {place} holds {value}"
            f"{cells.hint(value)}; correct it, mark it as missing (NA), or {drop}"
        )
    if len(levels) > max_levels:
        raise UserError(
            f"column {text.name!r} is text with {len(levels)} different values, such as"
            f" {levels[0][:40]!r}; leave it out with --drop {text.name!r} or allow it with"
            f" --max-levels {len(levels)}"
        )
    fill = str(_most_frequent(known)) if known is not None else None
    return Column(name=text.name, kind="text", levels=levels, fill=fill)


def _all_basics(
    columns: Sequence[Column], frame: pl.DataFrame, needed: set[int] | None
) -> Mapping[int, Floats]:
    """Compute the basic features by index; columns that no term needs are skipped."""
    basics: dict[int, Floats] = {}
    start = 0
    for column in columns:
        stop = start + len(column.labels)
        if needed is None or not needed.isdisjoint(range(start, stop)):
            values = column.basics(frame.get_column(column.name))
            basics.update(zip(range(start, stop), values, strict=True))
        start = stop
    return basics


def _products(
    columns: Sequence[Column], basics: Mapping[int, Floats], degree: int, n_rows: int
) -> Iterator[Term]:
    """List all products of up to `degree` basic features that vary, the short ones first."""
    owner = [column for column in columns for _ in column.labels]
    has_powers = [owner[k].kind == "number" and np.unique(basics[k]).size > 2 for k in basics]

    def longer(term: Term) -> Iterator[Term]:
        for k in range(term[-1], len(owner)):
            if has_powers[k] or all(owner[i] is not owner[k] for i in term):
                yield (*term, k)

    terms: list[Term] = [(k,) for k in basics]
    total = len(terms)
    for _ in range(degree - 1):  # count first: the values of too many would fill the memory
        longest, terms = terms, []
        for term in longest:
            terms.extend(longer(term))
            _check_size(total + len(terms), n_rows, degree)
        total += len(terms)
    yield from ((k,) for k in basics)
    layer: dict[Term, Floats] = {(k,): values for k, values in basics.items()}
    for _ in range(degree - 1):
        products = (
            (new, values * basics[new[-1]])
            for term, values in layer.items()
            for new in longer(term)
        )
        layer = {term: values for term, values in products if np.ptp(values) > 0.0}
        yield from layer


def _check_size(n_features: int, n_rows: int, degree: int) -> None:
    if n_features > MAX_FEATURES or n_features * n_rows > MAX_ENTRIES:
        made = f"--degree {degree} makes" if degree > 1 else "the data has"
        raise UserError(
            f"{made} more than {n_features - 1} features for {count(n_rows, 'row')}, which is too"
            " much to hold in memory; lower --degree or leave columns out with --drop"
        )


def _term_name(term: Term, basic_names: Sequence[str]) -> str:
    factors = []
    for index in dict.fromkeys(term):
        power = term.count(index)
        factors.append(basic_names[index] + (f"^{power}" if power > 1 else ""))
    return " × ".join(factors)  # noqa: RUF001


def _is_number(series: pl.Series) -> bool:
    return series.dtype.is_numeric() or series.dtype == pl.Boolean


def _text(series: pl.Series) -> pl.Series:
    """Turn values into text; refuse dates, lists and the like."""
    if not (isinstance(series.dtype, (pl.String, pl.Categorical, pl.Enum)) or _is_number(series)):
        raise UserError(
            f"column {series.name!r} holds values of type {series.dtype}, neither numbers nor"
            f" text; leave it out with --drop {series.name!r}"
        )
    return series.cast(pl.String)


def _most_frequent(known: pl.Series) -> Any:
    return known.mode().sort()[0]


def _n_missing(series: pl.Series) -> int:
    nans = int(cast(int, series.is_nan().sum())) if series.dtype.is_float() else 0
    return series.null_count() + nans
