"""A model in standard form: centred, weighted columns in long double. Part of the oracle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

LONG = np.longdouble
DOUBLE_EPS = LONG(np.finfo(np.float64).eps)
LONG_EPS = np.finfo(LONG).eps


def dense(X):
    """Any accepted design as a long double array."""
    if scipy.sparse.issparse(X):
        X = X.toarray()
    elif hasattr(X, "to_numpy"):
        X = X.to_numpy()
    return np.asarray(X).astype(LONG)


def norm(v):
    """Euclidean norm, safe against overflow of the squares."""
    top = np.max(np.abs(v), initial=LONG(0))
    return top * np.sqrt(np.sum((v / top) ** 2)) if top > 0 else LONG(0)


@dataclass(frozen=True)
class Problem:
    """One response, brought to standard form."""

    A: np.ndarray  # (n, p) columns, centred if there is an intercept, times sqrt(s / S)
    t: np.ndarray  # (n,) y - offset, likewise
    x_mean: np.ndarray  # (p,) what was subtracted (0 without an intercept)
    y_mean: np.longdouble
    a: np.ndarray  # (p,) L1 strength
    b: np.ndarray  # (p,) L2 strength
    lo: np.ndarray
    hi: np.ndarray
    fit_intercept: bool
    weight_sum: np.longdouble
    subtraction: np.longdouble  # norm of what cancels in y - offset

    @property
    def unpenalised(self):
        """Columns whose gradient must vanish exactly."""
        return (self.a == 0) & (self.b == 0) & np.isinf(self.lo) & np.isinf(self.hi)

    @property
    def column_norms(self):
        return np.array([norm(column) for column in self.A.T], dtype=LONG)

    def h(self, w):
        return self.a * np.abs(w) + self.b / 2 * w * w


def make_problem(
    X,
    y,
    alpha,
    *,
    l1_ratio=1.0,
    fit_intercept=True,
    sample_weight=None,
    offset=None,
    penalty_factor=None,
    lower=None,
    upper=None,
    positive=False,
    standardize=False,
):
    """Standard form of a model with one response."""
    X, y = dense(X), np.asarray(y).astype(LONG)
    n, p = X.shape
    s = np.ones(n, LONG) if sample_weight is None else np.asarray(sample_weight).astype(LONG)
    size = np.zeros(n, LONG)
    if offset is not None:
        offset = np.asarray(offset).astype(LONG)
        y, size = y - offset, np.abs(y) + np.abs(offset)
    kept = s > 0
    X, y, s = X[kept], y[kept], s[kept]
    share = s / s.sum()
    mean = share @ X
    centred = X - mean
    mean += share @ centred  # the second pass removes the rounding of the first
    centred = X - mean
    noise = 8 * len(s) * LONG_EPS * np.max(np.abs(X), axis=0)
    centred[:, np.max(np.abs(centred), axis=0) <= noise] = 0
    scale = np.array([norm(np.sqrt(share) * c) for c in centred.T], LONG) if standardize else 1
    if not fit_intercept:
        centred, mean, y_mean = X, np.zeros(p, LONG), LONG(0)
    else:
        y_mean = share @ y
        y_mean += share @ (y - y_mean)
        if np.max(np.abs(y - y_mean)) <= 8 * len(s) * LONG_EPS * np.max(np.abs(y)):
            y = np.full(len(s), y_mean)  # constant but for the rounding of its mean
    factor = np.ones(p, LONG) if penalty_factor is None else np.asarray(penalty_factor).astype(LONG)
    excluded = np.isinf(factor)
    factor = np.where(excluded, 0, factor) * LONG(alpha)
    lo = _bound(lower, -np.inf, p)
    hi = _bound(upper, np.inf, p)
    if positive:
        lo = np.maximum(lo, 0)
    lo[excluded] = hi[excluded] = 0
    return Problem(
        A=np.sqrt(share)[:, None] * centred,
        t=np.sqrt(share) * (y - y_mean),
        x_mean=mean,
        y_mean=y_mean,
        a=factor * LONG(l1_ratio) * scale,
        b=factor * (1 - LONG(l1_ratio)) * scale * scale,
        lo=lo,
        hi=hi,
        fit_intercept=fit_intercept,
        weight_sum=s.sum(),
        subtraction=norm(np.sqrt(share) * size[kept]),
    )


def _bound(value, default, p):
    filled = np.full(p, default, LONG) if value is None else np.asarray(value).astype(LONG)
    return np.array(np.broadcast_to(filled, p))
