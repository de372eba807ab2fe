"""Proximal operators in a diagonal metric, for the tensors of any library.

`xp` is the namespace of the tensors: `torch`, `keras.ops`, `numpy`. Whatever is passed in stays on
its device, and nothing is written to.
"""

from typing import Any, NamedTuple

#: Steps of Newton's method for a group norm. They only move up to the root, quadratically at the
#: end; scales that differ ten-thousandfold within one group take six.
NEWTON_STEPS = 6

_TINY = 1e-30  # keeps 0/0 away, and is nothing beside any other number


class Root(NamedTuple):
    """The scale ``sqrt(square) + add``."""

    square: Any
    add: Any


def prox(
    xp: Any, z: Any, lr: Any, scale: Any, *, l1: float, l2: float, axis: int | None = None
) -> Any:
    """Minimise ``sum_i scale_i (w_i - z_i)^2 / (2 lr) + l1 |w| + l2/2 |w|^2`` over w.

    Parameters
    ----------
    xp : namespace
        Of z: numpy, torch, keras.ops.
    z : tensor
    lr : float or tensor of no dimension
        Positive, or zero, with which w is z.
    scale : float, tensor or Root
        Positive: one for all, or one for each element of z.
    l1, l2 : float
        Not negative.
    axis : int, optional
        By default ``|w|`` is the sum of absolute values. With an axis it is the sum of the
        Euclidean norms of the slices along it, each of which is kept or zero as a whole. (With one
        axis slices are single numbers. Libraries differ in what a sum over no axis is.)

    Returns
    -------
    tensor
        The minimiser, with exact zeros.
    """
    least = _least(z)  # the scale is zero, as lr is, where an optimizer has skipped its first step
    if isinstance(scale, Root):
        scale = xp.sqrt(scale.square) + (scale.add + least)
    else:
        scale = scale + least
    # In this order nothing is rounded where lr or both penalties are zero.
    kept = 1.0 / (1.0 + lr * l2 / scale) if l2 > 0.0 else 1.0
    threshold = lr * l1 / scale
    if l1 > 0.0 and axis is not None and len(z.shape) > 1:
        return _group_shrink(xp, z * kept, threshold * kept, axis)
    if l1 > 0.0:
        z = z - xp.clip(z, -threshold, threshold)
    return z * kept


def _least(z: Any) -> float:
    """Return a number that is nothing beside a scale, and not zero in the type of z."""
    dtype = str(z.dtype)
    return 6e-8 if "float16" in dtype and "bfloat16" not in dtype else _TINY


def _group_shrink(xp: Any, z: Any, threshold: Any, axis: int) -> Any:
    """Shrink the slices of z along an axis.

    The slice w has the norm n > 0 that solves ``sum_i (z_i / (n + threshold_i))^2 = 1``, or is zero
    if there is none. One over the root of the sum is concave in n, so that a step of Newton's
    method ends below the root from wherever it starts, and from below it only moves up. The start
    is the root where all thresholds are equal, and else to first order in them.
    """
    others = _others(z, axis)

    def total(x: Any) -> Any:
        return xp.sum(x, axis=others, keepdims=True)

    each = len(getattr(threshold, "shape", ())) > 0
    square = total(z * z)
    mean = total(z * z * threshold) / (square + _TINY) if each else threshold
    norm = xp.sqrt(square) - mean
    norm = xp.where(norm > 0.0, norm, xp.zeros_like(norm))

    def step(norm: Any, change: Any) -> tuple[Any, Any]:
        below = norm + threshold + _TINY
        squares = (z / below) ** 2
        value = total(squares)
        rise = value * (xp.sqrt(value) - 1.0) / (total(squares / below) + _TINY)
        change = xp.where(rise > -norm, rise, -norm)
        return norm + change, change

    if each and xp.__name__.startswith("keras"):  # compiled with the rest of a training step
        # What a step leaves is the square of what it changes. Mostly the start is enough.
        enough = 1e-8 if "float64" in str(z.dtype) else 3e-4
        largest = xp.amax(threshold, axis=others, keepdims=True)
        norm, _ = xp.while_loop(
            lambda norm, change: xp.any(xp.abs(change) > enough * norm),
            step,
            (norm, xp.where(square > 0.0, largest, xp.zeros_like(norm))),
            maximum_iterations=NEWTON_STEPS,
        )
    elif each:
        # A loop that ends sooner would wait for the numbers of another device.
        change = norm
        for _ in range(NEWTON_STEPS):
            norm, change = step(norm, change)
    return z * (norm / (norm + threshold + _TINY))


def _others(z: Any, axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(len(z.shape)) if i != axis % len(z.shape))


def penalty(xp: Any, w: Any, *, l1: float, l2: float, axis: int | None = None) -> Any:
    """Return ``l1 |w| + l2/2 |w|^2``, with the norms of `prox`."""
    value = 0.5 * l2 * xp.sum(w * w) if l2 > 0.0 else 0.0
    if l1 == 0.0:
        return value
    if axis is None or len(w.shape) == 1:
        return value + l1 * xp.sum(xp.abs(w))
    return value + l1 * xp.sum(xp.sqrt(xp.sum(w * w, axis=_others(w, axis))))
