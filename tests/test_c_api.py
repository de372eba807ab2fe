"""The C-level API: every function on every kind of problem, judged by the oracle; mistakes."""

import ctypes
import itertools
import re
import threading
from pathlib import Path

import c_api
import numpy as np
import oracle
import problems
import pytest
import scipy.sparse
from c_api import BAD_ARGUMENT, BAD_PENALTY, BAD_WEIGHT, BAD_WORKSPACE, NOT_A_GRAM, NOT_FINITE
from standard_form import make_problem

import fastreg

STRENGTHS = {
    "lasso": (0.2, 1.0),
    "elastic net": (0.2, 0.5),
    "ridge": (0.2, 0.0),
    "weak": (1e-4, 0.9),
}
PENALTIES = {
    "plain": {},
    "factors": {"penalty_factor": [0.0, 2.0, np.inf, 1.0, 0.5]},
    "bounds": {"lower": [-0.1, -np.inf, 0.0, -1.0, 0.0], "upper": [0.3, 0.2, np.inf, 1.0, 0.0]},
    "away from zero": {
        "lower": [0.2, -np.inf, -1.0, 0.0, 0.5],
        "upper": [0.9, -0.1, 1.0, 0.1, 0.5],
    },
}


def penalty_of(kind, p):
    """The penalty as the oracle names it, with as many entries as there are features."""
    return {name: np.resize(np.asarray(v, float), p) for name, v in PENALTIES[kind].items()}


def arguments(penalty):
    """The same, as the C-level API names it."""
    return {
        "factor": penalty.get("penalty_factor"),
        "lower": penalty.get("lower"),
        "upper": penalty.get("upper"),
    }


def weights_of(n):
    weight = np.resize([1.0, 0.0, 2.5, 0.5], n)
    weight[:1] = 0.0 if n > 3 else 1.5
    return weight


def check(point, X, y, alpha, **model):
    """Every claim of a point that has converged, or says that it has not."""
    problem = make_problem(X, y, alpha, **model)
    assert point.status in {c_api.CONVERGED, c_api.STALLED}
    converged = point.status == c_api.CONVERGED
    if not converged:  # rounding may forbid a proof where there is next to no penalty
        assert point.duality_gap <= 1e-6 * point.null_objective
    oracle._check_response(point, problem, None, 1e-8 if converged else None)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("shape", problems.SHAPES)
def test_rows_are_solved_and_proven(shape, strength, penalty):
    X, y = problems.shaped(shape)
    alpha, l1_ratio = STRENGTHS[strength]
    given = penalty_of(penalty, X.shape[1])
    for intercept, weight in itertools.product([True, False], [None, weights_of(len(y))]):
        options = c_api.options(fit_intercept=intercept)
        for storage in ("C", "F", "csc"):
            matrix = scipy.sparse.csc_array(X) if storage == "csc" else np.array(X, order=storage)
            function = c_api.csc if storage == "csc" else c_api.dense
            status, (point,) = function(
                matrix,
                np.array(y),
                alpha * l1_ratio,
                alpha * (1 - l1_ratio),
                weight=weight,
                given=options,
                **arguments(given),
            )
            assert status == point.status
            check(
                point,
                X,
                y,
                alpha,
                l1_ratio=l1_ratio,
                fit_intercept=intercept,
                sample_weight=weight,
                **given,
            )


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("shape", problems.SHAPES)
def test_moments_are_solved_and_proven(shape, strength, penalty):
    X, y = problems.shaped(shape)
    n, p = X.shape
    alpha, l1_ratio = STRENGTHS[strength]
    given = penalty_of(penalty, p)
    G = np.full((p, p + 3), np.nan)  # only the lower triangle is read
    G[:, :p] = np.where(np.tri(p, dtype=bool), X.T @ X / n, np.nan)
    c = X.T @ y / n
    status, (point,) = c_api.solve(
        "gram",
        [p],
        [c_api.address(G), p + 3, c_api.address(c), y @ y / n],
        alpha * l1_ratio,
        alpha * (1 - l1_ratio),
        **arguments(given),
    )
    assert status == point.status
    check(point, X, y, alpha, l1_ratio=l1_ratio, fit_intercept=False, **given)


@pytest.mark.parametrize("kind", ["dense", "csc", "gram"])
def test_a_path_is_its_points(kind):
    X, y = problems.regression(60, 12)
    l1, l2 = np.geomspace(1.0, 1e-3, 20), np.geomspace(0.1, 0.01, 20)
    if kind == "gram":
        data = X.T @ X / 60, X.T @ y / 60, y @ y / 60
    else:
        data = scipy.sparse.csc_array(X) if kind == "csc" else X, y
    function = getattr(c_api, kind)
    status, path = function(*data, l1, l2)
    assert status == c_api.CONVERGED
    for k, point in enumerate(path):
        check(
            point,
            X,
            y,
            l1[k] + l2[k],
            l1_ratio=l1[k] / (l1[k] + l2[k]),
            fit_intercept=kind != "gram",
        )
        _, (alone,) = function(*data, l1[k], l2[k])
        np.testing.assert_allclose(point.coef, alone.coef, rtol=1e-9, atol=1e-12)
    solution = fastreg.solve(
        X, y, l1[5] + l2[5], l1_ratio=l1[5] / (l1[5] + l2[5]), fit_intercept=kind != "gram"
    )
    np.testing.assert_allclose(path[5].coef, solution.coef, rtol=1e-7, atol=1e-10)


def test_ridge_is_a_path_without_l1():
    X, y = problems.regression(40, 6)
    l2, factor = np.array([1.0, 0.1, 0.0]), np.array([1.0, 2.0, 0.0, 1.0, 1.0, 0.5])
    address, solve = c_api.address, c_api.functions
    for kind in ("gram", "dense", "csc"):
        coef, intercept = np.full((3, 6), np.nan), np.zeros(3)
        results = (c_api.Result * 3)()
        outputs = [address(coef), address(intercept), ctypes.addressof(results), None, 0]
        if kind == "gram":
            Z, t = X - X.mean(0), y - y.mean()
            G, c = Z.T @ Z / 40, Z.T @ t / 40
            data = [6, address(G), 6, address(c), t @ t / 40]
            del outputs[1]
        elif kind == "dense":
            data = [40, 6, address(X), 6, 1, address(y), None]
        else:
            S = scipy.sparse.csc_array(X)
            data = [40, 6, address(S.indptr), address(S.indices), address(S.data), address(y), None]
        status = solve[f"{kind}_ridge"](*data, 3, address(l2), address(factor), None, *outputs)
        assert status == c_api.CONVERGED
        for k in range(3):
            Z = X - X.mean(0)
            exact = np.linalg.solve(Z.T @ Z + 40 * l2[k] * np.diag(factor), Z.T @ (y - y.mean()))
            np.testing.assert_allclose(coef[k], exact, rtol=1e-9, atol=1e-12)
            assert 0 <= results[k].duality_gap <= results[k].tolerance


def test_the_workspace_is_all_that_is_written():
    X, y = problems.regression(30, 7)
    for kind, sizes in (("gram", [7]), ("dense", [30, 7]), ("csc", [30, 7])):
        memory, size = c_api.workspace(kind, *sizes, extra=64)
        memory[:] = -7.0
        used = memory[: size // 8 + 1].copy()
        if kind == "gram":
            G, c = X.T @ X, X.T @ y
            data = [c_api.address(G), 7, c_api.address(c), y @ y]
        elif kind == "dense":
            data = [c_api.address(X), 7, 1, c_api.address(y), None]
        else:
            S = scipy.sparse.csc_array(X)
            data = [*map(c_api.address, (S.indptr, S.indices, S.data, y)), None]
        coef, l1, l2 = np.empty(7), np.array([0.1]), np.array([0.1])
        status = c_api.functions[f"{kind}_path"](
            *sizes,
            *data,
            1,
            c_api.address(l1),
            c_api.address(l2),
            None,
            None,
            None,
            None,
            c_api.address(coef),
            *([None] if kind != "gram" else []),
            None,
            c_api.address(memory),
            size,
        )
        assert status == c_api.CONVERGED
        assert (memory[: size // 8 + 1] != used).any()
        assert (memory[size // 8 + 1 :] == -7.0).all()


def test_inputs_are_not_changed():
    X, y = problems.regression(20, 4)
    weight, factor = np.ones(20), np.ones(4)
    lower, upper = -np.ones(4), np.ones(4)
    arrays = [X, y, weight, factor, lower, upper]
    before = [a.copy() for a in arrays]
    c_api.dense(X, y, 0.1, 0.1, weight=weight, factor=factor, lower=lower, upper=upper)
    c_api.csc(scipy.sparse.csc_array(X), y, 0.1, 0.1, weight=weight, factor=factor)
    for now, then in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_many_threads_at_once():
    X, y = problems.regression(50, 8)
    l1, l2 = np.geomspace(1, 0.01, 5), np.zeros(5)
    expected = np.array([point.coef for point in c_api.dense(X, y, l1, l2)[1]])
    wrong = []

    def work():
        for _ in range(200):
            found = np.array([point.coef for point in c_api.dense(X, y, l1, l2)[1]])
            if not np.array_equal(found, expected):
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


X, Y = problems.regression(20, 4)
SPARSE = scipy.sparse.csc_array(X)
MISTAKES = {
    "NaN in X": (lambda: c_api.dense(np.where(np.eye(20, 4), np.nan, X), Y, 1, 0), NOT_FINITE),
    "infinity in y": (lambda: c_api.dense(X, np.where(Y > 1, np.inf, Y), 1, 0), NOT_FINITE),
    "squares overflow": (lambda: c_api.dense(X * 1e200, Y, 1, 0), NOT_FINITE),
    "NaN in csc": (lambda: c_api.csc(SPARSE * np.nan, Y, 1, 0), NOT_FINITE),
    "NaN strength": (lambda: c_api.dense(X, Y, np.nan, 0), BAD_PENALTY),
    "negative strength": (lambda: c_api.dense(X, Y, 1, -1), BAD_PENALTY),
    "negative factor": (lambda: c_api.dense(X, Y, 1, 0, factor=-np.ones(4)), BAD_PENALTY),
    "crossing bounds": (
        lambda: c_api.dense(X, Y, 1, 0, lower=np.ones(4), upper=-np.ones(4)),
        BAD_PENALTY,
    ),
    "NaN bound": (lambda: c_api.dense(X, Y, 1, 0, lower=np.full(4, np.nan)), BAD_PENALTY),
    "negative weight": (lambda: c_api.dense(X, Y, 1, 0, weight=-np.ones(20)), BAD_WEIGHT),
    "no weight": (lambda: c_api.csc(SPARSE, Y, 1, 0, weight=np.zeros(20)), BAD_WEIGHT),
    "small workspace": (lambda: c_api.dense(X, Y, 1, 0, size=100), BAD_WORKSPACE),
    "indefinite": (lambda: c_api.gram(1 - 2.0 * np.eye(3), np.ones(3), 9.0, 1, 0), NOT_A_GRAM),
    "not correlated": (lambda: c_api.gram(np.eye(3), np.ones(3), 0.5, 1, 0), NOT_A_GRAM),
    "too correlated": (
        lambda: c_api.gram(np.array([[1, 0], [2.0, 1]]), np.ones(2), 9.0, 1, 0),
        NOT_A_GRAM,
    ),
    "NaN in the Gram matrix": (
        lambda: c_api.gram(np.array([[1, 0], [np.nan, 1]]), np.ones(2), 9.0, 1, 0),
        NOT_FINITE,
    ),
    "NaN square": (lambda: c_api.gram(np.eye(2), np.ones(2), np.nan, 1, 0), NOT_FINITE),
    "an index out of range": (
        lambda: c_api.csc(scipy.sparse.csc_array(SPARSE), Y[:19], 1, 0),
        BAD_ARGUMENT,
    ),
    "a tolerance of zero": (
        lambda: c_api.dense(X, Y, 1, 0, given=c_api.options(tol=0.0)),
        BAD_ARGUMENT,
    ),
    "options without size": (
        lambda: c_api.dense(X, Y, 1, 0, given=c_api.options(size=0)),
        BAD_ARGUMENT,
    ),
    "no sweeps": (lambda: c_api.dense(X, Y, 1, 0, given=c_api.options(max_sweeps=0)), BAD_ARGUMENT),
    "no rows": (lambda: c_api.dense(X[:0], Y[:0], 1, 0, own_workspace=False), BAD_ARGUMENT),
    "strides": (
        lambda: c_api.solve(
            "dense", (20, 4), [c_api.address(X), 8, 2, c_api.address(Y), None], 1, 0
        ),
        BAD_ARGUMENT,
    ),
    "null pointer": (
        lambda: c_api.solve("dense", (20, 4), [None, 4, 1, c_api.address(Y), None], 1, 0),
        BAD_ARGUMENT,
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_have_a_status(mistake):
    make, expected = MISTAKES[mistake]
    if mistake == "an index out of range":
        S = scipy.sparse.csc_array(X)
        S.indices = S.indices + 1

        def make():
            return c_api.csc(S, Y, 1, 0)

    status, (point,) = make()
    assert status == point.status == expected
    assert np.isnan(point.coef).all()
    assert point.duality_gap == np.inf
    assert "Unknown" not in c_api.functions["status_message"](status).decode()


def test_a_limit_is_reported_with_a_gap():
    X, y = problems.regression(50, 20)
    status, (point,) = c_api.dense(X, y, 1e-3, 0, given=c_api.options(max_sweeps=1, tol=1e-12))
    assert status == point.status == c_api.MAX_SWEEPS
    assert point.duality_gap > point.tolerance
    problem = make_problem(X, y, 1e-3)
    assert oracle.duality_gap(problem, point.coef, point.intercept) <= point.duality_gap * (
        1 + 1e-6
    )


def test_nothing_to_solve():
    y = np.arange(5.0)
    status, (point,) = c_api.dense(np.empty((5, 0)), y, 1, 0)
    assert status == c_api.CONVERGED
    assert (point.intercept, point.duality_gap) == (2.0, 0.0)
    assert point.objective == pytest.approx(1.0, rel=1e-15)
    assert c_api.gram(np.empty((0, 0)), np.empty(0), 2.0, 1, 0)[1][0].objective == 1.0
    assert c_api.dense(X, Y, [], [])[0] == c_api.CONVERGED
    status, (point,) = c_api.dense(X, np.full(20, 0.1), 1, 0)
    assert status == c_api.CONVERGED
    assert (point.intercept, abs(point.coef).max()) == (0.1, 0.0)


def test_outputs_may_lie_in_the_inputs_of_moments():
    G, c, square = X.T @ X / 20, X.T @ Y / 20, Y @ Y / 20
    _, (expected,) = c_api.gram(G, c, square, 0.1, 0.1)
    for output in (c, G[1], G[3]):
        arrays = G.copy(), c.copy()
        place = arrays[1] if output is c else arrays[0][1 if output is G[1] else 3]
        status = c_api.functions["gram_solve"](
            4,
            c_api.address(arrays[0]),
            4,
            c_api.address(arrays[1]),
            square,
            0.1,
            0.1,
            None,
            None,
            None,
            None,
            c_api.address(place),
            None,
            None,
            0,
        )
        assert status == c_api.CONVERGED
        np.testing.assert_array_equal(place, expected.coef)


def test_options_of_an_older_caller():
    options = c_api.options(tol=1e-3, max_sweeps=-5)  # which that caller does not know of
    options.size = c_api.Options.max_sweeps.offset
    status, (point,) = c_api.dense(X, Y, 0.1, 0, given=options)
    assert status == c_api.CONVERGED
    assert point.tolerance == pytest.approx(1e-3 * point.null_objective)


def test_workspaces_of_no_size():
    for sizes in ((-1,), (1 << 40,)):
        assert c_api.functions["gram_workspace"](*sizes) == 0
    for sizes in ((0, 3), (-1, 3), (3, -1), (1 << 62, 3), (3, 1 << 40)):
        assert c_api.functions["dense_workspace"](*sizes) == 0


def test_the_header_declares_what_the_pxd_does():
    package = Path(fastreg.__file__).parent
    header = Path(fastreg.get_include(), "fastreg.h").read_text()
    declarations = (package / "cython_api.pxd").read_text()
    functions = re.findall(r"^cdef [\w *]+?(\w+)\(", declarations, re.M)
    assert re.findall(r"\(\*(\w+)\)\(", header) == functions
    assert sorted(c_api.functions) == sorted(functions)
    statuses = dict(re.findall(r"^    ([A-Z_]+) = (-?\d+)", declarations, re.M))
    named = dict(re.findall(r"^    FASTREG_([A-Z_]+) = (-?\d+)", header, re.M))
    version = re.search(r"#define FASTREG_API_VERSION (\d+)", header)[1]
    assert statuses == named | {"API_VERSION": version}
    assert c_api.functions["api_version"]() == int(version)


@pytest.mark.parametrize("intercept", [True, False])
def test_repeated_entries_are_summed(intercept):
    """A column may have as many entries as there are rows without being full."""
    start, row = np.array([0, 4], np.int32), np.array([0, 1, 1, 2], np.int32)
    x, y = np.ones(4), np.array([1.0, 2, 4, 3])
    whole = np.asfortranarray([[1.0], [2], [1], [0]])
    options = c_api.options(fit_intercept=intercept)
    data = [*map(c_api.address, (start, row, x, y)), None]
    status, (point,) = c_api.solve("csc", (4, 1), data, 0.01, 0.0, given=options)
    _, (expected,) = c_api.dense(whole, y, 0.01, 0.0, given=options)
    assert status == c_api.CONVERGED
    np.testing.assert_allclose(point.coef, expected.coef, rtol=1e-12)


@pytest.mark.parametrize(
    ("G", "c", "square", "l1"),
    [
        ([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]], [0.5, -0.4, -0.3], 1.0, 0.0),
        ([[1, 1], [1, 1]], [0.9, 0.1], 1.0, 0.0),
        ([[1, 0], [0, 1]], [0.9, 0.9], 1.0, 0.0),
    ],
    ids=["indefinite", "unbounded", "negative square"],
)
def test_moments_of_no_data(G, c, square, l1):
    """Each pair of columns is possible; all of them together are not."""
    status, (point,) = c_api.gram(np.array(G, float), np.array(c), square, l1, 0.0)
    assert status == c_api.NOT_A_GRAM
    assert np.isnan(point.coef).all()
    assert point.duality_gap == np.inf


def test_an_excluded_feature_cannot_be_kept_from_zero():
    G, c = np.eye(2), np.array([0.1, 0.2])
    factor, lower = np.array([1.0, np.inf]), np.array([0.0, 0.1])
    status, _ = c_api.gram(G, c, 1.0, 0.1, 0.0, factor=factor, lower=lower)
    assert status == c_api.BAD_PENALTY
