"""Scores of every fold from moments: one read of X for all folds, alphas and l1_ratios.

The moments of a training set are sums of those of the other folds. Squared errors of held-out rows
follow from the moments of these rows wherever rounding allows; other scores, and the rest, are
those of predictions. Where rounding of the moments would leave a fit above its tolerance, the fold
is fitted to X.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from time import monotonic
from typing import Any

import numpy as np

from fastreg._core.fold_path import FoldPath
from fastreg.costs import sparse
from fastreg.fold_moments import first_columns, fold_moments, heldout_error, training_moments
from fastreg.inputs import Array
from fastreg.moment_model import MomentModel
from fastreg.moments import Moments
from fastreg.problem import check_flags, check_penalty
from fastreg.result import PathResult, Result, Status
from fastreg.settings import Settings
from fastreg.validation.folds import Folds
from fastreg.validation.paths import (
    HeldOut,
    Path,
    PathScorer,
    Scored,
    Search,
    Task,
    grids,
    score_fold,
    stack_folds,
)
from fastreg.validation.scores import is_squared_error


def takes_moments(task: Task, folds: Folds) -> bool:
    """Whether one Gram matrix of each fold is cheaper than paths that read X."""
    if folds.assignment is None or task.settings.method != "auto":
        return False
    n, p = task.X.shape
    room = 8.0 * (2 * len(folds) + 2) * float(p) ** 2 <= task.settings.gram_memory
    plan = task.plan(task.settings)
    return room and n > p and plan.method(n, p, sparse(task.X)) in ("gram", "cholesky")


@dataclass(frozen=True)
class NestedFolds(Folds):
    """Folds for designs that are the first columns of one: its moments are those of all of them."""

    design: Any
    widest: list[Moments] = field(default_factory=list)  # of `design`, once somebody has asked

    @classmethod
    def of(cls, folds: Folds, design: Any) -> NestedFolds:
        """Return the same folds for the first columns of a design."""
        return cls(folds.n_samples, folds.test, folds.train, folds.assignment, design)

    def moments(self, task: Task) -> tuple[list[Moments], int]:
        """Return those of a task on the first columns, and how often the design was read."""
        n_reads = 0
        if not self.widest:
            of_all = replace(task, X=self.design)
            if not takes_moments(of_all, self):
                return moments_of(task, self), 1
            self.widest.extend(moments_of(of_all, self))
            n_reads = 1
        return [first_columns(part, task.X.shape[1]) for part in self.widest], n_reads


def moments_of(task: Task, folds: Folds) -> list[Moments]:
    """Return the moments of each fold, from one read of the rows of a task."""
    assert folds.assignment is not None
    return fold_moments(
        task.X,
        task.y if task.offset is None else task.y - task.offset,
        task.weight if task.weighted else None,
        folds.assignment,
        len(folds),
        task.settings.n_threads,
    )


class MomentScorer:
    """Scores folds, makes grids and fits all rows, from moments of the folds.

    `paths` takes over where their rounding is too large, if there are rows.
    """

    method = "moments"

    def __init__(
        self,
        search: Search,
        parts: list[Moments],
        paths: PathScorer | None = None,
        n_reads: int = 0,
    ) -> None:
        self.search, self.parts, self.paths, self._n_reads = search, parts, paths, n_reads

    @classmethod
    def of(cls, task: Task, folds: Folds) -> MomentScorer:
        """Return the scorer for rows, which are read once."""
        if isinstance(folds, NestedFolds):
            parts, n_reads = folds.moments(task)
        else:
            parts, n_reads = moments_of(task, folds), 1
        return cls(task, parts, PathScorer(task, folds), n_reads)

    @cached_property
    def _model(self) -> MomentModel:
        """That of all rows."""
        return reduce(Moments.merge, self.parts, Moments())._model(**self.search.model)

    @property
    def n_passes(self) -> int:
        """Reads of X so far, but for the folds that were fitted to X."""
        return self._n_reads + (0 if self.paths is None else self.paths.n_passes)

    def grid(self, n_alphas: int, eps: float) -> Array:
        """Return a grid for each l1_ratio."""
        return grids(lambda ratio: self._model.grid(ratio, n_alphas, eps), self.search.l1_ratios)

    def score(self, alphas: Array) -> Scored:
        """Return the scores of all folds."""
        training = training_moments(self.parts)
        search = replace(self.search, alphas=alphas)
        paths = self.paths
        if paths is not None:
            paths = PathScorer(replace(paths.task, alphas=alphas), paths.folds)
        plain = self._plain_paths(search)

        def run(k: int, settings: Settings) -> Scored:
            found = None
            if plain is not None:
                found = plain.score(training[k], self.parts[k])
            if found is None:
                found = self._score(replace(search, settings=settings), k, training[k], paths)
            if found is None:
                assert paths is not None
                return score_fold(paths.task, paths.folds, k, settings)
            return found

        return stack_folds(run, len(self.parts), search.settings)

    def _plain_paths(self, search: Search) -> PlainPaths | None:
        """Return the short way, if it may be gone."""
        first, model = self.parts[0], search.model
        flags = (model["fit_intercept"], model["positive"], model["standardize"])
        check_flags(*flags)
        factor, lower, upper, excluded = check_penalty(
            first.n_features, model["penalty_factor"], model["lower"], model["upper"], flags[1]
        )
        free = not (excluded.any() or np.isfinite(lower).any() or np.isfinite(upper).any())
        one = first.n_responses == 1 and not first._many
        if not (free and one and flags[0] and is_squared_error(search.score)):
            return None
        if search.settings.method != "auto" or not (search.l1_ratios > 0).all():
            return None
        return PlainPaths(search, factor, bool(flags[2]))

    def path(self, l1_ratio: float, alphas: Array) -> PathResult:
        """Return the fits to all rows over a grid."""
        search = self.search
        path = self._model.path(alphas, l1_ratio, search.settings, monotonic())
        return path if path.converged or self.paths is None else self.paths.path(l1_ratio, alphas)

    def solve(self, l1_ratio: float, alpha: float) -> Result:
        """Return the fit to all rows at one strength."""
        search = self.search
        result = self._model.solve(alpha, l1_ratio, search.settings, monotonic())
        if result.converged or self.paths is None:
            return result
        return self.paths.solve(l1_ratio, alpha)

    def _score(
        self, search: Search, k: int, training: Moments, paths: PathScorer | None
    ) -> Scored | None:
        """Return the scores of one fold; None where rows must be asked."""
        shape = search.alphas.shape
        scores, n_active, gap = np.empty(shape), np.empty(shape), np.empty(shape)
        status = np.empty(shape, dtype=np.int64)
        rows = None if paths is None else HeldOut(paths.task, paths.folds.test[k])
        for i, l1_ratio in enumerate(search.l1_ratios.tolist()):
            path = training.path(
                alphas=search.alphas[i],
                l1_ratio=l1_ratio,
                settings=search.settings,
                **search.model,
            )
            if rows is not None and (path.status == Status.STALLED).any():
                return None
            many = np.ndim(path.intercept) == 2
            scores[i] = _scores(search, path, self.parts[k], rows)
            n_active[i] = path.n_active.sum(axis=1) if many else path.n_active
            gap[i] = path.relative_gap.max(axis=1) if many else path.relative_gap
            status[i] = path.status
        return Scored(scores, n_active, gap, status, 0)


class PlainPaths:
    """Folds of a lasso or an elastic net without bounds, scored by their squared errors."""

    def __init__(self, search: Search, factor: Array, standardize: bool) -> None:
        self.search, self._standardize = search, standardize
        self._factor = np.ascontiguousarray(factor)
        ratios = search.l1_ratios[:, None]
        self._l1, self._l2 = search.alphas * ratios, search.alphas * (1.0 - ratios)
        self._status = np.full(search.alphas.shape, int(Status.CONVERGED))
        self._idle: list[FoldPath] = []  # pop and append are atomic: folds may run in threads

    def score(self, training: Moments, held: Moments) -> Scored | None:
        """Return the scores of one fold; None where something is open to doubt."""
        if training.weight_sum == 0.0 or held.weight_sum == 0.0:
            return None
        search, settings = self.search, self.search.settings
        try:
            path = self._idle.pop()
        except IndexError:
            path = FoldPath(self._factor, self._standardize)
        n_ratios, n_alphas = search.alphas.shape
        out = np.empty((n_ratios, 3, n_alphas))
        done = all(
            path.run(
                training._state,
                held._state,
                l1,
                l2,
                found,
                tol=settings.tol,
                max_sweeps=settings.max_sweeps,
                deadline=search.started + settings.time_limit,
            )
            for l1, l2, found in zip(self._l1, self._l2, out, strict=True)
        )
        self._idle.append(path)
        if not done:
            return None
        return Scored(np.maximum(out[:, 0], 0.0), out[:, 1], out[:, 2], self._status, 0)


def _scores(search: Search, path: PathResult, held: Moments, rows: HeldOut | None) -> Array:
    """Return the score of every alpha, from moments where these are accurate or all there is."""
    if not is_squared_error(search.score):
        assert rows is not None
        return rows.score(Path.of(path))
    error, certain = heldout_error(held, path.coef, path.intercept)
    if error.ndim == 2:
        error, certain = error.mean(axis=1), np.asarray(certain.all(axis=1))
    if rows is not None and not certain.all():
        doubtful = np.flatnonzero(~certain)
        error[doubtful] = rows.score(Path.of(path, doubtful))
    return np.asarray(np.maximum(error, 0.0))
