"""Moments of folds: of each one, of all the others, and what they say of held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core import moments as core
from fastreg.inputs import Array, as_matrix, as_response, require_square
from fastreg.moments import Moments, moments_from
from fastreg.survey import Rows, as_chunk_weight, as_fold, refuse


def fold_moments(
    X: Any, y: Any, sample_weight: Any, fold: Any, n_folds: int, n_threads: int = 1
) -> list[Moments]:
    """Return the moments of each fold, from one read of X.

    Parameters
    ----------
    X, y, sample_weight
        As in `Moments.add`.
    fold : array of int of shape (n_rows,)
        The fold of each row, 0 .. n_folds - 1, or -1 for a row in none.
    n_folds : int
    n_threads : int, default 1
        Threads for the products; they change no bit of the result.

    Returns
    -------
    list of Moments
        A fold without a row of positive weight has a weight_sum of zero.

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable.

    Notes
    -----
    Folds that are runs of rows are read where they lie. The rows of others are gathered, a block of
    a quarter of a megabyte or 512 rows at a time.
    """
    matrix, names = as_matrix(X)
    n, p = matrix.shape
    targets, many = as_response(y, n)
    require_square("y", targets)
    weight, total = as_chunk_weight(sample_weight, n)
    fold = as_fold(fold, n, n_folds)
    m = targets.shape[1]
    states = np.zeros((n_folds, core.length(p, m)))
    rows = Rows(matrix, targets, weight, total, n_threads)
    for k, state in rows.pieces(fold, n_folds):
        states[k] = core.merge(states[k], state, p, m)
    if not np.isfinite(states).all():
        refuse(matrix)
    return [moments_from(state, p, m, many, names) for state in states]


def first_columns(moments: Moments, size: int) -> Moments:
    """Return the moments of the same rows without the columns from `size` on."""
    p, m, names = moments.n_features, moments.n_responses, moments.feature_names
    state = core.first_columns(moments._state, p, m, size)
    return moments_from(state, size, m, moments._many, names if names is None else names[:size])


def training_moments(folds: list[Moments]) -> list[Moments]:
    """Return for each fold the moments of all the others: sums of moments, never differences.

    Parameters
    ----------
    folds : list of Moments
        Of the same columns and responses, such as `fold_moments` returns.

    Returns
    -------
    list of Moments
    """
    first = folds[0]
    p, m = first.n_features, first.n_responses
    for other in folds[1:]:
        first._require_like(other)
    states = core.merge_others(np.stack([one._state for one in folds]), p, m)
    return [moments_from(state, p, m, first._many, first.feature_names) for state in states]


def heldout_error(
    moments: Moments, coef: Any, intercept: Any
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the weighted mean squared errors of models on the rows of moments.

        1/S sum_i s_i (y_i - b - x_i'w)^2 = var y - 2 cross w + w' gram w + (y_mean - b - mean'w)^2

    Parameters
    ----------
    moments : Moments
        Of the held-out rows.
    coef : array of shape (n_models, n_features) or (n_models, n_responses, n_features)
    intercept : array of shape (n_models,) or (n_models, n_responses)

    Returns
    -------
    error : ndarray of the shape of intercept
        NaN where there are no rows.
    certain : ndarray of bool, of the same shape
        Whether rounding cannot have changed the error by more than a billionth of it. Where it can
        (the model is all but exact, or means are large), predict.
    """
    coef, intercept = np.asarray(coef, np.float64), np.asarray(intercept, np.float64)
    state, p, m = moments._state, moments.n_features, moments.n_responses
    if moments.weight_sum == 0.0:
        return np.full(intercept.shape, np.nan), np.zeros(intercept.shape, bool)
    if coef.ndim == 2:
        return core.heldout(state, p, m, 0, coef, intercept)
    error, certain = np.empty(intercept.shape), np.empty(intercept.shape, bool)
    for k in range(m):
        error[:, k], certain[:, k] = core.heldout(state, p, m, k, coef[:, k], intercept[:, k])
    return error, certain
