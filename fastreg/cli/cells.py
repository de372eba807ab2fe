"""What the cells of a text column look like: numbers in disguise, mistakes among numbers, dates."""

from collections.abc import Sequence

import polars as pl

from fastreg.cli.errors import UserError

#: A number as people write it: with separators of thousands, a decimal comma, a currency, a unit.
_WRITTEN = r"^[$€£¥]? ?[+-]?\d+([,_' ]\d+)*(\.\d*)? ?[%‰$€£¥]?$"
_COMMA = r"^([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)$"
_POINT = r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$"
_DATE = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4}))([T ]\d{1,2}:.*)?$"


def tidy(series: pl.Series, missing: Sequence[str], *, decimal_comma: bool = False) -> pl.Series:
    """Strip blanks from a column of a text file, and see what it holds then.

    Parameters
    ----------
    series : polars.Series
        As it was read; of any type.
    missing : sequence of str
        What counts as a missing value.
    decimal_comma : bool
        Whether 1,5 is a number, and 1.5 none.

    Raises
    ------
    UserError
        If the decimal comma of a number is a point.
    """
    if series.dtype != pl.String:
        return series
    text = series.str.strip_chars()
    text = text.set(text.is_in(list(missing)), None)
    if decimal_comma:
        pointed = text.str.contains(_POINT).fill_null(False).arg_true()
        if len(pointed):
            raise UserError(
                f"column {series.name!r} holds {text[pointed[0]]!r} in row {pointed[0] + 1} of the"
                " data, and with --decimal-comma a number has no point"
            )
        text = text.str.replace(_COMMA, "${1}.${2}")
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


def hint(shown: str) -> str:
    """Say what may help with a value that is no number, or nothing."""
    whole, *parts = shown[1:-1].lstrip("+-").split(",")
    if not (parts and all(part.isdecimal() for part in (whole, *parts))):
        return ""
    if all(len(part) == 3 for part in parts) and len(whole) <= 3 and whole[0] != "0":
        return " (a comma between thousands? Leave it out)"
    return " (a decimal comma? Say --decimal-comma)" if len(parts) == 1 else ""


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
