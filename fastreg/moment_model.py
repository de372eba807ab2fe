"""A model of which moments are all that is known: its grid of strengths, its fits."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np

from fastreg.api import as_warm_start, path_result, point_result
from fastreg.grid import default_grid, largest_alphas
from fastreg.inputs import Array
from fastreg.moment_problem import MomentFit, Sums, with_rows
from fastreg.problem import Problem
from fastreg.result import PathResult, Result
from fastreg.settings import Settings


@dataclass(frozen=True)
class MomentModel:
    """Moments, and the problem that a penalty and the other arguments of `solve` make of them."""

    sums: Sums
    problem: Problem

    def largest_alphas(self, l1_ratio: float) -> Array:
        """Return alpha_max of every response."""
        return largest_alphas(self._for_grid, l1_ratio, Settings(), monotonic())

    def grid(self, l1_ratio: float, n_alphas: int, eps: float) -> Array:
        """Return the default grid."""
        return default_grid(self._for_grid, l1_ratio, n_alphas, eps, Settings(), monotonic())

    @property
    def _for_grid(self) -> Problem:
        """What alpha_max may need: where zero is not the start, rows that have the moments."""
        problem = self.problem
        return problem if problem.rests_at_zero else with_rows(problem, self.sums)[0]

    def solve(
        self, alpha: float, l1_ratio: float, settings: Settings, started: float, start: Any = None
    ) -> Result:
        """Return the fit at one strength; `start` may have the first coefficients."""
        fit = MomentFit(self.problem, self.sums, settings, l1_ratio, np.array([alpha]), started)
        record = fit.run(as_warm_start(start, self.problem), path=False)
        return point_result(fit.engine, record, alpha, monotonic() - started)

    def path(
        self,
        alphas: Array,
        l1_ratio: float,
        settings: Settings,
        started: float,
        start: Any = None,
        *,
        sparse: bool = False,
    ) -> PathResult:
        """Return the fits over a decreasing grid."""
        fit = MomentFit(self.problem, self.sums, settings, l1_ratio, alphas, started)
        record = fit.run(as_warm_start(start, self.problem), path=True, sparse=sparse)
        return path_result(fit.engine, record, sparse, monotonic() - started)
