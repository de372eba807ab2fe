"""How hard to try: tolerances, limits and the choice of method."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

_NUMBER = (float, int, np.floating, np.integer)
METHODS = ("auto", "working_set", "gram", "cholesky", "svd", "krylov", "gradient", "descent")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of a solver; every field can also be given to `solve` as a keyword.

    Parameters
    ----------
    tol : float, default 1e-8
        Stop when duality gap <= tol * null objective (scale-free).
    max_iter : int, default 100000
        Most outer iterations of the working set, or steps of another iterative method (of
        "descent": some sweeps and a certificate), per strength.
    max_sweeps : int, default 100000
        Most coordinate-descent sweeps within one outer iteration of the working set.
    time_limit : float, default inf
        Seconds for the whole call; what was reached by then is returned.
    gram_memory : float, default 2**30
        Bytes that the Gram matrix of a working set (and its factor) may take. While it is made,
        and while a factor is made anew, up to three times as much is in use.
    n_threads : int, default 1
        Threads for passes over X and Gram products of dense X. They change no bit of a result, and
        none is started for less work than a millisecond's. The decompositions of "cholesky", "svd"
        and `ridge_path` follow the thread settings of SciPy's BLAS instead
        (``OPENBLAS_NUM_THREADS``), on whose number of threads last bits may depend.
    method : str, default "auto"
        "working_set": coordinate descent and Newton steps on a growing set of features.
        "gram": the same on all features at once, after one or two passes over X.
        "cholesky", "svd": closed forms, for an L2 penalty or none, without bounds.
        "krylov": preconditioned conjugate gradients, for the same problems.
        "descent": coordinate descent on the residual, for every penalty and bound. Columns of
        dense X whose rows are contiguous are copied, within `gram_memory`.
        "gradient": accelerated proximal gradient, the textbook method, for every problem (least
        squares on columns of very unlike scales ends with conjugate gradients).
        "auto": chosen by penalty, shape, stored entries and memory; a method that makes too little
        headway hands over to another one. The result tells which ones were used.

    Raises
    ------
    TypeError, ValueError
        If a field has the wrong type or lies outside its range.
    """

    tol: float = 1e-8
    max_iter: int = 100_000
    max_sweeps: int = 100_000
    time_limit: float = math.inf
    gram_memory: float = 2.0**30
    n_threads: int = 1
    method: str = "auto"

    def __post_init__(self) -> None:
        for name in ("tol", "time_limit", "gram_memory"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, _NUMBER):
                raise TypeError(f"{name} must be a number, got {value!r}")
            if not 0 < value <= math.inf or (isinstance(value, int) and value > 2**62):
                raise ValueError(f"{name} must be > 0, got {value!r}")
        if not self.tol < math.inf:
            raise ValueError(f"tol must be finite, got {self.tol!r}")
        for name in ("max_iter", "max_sweeps", "n_threads"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{name} must be an integer, got {value!r}")
            if not 1 <= value < 2**62:
                raise ValueError(f"{name} must be >= 1 and < 2**62, got {value!r}")
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")


_DEFAULT = Settings()


@lru_cache(maxsize=16)
def _with_tol(tol: float) -> Settings:
    """Return the settings with that tolerance, which cost as much to check as a tiny fit."""
    return Settings(tol=tol)


def resolve_settings(settings: Settings | None, options: dict[str, Any]) -> Settings:
    """Return the settings with the given fields replaced."""
    if settings is None:
        settings = _DEFAULT
    elif not isinstance(settings, Settings):
        raise TypeError(f"settings must be a fastreg.Settings, got {type(settings).__name__}")
    if not options:
        return settings
    if settings is _DEFAULT and len(options) == 1 and type(options.get("tol")) is float:
        return _with_tol(options["tol"])
    known = [field.name for field in fields(Settings)]
    for name in options:
        if name not in known:
            raise TypeError(f"unknown option {name!r}; accepted options are {', '.join(known)}")
    return replace(settings, **options)
