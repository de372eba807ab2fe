"""The layouts of a batch: stacked arrays, runs of one table, one X with many y or weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.inputs import Array, as_float, as_generator, is_sparse, with_unit_stride

_SPARE = 4  # codes for each row, at most, of which some may stand for no label


@dataclass(frozen=True)
class Batch:
    """Problems as the core takes them: runs of the rows of X, or all of them (edges None)."""

    X: Array | list[Array]  # or its columns
    y: Array  # one row for all runs, or one a problem
    edges: npt.NDArray[np.intp] | None
    weight: Array | None  # one row for all runs or all problems, or one a problem
    n_problems: int
    keys: npt.NDArray[Any] | None = None
    order: npt.NDArray[np.intp] | None = None  # runs are of X[order]; all else is in that order
    resampled: bool = False  # do finite X and y have many weights?

    @property
    def n_features(self) -> int:
        """The number of columns of X."""
        return len(self.X) if isinstance(self.X, list) else self.X.shape[1]


def lay_out(X: Any, y: Any, sample_weight: Any, groups: Any, offsets: Any) -> Batch:
    """Recognise the layout, and check that the shapes fit; a batch is one already."""
    if isinstance(X, Batch):
        return X
    if is_sparse(X):
        raise TypeError("X must be dense here; `fastreg.solve` takes sparse X")
    if groups is not None and offsets is not None:
        raise ValueError("groups and offsets exclude each other; give one of them")
    ragged = groups is not None or offsets is not None
    given = as_float("X", X, ndim=(2, 3))
    if 0 in given.shape:
        raise ValueError(f"X must have at least one row and one column, got shape {given.shape}")
    if given.ndim == 3:
        if ragged:
            raise ValueError("groups and offsets are for X of shape (n_rows, n_features)")
        return _stacked(np.ascontiguousarray(given), y, sample_weight)
    table = with_unit_stride(given)
    if not ragged:
        return _shared(table, y, sample_weight)
    n = len(table)
    response = _of_shape("y", y, (n,))
    weight = None if sample_weight is None else as_weight(sample_weight, (n,))
    if offsets is None:
        return _grouped(table, response, weight, groups)
    return Batch(table, response[None], *_edges(offsets, n, weight))


def _edges(offsets: Any, n: int, weight: Array | None) -> tuple[Any, Array | None, int]:
    edges = np.asarray(offsets)
    if edges.ndim != 1 or len(edges) < 2 or edges.dtype.kind not in "iu":
        raise ValueError(
            f"offsets must be integers of shape (B + 1,), got {edges.dtype} of shape {edges.shape}"
        )
    edges = edges.astype(np.intp)
    if edges[0] != 0 or edges[-1] != n or (np.diff(edges) < 0).any():
        raise ValueError(f"offsets must increase from 0 to {n}, the number of rows of X")
    return edges, None if weight is None else weight[None], len(edges) - 1


def _grouped(table: Array, response: Array, weight: Array | None, groups: Any) -> Batch:
    labels = np.asarray(groups)
    if labels.shape != response.shape:
        raise ValueError(
            f"groups must have shape {response.shape} as X has rows, got {labels.shape}"
        )
    if bool(np.asarray(labels != labels).any()):  # NaN, NaT: of which none equals another one
        raise ValueError("groups contains NaN; every row must belong to a problem")
    try:
        order, edges, first = sort_rows([labels])
    except TypeError:
        raise TypeError("groups must hold keys that can be sorted") from None
    if order is not None:
        response = response[order]
        weight = None if weight is None else weight[order]
    one_row = None if weight is None else weight[None]
    return Batch(table, response[None], edges, one_row, len(first), labels[first], order)


def sort_rows(
    labels: Sequence[npt.NDArray[Any]],
) -> tuple[npt.NDArray[np.intp] | None, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows in increasing order of their labels (None: as they are), edges, and first rows.

    Rows with the same labels (of which the first ones count most) stay in their order. Run k of the
    sorted rows lies between edges[k] and edges[k + 1]; the first of them is row first[k].
    """
    n = len(labels[0])
    code, n_codes = labels[0], 0
    if len(labels) > 1 or code.dtype.kind not in "biufmM" or (code[1:] < code[:-1]).any():
        code, n_codes = _codes(labels[0])
        for other in labels[1:]:
            ranks, n_ranks = _codes(other)
            code, n_codes = code * n_ranks + ranks, n_codes * n_ranks
            if n_codes > _SPARE * n:
                code, n_codes = _codes(code)
    if n_codes == 0 or not (code[1:] < code[:-1]).any():
        first = np.concatenate([[0], np.flatnonzero(code[1:] != code[:-1]) + 1])
        return None, np.append(first, n), first
    from scipy import sparse

    rows = sparse.csr_array((np.ones(n, dtype=np.int8), code, np.arange(n + 1)), (n, n_codes))
    sorted_rows = rows.tocsc()  # a counting sort
    order = sorted_rows.indices.astype(np.intp)
    starts = sorted_rows.indptr.astype(np.intp)
    edges = starts[np.append(True, np.diff(starts) > 0)]  # without the codes of no label
    return order, edges, order[edges[:-1]]


def _codes(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], int]:
    """Return integers >= 0 in the order of the labels, and a bound that is above all of them."""
    if labels.dtype.kind in "biu":
        low, high = int(labels.min()), int(labels.max())
        if high - low < _SPARE * len(labels):
            above = labels.astype(np.uint64) - np.uint64(low % 2**64)  # which wraps around
            return above.astype(np.intp), high - low + 1
    if labels.dtype.kind == "O":
        values = labels.tolist()
        keys = sorted(set(values))
        place = dict(zip(keys, range(len(keys)), strict=True))
        return np.fromiter(map(place.__getitem__, values), np.intp, len(values)), len(keys)
    distinct, code = np.unique(labels, return_inverse=True)
    return code, len(distinct)


def _stacked(stack: Array, y: Any, sample_weight: Any) -> Batch:
    n_problems, n, p = stack.shape
    response = _of_shape("y", y, (n_problems, n))
    weight = None
    if sample_weight is not None:
        weight = as_weight(sample_weight, (n_problems, n), (n,))
        weight = np.ascontiguousarray(np.broadcast_to(weight, (n_problems, n))).reshape(1, -1)
    edges = np.arange(n_problems + 1, dtype=np.intp) * n
    return Batch(stack.reshape(-1, p), response.reshape(1, -1), edges, weight, n_problems)


def _shared(table: Array, y: Any, sample_weight: Any) -> Batch:
    n = len(table)
    given = as_float("y", y, ndim=(1, 2))
    several = given.ndim == 2
    if given.shape[0] != n or 0 in given.shape:
        raise ValueError(f"y must have shape ({n},) or ({n}, B) as X has rows, got {given.shape}")
    response = np.ascontiguousarray(given.T if several else given[None])
    weight = None
    n_problems = len(response)
    if sample_weight is not None:
        many = np.ndim(sample_weight) == 2
        n_problems = n_problems if several or not many else len(sample_weight)
        weight = as_weight(sample_weight, (n,), (n_problems, n))
        weight = np.ascontiguousarray(weight.reshape(-1, n))
    if not several and (weight is None or len(weight) == 1) and np.ndim(sample_weight) != 2:
        raise ValueError(
            "there is one problem only: X of shape (B, n_samples, n_features), y of shape "
            "(n_samples, B), sample_weight of shape (B, n_samples), groups or offsets make several"
        )
    resampled = bool(
        weight is not None
        and len(weight) > 1
        and np.isfinite(table).all()
        and np.isfinite(response).all()
    )
    return Batch(table, response, None, weight, n_problems, resampled=resampled)


def as_folds(cv: Any, batch: Batch, random_state: Any) -> npt.NDArray[np.int32]:
    """Return the fold that holds out each row of the table."""
    rows = int(batch.y.shape[1])
    edges = np.array([0, rows]) if batch.edges is None else batch.edges
    sizes = np.diff(edges)
    if np.ndim(cv) == 0:
        integer = isinstance(cv, (int, np.integer)) and not isinstance(cv, bool)
        if not integer or not 2 <= cv < 2**31:
            raise ValueError(f"cv must be an integer >= 2 or an array of folds, got {cv!r}")
        generator = as_generator(random_state)
        if (sizes == sizes[0]).all():
            return np.tile(generator.permutation(sizes[0]) % cv, len(sizes)).astype(np.int32)
        mixed = np.lexsort((generator.random(rows), np.repeat(np.arange(len(sizes)), sizes)))
        fold = np.empty(rows, dtype=np.int32)
        fold[mixed] = (np.arange(rows) - np.repeat(edges[:-1], sizes)) % cv
        return fold
    try:
        labels = np.asarray(cv)
    except ValueError:
        raise ValueError("cv must be an integer or an array of folds, one for each row") from None
    if labels.dtype.kind not in "iu" or labels.shape not in {(rows,), (sizes[0],)}:
        raise ValueError(
            f"cv must be integers, one for each row, got {labels.dtype} {labels.shape}"
        )
    if labels.max() < 0:
        raise ValueError("cv must hold out some row: folds are counted from 0")
    held = labels >= 0
    place = np.full(labels.shape, -1)
    place[held] = np.unique(labels[held], return_inverse=True)[1]
    labels = place
    if batch.order is not None:
        labels = labels[batch.order]
    return np.tile(labels, rows // len(labels)).astype(np.int32)


def _of_shape(name: str, value: Any, *shapes: tuple[int, ...]) -> Array:
    array = as_float(name, value, ndim=tuple(len(shape) for shape in shapes))
    if array.shape not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"{name} must have shape {wanted} to fit X, got {array.shape}")
    return np.ascontiguousarray(array)


def as_weight(value: Any, *shapes: tuple[int, ...]) -> Array:
    """Return weights of one of the shapes, all of them finite and >= 0."""
    array = _of_shape("sample_weight", value, *shapes)
    # One read: as integers, numbers >= 0 are in their order, NaN and the negative ones behind.
    if array.view(np.uint64).max(initial=0) < np.float64(np.inf).view(np.uint64):
        return array
    if not (array.min(initial=0.0) >= 0 and array.max(initial=0.0) < np.inf):
        raise ValueError("sample_weight must be finite and >= 0 everywhere")
    return array


def as_strengths(alpha: Any, l1_ratio: Any, n_problems: int) -> tuple[Array, Array]:
    """Return alphas (B, K) and ratios (B, 1)."""
    alphas = as_float("alpha", alpha, ndim=(0, 1, 2))
    ratios = as_float("l1_ratio", l1_ratio, ndim=(0, 1))
    if not alphas.size or not ((alphas >= 0) & (alphas < np.inf)).all():
        wrong = alphas[~((alphas >= 0) & (alphas < np.inf))][:1] if alphas.size else alphas
        raise ValueError(
            f"alpha must be >= 0 and finite, and there must be one at least, got {wrong.tolist()}"
        )
    if not (ratios.size and ratios.min() >= 0 and ratios.max() <= 1):
        raise ValueError("l1_ratio must lie between 0 and 1, and there must be one at least")
    if (alphas.ndim == 1 and len(alphas) != n_problems) or (
        alphas.ndim == 2 and len(alphas) not in {1, n_problems}
    ):
        raise ValueError(
            f"alpha must be a number or have shape ({n_problems},), ({n_problems}, n_alphas) or "
            f"(1, n_alphas), got {alphas.shape}"
        )
    if ratios.ndim == 1 and len(ratios) != n_problems:
        raise ValueError(f"l1_ratio must be a number or have shape ({n_problems},)")
    rows = alphas if alphas.ndim == 2 else alphas.reshape(-1, 1)
    return np.broadcast_to(rows, (n_problems, rows.shape[1])), ratios.reshape(-1, 1)
