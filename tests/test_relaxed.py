"""Relaxed paths against least squares on every support, by NumPy's and SciPy's own routines."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from problems import STORAGES, regression, row_weights, shaped

import fastreg
from fastreg import Status


def least_squares(X, y, weight, fit_intercept=True):
    """Coefficients of minimum norm, and the intercept."""
    root = np.sqrt(weight)[:, None]
    mean, level = (weight @ X / weight.sum(), weight @ y / weight.sum())
    if not fit_intercept:
        mean, level = 0 * mean, 0.0
    coef = np.linalg.lstsq(root * (X - mean), root[:, 0] * (y - level), rcond=1e-10)[0]
    return coef, level - mean @ coef


def compare(relaxed, X, y, weight, fit_intercept=True, rtol=1e-7):
    path = relaxed.path
    for i in range(len(path)):
        coef = path[i].coef
        active = np.flatnonzero(coef)
        expected, intercept = least_squares(X[:, active], y, weight, fit_intercept)
        found = relaxed.least_squares_coef[i]
        assert set(np.flatnonzero(found)) <= set(active)
        np.testing.assert_allclose(found[active], expected, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(
            relaxed.least_squares_intercept[i], intercept, rtol=rtol, atol=rtol
        )


@pytest.mark.parametrize("fit_intercept", [True, False], ids=["", "origin"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("storage", [k for k, (kind, _) in STORAGES.items() if kind == "real"])
def test_every_support_is_refitted(storage, weighted, fit_intercept, tmp_path):
    X, y = shaped("n > p")
    make = STORAGES[storage][1]
    Z = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape) if make is None else make(X)
    if make is None:
        Z[:] = X
    weight = row_weights(len(y)) if weighted else None
    model = {"sample_weight": weight, "fit_intercept": fit_intercept}
    path = fastreg.solve_path(Z, y, n_alphas=20, **model)
    relaxed = fastreg.relax(path, Z, y, **model)
    weight = np.ones(len(y)) if weight is None else weight
    compare(relaxed, np.asarray(X, float), y, weight, fit_intercept)
    assert (relaxed.status == Status.CONVERGED).all()
    assert relaxed.converged
    assert relaxed.n_supports == len({tuple(row != 0) for row in path.coef})


@pytest.mark.parametrize("shape", [(60, 200), (300, 40)])
def test_larger_paths_with_large_means(shape):
    X, y = regression(*shape, seed=6)
    X = X + 100
    path = fastreg.solve_path(X, y, n_alphas=40, eps=1e-2, sparse_coef=True)
    relaxed = fastreg.relax(path, X, y)
    compare(relaxed, X, y, np.ones(len(y)), rtol=1e-6)
    y_square = np.mean((y - y.mean()) ** 2)
    assert (relaxed.duality_gap <= 1e-8 * y_square).all()


def test_blends():
    X, y = regression(30, 6, seed=1)
    path = fastreg.solve_path(X, y, n_alphas=15)
    relaxed = fastreg.relax(path, X, y)
    np.testing.assert_allclose(relaxed.coef(1.0), path.coef)
    np.testing.assert_array_equal(relaxed.coef(0.0), relaxed.least_squares_coef)
    np.testing.assert_allclose(
        relaxed.predict(X, 0.3), 0.3 * path.predict(X) + 0.7 * relaxed.predict(X), atol=1e-12
    )
    np.testing.assert_allclose(
        relaxed.predict(X, 0.3, offset=y), relaxed.predict(X, 0.3) + y[:, None]
    )
    assert "supports" in repr(relaxed)


def test_gamma_is_meinshausens_phi_while_no_sign_changes():
    X, y = regression(50, 6, seed=8)
    path = fastreg.solve_path(X, y, alphas=[0.2])
    relaxed = fastreg.relax(path, X, y)
    active = np.flatnonzero(path.coef[0])
    assert 1 < len(active) < 6
    assert (np.sign(path.coef[0]) == np.sign(relaxed.coef(0)[0])).all()
    for phi in (0.25, 0.75):
        fit = fastreg.solve(X[:, active], y, phi * 0.2, tol=1e-14)
        np.testing.assert_allclose(relaxed.coef(phi)[0, active], fit.coef, rtol=1e-6)


def test_dependent_columns_get_the_smallest_norm_and_say_so():
    X, y = regression(25, 4, seed=5)
    X = np.column_stack([X, X[:, 0]])
    path = fastreg.solve_path(X, y, alphas=[0.01])
    coef = path.coef.copy()
    coef[0, [0, 4]] = coef[0, [0, 4]].sum() / 2  # as good a solution
    path = type(path)(**{**vars(path), "coef": coef})
    relaxed = fastreg.relax(path, X, y)
    assert relaxed.status.tolist() == [Status.RANK_DEFICIENT]
    active = np.flatnonzero(coef[0])
    expected, _ = least_squares(X[:, active], y, np.ones(25))
    np.testing.assert_allclose(relaxed.coef()[0, active], expected, rtol=1e-6)
    assert "dependent" in repr(relaxed)


def test_unpenalised_features_are_in_every_support():
    X, y = regression(30, 5, seed=3)
    factor = np.array([1.0, 0.0, 1.0, 1.0, np.inf])
    path = fastreg.solve_path(X, y, n_alphas=6, penalty_factor=factor)
    relaxed = fastreg.relax(path, X, y, penalty_factor=factor)
    assert (relaxed.least_squares_coef[:, 1] != 0).all()
    assert (relaxed.least_squares_coef[:, 4] == 0).all()
    compare(relaxed, X, y, np.ones(30))


def test_bounds_hold_in_refits():
    X, y = regression(30, 4, seed=3)
    lower, upper = np.array([-0.1, -1.0, 0.0, 0.2]), np.array([0.5, 0.3, np.inf, 0.2])
    path = fastreg.solve_path(X, y, n_alphas=8, lower=lower, upper=upper)
    relaxed = fastreg.relax(path, X, y, lower=lower, upper=upper)
    for i in range(len(path)):
        active = np.flatnonzero(path.coef[i])
        low, high = lower[active], upper[active] + 1e-9  # SciPy wants room between them
        A, b = X[:, active] - X[:, active].mean(axis=0), y - y.mean()
        expected = scipy.optimize.lsq_linear(A, b, (low, high), tol=1e-14).x
        np.testing.assert_allclose(relaxed.coef()[i, active], expected, atol=1e-6)


def test_several_responses_and_an_offset():
    X, y = regression(30, 5, seed=3)
    Y = np.column_stack([y, -2 * X[:, 1] + np.cos(np.arange(30))])
    offset = np.linspace(0, 1, 60).reshape(30, 2)
    for sparse in (False, True):
        path = fastreg.solve_path(X, Y, n_alphas=9, offset=offset, sparse_coef=sparse)
        relaxed = fastreg.relax(path, X, Y, offset=offset)
        assert relaxed.predict(X).shape == (30, 9, 2)
        for k in range(2):
            alone = fastreg.solve_path(X, Y[:, k], alphas=path.alphas, offset=offset[:, k])
            one = fastreg.relax(alone, X, Y[:, k], offset=offset[:, k])
            np.testing.assert_allclose(relaxed.coef(0.5)[:, k], one.coef(0.5), atol=1e-7)
            np.testing.assert_allclose(relaxed.intercept(0.5)[:, k], one.intercept(0.5), atol=1e-7)


def test_mistakes_are_named():
    X, y = regression(20, 3)
    path = fastreg.solve_path(X, y, n_alphas=4)
    relaxed = fastreg.relax(path, X, y)
    with pytest.raises(ValueError, match="gamma must be in"):
        relaxed.coef(1.5)
    with pytest.raises(TypeError, match="gamma must be a number"):
        relaxed.predict(X, [0.5])
    with pytest.raises(ValueError, match="was not computed from these X, y"):
        fastreg.relax(path, X, y + X[:, 0])
    with pytest.raises(TypeError, match="must be a fastreg"):
        fastreg.relax(None, X, y)
