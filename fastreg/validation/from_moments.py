"""Scores of every fold from moments: one read of X for all folds, alphas and l1_ratios.

The moments of a training set are sums of those of the other folds. Squared errors of held-out rows
follow from the moments of these rows wherever rounding allows; other scores, and the rest, are
those of predictions. Where rounding of the moments would leave a fit above its tolerance, the fold
is fitted to X.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, reduce

import numpy as np

from fastreg.choice import sparse
from fastreg.fold_moments import fold_moments, heldout_error, training_moments
from fastreg.inputs import Array
from fastreg.moments import Moments
from fastreg.result import PathResult, Result, Status
from fastreg.settings import Settings
from fastreg.validation.folds import Folds
from fastreg.validation.paths import (
    HeldOut,
    Path,
    PathScorer,
    Scored,
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


class MomentScorer:
    """Scores folds, makes grids and fits all rows, without reading X again."""

    method = "moments"

    def __init__(self, task: Task, folds: Folds) -> None:
        assert folds.assignment is not None
        self.task, self.folds = task, folds
        self.y = task.y if task.offset is None else task.y - task.offset
        self.parts = fold_moments(
            task.X,
            self.y,
            task.weight if task.weighted else None,
            folds.assignment,
            len(folds),
            task.settings.n_threads,
        )

    @cached_property
    def _whole(self) -> Moments:
        return reduce(Moments.merge, self.parts, Moments())

    @cached_property
    def _by_paths(self) -> PathScorer:
        """What takes over where rounding of the moments is too large."""
        return PathScorer(self.task, self.folds)

    @property
    def n_passes(self) -> int:
        """Reads of X so far, but for the folds that were fitted to X."""
        return 1 + (self._by_paths.n_passes if "_by_paths" in self.__dict__ else 0)

    def grid(self, n_alphas: int, eps: float) -> Array:
        """Return a grid for each l1_ratio."""
        return grids(
            lambda ratio: self._whole.alpha_grid(
                n_alphas=n_alphas, eps=eps, l1_ratio=ratio, **self.task.model
            ),
            self.task.l1_ratios,
        )

    def score(self, alphas: Array) -> Scored:
        """Return the scores of all folds."""
        task = replace(self.task, alphas=alphas)
        training = training_moments(self.parts)

        def run(k: int, settings: Settings) -> Scored:
            return _score(task, self.folds, k, self.parts[k], training[k], settings)

        return stack_folds(run, len(self.folds), task.settings)

    def path(self, l1_ratio: float, alphas: Array) -> PathResult:
        """Return the fits to all rows over a grid."""
        path = self._whole.path(
            alphas=alphas, l1_ratio=l1_ratio, settings=self.task.settings, **self.task.model
        )
        return path if path.converged else self._by_paths.path(l1_ratio, alphas)

    def solve(self, l1_ratio: float, alpha: float) -> Result:
        """Return the fit to all rows at one strength."""
        result = self._whole.solve(
            alpha, l1_ratio=l1_ratio, settings=self.task.settings, **self.task.model
        )
        return result if result.converged else self._by_paths.solve(l1_ratio, alpha)


def _score(
    task: Task, folds: Folds, k: int, held: Moments, training: Moments, settings: Settings
) -> Scored:
    """Return the scores of one fold."""
    shape = task.alphas.shape
    scores, n_active, gap = np.empty(shape), np.empty(shape), np.empty(shape)
    status = np.empty(shape, dtype=np.int64)
    rows = HeldOut(task, folds.test[k])
    for i, l1_ratio in enumerate(task.l1_ratios.tolist()):
        path = training.path(
            alphas=task.alphas[i], l1_ratio=l1_ratio, settings=settings, **task.model
        )
        if (path.status == Status.STALLED).any():
            return score_fold(task, folds, k, settings)
        many = np.ndim(path.intercept) == 2
        scores[i] = _scores(task, path, held, rows)
        n_active[i] = path.n_active.sum(axis=1) if many else path.n_active
        gap[i] = path.relative_gap.max(axis=1) if many else path.relative_gap
        status[i] = path.status
    return Scored(scores, n_active, gap, status, 0)


def _scores(task: Task, path: PathResult, held: Moments, rows: HeldOut) -> Array:
    """Return the score of every alpha, from moments where these are accurate."""
    if not is_squared_error(task.score):
        return rows.score(Path.of(path))
    error, certain = heldout_error(held, path.coef, path.intercept)
    if error.ndim == 2:
        error, certain = error.mean(axis=1), np.asarray(certain.all(axis=1))
    if not certain.all():
        doubtful = np.flatnonzero(~certain)
        error[doubtful] = rows.score(Path.of(path, doubtful))
    return np.asarray(error)
