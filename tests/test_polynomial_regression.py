"""PolynomialRegression: scikit-learn's checks and polynomials, the choice of degree and alpha."""

import doctest
import importlib

import numpy as np
import pytest
from test_polynomial import curve

pytest.importorskip("sklearn")

from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastreg
from fastreg import PolynomialRegression


@parametrize_with_checks(
    [
        PolynomialRegression(2, alpha=0.1),
        PolynomialRegression(2, "l1", 0.1, interactions="none"),
        PolynomialRegression(2, None),
        PolynomialRegression(2, "elasticnet", 0.1, basis="chebyshev", interactions="none"),
        PolynomialRegression(range(1, 3), n_alphas=5, interactions="none", cv=3),
    ]
)
@pytest.mark.filterwarnings("default")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_monomials_are_scikit_learns_polynomials(weighted):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    weight = rng.uniform(0.5, 2, 40) if weighted else np.ones(40)
    model = PolynomialRegression(3, alpha=0.2, basis="monomial").fit(X, y, weight)
    theirs = make_pipeline(PolynomialFeatures(3, include_bias=False), Ridge(0.2 * weight.sum()))
    theirs.fit(X, y, ridge__sample_weight=weight)
    np.testing.assert_allclose(model.coef_, theirs[-1].coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict(X), theirs.predict(X), atol=1e-6)
    names = [name.replace("x0", "a") for name in theirs[0].get_feature_names_out()]
    assert [name.replace("x0", "a") for name in model.basis_.names] == names


@pytest.mark.parametrize("basis", ["legendre", "chebyshev"])
@pytest.mark.parametrize("interactions", ["total", "full"])
def test_without_a_penalty_the_basis_does_not_matter(basis, interactions):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(2, 3, (60, 2)), rng.standard_normal(60)
    model = PolynomialRegression(2, None, basis=basis, interactions=interactions).fit(X, y)
    powers = [(i, j) for i in range(3) for j in range(3) if interactions == "full" or i + j <= 2]
    design = np.column_stack([(X[:, 0] - 2.5) ** i * (X[:, 1] - 2.5) ** j for i, j in powers])
    theirs = LinearRegression(fit_intercept=False).fit(design, y)
    np.testing.assert_allclose(model.predict(X), theirs.predict(design), atol=1e-8)
    monomials = model.to_monomials()
    np.testing.assert_allclose(monomials.predict(X), model.predict(X), atol=1e-8)


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet", None])
def test_the_degree_is_found(penalty):
    x, y = curve()
    model = PolynomialRegression(range(1, 13), penalty, selection="1se").fit(x, y)
    assert model.degree_ == 3
    assert len(model.coef_) == 3
    assert model.validation_.mean.shape[0] == 12
    assert model.validation_.degrees == tuple(range(1, 13))
    assert (model.alpha_ == 0) == (penalty is None)
    assert np.mean((model.predict(x) - y) ** 2) < 0.05
    assert model.score(x, y) > 0.99


def test_a_penalty_tames_a_large_degree():
    """The article: a high degree overfits; a penalty, its strength validated, makes it fit."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-1, 1, 25))[:, None]
    new = np.linspace(-0.95, 0.95, 200)[:, None]
    y = np.sin(3 * x[:, 0]) + 0.3 * rng.standard_normal(25)
    truth = np.sin(3 * new[:, 0])
    errors = {
        penalty: np.mean((PolynomialRegression(18, penalty).fit(x, y).predict(new) - truth) ** 2)
        for penalty in (None, "l2", "l1")
    }
    assert errors["l2"] < 0.1 * errors[None]
    assert errors["l1"] < 0.1 * errors[None]
    sparse = PolynomialRegression(18, "l1").fit(x, y)
    assert 0 < np.count_nonzero(sparse.coef_) < 18


def test_mixes_splitters_and_targets():
    x, y = curve()
    Y = np.column_stack([y, -y + x[:, 0]])
    model = PolynomialRegression(
        [2, 4], "elasticnet", l1_ratio=[0.2, 0.8], cv=KFold(3, shuffle=True, random_state=0)
    ).fit(x, Y)
    assert model.validation_.mean.shape == (2, 2, 100)
    assert model.coef_.shape == (2, 4)
    assert model.l1_ratio_ in (0.2, 0.8)
    assert model.predict(x).shape == Y.shape
    assert len(model.to_monomials()) == 2
    assert model.result_.converged


def test_names_and_outside():
    pandas = pytest.importorskip("pandas")
    x, y = curve()
    frame = pandas.DataFrame({"hour": x[:, 0]})
    model = PolynomialRegression(2, alpha=0.0, outside="clip").fit(frame, y)
    assert model.basis_.names == ("P1(hour)", "P2(hour)")
    beyond = pandas.DataFrame({"hour": [4.0, 9.0]})
    assert np.ptp(model.predict(beyond)) == 0
    strict = PolynomialRegression(2, alpha=0.0, outside="error").fit(frame, y)
    with pytest.raises(ValueError, match="leaves the range"):
        strict.predict(beyond)


def test_rows_without_weight_do_not_set_the_range():
    x, y = curve()
    far = np.vstack([x, [[100.0]]])
    for outside in ("extrapolate", "error"):
        model = PolynomialRegression(3, alpha=0.01, outside=outside)
        model.fit(far, np.r_[y, 5.0], np.r_[np.ones(60), 0.0])
        alone = PolynomialRegression(3, alpha=0.01).fit(x, y)
        np.testing.assert_allclose(model.predict(x), alone.predict(x), atol=1e-9)


def test_lost_digits_are_warned_of():
    x = np.linspace(1000, 1010, 50)[:, None]
    model = PolynomialRegression(6, alpha=0.0).fit(x, np.sin(x[:, 0]))
    with pytest.warns(UserWarning, match="cancel .* of 16 digits"):
        model.to_monomials()


def test_mistakes_are_named():
    x, y = curve(20)
    for message, params in (
        ("degree must hold integers", {"degree": [1, 2.5]}),
        ("degree must hold at least one", {"degree": []}),
        ("'penalty' parameter", {"penalty": "l0"}),
        ("'basis' parameter", {"basis": "hermite"}),
        ("cv=30 needs as many samples", {"cv": 30}),
        ("scoring", {"scoring": "none"}),
        ("scoring must be one of", {"scoring": "none", "penalty": None, "degree": 2}),
        ("'scoring' parameter", {"scoring": 3}),
        ("^alpha must be a number or an array of at least one", {"alpha": []}),
        ("^alpha must be a number or an array of at least one", {"alpha": [-1.0]}),
        (r"l1_ratio must be in \[0, 1\], got 2.0$", {"penalty": "elasticnet", "l1_ratio": [2.0]}),
    ):
        with pytest.raises(ValueError, match=message):
            PolynomialRegression(**params).fit(x, y)


def test_arguments_have_an_entry_for_each_column_of_the_basis():
    x, y = curve(20)
    basis = fastreg.PolynomialBasis.of(x, 4)
    for name, value in (("penalty_factor", np.ones(99)), ("lower", np.zeros(3))):
        with pytest.raises(ValueError, match=f"{name} must have shape \\(4,\\), as the basis"):
            fastreg.validate_degrees(basis, x, y, **{name: value})
    with pytest.raises(TypeError, match="refit must be True or False"):
        fastreg.validate_degrees(basis, x, y, refit="no")


def test_examples():
    module = importlib.import_module("fastreg.estimators._polynomial")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
    assert "PolynomialRegression" in dir(fastreg)
