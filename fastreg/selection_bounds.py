"""How many false features stability selection finds, at most and on average.

With theta = q / p, the bounds of Shah and Samworth (2013) on the expected number of selected
features that a half-sample selects with probability at most theta:

    none        q theta / (2 t - 1)                                       their equation (6)
    unimodal    q theta / C(t, B)                                         their theorem 2
    r-concave   p min(D(theta^2, 2 t - 1, B, -1/2), D(theta, t, 2 B, -1/4))     their equation (8)

for a threshold t and B pairs. D(eta, t, B, r) is the largest probability of X >= t for X on
{0, 1/B, ..., 1} of mean at most eta whose mass function f has a concave (for r < 0: convex) power
f^r. It is reached by an f^r that is linear between 0 and a last point, so that one slope is to be
found for each last point.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from fastreg.inputs import Array

_ROUNDING = 1e-9  # of a threshold as a number of pairs
_STEEP = 60.0  # logarithm of a ratio at which all mass is at one end


def bound_of(assumption: str, q: float, p: int, threshold: float, n_pairs: int) -> float:
    """Return the bound on the expected number of false features; inf where there is none."""
    if assumption == "unimodal":
        return _unimodal(q, p, threshold, n_pairs)
    if assumption == "r-concave":
        return _r_concave(q, p, threshold, n_pairs)
    return q * q / p / (2.0 * threshold - 1.0)


def largest_selection(assumption: str, most: float, p: int, threshold: float, n_pairs: int) -> int:
    """Return the largest q whose bound is at most `most`."""
    if bound_of(assumption, 1.0, p, threshold, n_pairs) > most:
        least = bound_of(assumption, 1.0, p, threshold, n_pairs)
        raise ValueError(
            f"error_bound={most:g} is below {least:.3g}, the bound for a single feature on each "
            "half; raise it, threshold or n_pairs"
        )
    low, high = 1, p + 1  # the bounds increase with q
    while high - low > 1:
        middle = (low + high) // 2
        if bound_of(assumption, float(middle), p, threshold, n_pairs) <= most:
            low = middle
        else:
            high = middle
    return low


def _unimodal(q: float, p: int, threshold: float, n_pairs: int) -> float:
    theta = q / p
    worst = q * theta / (2.0 * threshold - 1.0)
    step = 0.5 / n_pairs
    least = min(0.5 + theta**2, 0.5 + step + 0.75 * theta**2)
    if theta > 1.0 / math.sqrt(3.0) or threshold <= least:
        return worst
    if threshold <= 0.75:
        room = 2.0 * (2.0 * threshold - 1.0 - step)
    else:
        room = (1.0 + 2.0 * step) / (4.0 * (1.0 - threshold + step))
    return min(worst, q * theta / room) if room > 0 else worst


def _r_concave(q: float, p: int, threshold: float, n_pairs: int) -> float:
    theta = q / p
    # The threshold is met by whole half-samples, of which pairs share at least the rest.
    halves = math.ceil(threshold * 2 * n_pairs - _ROUNDING)
    pairs = largest_tail(theta**2, halves - n_pairs, n_pairs, -0.5)
    singles = largest_tail(theta, halves, 2 * n_pairs, -0.25)
    worst = q * theta / (2.0 * threshold - 1.0)
    return min(worst, p * min(pairs, singles))


def largest_tail(eta: float, tail: int, n: int, r: float) -> float:
    """Return D(eta, tail / n, n, r): the largest P(X >= tail / n), of r < 0."""
    if tail <= eta * n:
        return 1.0
    best = 0.0
    for last in range(tail, n + 1):
        f = _mass(brentq(_excess, -_STEEP, _STEEP, (last, r, eta * n), xtol=1e-13), last, r)
        best = max(best, float(f[tail:].sum()))
    return min(best, eta * n / tail)


def _mass(log_ratio: float, last: int, r: float) -> Array:
    """Return f on 0, ..., last with a linear f^r, whose first value is exp(log_ratio) its last."""
    i = np.arange(last + 1.0)
    f = np.power(math.exp(log_ratio) * (last - i) + i, 1.0 / r)
    return np.asarray(f / f.sum())


def _excess(log_ratio: float, last: int, r: float, mean: float) -> float:
    return float(_mass(log_ratio, last, r) @ np.arange(last + 1.0)) - mean
