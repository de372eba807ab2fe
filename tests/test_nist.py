"""Least squares to as many certified digits as the best library reaches, on the NIST data."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import nist
import numpy as np
import oracle
import pytest
import scipy.linalg
from sklearn.linear_model import LinearRegression

import fastreg


@pytest.mark.parametrize("name", nist.NAMES)
def test_the_copy_of_the_data_is_right(name):
    """Rational arithmetic on the data gives every certified digit."""
    dataset = nist.load(name)
    coef, rss = nist.least_squares(dataset.columns, dataset.response, dataset.intercept)
    context = Context(prec=15, rounding=ROUND_HALF_UP)
    certified = (*dataset.certified, dataset.residual_sum_of_squares)
    assert len(certified) == len(coef) + 1
    for exact, printed in zip((*coef, rss), certified, strict=True):
        rounded = context.divide(Decimal(exact.numerator), Decimal(exact.denominator))
        assert Fraction(rounded) == Fraction(printed)


def by_fastreg(dataset):
    result = fastreg.solve(dataset.X, dataset.y, alpha=0.0, fit_intercept=dataset.intercept)
    return [*([result.intercept] if dataset.intercept else []), *result.coef]


def with_constant(dataset):
    return np.column_stack([np.ones(len(dataset.y)), dataset.X]) if dataset.intercept else dataset.X


def by_scikit_learn(dataset):
    model = LinearRegression(fit_intercept=dataset.intercept).fit(dataset.X, dataset.y)
    return [*([model.intercept_] if dataset.intercept else []), *model.coef_]


LIBRARIES = {
    "fastreg": by_fastreg,
    "numpy lstsq": lambda d: np.linalg.lstsq(with_constant(d), d.y, rcond=-1)[0],
    "scipy gelsd": lambda d: scipy.linalg.lstsq(with_constant(d), d.y, lapack_driver="gelsd")[0],
    "scipy gelsy": lambda d: scipy.linalg.lstsq(with_constant(d), d.y, lapack_driver="gelsy")[0],
    "scikit-learn": by_scikit_learn,
}


@pytest.mark.parametrize("name", nist.NAMES)
def test_correct_digits(name, request):
    """`double` is the exact solution of the data once they are rounded to double precision."""
    dataset = nist.load(name)
    truth = [Fraction(value) for value in dataset.certified]
    digits = {key: nist.correct_digits(fit(dataset), truth) for key, fit in LIBRARIES.items()}
    digits["double"] = nist.correct_digits(nist.exact_in_double(dataset), truth)
    request.config.stash[nist.TABLE][dataset.name] = digits
    best = max(value for key, value in digits.items() if key not in ("fastreg", "double"))
    assert digits["fastreg"] >= min(best, digits["double"]) - 0.5
    result = fastreg.solve(dataset.X, dataset.y, alpha=0.0, fit_intercept=dataset.intercept)
    assert result.status == fastreg.Status.CONVERGED
    oracle.check(result, dataset.X, dataset.y, alpha=0.0, fit_intercept=dataset.intercept)


@pytest.mark.parametrize("method", ["svd", "cholesky", "working_set", "gram", "krylov"])
def test_every_method_on_the_easy_sets(method):
    for name in ("norris", "noint1", "noint2", "wampler1"):
        dataset = nist.load(name)
        result = fastreg.solve(
            dataset.X, dataset.y, alpha=0.0, fit_intercept=dataset.intercept, method=method
        )
        oracle.check(
            result,
            dataset.X,
            dataset.y,
            alpha=0.0,
            fit_intercept=dataset.intercept,
            converged=result.converged,
        )
        assert result.converged or method == "krylov"
