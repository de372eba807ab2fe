"""Polynomial columns against NumPy's polynomials; monomial forms against exact arithmetic."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

import fastreg
from fastreg import PolynomialBasis

KINDS = ["legendre", "chebyshev", "monomial"]
VANDER = {
    "legendre": np.polynomial.legendre.legvander,
    "chebyshev": np.polynomial.chebyshev.chebvander,
    "monomial": np.polynomial.polynomial.polyvander,
}


@pytest.fixture
def inputs():
    return np.random.default_rng(0).uniform([-1, 2, 5], [3, 4, 5.5], (30, 3))


def scaled(basis, X):
    if basis.kind == "monomial":
        return X
    return (2 * X - basis.low - basis.high) / (basis.high - basis.low)


@pytest.mark.parametrize("interactions", ["total", "full", "none"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", [1, 2, 4])
def test_columns_are_products_of_numpys_polynomials(kind, interactions, degree, inputs):
    basis = PolynomialBasis.of(inputs, degree, kind=kind, interactions=interactions)
    t = scaled(basis, inputs)
    tables = [VANDER[kind](t[:, i], degree) for i in range(3)]
    design = basis.transform(inputs)
    assert design.flags.f_contiguous
    assert len(basis.names) == len(set(basis.names)) == design.shape[1]
    assert len({tuple(row) for row in basis.exponents}) == design.shape[1]
    for k, row in enumerate(basis.exponents):
        expected = np.prod([tables[i][:, e] for i, e in enumerate(row)], axis=0)
        np.testing.assert_allclose(design[:, k], expected, rtol=1e-10, atol=1e-12)
    count = {"total": comb(degree + 3, 3), "full": (degree + 1) ** 3, "none": 3 * degree + 1}
    assert design.shape[1] == count[interactions] - 1


@pytest.mark.parametrize("interactions", ["total", "full", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lower_degree_is_a_prefix(kind, interactions, inputs):
    basis = PolynomialBasis.of(inputs, 4, kind=kind, interactions=interactions)
    for degree in (1, 2, 3, 4):
        lower = PolynomialBasis.of(inputs, degree, kind=kind, interactions=interactions)
        n = basis.n_columns(degree)
        assert lower.names == basis.names[:n]
        np.testing.assert_array_equal(lower.transform(inputs), basis.transform(inputs)[:, :n])
        assert (basis.degrees[:n] <= degree).all()


def test_names():
    X = np.random.default_rng(0).uniform(size=(5, 2))
    assert PolynomialBasis.of(X, 2).names == (
        "P1(x0)",
        "P1(x1)",
        "P2(x0)",
        "P1(x0) P1(x1)",
        "P2(x1)",
    )
    assert PolynomialBasis.of(X, 2, kind="monomial", interactions="none").names == (
        "x0",
        "x1",
        "x0^2",
        "x1^2",
    )
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["length", "width"])
    basis = PolynomialBasis.of(frame, 1, kind="chebyshev")
    assert basis.names == ("T1(length)", "T1(width)")
    swapped = frame[["width", "length"]]
    np.testing.assert_array_equal(basis.transform(swapped), basis.transform(X))
    assert "length in [" in repr(basis)


def test_the_basis_is_well_conditioned():
    x = np.linspace(1000, 1001, 400)[:, None]
    for kind in ("legendre", "chebyshev"):
        design = PolynomialBasis.of(x, 20, kind=kind).transform(x)
        assert np.linalg.cond(design / np.linalg.norm(design, axis=0)) < 10
        assert design.max() == 1.0
        assert design[0, 0] == -1.0


def test_outside_of_the_range():
    x = np.array([[0.0], [1.0]])
    new = np.array([[-0.5], [0.25], [2.0]])
    t = 2 * new[:, 0] - 1
    expected = VANDER["legendre"](t, 3)[:, 1:]
    np.testing.assert_allclose(PolynomialBasis.of(x, 3).transform(new), expected)
    clipped = PolynomialBasis.of(x, 3, outside="clip").transform(new)
    np.testing.assert_allclose(clipped, VANDER["legendre"](np.clip(t, -1, 1), 3)[:, 1:])
    with pytest.raises(ValueError, match="in row 0, and the range is 0 to 1"):
        PolynomialBasis.of(x, 3, outside="error").transform(new)


def exact_value(basis, coef, intercept, x):
    """The polynomial at one row, in rational numbers, by the recurrence of its definition."""
    total = Fraction(intercept)
    tables = []
    for i, value in enumerate(x):
        low, high, v = Fraction(basis.low[i]), Fraction(basis.high[i]), Fraction(value)
        t = v if basis.kind == "monomial" else (2 * v - low - high) / (high - low)
        row = [Fraction(1), t]
        for k in range(1, basis.degree):
            row.append(
                {
                    "legendre": ((2 * k + 1) * t * row[k] - k * row[k - 1]) / (k + 1),
                    "chebyshev": 2 * t * row[k] - row[k - 1],
                    "monomial": t * row[k],
                }[basis.kind]
            )
        tables.append(row)
    for w, exponents in zip(coef, basis.exponents, strict=False):
        term = Fraction(w)
        for i, e in enumerate(exponents):
            term *= tables[i][e]
        total += term
    return total


@pytest.mark.parametrize("interactions", ["total", "full", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_monomials_are_the_same_polynomial(kind, interactions, inputs):
    basis = PolynomialBasis.of(inputs, 3, kind=kind, interactions=interactions)
    rng = np.random.default_rng(1)
    for n in (len(basis.exponents), basis.n_columns(2)):
        coef = rng.standard_normal(n)
        coef[1] = 0.0
        found = basis.to_monomials(coef, 0.7)
        for x in inputs[:3]:
            value = Fraction(found.intercept)
            size = abs(value)
            for w, powers in zip(found.coef, found.exponents, strict=True):
                term = Fraction(w)
                for v, e in zip(x, powers, strict=True):
                    term *= Fraction(v) ** int(e)
                value += term
                size += abs(term)
            # each coefficient was rounded once
            assert abs(value - exact_value(basis, coef, 0.7, x)) <= size * Fraction(2) ** -53
        rounding = 1e-15 * 10**found.digits_lost * (np.abs(coef).sum() + 0.7)
        if kind == "monomial":
            rounding = 1e-11
        np.testing.assert_allclose(
            found.predict(inputs),
            basis.transform(inputs)[:, :n] @ coef + 0.7,
            rtol=1e-12,
            atol=rounding,
        )


def test_what_monomials_lose_is_said():
    x = np.linspace(3, 7, 50)[:, None]
    basis = PolynomialBasis.of(x, 15)
    coef = np.random.default_rng(0).standard_normal(15)
    found = basis.to_monomials(coef)
    error = np.abs(found.predict(x) - basis.transform(x) @ coef).max()
    assert 10 < found.digits_lost < 15
    assert error < 10**found.digits_lost * 1e-15 * np.abs(coef).sum()
    near = PolynomialBasis.of(np.linspace(-1, 1, 50)[:, None], 5).to_monomials(coef[:5])
    assert near.digits_lost < 2


def test_known_conversion():
    basis = PolynomialBasis.of([[-1.0], [1.0]], 4)
    found = basis.to_monomials([0, 0, 0, 8.0])  # 8 P4 = 35 x^4 - 30 x^2 + 3
    assert found.intercept == 3.0
    assert dict(zip(found.exponents[:, 0].tolist(), found.coef.tolist(), strict=True)) == {
        2: -30.0,
        4: 35.0,
    }


def test_constant_input():
    X = np.column_stack([np.linspace(0, 1, 6), np.full(6, 3.0)])
    basis = PolynomialBasis.of(X, 2)
    design = basis.transform(X)
    coef = np.arange(1.0, 6.0)
    np.testing.assert_allclose(basis.to_monomials(coef).predict(X), design @ coef, atol=1e-12)
    assert (design[:, 1] == 0).all()


def test_mistakes_are_named():
    X = np.arange(6.0).reshape(3, 2)
    basis = PolynomialBasis.of(X, 2)
    for message, call in (
        ("degree must be >= 1", lambda: PolynomialBasis.of(X, 0)),
        ("kind must be one of", lambda: PolynomialBasis.of(X, 1, kind="hermite")),
        ("interactions must be one of", lambda: PolynomialBasis.of(X, 1, interactions="some")),
        ("outside must be one of", lambda: PolynomialBasis.of(X, 1, outside="nan")),
        ("makes .* columns, more than", lambda: PolynomialBasis.of(np.ones((2, 50)), 20)),
        ("contains NaN", lambda: PolynomialBasis.of(X * np.nan, 1)),
        ("degree must be >= 1 and <= 2", lambda: basis.n_columns(3)),
        ("X has 1 features", lambda: basis.transform(X[:, :1])),
        ("coef must have at most 5", lambda: basis.to_monomials(np.ones(6))),
        ("must be finite", lambda: basis.to_monomials([np.inf])),
        ("overflows", lambda: PolynomialBasis.of(X, 900, kind="monomial").transform(X * 10)),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="degree must be an integer"):
        PolynomialBasis.of(X, 2.0)
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="got a sparse one"):
        PolynomialBasis.of(sparse.csc_array(X), 2)
    assert fastreg.PolynomialBasis is PolynomialBasis


def curve(n=60, seed=0, noise=0.1):
    x = np.linspace(0, 4, n)
    return x[:, None], x * (x - 1) * (x - 3) + noise * np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("selection", ["min", "1se"])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0, [0.3, 0.9]], ids=["ridge", "lasso", "mixes"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_joint_choice_is_that_of_a_loop(l1_ratio, selection, weighted):
    """Every degree, mix, alpha and fold fitted on its own rows; the best mean error."""
    x, y = curve(40, noise=0.5)
    weight = np.random.default_rng(4).uniform(0.5, 2, 40) if weighted else None
    basis = PolynomialBasis.of(x, 6)
    foldid = np.arange(40) % 4
    alphas = np.array([1.0, 0.1, 0.01, 1e-4])
    degrees = [2, 3, 6]
    arguments = {"alphas": alphas, "sample_weight": weight, "l1_ratio": l1_ratio}
    found = fastreg.validate_degrees(
        basis, x, y, degrees, foldid=foldid, selection=selection, **arguments
    )
    ratios = np.atleast_1d(l1_ratio)
    s = np.ones(40) if weight is None else weight
    scores = np.empty((3, len(ratios), 4, 4))
    for d, degree in enumerate(degrees):
        design = PolynomialBasis.of(x, degree).transform(x)
        for i, ratio in enumerate(ratios):
            for j, alpha in enumerate(alphas):
                for k in range(4):
                    train, test = foldid != k, foldid == k
                    fit = fastreg.solve(
                        design[train], y[train], alpha, l1_ratio=ratio, sample_weight=s[train]
                    )
                    error = (fit.predict(design[test]) - y[test]) ** 2
                    scores[d, i, j, k] = np.average(error, weights=s[test])
    share = np.array([s[foldid == k].sum() for k in range(4)]) / s.sum()
    mean = scores @ share
    place = np.unravel_index(mean.argmin(), mean.shape)
    drop = (slice(None), 0) if np.ndim(l1_ratio) == 0 else ()
    np.testing.assert_allclose(found.mean, mean[drop], rtol=1e-5)
    expected = (place[0], place[2]) if np.ndim(l1_ratio) == 0 else place
    assert found.index_min == expected
    spread = np.sqrt(((scores[place] - mean[place]) ** 2) @ share / 3)
    limit = mean[place] + spread
    smallest = int(np.flatnonzero((mean <= limit).any(axis=(1, 2)))[0])
    assert found.index_1se[0] == smallest
    assert found.degree == degrees[found.index[0]]
    assert found.index == (found.index_min if selection == "min" else found.index_1se)
    design = PolynomialBasis.of(x, found.degree).transform(x)
    again = fastreg.solve(
        design, y, found.alpha, l1_ratio=found.result.l1_ratio, sample_weight=weight
    )
    np.testing.assert_allclose(found.predict(design), again.predict(design), atol=1e-4)
    assert "degrees" in repr(found)


def test_all_degrees_and_no_refit():
    x, y = curve()
    found = fastreg.validate_degrees(PolynomialBasis.of(x, 5), x, y, refit=False, n_alphas=7)
    assert found.degrees == (1, 2, 3, 4, 5)
    assert found.mean.shape == (5, 7)
    assert found.result is None
    assert found.converged
    with pytest.raises(ValueError, match="degree must be >= 1 and <= 5"):
        fastreg.validate_degrees(PolynomialBasis.of(x, 5), x, y, [3, 6])
    with pytest.raises(ValueError, match="at least one integer"):
        fastreg.validate_degrees(PolynomialBasis.of(x, 5), x, y, [])
    with pytest.raises(TypeError, match="basis must be a PolynomialBasis"):
        fastreg.validate_degrees(5, x, y)
