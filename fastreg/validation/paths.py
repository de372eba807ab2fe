"""Scores of every fold over the grid, by a path on the rows that the fold trains on.

Every fold is fitted to the X of all, where the rows that it leaves out have weight zero: nothing of
X is copied, whatever its storage, but what is held out, for the predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.objective import Outcome
from fastreg.blocks import product
from fastreg.choice import Plan, decades
from fastreg.engine import Engine
from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem, prepare
from fastreg.settings import Settings
from fastreg.spectrum import coefficients, decompose, gaps
from fastreg.validation.folds import Folds, Rows
from fastreg.validation.scores import Score, columns_at_once

_WIDE = 1000  # features from which the coefficients of a path are kept sparse
_FEW = 4  # strengths below which factors are cheaper than eigenvalues


@dataclass(frozen=True)
class Task:
    """What all folds have in common."""

    X: Any  # as `as_matrix` returns it
    y: Array  # (n,) or (n, m)
    offset: Array | None  # of the shape of y
    weight: Array
    weighted: bool  # whether the user gave weights
    model: dict[str, Any]  # further arguments of `prepare`
    l1_ratios: Array
    alphas: Array  # n_l1_ratios x n_alphas, decreasing along rows
    score: Score
    settings: Settings
    started: float

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


def score_folds(task: Task, folds: Folds) -> Scored:
    """Return the scores of all folds; they run in threads of their own, if there are several."""
    n_threads = min(task.settings.n_threads, len(folds))
    settings = replace(task.settings, n_threads=1) if n_threads > 1 else task.settings
    numbers = range(len(folds))

    def run(k: int) -> Scored:
        return _score_fold(task, folds, k, settings)

    each: list[Scored] = in_threads(run, numbers, n_threads)
    return Scored(
        scores=np.stack([one.scores for one in each], axis=-1),
        n_active=np.stack([one.n_active for one in each], axis=-1),
        relative_gap=np.stack([one.relative_gap for one in each], axis=-1),
        status=np.stack([one.status for one in each], axis=-1),
        n_passes=sum(one.n_passes for one in each),
    )


def in_threads(function: Callable[[int], Any], numbers: range, n_threads: int) -> list[Any]:
    """Return the function of all numbers, in their order."""
    if n_threads == 1:
        return [function(k) for k in numbers]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, numbers))


def _score_fold(task: Task, folds: Folds, k: int, settings: Settings) -> Scored:
    problem = prepare(
        task.X,
        task.y,
        offset=task.offset,
        sample_weight=folds.training_weight(k, task.weight),
        plan=task.plan(settings),
        **task.model,
    )
    held = _HeldOut(task, folds.test[k])
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
class _Path:
    """Coefficients of the features that move at all, of every alpha (and response)."""

    active: Rows
    coef: Array  # n_alphas * n_responses x n_active
    intercept: Array  # n_alphas x n_responses
    n_active: Array
    relative_gap: Array
    status: npt.NDArray[np.int64]
    n_passes: int


def _fit(
    problem: Problem, settings: Settings, l1_ratio: float, alphas: Array, started: float
) -> _Path:
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
    return _Path(
        active=active,
        coef=coef,
        intercept=record.intercept,
        n_active=record.n_active.sum(axis=1),
        relative_gap=gap.max(axis=1),
        status=_worst(record.status),
        n_passes=engine.n_passes - problem.n_reads,
    )


def _worst(status: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the worst status over the responses."""
    low = status.min(axis=1)
    return np.asarray(np.where(low < 0, low, status.max(axis=1)))


def _fit_ridge(problem: Problem, settings: Settings, alphas: Array) -> _Path | None:
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
    return _Path(
        active=np.arange(p),
        coef=coef.reshape(k * m, p),
        intercept=intercept,
        n_active=np.count_nonzero(coef, axis=2).sum(axis=1).astype(np.float64),
        relative_gap=gap.max(axis=1),
        status=np.full(k, int(Outcome.CONVERGED)),
        n_passes=2 + len(range(0, k, step)) * m,
    )


class _HeldOut:
    """The rows that a fold holds out."""

    def __init__(self, task: Task, rows: Rows) -> None:
        self.score_of, self.X, self.rows = task.score, task.X, rows
        self.y = task.y[rows]
        self.offset = None if task.offset is None else task.offset[rows]
        self.weight = task.weight[rows] if task.weighted else None
        self.X_rows: Any = None
        if not is_sparse(self.X) and self.X.flags.c_contiguous:  # whole rows are read anyway
            self.X_rows = self.X.take(rows, axis=0)

    def columns(self, active: Rows) -> Any:
        """Return the held-out rows of some columns."""
        every = len(active) == self.X.shape[1]
        if self.X_rows is not None:
            return self.X_rows if every else self.X_rows[:, active]
        if is_sparse(self.X):
            return (self.X if every else self.X[:, active]).tocsr()[self.rows]
        if every:
            self.X_rows = self.X[self.rows]
            return self.X_rows
        return self.X.T[active].take(self.rows, axis=1).T

    def score(self, path: _Path) -> Array:
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
