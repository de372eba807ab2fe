"""Polynomials as sums of powers of their inputs, and the exact arithmetic that leads there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.inputs import Array, as_matrix_of

Polynomial = dict[tuple[int, ...], Fraction]


@dataclass(frozen=True)
class Monomials:
    """A polynomial as a sum of powers of the inputs: intercept + sum_k coef_k prod_i x_i^e_ki.

    Attributes
    ----------
    exponents : ndarray of int, shape (n_monomials, n_inputs)
        e, ordered by degree.
    coef : ndarray of shape (n_monomials,)
        Exact values, rounded once.
    intercept : float
        The constant.
    digits_lost : float
        Decimal digits that may cancel where this is evaluated on the range of the inputs: of 16,
        about 16 minus this many are left.
    """

    exponents: npt.NDArray[np.intp]
    coef: Array
    intercept: float
    digits_lost: float

    def predict(self, X: Any) -> Array:
        """Return the values of the polynomial, of shape (n,).

        Raises
        ------
        TypeError, ValueError
            If X has a wrong type or shape, or is not finite.
        """
        x = np.asarray(as_matrix_of(X, self.exponents.shape[1], None), dtype=np.float64)
        value = np.full(len(x), self.intercept)
        for powers, coef in zip(self.exponents, self.coef, strict=True):
            value += coef * np.prod(x**powers, axis=1)
        return value


def multiply(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    """Return the product of two polynomials of one input."""
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, u in enumerate(a):
        if u:
            for j, v in enumerate(b):
                out[i + j] += u * v
    return out


def times(term: Polynomial, factor: list[Fraction], i: int) -> Polynomial:
    """Return a polynomial, which has no power of input i yet, times one of that input."""
    return {
        (*powers[:i], e, *powers[i + 1 :]): value * c
        for powers, value in term.items()
        for e, c in enumerate(factor)
        if c
    }
