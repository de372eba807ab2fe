"""The NIST Statistical Reference Datasets for linear least squares, and exact arithmetic on them.

The files in nist_data hold decimals as NIST prints them. Data and certified values are works of
the United States government and in the public domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

NAMES = (
    "norris",
    "pontius",
    "noint1",
    "noint2",
    "filip",
    "longley",
    "wampler1",
    "wampler2",
    "wampler3",
    "wampler4",
    "wampler5",
)
TABLE = pytest.StashKey[dict]()  # filled by test_nist.py, printed at the end of the tests


@dataclass(frozen=True)
class Dataset:
    name: str
    intercept: bool
    certified: tuple[str, ...]  # the intercept first, if there is one
    residual_sum_of_squares: str
    columns: tuple[tuple[Fraction, ...], ...]  # exact, without the constant
    response: tuple[Fraction, ...]

    @property
    def X(self):
        """The design in double precision; powers are rounded from their exact values."""
        return np.array([[float(v) for v in column] for column in self.columns]).T

    @property
    def y(self):
        return np.array([float(v) for v in self.response])


@cache
def load(name):
    header, rows = {}, []
    for line in (Path(__file__).parent / "nist_data" / f"{name}.txt").read_text().splitlines():
        if not line.startswith("#"):
            rows.append([Fraction(token) for token in line.split()])
        elif ": " in line:
            key, value = line[2:].split(": ", 1)
            header[key] = (*header.get(key, ()), value)
    response, *columns = zip(*rows, strict=True)
    kind, *degree = header["model"][0].split()
    if kind == "polynomial":
        columns = [tuple(v**k for v in columns[0]) for k in range(1, int(degree[0]) + 1)]
    return Dataset(
        name=header["name"][0],
        intercept=header["intercept"] == ("yes",),
        certified=tuple(" ".join(header["certified"]).split()),
        residual_sum_of_squares=header["residual sum of squares"][0],
        columns=tuple(columns),
        response=response,
    )


def least_squares(columns, response, intercept):
    """Exact coefficients (the intercept first) and residual sum of squares, in rationals."""
    if intercept:
        columns = [(Fraction(1),) * len(response), *columns]
    normal = [
        [sum(u * v for u, v in zip(left, right, strict=True)) for right in (*columns, response)]
        for left in columns
    ]
    size = len(columns)
    for k in range(size):
        pivot = normal[k][k]  # positive: the columns are independent
        for row in normal[k + 1 :]:
            ratio = row[k] / pivot
            for m in range(k, size + 1):
                row[m] -= ratio * normal[k][m]
    coef = [Fraction(0)] * size
    for k in reversed(range(size)):
        rest = sum(normal[k][m] * coef[m] for m in range(k + 1, size))
        coef[k] = (normal[k][size] - rest) / normal[k][k]
    residual = [
        value - sum(c * column[i] for c, column in zip(coef, columns, strict=True))
        for i, value in enumerate(response)
    ]
    return coef, sum(r * r for r in residual)


def exact_in_double(dataset):
    """Exact least squares of the data as rounded to double: what the best solver could return."""
    X, y = dataset.X, dataset.y
    columns = [tuple(Fraction(float(v)) for v in column) for column in X.T]
    return least_squares(columns, tuple(Fraction(float(v)) for v in y), dataset.intercept)[0]


def correct_digits(coef, truth):
    """The smallest number of correct digits over the coefficients, at most 15."""
    errors = [
        abs(Fraction(value) - exact) / abs(exact) if np.isfinite(value) else Fraction(1)
        for value, exact in zip(map(float, coef), truth, strict=True)
    ]
    return float(np.clip(-np.log10(max(float(max(errors)), 1e-15)), 0, 15))
