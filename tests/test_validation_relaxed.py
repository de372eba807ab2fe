"""validate(relax=...): scores against a plain loop with NumPy's least squares on each support."""

from __future__ import annotations

import numpy as np
import pytest
from problems import regression
from scipy import sparse

import fastreg
from fastreg.polynomial import PolynomialBasis

BLENDS = [0.0, 0.25, 1.0]


def least_squares(X, y, support, weight, fit_intercept):
    """Coefficients and intercept on some columns."""
    root = np.sqrt(weight)
    columns = X[:, support] if not fit_intercept else np.c_[X[:, support], np.ones(len(y))]
    found = np.linalg.lstsq(columns * root[:, None], y * root, rcond=None)[0]
    coef = np.zeros(X.shape[1])
    coef[support] = found[: len(support)]
    return coef, found[-1] if fit_intercept else 0.0


def fold_scores(X, y, folds, alphas, weight, fit_intercept=True, **model):
    """Squared errors, (n_blends, n_alphas, n_folds): fits on copies of the rows of each fold."""
    found = np.empty((len(BLENDS), len(alphas), len(folds)))
    for k in range(len(folds)):
        train, test = folds.train_rows(k), folds.test[k]
        for i, alpha in enumerate(alphas):
            fit = fastreg.solve(
                X[train], y[train], alpha, tol=1e-13, sample_weight=weight[train],
                fit_intercept=fit_intercept, **model,
            )  # fmt: skip
            support = np.flatnonzero(fit.coef)
            coef, intercept = least_squares(
                X[train], y[train], support, weight[train], fit_intercept
            )
            for j, blend in enumerate(BLENDS):
                w = blend * fit.coef + (1 - blend) * coef
                b = blend * fit.intercept + (1 - blend) * intercept
                error = (y[test] - X[test] @ w - b) ** 2
                found[j, i, k] = np.average(error, weights=weight[test])
    return found


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.6])
def test_scores_are_those_of_a_loop(l1_ratio, weighted, fit_intercept, storage):
    X, y = regression(60, 10)
    X, y = X + 0.5, y + 2.0
    weight = np.random.default_rng(0).uniform(0.2, 2, 60) if weighted else np.ones(60)
    grid = [1.0, 0.3, 0.1, 0.03]
    result = fastreg.validate(
        storage(X), y, alphas=grid, l1_ratio=l1_ratio, relax=BLENDS, cv=4, tol=1e-13,
        sample_weight=weight if weighted else None, fit_intercept=fit_intercept,
    )  # fmt: skip
    expected = fold_scores(
        X, y, result.folds, grid, weight, l1_ratio=l1_ratio, fit_intercept=fit_intercept
    )
    np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-6)
    share = [weight[rows].sum() for rows in result.folds.test]
    np.testing.assert_allclose(result.mean, np.average(expected, axis=-1, weights=share), rtol=1e-6)
    assert result.alphas.shape == result.mean.shape == result.n_active.shape == (3, 4)
    assert result.index == np.unravel_index(np.argmin(result.mean), (3, 4))
    assert result.relax == BLENDS[result.index[0]]
    assert result.alpha == grid[result.index[1]]
    assert result.converged

    support = np.flatnonzero(result.result.coef)
    coef, intercept = least_squares(X, y, support, weight, fit_intercept)
    blended = result.relax * result.result.coef + (1 - result.relax) * coef
    np.testing.assert_allclose(result.coef, blended, rtol=1e-6, atol=1e-9)
    own = result.relax * result.result.intercept + (1 - result.relax) * intercept
    assert result.intercept == pytest.approx(own, rel=1e-6, abs=1e-9)
    np.testing.assert_allclose(result.predict(storage(X)), X @ blended + own, rtol=1e-6)
    assert f"relax={result.relax:g}" in repr(result)


def test_nothing_of_what_a_fold_holds_out_is_seen():
    X, y = regression(60, 10)
    other_X, other_y = X.copy(), y.copy()
    other_X[40:], other_y[40:] = -3.0 * X[40:], 100.0
    foldid = np.repeat([-1, 0], [40, 20])
    fits = []

    def keep(y_true, y_pred, sample_weight=None):
        fits[-1].append(np.array(y_pred))
        return 0.0

    test = X[40:]
    for A, b in ((X, y), (other_X, other_y)):
        fits.append([])
        A = A.copy()
        fastreg.validate(A, b, relax=BLENDS, alphas=[0.3, 0.1], foldid=foldid, scoring=keep)
    for one, other in zip(*fits, strict=True):
        # both are linear in the rows held out, with the same coefficients and intercept
        line = np.linalg.lstsq(np.c_[test, np.ones(20)], one, rcond=None)[0]
        np.testing.assert_allclose(other, np.c_[-3 * test, np.ones(20)] @ line, rtol=1e-7)


def test_several_ratios_rules_and_a_single_blend():
    X, y = regression(80, 12, noise=1.0)
    both = fastreg.validate(X, y, relax=BLENDS, l1_ratio=[0.5, 1.0], n_alphas=20)
    assert both.mean.shape == (2, 3, 20)
    assert both.fold_scores.shape == (2, 3, 20, 5)
    for i, ratio in enumerate([0.5, 1.0]):
        for j, blend in enumerate(BLENDS):
            alone = fastreg.validate(
                X, y, relax=blend, l1_ratio=ratio, alphas=both.alphas[i, j], selection="1se"
            )
            np.testing.assert_allclose(alone.mean, both.mean[i, j], rtol=1e-9)
            assert alone.relax == blend
            within = alone.mean <= alone.mean.min() + alone.standard_error[alone.index_min]
            assert alone.index == (int(np.argmax(within)),)
    assert both.l1_ratio == [0.5, 1.0][both.index[0]]
    assert both.relax == BLENDS[both.index[1]]
    plain = fastreg.validate(X, y, n_alphas=20)
    whole = fastreg.validate(X, y, n_alphas=20, relax=1)
    np.testing.assert_allclose(whole.mean, plain.mean, rtol=1e-6)
    np.testing.assert_allclose(whole.coef, plain.coef, atol=1e-6)
    assert plain.relax is None
    assert plain.intercept == plain.result.intercept
    without = fastreg.validate(X, y, n_alphas=5, relax=BLENDS, refit=False)
    with pytest.raises(ValueError, match="refit=True"):
        without.coef  # noqa: B018


def test_many_features_responses_and_threads():
    X, y = regression(40, 300, seed=2)
    Y = np.c_[y, y[::-1]]
    offset = np.linspace(-1, 1, 40)
    model = {"relax": [0.0, 0.5], "n_alphas": 8, "eps": 0.1, "offset": offset, "positive": True}
    one = fastreg.validate(X, Y, **model)
    other = fastreg.validate(X, Y, n_threads=3, **model)
    np.testing.assert_array_equal(one.fold_scores, other.fold_scores)
    assert one.coef.shape == (2, 300)
    assert (one.coef >= 0).all()
    assert one.predict(X, offset).shape == Y.shape


@pytest.mark.parametrize("relax", [-0.1, 1.5, np.nan, "0", True, [], [[0.5]], [0.5, 2.0]])
def test_what_is_no_blend(relax):
    X, y = regression(30, 4)
    with pytest.raises((TypeError, ValueError), match="relax"):
        fastreg.validate(X, y, relax=relax)


def test_degrees_have_no_blends():
    X, y = regression(30, 1)
    basis = PolynomialBasis.of(X, 3)
    with pytest.raises(ValueError, match="relax"):
        fastreg.validate_degrees(basis, X, y, relax=0.5)
