"""Ridge regression for a whole grid of strengths at the price of one decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastreg.grid_fit import fit_grid
from fastreg.inputs import Array, as_alphas
from fastreg.problem import prepare
from fastreg.spectrum import decompose

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
_SMALL = 100_000  # numbers in X and in its errors, up to which checks and units cost the most
_ALIKE = 1e-6  # variances and strengths, over the largest of them, that cost no digits
_USUAL = 1e100  # squares that are far from the ends of the range of numbers


@dataclass(frozen=True, repr=False)
class RidgePathResult:
    """Ridge fits over a grid of alphas, with what is needed to choose among them.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    coef : ndarray of shape (n_alphas, n_features) or (n_alphas, n_responses, n_features)
        Coefficients on the scale of X.
    intercept : ndarray of shape (n_alphas,) or (n_alphas, n_responses)
        Zero without `fit_intercept`.
    duality_gap : ndarray of shape (n_alphas,) or (n_alphas, n_responses)
        Proven upper bound on objective - minimum.
    loo_errors : ndarray of shape (n_alphas, n_samples) or (n_alphas, n_samples, n_responses)
        y_i minus its prediction by the fit without row i, where the sum of squares loses that row
        and keeps its penalty; inf where the other rows do not determine the fit. None, as the next
        two are, without `leave_one_out`.
    loo_score : ndarray of shape (n_alphas,) or (n_alphas, n_responses)
        Weighted mean of the squared loo_errors.
    gcv : ndarray of shape (n_alphas,) or (n_alphas, n_responses)
        Generalised cross-validation: weighted mean squared residual / (1 - df / n)^2, with n the
        number of rows of positive weight.
    df : ndarray of shape (n_alphas,)
        Effective degrees of freedom (trace of the hat matrix), the intercept included.
    method : str
        "primal" or "dual" (eigenvalues of the smaller Gram matrix), or "svd".
    """

    alphas: Array
    coef: Array
    intercept: Array
    duality_gap: Array
    loo_errors: Array | None
    loo_score: Array | None
    gcv: Array | None
    df: Array
    method: str

    def __repr__(self) -> str:
        """Return a short table."""
        head = (
            f"RidgePathResult: {len(self.alphas)} alphas from {self.alphas[0]:.6g} to "
            f"{self.alphas[-1]:.6g}, {self.coef.shape[-1]} features, method {self.method}"
        )
        if self.loo_score is None:
            return head
        score = self.loo_score.reshape(len(self.alphas), -1).mean(axis=1)
        best = int(np.argmin(score))
        return (
            f"{head}\n  smallest leave-one-out error {score[best]:.6g} at "
            f"alpha={self.alphas[best]:.6g} ({self.df[best]:.4g} degrees of freedom)"
        )


def ridge_path(
    X: Any,
    y: Any,
    alphas: Any,
    *,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    offset: Any = None,
    penalty_factor: Any = None,
    standardize: bool = False,
    leave_one_out: bool = True,
) -> RidgePathResult:
    """Minimise 1/(2 S) sum_i s_i (y_i - b - x_i'w)^2 + alpha/2 sum_j f_j w_j^2 for every alpha.

    Over the coefficients w and the intercept b, offsets being taken from y first; with exact
    leave-one-out errors and generalised cross-validation for all of them. One eigendecomposition
    of the smaller Gram matrix serves the grid; where that would lose half of the digits, a
    singular value decomposition of X does.

    Parameters
    ----------
    X, y, fit_intercept, sample_weight, offset, penalty_factor, standardize
        As in `solve`.
    alphas : array of shape (n_alphas,)
        Strengths >= 0 in any order; sorted to decreasing.
    leave_one_out : bool, default True
        Whether to compute the errors without each row, their score and gcv, which for large X cost
        as much as the rest.

    Returns
    -------
    RidgePathResult

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    References
    ----------
    G. H. Golub, M. Heath, G. Wahba, "Generalized Cross-Validation as a Method for Choosing a Good
    Ridge Parameter", Technometrics 21, 1979.
    """
    grid = as_alphas(alphas)
    if not isinstance(leave_one_out, (bool, np.bool_)):
        raise TypeError(f"leave_one_out must be True or False, got {leave_one_out!r}")
    if sample_weight is offset is penalty_factor is None and standardize is False:
        small = _fit_small(X, y, grid, fit_intercept)
        if small is not None:
            return small if leave_one_out else _without_errors(small)
    problem = prepare(
        X,
        y,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        offset=offset,
        penalty_factor=penalty_factor,
        standardize=standardize,
    )
    spectrum = decompose(problem, float(grid[-1]))
    if spectrum is None:
        raise ValueError(
            "penalty_factor is 0 for linearly dependent columns; ridge_path needs independent ones"
        )
    fits = fit_grid(problem, spectrum, grid, bool(leave_one_out))
    unit = problem.y_scale[:, None]
    df = spectrum.degrees_of_freedom(problem, grid)
    # Of a row without weight all of one is left, and it is no row.
    room = (fits.room - np.sum(problem.weight == 0)) / np.count_nonzero(problem.weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        gcv = fits.square / room**2
    points = [
        problem.outside_many(W, fits.mean[i], np.full(len(grid), i))
        for i, W in enumerate(fits.coef)
    ]

    def gather(values: Sequence[Array] | Array, axis: int) -> Array:
        """Put the responses, which come first, where the contract wants them."""
        return np.moveaxis(np.asarray(values), 0, axis) if problem.many else values[0]

    result = RidgePathResult(
        alphas=grid,
        coef=gather([coef for coef, _ in points], 1),
        intercept=gather([intercept for _, intercept in points], 1),
        duality_gap=gather(fits.gap * unit**2, 1),
        loo_errors=gather(fits.errors, 2),
        loo_score=gather(fits.score * unit**2, 1),
        gcv=gather(gcv * unit**2, 1),
        df=df,
        method=spectrum.method,
    )
    return result if leave_one_out else _without_errors(result)


def _without_errors(result: RidgePathResult) -> RidgePathResult:
    return replace(result, loo_errors=None, loo_score=None, gcv=None)


def _fit_small(X: Any, y: Any, grid: Array, fit_intercept: Any) -> RidgePathResult | None:
    """Return the same for a small tall X and one response, or None where anything is in doubt.

    What a general fit is made of takes ten times as long as its numbers there. Whatever could cost
    digits (columns of unlike size or far from zero, eigenvalues that depend on rounding, rows that
    determine their own fit) is left to it, and so are all errors.
    """
    if not (
        type(X) is type(y) is np.ndarray
        and X.ndim == 2
        and y.ndim == 1
        and X.dtype in _FLOATS
        and y.dtype in _FLOATS
        and 0 < X.shape[1] < len(y) == len(X)
        and len(y) * max(X.shape[1], len(grid)) <= _SMALL
        and isinstance(fit_intercept, (bool, np.bool_))
    ):
        return None
    n = len(y)
    with np.errstate(all="ignore"):
        Z, e = np.array(X, dtype=np.float64), np.array(y, dtype=np.float64)
        mean, level = np.zeros(X.shape[1]), 0.0
        if fit_intercept:
            mean, level = Z.mean(axis=0), float(e.mean())
            Z -= mean
            e -= level
        gram, cross, square = Z.T @ Z / n, e @ Z / n, float(e @ e) / n
        size = gram.diagonal()
        least, largest = size.min(), size.max()
        if not (
            1.0 / _USUAL < _ALIKE * largest < least
            and largest < _USUAL
            and 1.0 / _USUAL < square < _USUAL
            and _ALIKE * float(np.max(mean * mean / size)) < 1.0
            and _ALIKE * level * level < square
        ):
            return None
        values, V = np.linalg.eigh(gram)
        if not values[0] + grid[-1] > _ALIKE * (values[-1] + grid[0]) > 0.0 < grid[-1]:
            return None
        shrink = 1.0 / (values + grid[:, None])
        T = Z @ V
        coef = (shrink * (cross @ V)) @ V.T
        residual = e - coef @ Z.T
        slope = residual @ Z / n - grid[:, None] * coef
        left = 1.0 - int(fit_intercept) / n - (shrink / n) @ (T * T).T
        if not left.min() > _ALIKE:
            return None
        coef += ((slope @ V) * shrink) @ V.T
        errors = residual / left
        df = int(fit_intercept) + shrink @ values
        return RidgePathResult(
            alphas=grid,
            coef=coef,
            intercept=level - coef @ mean,
            duality_gap=0.5 * (slope * slope).sum(axis=1) / grid,
            loo_errors=errors,
            loo_score=(errors * errors).mean(axis=1),
            gcv=(residual * residual).mean(axis=1) / (1.0 - df / n) ** 2,
            df=df,
            method="primal",
        )
