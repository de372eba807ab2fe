"""The function `validate_degrees`: the degree of a polynomial chosen together with its penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np

from fastreg.api import solve_path
from fastreg.inputs import as_float
from fastreg.polynomial import PolynomialBasis
from fastreg.validation.folds import make_folds
from fastreg.validation.from_moments import NestedFolds
from fastreg.validation.result import ValidationResult
from fastreg.validation.run import validate
from fastreg.validation.selection import (
    Curve,
    best,
    check_selection,
    name_of,
    one_standard_error,
    select,
)

_FOLDS = ("cv", "foldid", "groups", "stratify", "time_ordered", "shuffle", "random_state")
_OF_PATH = ("scoring", "n_alphas", "eps", "alphas", "l1_ratio", "selection", "refit")


def validate_degrees(
    basis: PolynomialBasis, X: Any, y: Any, degrees: Any = None, **arguments: Any
) -> ValidationResult:
    """Choose the degree of a polynomial, alpha and l1_ratio by the score of held-out rows.

        mean(degree, l1_ratio, alpha), as in `validate`, of the first columns of basis.transform(X)

    All degrees have the same folds, and share one design: that of a lower degree is its first
    columns, and so are its moments, where these are taken. Each has the grid of alphas that suits
    it, unless one is given.

    Parameters
    ----------
    basis : PolynomialBasis
        Of the largest degree or a higher one. Its range is that of the inputs it was made from, the
        held-out rows too if these are among them: no response is used.
    X : array or data frame of shape (n_samples, n_inputs)
        Inputs.
    y
        As in `validate`.
    degrees : sequence of int, optional
        Default: from 1 to that of the basis. Sorted.
    **arguments
        Of `validate`. By the one-standard-error rule the smallest degree within is taken first.
        ``penalty_factor``, ``lower`` and ``upper`` have an entry for each column of the basis.

    Returns
    -------
    ValidationResult
        With the degree as the first axis; its `path` and `result` have the columns of the chosen
        degree.

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.
    """
    if not isinstance(basis, PolynomialBasis):
        raise TypeError(f"basis must be a PolynomialBasis, got {type(basis).__name__}")
    known = _as_degrees(degrees, basis)
    _check_columns(arguments, basis)
    sizes = {degree: basis.n_columns(degree) for degree in known}
    return validate_nested(basis.transform(X), y, sizes, **arguments)


def validate_nested(
    design: Any, y: Any, sizes: Mapping[int, int], **arguments: Any
) -> ValidationResult:
    """Choose how many of the first columns of a design to use; see `validate_degrees`.

    Parameters
    ----------
    design : array of shape (n_samples, n_columns)
    y
        As in `validate`.
    sizes : mapping of int to int
        The number of columns of each degree, both increasing.
    **arguments
        Of `validate`.
    """
    started = monotonic()
    selection, refit = arguments.get("selection", "min"), arguments.get("refit", True)
    check_selection(selection)
    if arguments.get("relax") is not None:
        raise ValueError("relax must be None where degrees are validated")
    if not isinstance(refit, (bool, np.bool_)):
        raise TypeError(f"refit must be True or False, got {refit!r}")
    targets = as_float("y", y, ndim=(1, 2))
    fold_arguments = {name: arguments.pop(name) for name in _FOLDS if name in arguments}
    folds = make_folds(design, targets, **fold_arguments)
    nested = NestedFolds.of(folds, design)
    widths = list(sizes.values())
    each = [
        validate(
            design[:, :size],
            y,
            cv=nested,
            **{**_first(arguments, size), "refit": False, "selection": "min"},
        )
        for size in widths
    ]
    curve = Curve(
        alphas=_stack(each, "alphas"),
        mean=_stack(each, "mean"),
        standard_error=_stack(each, "standard_error"),
        n_active=_stack(each, "n_active"),
        greater_is_better=each[0].greater_is_better,
    )
    place = select(curve, selection)
    found = _joined(each, curve, place, several=np.ndim(arguments.get("l1_ratio", 1.0)) > 0)
    found = replace(found, degrees=tuple(sizes), selection=name_of(selection), folds=folds)
    if refit:
        i, j, k = place
        model = {k: v for k, v in _first(arguments, widths[i]).items() if k not in _OF_PATH}
        path = solve_path(
            design[:, : widths[i]],
            y,
            alphas=curve.alphas[i, j],
            l1_ratio=float(found.l1_ratios[j]),
            **model,
        )
        found = replace(
            found,
            path=path,
            result=path[k],
            largest_gap=max(found.largest_gap, float(np.max(path.relative_gap))),
            n_unconverged=found.n_unconverged + int(np.count_nonzero(path.status <= 0)),
            n_fits=found.n_fits + len(path),
            n_passes=found.n_passes + path.n_passes,
        )
    return replace(found, seconds=monotonic() - started)


def _joined(
    each: list[ValidationResult], curve: Curve, place: tuple[int, ...], *, several: bool
) -> ValidationResult:
    """Return one result of all degrees, with an axis for l1_ratio if there are several."""

    def drop(values: Any) -> Any:
        return values if several else values[:, 0]

    def short(index: tuple[int, ...]) -> tuple[int, ...]:
        return index if several else (index[0], index[2])

    return replace(
        each[0],
        alphas=drop(curve.alphas),
        fold_scores=np.stack([one.fold_scores for one in each]),
        mean=drop(curve.mean),
        standard_error=drop(curve.standard_error),
        n_active=drop(curve.n_active),
        index=short(place),
        index_min=short(best(curve)),
        index_1se=short(one_standard_error(curve)),
        largest_gap=max(one.largest_gap for one in each),
        n_unconverged=sum(one.n_unconverged for one in each),
        n_fits=sum(one.n_fits for one in each),
        n_passes=sum(one.n_passes for one in each),
    )


def _as_degrees(degrees: Any, basis: PolynomialBasis) -> list[int]:
    if degrees is None:
        return list(range(1, basis.degree + 1))
    if np.ndim(degrees) != 1 or len(degrees) == 0:
        raise ValueError(f"degrees must be a sequence of at least one integer, got {degrees!r}")
    for degree in degrees:
        basis.n_columns(degree)  # which says what is wrong
    return sorted({int(degree) for degree in degrees})


_OF_COLUMNS = ("penalty_factor", "lower", "upper")


def _check_columns(arguments: dict[str, Any], basis: PolynomialBasis) -> None:
    """Refuse what has not an entry for each column of the basis."""
    expected = (basis.n_columns(basis.degree),)
    for name in _OF_COLUMNS:
        shape = np.asarray(arguments.get(name)).shape
        if shape not in ((), expected):
            raise ValueError(
                f"{name} must have shape {expected}, as the basis has columns, got {shape}"
            )


def _first(arguments: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the arguments for the first columns."""
    own = dict(arguments)
    for name in _OF_COLUMNS:
        array = np.asarray(own.get(name))
        if array.ndim == 1:
            own[name] = array[:size]
    return own


def _stack(each: list[ValidationResult], name: str) -> Any:
    """Return one array over degree, l1_ratio and alpha."""
    arrays = [getattr(one, name) for one in each]
    return np.stack([array if array.ndim == 2 else array[None] for array in arrays])
