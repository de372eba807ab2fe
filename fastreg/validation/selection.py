"""Which point of the grid is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastreg.inputs import Array

RULES = ("min", "1se")


@dataclass(frozen=True)
class Curve:
    """What is known of every point of a grid over degree x l1_ratio x alpha.

    All arrays have shape (n_degrees, n_l1_ratios, n_alphas); alphas decrease along the last axis.
    """

    alphas: Array
    mean: Array  # of the score over the folds
    standard_error: Array
    n_active: Array  # nonzero coefficients, a mean over the folds
    greater_is_better: bool

    @cached_property
    def loss(self) -> Array:
        """The mean score, the smaller the better; points that were not scored are worst."""
        loss = -self.mean if self.greater_is_better else self.mean
        return np.where(np.isnan(loss), np.inf, loss)

    @cached_property
    def best(self) -> tuple[int, ...]:
        """The point with the best mean; of equal ones the first, which has the larger alpha."""
        place = _place(int(np.argmin(self.loss)), self.loss)
        if not np.isfinite(self.loss[place]) and not np.isfinite(self.loss).any():
            raise ValueError("no point of the grid has a finite score")
        return place


def best(curve: Curve) -> tuple[int, ...]:
    """Return the point with the best mean; of equal ones the first, which has the larger alpha."""
    return curve.best


def one_standard_error(curve: Curve) -> tuple[int, ...]:
    """Return the simplest point within one standard error of the best mean.

    Points are compared with mean(best) + standard_error(best). Of those within, the smallest degree
    is taken; in it, for each l1_ratio, the largest alpha; and of these points the one with the
    fewest nonzero coefficients (on average over the folds; of equal ones the one with the better
    mean). With one fold there is no standard error, and the best point is returned.
    """
    place = best(curve)
    margin = curve.standard_error[place]
    if not np.isfinite(margin):
        return place
    loss = curve.loss
    within = loss <= loss[place] + margin
    degree = int(np.flatnonzero(within.any(axis=(1, 2)))[0])
    candidates = [
        (float(curve.n_active[degree, ratio, alpha]), float(loss[degree, ratio, alpha]), ratio)
        for ratio, alpha in _first_of_each(within[degree])
    ]
    ratio = min(candidates)[2]
    return degree, ratio, int(np.argmax(within[degree, ratio]))


def _first_of_each(within: Any) -> list[tuple[int, int]]:
    rows = np.flatnonzero(within.any(axis=1)).tolist()
    return [(row, int(np.argmax(within[row]))) for row in rows]


def check_selection(selection: Any) -> None:
    """Refuse what is no rule."""
    if isinstance(selection, str):
        if selection not in RULES:
            raise ValueError(f"selection must be 'min', '1se' or a callable, got {selection!r}")
    elif not callable(selection):
        raise TypeError(f"selection must be 'min', '1se' or a callable, got {selection!r}")


def name_of(selection: str | Callable[[Curve], Any]) -> str:
    """Return what a result calls a rule."""
    if isinstance(selection, str):
        return selection
    return str(getattr(selection, "__name__", type(selection).__name__))


def select(curve: Curve, selection: str | Callable[[Curve], Any]) -> tuple[int, ...]:
    """Return the point that a rule chooses; a callable returns it as a flat or a full index."""
    if selection == "min":
        return best(curve)
    if selection == "1se":
        return one_standard_error(curve)
    assert callable(selection)
    shape = curve.mean.shape
    chosen = np.asarray(selection(curve))
    if chosen.dtype.kind not in "iu" or chosen.shape not in ((), (len(shape),)):
        raise TypeError("selection must return an index into the curve, an integer or a triple")
    flat = int(chosen) if chosen.ndim == 0 else _flat(chosen.tolist(), shape)
    if not 0 <= flat < curve.mean.size:
        raise ValueError(f"selection returned {chosen}, outside of the grid of shape {shape}")
    return _place(flat, curve.mean)


def _place(flat: int, array: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, array.shape))


def _flat(place: list[int], shape: tuple[int, ...]) -> int:
    inside = all(0 <= i < size for i, size in zip(place, shape, strict=True))
    return int(np.ravel_multi_index(place, shape)) if inside else -1
