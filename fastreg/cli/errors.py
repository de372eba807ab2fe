"""The one error that the command line turns into a sentence, and what helps to word it."""

import importlib
from collections.abc import Iterable
from difflib import get_close_matches
from types import ModuleType


class UserError(Exception):
    """Something that the user can put right; its text is the sentence to show."""


def require(package: str, extra: str, what: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Raises
    ------
    UserError
        If the package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.partition(".")[0].replace("sklearn", "scikit-learn")
        raise UserError(
            f"{what} needs {name}: install fastreg-solvers with its extra {extra!r}"
        ) from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'a' or 'b'?)``, or the known words when none is near, or nothing."""
    known = [str(name) for name in known]
    by_lower = {name.lower(): name for name in reversed(known)}
    near = [by_lower[name] for name in get_close_matches(word.lower(), by_lower, n=2, cutoff=0.6)]
    if near:
        return f" (did you mean {' or '.join(map(repr, near))}?)"
    if not known:
        return ""
    shown = ", ".join(map(repr, known[:6]))
    return f" (there are {shown}{', ...' if len(known) > 6 else ''})"


def count(number: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_line(error: BaseException) -> str:
    """Shorten what a library says about an error to its first line."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".: ") if lines else type(error).__name__)[:200]
