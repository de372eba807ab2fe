"""Ridge regression by the eigenvalues of the smaller Gram matrix: one for any number of strengths.

Columns without a penalty are projected out first. Where the Gram matrix would lose half of the
digits, singular values of X itself take its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg import cauchy, lapack
from fastreg.blocks import row_gram, standardised, times, times_transposed
from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem

EPSILON = float(np.finfo(np.float64).eps)
POOR = 1e-8  # reciprocal condition number below which a Gram matrix is not used
TINY = 1e-11  # strength, over the largest eigenvalue, that does not make up for any rounding
LEAST = 1e-280  # penalty of a column of unit size that counts for nothing, but has an inverse


@dataclass(frozen=True)
class Spectrum:
    """B = T V', with B the weighted columns divided by the roots of their penalties.

    The unpenalised columns are projected out of B by the orthonormal Q.
    """

    problem: Problem
    method: str
    penalised: npt.NDArray[np.intp]
    free: npt.NDArray[np.intp]
    unit: Array  # root of the penalty of each penalised column
    Q: Array  # n x free
    R: Array  # free x free
    square: Array  # squared singular values, the column norms of T
    V: Array | None  # penalised x k; None in the dual form
    known: Array | None  # T where it is at hand

    def seen(self, vectors: Array) -> Array:
        """Return T'vectors, the (n, m) vectors being free of Q."""
        if self.known is not None or self.V is None:
            assert self.known is not None
            return np.asarray(self.known.T @ vectors)
        raw = times_transposed(self.problem, self.penalised, vectors) / self.unit[:, None]
        return np.asarray(self.V.T @ raw)

    def shrink(self, alpha: float) -> Array:
        """Return 1 / (square + alpha), and 0 where both vanish."""
        total = self.square + alpha
        limit = 0.0
        if (
            alpha == 0
        ):  # eigenvalues end at the rounding of the largest, singular values at its root
            rounding = 8 * EPSILON * max(len(self.Q), len(self.square))
            limit = self.square.max(initial=0.0) * rounding ** (1 if self.method == "dual" else 2)
        return np.where(total > limit, 1.0 / np.where(total > limit, total, 1.0), 0.0)

    def family(self, grid: Array) -> tuple[Array, Array]:
        """Return L (k x r) and U (r x n_alphas) with L U = shrink, r being as small as it goes."""
        if len(grid) > 1 and self.shrink(float(grid.min())).all():
            factors = cauchy.factor(self.square, grid)
            if factors is not None:
                return factors
        return np.stack([self.shrink(alpha) for alpha in grid], axis=1), np.eye(len(grid))

    def whole(self, problem: Problem) -> npt.NDArray[np.bool_] | None:
        """Return which singular vectors count, if nothing can remain beside them; else None.

        With as many of them as there are rows, a fit of small alpha interpolates.
        """
        room = np.count_nonzero(problem.weight) - len(self.free) - int(problem.fit_intercept)
        top = self.square.max(initial=0.0)
        kept = self.square > 4 * EPSILON * len(self.square) * top
        return kept if 0 < room == np.count_nonzero(kept) else None

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
    unit = np.sqrt(np.maximum(l2[penalised], LEAST))
    n = problem.design.n_samples
    Q, R = np.zeros((n, 0)), np.zeros((0, 0))
    if len(free) > n:
        return None
    if len(free):
        Q, R = lapack.qr(standardised(problem, free))
        size = np.abs(np.diag(R))
        if len(size) < len(free) or size.min() <= 1e-13 * size.max():
            return None
    common = {
        "problem": problem,
        "penalised": penalised,
        "free": free,
        "unit": unit,
        "Q": Q,
        "R": R,
    }
    wide = len(penalised) > n
    if wide:
        factor = np.zeros(problem.design.n_features)
        factor[penalised] = 1.0 / l2[penalised]
        kernel = row_gram(problem, factor)
    else:
        kernel = problem.gram_of(penalised)
        kernel /= unit[:, None] * unit[None, :]
    if len(free):
        kernel = _projected(problem, kernel, Q, penalised, unit, wide)
    square, vectors = lapack.eigh(kernel)
    square = np.maximum(square, 0.0)
    top = square.max(initial=0.0)
    # Centred rows depend on each other in one known way, which costs no other direction digits.
    idle = int(wide and problem.fit_intercept)
    least = square[idle] if len(square) > idle else top
    poor = least + smallest < POOR * (top + smallest) or smallest < TINY * top
    if (poor or svd) and not is_sparse(problem.X):
        matrix = standardised(problem, penalised) / unit
        matrix -= Q @ (Q.T @ matrix)
        U, s, Vt = lapack.svd(matrix)
        return Spectrum(method="svd", known=U * s, square=s * s, V=Vt.T, **common)
    if wide:
        T = vectors * np.sqrt(square)
        return Spectrum(method="dual", known=T, square=square, V=None, **common)
    known = None
    if poor:  # the digits that small eigenvalues have lost
        known = _images(problem, penalised, vectors / unit[:, None], Q)
        square = np.einsum("ij,ij->j", known, known)
    return Spectrum(method="primal", known=known, square=square, V=vectors, **common)


def _images(problem: Problem, penalised: npt.NDArray[np.intp], vectors: Array, Q: Array) -> Array:
    """Return the columns combined by the vectors, without what Q explains."""
    T = times(problem, penalised, vectors)
    return np.asarray(T - Q @ (Q.T @ T))


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


def project_responses(problem: Problem, spectrum: Spectrum) -> tuple[Array, Array]:
    """Return all responses (n x m), weighted, and what T has in common with them (k x m)."""
    targets = np.sqrt(problem.weight)[:, None] * problem.y.T
    return targets, spectrum.seen(targets - spectrum.Q @ (spectrum.Q.T @ targets))


def combine(problem: Problem, spectrum: Spectrum, shrunk: Array, targets: Array) -> Array:
    """Return standardised coefficients (n_features x c) from multiples of singular vectors.

    The coefficients without a penalty fit what the others leave of the targets (n x c).
    """
    penalised, free = spectrum.penalised, spectrum.free
    W = np.zeros((problem.design.n_features, shrunk.shape[1]))
    if spectrum.V is not None:
        W[penalised] = (spectrum.V @ shrunk) / spectrum.unit[:, None]
    elif len(penalised):
        assert spectrum.known is not None
        root = np.sqrt(spectrum.square)[:, None]
        inverse = np.where(root > 0, 1.0 / np.where(root > 0, root, 1.0), 0.0)
        theta = (spectrum.known * inverse.T) @ (shrunk * inverse)
        theta -= spectrum.Q @ (spectrum.Q.T @ theta)
        W[penalised] = times_transposed(problem, penalised, theta) / spectrum.unit[:, None] ** 2
    if len(free):
        left = spectrum.Q.T @ (targets - times(problem, penalised, W[penalised]))
        W[free] = linalg.solve_triangular(spectrum.R, left)
    return W


def coefficients(problem: Problem, spectrum: Spectrum, grid: Array, y: Array) -> Array:
    """Return the standardised coefficients of a standardised response, (n_features, n_alphas)."""
    target = (np.sqrt(problem.weight) * y)[:, None]
    inner = spectrum.seen(target - spectrum.Q @ (spectrum.Q.T @ target))
    shrunk = inner * np.stack([spectrum.shrink(alpha) for alpha in grid], axis=1)
    return combine(problem, spectrum, shrunk, np.repeat(target, len(grid), axis=1))


def gaps(problem: Problem, spectrum: Spectrum, grid: Array, W: Array, residual: Array) -> Array:
    """Return the duality gaps in standardised units, from weighted residuals (n, n_alphas)."""
    step = spectrum.Q.T @ residual
    rest = residual - spectrum.Q @ step
    raw = times_transposed(problem, spectrum.penalised, rest)
    slope = raw / spectrum.unit[:, None] - grid * (spectrum.unit[:, None] * W[spectrum.penalised])
    seen = spectrum.seen(rest) if (grid == 0).any() else None
    return gaps_of(spectrum, grid, slope, step, seen)


def gaps_of(
    spectrum: Spectrum, grid: Array, slope: Array, step: Array, seen: Array | None
) -> Array:
    """Return the duality gaps of points whose slope is known, one a column.

    The unpenalised coefficients are corrected by a virtual least-squares step of length |step|.
    What is left of the slope in the penalised ones is paid for by their penalty alone, or where
    that is less by the curvature of the loss as well; at alpha = 0 by what is `seen` of the
    residual in the column space.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = 0.5 * np.sum(slope * slope, axis=0) / grid
    gap = np.fmin(gap, _curved(spectrum, grid, slope))
    least = grid == 0
    if seen is not None:
        gap[least] = 0.5 * spectrum.shrink(0.0) @ (seen[:, least] * seen[:, least])
    return np.asarray(gap + 0.5 * np.sum(step * step, axis=0))


def _curved(spectrum: Spectrum, grid: Array, slope: Array) -> Array:
    """Return 1/2 g'(B'B + alpha)^-1 g for every column g of the slope, inf where not known."""
    V, square = spectrum.V, spectrum.square
    if V is None or (spectrum.method == "primal" and spectrum.known is not None):
        return np.full(len(grid), np.inf)
    inside = V.T @ slope
    outside = slope - V @ inside if len(V) > len(square) else np.zeros((1, len(grid)))
    rounding = max(len(spectrum.Q), len(V)) * EPSILON * np.sqrt(square.max(initial=0.0))
    sure = np.maximum(np.sqrt(square) - rounding, 0.0) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.sum(inside * inside / (sure[:, None] + grid), axis=0)
        gap += np.where(outside.any(axis=0), np.sum(outside * outside, axis=0) / grid, 0.0)
    return np.asarray(0.5 * gap * (1.0 + 1e-3))
