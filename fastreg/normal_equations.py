"""Ridge regression from moments alone: solved, refined and proven without another look at X.

With the centred Gram matrix G = Z'Z and c = Z'y of standardised columns (the rows carrying the
roots of their weights), the fit of  1/2 |y - Zw|^2 + 1/2 sum_j l2_j w_j^2  solves  H w = c  with
H = G + diag(l2), and with the slope g = c - H w

    objective(w) - minimum = 1/2 g'H^-1 g.

What rounding has done to G and c is bounded and counted in, so that the proof holds for X itself.
Where it is too much for the tolerance nothing is proven, and X has to be read again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg import lapack
from fastreg.inputs import Array

EPSILON = float(np.finfo(np.float64).eps)
_DOUBT = 1e-3  # relative error of H^-1 up to which a proof is made with it
_WELL = 1e-3  # reciprocal condition number from which nothing needs refinement
_POOR = 1e-5  # the same, below which moments would cost the coefficients too many digits
_REFINEMENTS = 3
_CHEAP = 100  # columns whose Cholesky factor is inverted for a better bound
_STRETCH = 1e6  # the bound from which that is done for more columns, too
_VISIBLE = 1e-6  # share of a response that must be left for moments to know its size


def summation_rounding(n_samples: int) -> float:
    """Return the relative error of any sum of products of so many rows, in whatever order."""
    return (n_samples + 16) * EPSILON


@dataclass(frozen=True)
class Moments:
    """Sums over the rows of standardised and centred columns z_j and responses y_k.

    Each row counts with its weight s_i; the weights sum to one.
    """

    gram: Array  # p x p: sum_i s_i z_ia z_ib
    correlation: Array  # p x m: sum_i s_i z_ij y_ik
    square: Array  # m: sum_i s_i y_ik^2
    rounding: float  # error of each entry, relative to the norms of the two that it multiplies


@dataclass(frozen=True)
class MomentFit:
    """Coefficients of all responses, with what their proofs need; one column a response."""

    coef: Array  # p x m
    correlation: Array  # p x m: of the columns with the residuals
    square: Array  # m: weighted squares of the residuals
    gap: Array  # m: proven bound on objective - minimum; inf where nothing is proven
    n_iter: int

    def proven(self, tolerance: Array | float) -> npt.NDArray[np.bool_]:
        """Return for which responses the gap is within the tolerance and the square is known."""
        return np.asarray((self.gap <= tolerance) & np.isfinite(self.square))


class Inverse(ABC):
    """H^-1, for a strength that all responses share or for one each."""

    l2: Array  # p x 1 or p x m
    error: Array | float  # relative, as a form; 1 or m
    stretch: Array | float  # |v|_(H^-1) <= stretch |v / scale|; 1 or m
    scale: Array  # p x 1
    rcond: float  # reciprocal condition number

    @abstractmethod
    def times(self, vectors: Array) -> Array:
        """Return H^-1 times the vectors."""


class CholeskyInverse(Inverse):
    """From a Cholesky factor, for one vector of strengths."""

    def __init__(self, moments: Moments, l2: Array) -> None:
        p = len(l2)
        H = moments.gram.copy()
        H[np.diag_indices(p)] += l2
        self.l2 = l2[:, None]
        self.scale = np.sqrt(np.diag(H))[:, None]
        self.factor, self.rcond = lapack.cholesky(H)
        self.error = self.stretch = np.inf
        if self.rcond > 0.0:
            known = p * (moments.rounding + 2 * (p + 1) * EPSILON)
            # Bounds on the norm of the inverse of H with a unit diagonal. The penalty alone gives
            # one; the trace, which costs as much as the factor, another.
            bound = float(np.max(np.diag(H) / l2)) if l2.min() > 0 else np.inf
            if p <= _CHEAP or known * bound > _DOUBT or bound > _STRETCH:
                inverse, _ = linalg.lapack.dtrtri(self.factor, lower=1)
                bound = min(bound, float(np.sum((inverse * self.scale.T) ** 2)))
            self.stretch, self.error = np.sqrt(bound), known * bound

    def times(self, vectors: Array) -> Array:
        """Return H^-1 times the vectors."""
        return np.asarray(linalg.cho_solve((self.factor, True), vectors, check_finite=False))


class SpectralInverse(Inverse):
    """From the eigenvalues of G, for strengths alpha_k that multiply the same positive factors."""

    def __init__(self, moments: Moments, factors: Array, alphas: Array) -> None:
        p = len(factors)
        self.unit = np.sqrt(factors)[:, None]
        values, self.V = lapack.eigh(moments.gram / (self.unit * self.unit.T))
        self.l2 = factors[:, None] * alphas
        self.scale = self.unit
        largest = max(float(values[-1]), 0.0)
        entries = float(np.max(np.diag(moments.gram) / factors))
        doubt = p * (moments.rounding * entries + 16 * EPSILON * largest)
        total = values[:, None] + alphas
        smallest = total.min(axis=0) - doubt
        self.rcond = float(np.min(smallest / total.max(axis=0)))
        self.shrink = 1.0 / np.where(total > 0, total, 1.0)
        sure = smallest > 0
        smallest = np.where(sure, smallest, 1.0)
        self.error = np.where(sure, (doubt + 8 * p * EPSILON * alphas) / smallest, np.inf)
        self.stretch = np.where(sure, 1.0 / np.sqrt(smallest), np.inf)

    def times(self, vectors: Array) -> Array:
        """Return H^-1 times the vectors."""
        inside = self.V.T @ (vectors / self.unit)
        return np.asarray((self.V @ (self.shrink * inside)) / self.unit)


def fit_moments(moments: Moments, inverse: Inverse, tolerance: Array | float) -> MomentFit:
    """Solve  H w = c  for every response, refine, and prove the answers as far as possible.

    Parameters
    ----------
    moments : Moments
    inverse : CholeskyInverse or SpectralInverse
        Of the same moments.
    tolerance : float or array of shape (m,)
        The gap at which refinement may end.
    """
    c, G = moments.correlation, moments.gram
    needed = 0 if inverse.rcond > _WELL else 1
    with np.errstate(all="ignore"):  # what overflows is not proven
        W = inverse.times(c)
        for step in range(_REFINEMENTS + 1):
            left = c - G @ W
            slope = left - inverse.l2 * W
            length = inverse.stretch * np.linalg.norm(slope / inverse.scale, axis=0)
            gap = _gap(moments, inverse, W, length)
            if step >= needed and np.all(gap <= tolerance):
                break
            change = inverse.times(slope)
            length = np.sqrt(np.maximum(np.sum(slope * change, axis=0), 0.0))
            gap = _gap(moments, inverse, W, length)
            if step == _REFINEMENTS or (step >= needed and np.all(gap <= tolerance)):
                break
            W = W + change
        square = moments.square - np.sum(W * (c + left), axis=0)
        known = square > _VISIBLE * moments.square
    return MomentFit(W, left, np.where(known, square, np.nan), gap, step + 1)


def _gap(moments: Moments, inverse: Inverse, W: Array, length: Array) -> Array:
    """Return 1/2 (length + rounding)^2, with the length of the slope in the norm of H^-1."""
    p = len(W)
    norm = np.sqrt(np.diag(moments.gram))[:, None]
    size = np.sqrt(moments.square) + (norm.T @ np.abs(W))[0]
    shares = (moments.rounding + (p + 4) * EPSILON) * float(np.linalg.norm(norm / inverse.scale))
    rounding = shares * size
    rounding += 4 * EPSILON * np.linalg.norm(inverse.l2 / inverse.scale * W, axis=0)
    length = length + inverse.stretch * rounding
    gap = 0.5 * length * length * (1.0 + 2.0 * _DOUBT)
    sure = (np.asarray(inverse.error) <= _DOUBT) & (inverse.rcond > _POOR)
    return np.where(sure & np.isfinite(gap), gap, np.inf)
