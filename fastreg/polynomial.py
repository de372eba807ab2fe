"""Polynomials of one or more inputs, as columns of a design that all degrees share.

Each column is a product of one-dimensional polynomials of the inputs. Legendre and Chebyshev
polynomials are those of the inputs scaled to [-1, 1], so that columns of all degrees have about the
same size and are far from dependent; powers of the inputs themselves are neither, but familiar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.inputs import Array, as_float, as_matrix, as_matrix_of, is_sparse
from fastreg.monomials import Monomials, Polynomial, multiply, times

KINDS = ("legendre", "chebyshev", "monomial")
INTERACTIONS = ("total", "full", "none")
OUTSIDE = ("extrapolate", "clip", "error")

_SYMBOLS = {"legendre": "P", "chebyshev": "T"}
_MOST_COLUMNS = 10_000_000
_MOST_DEGREE = 1000


@dataclass(frozen=True, repr=False)
class PolynomialBasis:
    """The columns prod_i q_(e_ki)(x_i) for all exponents e_k up to a degree, without the constant.

    Made by `PolynomialBasis.of`. The columns are ordered by degree, so that those of a lower degree
    come first: ``transform(X)[:, : n_columns(d)]`` is the design of degree d.

    Attributes
    ----------
    degree : int
        The largest.
    kind : {"legendre", "chebyshev", "monomial"}
        The polynomials q.
    interactions : {"total", "full", "none"}
        Which exponents there are; see `of`.
    outside : {"extrapolate", "clip", "error"}
        What `transform` does outside of the range; see `of`.
    low, high : ndarray of shape (n_inputs,)
        Range of each input, which is scaled to [-1, 1].
    exponents : ndarray of int, shape (n_columns, n_inputs)
        One row a column.
    input_names : tuple of str
        Names of the inputs.
    from_frame : bool
        Whether the names are those of a data frame, whose columns are then taken by name.
    """

    degree: int
    kind: str
    interactions: str
    outside: str
    low: Array
    high: Array
    exponents: npt.NDArray[np.intp]
    input_names: tuple[str, ...]
    from_frame: bool = False

    @classmethod
    def of(
        cls,
        X: Any,
        degree: int,
        *,
        kind: str = "legendre",
        interactions: str = "total",
        outside: str = "extrapolate",
    ) -> PolynomialBasis:
        """Return the basis for the range of X.

        Parameters
        ----------
        X : array or data frame of shape (n_samples, n_inputs)
            Dense.
        degree : int
            At least 1.
        kind : {"legendre", "chebyshev", "monomial"}, default "legendre"
            Orthogonal polynomials P_k or T_k of the inputs scaled to [-1, 1], of maximum 1 there;
            or powers of the inputs as they are.
        interactions : {"total", "full", "none"}, default "total"
            "total": products whose degrees add up to at most `degree`. "full": products of degrees
            of at most `degree` each. "none": no products.
        outside : {"extrapolate", "clip", "error"}, default "extrapolate"
            For inputs outside of the range of X: the polynomials go on, growing as the `degree`-th
            power of the distance; inputs are moved to the end of the range; or an error.

        Raises
        ------
        TypeError, ValueError
            If an argument is not acceptable; the message names it and says what is.
        """
        _check_degree(degree)
        for name, value, known in (
            ("kind", kind, KINDS),
            ("interactions", interactions, INTERACTIONS),
            ("outside", outside, OUTSIDE),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if is_sparse(X):
            raise TypeError("X must be a dense array, got a sparse one: polynomials fill its zeros")
        matrix, names = as_matrix(X)
        matrix = as_matrix_of(matrix, matrix.shape[1], None)  # finite
        low, high = matrix.min(axis=0), matrix.max(axis=0)
        d = matrix.shape[1]
        return cls(
            degree=int(degree),
            kind=kind,
            interactions=interactions,
            outside=outside,
            low=low.astype(np.float64),
            high=high.astype(np.float64),
            exponents=_exponents(int(degree), d, interactions),
            input_names=names or tuple(f"x{i}" for i in range(d)),
            from_frame=names is not None,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, for example "P2(x0) P1(x1)" or "x0^2 x1"."""
        return tuple(
            " ".join(
                _name(self.kind, name, int(e))
                for name, e in zip(self.input_names, row, strict=True)
                if e
            )
            for row in self.exponents
        )

    @property
    def degrees(self) -> npt.NDArray[np.intp]:
        """Degree of each column: the first d for which it belongs to the design of degree d."""
        return _degree_of(self.exponents, self.interactions)

    def n_columns(self, degree: int) -> int:
        """Return how many columns, the first ones, the design of a lower degree has.

        Raises
        ------
        TypeError, ValueError
            If degree is not an integer from 1 to that of the basis.
        """
        _check_degree(degree, self.degree)
        return int(np.searchsorted(self.degrees, degree, side="right"))

    def up_to(self, degree: int) -> PolynomialBasis:
        """Return the basis of a lower degree: the first columns of this one.

        Raises
        ------
        TypeError, ValueError
            If degree is not an integer from 1 to that of the basis.
        """
        n = self.n_columns(degree)
        return replace(self, degree=int(degree), exponents=self.exponents[:n])

    def transform(self, X: Any) -> Array:
        """Return the columns for some rows: shape (n, n_columns), in Fortran order.

        Raises
        ------
        TypeError, ValueError
            If X has a wrong type, shape or name, or is not finite; with outside="error" also if it
            leaves the range.
        """
        if is_sparse(X):
            raise TypeError("X must be a dense array, got a sparse one: polynomials fill its zeros")
        names = self.input_names if self.from_frame else None
        x = np.asarray(as_matrix_of(X, len(self.low), names), dtype=np.float64)
        beyond = (x < self.low) | (x > self.high)
        if self.outside == "error" and beyond.any():
            row, i = np.argwhere(beyond)[0]
            raise ValueError(
                f"X leaves the range of the basis: {self.input_names[i]} is {x[row, i]:g} in row "
                f"{row}, and the range is {self.low[i]:g} to {self.high[i]:g}"
            )
        if self.outside == "clip":
            x = np.clip(x, self.low, self.high)
        most = self.exponents.max(axis=0)
        parts = [self._values(x[:, i], i, int(most[i])) for i in range(len(self.low))]
        design = np.empty((len(x), len(self.exponents)), order="F")
        with np.errstate(over="ignore", invalid="ignore"):
            for k, row in enumerate(self.exponents):
                some = np.flatnonzero(row)
                design[:, k] = parts[some[0]][row[some[0]]]
                for i in some[1:]:
                    design[:, k] *= parts[i][row[i]]
        if not np.isfinite(design).all():
            raise ValueError(
                f"X is too large for degree {self.degree}: a column overflows; use "
                'kind="legendre", outside="clip" or a lower degree'
            )
        return design

    def _values(self, x: Array, i: int, degree: int) -> list[Array]:
        """Return q_0(x), ..., q_degree(x) of input i."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.kind != "monomial":
                low, high = self.low[i], self.high[i]
                half = 0.5 * high - 0.5 * low
                # the ends of the range become -1 and 1 exactly; a constant input becomes 0
                x = (0.5 * x - 0.5 * low + (0.5 * x - 0.5 * high)) / half if half > 0 else 0.0 * x
            values = [np.ones(len(x)), x]
            for k in range(1, degree):
                a, b, c = _RECURRENCE[self.kind](k)
                values.append((a * x * values[k] - b * values[k - 1]) / c)
        return values

    def to_monomials(self, coef: Any, intercept: float = 0.0) -> Monomials:
        """Return the same polynomial in powers of the inputs, by exact arithmetic.

        Numbers are rational, coefficients are computed without rounding, and rounded once at the
        end. What a high degree loses in powers it loses when they are evaluated: `digits_lost`.

        Parameters
        ----------
        coef : array of shape (n,)
            Coefficients of the first n columns: all, or those of a lower degree.
        intercept : float, default 0.0
            The constant.

        Raises
        ------
        TypeError, ValueError
            If coef is not such an array, or a coefficient of a power is too large for a double.
        """
        w = as_float("coef", coef, ndim=(1,))
        if len(w) > len(self.exponents):
            raise ValueError(
                f"coef must have at most {len(self.exponents)} entries, as the basis has columns, "
                f"got {len(w)}"
            )
        if not (np.isfinite(w).all() and np.isfinite(intercept)):
            raise ValueError("coef and intercept must be finite")
        d = len(self.low)
        zero = (0,) * d
        total: Polynomial = {zero: Fraction(float(intercept))}
        most = self.exponents.max(axis=0)
        parts = [self._powers(i, int(most[i])) for i in range(d)]
        used = np.flatnonzero(w)
        for k in used:
            term: Polynomial = {zero: Fraction(float(w[k]))}
            for i, e in enumerate(self.exponents[k]):
                if e:
                    term = times(term, parts[i][e], i)
            for powers, value in term.items():
                total[powers] = total.get(powers, Fraction(0)) + value
        constant = total.pop(zero)
        # those of the columns that are used, and what they bring with them
        keys = sorted((key for key, v in total.items() if v), key=lambda e: (sum(e), _reverse(e)))
        try:
            values = np.array([float(total[key]) for key in keys])
            first = float(constant)
        except OverflowError:
            raise ValueError(
                "coef has no monomial form in double precision: a coefficient overflows"
            ) from None
        exponents = np.array(keys, dtype=np.intp).reshape(len(keys), d)
        reach = np.maximum(np.abs(self.low), np.abs(self.high))
        with np.errstate(over="ignore"):
            size = abs(first) + float(np.abs(values) @ np.prod(reach**exponents, axis=1))
        scale = abs(float(intercept)) + float(np.abs(w).sum())
        if self.kind == "monomial":
            scale = size
        lost = np.log10(size / scale) if size > scale > 0 else 0.0
        return Monomials(exponents, values, first, float(lost))

    def _powers(self, i: int, degree: int) -> list[list[Fraction]]:
        """Return q_0, ..., q_degree of input i as coefficients of its powers."""
        one = Fraction(1)
        x = [Fraction(0), one]
        if self.kind != "monomial":
            low, high = Fraction(float(self.low[i])), Fraction(float(self.high[i]))
            x = [-(low + high) / (high - low), 2 / (high - low)] if high > low else [Fraction(0)]
        found: list[list[Fraction]] = [[one], x]
        for k in range(1, degree):
            a, b, c = _RECURRENCE[self.kind](k)
            longer = multiply(x, found[k])
            row = [Fraction(a) * value for value in longer]
            for j, value in enumerate(found[k - 1]):
                row[j] -= b * value
            found.append([value / c for value in row])
        return found

    def __repr__(self) -> str:
        """Return a short table."""
        names = self.names
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        ranges = ", ".join(
            f"{name} in [{low:.6g}, {high:.6g}]"
            for name, low, high in zip(
                self.input_names[:4], self.low[:4], self.high[:4], strict=True
            )
        )
        more = ", ..." if len(self.low) > 4 else ""
        return (
            f"PolynomialBasis: {self.kind}, degree {self.degree}, interactions "
            f"{self.interactions!r}, {len(names)} columns\n  {shown}\n  {ranges}{more}; outside: "
            f"{self.outside}"
        )


# k -> a, b, c with c q_(k+1) = a x q_k - b q_(k-1)
_RECURRENCE: dict[str, Callable[[int], tuple[int, int, int]]] = {
    "legendre": lambda k: (2 * k + 1, k, k + 1),
    "chebyshev": lambda k: (2, 1, 1),
    "monomial": lambda k: (1, 0, 1),
}


def _check_degree(degree: Any, most: int = _MOST_DEGREE) -> None:
    if isinstance(degree, (bool, np.bool_)) or not isinstance(degree, (int, np.integer)):
        raise TypeError(f"degree must be an integer, got {degree!r}")
    if not 1 <= degree <= most:
        raise ValueError(f"degree must be >= 1 and <= {most}, got {degree}")


def _name(kind: str, name: str, e: int) -> str:
    if kind == "monomial":
        return name if e == 1 else f"{name}^{e}"
    return f"{_SYMBOLS[kind]}{e}({name})"


def _reverse(powers: tuple[int, ...]) -> tuple[int, ...]:
    """Return a key that puts high powers of the first inputs first."""
    return tuple(-e for e in powers)


def _degree_of(exponents: npt.NDArray[np.intp], interactions: str) -> npt.NDArray[np.intp]:
    return np.asarray(exponents.max(axis=1) if interactions == "full" else exponents.sum(axis=1))


def _exponents(degree: int, d: int, interactions: str) -> npt.NDArray[np.intp]:
    """Return all exponents but those of the constant, a lower degree before a higher one."""
    if interactions == "none":
        rows = [
            tuple(k * (i == j) for j in range(d)) for k in range(1, degree + 1) for i in range(d)
        ]
        return np.array(rows, dtype=np.intp).reshape(-1, d)
    if interactions == "total":
        count = 1.0
        for i in range(d):
            count *= (degree + i + 1) / (i + 1)
    else:
        count = float(degree + 1) ** d
    if count > _MOST_COLUMNS:
        raise ValueError(
            f"degree {degree} of {d} inputs makes {count:.3g} columns, more than {_MOST_COLUMNS}; "
            'lower it, or use interactions="none"'
        )
    if interactions == "full":
        every = [tuple(row) for row in product(range(degree + 1), repeat=d)]
        every.sort(key=lambda e: (max(e), sum(e), _reverse(e)))
    else:
        every = sorted(_compositions(degree, d), key=lambda e: (sum(e), _reverse(e)))
    return np.array(every[1:], dtype=np.intp).reshape(-1, d)


def _compositions(degree: int, d: int) -> list[tuple[int, ...]]:
    """Return all tuples of d numbers >= 0 whose sum is at most the degree."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(d):
        found = [(*row, e) for row in found for e in range(degree - sum(row) + 1)]
    return found
