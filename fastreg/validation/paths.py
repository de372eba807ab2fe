"""Scores of every fold over the grid, by a path on the rows that the fold trains on.

Every fold is fitted to the X of all, where the rows that it leaves out have weight zero: nothing of
X is copied, whatever its storage, but what is held out, for the predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.objective import Outcome
from fastreg.api import path_result, point_result, worst_status
from fastreg.blocks import product
from fastreg.choice import Plan, decades
from fastreg.engine import Engine
from fastreg.grid import default_grid
from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem, prepare
from fastreg.responses import solve_responses
from fastreg.result import PathResult, Result
from fastreg.settings import Settings
from fastreg.spectrum import coefficients, decompose, gaps
from fastreg.threads import in_threads
from fastreg.validation.folds import Folds, Rows
from fastreg.validation.scores import Score, columns_at_once

_WIDE = 1000  # features from which the coefficients of a path are kept sparse
_FEW = 4  # strengths below which factors are cheaper than eigenvalues


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for, whatever the data."""

    model: dict[str, Any]  # further arguments of `prepare`
    l1_ratios: Array
    alphas: Array  # n_l1_ratios x n_alphas, decreasing along rows
    score: Score
    settings: Settings
    started: float


@dataclass(frozen=True, kw_only=True)
class Task(Search):
    """A search on rows: what all folds have in common."""

    X: Any  # as `as_matrix` returns it
    y: Array  # (n,) or (n, m)
    offset: Array | None  # of the shape of y
    weight: Array
    weighted: bool  # whether the user gave weights

    @property
    def depth(self) -> float:
        """Decades of the grid."""
        return max(decades(grid) for grid in self.alphas)

    def plan(self, settings: Settings) -> Plan:
        """Return what is known of a fit before its data are looked at."""
        smooth = not self.l1_ratios.any() and not self.bounded
        width = 1 if self.y.ndim == 1 else self.y.shape[1]
        return Plan(settings, smooth, self.depth, width)

    @property
    def bounded(self) -> bool:
        """Whether there are bounds on the coefficients."""
        model = self.model
        return not (model["lower"] is None and model["upper"] is None and not model["positive"])


@dataclass(frozen=True)
class Scored:
    """Scores of folds, and how far their fits can be trusted.

    The arrays have shape (n_l1_ratios, n_alphas), with a last axis over folds for all folds.
    """

    scores: Array
    n_active: Array
    relative_gap: Array
    status: npt.NDArray[np.int64]
    n_passes: int


def stack_folds(run: Callable[[int, Settings], Scored], n_folds: int, settings: Settings) -> Scored:
    """Return the scores of all folds; they run in threads of their own, if there are several."""
    each = in_threads(run, range(n_folds), settings)
    return Scored(
        scores=np.stack([one.scores for one in each], axis=-1),
        n_active=np.stack([one.n_active for one in each], axis=-1),
        relative_gap=np.stack([one.relative_gap for one in each], axis=-1),
        status=np.stack([one.status for one in each], axis=-1),
        n_passes=sum(one.n_passes for one in each),
    )


class PathScorer:
    """Scores folds, makes grids and fits all rows, by paths on X."""

    method = "paths"

    def __init__(self, task: Task, folds: Folds) -> None:
        self.task, self.folds, self.n_passes = task, folds, 0

    @cached_property
    def _whole(self) -> Problem:
        """The problem of all rows."""
        task = self.task
        problem = prepare(
            task.X,
            task.y,
            offset=task.offset,
            sample_weight=task.weight if task.weighted else None,
            plan=task.plan(task.settings),
            **task.model,
        )
        self.n_passes += problem.n_reads
        return problem

    def grid(self, n_alphas: int, eps: float) -> Array:
        """Return a grid for each l1_ratio."""
        settings, started = self.task.settings, self.task.started
        return grids(
            lambda ratio: default_grid(self._whole, ratio, n_alphas, eps, settings, started),
            self.task.l1_ratios,
        )

    def score(self, alphas: Array) -> Scored:
        """Return the scores of all folds."""
        task = replace(self.task, alphas=alphas)
        return stack_folds(
            lambda k, settings: score_fold(task, self.folds, k, settings),
            len(self.folds),
            task.settings,
        )

    def path(self, l1_ratio: float, alphas: Array) -> PathResult:
        """Return the fits to all rows over a grid."""
        engine = self._engine(l1_ratio, alphas)
        record = engine.new_record(len(alphas))
        engine.run_all(record, None)
        return path_result(engine, record, False, self._end(engine))

    def solve(self, l1_ratio: float, alpha: float) -> Result:
        """Return the fit to all rows at one strength."""
        engine = self._engine(l1_ratio, np.array([alpha]))
        record = engine.new_record(1)
        solve_responses(engine, record, None, np.zeros(self._whole.n_responses, np.intp))
        return point_result(engine, record, alpha, self._end(engine))

    def _engine(self, l1_ratio: float, alphas: Array) -> Engine:
        return Engine(self._whole, self.task.settings, l1_ratio, alphas, self.task.started)

    def _end(self, engine: Engine) -> float:
        self.n_passes += engine.n_passes - self._whole.n_reads
        return monotonic() - self.task.started


def grids(grid_of: Callable[[float], Array], l1_ratios: Array) -> Array:
    """Return a grid for each l1_ratio."""
    return np.stack([grid_of(ratio) for ratio in l1_ratios.tolist()])


def score_fold(task: Task, folds: Folds, k: int, settings: Settings) -> Scored:
    """Return the scores of one fold."""
    problem = prepare(
        task.X,
        task.y,
        offset=task.offset,
        sample_weight=folds.training_weight(k, task.weight),
        plan=task.plan(settings),
        **task.model,
    )
    held = HeldOut(task, folds.test[k])
    shape = task.alphas.shape
    scores, n_active, gap = np.empty(shape), np.empty(shape), np.empty(shape)
    status = np.empty(shape, dtype=np.int64)
    n_passes = problem.n_reads
    for i, l1_ratio in enumerate(task.l1_ratios.tolist()):
        path = _fit(problem, settings, l1_ratio, task.alphas[i], task.started)
        scores[i], n_active[i] = held.score(path), path.n_active
        gap[i], status[i] = path.relative_gap, path.status
        n_passes += path.n_passes
    return Scored(scores, n_active, gap, status, n_passes)


@dataclass(frozen=True)
class Path:
    """Coefficients of the features that move at all, of every alpha (and response)."""

    active: Rows
    coef: Array  # n_alphas * n_responses x n_active
    intercept: Array  # n_alphas x n_responses
    n_active: Array
    relative_gap: Array
    status: npt.NDArray[np.int64]
    n_passes: int

    @classmethod
    def of(cls, path: PathResult, points: Rows | None = None) -> Path:
        """Return some or all points of a path."""
        chosen = slice(None) if points is None else points
        coef, intercept = path.coef[chosen], path.intercept[chosen]
        return cls(
            active=np.arange(path.n_features),
            coef=coef.reshape(-1, path.n_features),
            intercept=intercept.reshape(len(intercept), -1),
            n_active=path.n_active,
            relative_gap=path.relative_gap,
            status=path.status,
            n_passes=path.n_passes,
        )


def _fit(
    problem: Problem, settings: Settings, l1_ratio: float, alphas: Array, started: float
) -> Path:
    smooth = l1_ratio == 0 and not problem.has_bounds
    if smooth and settings.method == "auto" and len(alphas) >= _FEW:
        path = _fit_ridge(problem, settings, alphas)
        if path is not None:
            return path
    k, m, p = len(alphas), problem.n_responses, problem.design.n_features
    engine = Engine(problem, settings, l1_ratio, alphas, started)
    record = engine.new_record(k, sparse=p > _WIDE and l1_ratio > 0)
    engine.run_all(record, None)
    if p > _WIDE and l1_ratio > 0:
        points = [record.sparse[i, j] for i in range(k) for j in range(m)]
        active = np.unique(np.concatenate([columns for columns, _ in points])).astype(np.intp)
        coef = np.zeros((k * m, len(active)))
        for row, (columns, values) in zip(coef, points, strict=True):
            row[np.searchsorted(active, columns)] = values
    else:
        coef = record.coef.reshape(k * m, p)
        active = np.flatnonzero(coef.any(axis=0))
        coef = coef if len(active) == p else coef[:, active]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(record.duality_gap == 0, 0.0, record.duality_gap / record.null_objective)
    return Path(
        active=active,
        coef=coef,
        intercept=record.intercept,
        n_active=record.n_active.sum(axis=1),
        relative_gap=gap.max(axis=1),
        status=worst_status(record.status),
        n_passes=engine.n_passes - problem.n_reads,
    )


def _fit_ridge(problem: Problem, settings: Settings, alphas: Array) -> Path | None:
    """Return the whole grid from one decomposition, or None where the proof fails."""
    if not problem.movable.any() or not (problem.y_size > 0).all():
        return None
    spectrum = decompose(problem, float(alphas[-1]))
    if spectrum is None:
        return None
    k, m, p = len(alphas), problem.n_responses, problem.design.n_features
    columns = np.flatnonzero(problem.movable)
    root = np.sqrt(problem.weight)[:, None]
    coef, intercept, gap = np.empty((k, m, p)), np.empty((k, m)), np.empty((k, m))
    step = columns_at_once(problem.design.n_samples)
    for j in range(m):
        for first in range(0, k, step):
            part = slice(first, min(first + step, k))
            W = coefficients(problem, spectrum, alphas[part], problem.y[j])
            residual = problem.y[j][:, None] - product(problem, columns, W[columns])
            mean = problem.weight @ residual
            if problem.fit_intercept:
                residual -= mean
            residual *= root
            null = 0.5 * problem.y_size[j] ** 2
            gap[part, j] = gaps(problem, spectrum, alphas[part], W, residual) / null
            responses = np.full(W.shape[1], j)
            coef[part, j], intercept[part, j] = problem.outside_many(
                np.ascontiguousarray(W.T), mean, responses
            )
    if not (gap <= settings.tol).all():
        return None
    return Path(
        active=np.arange(p),
        coef=coef.reshape(k * m, p),
        intercept=intercept,
        n_active=np.count_nonzero(coef, axis=2).sum(axis=1).astype(np.float64),
        relative_gap=gap.max(axis=1),
        status=np.full(k, int(Outcome.CONVERGED)),
        n_passes=2 + len(range(0, k, step)) * m,
    )


class HeldOut:
    """The rows that a fold holds out."""

    def __init__(self, task: Task, rows: Rows) -> None:
        self.score_of, self.X, self.rows = task.score, task.X, rows
        self.y = task.y[rows]
        self.y.flags.writeable = False  # a score that is the user's sees it again and again
        self.offset = None if task.offset is None else task.offset[rows]
        self.weight = task.weight[rows] if task.weighted else None

    @cached_property
    def _whole_rows(self) -> Any:
        return self.X[self.rows]

    def columns(self, active: Rows) -> Any:
        """Return the held-out rows of some columns."""
        every = len(active) == self.X.shape[1]
        if is_sparse(self.X):
            return (self.X if every else self.X[:, active]).tocsr()[self.rows]
        if every or self.X.flags.c_contiguous:  # of which whole rows are read anyway
            return self._whole_rows if every else self._whole_rows[:, active]
        return self.X.T[active].take(self.rows, axis=1).T

    def score(self, path: Path) -> Array:
        """Return the score of every alpha."""
        Z = self.columns(path.active)
        k, m = path.intercept.shape
        step, scores = columns_at_once(len(self.rows) * m), np.empty(k)
        for first in range(0, k, step):
            part = slice(first, min(first + step, k))
            predicted = np.asarray(Z @ path.coef[first * m : part.stop * m].T)
            predicted += path.intercept[part].reshape(-1)
            if self.y.ndim == 2:
                predicted = predicted.reshape(len(self.rows), -1, m)
            if self.offset is not None:
                predicted += self.offset[:, None]
            scores[part] = self.score_of.of_columns(self.y, predicted, self.weight)
        return scores
