"""Checks and conversions of single arguments: each returns a clean array or names what is wrong."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastreg._core.compressed import columns_of, order_of
from fastreg._core.small import takes

Array: TypeAlias = npt.NDArray[np.float64]

_FEW_PLACES = 200_000  # of a sparse matrix that is cheaper dense,
_LITTLE_WORK = 20_000_000  # and multiplications in its smaller Gram matrix
_NUMERIC = "numbers (integers, booleans or floats)"
_KEPT = 1 << 18  # equal weights, at most, that are kept for the next call
_LARGEST = 1e153  # the square of a larger response is no double
_MODEL_ARGUMENTS = (
    "fit_intercept",
    "sample_weight",
    "offset",
    "penalty_factor",
    "lower",
    "upper",
    "positive",
    "standardize",
)


def is_sparse(X: Any) -> bool:
    """Whether X is a scipy.sparse matrix or array, without importing scipy.sparse."""
    return hasattr(X, "tocsc") and hasattr(X, "nnz")


def as_float(name: str, value: Any, *, ndim: tuple[int, ...], like: str = "") -> Array:
    """Return an array of float64 with one of the given numbers of dimensions."""
    if is_sparse(value):
        raise TypeError(f"{name} must be a dense array{like}, got a sparse one")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries; {_NUMERIC} are accepted")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a regular array of {_NUMERIC}: {error}") from None
    if array.dtype.kind not in "biufO":
        raise TypeError(f"{name} must hold {_NUMERIC}, got dtype {array.dtype}")
    try:
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must hold {_NUMERIC}, got {array.dtype} values") from None
    if array.ndim not in ndim:
        shapes = " or ".join(f"{d}-dimensional" for d in ndim)
        raise ValueError(f"{name} must be {shapes}{like}, got shape {array.shape}")
    return array


def _require_finite(name: str, array: Array) -> None:
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[0])
        what = "NaN" if np.isnan(array).any() else "infinity"
        raise ValueError(f"{name} contains {what} (first in row {row}); finite values are accepted")


def require_square(name: str, array: Array) -> float:
    """Refuse what is not finite, or so large that its square is not; return the largest size."""
    largest = max(float(array.max()), -float(array.min()))  # or NaN
    if not largest <= _LARGEST:
        _require_finite(name, array)
        raise ValueError(
            f"{name} must lie within +-{_LARGEST:g}, so that its square is a number; "
            f"got {largest:g}; rescale it"
        )
    return largest


def name_bad_column(column: Array, j: int) -> ValueError:
    """Return the error for a column of X with NaN or infinity."""
    bad = ~np.isfinite(column)
    what = "NaN" if np.isnan(column).any() else "infinity"
    return ValueError(
        f"X contains {what} in column {j} (first in row {int(np.flatnonzero(bad)[0])}); "
        "finite values are accepted"
    )


def as_matrix_of(X: Any, n_features: int, names: tuple[str, ...] | None) -> Any:
    """Return finite X with the features of a model; columns of a frame are taken by their names."""
    matrix, given = as_matrix(X)
    if names is not None and given is not None and given != names:
        for what, some in (
            ("lacks the columns", [name for name in names if name not in given]),
            ("has other columns", [name for name in given if name not in names]),
        ):
            if some:
                shown = ", ".join(map(repr, some[:5])) + (", ..." if len(some) > 5 else "")
                raise ValueError(f"X {what} {shown}, but the model was fitted by name")
        if len(set(given)) < len(given):
            raise ValueError("X has columns of one name, and another order than the model's")
        matrix = matrix[:, [given.index(name) for name in names]]
    if matrix.shape[1] != n_features:
        raise ValueError(
            f"X has {matrix.shape[1]} features, but the model was fitted with {n_features}"
        )
    if not np.isfinite(matrix.data if is_sparse(matrix) else matrix).all():
        for j in range(n_features):
            column = matrix[:, [j]].toarray()[:, 0] if is_sparse(matrix) else matrix[:, j]
            if not np.isfinite(column).all():
                raise name_bad_column(column, j)
    return matrix


def as_matrix(X: Any) -> tuple[Any, tuple[str, ...] | None]:
    """Return X as a readable dense array or a canonical CSC array, and the names of its columns."""
    if is_sparse(X):
        return _as_csc(X), None
    if hasattr(X, "columns") and hasattr(X, "to_numpy"):
        return _from_frame(X)
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(f"X has masked entries; {_NUMERIC} are accepted")
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"X is not a regular array of {_NUMERIC}: {error}") from None
    array = _as_real("X", array)
    if array.ndim != 2:
        hint = "; use X.reshape(-1, 1) for a single feature" if array.ndim == 1 else ""
        raise ValueError(
            f"X must be 2-dimensional (n_samples, n_features), got shape {array.shape}{hint}"
        )
    _require_size(array.shape)
    return with_unit_stride(array), None


def _as_real(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return native float32 or float64 values; anything but those is converted."""
    if array.dtype == np.float64 or array.dtype == np.float32:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind not in "biufO":
        raise TypeError(f"{name} must hold {_NUMERIC}, got dtype {array.dtype}")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must hold {_NUMERIC}, got {array.dtype} values") from None


def _require_size(shape: tuple[int, ...]) -> None:
    if shape[0] == 0 or shape[1] == 0:
        raise ValueError(f"X must have at least one row and one column, got shape {shape}")
    if max(shape) >= 2**31:
        raise ValueError(f"X must have fewer than 2**31 rows and columns, got shape {shape}")


def with_unit_stride(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array itself where rows or columns are contiguous, otherwise a copy by columns."""
    size = array.itemsize
    whole = all(stride % size == 0 for stride in array.strides) and array.flags.aligned
    if whole and size in array.strides:
        return array
    return np.asfortranarray(array)


def dense_if_small(X: Any, l1_ratio: Any) -> Any:
    """Return sparse X as a dense array, if a fit is so small that it has the lane for such."""
    if type(X) is np.ndarray or not is_sparse(X) or X.format not in ("csr", "csc") or X.ndim != 2:
        return X
    major, minor = X.shape if X.format == "csr" else X.shape[::-1]
    places = major * minor
    if places > _FEW_PLACES or places * min(major, minor) > _LITTLE_WORK:
        return X
    whole = len(X.indptr) == major + 1 and len(X.indices) == len(X.data)
    few = takes(X.shape[0], X.shape[1], l1_ratio) and X.dtype in (np.float64, np.float32)
    if few and whole and _is_plain(X) and order_of(X.indptr, X.indices, minor) == 2:
        return X.toarray()
    return X


def _as_csc(X: Any) -> Any:
    from scipy import sparse

    if X.ndim != 2:
        raise ValueError(f"X must be 2-dimensional (n_samples, n_features), got shape {X.shape}")
    _require_size(X.shape)
    increases = X.format == "csc" and _increase(X)
    if not increases:
        require_indices(X)
    if X.format == "csr" and _is_plain(X):
        values = np.ascontiguousarray(_as_real("X", X.data))
        start, rows, values = columns_of(X.indptr, X.indices, values, X.shape[1])
        parts = (values, rows, start)
    else:
        matrix = sparse.csc_array(X)
        parts = (_as_real("X", matrix.data), matrix.indices, matrix.indptr)
    # Made anew, because what the user's matrix says of its format may be out of date.
    matrix = sparse.csc_array(parts, shape=X.shape)
    if increases or _increase(matrix):
        matrix.has_canonical_format = True
    elif not matrix.has_canonical_format:
        matrix = sparse.csc_array(parts, shape=X.shape, copy=True)
        matrix.sum_duplicates()
    return matrix


def _increase(X: Any) -> bool:
    """Whether the row indices of CSC are known to be within bounds, sorted and distinct."""
    whole = len(X.indptr) == X.shape[1] + 1 and len(X.indices) == len(X.data)
    return _is_plain(X) and whole and order_of(X.indptr, X.indices, X.shape[0]) == 2


def _is_plain(X: Any) -> bool:
    """Whether indices are such as compiled loops read."""
    return all(part.dtype == np.int32 and part.flags.c_contiguous for part in (X.indptr, X.indices))


def require_indices(X: Any) -> None:
    """Refuse indices that point outside of the matrix: compiled loops trust them."""
    if X.format in ("csc", "csr"):
        major, minor = X.shape if X.format == "csr" else X.shape[::-1]
        starts, used = X.indptr, X.indices[: X.indptr[-1]]
        whole = (
            len(starts) == major + 1
            and starts[0] == 0
            and bool((np.diff(starts) >= 0).all())
            and len(used) == starts[-1] <= len(X.data)
        )
        inside = _within(used, minor)
    elif X.format == "coo":
        whole = len(X.row) == len(X.col) == len(X.data)
        inside = _within(X.row, X.shape[0]) and _within(X.col, X.shape[1])
    else:
        return
    if not (whole and inside):
        raise ValueError(
            f"X is a damaged sparse matrix: its indices do not fit its shape {X.shape}"
        )


def _within(indices: npt.NDArray[Any], size: int) -> bool:
    return len(indices) == 0 or bool(indices.min() >= 0 and indices.max() < size)


def _from_frame(X: Any) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Return the columns of a pandas or polars frame by columns, and their names."""
    names = tuple(str(name) for name in X.columns)
    _require_size((len(X), len(names)))
    if hasattr(X, "get_columns"):
        columns = X.get_columns()
    else:
        columns = [X.iloc[:, j] for j in range(len(names))]
    arrays = []
    for name, column in zip(names, columns, strict=True):
        values = np.asarray(column.to_numpy())
        if values.dtype.kind not in "biufO":
            raise TypeError(f"X: column {name!r} has dtype {column.dtype}; {_NUMERIC} are accepted")
        try:
            values = values.astype(np.float32 if values.dtype == np.float32 else np.float64)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(
                f"X: column {name!r} does not hold {_NUMERIC} (or has missing values)"
            ) from None
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(
                f"X: column {name!r} contains NaN or infinity (first in row {row}); "
                "finite values are accepted"
            )
        arrays.append(values)
    dtype = np.float32 if all(a.dtype == np.float32 for a in arrays) else np.float64
    matrix = np.empty((len(X), len(names)), dtype=dtype, order="F")
    for j, values in enumerate(arrays):
        matrix[:, j] = values
    return matrix, names


def as_response(y: Any, n: int) -> tuple[Array, bool]:
    """Return y as (n, m) and whether it was two-dimensional; its values are not checked yet."""
    array = as_float("y", y, ndim=(1, 2))
    if array.shape[0] != n:
        raise ValueError(f"y has {array.shape[0]} rows, but X has {n}")
    if array.ndim == 2 and array.shape[1] == 0:
        raise ValueError(f"y must have at least one column, got shape {array.shape}")
    return array.reshape(n, -1), array.ndim == 2


def as_weight(sample_weight: Any, n: int) -> tuple[Array, float]:
    """Return weights that sum to one, and the sum of the given ones."""
    if sample_weight is None:
        return _equal_weights(n) if n <= _KEPT else _equal_weights.__wrapped__(n), float(n)
    array = as_float("sample_weight", sample_weight, ndim=(0, 1))
    array = np.broadcast_to(array, (n,)) if array.ndim == 0 else array
    if array.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},) as X has rows, got {array.shape}")
    _require_finite("sample_weight", array)
    if array.min() < 0:
        raise ValueError(f"sample_weight must be >= 0, got {array.min()}")
    if array.max() == 0:
        raise ValueError("sample_weight is zero everywhere; at least one must be > 0")
    exponent = np.frexp(array.max())[1]
    small = np.ldexp(array, -exponent)
    return small / small.sum(), float(np.ldexp(small.sum(), exponent))


@lru_cache(maxsize=1)
def _equal_weights(n: int) -> Array:
    """Return weights that sum to one, which nobody can change."""
    weight = np.full(n, 1.0 / n)
    weight.flags.writeable = False
    return weight


def as_offset(offset: Any, responses: Array) -> Array:
    """Return the responses minus the offset."""
    n = responses.shape[0]
    array = as_float("offset", offset, ndim=(1, 2))
    if array.shape not in ((n,), responses.shape):
        raise ValueError(f"offset must have shape ({n},) or that of y, got {array.shape}")
    require_square("offset", array)
    return responses - array.reshape(n, -1)


def as_shift(offset: Any, shape: tuple[int, ...]) -> Array:
    """Return the offset of a prediction of the given shape, so that it can be added."""
    array = as_float("offset", offset, ndim=(1, 2))
    if array.shape not in (shape[:1], shape):
        raise ValueError(f"offset must have the shape of y, got {array.shape}")
    _require_finite("offset", array)
    return array[:, None] if array.ndim < len(shape) else array


def as_factor(penalty_factor: Any, p: int) -> Array:
    """Return the penalty factors, one a feature."""
    if penalty_factor is None:
        return np.broadcast_to(1.0, (p,))
    array = as_float("penalty_factor", penalty_factor, ndim=(1,))
    if array.shape != (p,):
        raise ValueError(
            f"penalty_factor must have shape ({p},) as X has columns, got {array.shape}"
        )
    if np.isnan(array).any() or array.min() < 0:
        raise ValueError("penalty_factor must be >= 0 (0: unpenalised, inf: excluded), not NaN")
    return array


def as_bounds(lower: Any, upper: Any, positive: bool, p: int) -> tuple[Array, Array]:
    """Return lower and upper bounds, one a feature."""
    sides: list[Array] = []
    for name, value, default in (("lower", lower, -np.inf), ("upper", upper, np.inf)):
        if value is None:
            side = np.broadcast_to(default, (p,))
            sides.append(side.copy() if positive and name == "lower" else side)
            continue
        array = as_float(name, value, ndim=(0, 1))
        if array.ndim == 1 and array.shape != (p,):
            raise ValueError(
                f"{name} must be a number or have shape ({p},) as X has columns, got {array.shape}"
            )
        array = np.array(np.broadcast_to(array, (p,)))
        if np.isnan(array).any() or np.any(array == -default):
            raise ValueError(f"{name} must not be NaN or {-default}; {default} means no bound")
        sides.append(array)
    if positive:
        np.maximum(sides[0], 0.0, out=sides[0])
    if (lower is not None or upper is not None) and np.any(sides[0] > sides[1]):
        j = int(np.flatnonzero(sides[0] > sides[1])[0])
        because = " (positive=True makes it at least 0)" if positive else ""
        raise ValueError(
            f"lower must be <= upper{because}, got {sides[0][j]} > {sides[1][j]} for feature {j}"
        )
    return sides[0], sides[1]


def as_strength(name: str, value: Any, *, high: float = np.inf, inside: bool = False) -> float:
    """Return a number in [0, high], or inside of it: in (0, high)."""
    if isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value) != 0:
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    except OverflowError:
        number = math.inf
    if not 0 <= number <= high or np.isinf(number) or (inside and number in (0.0, high)):
        ends = f"(0, {high:g})" if inside else f"[0, {high:g}]"
        accepted = ">= 0 and finite" if np.isinf(high) else f"in {ends}"
        shown = value.item() if isinstance(value, np.generic) else value
        raise ValueError(f"{name} must be {accepted}, got {shown!r}")
    return number


def as_alphas(alphas: Any) -> Array:
    """Return a grid of alphas in decreasing order."""
    array = as_float("alphas", alphas, ndim=(1,))
    if array.size == 0:
        raise ValueError("alphas must hold at least one value")
    if not np.isfinite(array).all() or array.min() < 0:
        raise ValueError("alphas must be >= 0 and finite")
    return np.sort(array)[::-1].copy()


def known_model(model: dict[str, Any]) -> dict[str, Any]:
    """Refuse arguments that do not describe a model; return the others."""
    for name in model:
        if name not in _MODEL_ARGUMENTS:
            raise TypeError(
                f"unknown argument {name!r}; accepted ones are {', '.join(_MODEL_ARGUMENTS)}"
            )
    return model


def as_labels(name: str, values: Any, n: int) -> npt.NDArray[np.intp]:
    """Return the labels of n rows as numbers, in the order of their first appearance."""
    array = np.asarray(values)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},) as X has rows, got {array.shape}")
    missing = array.dtype.kind in "fcmM" and bool((array != array).any())
    try:
        _, first, codes = np.unique(array, return_index=True, return_inverse=True)
    except TypeError:
        raise TypeError(
            f"{name} must hold labels that can be compared: numbers, or strings, none missing"
        ) from None
    if missing:
        raise ValueError(f"{name} contains NaN or NaT")
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[codes.reshape(-1)])


def as_generator(random_state: Any) -> np.random.Generator:
    """Return the generator that a seed, or a generator of either kind, stands for."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.Generator(random_state._bit_generator)
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    integer = isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool)
    if not integer or random_state < 0:
        raise TypeError(
            "random_state must be None, an integer >= 0, a numpy.random.Generator or RandomState, "
            f"got {random_state!r}"
        )
    return np.random.default_rng(int(random_state))
