"""Reads rows and returns their moments as the vectors that `fastreg._core.moments` describes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastreg._core import moments as core
from fastreg._core.dense import ONE_READ, DenseDesign
from fastreg._core.design import Design
from fastreg._core.sparse import CSCDesign
from fastreg.inputs import (
    Array,
    as_matrix,
    as_weight,
    is_sparse,
    name_bad_column,
    with_unit_stride,
)
from fastreg.normal_equations import summation_rounding

Folds: TypeAlias = npt.NDArray[np.intp]

_SMALLEST = 1e-280  # variance of which every product is a normal number
_BLOCK = 1 << 18  # bytes of rows that are gathered at a time, to stay in the cache
_FEWEST = 512  # rows of a block
_PANEL = 128  # rows that a product adds up at a time
_NARROW, _SMALL_WORK = 256, 1 << 24  # columns and multiplications that are worth one call for all
_FAR = 4.0  # what the first shift of a column adds to its rounding, where its first rows are usual


def as_chunk_weight(sample_weight: Any, n: int) -> tuple[Array | None, float]:
    """Return weights that sum to one (None: equal ones) and the sum of the given ones."""
    if sample_weight is None:
        return None, float(n)
    array = np.asarray(sample_weight)
    if array.dtype.kind in "biuf" and array.shape in ((), (n,)) and not array.any():
        return np.zeros(n), 0.0  # rows that count for nothing
    return as_weight(sample_weight, n)


def as_fold(fold: Any, n: int, n_folds: int) -> Folds:
    """Return the fold of each row, checked."""
    array = np.asarray(fold)
    if array.dtype.kind not in "iu":
        raise TypeError(f"fold must hold integers, got dtype {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"fold must have shape ({n},) as X has rows, got {array.shape}")
    if array.min() < -1 or array.max() >= n_folds:
        raise ValueError(f"fold must lie in -1 .. {n_folds - 1}")
    return array.astype(np.intp, copy=False)


class RangeError(ValueError):
    """The squares of a column are no numbers, though the column is."""


class Rows:
    """All rows, from which those of a fold are taken."""

    def __init__(
        self, matrix: Any, targets: Array, weight: Array | None, total: float, n_threads: int
    ) -> None:
        self.matrix, self.targets, self.weight, self.total = matrix, targets, weight, total
        self.n_threads = n_threads

    def pieces(self, fold: Folds, n_folds: int) -> Iterator[tuple[int, Array]]:
        """Yield folds and moments of parts of their rows, in a fixed order."""
        runs = np.flatnonzero(fold[1:] != fold[:-1]) + 1
        if is_sparse(self.matrix):
            return self.of_sparse(fold, n_folds)
        if self._is_small:
            found = self.at_once(fold)
            if found is not None:
                return found
        if len(runs) <= max(2 * n_folds, len(fold) // _FEWEST):
            return self.in_runs(fold, runs)
        by_rows = self.matrix.strides[0] >= self.matrix.strides[1]
        return self.gathered(fold, n_folds) if by_rows else self.sorted_blocks(fold, n_folds)

    def at_once(self, fold: Folds) -> Iterator[tuple[int, Array]] | None:
        """Yield the moments of each fold from one call; None where a column needs more care."""
        weight = np.ones(len(fold)) if self.weight is None else self.weight * self.total
        matrix, targets = self.matrix, with_unit_stride(self.targets)
        if fold[0] < 0 or (fold[1:] < fold[:-1]).any():
            order = np.argsort(fold, kind="stable")
            order = order[np.searchsorted(fold[order], 0) :]
            matrix, targets, weight = matrix[order], targets[order], weight[order]
            fold = fold[order]
        if not len(fold):
            return None
        edges = np.flatnonzero(np.diff(fold, prepend=-1, append=-1)).astype(np.intp)
        rounding = _FAR * summation_rounding(min(_PANEL, len(fold)) + len(fold) // _PANEL)
        states = core.survey_runs(matrix, targets, weight, edges, rounding)
        return None if states is None else zip(fold[edges[:-1]].tolist(), states, strict=True)

    def in_runs(self, fold: Folds, ends: Folds) -> Iterator[tuple[int, Array]]:
        """Yield the moments of each run of rows in one fold, where they lie."""
        edges = [0, *ends.tolist(), len(fold)]
        for first, last in pairwise(edges):
            if fold[first] >= 0:
                rows = slice(first, last)
                yield int(fold[first]), self._state(self.matrix[rows], rows)

    def of_sparse(self, fold: Folds, n_folds: int) -> Iterator[tuple[int, Array]]:
        """Yield the moments of each fold of a sparse matrix, whose rows are copied."""
        by_rows = self.matrix.tocsr()
        for k in range(n_folds):
            rows = np.flatnonzero(fold == k)
            if len(rows):
                yield k, self._state(as_matrix(by_rows[rows])[0], rows)

    def gathered(self, fold: Folds, n_folds: int) -> Iterator[tuple[int, Array]]:
        """Yield moments of each fold, whose rows are gathered some hundred at a time."""
        step = self._rows_a_block
        buffer = np.empty((step, self.matrix.shape[1]), self.matrix.dtype)
        for k in range(n_folds):
            rows = np.flatnonzero(fold == k)
            for first in range(0, len(rows), step):
                some = rows[first : first + step]
                block = np.take(self.matrix, some, axis=0, out=buffer[: len(some)], mode="clip")
                yield k, self._state(block, some)

    def sorted_blocks(self, fold: Folds, n_folds: int) -> Iterator[tuple[int, Array]]:
        """Yield moments of each fold within blocks of rows, whose columns are read once."""
        step = self._rows_a_block * n_folds
        for first in range(0, len(fold), step):
            own = fold[first : first + step]
            order = np.argsort(own, kind="stable")
            ends = np.searchsorted(own[order], np.arange(n_folds + 1)).tolist()
            columns = np.take(self.matrix[first : first + step].T, order, axis=1)
            for k, (begin, end) in enumerate(pairwise(ends)):
                if begin < end:
                    yield k, self._state(columns[:, begin:end].T, first + order[begin:end])

    @property
    def _is_small(self) -> bool:
        n, width = len(self.targets), self.matrix.shape[1] + self.targets.shape[1]
        return bool(width <= _NARROW and n * width * width <= _SMALL_WORK)

    @property
    def _rows_a_block(self) -> int:
        row = self.matrix.shape[1] * self.matrix.dtype.itemsize
        return int(min(max(_FEWEST, _BLOCK // row), len(self.targets)))

    def _state(self, matrix: Any, rows: slice | Folds) -> Array:
        weight, total = None, float(matrix.shape[0])
        if self.weight is not None:
            weight = self.weight[rows]
            share = float(weight.sum())
            total = self.total * share
            weight = weight / share if share > 0 else weight
        return survey(matrix, self.targets[rows], weight, total, self.n_threads)


def survey(
    matrix: Any, targets: Array, weight: Array | None, total: float, n_threads: int
) -> Array:
    """Return the moments of some rows as the vector that `fastreg._core.moments` describes."""
    n, p = matrix.shape
    m = targets.shape[1]
    state = np.zeros(core.length(p, m))
    if total == 0.0:
        state[1] = n
        return state
    if weight is None:
        weight = np.full(n, 1.0 / n)
    responses = DenseDesign(with_unit_stride(targets))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        y_mean, square = responses.moments(weight)
        responses.set_units(y_mean, np.ones(m))
        design: Design = CSCDesign(matrix) if is_sparse(matrix) else DenseDesign(matrix)
        design.set_threads(n_threads)
        columns = np.arange(p, dtype=np.int32)
        mean, variance, cross, gram = design.survey(weight, responses, columns, True)
    _require_range("X", matrix, weight, variance)
    _require_range("y", targets, weight, square)
    gram[np.diag_indices(p)] = variance
    if is_sparse(matrix):  # centred after the sum, which costs digits
        far = np.abs(mean[variance > 0]) / np.sqrt(variance[variance > 0])
        rounding = 2.0 * (1.0 + float(np.max(far, initial=0.0))) * summation_rounding(n)
    else:
        panels = n // _PANEL if p > ONE_READ else min(n // _PANEL, 64 + n // (16 * _PANEL))
        rounding = _FAR * summation_rounding(min(n, _PANEL) + panels)
    core.write(state, total, n, rounding, mean, y_mean, gram, cross, square)
    return state


def _require_range(name: str, matrix: Any, weight: Array, variance: Array) -> None:
    """Refuse columns whose products are no normal numbers, but for those that do not vary."""
    for j in np.flatnonzero(~(variance > _SMALLEST)):
        column = matrix[:, [j]].toarray()[:, 0] if is_sparse(matrix) else matrix[:, j]
        if np.isfinite(column).all():
            used = column[weight > 0]
            if not np.isfinite(variance[j]) or used.min() < used.max():
                raise RangeError(
                    f"column {j} of {name} is too large or too small for its square to be a "
                    "number; rescale it"
                )


def refuse(matrix: Any) -> None:
    """Name a column that is not finite."""
    for j in range(matrix.shape[1]):
        column = matrix[:, [j]].toarray()[:, 0] if is_sparse(matrix) else matrix[:, j]
        if not np.isfinite(column).all():
            raise name_bad_column(column, j)
    raise RangeError("X is too large for its squares to be numbers; rescale it")
