"""Numbers and lists as they are read."""

from collections.abc import Sequence

import numpy as np

from fastreg.cli.judge import Estimate

#: A relative gap below this is made of rounding errors, and is not quoted.
PRECISION = 1e-12


def number(value: float) -> str:
    """Format with four significant digits, without an exponent where that reads well."""
    if not np.isfinite(value):
        return "-"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    digits = max(0, 3 - int(np.floor(np.log10(abs(value))))) if value else 1
    return f"{value:.{digits}f}"


def strength(value: float) -> str:
    """Format with three significant digits, without an exponent where that reads well."""
    return f"{value:.0f}" if 1e3 <= value < 1e6 else f"{value:.3g}"


def estimate(value: Estimate) -> str:
    """Format a number with its standard error, which has two digits: ``78.3 ± 1.4``."""
    error = value.standard_error
    if not (np.isfinite(error) and error > 0.0):
        return number(value.value)
    power = 0
    if not 1e-3 <= error < 1e6:
        power = int(np.floor(np.log10(max(abs(value.value), error))))
    first, second = (
        f"{x / 10.0**power:.{_digits(error / 10.0**power)}f}" for x in (value.value, error)
    )
    return f"({first} ± {second})e{power}" if power else f"{first} ± {second}"


def two_digits(value: float) -> str:
    """Format with two significant digits."""
    if not 1e-4 <= value < 1e6:
        return f"{value:.2g}"
    return f"{value:.{_digits(value)}f}"


def _digits(value: float) -> int:
    """Return how many decimals show two digits."""
    return max(0, 1 - int(np.floor(np.log10(value))))


def gap(value: float) -> str:
    """Format a relative duality gap, rounded up; of one below `PRECISION` only that is told."""
    if not value >= PRECISION:
        return "-" if np.isnan(value) else f"< {PRECISION:.0e}"
    rounded = f"{value:.0e}"
    if float(rounded) < value:
        rounded = f"{value + 0.5 * 10.0 ** np.floor(np.log10(value)):.0e}"
    return rounded


def duration(seconds: float) -> str:
    """Format a time."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def share(value: float) -> str:
    """Format a share of 1."""
    if value and value < 0.01:
        return f"{value:.1%}" if value >= 0.001 else "< 0.1%"
    return f"{value:.0%}" if value < 100.0 else "> 9999%"


def effect(value: float) -> str:
    """Format a coefficient with its sign and three digits; an exact zero is ``0``."""
    if value == 0.0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:+.2g}"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:+.{digits}f}"


def optimism(value: float | None) -> str:
    """Format how much better an error looks than it is; nothing where that is not known."""
    return "" if value is None else two_digits(value)


def upper(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def listed(items: Sequence[str]) -> str:
    """Join: ``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
