"""The verbs of a design on several vectors at once, weighted by the roots of the sample weights.

With Z the standardised columns and s the weights these work on  diag(sqrt(s)) Z,  for the closed
forms of ridge regression. Apart from `fastreg.problem` this is the only module that reads X.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem

_BLOCK = 1 << 20  # entries of X standardised at a time


def standardised(problem: Problem, columns: npt.NDArray[Any]) -> Array:
    """Return sqrt(weight_i) z_ij of the given columns, dense."""
    design = problem.design
    block = problem.X[:, columns]
    block = np.asarray(block.toarray() if is_sparse(block) else block, dtype=np.float64)
    block = (block - design.shift[columns]) * design.scale[columns]
    return np.asarray(block * np.sqrt(problem.weight)[:, None])


def exact_matrix(
    problem: Problem, columns: npt.NDArray[np.int32], matrix: Array
) -> npt.NDArray[np.longdouble]:
    """Return what `matrix` was rounded from, in extended precision."""
    design = problem.design
    weight = problem.weight.astype(np.longdouble)
    block = problem.X[:, columns].astype(np.longdouble)
    if problem.fit_intercept:
        block = block - design.shift[columns]
        block = block - (weight @ block) / weight.sum()
    wide = matrix.astype(np.longdouble)
    wide[: len(weight)] = block * design.scale[columns] * np.sqrt(weight)[:, None]
    return wide


def row_gram(problem: Problem, factor: Array) -> Array:
    """Return the n x n matrix  sum_j factor_j z_ij z_kj  (times the roots of the weights)."""
    n = problem.design.n_samples
    root = np.sqrt(problem.weight)
    design = problem.design
    if not is_sparse(problem.X):
        kernel = np.zeros((n, n))
        for columns in _column_blocks(problem):
            block = np.asarray(problem.X[:, columns], dtype=np.float64) - design.shift[columns]
            block *= design.scale[columns] * np.sqrt(factor[columns])
            block *= root[:, None]
            kernel += block @ block.T
        return kernel
    unit = design.scale * np.sqrt(factor)
    # A column without a zero may have a large mean, which must be taken off entry by entry.
    full = np.diff(problem.X.indptr) == n
    scaled = problem.X.copy()
    scaled.data = scaled.data * np.repeat(np.where(full, 0.0, unit), np.diff(scaled.indptr))
    center = np.where(full, 0.0, design.shift * unit)
    cross = np.asarray(scaled @ center)
    kernel = np.asarray((scaled @ scaled.T).toarray())
    kernel += float(center @ center) - cross[:, None] - cross[None, :]
    for first in range(0, int(full.sum()), max(1, _BLOCK // n)):
        part = np.flatnonzero(full)[first : first + max(1, _BLOCK // n)]
        block = (problem.X[:, part].toarray() - design.shift[part]) * unit[part]
        kernel += block @ block.T
    return np.asarray(kernel * root[:, None] * root[None, :])


def _row_blocks(
    problem: Problem, columns: npt.NDArray[np.integer]
) -> Iterator[tuple[slice, Array]]:
    """Yield standardised blocks of rows of dense X."""
    design = problem.design
    n = design.n_samples
    step = max(1, _BLOCK // max(len(columns), 1))
    everything = len(columns) == design.n_features
    for first in range(0, n, step):
        rows = slice(first, min(first + step, n))
        block = problem.X[rows] if everything else problem.X[rows][:, columns]
        block = (np.asarray(block, dtype=np.float64) - design.shift[columns]) * design.scale[
            columns
        ]
        yield rows, block


def product(problem: Problem, columns: npt.NDArray[np.integer], M: Array) -> Array:
    """Return Z[:, columns] @ M."""
    if is_sparse(problem.X):
        scaled = problem.design.scale[columns][:, None] * M
        return np.asarray(problem.X[:, columns] @ scaled - problem.design.shift[columns] @ scaled)
    out = np.empty((problem.design.n_samples, M.shape[1]))
    for rows, block in _row_blocks(problem, columns):
        out[rows] = block @ M
    return out


def times(problem: Problem, columns: npt.NDArray[np.integer], M: Array) -> Array:
    """Return diag(sqrt(weight)) Z[:, columns] @ M."""
    return np.asarray(np.sqrt(problem.weight)[:, None] * product(problem, columns, M))


def times_transposed(problem: Problem, columns: npt.NDArray[np.integer], M: Array) -> Array:
    """Return Z[:, columns]' diag(sqrt(weight)) @ M."""
    weighted = np.sqrt(problem.weight)[:, None] * M
    scale, shift = problem.design.scale[columns][:, None], problem.design.shift[columns]
    if is_sparse(problem.X):
        raw = np.asarray(problem.X[:, columns].T @ weighted)
        return np.asarray(scale * (raw - np.outer(shift, weighted.sum(axis=0))))
    out = np.zeros((len(columns), M.shape[1]))
    for rows, block in _row_blocks(problem, columns):
        out += block.T @ weighted[rows]
    return out


def _column_blocks(problem: Problem) -> Iterator[slice]:
    """Yield slices of columns of a bounded number of entries."""
    step = max(1, _BLOCK // problem.design.n_samples)
    for first in range(0, problem.design.n_features, step):
        yield slice(first, min(first + step, problem.design.n_features))
