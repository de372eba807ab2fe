"""The points of a finished path seen again beside its data: supports and residuals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.blocks import product
from fastreg.inputs import Array, as_matrix_of, known_model
from fastreg.problem import Problem, prepare
from fastreg.result import PathResult

Columns = npt.NDArray[np.intp]

_ALIKE = 1e-6  # difference of objectives, over the null objective, that rounding may make
_BLOCK = 1 << 22  # entries of residuals at a time


@dataclass(frozen=True)
class Fitted:
    """A path, the problem that it solves, and the mean squared residuals of its points."""

    path: PathResult
    matrix: Any
    problem: Problem
    points: list[list[tuple[Columns, Array]]]  # [response][alpha]: nonzero coefficients
    mean_squared_error: Array  # n_alphas x n_responses

    @property
    def l2(self) -> Array:
        """What multiplies w_j^2 / 2 at alpha = 1, on the input scale."""
        return np.asarray(self.problem.l1_unit * self.problem.unit * (1.0 - self.path.l1_ratio))

    def free(self, response: int, index: int) -> Columns:
        """Return the features that the L1 penalty leaves free to move: nonzero or unpenalised."""
        problem = self.problem
        no_l1 = self.path.alphas[index] * self.path.l1_ratio == 0
        free = np.asarray(problem.movable & (no_l1 | (problem.l1_unit == 0)))
        free[self.points[response][index][0]] = True
        return np.flatnonzero(free & problem.movable)

    def within(self, response: int, index: int) -> Columns:
        """Return the free features that no bound holds."""
        columns = self.free(response, index)
        if not self.problem.has_bounds:
            return columns
        value = np.zeros(self.problem.design.n_features)
        nonzero, values = self.points[response][index]
        value[nonzero] = values
        held = (value == self.problem.lower) | (value == self.problem.upper)
        return np.asarray(columns[~held[columns]])


def look_again(path: Any, X: Any, y: Any, model: dict[str, Any]) -> Fitted:
    """Return the path beside its data, or refuse data that are not those it was computed from."""
    if not isinstance(path, PathResult):
        raise TypeError(f"path must be a fastreg.PathResult, got {type(path).__name__}")
    matrix = as_matrix_of(X, path.n_features, path.feature_names)
    problem = prepare(matrix, y, **known_model(model))
    if (np.ndim(path.intercept) == 2) != problem.many or (
        problem.many and np.shape(path.intercept)[1] != problem.n_responses
    ):
        raise ValueError(f"path was not computed from a y of shape {np.shape(y)}")
    points = [_points(path, k) for k in range(problem.n_responses)]
    square = np.stack([_square(problem, points[k], k) for k in range(len(points))], axis=1)
    fitted = Fitted(path, matrix, problem, points, square)
    _compare(fitted)
    return fitted


def _points(path: PathResult, response: int) -> list[tuple[Columns, Array]]:
    coef = path.coef
    if isinstance(coef, np.ndarray):
        rows = coef if coef.ndim == 2 else coef[:, response]
        return [(np.flatnonzero(row), row[row != 0]) for row in rows]
    matrix = coef[response] if isinstance(coef, tuple) else coef
    starts = matrix.indptr
    return [
        (matrix.indices[low:high].astype(np.intp), matrix.data[low:high])
        for low, high in pairwise(starts)
    ]


def union(supports: list[Columns]) -> Columns:
    """Return the columns that occur in any support."""
    empty: Columns = np.zeros(0, dtype=np.intp)
    return np.unique(np.concatenate([empty, *supports]))


def _square(problem: Problem, points: list[tuple[Columns, Array]], response: int) -> Array:
    """Return the weighted mean squared residual of every point, in the unit of y squared."""
    columns = union([nonzero for nonzero, _ in points])
    y, scale = problem.y[response], problem.y_scale[response]
    unit = problem.design.scale[columns] * scale
    squares = np.empty(len(points))
    step = max(1, _BLOCK // len(y))
    for first in range(0, len(points), step):
        some = points[first : first + step]
        W = np.zeros((len(columns), len(some)))
        for i, (nonzero, values) in enumerate(some):
            at = np.searchsorted(columns, nonzero)
            W[at, i] = values / unit[at]
        residual = y[:, None] - product(problem, columns, W)
        if problem.fit_intercept:
            residual -= problem.weight @ residual
        squares[first : first + step] = problem.weight @ (residual * residual)
    return np.asarray(squares * scale * scale)


def _compare(fitted: Fitted) -> None:
    """Raise ValueError if the objectives are not those that the path reports."""
    path, problem = fitted.path, fitted.problem
    claimed = np.reshape(path.objective, fitted.mean_squared_error.shape)
    null = np.reshape(path.null_objective, claimed.shape)
    l1 = problem.l1_unit * path.l1_ratio
    for k, points in enumerate(fitted.points):
        for i, (columns, w) in enumerate(points):
            size = l1[columns] @ np.abs(w) + 0.5 * fitted.l2[columns] @ (w * w)
            objective = 0.5 * fitted.mean_squared_error[i, k] + path.alphas[i] * size
            excluded = bool(problem.excluded[columns].any())
            if excluded or not abs(objective - claimed[i, k]) <= _ALIKE * null[i, k]:
                raise ValueError(
                    "path was not computed from these X, y and model arguments: at alpha="
                    f"{path.alphas[i]:.6g} its objective is {claimed[i, k]:.10g}, and that of its "
                    f"coefficients on these data {objective:.10g}"
                )
