"""The verbs of a design on several vectors at once, weighted by the roots of the sample weights.

With Z the standardised columns and s the weights these work on  diag(sqrt(s)) Z,  for the closed
forms of ridge regression. Apart from `fastreg.problem` this is the only module that reads X.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastreg._core.compressed import row_products
from fastreg.inputs import Array, is_sparse
from fastreg.problem import Problem

_BLOCK = 1 << 20  # entries of X standardised at a time
_CACHED = 1 << 17  # the same where they are used again at once
_COLUMNS = 512  # of a block of a Gram matrix of rows, which is added up for each
_ROWS = 256  # that make a matrix product worth its call
_NEAR = 1.0  # mean of a column, in units of its deviation, that costs no digit if taken off late
_FEW = 4  # vectors that are met one after the other, without a copy of X


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


def row_gram(problem: Problem, factor: Array, in_float: bool = False) -> Array:
    """Return the n x n matrix  sum_j factor_j z_ij z_kj  (times the roots of the weights).

    In float where `in_float` says so and X is dense.
    """
    n = problem.design.n_samples
    root = np.sqrt(problem.weight)
    design = problem.design
    if not is_sparse(problem.X):
        dtype = np.float32 if in_float else np.float64
        syrk = linalg.blas.ssyrk if in_float else linalg.blas.dsyrk
        kernel = np.zeros((n, n), order="F", dtype=dtype)
        unit = design.scale * np.sqrt(factor)
        step = min(design.n_features, max(_COLUMNS, _CACHED // n))
        memory = np.empty(n * step, dtype=dtype)
        for first in range(0, design.n_features, step):
            columns = slice(first, min(first + step, design.n_features))
            block = memory[: n * (columns.stop - first)].reshape(n, -1)  # without gaps for BLAS
            np.subtract(
                problem.X[:, columns], design.shift[columns], out=block, casting="same_kind"
            )
            np.multiply(block, unit[columns], out=block, casting="same_kind")
            kernel = syrk(1.0, block.T, 1.0, kernel, 1, 1, overwrite_c=True)
        kernel += np.tril(kernel, -1).T
        root = root.astype(dtype)
        return np.asarray(kernel * root[:, None] * root)
    unit = design.scale * np.sqrt(factor)
    # A column without a zero may have a large mean, which must be taken off entry by entry.
    full = np.diff(problem.X.indptr) == n
    center = np.where(full, 0.0, design.shift * unit)
    cross = np.asarray(problem.X @ (center * unit))
    kernel = np.zeros((n, n))
    start, rows = (np.asarray(a, dtype=np.int32) for a in (problem.X.indptr, problem.X.indices))
    row_products(start, rows, problem.X.data, np.where(full, 0.0, unit * unit), kernel)
    kernel += np.tril(kernel, -1).T
    kernel += float(center @ center) - cross[:, None] - cross[None, :]
    for first in range(0, int(full.sum()), max(1, _BLOCK // n)):
        part = np.flatnonzero(full)[first : first + max(1, _BLOCK // n)]
        block = (problem.X[:, part].toarray() - design.shift[part]) * unit[part]
        kernel += block @ block.T
    return np.asarray(kernel * root[:, None] * root[None, :])


class RowBlock:
    """A few rows of the standardised columns, without the weights; dense, sparse, or still raw."""

    def __init__(self, raw: Any, shift: Array | None = None, scale: Array | None = None) -> None:
        self._raw, self._shift, self._scale = raw, shift, scale

    def times(self, M: Array) -> Array:
        """Return the rows times M."""
        if self._shift is None or self._scale is None:
            return np.asarray(self._raw @ M)
        scaled = self._scale[:, None] * M
        return np.asarray(self._raw @ scaled - self._shift @ scaled)

    def transposed_times(self, M: Array) -> Array:
        """Return the transposed rows times M."""
        raw = np.asarray(self._raw.T @ M)
        if self._shift is None or self._scale is None:
            return raw
        return np.asarray(self._scale[:, None] * (raw - np.outer(self._shift, M.sum(axis=0))))


def row_blocks(
    problem: Problem, columns: npt.NDArray[np.integer]
) -> Iterator[tuple[slice, RowBlock]]:
    """Yield slices of rows and their blocks, each of which is gone with the next one."""
    design = problem.design
    n, p = design.n_samples, max(len(columns), 1)
    step = min(n, max(1, _CACHED // p, min(_ROWS, 4 * _BLOCK // p)))
    shift, scale = design.shift[columns], design.scale[columns]
    everything = len(columns) == design.n_features
    X = problem.X
    if is_sparse(X):
        X = (X if everything else X[:, columns]).tocsr()
        for first in range(0, n, step):
            rows = slice(first, min(first + step, n))
            yield rows, RowBlock(X[rows], shift, scale)
        return
    near = bool((np.abs(shift) * scale <= _NEAR).all())
    if everything and n < X.shape[1] and X.dtype == np.float64 and near:
        # blocks that no cache holds: cheaper read than written
        for first in range(0, n, step):
            rows = slice(first, min(first + step, n))
            yield rows, RowBlock(X[rows], shift, scale)
        return
    by_column = X.flags.f_contiguous and not X.flags.c_contiguous
    buffer = np.empty((len(columns), step)).T if by_column else np.empty((step, len(columns)))
    for first in range(0, n, step):
        rows = slice(first, min(first + step, n))
        block = buffer[: rows.stop - first]
        np.subtract(X[rows] if everything else X[rows][:, columns], shift, out=block)
        block *= scale
        yield rows, RowBlock(block)


def product(problem: Problem, columns: npt.NDArray[np.integer], M: Array) -> Array:
    """Return Z[:, columns] @ M."""
    if is_sparse(problem.X):
        scaled = problem.design.scale[columns][:, None] * M
        return np.asarray(problem.X[:, columns] @ scaled - problem.design.shift[columns] @ scaled)
    out = np.empty((problem.design.n_samples, M.shape[1]))
    if M.shape[1] <= _FEW:
        whole = np.zeros(problem.design.n_features)
        for k, coef in enumerate(M.T):
            whole[columns] = coef
            out[:, k] = problem.design.product(whole)
        return out
    for rows, block in row_blocks(problem, columns):
        out[rows] = block.times(M)
    return out


def times(problem: Problem, columns: npt.NDArray[np.integer], M: Array) -> Array:
    """Return diag(sqrt(weight)) Z[:, columns] @ M."""
    return np.asarray(np.sqrt(problem.weight)[:, None] * product(problem, columns, M))


def times_transposed(problem: Problem, columns: npt.NDArray[np.integer], M: Array) -> Array:
    """Return Z[:, columns]' diag(sqrt(weight)) @ M."""
    weighted = np.sqrt(problem.weight)[:, None] * M
    if M.shape[1] <= _FEW:
        vectors, design = np.ascontiguousarray(weighted.T), problem.design
        found = np.zeros((len(vectors), design.n_features))
        for k in range(0, len(vectors) - 1, 2):
            found[k : k + 2] = design.correlations(vectors[k], vectors[k + 1])
        if len(vectors) % 2:
            found[-1] = design.correlation(vectors[-1])
        return found[:, columns].T
    if is_sparse(problem.X):
        scale, shift = problem.design.scale[columns], problem.design.shift[columns]
        return RowBlock(problem.X[:, columns], shift, scale).transposed_times(weighted)
    out = np.zeros((len(columns), M.shape[1]))
    for rows, block in row_blocks(problem, columns):
        out += block.transposed_times(weighted[rows])
    return out
