"""Problems that differ in the weights of their rows: which features are likely to be active."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastreg._core.many import solve_batch
from fastreg.batches import Batch
from fastreg.inputs import Array

_ENOUGH = 32  # problems, of which some give an idea of all; and features, to leave some out
_LARGE = 1 << 24  # entries of X, of which more than one copy is made
_MISSES = 0.1  # problems that need a feature more, for one that does not, at most
_TOL = 1e-6


def likely_features(
    batch: Batch, l1: Array, l2: Array, factor: Array, *, fit_intercept: bool
) -> npt.NDArray[np.int32] | None:
    """Return the features that some problem is likely to need; None where these are most of them.

    Solved is the problem with the mean of some of the weights. How far the correlation of a feature
    is from its threshold there, in standard deviations of what other weights would make of it, says
    how rarely it is needed; left out are as many as are seldom needed all together. Nothing rests
    on this but time: the core proves for every problem that the others are zero.
    """
    p = batch.n_features
    if not batch.resampled or batch.weight is None or isinstance(batch.X, list):
        return None
    if len(batch.y) > 1:
        return None
    if min(batch.n_problems, p) < _ENOUGH or batch.X.size > _LARGE:
        return None
    if l1.shape[1] > 1 or l1.min() <= 0:
        return None
    some = batch.weight[:: len(batch.weight) // _ENOUGH][:_ENOUGH]
    weight = some.mean(axis=0)
    k = int(l1[:, 0].argmin())
    free = np.full(p, np.inf)
    coef, number, count, _ = solve_batch(
        batch.X,
        None,
        batch.y,
        None,
        weight[None],
        np.ascontiguousarray(l1[k : k + 1]),
        np.ascontiguousarray(l2[k : k + 1]),
        np.ascontiguousarray(factor),
        -free,
        free,
        centred=fit_intercept,
        standardize=False,
        tol=_TOL,
        max_sweeps=1000,
        n_threads=1,
        selection="",
        fold=None,
        resampled=False,
        few=None,
    )
    if count[0, 0, 0] < 0:
        return None
    w = coef[0, 0]
    residual = batch.y[0] - number[0, 0, 0] - np.einsum("ij,j->i", batch.X, w)
    # einsum, since BLAS might choose others with another number of threads
    share = np.einsum("i,ij->j", weight, batch.X) / weight.sum() if fit_intercept else np.zeros(p)
    score = (batch.X - share) * residual[:, None]
    correlation = np.einsum("i,ij->j", weight, score)
    spread = np.sqrt(np.einsum("i,ij,ij->j", some.var(axis=0), score, score))
    distance = l1[k, 0] * factor * weight.sum() - np.abs(correlation)
    with np.errstate(divide="ignore", invalid="ignore"):  # excluded ones, and those without spread
        away = np.where((distance > 0.0) & (w == 0.0), distance / spread, 0.0)
    order = np.argsort(-away, kind="stable")
    rare = np.cumsum(0.5 * np.exp(-0.5 * away[order] ** 2))  # at least the tails of a normal law
    few = np.sort(order[np.searchsorted(rare, _MISSES) :]).astype(np.int32)
    return few if 2 * (len(few) + 2) <= p else None
