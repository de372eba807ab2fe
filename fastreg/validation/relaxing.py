"""Scores of every fold over blends of a path with least squares on its supports.

A fold is relaxed on the rows that it trains on, so nothing of what it holds out is seen: neither by
the path nor by the least-squares fits.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np

from fastreg.api import solve_path
from fastreg.inputs import Array, as_strength
from fastreg.relaxed import RelaxedPath, relax
from fastreg.result import PathResult
from fastreg.settings import Settings
from fastreg.validation.folds import Folds
from fastreg.validation.paths import HeldOut, Path, PathScorer, Scored, Task, stack_folds


def as_blends(relax: Any) -> Array | None:
    """Return the blends of a grid, or None where there are none."""
    if relax is None:
        return None
    if np.ndim(relax) == 0:
        return np.array([as_strength("relax", relax, high=1.0)])
    if np.ndim(relax) != 1 or len(relax) == 0:
        raise ValueError("relax must be a number or a sequence of at least one number")
    return np.array([as_strength("relax", blend, high=1.0) for blend in relax])


class RelaxedScorer(PathScorer):
    """Scores folds whose paths are blended with least squares; l1_ratio by l1_ratio."""

    def __init__(self, task: Task, folds: Folds, blends: Array) -> None:
        super().__init__(task, folds)
        self.blends = blends

    def score(self, alphas: Array) -> Scored:
        """Return the scores of all folds, (n_l1_ratios * n_blends, n_alphas, n_folds)."""
        task = replace(self.task, alphas=alphas)
        return stack_folds(
            lambda k, settings: _score_fold(task, self.folds, k, settings, self.blends),
            len(self.folds),
            task.settings,
        )

    def relax(self, path: PathResult) -> RelaxedPath:
        """Return the path over all rows with its least-squares fits."""
        task = self.task
        weight = task.weight if task.weighted else None
        self.n_passes += 1
        return relax(
            path,
            task.X,
            task.y,
            settings=_in_time(task, task.settings),
            sample_weight=weight,
            offset=task.offset,
            **task.model,
        )


def _in_time(task: Task, settings: Settings) -> Settings:
    """Return the settings with what is left of the time."""
    left = task.started + settings.time_limit - monotonic()
    return replace(settings, time_limit=max(left, 1e-3))


def _score_fold(task: Task, folds: Folds, k: int, settings: Settings, blends: Array) -> Scored:
    weight = folds.training_weight(k, task.weight)
    data: dict[str, Any] = {"sample_weight": weight, "offset": task.offset, **task.model}
    held = HeldOut(task, folds.test[k])
    shape = len(task.l1_ratios), len(blends), task.alphas.shape[1]
    scores, n_active, gap = np.empty(shape), np.empty(shape), np.empty(shape)
    status, n_passes = np.empty(shape, dtype=np.int64), 0
    for i, l1_ratio in enumerate(task.l1_ratios.tolist()):
        options = {"settings": _in_time(task, settings), **data}
        path = solve_path(task.X, task.y, alphas=task.alphas[i], l1_ratio=l1_ratio, **options)
        relaxed = relax(path, task.X, task.y, **options)
        for j, blend in enumerate(blends.tolist()):
            scores[i, j] = held.score(_blended(relaxed, blend))
        n_active[i] = path.n_active if path.n_active.ndim == 1 else path.n_active.sum(axis=1)
        gap[i], status[i] = _quality(relaxed, only_path=bool((blends == 1.0).all()))
        n_passes += path.n_passes + 1
    flat = shape[0] * shape[1], shape[2]
    return Scored(
        scores.reshape(flat), n_active.reshape(flat), gap.reshape(flat), status.reshape(flat),
        n_passes,
    )  # fmt: skip


def _blended(relaxed: RelaxedPath, blend: float) -> Path:
    """Return the coefficients of a blend as those of a path."""
    path = relaxed.path
    coef = relaxed.coef(blend).reshape(-1, path.n_features)
    active = np.flatnonzero(coef.any(axis=0))
    intercept = relaxed.intercept(blend)
    return Path(
        active=active,
        coef=coef[:, active],
        intercept=intercept.reshape(len(intercept), -1),
        n_active=path.n_active,
        relative_gap=path.relative_gap,
        status=path.status,
        n_passes=0,
    )


def _quality(relaxed: RelaxedPath, *, only_path: bool) -> tuple[Array, Any]:
    """Return relative gap and status of every alpha, the worse one of both fits."""
    path = relaxed.path
    gap, status = path.relative_gap, path.status
    if not only_path:
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(relaxed.duality_gap == 0, 0.0, relaxed.duality_gap / path.null_objective)
        least = relaxed.status if relaxed.status.ndim == 1 else relaxed.status.min(axis=1)
        gap, status = np.maximum(gap, own), np.where(least <= 0, least, status)
    return (gap if gap.ndim == 1 else gap.max(axis=1)), status
