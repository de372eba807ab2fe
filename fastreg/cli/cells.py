"""What the cells of a text column look like: numbers in disguise, mistakes among numbers, dates."""

from collections.abc import Sequence

import polars as pl

#: A number as people write it, with thousands separators or a decimal comma.
_WRITTEN = r"^[+-]?\d+(,\d+)*(\.\d*)?$"
_DATE = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4}))([T ]\d{1,2}:.*)?$"


def tidy(series: pl.Series, missing: Sequence[str]) -> pl.Series:
    """Strip blanks from a column of a text file, and see what it holds then.

    Parameters
    ----------
    series : polars.Series
        As it was read; of any type.
    missing : sequence of str
        What counts as a missing value.
    """
    if series.dtype != pl.String:
        return series
    text = series.str.strip_chars()
    text = text.set(text.is_in(list(missing)), None)
    for dtype in (pl.Int64, pl.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers
    if text.drop_nulls().is_in(["true", "false"]).all():
        return text == "true"
    return text


def first_that_is_no_number(text: pl.Series) -> tuple[str, str]:
    """Find the first value that is not a number: ``'oops' in row 7 of the data``, its parts.

    Returns
    -------
    value, place : str
        Both empty if all values are numbers.
    """
    wrong = _is_no_number(text).arg_true()
    if len(wrong) == 0:
        return "", ""
    return repr(text[wrong[0]][:40]), f"row {wrong[0] + 1} of the data"


def mostly_numbers(text: pl.Series) -> bool:
    """Tell whether most values, but not all, are numbers, so that the others look like mistakes."""
    known = text.drop_nulls()
    wrong = _is_no_number(known)
    return bool(wrong.any()) and 2 * int((wrong & ~known.str.contains(_WRITTEN)).sum()) < len(known)


def dates(text: pl.Series) -> bool:
    """Tell whether most values are dates."""
    known = text.drop_nulls()
    return 2 * int(known.str.contains(_DATE).sum()) > len(known)


def _is_no_number(text: pl.Series) -> pl.Series:
    return text.is_not_null() & text.str.strip_chars().cast(pl.Float64, strict=False).is_null()
