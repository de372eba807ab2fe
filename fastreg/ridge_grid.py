"""Ridge regression for a whole grid of strengths at the price of one decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastreg.blocks import product
from fastreg.inputs import Array, as_alphas
from fastreg.problem import Problem, prepare
from fastreg.spectrum import Spectrum, coefficients, decompose, gaps


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
        and keeps its penalty; inf where the other rows do not determine the fit.
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
    loo_errors: Array
    loo_score: Array
    gcv: Array
    df: Array
    method: str

    def __repr__(self) -> str:
        """Return a short table."""
        score = self.loo_score.reshape(len(self.alphas), -1).mean(axis=1)
        best = int(np.argmin(score))
        return (
            f"RidgePathResult: {len(self.alphas)} alphas from {self.alphas[0]:.6g} to "
            f"{self.alphas[-1]:.6g}, {self.coef.shape[-1]} features, method {self.method}\n"
            f"  smallest leave-one-out error {score[best]:.6g} at alpha={self.alphas[best]:.6g} "
            f"({self.df[best]:.4g} degrees of freedom)"
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
    outcomes = [_one_response(problem, spectrum, grid, k) for k in range(problem.n_responses)]
    df = spectrum.degrees_of_freedom(problem, grid)
    rest = spectrum.freedom(problem, grid)
    determined = rest > 0
    loo = [
        np.where(determined, residual / np.where(determined, rest, 1.0), np.inf)
        for _, _, residual, _ in outcomes
    ]
    room = rest[:, problem.weight > 0].mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        gcv = [(r * r) @ problem.weight / room**2 for _, _, r, _ in outcomes]
        score = [_weighted_mean_square(e, problem.weight) for e in loo]

    def gather(columns: list[Array], axis: int) -> Array:
        return np.stack(columns, axis=axis) if problem.many else columns[0]

    return RidgePathResult(
        alphas=grid,
        coef=gather([coef for coef, _, _, _ in outcomes], 1),
        intercept=gather([intercept for _, intercept, _, _ in outcomes], 1),
        duality_gap=gather([gap for _, _, _, gap in outcomes], 1),
        loo_errors=gather(loo, 2),
        loo_score=gather(score, 1),
        gcv=gather(gcv, 1),
        df=df,
        method=spectrum.method,
    )


def _weighted_mean_square(errors: Array, weight: Array) -> Array:
    """Return the mean square over the rows that count."""
    used = weight > 0
    return np.asarray((errors[:, used] ** 2) @ weight[used])


def _one_response(
    problem: Problem, spectrum: Spectrum, grid: Array, response: int
) -> tuple[Array, Array, Array, Array]:
    """Return coefficients, intercepts, residuals and gaps over the grid, in the user's units."""
    penalised, free, k = spectrum.penalised, spectrum.free, len(grid)
    W = coefficients(problem, spectrum, grid, problem.y[response])
    columns = np.sort(np.concatenate([penalised, free]))
    fitted = product(problem, columns, W[columns])
    residual = problem.y[response][:, None] - fitted
    mean = problem.weight @ residual if problem.fit_intercept else np.zeros(k)
    residual -= mean
    gap = gaps(problem, spectrum, grid, W, np.sqrt(problem.weight)[:, None] * residual)
    residual = spectrum.residuals(problem, grid, problem.y[response], residual)
    unit = problem.y_scale[response]
    parts = [problem.outside(W[:, i], float(mean[i]), response) for i in range(k)]
    coef = np.stack([part[0] for part in parts])
    intercept = np.array([part[1] for part in parts])
    return coef, intercept, residual.T * unit, gap * unit * unit
