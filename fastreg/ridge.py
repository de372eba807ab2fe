"""Closed forms for an L2 penalty (or none): Cholesky on the smaller Gram matrix, or an SVD.

The Gram matrix squares the condition number. A Cholesky factor is therefore used only where its
condition estimate leaves half of the digits, and then corrected against the true residual; anything
worse goes to a singular value decomposition: of X itself, or if X is sparse of its product with the
few directions in which the Gram matrix is nothing but rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg import lapack
from fastreg._core.objective import LeastSquares, Outcome
from fastreg.blocks import exact_matrix, row_gram, standardised, times, times_transposed
from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem
from fastreg.spectrum import EPSILON, POOR, Spectrum, coefficients, decompose, gaps

ProofFields = tuple[int, float, float, float, int, int]

_HUGE = 1e300  # strength that holds every coefficient at zero
_SMALL = 100_000  # entries up to which least squares always takes the most accurate way
_REFINEMENTS = 5
_FIRST_BLOCK = 32  # directions in which a Gram matrix is first searched for rounding
_INVERSE_STEPS = 6
_RANK = 64 * EPSILON  # length of Zv, relative to both norms, that is rounding


class ClosedForm(ABC):
    """Solves  min 1/2 |y - Zw|^2 + 1/2 sum_j l2_j w_j^2  for any response of a problem."""

    name: str

    @abstractmethod
    def solve(self, state: LeastSquares, tolerance: float) -> ProofFields:
        """Leave the solution in the state; return the fields of its proof."""


class _Primal(ClosedForm):
    """Cholesky factor of the p x p matrix H = Z'Z + diag(l2)."""

    name = "cholesky"
    steps = _REFINEMENTS
    slack = 1.0 + 1e-3  # on the gap, for what of H the factor does not know

    def __init__(self, gram: Array, columns: npt.NDArray[np.int32], l2: Array) -> None:
        self.columns, self.l2 = columns, l2
        self.factor, self.rcond = lapack.cholesky(gram)

    def solve(self, state: LeastSquares, tolerance: float) -> ProofFields:
        """Newton steps on the true gradient: the first solves, the others refine."""
        gap = np.inf
        for step in range(self.steps + 1):
            w, c, _ = state.state()
            gradient = (c - self.l2 * w)[self.columns]
            change = self._newton(gradient)
            previous, gap = gap, 0.5 * float(gradient @ change) * self.slack
            enough = gap <= tolerance and (self.rcond > 1e-3 or gap >= 0.01 * previous)
            enough = enough and step > 0  # zero may be within the tolerance, too
            if enough or step == self.steps:
                break
            w[self.columns] += change
            state.place(w)
        return (Outcome.CONVERGED if gap <= tolerance else Outcome.STALLED, gap, 1.0, 0.0, step, 0)

    def _newton(self, gradient: Array) -> Array:
        return np.asarray(linalg.cho_solve((self.factor, True), gradient, check_finite=False))


class _Deflated(_Primal):
    """The same for sparse X where the Gram matrix has lost more than half of its digits.

    The factor L is that of H + shift I, with the shift above all rounding. The orthonormal V spans
    what lies within a hundred shifts, where that factor is useless: there H = S^2, with S and V
    from the singular values of Z V, which lose nothing. Seen from this preconditioner H is one, up
    to shift / 100 shift on either side and the coupling |L^-1 (I - VV') H V S^-1| of both parts.
    """

    steps = 8 * _REFINEMENTS

    def __init__(
        self,
        problem: Problem,
        columns: npt.NDArray[np.int32],
        l2: Array,
        shifted: Array,
        limit: float,
        memory: float,
    ) -> None:
        super().__init__(shifted, columns, l2)
        self.coupling = np.inf
        if self.rcond == 0.0:
            return
        scale, shift = problem.design.scale[columns], problem.design.shift[columns]
        size = float(np.sqrt(np.sum(problem.norm[columns] ** 2 + (scale * shift) ** 2)))
        root, n, p = np.sqrt(l2[columns])[:, None], problem.design.n_samples, len(columns)
        block = _FIRST_BLOCK
        while True:
            values, basis = _smallest(self.factor, block)
            few = max(int(np.sum(values <= limit)), 1)
            if 24.0 * (n + p) * few > memory:
                return
            rows = np.vstack([times(problem, columns, basis[:, :few]), root * basis[:, :few]])
            U, s, Wt = lapack.svd(rows)
            if s[-1] <= _RANK * size:  # many solutions
                return
            if 2 * few <= block or block >= p:
                break
            block *= 2
        self.V, self.s = basis[:, :few] @ Wt.T, s
        image = self._outside(times_transposed(problem, columns, U[:n]) + root * U[n:])
        seen = linalg.solve_triangular(self.factor, image, lower=True, check_finite=False)
        self.coupling = float(np.linalg.norm(seen, 2))
        self.slack = 1.05 / max(1.0 - self.coupling, EPSILON)

    def _outside(self, vectors: Array) -> Array:
        return np.asarray(vectors - self.V @ (self.V.T @ vectors))

    def _newton(self, gradient: Array) -> Array:
        inside = self.V @ ((self.V.T @ gradient) / self.s**2)
        return inside + self._outside(super()._newton(self._outside(gradient)))


def _smallest(factor: Array, size: int) -> tuple[Array, Array]:
    """Return the smallest eigenvalues of LL', increasing, and their vectors: inverse iteration."""
    p = len(factor)
    basis = np.random.default_rng(0).standard_normal((p, min(size, p)))
    for _ in range(_INVERSE_STEPS):
        basis, _ = lapack.qr(linalg.cho_solve((factor, True), basis, check_finite=False))
    inverse = basis.T @ linalg.cho_solve((factor, True), basis, check_finite=False)
    values, vectors = lapack.eigh(-0.5 * (inverse + inverse.T))
    return -1.0 / values, basis @ vectors


def _deflated(
    problem: Problem, columns: npt.NDArray[np.int32], l2: Array, gram: Array, memory: float
) -> _Deflated | None:
    """Return the form for a poor Gram matrix, or None where its rounding leaves none."""
    diagonal = np.diag_indices_from(gram)
    shift = EPSILON * (40.0 * float(np.trace(gram)) + np.sqrt(problem.design.n_samples))
    gram[diagonal] += shift
    form = _Deflated(problem, columns, l2, gram, 100.0 * shift, memory)
    return form if form.coupling <= 0.5 else None


class _Dual(ClosedForm):
    """Cholesky factor of the n x n matrix Z diag(1/l2) Z' + I."""

    name = "cholesky"

    def __init__(self, problem: Problem, columns: npt.NDArray[np.int32], l2: Array) -> None:
        self.inverse = np.zeros(len(l2))
        self.inverse[columns] = 1.0 / l2[columns]
        self.root = np.sqrt(problem.weight)
        kernel = row_gram(problem, self.inverse)
        kernel[np.diag_indices_from(kernel)] += 1.0
        self.factor, self.rcond = lapack.cholesky(kernel)

    def solve(self, state: LeastSquares, tolerance: float) -> ProofFields:
        """Solve for the residual theta, w = diag(1/l2) Z'theta, and refine theta."""
        theta = np.zeros(len(self.root))
        gap = np.inf
        state.place(np.zeros(len(self.inverse)))
        for _ in range(_REFINEMENTS + 1):
            error = self.root * state.residual_array() - theta
            theta = theta + linalg.cho_solve((self.factor, True), error, check_finite=False)
            state.place(self.inverse * state.design.correlation(self.root * theta))
            previous, gap = gap, state.certify_plain()[0]
            if gap <= tolerance or gap >= 0.5 * previous:
                break
        return (Outcome.CONVERGED if gap <= tolerance else Outcome.STALLED, gap, 1.0, 0.0, 1, 0)


class _Singular(ClosedForm):
    """Singular value decomposition of Z, or of Z over diag(sqrt(l2)) if only some are penalised.

    Columns are divided by a unit: with it a penalty of any size hides no other column's rank.
    """

    name = "svd"

    def __init__(self, problem: Problem, columns: npt.NDArray[np.int32], l2: Array) -> None:
        self.problem, self.columns = problem, columns
        penalised = l2[columns] > 0
        self.uniform = bool(penalised.all())
        self.unit = np.sqrt(l2[columns])
        matrix = standardised(problem, columns)
        if self.uniform:
            self.matrix = matrix / self.unit
        else:
            rows = np.zeros((np.count_nonzero(penalised), len(columns)))
            rows[np.arange(len(rows)), np.flatnonzero(penalised)] = np.sqrt(l2[columns][penalised])
            # powers of two: this rounds nothing
            self.unit = np.exp2(np.rint(np.log2(np.maximum(self.unit, 1.0))))
            self.matrix = np.vstack([matrix, rows]) / self.unit
        self.U, self.s, self.Vt = lapack.svd(self.matrix)
        limit = max(self.matrix.shape) * np.finfo(np.float64).eps * self.s[0]
        self.rank = len(self.s) if self.uniform else int(np.sum(self.s > limit))

    def solve(self, state: LeastSquares, tolerance: float) -> ProofFields:
        """Leave the solution with the smallest norm in the state."""
        w = np.zeros(self.problem.design.n_features)
        target = np.sqrt(self.problem.weight) * state.response_array()
        if self.uniform:
            v = self.Vt.T @ (self.s / (self.s**2 + 1.0) * (self.U.T @ target))
            w[self.columns] = v / self.unit
            state.place(w)
            gap = min(state.certify_plain()[0], self._remainder(state))
            return (Outcome.CONVERGED if gap <= tolerance else Outcome.STALLED, gap, 1.0, 0.0, 1, 0)
        target = np.concatenate([target, np.zeros(len(self.matrix) - len(target))])
        deficient = self.rank < len(self.columns)
        v = self._smallest(target) if deficient else self._refined(target)
        w[self.columns] = v / self.unit
        state.place(w)
        error = target - self.matrix @ (w[self.columns] * self.unit)
        gap = 0.5 * float(np.sum((self.U[:, : self.rank].T @ error) ** 2)) * (1.0 + 1e-3)
        status = Outcome.RANK_DEFICIENT if deficient else Outcome.CONVERGED
        return (status if gap <= tolerance else Outcome.STALLED, gap, 1.0, 0.0, 1, 0)

    def _remainder(self, state: LeastSquares) -> float:
        """Return objective - minimum = 1/2 g'H^-1 g, with H from the decomposition."""
        w, c, _ = state.state()
        slope = c[self.columns] / self.unit - self.unit * w[self.columns]
        inside = self.Vt @ slope
        outside = max(float(slope @ slope - inside @ inside), 0.0)
        return 0.5 * (float(np.sum(inside**2 / (self.s**2 + 1.0))) + outside) * (1.0 + 1e-3)

    def _smallest(self, target: Array) -> Array:
        """Smallest norm on the input scale, where w = scale / unit * (scaled standardised w).

        Where the scales of the columns differ so much that this loses the fit, the smallest norm
        of the standardised coefficients.
        """
        k = self.rank
        right = self.U[:, :k].T @ target
        plain = self.Vt[:k].T @ (right / self.s[:k])
        scale = self.problem.design.scale[self.columns] / self.unit
        scale = scale / scale.max()
        rows = (self.s[:k, None] * self.Vt[:k]) / scale
        if not np.isfinite(rows).all():
            return np.asarray(plain)
        Q, R = lapack.qr(rows.T)
        if np.abs(np.diag(R)).min() == 0.0:
            return np.asarray(plain)
        w = Q @ linalg.solve_triangular(R, right, trans="T", check_finite=False) / scale
        lost = [float(np.linalg.norm(target - self.matrix @ v)) for v in (w, plain)]
        return np.asarray(w if lost[0] <= lost[1] + 1e-10 * np.linalg.norm(target) else plain)

    def _refined(self, target: Array) -> Array:
        """Least squares, refined in extended precision together with its residual.

        A. Bjorck, "Iterative refinement of linear least squares solutions I", BIT 7, 1967.
        """
        U, s, Vt = self.U, self.s, self.Vt
        w = Vt.T @ ((U.T @ target) / s)
        if self.matrix.size > _SMALL:
            return np.asarray(w)
        matrix = exact_matrix(self.problem, self.columns, self.matrix * self.unit) / self.unit
        wide, exact_target = w.astype(np.longdouble), target.astype(np.longdouble)
        residual = exact_target - matrix @ wide
        for _ in range(_REFINEMENTS):
            error = (exact_target - residual - matrix @ wide).astype(np.float64)
            slope = -(matrix.T @ residual).astype(np.float64)
            half = (Vt @ slope) / s
            seen = U.T @ error
            residual = residual + (error - U @ (seen - half))
            wide = wide + Vt.T @ ((seen - half) / s)
        return wide.astype(np.float64)


class _Projected(ClosedForm):
    """The dual form after the columns without a penalty were projected out of the others."""

    def __init__(self, problem: Problem, spectrum: Spectrum, l2: float) -> None:
        self.name = "svd" if spectrum.method == "svd" else "cholesky"
        self.problem, self.spectrum, self.grid = problem, spectrum, np.array([l2])

    def solve(self, state: LeastSquares, tolerance: float) -> ProofFields:
        """Leave the solution in the state."""
        W = coefficients(self.problem, self.spectrum, self.grid, state.response_array())
        state.place(W[:, 0])
        residual = np.sqrt(self.problem.weight) * state.residual_array()
        gap = float(gaps(self.problem, self.spectrum, self.grid, W, residual[:, None])[0])
        return (Outcome.CONVERGED if gap <= tolerance else Outcome.STALLED, gap, 1.0, 0.0, 1, 0)


def closed_form(problem: Problem, method: str, l2: float, memory: float) -> ClosedForm | None:
    """Return the decomposition for one strength, or None where only iteration is left.

    `memory` bounds what sparse X may fill with dense numbers beside its Gram matrix, in bytes.
    """
    units = np.minimum(l2 * problem.factors(0)[1], _HUGE)
    columns = np.flatnonzero(problem.movable).astype(np.int32)
    n, p = problem.design.n_samples, len(columns)
    dense = not is_sparse(problem.X)
    if method == "svd" and not dense:
        raise ValueError("method='svd' needs a dense X; use 'auto', 'cholesky' or 'krylov'")
    if p == 0:
        return _Nothing(method)
    penalised = bool((units[columns] > 0).all())
    if p > n and not penalised and units.any():
        # A square matrix of all columns would be far larger than X.
        spectrum = decompose(problem, l2, svd=method == "svd")
        return None if spectrum is None else _Projected(problem, spectrum, l2)
    small = not units.any() and n * p <= _SMALL
    if method == "auto" and dense and small:
        return _Singular(problem, columns, units)
    if method != "svd" and penalised and n < p:
        dual = _Dual(problem, columns, units)
        if dual.rcond > POOR:
            return dual
    elif method != "svd" and (p <= n or penalised):
        gram = problem.gram_of(columns)
        gram[np.diag_indices_from(gram)] += units[columns]
        primal = _Primal(gram, columns, units)
        if primal.rcond > POOR:
            return primal
        if not dense:
            return _deflated(problem, columns, units, gram, memory)
    return _Singular(problem, columns, units) if dense else None


class _Nothing(ClosedForm):
    """No feature can move."""

    def __init__(self, method: str) -> None:
        self.name = "cholesky" if method == "auto" else method

    def solve(self, state: LeastSquares, tolerance: float) -> ProofFields:
        """Leave everything as it is."""
        return (Outcome.CONVERGED, 0.0, 1.0, 0.0, 0, 0)
