"""Ridge regression by the eigenvalues of the smaller Gram matrix: one for any number of strengths.

Columns without a penalty are projected out first. Where the Gram matrix would lose half of the
digits, singular values of X itself take its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg import lapack
from fastreg.blocks import row_gram, standardised, times, times_transposed
from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem

EPSILON = float(np.finfo(np.float64).eps)
POOR = 1e-8  # reciprocal condition number below which a Gram matrix is not used


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
        limit = 0.0
        if (
            alpha == 0
        ):  # eigenvalues end at the rounding of the largest, singular values at its root
            rounding = 8 * EPSILON * max(self.T.shape)
            limit = self.square.max(initial=0.0) * rounding ** (1 if self.method == "dual" else 2)
        return np.where(total > limit, 1.0 / np.where(total > limit, total, 1.0), 0.0)

    def freedom(self, problem: Problem, grid: Array) -> Array:
        """Return one minus the diagonals of the hat matrices, (n_alphas, n)."""
        factors = np.stack([self.shrink(alpha) for alpha in grid])
        basis, kept = self._whole_basis(problem)
        if basis is not None:
            rest = (grid[:, None] * factors[:, kept]) @ (basis * basis).T
            return np.where(problem.weight > 0, rest, 1.0)
        base = (self.Q * self.Q).sum(axis=1)
        if problem.fit_intercept:
            base = base + problem.weight
        rest = 1.0 - (base + factors @ (self.T * self.T).T)
        # What is left of one within its rounding is nothing.
        return np.where(rest > 8 * EPSILON * problem.design.n_features, rest, 0.0)

    def residuals(self, problem: Problem, grid: Array, y: Array, computed: Array) -> Array:
        """Return the residuals (n, n_alphas) without the cancellation of the computed ones."""
        basis, kept = self._whole_basis(problem)
        if basis is None:
            return computed
        root = np.sqrt(problem.weight)[:, None]
        shares = grid[:, None] * np.stack([self.shrink(alpha)[kept] for alpha in grid])
        exact = basis @ (shares * (basis.T @ (root[:, 0] * y))).T
        return np.where(root > 0, exact / np.where(root > 0, root, 1.0), computed)

    def _whole_basis(self, problem: Problem) -> tuple[Array | None, npt.NDArray[np.bool_]]:
        """Return the singular vectors if nothing can remain beside them, and which ones they are.

        With as many of them as there are rows, a fit of small alpha interpolates; the residuals
        and what remains of the diagonal are then sums of small terms, not differences of large.
        """
        room = np.count_nonzero(problem.weight) - len(self.free) - int(problem.fit_intercept)
        top = self.square.max(initial=0.0)
        kept = self.square > 4 * EPSILON * len(self.square) * top
        if room == 0 or np.count_nonzero(kept) != room:
            return None, kept
        return self.T[:, kept] / np.sqrt(self.square[kept]), kept

    def degrees_of_freedom(self, problem: Problem, grid: Array) -> Array:
        """Return the traces of the hat matrices."""
        base = len(self.free) + int(problem.fit_intercept)
        return np.array([base + float(self.square @ self.shrink(alpha)) for alpha in grid])


def decompose(problem: Problem, smallest: float, *, svd: bool = False) -> Spectrum | None:
    """Return the decomposition that serves every strength from the smallest one up.

    `svd` asks for singular values of X whatever its condition. None where the columns without a
    penalty are linearly dependent.
    """
    l2 = problem.factors(0)[1]
    columns = np.flatnonzero(problem.movable)
    penalised, free = columns[l2[columns] > 0], columns[l2[columns] == 0]
    unit = np.sqrt(l2[penalised])
    n = problem.design.n_samples
    Q, R = np.zeros((n, 0)), np.zeros((0, 0))
    if len(free) > n:
        return None
    if len(free):
        Q, R = lapack.qr(standardised(problem, free))
        size = np.abs(np.diag(R))
        if len(size) < len(free) or size.min() <= 1e-13 * size.max():
            return None
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
    if (poor or svd) and not is_sparse(problem.X):
        matrix = standardised(problem, penalised) / unit
        matrix -= Q @ (Q.T @ matrix)
        U, s, Vt = lapack.svd(matrix)
        return Spectrum(method="svd", T=U * s, square=s * s, V=Vt.T, **common)
    if wide:
        return Spectrum(method="dual", T=vectors * np.sqrt(square), square=square, V=None, **common)
    T = times(problem, penalised, vectors / unit[:, None])
    T -= Q @ (Q.T @ T)
    if poor:  # the digits that small eigenvalues have lost
        square = np.einsum("ij,ij->j", T, T)
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


def coefficients(problem: Problem, spectrum: Spectrum, grid: Array, y: Array) -> Array:
    """Return the standardised coefficients of a standardised response, (n_features, n_alphas)."""
    target = np.sqrt(problem.weight) * y
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


def gaps(problem: Problem, spectrum: Spectrum, grid: Array, W: Array, residual: Array) -> Array:
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
