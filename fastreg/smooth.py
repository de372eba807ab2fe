"""Solves problems with neither an L1 strength nor bounds: closed forms, or conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastreg import ridge
from fastreg._core.first_order import conjugate_gradient
from fastreg._core.objective import LeastSquares
from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem
from fastreg.result import Status
from fastreg.settings import Settings
from fastreg.spectrum import Spectrum, coefficients, decompose

_SHARP = 1e-4  # share of the tolerance that is asked of steps where a factor would bring more
_ATTAINABLE = 1e-16  # gap, over the null objective, that steps reach before rounding ends them
_LONG_GRID = 8  # strengths from which one eigendecomposition beats a factor for each


@dataclass
class Proof:
    """What a method reports of the state that it leaves behind."""

    status: int
    gap: float
    kappa: float = 1.0
    radius: float = 0.0
    n_iter: int = 0
    n_sweeps: int = 0


class SmoothSolver:
    """Solves the smooth points of a grid, and keeps what they share."""

    def __init__(
        self,
        problem: Problem,
        state: LeastSquares,
        settings: Settings,
        l2_share: float,
        alphas: Array,
        deadline: float,
        steps_first: int = 0,
    ) -> None:
        self.problem = problem
        self.state = state
        self.settings = settings
        self.l2_share = l2_share
        self.alphas = alphas
        self.deadline = deadline
        self.steps_first = steps_first
        self.method = ""  # that has solved the last point
        self.n_reads = 0  # of X, that the state does not count
        self._response = 0
        self._grid = alphas  # of this response
        self._grid_coef: Array | None = None  # from the spectrum
        self._closed: dict[float, ridge.ClosedForm | None] = {}
        self._spectrum: Spectrum | None = None

    def begin(self, response: int, grid: Array) -> None:
        """Go to a response, and to the part of the grid that is asked for."""
        self._response = response
        self._grid = grid
        self._grid_coef = None

    def solve(self, index: int, tolerance: float, *, iterate: bool) -> Proof:
        """Solve at a point of the grid, whose penalty the state has; `iterate`: by no factor."""
        proof = None
        if not iterate:
            proof = self._step_first(tolerance) or self._solve_closed(index, tolerance)
        if proof is not None:
            return proof
        self.method = "krylov"
        proof = self.iterate(tolerance, input_scale=True)
        if proof.status == Status.STALLED and proof.gap > tolerance:
            proof = self.iterate_on_any_scale(tolerance)
        return proof

    def _step_first(self, tolerance: float) -> Proof | None:
        """Try some steps; None where they do not suffice, or only a factor tells of a rank."""
        l2 = self.problem.factors(self._response)[1]
        if not (self.steps_first and np.all(l2[self.problem.movable] > 0)):
            return None
        attainable = _ATTAINABLE * tolerance / self.settings.tol
        target = max(_SHARP * tolerance, min(tolerance, attainable))
        proof = self.iterate(target, input_scale=True, steps=self.steps_first)
        if proof.gap > tolerance:
            return None
        proof.status = Status.CONVERGED
        self.method = "krylov"
        return proof

    def _solve_closed(self, index: int, tolerance: float) -> Proof | None:
        """Use a closed form; None where there is none, or it does not suffice."""
        problem, alpha = self.problem, float(self._grid[index])
        proof = self._from_spectrum(index, tolerance)
        if proof is not None:
            return proof
        l2 = alpha * self.l2_share
        if alpha not in self._closed:
            if problem.n_responses == 1:
                self._closed.clear()  # nobody will ask for the others again
            self._closed[alpha] = ridge.closed_form(
                problem, self.settings.method, l2, self.settings.gram_memory
            )
            self.n_reads += 1
        closed = self._closed[alpha]
        if closed is None:
            return None
        self.method = closed.name
        proof = Proof(*closed.solve(self.state, tolerance))
        return proof if proof.gap <= tolerance or l2 == 0 else None

    def iterate_on_any_scale(self, tolerance: float) -> Proof:
        """Find any solution where the scales are too far apart for that of the smallest norm."""
        self.state.place(np.zeros(self.problem.design.n_features))
        return self.iterate(tolerance, input_scale=False)

    def iterate(self, tolerance: float, *, input_scale: bool, steps: int | None = None) -> Proof:
        """Solve by conjugate gradients; `input_scale`: to the smallest norm on that scale."""
        return Proof(
            *conjugate_gradient(
                self.state,
                tolerance,
                min(steps or self.settings.max_iter, self.settings.max_iter),
                self.deadline,
                self.settings.gram_memory,
                input_scale,
            )
        )

    def _from_spectrum(self, index: int, tolerance: float) -> Proof | None:
        """Use one decomposition for the whole grid; None where it does not apply or suffice."""
        problem = self.problem
        penalised = problem.factors(self._response)[1][problem.movable] > 0
        svd = self.settings.method == "svd"
        if len(self.alphas) < _LONG_GRID or self._grid[index] == 0 or not penalised.all():
            return None
        if svd and is_sparse(problem.X):
            return None
        if self._spectrum is None:
            # All columns are penalised, so there is one.
            smallest = float(self.alphas[self.alphas > 0][-1])
            self._spectrum = decompose(problem, self.l2_share * smallest, svd=svd)
            self.n_reads += 1
        assert self._spectrum is not None
        if self._grid_coef is None:
            grid, y = self.l2_share * self._grid, problem.y[self._response]
            self._grid_coef = coefficients(problem, self._spectrum, grid, y)
        self.state.place(self._grid_coef[:, index])
        gap, kappa = self.state.certify_plain()
        self.method = self._spectrum.method
        if gap > tolerance:
            return None
        return Proof(Status.CONVERGED, gap, kappa, n_iter=1)
