"""Residuals, leave-one-out errors and proofs of a whole ridge path in one pass over X.

All of them are linear in a few functions of alpha, the rows of U (see `fastreg.cauchy`), and so are
coefficients W = B U and residuals E U. A block of rows is read once for B, for E, for its share of
the slopes Z'E that prove the fits, and for the singular vectors whose squares are the diagonals of
the hat matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from fastreg._core.leave_one_out import leave_out
from fastreg.blocks import RowBlock, row_blocks, times_transposed
from fastreg.inputs import Array
from fastreg.problem import Problem
from fastreg.spectrum import EPSILON, Spectrum, combine, gaps_of, project_responses


@dataclass(frozen=True)
class GridFits:
    """The fits of all responses over a grid of strengths, in standardised units."""

    coef: list[Array]  # n_alphas x n_features, one for each response
    mean: Array  # n_responses x n_alphas: of the residuals, before they were centred
    gap: Array  # n_responses x n_alphas
    # without rows, and zeros, where nobody asked for them:
    errors: Array  # n_responses x n_alphas x n, already in the unit of the response
    score: Array  # n_responses x n_alphas: weighted squares of the errors
    square: Array  # n_responses x n_alphas: weighted squares of the residuals
    room: Array  # n_responses x n_alphas: traces of one minus the hat matrices


class _Hats:
    """The diagonals of the hat matrices, a block of rows at a time."""

    def __init__(self, problem: Problem, spectrum: Spectrum, cross: Array, grid: Array) -> None:
        self.problem, self.spectrum = problem, spectrum
        self.columns = np.sort(np.concatenate([spectrum.penalised, spectrum.free]))
        self.L, self.U = spectrum.family(grid)
        self.root = np.sqrt(problem.weight)
        self.whole = spectrum.whole(problem)
        if spectrum.known is None:
            assert spectrum.V is not None
            scaled = spectrum.V / spectrum.unit[:, None]
            self.V = np.zeros((len(self.columns), scaled.shape[1]))
            self.V[np.searchsorted(self.columns, spectrum.penalised)] = scaled
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
        """Return T itself where nobody will ask for it again: not `exact`, and nobody's `seen`."""
        return T if self.spectrum.known is None and self.whole is None else None

    def exact(self, rows: slice, T: Array, inner: Array, computed: Array) -> Array:
        """Return the residuals without the cancellation of computed ones, where that is known."""
        if self.whole is None:
            return computed
        root = self.root[rows]
        sums = self.factors @ (T @ (-self.terms * inner[:, None])).T
        return np.where(root > 0, sums / np.where(root > 0, root, 1.0), computed)


class _Response:
    """One response: coefficients B U, residuals E U, and what the pass gathers for their proofs."""

    def __init__(
        self, hats: _Hats, response: int, target: Array, inner: Array, centre: Array
    ) -> None:
        problem, spectrum = hats.problem, hats.spectrum
        # Beside the functions of alpha there is the constant one, which brings in the response.
        self.U = np.vstack([hats.U, np.ones(hats.U.shape[1])])
        constant = np.append(np.zeros(len(hats.U)), 1.0)
        shrunk = np.hstack([hats.L * inner[:, None], np.zeros((len(inner), 1))])
        self.problem, self.spectrum = problem, spectrum
        self.y, self.inner = problem.y[response], inner
        self.B = combine(problem, spectrum, shrunk, target[:, None] * constant)
        self.basis = self.B[hats.columns]
        self.mean = np.zeros(len(self.U))  # of the residuals
        if problem.fit_intercept:
            self.mean = (problem.weight @ self.y) * constant - centre @ self.basis
        self.slope = np.zeros(self.basis.shape)  # of the loss, in all columns
        self.step = np.zeros((len(spectrum.free), len(self.U)))  # left to the free columns
        self.seen = None if spectrum.V is not None else np.zeros((len(inner), len(self.U)))

    def advance(self, rows: slice, block: RowBlock, root: Array, T: Array | None) -> Array:
        """Take in a block of rows; return the basis of their residuals."""
        e = -block.times(self.basis) - self.mean
        e[:, -1] += self.y[rows]
        weighted = root[:, None] * e
        self.slope += block.transposed_times(root[:, None] * weighted)
        self.step += self.spectrum.Q[rows].T @ weighted
        if self.seen is not None and T is not None:
            self.seen += T.T @ weighted
        return np.asarray(e)


def fit_grid(
    problem: Problem, spectrum: Spectrum, grid: Array, leave_one_out: bool = True
) -> GridFits:
    """Return the fits of every response at every strength."""
    weight, m, k = problem.weight, problem.n_responses, len(grid)
    cross = times_transposed(problem, spectrum.penalised, spectrum.Q)
    hats = _Hats(problem, spectrum, cross, grid)
    targets, inner = project_responses(problem, spectrum)
    centre = np.zeros(len(hats.columns))
    if problem.fit_intercept:  # of the columns: nothing but the rounding of their shifts
        centre = times_transposed(problem, hats.columns, hats.root[:, None])[:, 0]
    fits = [_Response(hats, i, targets[:, i], inner[:, i], centre) for i in range(m)]
    errors, sums = np.empty((m, k, len(weight) if leave_one_out else 0)), np.zeros((m, k, 3))
    for rows, block in row_blocks(problem, hats.columns):
        T = hats.images(rows, block) if leave_one_out or spectrum.V is None else None
        parts = [fit.advance(rows, block, hats.root[rows], T) for fit in fits]
        if not leave_one_out:
            continue
        assert T is not None
        diagonal = hats.diagonal(T)
        for i, fit in enumerate(fits):
            residual = hats.exact(rows, T, fit.inner, np.asarray(fit.U.T @ parts[i].T))
            leave_out(
                residual,
                diagonal,
                hats.free[rows],
                weight[rows],
                hats.least,
                problem.y_scale[i],
                errors[i, :, rows],
                sums[i],
            )
    place = np.searchsorted(hats.columns, spectrum.penalised)
    ends = [_proof(spectrum, grid, fit, fit.slope[place] - cross @ fit.step, cross) for fit in fits]
    return GridFits(
        coef=[W for W, _ in ends],
        mean=np.stack([fit.mean @ fit.U for fit in fits]),
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
