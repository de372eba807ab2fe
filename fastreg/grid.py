"""The strengths that a path runs over: where they begin, and how they go down."""

from __future__ import annotations

import math
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.engine import Engine, needed_strength
from fastreg.inputs import Array, as_strength, known_model
from fastreg.problem import Problem, prepare
from fastreg.settings import Settings

_MOST_ALPHAS = 1_000_000
_RIDGE_GRID_RATIO = 1e-3  # l1_ratio that stands in for 0 when a grid of alphas is made


def alpha_max(
    X: Any, y: Any, *, l1_ratio: float = 1.0, **model: Any
) -> float | npt.NDArray[np.float64]:
    """Return the smallest alpha at which every penalised coefficient is zero.

        alpha_max = max_j |sum_i s_i (x_ij - mean_j) r_i| / (S l1_ratio f_j)

    with r the residual of the unpenalised part of the model (the intercept and the features with
    factor 0); where rounding lets that be known roughly only, an upper bound. Where zero is out of
    bounds, "zero" means the bound nearest to it.

    Parameters
    ----------
    X, y
        As in `solve`.
    l1_ratio : float, default 1.0
        As in `solve`; at 0 the answer is inf.
    **model
        The model arguments of `solve`: fit_intercept, sample_weight, offset, penalty_factor,
        lower, upper, positive, standardize.

    Returns
    -------
    float, or ndarray of shape (n_responses,) for two-dimensional y
        0 where nothing is penalised or nothing correlates.

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.
    """
    ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
    problem = prepare(X, y, **known_model(model))
    largest = largest_alphas(problem, ratio, Settings(), monotonic())
    return largest if problem.many else float(largest[0])


def alpha_grid(
    X: Any,
    y: Any,
    *,
    n_alphas: int = 100,
    eps: float = 1e-3,
    l1_ratio: float = 1.0,
    **model: Any,
) -> npt.NDArray[np.float64]:
    """Return alpha_max * eps^(k / (n_alphas - 1)) for k = 0 .. n_alphas - 1.

    Parameters
    ----------
    X, y, l1_ratio, **model
        As in `alpha_max`. For l1_ratio = 0, where alpha_max is infinite, the grid begins where that
        of l1_ratio = 0.001 does, and ends at eps^2 times that: an L2 penalty acts on squares. For
        several responses the largest alpha_max begins the grid.
    n_alphas : int, default 100
        Number of alphas.
    eps : float, default 1e-3
        Smallest alpha divided by the largest, in (0, 1); for l1_ratio = 0 the root of that.

    Returns
    -------
    ndarray of shape (n_alphas,)
        Decreasing.

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.
    """
    ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
    check_grid(n_alphas, eps)
    problem = prepare(X, y, **known_model(model))
    return default_grid(problem, ratio, n_alphas, eps, Settings(), monotonic())


def check_grid(n_alphas: Any, eps: Any) -> None:
    """Refuse a length or a depth that no grid can have."""
    if isinstance(n_alphas, (bool, np.bool_)) or not isinstance(n_alphas, (int, np.integer)):
        raise TypeError(f"n_alphas must be an integer, got {n_alphas!r}")
    if not 1 <= n_alphas <= _MOST_ALPHAS:
        raise ValueError(f"n_alphas must be >= 1 and <= {_MOST_ALPHAS}, got {n_alphas}")
    as_strength("eps", eps, high=1.0, inside=True)


def default_grid(
    problem: Problem, ratio: float, n_alphas: int, eps: float, settings: Settings, started: float
) -> Array:
    """Return the grid that begins at the largest alpha_max of the responses."""
    largest = largest_alphas(problem, ratio or _RIDGE_GRID_RATIO, settings, started)
    top = float(largest.max())
    if top == 0 or not math.isfinite(top):
        # Nothing to select: any strength gives the same answer, so any scale will do.
        top = 1.0
    exponents = np.arange(n_alphas) / max(n_alphas - 1, 1)
    return np.asarray(top * np.power(eps if ratio > 0 else eps * eps, exponents))


def largest_alphas(problem: Problem, ratio: float, settings: Settings, started: float) -> Array:
    """Return alpha_max of every response."""
    if problem.rests_at_zero and problem.cross is not None:
        zero = np.zeros(problem.design.n_features)
        pairs = enumerate(problem.cross)
        return np.array([needed_strength(problem, k, ratio, zero, c) for k, c in pairs])
    engine = Engine(problem, replace(settings, method="auto"), ratio, np.array([0.0]), started)
    return np.array([engine.alpha_max(k) for k in range(problem.n_responses)])
