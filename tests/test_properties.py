"""What must hold for every data set, checked with hypothesis."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import fastreg

PENALTIES = [(0.05, 1.0), (0.2, 0.5), (0.1, 0.0), (0.002, 1.0)]
TIGHT = {"tol": 1e-13}


@st.composite
def data(draw, *, max_rows=14, max_columns=9):
    """X, y and random numbers: Gaussian or small integers (so with ties), dense or CSC."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, p = draw(st.integers(2, max_rows)), draw(st.integers(1, max_columns))
    X = rng.standard_normal((n, p)) if draw(st.booleans()) else rng.integers(-2, 3, (n, p)) * 1.0
    y = X @ rng.integers(-1, 2, p) + rng.standard_normal(n)
    return X, y, rng


def models():
    return st.fixed_dictionaries(
        {"fit_intercept": st.booleans(), "standardize": st.booleans(), "positive": st.booleans()}
    )


def penalties():
    return st.sampled_from([{"alpha": alpha, "l1_ratio": ratio} for alpha, ratio in PENALTIES])


def storages():
    return st.sampled_from([np.array, np.asfortranarray, scipy.sparse.csc_array])


def same_fit(one, other, X, other_X=None, scale=1.0, factor=1.0):
    """Two solutions of one problem: equal values, and predictions as near as the proofs say.

    `other` is the solution for the response times `scale`.
    """
    other_X = X if other_X is None else other_X
    slack = 2 * one.tolerance + 1e-14 * one.null_objective
    assert abs(one.objective - other.objective / scale**2) <= slack
    apart = np.mean((one.predict(X) - other.predict(other_X) / scale) ** 2)
    assert apart <= factor * (8 * slack + 1e-20)


@given(data(), models(), penalties(), storages())
def test_every_answer_is_proven(problem, model, penalty, storage):
    X, y, _ = problem
    result = fastreg.solve(storage(X), y, **model, **penalty)
    oracle.check(result, X, y, **model, **penalty)


@given(data(), models(), storages())
def test_integer_weights_are_repeated_rows(problem, model, storage):
    """In the grid, in the path and in a single solution."""
    X, y, rng = problem
    weight = rng.integers(0, 4, len(y))
    weight[0] = 2
    repeated_X, repeated_y = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    arguments = {"n_alphas": 5, "eps": 0.02, **model}
    grid = fastreg.alpha_grid(storage(X), y, sample_weight=weight, **arguments)
    np.testing.assert_allclose(
        grid,
        fastreg.alpha_grid(storage(repeated_X), repeated_y, **arguments),
        rtol=1e-9,
        atol=1e-14,
    )
    arguments = {"alphas": grid, **model, **TIGHT}
    weighted = fastreg.solve_path(storage(X), y, sample_weight=weight, **arguments)
    repeated = fastreg.solve_path(storage(repeated_X), repeated_y, **arguments)
    for one, other in zip(weighted, repeated, strict=True):
        same_fit(one, other, repeated_X)
    for alpha, l1_ratio in PENALTIES:
        penalty = {"alpha": alpha, "l1_ratio": l1_ratio, **model, **TIGHT}
        same_fit(
            fastreg.solve(storage(X), y, sample_weight=weight, **penalty),
            fastreg.solve(storage(repeated_X), repeated_y, **penalty),
            repeated_X,
        )


@given(data(), models(), penalties(), storages())
def test_rows_of_weight_zero_are_as_good_as_removed(problem, model, penalty, storage):
    X, y, rng = problem
    weight = rng.uniform(0.5, 2, len(y))
    weight[1::2] = 0
    wild = X.copy()
    wild[1::2] *= 1e3
    kept = weight > 0
    one = fastreg.solve(storage(wild), y, sample_weight=weight, **model, **penalty, **TIGHT)
    other = fastreg.solve(
        storage(X[kept]), y[kept], sample_weight=weight[kept], **model, **penalty, **TIGHT
    )
    same_fit(one, other, X[kept])


@given(data(), models(), penalties(), st.sampled_from([1e-6, 0.5, 4096.0, 1e7]))
def test_weights_have_no_unit(problem, model, penalty, factor):
    X, y, rng = problem
    weight = rng.uniform(0.5, 2, len(y))
    one = fastreg.solve(X, y, sample_weight=weight, **model, **penalty, **TIGHT)
    other = fastreg.solve(X, y, sample_weight=factor * weight, **model, **penalty, **TIGHT)
    same_fit(one, other, X, factor=4)
    assert other.objective == pytest.approx(one.objective, rel=1e-9)


@given(data(), models(), penalties(), storages())
def test_the_order_of_columns_and_rows_is_nothing(problem, model, penalty, storage):
    X, y, rng = problem
    columns, rows = rng.permutation(X.shape[1]), rng.permutation(len(y))
    factor = rng.uniform(0, 2, X.shape[1])
    one = fastreg.solve(storage(X), y, penalty_factor=factor, **model, **penalty, **TIGHT)
    other = fastreg.solve(
        storage(X[rows][:, columns]),
        y[rows],
        penalty_factor=factor[columns],
        **model,
        **penalty,
        **TIGHT,
    )
    same_fit(one, other, X, X[:, columns])


@given(data(), models(), penalties(), storages(), st.sampled_from([1e-100, 1e-6, 3.0]))
def test_scaling_y(problem, model, penalty, storage, scale):
    """y times c and alpha l1 times c: everything is c times as large."""
    X, y, _ = problem
    l1, l2 = (penalty["alpha"] * ratio for ratio in (penalty["l1_ratio"], 1 - penalty["l1_ratio"]))
    alpha = l1 * scale + l2
    one = fastreg.solve(storage(X), y, **model, **penalty, **TIGHT)
    other = fastreg.solve(
        storage(X), y * scale, alpha=alpha, l1_ratio=l1 * scale / alpha, **model, **TIGHT
    )
    same_fit(one, other, X, scale=scale)
    assert other.null_objective / scale / scale == pytest.approx(one.null_objective)


@given(data(), st.booleans(), storages(), st.sampled_from([1e-3, 1.0]))
def test_scaling_columns(problem, fit_intercept, storage, l1_ratio):
    """Columns times d and factors times d (lasso) or d^2 (ridge): the same predictions."""
    X, y, rng = problem
    d = 10.0 ** rng.uniform(-8, 8, X.shape[1])
    model = {"alpha": 0.05, "fit_intercept": fit_intercept, **TIGHT}
    if l1_ratio == 1.0:
        factor, ratio = d, 1.0
    else:
        factor, ratio = d * d, 0.0
    one = fastreg.solve(storage(X), y, l1_ratio=ratio, **model)
    other = fastreg.solve(storage(X * d), y, l1_ratio=ratio, penalty_factor=factor, **model)
    same_fit(one, other, X, X * d)
    standardized = {"l1_ratio": 0.7, "standardize": True, **model}
    same_fit(
        fastreg.solve(storage(X), y, **standardized),
        fastreg.solve(storage(X * d), y, **standardized),
        X,
        X * d,
    )


@given(data(), penalties(), st.booleans(), storages())
def test_flipping_signs(problem, penalty, fit_intercept, storage):
    X, y, rng = problem
    signs = rng.choice([-1.0, 1.0], X.shape[1])
    lower, upper = -rng.uniform(0, 1, X.shape[1]), rng.uniform(0, 1, X.shape[1])
    swapped = np.where(signs > 0, [lower, upper], [-upper, -lower])
    model = {"fit_intercept": fit_intercept, **penalty, **TIGHT}
    one = fastreg.solve(storage(X), y, lower=lower, upper=upper, **model)
    columns = fastreg.solve(storage(X * signs), y, lower=swapped[0], upper=swapped[1], **model)
    same_fit(one, columns, X, X * signs)
    response = fastreg.solve(storage(X), -y, lower=-upper, upper=-lower, **model)
    same_fit(one, response, X, scale=-1.0)


@given(data(), models(), st.integers(1, 7))
def test_splitting_a_grid_changes_nothing(problem, model, cut):
    X, y, _ = problem
    alphas = np.geomspace(1.0, 1e-3, 8)
    whole = fastreg.solve_path(X, y, alphas=alphas, **model, **TIGHT)
    parts = [
        *fastreg.solve_path(X, y, alphas=alphas[:cut], **model, **TIGHT),
        *fastreg.solve_path(X, y, alphas=alphas[cut:], **model, **TIGHT),
    ]
    for one, other in zip(whole, parts, strict=True):
        same_fit(one, other, X)


@given(data(), models(), st.sampled_from([1.0, 0.5, 0.01]), storages())
def test_alpha_max_is_the_smallest(problem, model, l1_ratio, storage):
    X, y, _ = problem
    model = {**model, "l1_ratio": l1_ratio}
    top = fastreg.alpha_max(storage(X), y, **model)
    zero = fastreg.solve(storage(X), y, alpha=top * (1 + 1e-7) + 1e-300, **model, **TIGHT)
    assert not zero.coef.any()
    if top > 1e-12:
        some = fastreg.solve(storage(X), y, alpha=top * 0.999, **model, **TIGHT)
        assert some.coef.any()


@given(data(), penalties(), storages(), st.sampled_from([-1e6, -3.0, 1e4]))
def test_moving_the_origin(problem, penalty, storage, shift):
    """With an intercept, adding constants to y and to columns moves only the intercept."""
    X, y, rng = problem
    moved = X + shift * rng.integers(-1, 2, X.shape[1])
    one = fastreg.solve(storage(X), y, **penalty)
    other = fastreg.solve(storage(moved), y + 10 * shift, **penalty)
    assert other.null_objective == pytest.approx(one.null_objective, rel=1e-7)
    assert abs(one.objective - other.objective) <= 2 * one.tolerance + 1e-7 * one.null_objective
    oracle.check(other, moved, y + 10 * shift, **penalty)


@given(data(), models(), penalties())
def test_an_offset_is_a_smaller_y(problem, model, penalty):
    X, y, rng = problem
    offset = 10 * rng.standard_normal(len(y))
    one = fastreg.solve(X, y, offset=offset, **model, **penalty, **TIGHT)
    other = fastreg.solve(X, y - offset, **model, **penalty, **TIGHT)
    same_fit(one, other, X)


@given(data(), models(), penalties(), storages())
def test_excluded_columns_are_as_good_as_removed(problem, model, penalty, storage):
    X, y, rng = problem
    X = np.column_stack([X, y])  # without the exclusion this one would explain all
    factor = np.append(rng.uniform(0.5, 2, X.shape[1] - 1), np.inf)
    one = fastreg.solve(storage(X), y, penalty_factor=factor, **model, **penalty, **TIGHT)
    other = fastreg.solve(
        storage(X[:, :-1]), y, penalty_factor=factor[:-1], **model, **penalty, **TIGHT
    )
    assert one.coef[-1] == 0
    same_fit(one, other, X, X[:, :-1])


@given(data(max_rows=10, max_columns=4), st.floats(-3, 3), st.sampled_from([0.0, 0.3, 1.0]))
def test_ridge_is_linear_in_y(problem, c, alpha):
    X, y, rng = problem
    z = rng.standard_normal(len(y))
    fits = [fastreg.ridge_path(X, v, [alpha + 0.01]) for v in (y, z, y + c * z)]
    np.testing.assert_allclose(
        fits[2].coef, fits[0].coef + c * fits[1].coef, atol=1e-9 * (1 + np.abs(fits[2].coef).max())
    )
    np.testing.assert_allclose(
        fits[2].loo_errors, fits[0].loo_errors + c * fits[1].loo_errors, atol=1e-7
    )
