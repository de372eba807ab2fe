"""Ridge regression for a whole grid of strengths at the price of one decomposition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg import lapack
from fastreg.inputs import Array, as_alphas, is_sparse
from fastreg.problem import Problem, prepare
from fastreg.ridge import POOR, row_gram, standardised

_BLOCK = 1 << 20  # entries of X that are standardised at a time


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
    outcomes = [_one_response(problem, spectrum, grid, k) for k in range(problem.n_responses)]
    leverage = spectrum.leverage(problem, grid)
    df = spectrum.degrees_of_freedom(problem, grid)

    rest = 1.0 - leverage
    determined = rest > 8 * np.finfo(np.float64).eps * max(problem.design.n_features, 1)
    loo = [
        np.where(determined, residual / np.where(determined, rest, 1.0), np.inf)
        for _, _, residual, _ in outcomes
    ]
    used = int(np.count_nonzero(problem.weight))
    room = np.maximum(1.0 - df / used, 0.0)
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


@dataclass(frozen=True)
class Spectrum:
    """B = T V', with B the weighted columns divided by the roots of their penalties.

    The unpenalised columns are projected out of B by the orthonormal Q.
    """

    method: str
    penalised: npt.NDArray[np.intp]
    free: npt.NDArray[np.intp]
    unit: Array  # root of the penalty of each penalised column
    Q: Array  # n x free
    R: Array  # free x free
    T: Array  # n x k
    square: Array  # squared singular values, the column norms of T
    V: Array | None  # penalised x k; None in the dual form

    def shrink(self, alpha: float) -> Array:
        """Return 1 / (square + alpha), and 0 where both vanish."""
        total = self.square + alpha
        limit = self.square.max(initial=0.0) * 1e-14 if alpha == 0 else 0.0
        return np.where(total > limit, 1.0 / np.where(total > limit, total, 1.0), 0.0)

    def leverage(self, problem: Problem, grid: Array) -> Array:
        """Return the diagonals of the hat matrices, (n_alphas, n)."""
        base = (self.Q * self.Q).sum(axis=1)
        if problem.fit_intercept:
            base = base + problem.weight
        squares = self.T * self.T
        factors = np.stack([self.shrink(alpha) for alpha in grid])
        return np.asarray(base + factors @ squares.T)

    def degrees_of_freedom(self, problem: Problem, grid: Array) -> Array:
        """Return the traces of the hat matrices."""
        base = len(self.free) + int(problem.fit_intercept)
        return np.array([base + float(self.square @ self.shrink(alpha)) for alpha in grid])


def decompose(problem: Problem, smallest: float) -> Spectrum:
    """Return the decomposition that serves every strength from the smallest one up."""
    l2 = problem.factors(0)[1]
    columns = np.flatnonzero(problem.movable)
    penalised, free = columns[l2[columns] > 0], columns[l2[columns] == 0]
    unit = np.sqrt(l2[penalised])
    n = problem.design.n_samples
    Q, R = np.zeros((n, 0)), np.zeros((0, 0))
    if len(free):
        Q, R = lapack.qr(standardised(problem, free))
        size = np.abs(np.diag(R))
        if len(size) < len(free) or size.min() <= 1e-13 * size.max():
            raise ValueError(
                "penalty_factor is 0 for linearly dependent columns; "
                "ridge_path needs independent ones"
            )
    common = {"penalised": penalised, "free": free, "unit": unit, "Q": Q, "R": R}
    wide = len(penalised) > n
    if wide:
        factor = np.zeros(problem.design.n_features)
        factor[penalised] = 1.0 / l2[penalised]
        kernel = row_gram(problem, factor)
    else:
        kernel = problem.design.gram_matrix(penalised.astype(np.int32), problem.weight)
        kernel /= unit[:, None] * unit[None, :]
    if len(free):
        kernel = _projected(problem, kernel, Q, penalised, unit, wide)
    square, vectors = lapack.eigh(kernel)
    square = np.maximum(square, 0.0)
    top = square.max(initial=0.0)
    poor = len(square) > 0 and square[0] + smallest < POOR * (top + smallest)
    if poor and not is_sparse(problem.X):
        matrix = standardised(problem, penalised) / unit
        matrix -= Q @ (Q.T @ matrix)
        U, s, Vt = lapack.svd(matrix)
        return Spectrum(method="svd", T=U * s, square=s * s, V=Vt.T, **common)
    if wide:
        return Spectrum(method="dual", T=vectors * np.sqrt(square), square=square, V=None, **common)
    T = times(problem, penalised, vectors / unit[:, None])
    T -= Q @ (Q.T @ T)
    return Spectrum(method="primal", T=T, square=square, V=vectors, **common)


def _projected(
    problem: Problem,
    kernel: Array,
    Q: Array,
    penalised: npt.NDArray[np.intp],
    unit: Array,
    wide: bool,
) -> Array:
    """Return the Gram matrix without what the unpenalised columns explain."""
    if wide:
        kernel = kernel - Q @ (Q.T @ kernel)
        return np.asarray(kernel - (kernel @ Q) @ Q.T)
    cross = times_transposed(problem, penalised, Q) / unit[:, None]
    return np.asarray(kernel - cross @ cross.T)


def coefficients(problem: Problem, spectrum: Spectrum, grid: Array, response: int) -> Array:
    """Return the standardised coefficients of one response, (n_features, n_alphas)."""
    target = np.sqrt(problem.weight) * problem.y[response]
    penalised, free = spectrum.penalised, spectrum.free
    projected = target - spectrum.Q @ (spectrum.Q.T @ target)
    inner = spectrum.T.T @ projected
    shrunk = np.stack([spectrum.shrink(alpha) * inner for alpha in grid], axis=1)
    W = np.zeros((problem.design.n_features, len(grid)))
    if spectrum.V is not None:
        W[penalised] = (spectrum.V @ shrunk) / spectrum.unit[:, None]
    elif len(penalised):
        root = np.sqrt(spectrum.square)[:, None]
        inverse = np.where(root > 0, 1.0 / np.where(root > 0, root, 1.0), 0.0)
        theta = (spectrum.T * inverse.T) @ (shrunk * inverse)
        theta -= spectrum.Q @ (spectrum.Q.T @ theta)
        W[penalised] = times_transposed(problem, penalised, theta) / spectrum.unit[:, None] ** 2
    if len(free):
        left = spectrum.Q.T @ (target[:, None] - times(problem, penalised, W[penalised]))
        W[free] = linalg.solve_triangular(spectrum.R, left)
    return W


def _one_response(
    problem: Problem, spectrum: Spectrum, grid: Array, response: int
) -> tuple[Array, Array, Array, Array]:
    """Return coefficients, intercepts, residuals and gaps over the grid, in the user's units."""
    penalised, free, k = spectrum.penalised, spectrum.free, len(grid)
    W = coefficients(problem, spectrum, grid, response)
    columns = np.sort(np.concatenate([penalised, free]))
    fitted = _product(problem, columns, W[columns])
    residual = problem.y[response][:, None] - fitted
    mean = problem.weight @ residual if problem.fit_intercept else np.zeros(k)
    residual -= mean
    gap = _gaps(problem, spectrum, grid, W, np.sqrt(problem.weight)[:, None] * residual)
    unit = problem.y_scale[response]
    parts = [problem.outside(W[:, i], float(mean[i]), response) for i in range(k)]
    coef = np.stack([part[0] for part in parts])
    intercept = np.array([part[1] for part in parts])
    return coef, intercept, residual.T * unit, gap * unit * unit


def _gaps(problem: Problem, spectrum: Spectrum, grid: Array, W: Array, residual: Array) -> Array:
    """Return the duality gaps in standardised units, from weighted residuals (n, n_alphas).

    The unpenalised coefficients are corrected by a virtual least-squares step of length `radius`;
    it changes the correlation of column j by at most norm_j * radius.
    """
    penalised = spectrum.penalised
    radius = np.sqrt(np.sum((spectrum.Q.T @ residual) ** 2, axis=0))
    slope = times_transposed(problem, penalised, residual)
    l2 = grid[None, :] * spectrum.unit[:, None] ** 2
    slope = np.abs(slope - l2 * W[penalised]) + problem.norm[penalised][:, None] * radius
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = 0.5 * np.sum(slope * slope / l2, axis=0)
    least = grid == 0
    if least.any():  # what of the residual lies in the column space
        seen = spectrum.T.T @ residual[:, least]
        gap[least] = 0.5 * spectrum.shrink(0.0) @ (seen * seen)
    return np.asarray(gap + 0.5 * radius * radius)


def _row_blocks(problem: Problem, columns: npt.NDArray[np.intp]) -> Iterator[tuple[slice, Array]]:
    """Yield standardised blocks of rows of dense X."""
    design = problem.design
    n = design.n_samples
    step = max(1, _BLOCK // max(len(columns), 1))
    everything = len(columns) == design.n_features
    for first in range(0, n, step):
        rows = slice(first, min(first + step, n))
        block = problem.X[rows] if everything else problem.X[rows][:, columns]
        block = (np.asarray(block, dtype=np.float64) - design.shift[columns]) * design.scale[
            columns
        ]
        yield rows, block


def _product(problem: Problem, columns: npt.NDArray[np.intp], M: Array) -> Array:
    """Return Z[:, columns] @ M."""
    if is_sparse(problem.X):
        scaled = problem.design.scale[columns][:, None] * M
        return np.asarray(problem.X[:, columns] @ scaled - problem.design.shift[columns] @ scaled)
    out = np.empty((problem.design.n_samples, M.shape[1]))
    for rows, block in _row_blocks(problem, columns):
        out[rows] = block @ M
    return out


def times(problem: Problem, columns: npt.NDArray[np.intp], M: Array) -> Array:
    """Return diag(sqrt(weight)) Z[:, columns] @ M."""
    return np.asarray(np.sqrt(problem.weight)[:, None] * _product(problem, columns, M))


def times_transposed(problem: Problem, columns: npt.NDArray[np.intp], M: Array) -> Array:
    """Return Z[:, columns]' diag(sqrt(weight)) @ M."""
    weighted = np.sqrt(problem.weight)[:, None] * M
    scale, shift = problem.design.scale[columns][:, None], problem.design.shift[columns]
    if is_sparse(problem.X):
        raw = np.asarray(problem.X[:, columns].T @ weighted)
        return np.asarray(scale * (raw - np.outer(shift, weighted.sum(axis=0))))
    out = np.zeros((len(columns), M.shape[1]))
    for rows, block in _row_blocks(problem, columns):
        out += block.T @ weighted[rows]
    return out
