"""Gram matrices in float: their error is bounded, and what is solved with them is proven on X."""

import numpy as np
import oracle
import pytest
from problems import row_weights

import fastreg
from fastreg import choice, problem
from fastreg._core import small
from fastreg._core.dense import ROUGH, DenseDesign
from fastreg._core.working_set import WorkingSet
from fastreg.problem import prepare


@pytest.fixture
def always(monkeypatch):
    """Products in float wherever they are possible; the roughness of each survey."""
    seen = []
    survey = problem.survey_columns

    def watched(*args):
        found = survey(*args)
        seen.append(found[-1])
        return found

    monkeypatch.setattr(choice, "_FLOAT_PAYS", 1)
    monkeypatch.setattr(choice, "_WIDE_PAYS", 1)
    monkeypatch.setattr(choice, "_FLOAT_ENTRIES", 0)
    monkeypatch.setattr(small, "fit", lambda *_: None)  # the lane of tiny fits knows no float
    monkeypatch.setattr(problem, "survey_columns", watched)
    return seen


def draw(kind, n, p, rng):
    X = rng.standard_normal((n, p))
    if kind == "correlated":
        X[:, 1:] = 0.95 * X[:, :-1] + 0.3 * X[:, 1:]
    elif kind == "far from zero":
        X += 1e4 * rng.standard_normal(p)
    elif kind == "units":
        X *= 10.0 ** rng.uniform(-30, 17, p)
    elif kind == "twins":
        X[:, 1], X[:, 3] = X[:, 0], -2 * X[:, 2]
    elif kind == "nearly twins":
        X[:, 1] = X[:, 0] + 1e-6 * X[:, 1]
        X[:, 3] = X[:, 2] - 1e-4 * X[:, 3]
    elif kind == "rare":
        X[:, 0] = rng.random(n) < 0.02
        X[:, 1] = 7.0
    y = (X / np.abs(X).max(axis=0))[:, : p // 2] @ rng.standard_normal(p // 2)
    return X.astype(np.float32), y + 0.5 * rng.standard_normal(n)


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (300, 20), (129, 33), (1000, 100), (9000, 17)])
@pytest.mark.parametrize("order", ["C", "F", "rows of a wider array"])
@pytest.mark.parametrize("m", [1, 3, 12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_survey_in_float(level, shape, order, m, dtype):
    rng = np.random.default_rng(0)
    n, p = shape
    X = (5 + rng.standard_normal(shape) * 2.0 ** rng.integers(-20, 20, p)).astype(dtype)
    wide = X.astype(np.float64)
    X = np.hstack([X, X])[:, p:] if order == "rows of a wider array" else np.array(X, order=order)
    weight = rng.random(n) * (rng.random(n) < 0.8)
    weight[0] = 1.0
    weight /= weight.sum()
    Y = rng.standard_normal((n, m))
    responses = DenseDesign(Y)
    responses.set_units(weight @ Y, np.ones(m))
    for centre in (True, False):
        found = DenseDesign(X).rough_survey(weight, responses, centre)
        if found is None:
            assert n < 10
            return
        mean, variance, cross, gram = found
        Z = wide - weight @ wide if centre else wide
        V = Y - weight @ Y
        norm, size = np.sqrt(weight @ Z**2), np.sqrt(weight @ V**2)
        deviation = np.sqrt(weight @ (wide - weight @ wide) ** 2)
        assert np.all(np.abs(mean - weight @ wide) <= ROUGH * deviation)
        assert np.all(np.abs(variance - deviation**2) <= ROUGH * deviation**2)
        assert np.all(np.abs(cross - (V.T * weight) @ Z) <= ROUGH * np.outer(size, norm))
        assert np.all(np.abs(gram - (Z.T * weight) @ Z) <= ROUGH * np.outer(norm, norm))
        typical = 2e-6 if n < 1000 else 3e-7
        assert np.all(np.abs(gram - (Z.T * weight) @ Z) <= typical * np.outer(norm, norm))
        np.testing.assert_array_equal(gram, gram.T)


@pytest.mark.parametrize("kind", ["huge", "tiny", "constant", "late", "nan", "far"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_is_not_enough(level, kind, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5)).astype(dtype)
    if kind == "huge":
        X[5:2000:7, 2] = 1e30
        X[::125, 2] = 0
    elif kind == "tiny":
        X[:, 2] = 0
        X[5, 2] = 1e-25
    elif kind == "constant":
        X[:, 2] = 3.25
    elif kind == "late":
        X[1800:1850, 2] = 1e25
    elif kind == "nan":
        X[77, 2] = np.nan
    else:
        X[:, 2] = 1e-4 * X[:, 2]
        X[::125, 2] = 1.0
    weight, Y = np.full(2000, 1 / 2000), DenseDesign(rng.standard_normal((2000, 1)))
    assert DenseDesign(X).rough_survey(weight, Y) is None
    X[:, 2] = X[:, 1]
    assert DenseDesign(X).rough_survey(weight, Y) is not None


@pytest.mark.parametrize("size", [1e-200, 1e200, -1e200])
def test_doubles_beyond_the_range_of_float(level, size):
    X = np.random.default_rng(0).standard_normal((2000, 5))
    X[:, 2] *= size
    weight, Y = np.full(2000, 1 / 2000), DenseDesign(np.ones((2000, 1)))
    assert DenseDesign(X).rough_survey(weight, Y) is None
    y = X[:, 0] + X[:, 1]
    assert fastreg.solve(X, y, 0.1).converged


KINDS = ["plain", "correlated", "far from zero", "units", "twins", "nearly twins", "rare"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("alpha", [0.5, 0.02, 1e-4])
def test_solved_with_a_float_gram_matrix(always, kind, l1_ratio, alpha):
    X, y = draw(kind, 4000, 12, np.random.default_rng(1))
    bounds = {"lower": -0.3, "upper": np.linspace(0.2, 2, 12)}
    factors = {"penalty_factor": np.array([0.5, np.inf, 1, 2] * 3)}
    for model in ({}, {"sample_weight": row_weights(4000)}, {"fit_intercept": False}, factors,
                  {"positive": True}, {"standardize": True}, bounds):  # fmt: skip
        strength = alpha * (1.0 if kind != "units" else 1e-3)
        result = fastreg.solve(X, y, strength, l1_ratio=l1_ratio, **model)
        oracle.check(result, X, y, alpha=strength, l1_ratio=l1_ratio, **model)
        assert (always[-1] > 0) == (kind != "rare" and "standardize" not in model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_accuracy_is_what_was_asked_for(always, kind, tol, dtype):
    X, y = draw(kind, 3000, 30, np.random.default_rng(2))
    X = X.astype(dtype)
    largest = fastreg.alpha_max(X, y)
    for share in (0.3, 0.01, 1e-4):
        ours = fastreg.solve(X, y, share * largest, tol=tol)
        assert (always[-1] > 0) == (kind != "rare")
        best = fastreg.solve(X.astype(np.float64), y, share * largest, tol=1e-14)
        assert ours.converged
        assert ours.duality_gap <= ours.tolerance
        rounding = 1e-13 * best.null_objective
        assert ours.objective - best.objective <= ours.duality_gap + rounding
        assert not np.any(ours.certified_zero & (np.abs(best.coef) * X.std(axis=0) > 1e-6))


def test_a_float_gram_matrix_is_replaced_where_it_does_not_help():
    rng = np.random.default_rng(3)
    X, y = draw("plain", 500, 6, rng)
    given = prepare(X, y)
    state = given.least_squares()
    given.begin(state, 0)
    gram = given.design.gram_matrix(np.arange(6, dtype=np.int32), given.weight)
    noise = rng.standard_normal((6, 6))  # far more than it admits
    work = WorkingSet(state, 1e9)
    work.include_all(gram + 0.1 * np.eye(6) + 0.03 * (noise + noise.T), ROUGH)
    status = work.solve(
        1e-4, 0.0, 1e-10, warm=False, max_iter=100, max_sweeps=10_000, deadline=np.inf
    )
    assert status > 0
    assert state.certify_plain()[0] <= 1e-9


def test_threads_change_no_bit():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((40_000, 90)).astype(np.float32)
    weight, Y = np.full(40_000, 1 / 40_000), DenseDesign(rng.standard_normal((40_000, 1)))
    design = DenseDesign(X)
    alone = design.rough_survey(weight, Y)
    for n_threads in (2, 3):
        design.set_threads(n_threads)
        for ours, theirs in zip(design.rough_survey(weight, Y), alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_one_strength_and_a_large_matrix_decide():
    single = choice.Plan(fastreg.Settings(), False, 0.0)
    assert single.takes_float(50_000, 100, True)
    assert not single.takes_float(50_000, 20, True)
    assert single.takes_float(50_000, 200, False)
    assert not single.takes_float(50_000, 100, False)
    assert not single.takes_float(500, 100, True)
    assert not single.takes_float(50_000, 1000, True)
    assert not choice.Plan(fastreg.Settings(tol=1e-12), False, 0.0).takes_float(50_000, 100, True)
    assert not choice.Plan(fastreg.Settings(), False, 1.0).takes_float(50_000, 100, True)
    assert not choice.Plan(fastreg.Settings(), True, 0.0).takes_float(50_000, 100, True)
    assert not choice.Plan(fastreg.Settings(), False, 0.0, 2).takes_float(50_000, 100, True)


def hinges(rng, n, p):
    """A basis of hinges: columns of a smooth kind, dependent to many digits."""
    t = rng.uniform(0, 1, n)
    return np.maximum(t[:, None] - np.arange(p) / p, 0), np.sin(9 * t) + 0.3 * rng.normal(size=n)


def low_rank(rng, n, p):
    """Ten directions and a little noise."""
    X = rng.normal(size=(n, 10)) @ rng.normal(size=(10, p)) + 1e-3 * rng.normal(size=(n, p))
    return X, X[:, 0] + rng.normal(size=n)


@pytest.mark.parametrize("draw", [hinges, low_rank])
@pytest.mark.parametrize("fraction", [1e-3, 1e-5, 1e-6])
@pytest.mark.parametrize(("dtype", "p"), [(np.float32, 100), (np.float64, 200)])
def test_an_indefinite_gram_matrix_is_given_up(draw, fraction, dtype, p):
    """Float products of nearly dependent columns lead astray; double ones go on from the start."""
    X, y = draw(np.random.default_rng(0), 10_001, p)
    X = X.astype(dtype)
    alpha = fraction * fastreg.alpha_max(X, y)
    result = fastreg.solve(X, y, alpha)
    exact = fastreg.solve(X.astype(float), y, alpha, tol=1e-11)  # in double
    assert result.status == fastreg.Status.CONVERGED
    allowed = result.duality_gap + exact.duality_gap + 1e-13 * exact.null_objective
    assert abs(result.objective - exact.objective) <= allowed
