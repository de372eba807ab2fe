"""Residuals, leave-one-out errors and proofs of a whole ridge path in one pass over X.

All of them are linear in a few functions of alpha, the rows of U (see `fastreg.cauchy`), and so are
coefficients W = B U and residuals E U. A block of rows is read once for B, for E, for its share of
the slopes Z'E that prove the fits, and for the singular vectors whose squares are the diagonals of
the hat matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg._core.leave_one_out import leave_out
from fastreg.blocks import RowBlock, row_blocks, times_transposed
from fastreg.inputs import Array
from fastreg.problem import Problem
from fastreg.spectrum import EPSILON, Spectrum, combine, gaps_of, responses


@dataclass(frozen=True)
class GridFits:
    """The fits of all responses over a grid of strengths, in standardised units."""

    coef: list[Array]  # n_alphas x n_features, one for each response
    mean: Array  # n_responses x n_alphas: of the residuals, before they were centred
    gap: Array  # n_responses x n_alphas
    errors: Array  # n_responses x n_alphas x n, already in the unit of the response
    score: Array  # n_responses x n_alphas: weighted squares of the errors
    square: Array  # n_responses x n_alphas: weighted squares of the residuals
    room: Array  # n_responses x n_alphas: traces of one minus the hat matrices


class _Hats:
    """The diagonals of the hat matrices, a block of rows at a time."""

    def __init__(
        self,
        problem: Problem,
        spectrum: Spectrum,
        columns: npt.NDArray[np.intp],
        cross: Array,
        grid: Array,
    ) -> None:
        self.problem, self.spectrum = problem, spectrum
        self.L, self.U = spectrum.family(grid)
        self.root = np.sqrt(problem.weight)
        self.whole = spectrum.whole(problem)
        if spectrum.known is None:
            assert spectrum.V is not None
            scaled = spectrum.V / spectrum.unit[:, None]
            self.V = np.zeros((len(columns), scaled.shape[1]))
            self.V[np.searchsorted(columns, spectrum.penalised)] = scaled
            self.explained = cross.T @ scaled  # Q'T
        if self.whole is None:
            self.free = 1.0 - (spectrum.Q * spectrum.Q).sum(axis=1)
            if problem.fit_intercept:
                self.free -= problem.weight
            # What is left of one within its rounding is nothing.
            self.least = 8 * EPSILON * problem.design.n_features
            self.terms, self.factors = self.L, self.U.T.copy()
        else:
            # Nothing but a sum of small terms is left of one then: no difference of large ones.
            inverse = np.where(self.whole, 1.0 / np.where(self.whole, spectrum.square, 1.0), 0.0)
            self.free = np.where(problem.weight > 0, 0.0, 1.0)
            self.least = 0.0
            self.terms = -inverse[:, None] * self.L
            self.factors = (self.U * grid).T.copy()

    def images(self, rows: slice, block: RowBlock) -> Array:
        """Return rows of T."""
        if self.spectrum.known is not None:
            return self.spectrum.known[rows]
        T = block.times(self.V)
        T *= self.root[rows, None]
        if len(self.explained):
            T -= self.spectrum.Q[rows] @ self.explained
        return T

    def diagonal(self, T: Array) -> Array:
        """Return what of `free` the penalised columns take, (n_alphas, rows)."""
        return np.asarray(self.factors @ (np.square(T, out=self._squares(T)) @ self.terms).T)

    def _squares(self, T: Array) -> Array | None:
        """Return T itself where nobody will ask for it again."""
        return T if self.spectrum.known is None and self.whole is None else None

    def exact(self, rows: slice, T: Array, inner: Array, computed: Array) -> Array:
        """Return the residuals without the cancellation of computed ones, where that is known."""
        if self.whole is None:
            return computed
        root = self.root[rows]
        sums = self.factors @ (T @ (-self.terms * inner[:, None])).T
        return np.where(root > 0, sums / np.where(root > 0, root, 1.0), computed)


class _Response:
    """What one response needs and gathers during the pass; e is the basis of its residuals."""

    def __init__(
        self, problem: Problem, spectrum: Spectrum, hats: _Hats, target: Array, inner: Array
    ) -> None:
        # Beside the functions of alpha there is the constant one, which brings in the response.
        self.U = np.vstack([hats.U, np.ones(hats.U.shape[1])])
        shrunk = np.hstack([hats.L * inner[:, None], np.zeros((len(inner), 1))])
        self.inner, self.constant = inner, np.zeros(len(self.U))
        self.constant[-1] = 1.0
        self.B = combine(problem, spectrum, shrunk, target[:, None] * self.constant)
        self.slope = np.zeros(0)
        self.step = np.zeros((len(spectrum.free), len(self.U)))
        self.seen: Array | None = None


def fit_grid(problem: Problem, spectrum: Spectrum, grid: Array) -> GridFits:
    """Return the fits of every response at every strength."""
    columns = np.sort(np.concatenate([spectrum.penalised, spectrum.free]))
    place = np.searchsorted(columns, spectrum.penalised)
    Q, weight, m, k = spectrum.Q, problem.weight, problem.n_responses, len(grid)
    cross = times_transposed(problem, spectrum.penalised, Q)
    hats = _Hats(problem, spectrum, columns, cross, grid)
    targets, inner = responses(problem, spectrum)
    fits = [_Response(problem, spectrum, hats, targets[:, i], inner[:, i]) for i in range(m)]
    centre = np.zeros(len(columns))
    if problem.fit_intercept:  # of the columns: nothing but the rounding of their shifts
        centre = times_transposed(problem, columns, hats.root[:, None])[:, 0]
    errors, sums = np.empty((m, k, len(weight))), np.zeros((m, k, 3))
    bases = [fit.B[columns] for fit in fits]
    means = [
        (weight @ problem.y[i]) * fit.constant - centre @ basis
        if problem.fit_intercept
        else np.zeros(len(fit.U))
        for i, (fit, basis) in enumerate(zip(fits, bases, strict=True))
    ]
    slopes = [np.zeros((len(columns), len(fit.U))) for fit in fits]
    least = spectrum.V is None and bool((grid == 0).any())
    for rows, block in row_blocks(problem, columns):
        T = hats.images(rows, block)
        hat = hats.diagonal(T)
        s, root = weight[rows], hats.root[rows, None]
        for i, fit in enumerate(fits):
            e = -block.times(bases[i]) - means[i]
            e[:, -1] += problem.y[i, rows]
            slopes[i] += block.transposed_times(s[:, None] * e)
            fit.step += Q[rows].T @ (root * e)
            if least:
                part = T.T @ (root * e)
                fit.seen = part if fit.seen is None else fit.seen + part
            residual = hats.exact(rows, T, fit.inner, fit.U.T @ e.T)
            leave_out(
                residual,
                hat,
                hats.free[rows],
                s,
                hats.least,
                problem.y_scale[i],
                errors[i, :, rows],
                sums[i],
            )
    ends = [
        _proof(spectrum, grid, fit, slopes[i][place] - cross @ fit.step, cross)
        for i, fit in enumerate(fits)
    ]
    return GridFits(
        coef=[W for W, _ in ends],
        mean=np.stack([mean @ fit.U for mean, fit in zip(means, fits, strict=True)]),
        gap=np.stack([gap for _, gap in ends]),
        errors=errors,
        score=sums[:, :, 0],
        square=sums[:, :, 1],
        room=sums[:, :, 2],
    )


def _proof(
    spectrum: Spectrum, grid: Array, fit: _Response, raw: Array, cross: Array
) -> tuple[Array, Array]:
    """Return the coefficients of one response and their duality gaps.

    `raw` is the basis of the slope of the loss. Where the Gram matrix is good, a last Newton step
    on the slope, which only lowers the gap, makes up for the digits that its eigenvalues lack.
    """
    unit, U, penalised = spectrum.unit, fit.U, spectrum.penalised
    W = U.T @ fit.B.T  # a row for each strength
    movable = W if len(penalised) == W.shape[1] else W[:, penalised]
    slope = U.T @ (raw / unit[:, None]).T
    seen = None if fit.seen is None else fit.seen @ U
    if seen is None and spectrum.V is not None and (grid == 0).any():
        seen = spectrum.V.T @ slope.T
    ridge = movable * unit
    ridge *= grid[:, None]
    slope -= ridge
    gap = gaps_of(spectrum, grid, slope.T, fit.step @ U, seen)
    if spectrum.V is not None and spectrum.method == "primal" and spectrum.known is None:
        shrink = np.stack([spectrum.shrink(alpha) for alpha in grid])
        change = ((slope @ spectrum.V) * shrink) @ spectrum.V.T
        change /= unit
        W[:, penalised] += change
        if len(spectrum.free):
            left = fit.step @ U - cross.T @ change.T
            W[:, spectrum.free] += linalg.solve_triangular(spectrum.R, left).T
    return W, gap
