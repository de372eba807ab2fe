"""Runs one response over a decreasing grid of strengths: picks the method, keeps what is shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from time import monotonic
from typing import Any

import numpy as np

from fastreg import lapack
from fastreg._core.descent import coordinate_descent
from fastreg._core.first_order import proximal_gradient
from fastreg._core.moment_path import MomentPath
from fastreg._core.objective import Outcome
from fastreg._core.record import Record
from fastreg._core.working_set import WorkingSet
from fastreg.choice import (
    ROWS,
    Headway,
    Plan,
    decades,
    gram_bytes,
    rank_of,
    starts_with_descent,
)
from fastreg.costs import Dense, sparse
from fastreg.inputs import Array
from fastreg.problem import Problem
from fastreg.result import Status
from fastreg.settings import Settings
from fastreg.smooth import Proof, SmoothSolver

_NOISE = 1e-14  # correlation, relative to both norms, that is rounding
_ROUGH = 1e-10  # gap, relative to the square of the response, that alpha_max notices
_FAR = 1e6  # residual square of a useless start; that of a response is about one

_QUADRATIC = ("cholesky", "svd", "krylov")  # methods for a smooth objective without bounds


class Engine:
    """Solves the responses of a problem, one after the other, over one grid."""

    def __init__(
        self, problem: Problem, settings: Settings, l1_ratio: float, alphas: Array, started: float
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self._grid = alphas  # of the current response
        self.deadline = started + settings.time_limit
        self.state = problem.least_squares()
        self.extra_passes = problem.n_reads
        self._working_set: WorkingSet | None = None
        self._sparse = sparse(problem.X)
        n, p = problem.X.shape
        self._costs = self._sparse or Dense(
            n, p, p if l1_ratio < 1.0 else min(n, p), problem.outlook.per_pass
        )
        self._plan = Plan(
            settings,
            False,
            decades(alphas),
            problem.n_responses,
            l2=(1.0 - l1_ratio) * float(alphas[0]),
            outlook=problem.outlook,
        )
        smooth = replace(self._plan, smooth=self._is_smooth(float(alphas[0])))
        self._steps_first = smooth.steps_first(self._sparse)
        self._smooth = SmoothSolver(
            problem,
            self.state,
            settings,
            1.0 - l1_ratio,
            alphas,
            self.deadline,
            self._steps_first,
        )
        self.method = self._choose(float(alphas[0]))
        self._room = np.inf  # features that a working set may hold until descent takes over
        self._descends = self.method == "descent"
        self._has_given_up = False  # has descent?
        self._gave_up = (-1, -1)  # response and point at which it last did

    @property
    def n_passes(self) -> int:
        """Reads of the whole of X so far."""
        return int(self.state.n_passes) + self.extra_passes + self._smooth.n_reads

    def new_record(self, n_points: int, *, sparse: bool = False) -> Record:
        """Return where the points of all responses are written."""
        problem = self.problem
        return Record(
            n_points,
            problem.n_responses,
            problem.design.scale,
            problem.mean,
            problem.weight_sum,
            problem.fit_intercept,
            sparse,
        )

    @property
    def takes_cholesky(self) -> bool:
        """Whether the whole grid is smooth and the method is, or may be, Cholesky factors."""
        free = self.settings.method in ("auto", "cholesky") and self.method == "cholesky"
        return free and not self._steps_first and self._is_smooth(float(self.alphas[-1]))

    def run_all(self, record: Record, start: Array | None) -> None:
        """Write the points of all responses over the whole grid."""
        path = self._moment_path(record) if start is None else None
        k = 0
        while k < self.problem.n_responses:
            if path is not None:
                k = self._run_from_moments(path, record, k)
                if k == self.problem.n_responses:
                    return
            self.run(record, k, None if start is None else start[k])
            k += 1

    def _moment_path(self, record: Record) -> MomentPath | None:
        """Return the solver that needs nothing but the moments, if they are known and suffice."""
        problem = self.problem
        self._grid = self.alphas
        movable = problem.movable
        if problem.gram is None or problem.cross is None or self.method != "gram":
            return None
        if problem.roughness > 0 or problem.has_bounds or not movable.any():
            return None
        if len(self._without_smooth()) < len(self.alphas):
            return None
        l1, l2 = problem.factors(0)
        record.certified_zero[:, :, ~movable] = (problem.excluded | (l1 > 0))[~movable]
        return MomentPath(problem.gram, np.flatnonzero(movable), l1, l2)

    def _run_from_moments(
        self, path: MomentPath, record: Record, first: int, rounding: float = 0.0
    ) -> int:
        """Solve responses from the first one on; return the first that is not solved."""
        problem = self.problem
        assert problem.cross is not None
        return path.run(
            record,
            first,
            problem.cross,
            problem.y_size,
            problem.y_scale,
            problem.y_mean,
            self.alphas * self.l1_ratio,
            self.alphas * (1.0 - self.l1_ratio),
            tol=self.settings.tol,
            max_sweeps=self.settings.max_sweeps,
            deadline=self.deadline,
            rounding=rounding,
            n_threads=self.settings.n_threads,
        )

    def run(
        self, record: Record, response: int, start: Array | None, only: int | None = None
    ) -> None:
        """Write the points of one response, over the whole grid or at one strength of it."""
        problem, state = self.problem, self.state
        self._grid = self.alphas if only is None else self.alphas[only : only + 1]
        self._smooth.begin(response, self._grid)
        problem.begin(state, response)
        null = self._null_objectives()
        record.begin(problem.y_scale[response], problem.y_mean[response], problem.y_size[response])
        # What overflows is seen in the proof.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if start is not None:
                state.start(problem.inside(start, response))
                if not state.state()[2] <= _FAR:
                    problem.begin(state, response)
            self._begin_descent(response)
            for i in range(self._run_compiled(record, response, null), len(self._grid)):
                tolerance = self.settings.tol * float(null[i])
                # The first fit of all decides for itself when to stop.
                if (i > 0 or response > 0) and monotonic() > self.deadline:
                    proof = self._give_up(*self._strengths(i), tolerance)
                else:
                    proof = self._solve_in_time(response, i, tolerance)
                if monotonic() > self.deadline and proof.gap > tolerance:
                    proof.status = Outcome.TIME_LIMIT
                record.put_state(
                    state,
                    i,
                    response,
                    proof.status,
                    proof.gap,
                    proof.kappa,
                    proof.radius,
                    float(null[i]),
                    self.settings.tol,
                    proof.n_iter,
                    proof.n_sweeps,
                )

    def _strengths(self, index: int) -> tuple[float, float]:
        """Return what multiplies both parts of the penalty at a point of the grid."""
        alpha = float(self._grid[index])
        return alpha * self.l1_ratio, alpha * (1.0 - self.l1_ratio)

    def _null_objectives(self) -> Array:
        """Return the objectives of the point at hand over the grid."""
        w, _, square = self.state.state()
        null = np.full(len(self._grid), 0.5 * square)
        if w.any():
            points = range(len(null))
            null += [self.problem.penalty_at(self.state, *self._strengths(i), w) for i in points]
        return null

    def _without_smooth(self) -> Array:
        """Return the part of the grid, its beginning, that a working set is for."""
        grid, method = self._grid, self.settings.method
        if method not in ("auto", "working_set", "gram"):
            return grid[:0]
        if method == "auto" and not self.problem.has_bounds:
            no_l1 = self.l1_ratio == 0 or not self.problem.l1_unit.any()
            return grid[:0] if no_l1 else grid[grid > 0]
        return grid

    def _run_compiled(self, record: Record, response: int, null: Array) -> int:
        """Let the working set go along the grid; return how many points it has written."""
        grid = self._without_smooth()
        if len(grid) == 0 or self._descends:
            return 0
        run = partial(
            WorkingSet.run,
            record=record,
            response=response,
            l1=grid * self.l1_ratio,
            l2=grid * (1.0 - self.l1_ratio),
            null=null,
            tol=self.settings.tol,
            max_iter=self.settings.max_iter,
            max_sweeps=self.settings.max_sweeps,
            deadline=self.deadline,
        )
        done = run(self._shared())
        if self._shared().outcome == Outcome.ALL_WANTED:
            self._take_all()
            done = run(self._shared())
        elif self._shared().outcome == Outcome.DESCENT_WANTED:
            self._outgrow()
            return done
        outgrown = done < len(grid) and self._sparse is not None and self._may_descend
        if outgrown and monotonic() <= self.deadline:
            self._outgrow()
        return done

    def _begin_descent(self, response: int) -> None:
        """Decide whether to begin the grid with coordinate descent."""
        if self._sparse is None or not self._may_descend or self.method == "gram":
            return
        if self.problem.has_bounds and self._grid[-1] == 0.0:
            return
        self._descends = True
        if len(self._grid) > 1:
            self._room = self._sparse.most_features
            w, c, _ = self.state.state()
            l1 = self.problem.factors(response)[0] * self._strengths(0)[0]
            self._descends = starts_with_descent(int(np.sum((np.abs(c) > l1) | (w != 0))))
        if self._descends and response == 0:
            self.method = "descent"
        elif self._descends:
            self._outgrow()

    def _outgrow(self) -> None:
        """Let coordinate descent go on from where the support has become large."""
        self._descends = True
        self._working_set = None
        self._name("descent")

    def _name(self, method: str) -> None:
        """Say that this method has gone on where another one ended."""
        if method not in self.method.split(", then "):
            self.method += f", then {method}"

    @cached_property
    def _may_descend(self) -> bool:
        """Whether coordinate descent on the residual is an alternative to a working set."""
        problem = self.problem
        return (
            self.settings.method == "auto"
            and self._plan.may_descend(self._costs)
            and (self._sparse is not None or self._is_for_dense_descent)
            and self.l1_ratio > 0
            and bool(np.all(problem.l1_unit[problem.movable] > 0))
        )

    @property
    def _is_for_dense_descent(self) -> bool:
        """Whether a Gram matrix would serve one fit only, and columns are contiguous or may be."""
        alone = self.problem.n_responses == len(self.alphas) == 1
        copies = 0 if self.problem.design.by_rows() is None else 8 * self.problem.X.size
        return alone and copies <= self.settings.gram_memory

    def alpha_max(self, response: int) -> float:
        """Return the smallest strength at which every penalised coefficient is zero."""
        problem, state = self.problem, self.state
        problem.begin(state, response)
        l1, l2 = problem.factors(response)
        lower, upper = problem.bounds(response)
        penalised = (l1 > 0) & problem.movable
        if not penalised.any():
            return 0.0
        unknown = 0.0  # length of what the fit of the unpenalised features still lacks
        if np.any(problem.movable & ~penalised):
            held = np.clip(0.0, lower, upper)
            low, high = np.where(penalised, held, lower), np.where(penalised, held, upper)
            state.set_penalty(l1, l2, low, high)
            unknown = self._fit_unpenalised()
        w, c, _ = state.state()
        return needed_strength(problem, response, self.l1_ratio, w, c, unknown)

    def _fit_unpenalised(self) -> float:
        """Fit what may move; return how far, at most, the fitted values are off if that counts."""
        square = self.state.state()[2]
        work = WorkingSet(self.state, self.settings.gram_memory)
        proof = self._run_working_set(work, 0.0, 0.0, _NOISE * square, False)
        if proof.status == Outcome.GRAM_LIMIT or proof.gap > _ROUGH * square:
            if self.problem.has_bounds:
                proof = self._solve_gradient(0.0, 0.0, _NOISE * square)
            else:
                proof = self._smooth.iterate(_NOISE * square, input_scale=False)
        return float(np.sqrt(2.0 * proof.gap)) if proof.gap > _ROUGH * square else 0.0

    def _choose(self, alpha: float) -> str:
        """Return the name of the method for the first strength."""
        problem, method = self.problem, self.settings.method
        p, n = problem.design.n_features, problem.design.n_samples
        smooth = self._is_smooth(alpha)
        if method in _QUADRATIC and not (smooth and self._is_smooth(float(self.alphas[-1]))):
            raise ValueError(
                f"method={method!r} needs an L2 penalty or none (l1_ratio=0 or alpha=0) and no "
                "bounds; use 'auto', 'working_set', 'gram', 'gradient' or, for sparse X, 'descent'"
            )
        plan = replace(self._plan, smooth=smooth)
        if method == "gram" and not plan.fits(p):
            raise ValueError(
                f"method='gram' needs {gram_bytes(p):.3g} bytes, more than gram_memory="
                f"{self.settings.gram_memory:.3g}"
            )
        return plan.method(n, p, self._sparse)

    def _is_smooth(self, alpha: float) -> bool:
        no_l1 = self.l1_ratio == 0 or alpha == 0 or not self.problem.l1_unit.any()
        return no_l1 and not self.problem.has_bounds

    def _solve_in_time(self, response: int, index: int, tolerance: float) -> Proof:
        try:
            with lapack.until(self.deadline):
                return self._solve(response, index, tolerance)
        except TimeoutError:
            return self._give_up(*self._strengths(index), tolerance)

    def _solve(self, response: int, index: int, tolerance: float) -> Proof:
        l1, l2 = self._strengths(index)
        method = self.settings.method
        smooth = self._is_smooth(float(self._grid[index]))
        if smooth and (method in _QUADRATIC or method == "auto"):
            self.state.strengthen(l1, l2)
            by = self._choose(float(self._grid[index])) if method == "auto" else method
            proof = self._smooth.solve(index, tolerance, iterate=by == "krylov")
            if index == response == 0:
                self.method = self._smooth.method
            else:
                self._name(self._smooth.method)
            return proof
        if method == "gradient":
            return self._solve_gradient(l1, l2, tolerance)
        before = Proof(Outcome.STALLED, np.inf)  # nothing yet
        if self._descends:
            before = self._descend(response, index, tolerance)
            if self._descends:
                return before
        warm = index > 0 and self._working_set is not None
        proof = self._run_working_set(self._shared(), l1, l2, tolerance, warm)
        proof.n_iter += before.n_iter
        proof.n_sweeps += before.n_sweeps
        if proof.status == Outcome.GRAM_LIMIT and self._room < np.inf:
            self._outgrow()
            return self._solve(response, index, tolerance)
        if proof.status == Outcome.GRAM_LIMIT:
            self._name("gradient")
            return self._solve_gradient(l1, l2, tolerance)
        return proof

    def _descend(self, response: int, index: int, tolerance: float) -> Proof:
        l1, l2 = self._strengths(index)
        headway = None
        if self.settings.method == "auto":
            null = tolerance / self.settings.tol
            headway = Headway(self._costs, null, tolerance, len(self._grid) - index)
        goes_on = headway.suffices if headway else None
        proof = self._by_reads(coordinate_descent, l1, l2, tolerance, goes_on)
        if headway and proof.status == Outcome.STALLED:
            self._descends = False
            self._has_given_up = True
            once = len(self._grid) > 1 and self._gave_up != (response, index)
            self._room = 2.0 * headway.n_active if once else np.inf
            self._gave_up = (response, index)
            self._name("working_set")
        return proof

    def _give_up(self, l1: float, l2: float, tolerance: float) -> Proof:
        """Prove the point at hand, for want of time for a better one."""
        self.state.strengthen(l1, l2)
        gap, kappa = self.state.certify_plain()
        return Proof(Outcome.CONVERGED if gap <= tolerance else Outcome.TIME_LIMIT, gap, kappa)

    def _shared(self) -> WorkingSet:
        """Return the working set that all strengths and responses share."""
        if self._working_set is None:
            memory = self.settings.gram_memory
            if self._may_descend and self.method != "gram":
                memory = min(memory, gram_bytes(self._room))
            self._working_set = WorkingSet(self.state, memory, self._costs.share_for_all)
            if self.method == "gram":
                self._working_set.include_all(self.problem.gram, self.problem.roughness)
            else:
                self._foresee(self._working_set)
        return self._working_set

    def _foresee(self, work: WorkingSet) -> None:
        """Tell a working set how many features may matter, where a Gram matrix of all may pay."""
        problem = self.problem
        n, p = problem.design.n_samples, problem.design.n_features
        if self.settings.method != "auto" or self._room < np.inf:
            return
        alone, takes_all = len(self.alphas) == 1, self._plan.foresees(n, p, self._sparse)
        asks = self._sparse is None and alone and self._may_descend and not self._has_given_up
        if takes_all or asks:
            work.foresee(
                lambda: rank_of(problem.sampled_rows(min(n, ROWS))),
                takes_all,
                alone and takes_all and not self._has_given_up,  # nobody would take it over then
                self._prefers_descent if asks else None,
            )

    def _prefers_descent(self, support: float, rank: float) -> bool:
        """Whether descent is to take over where so many features will be nonzero."""
        problem = self.problem
        assert isinstance(self._costs, Dense)
        l2 = self._strengths(0)[1] * problem.factors(0)[1][problem.movable]
        q = float(np.mean(l2 / problem.norm[problem.movable] ** 2))
        return self._costs.prefers_descent(support, rank, q, self.settings.tol)

    def _take_all(self) -> None:
        """Let a working set of all features go on, in float where it may be."""
        problem = self.problem
        is_float = problem.X.dtype == np.float32
        in_float = bool(np.all(problem.l1_unit[problem.movable] > 0)) and self._plan.pays_float(
            problem.design.n_samples, problem.design.n_features, is_float
        )
        self._working_set = WorkingSet(self.state, self.settings.gram_memory)
        self._working_set.include_all(*problem.whole_gram(in_float))
        self.extra_passes += 1
        self._name("gram")

    def _run_working_set(
        self, work: WorkingSet, l1: float, l2: float, tolerance: float, warm: bool
    ) -> Proof:
        status = work.solve(
            l1,
            l2,
            tolerance,
            warm=warm,
            max_iter=self.settings.max_iter,
            max_sweeps=self.settings.max_sweeps,
            deadline=self.deadline,
        )
        return Proof(status, work.gap, work.kappa, work.radius, work.n_iter, work.n_sweeps)

    def _by_reads(
        self, method: Callable[..., Any], l1: float, l2: float, tolerance: float, *more: Any
    ) -> Proof:
        """Solve by a method that keeps nothing between strengths."""
        limits = self.settings.max_iter, self.deadline, self.settings.gram_memory
        return Proof(*method(self.state, l1, l2, tolerance, *limits, *more))

    def _solve_gradient(self, l1: float, l2: float, tolerance: float) -> Proof:
        proof = self._by_reads(proximal_gradient, l1, l2, tolerance)
        smooth = not self.problem.has_bounds and (l1 == 0 or not self.problem.l1_unit.any())
        if smooth and proof.status == Status.STALLED:
            self._name("krylov")
            return self._smooth.iterate_on_any_scale(tolerance)
        return proof


def needed_strength(
    problem: Problem, response: int, l1_ratio: float, w: Array, c: Array, unknown: float = 0.0
) -> float:
    """Return the smallest strength at which a point stays what it is.

    `w` and `c` are its coefficients and correlations, and `unknown` is how far its fitted values
    may be off.
    """
    l1, l2 = problem.factors(response)
    lower, upper = problem.bounds(response)
    pull = np.maximum(np.where(upper > 0, c, 0.0), np.where(lower < 0, -c, 0.0))
    pull[pull <= _NOISE * problem.norm * problem.y_size[response]] = 0.0
    pull += unknown * problem.norm
    resist = l1_ratio * l1 + (1.0 - l1_ratio) * l2 * np.abs(w)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where((l1 > 0) & problem.movable & (pull > 0), pull / resist, 0.0)
    return float(needed.max()) * (1.0 + 1e-14)  # so that rounding leaves nothing above it
