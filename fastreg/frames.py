"""Grouped data frames: one fit a group, returned as a frame of the same library."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.batches import Batch, as_weight, sort_rows
from fastreg.inputs import Array, as_float
from fastreg.many import BatchResult, solve_many

_MODEL = tuple(
    name
    for name in signature(solve_many).parameters
    if name not in {"X", "y", "alpha", "sample_weight", "groups", "offsets"}
)
_TOLD = ("intercept", "alpha", "n_rows", "n_active", "status", "duality_gap", "objective")


def solve_groups(
    frame: Any,
    *,
    by: str | Sequence[str],
    target: str,
    features: Sequence[str] | None = None,
    alpha: Any = 1.0,
    sample_weight: str | None = None,
    **model: Any,
) -> Any:
    """Minimise the objective of `solve` within each group of rows, for a data frame.

        1/(2 S) sum_i s_i (y_i - b - x_i'w)^2
            + alpha sum_j f_j (l1_ratio |w_j| + (1 - l1_ratio)/2 w_j^2),   i in the group

    Parameters
    ----------
    frame : data frame
        Of pandas, polars or pyarrow (through the package narwhals, extra "frames").
    by : str or list of str
        The columns whose values make a group; without missing values.
    target : str
        The column y.
    features : list of str, optional
        The columns of X; default: every other column of numbers or booleans.
    alpha : float or array of shape (n_alphas,), default 1.0
        Strength of the penalty, or a path of them for every group.
    sample_weight : str, optional
        A column of weights >= 0.
    **model
        As in `solve_many`: l1_ratio (a number), fit_intercept, penalty_factor, lower, upper,
        positive, standardize, tol, max_sweeps, n_threads; select, cv (a number) and random_state
        choose one alpha of a path for each group.

    Returns
    -------
    data frame
        Of the same library, one row a group (and alpha), in increasing order of the groups: the
        columns `by`; the coefficients, one column a feature with its name; then intercept, alpha,
        n_rows, n_active, status (a `ProblemStatus`), duality_gap, objective. Groups with missing
        values in target or features are not solved; the status says so.

    Raises
    ------
    ImportError
        If narwhals is not installed.
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    Notes
    -----
    Columns of float64 without missing values are read where they lie; others are converted one by
    one. Rows need not be sorted, and no table of them is made: each group is copied while it is
    solved.
    """
    import narwhals as nw

    if model.get("select") is not None and not isinstance(model.get("cv", 5), (int, np.integer)):
        raise TypeError("cv must be a number of folds here")
    alphas = as_float("alpha", alpha, ndim=(0, 1))
    if np.ndim(model.get("l1_ratio", 1.0)) > 0:
        raise ValueError("l1_ratio must be a number here")
    for name in model:
        if name not in _MODEL:
            raise TypeError(f"solve_groups has no argument {name!r}; it takes {', '.join(_MODEL)}")
    if not (sample_weight is None or isinstance(sample_weight, str)):
        raise TypeError("sample_weight must be the name of a column")
    table = nw.from_native(frame, eager_only=True)
    if len(table) == 0:
        raise ValueError("frame has no rows")
    keys = [by] if isinstance(by, str) else list(by)
    names = _check_names(table, keys, target, features, sample_weight)
    batch, first = _lay_out(table, keys, names, target, sample_weight)
    result = solve_many(batch, None, alphas.reshape(1, -1), **model)
    n_rows = np.diff(np.asarray(batch.edges))
    return _answer(table, keys, names, first, n_rows, result)


def _lay_out(
    table: Any, keys: list[str], names: list[str], target: str, sample_weight: str | None
) -> tuple[Batch, npt.NDArray[np.intp]]:
    """Return the groups as problems, and the first row of each."""
    try:
        order, edges, first = sort_rows([_key(table, name) for name in keys])
    except TypeError:
        raise TypeError(f"by: {', '.join(keys)}: some values cannot be sorted") from None
    place = slice(None) if order is None else order
    weight = None
    if sample_weight is not None:
        weight = as_weight(_column(table, sample_weight), (len(table),))[place][None]
    columns = [_column(table, name) for name in names]
    response = _column(table, target)[place][None]
    return Batch(columns, response, edges, weight, len(first), order=order), first


def _answer(
    table: Any,
    keys: list[str],
    names: list[str],
    first: npt.NDArray[np.intp],
    n_rows: npt.NDArray[np.intp],
    result: BatchResult,
) -> Any:
    """Return a frame of the library of the table: one row a group and alpha."""
    import narwhals as nw

    n_alphas = result.status.size // len(first)
    told = {name: result.coef[..., j].ravel() for j, name in enumerate(names)}
    told["n_rows"] = np.repeat(n_rows, n_alphas)
    for name in ("intercept", "alpha", "n_active", "status", "duality_gap", "objective"):
        told[name] = getattr(result, name).ravel()
    rows = np.repeat(first, n_alphas)
    columns = {name: table[name][rows] for name in keys}
    for name in (*names, *_TOLD):
        values = np.ascontiguousarray(told[name])
        columns[name] = nw.new_series(name, values, backend=table.implementation)
    return nw.maybe_reset_index(nw.from_dict(columns)).to_native()


def _check_names(
    table: Any,
    keys: list[str],
    target: str,
    features: Sequence[str] | None,
    sample_weight: str | None,
) -> list[str]:
    """Return the names of the features, once all names are known to be columns of their own."""
    schema = table.schema
    numbers = [target, *([] if sample_weight is None else [sample_weight])]
    used = [*keys, *numbers]
    if features is None:
        names = [name for name, kind in schema.items() if _is_number(kind)]
        names = [name for name in names if name not in used]
    else:
        names = list(features)
    for name in (*used, *names):
        if name not in schema:
            raise ValueError(f"{name!r} is no column of the frame: {', '.join(schema)}")
    if not (keys and names):
        raise ValueError("by and features must each name one column at least")
    for name in (*numbers, *names):
        if not _is_number(schema[name]):
            raise TypeError(f"{name!r} has dtype {schema[name]}; numbers are accepted")
    for name in used:
        if used.count(name) > 1:
            raise ValueError(f"{name!r} has two roles: by, target and sample_weight differ")
    both = [*keys, *names, *_TOLD]
    for name in both:
        if both.count(name) > 1 or (name in names and name in used):
            raise ValueError(f"{name!r} would be the name of two columns; rename or leave it out")
    return names


def _is_number(kind: Any) -> bool:
    return bool(kind.is_numeric()) or str(kind) == "Boolean"


def _column(table: Any, name: str) -> Array:
    """Return a column of numbers; what is missing is NaN."""
    import narwhals as nw

    column = table[name]
    if str(column.dtype) == "Boolean":  # of which missing ones have no number otherwise
        column = column.cast(nw.Float64)
    return np.ascontiguousarray(column.to_numpy(), dtype=np.float64)


def _key(table: Any, name: str) -> npt.NDArray[Any]:
    """Return a column of keys, none of which is missing; instead of texts, their ranks."""
    import narwhals as nw

    column = table[name]
    if column.null_count() or (column.dtype.is_float() and column.is_nan().any()):
        raise ValueError(f"by: column {name!r} has missing values; leave those rows out")
    if column.dtype == nw.String:  # which the library finds faster than Python would
        texts = sorted(column.unique().to_list())
        column = column.replace_strict(texts, range(len(texts)), return_dtype=nw.Int64)
    return np.asarray(column.to_numpy())
