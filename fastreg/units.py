"""Surveys of columns and responses: whether they are finite, and the units of the solvers.

Inside, every column and every response has unit size: columns are shifted by their mean (with an
intercept) and columns and responses are scaled by powers of two. Such a scaling is exact, so it
costs no digit, and squares of 1e150 cannot overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.dense import ROUGH, DenseDesign
from fastreg._core.design import Design
from fastreg.inputs import Array, is_sparse, name_bad_column, require_square, with_unit_stride

# A column whose deviation is below the rounding of its mean is constant.
CONSTANT = 8 * np.finfo(np.float64).eps
_FAR = 1e130  # of a response without weight, in units of the largest one with weight
_USUAL = 1e60  # size of a response that needs no care
_BLOCK = 1 << 20  # entries of X that are copied at a time


def penalty_units(
    factor: Array, excluded: npt.NDArray[np.bool_], deviation: Array | None
) -> tuple[Array, Array]:
    """Return `l1_unit` and `unit`; the deviations of the columns are given to standardize."""
    if excluded.any():
        factor = np.where(excluded, 0.0, factor)
    if deviation is None:
        return factor, np.ones(len(factor))
    with np.errstate(over="ignore"):
        return factor * deviation, deviation


def unit_scale(size: Array) -> Array:
    """Return the powers of two that bring columns of the given sizes to unit size."""
    exponent = np.frexp(np.where(size > 0, size, 1.0))[1]
    return np.asarray(np.ldexp(1.0, np.clip(-exponent, -1022, 1022)))


def survey_columns(
    matrix: Any,
    design: Design,
    weight: Array,
    responses: DenseDesign,
    wanted: npt.NDArray[np.int32],
    centre: bool,
    takes_float: bool,
) -> tuple[Array, Array, Array | None, Array | None, float]:
    """Return weighted means and standard deviations; refuse columns that are not finite.

    Also the products with the responses, and the Gram matrix if it is wanted; None where columns
    are so large or small that their squares overflow or underflow: of these, means and deviations
    are computed again, scaled by a power of two. Last comes the roughness of all of this, not zero
    only where float precision may do.
    """
    cross: Array | None
    gram: Array | None
    if takes_float and isinstance(design, DenseDesign):
        found = design.rough_survey(weight, responses, centre)
        if found is not None:
            mean, variance, cross, gram = found
            return mean, np.sqrt(variance), cross, gram, ROUGH
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean, variance, cross, gram = design.survey(weight, responses, wanted, centre)
    suspect = ~(np.isfinite(mean) & np.isfinite(variance) & (variance > 1e-280))
    if is_sparse(matrix):
        suspect &= np.diff(matrix.indptr) > 0
    elif suspect.any():
        candidates = np.flatnonzero(suspect)
        suspect[candidates] = ~_is_constant(matrix, candidates)
    with np.errstate(invalid="ignore"):
        deviation = np.sqrt(variance)
    if suspect.any():
        cross = gram = None
    if len(wanted) == 0:
        gram = None
    used = weight > 0
    for j in np.flatnonzero(suspect):
        column = np.asarray(matrix[:, [j]].toarray() if is_sparse(matrix) else matrix[:, j])
        column = column.astype(np.float64).ravel()
        if not np.isfinite(column).all():
            raise name_bad_column(column, int(j))
        column = column[used]
        exponent = int(np.frexp(np.abs(column).max())[1])
        small = np.ldexp(column, -exponent)
        center = small[0] + weight[used] @ (small - small[0])
        square = weight[used] @ (small - center) ** 2 - (weight[used] @ (small - center)) ** 2
        mean[j] = np.ldexp(center, exponent)
        deviation[j] = np.ldexp(np.sqrt(max(square, 0.0)), exponent)
    deviation[deviation <= CONSTANT * np.abs(mean)] = 0.0
    return mean, deviation, cross, gram, 0.0


def _is_constant(matrix: npt.NDArray[Any], columns: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return which of the columns hold one finite value only, a bounded number at a time."""
    step = max(1, _BLOCK // len(matrix))
    blocks = [matrix[:, columns[k : k + step]] for k in range(0, len(columns), step)]
    return np.concatenate([np.isfinite(b[0]) & (b == b[0]).all(axis=0) for b in blocks])


@dataclass(frozen=True)
class Responses:
    """Responses as they are read, their units, and their length inside."""

    targets: Array  # n x m
    design: DenseDesign
    mean: Array
    scale: Array
    size: Array


def survey_responses(targets: Array, weight: Array, weighted: bool, centre: bool) -> Responses:
    """Check the responses and return them with the units in which they are standardised.

    They are left where they lie, and are read once, unless a power of two cannot scale them within
    the range of numbers.
    """
    if min(targets.strides) <= 0:
        targets = targets.copy()
    targets = with_unit_stride(targets)
    largest = require_square("y", targets) if weighted else 0.0
    design = DenseDesign(targets)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        mean, variance = design.moments(weight)
        level = np.abs(mean)
        # With equal weights a value that is too large shows in its mean or its variance.
        usual = (level < _USUAL) & (variance < _USUAL**2)
        usual &= (variance > _USUAL**-2) | (level > _USUAL**-0.5)
        deviation = np.sqrt(variance)
        usual &= largest <= _USUAL * np.maximum(deviation, level)
    if not usual.all():
        require_square("y", targets)
        rows, mean, scale = _standardise_responses(targets, weight, centre)
        return Responses(rows.T, DenseDesign(rows.T), mean, scale, np.sqrt((rows * rows) @ weight))
    if centre:
        size = np.where(deviation <= CONSTANT * level, 0.0, deviation)
    else:
        size, mean = np.hypot(deviation, mean), np.zeros(len(mean))
    scale = np.ldexp(1.0, np.where(size > 0, np.frexp(size)[1], 0))
    inverse = np.where(size > 0, 1.0 / scale, 0.0)
    design.set_units(mean, inverse)
    return Responses(targets, design, mean, scale, size * inverse)


def _standardise_responses(
    responses: Array, weight: Array, centre: bool
) -> tuple[Array, Array, Array]:
    """Return the responses as rows, centred and divided by a power of two, and both numbers."""
    rows = np.ascontiguousarray(responses.T)
    largest = np.abs(rows[:, weight > 0]).max(axis=1)
    first = np.where(largest > 0, np.frexp(largest)[1], 0)
    # Rows without weight may be far larger; their squares must stay numbers.
    with np.errstate(over="ignore"):
        rows = np.clip(np.ldexp(rows, -first[:, None]), -_FAR, _FAR)
    mean = np.zeros(len(rows))
    if centre:
        for _ in range(2):  # the second round removes the rounding of the first
            shift = rows @ weight
            rows -= shift[:, None]
            mean += shift
    size = np.sqrt((rows * rows) @ weight)
    size[size <= CONSTANT * np.abs(mean)] = 0.0
    rows[size == 0] = 0.0
    second = np.where(size > 0, np.frexp(size)[1], 0)
    rows = np.ldexp(rows, -second[:, None])
    return rows, np.ldexp(mean, first), np.ldexp(1.0, first + second)
