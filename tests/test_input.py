"""Bad input is refused in words that name the argument; good input is never changed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import scipy.sparse
from problems import regression

import fastreg

X, Y = regression(8, 3, seed=1)
X.flags.writeable = Y.flags.writeable = False
NAN, INF = float("nan"), float("inf")


def with_entry(array, value):
    changed = np.array(array, dtype=float)
    changed.flat[4] = value
    return changed


def complex_frame():
    return pytest.importorskip("pandas").DataFrame({"a": np.arange(8.0), "b": list("abcdefgh")})


def missing_frame():
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"a": pandas.array([1, None, 3, 4, 5, 6, 7, 8], dtype="Int64")})


ERRORS = (ValueError, TypeError)
# argument, a bad value, the exceptions that may be raised
MODEL_ARGUMENTS = [
    ("l1_ratio", -0.1, ValueError),
    ("l1_ratio", 1.1, ValueError),
    ("l1_ratio", NAN, ValueError),
    ("l1_ratio", "much", ERRORS),
    ("l1_ratio", None, ERRORS),
    ("l1_ratio", [0.5, 0.6], ERRORS),
    ("fit_intercept", "yes", ERRORS),
    ("fit_intercept", None, ERRORS),
    ("standardize", "yes", ERRORS),
    ("positive", "yes", ERRORS),
    ("sample_weight", np.full(8, NAN), ValueError),
    ("sample_weight", with_entry(Y, INF), ValueError),
    ("sample_weight", -np.ones(8), ValueError),
    ("sample_weight", np.zeros(8), ValueError),
    ("sample_weight", np.ones(7), ValueError),
    ("sample_weight", np.ones((8, 2)), ValueError),
    ("sample_weight", ["a"] * 8, ERRORS),
    ("sample_weight", np.ones(8) * 1j, ERRORS),
    ("sample_weight", [], ValueError),
    ("offset", np.ones(7), ValueError),
    ("offset", with_entry(Y, NAN), ValueError),
    ("offset", with_entry(Y, INF), ValueError),
    ("offset", ["a"] * 8, ERRORS),
    ("offset", np.ones(8) * 1j, ERRORS),
    ("penalty_factor", [1, -1, 1], ValueError),
    ("penalty_factor", [1, NAN, 1], ValueError),
    ("penalty_factor", np.ones(2), ValueError),
    ("penalty_factor", np.ones((3, 3)), ValueError),
    ("penalty_factor", [1, -INF, 1], ValueError),
    ("penalty_factor", list("abc"), ERRORS),
    ("lower", [0, NAN, 0], ValueError),
    ("lower", np.zeros(4), ValueError),
    ("lower", INF, ValueError),
    ("lower", "low", ERRORS),
    ("lower", 1j, ERRORS),
    ("upper", [0, NAN, 0], ValueError),
    ("upper", np.zeros(4), ValueError),
    ("upper", -INF, ValueError),
    ("upper", "high", ERRORS),
]
BAD_X = {
    "nan": (with_entry(X, NAN), ValueError),
    "inf": (with_entry(X, INF), ValueError),
    "minus inf": (with_entry(X, -INF), ValueError),
    "nan float32": (with_entry(X, NAN).astype(np.float32), ValueError),
    "nan F": (np.asfortranarray(with_entry(X, NAN)), ValueError),
    "nan CSC": (scipy.sparse.csc_array(with_entry(X, NAN)), ValueError),
    "inf CSR": (scipy.sparse.csr_array(with_entry(X, INF)), ValueError),
    "complex": (X * 1j, ERRORS),
    "complex CSC": (scipy.sparse.csc_array(X * 1j), ERRORS),
    "text": (X.astype(str), ERRORS),
    "objects": (np.full((8, 3), None), ERRORS),
    "ragged": ([[1.0, 2.0], [3.0]], ERRORS),
    "dates": (X.astype("datetime64[s]"), ERRORS),
    "one-dimensional": (Y, ValueError),
    "three-dimensional": (np.zeros((8, 3, 2)), ValueError),
    "scalar": (3.0, ERRORS),
    "None": (None, ERRORS),
    "no rows": (np.zeros((0, 3)), ValueError),
    "no columns": (np.zeros((8, 0)), ValueError),
    "no columns CSC": (scipy.sparse.csc_array((8, 0)), ValueError),
    "frame with text": (complex_frame, ERRORS),
    "frame with a missing value": (missing_frame, ERRORS),
}
BAD_Y = {
    "nan": (with_entry(Y, NAN), ValueError),
    "inf": (with_entry(Y, INF), ValueError),
    "too short": (Y[:-1], ValueError),
    "too long": (np.zeros(9), ValueError),
    "empty": ([], ValueError),
    "no responses": (np.zeros((8, 0)), ValueError),
    "three-dimensional": (np.zeros((8, 2, 2)), ValueError),
    "transposed": (np.zeros((2, 8)), ValueError),
    "complex": (Y * 1j, ERRORS),
    "text": (list("abcdefgh"), ERRORS),
    "objects": (np.full(8, None), ERRORS),
    "scalar": (1.0, ERRORS),
    "None": (None, ERRORS),
    "sparse": (scipy.sparse.csc_array(Y[:, None]), ERRORS),
}
CALLS = {
    "solve": fastreg.solve,
    "solve_path": fastreg.solve_path,
    "alpha_max": fastreg.alpha_max,
    "alpha_grid": fastreg.alpha_grid,
}


def refused(error, argument, call):
    """The call raises, and the message has the argument's name as a word and says something."""
    with pytest.raises(error, match=rf"\b{argument}\b") as caught:
        call()
    assert type(caught.value) in (ValueError, TypeError)
    assert len(str(caught.value).split()) >= 4


@pytest.mark.parametrize("function", CALLS)
@pytest.mark.parametrize(("argument", "value", "error"), MODEL_ARGUMENTS)
def test_model_arguments(function, argument, value, error):
    refused(error, argument, lambda: CALLS[function](X, Y, **{argument: value}))


@pytest.mark.parametrize("function", [*CALLS, "ridge_path"])
@pytest.mark.parametrize("name", BAD_X)
def test_bad_design(function, name):
    bad, error = BAD_X[name]
    bad = bad() if callable(bad) else bad
    call = CALLS.get(function, lambda X, y: fastreg.ridge_path(X, y, [1.0]))
    refused(error, "X", lambda: call(bad, Y))


@pytest.mark.parametrize("function", [*CALLS, "ridge_path"])
@pytest.mark.parametrize("name", BAD_Y)
def test_bad_response(function, name):
    bad, error = BAD_Y[name]
    call = CALLS.get(function, lambda X, y: fastreg.ridge_path(X, y, [1.0]))
    refused(error, "y", lambda: call(X, bad))


@pytest.mark.parametrize("alpha", [-1.0, NAN, INF, "big", None, 1j, [1.0, 2.0]])
def test_alpha(alpha):
    refused(ERRORS, "alpha", lambda: fastreg.solve(X, Y, alpha=alpha))


@pytest.mark.parametrize(
    "alphas", [[1.0, -1.0], [NAN], [INF], [], [[1.0], [2.0]], "all", [1j], ["a"]], ids=str
)
def test_alphas(alphas):
    refused(ERRORS, "alphas", lambda: fastreg.solve_path(X, Y, alphas=alphas))
    refused(ERRORS, "alphas", lambda: fastreg.ridge_path(X, Y, alphas))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("n_alphas", 0),
        ("n_alphas", -3),
        ("n_alphas", 2.5),
        ("n_alphas", "ten"),
        ("n_alphas", None),
        ("eps", 0.0),
        ("eps", -0.1),
        ("eps", 1.5),
        ("eps", NAN),
        ("eps", "small"),
    ],
)
def test_grid_arguments(argument, value):
    refused(ERRORS, argument, lambda: fastreg.alpha_grid(X, Y, **{argument: value}))
    refused(ERRORS, argument, lambda: fastreg.solve_path(X, Y, **{argument: value}))


@pytest.mark.parametrize("function", ["solve", "solve_path"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tol", -1.0),
        ("tol", NAN),
        ("tol", "tight"),
        ("tol", None),
        ("tol", INF),
        ("max_iter", -1),
        ("max_iter", 2.5),
        ("max_iter", "many"),
        ("max_sweeps", -1),
        ("max_sweeps", 0.5),
        ("time_limit", -1.0),
        ("time_limit", NAN),
        ("time_limit", "soon"),
        ("gram_memory", -1),
        ("gram_memory", "1 GB"),
        ("method", "magic"),
        ("method", None),
        ("method", 3),
    ],
)
def test_options(function, option, value):
    refused(ERRORS, option, lambda: CALLS[function](X, Y, **{option: value}))
    refused(ERRORS, option, lambda: fastreg.Settings(**{option: value}))


@pytest.mark.parametrize("function", ["solve", "solve_path"])
def test_unknown_options(function):
    for option in ("tolerance", "lambda_", "alpha_", "max_iters"):
        refused(TypeError, option, lambda option=option: CALLS[function](X, Y, **{option: 1}))
    refused(ERRORS, "settings", lambda: CALLS[function](X, Y, settings={"tol": 1e-3}))
    refused(TypeError, "tolerance", lambda: fastreg.Settings(tolerance=1))


@pytest.mark.parametrize("function", CALLS)
def test_bounds_that_exclude_each_other(function):
    for bounds in ({"lower": 1.0, "upper": 0.0}, {"lower": [0, 2, 0], "upper": 1.0}):
        refused(ValueError, "lower", lambda bounds=bounds: CALLS[function](X, Y, **bounds))
    refused(ValueError, "upper", lambda: CALLS[function](X, Y, upper=-1.0, positive=True))


@pytest.mark.parametrize("function", ["solve", "solve_path"])
@pytest.mark.parametrize(
    "start",
    [
        np.zeros(2),
        np.zeros(4),
        np.zeros((1, 4)),
        np.zeros((2, 3)),
        [0, NAN, 0],
        [0, INF, 0],
        "zero",
        np.zeros(3) * 1j,
        1.0,
    ],
    ids=str,
)
def test_warm_start(function, start):
    refused(ERRORS, "warm_start", lambda: CALLS[function](X, Y, warm_start=start))


def test_warm_start_from_another_problem():
    other = fastreg.solve(*regression(8, 5, seed=2), alpha=0.1)
    refused(ValueError, "warm_start", lambda: fastreg.solve(X, Y, warm_start=other))
    several = fastreg.solve(X, np.column_stack([Y, Y]), alpha=0.1)
    refused(ValueError, "warm_start", lambda: fastreg.solve(X, Y, warm_start=several))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sample_weight", -np.ones(8)),
        ("sample_weight", np.ones(7)),
        ("offset", np.ones(3)),
        ("penalty_factor", [1, -1, 1]),
        ("penalty_factor", np.ones(5)),
        ("fit_intercept", "no"),
        ("standardize", "no"),
        ("leave_one_out", 1),
    ],
)
def test_ridge_path_arguments(argument, value):
    refused(ERRORS, argument, lambda: fastreg.ridge_path(X, Y, [1.0], **{argument: value}))


@pytest.mark.parametrize("method", ["auto", "working_set", "gram", "gradient"])
@pytest.mark.parametrize(
    "storage",
    [
        np.array,
        np.asfortranarray,
        lambda X: X.astype(np.float32),
        scipy.sparse.csc_array,
        scipy.sparse.csr_array,
        lambda X: scipy.sparse.coo_array(X).tocsr()[:, ::-1],
    ],
    ids=["C", "F", "float32", "CSC", "CSR", "CSR unsorted"],
)
def test_input_is_never_changed(storage, method):
    design = storage(np.array(X))
    given = {
        "y": np.column_stack([Y, Y + 1]),
        "sample_weight": np.arange(8.0),
        "offset": np.linspace(0, 1, 8),
        "penalty_factor": np.array([0.0, 1.0, np.inf]),
        "lower": np.array([-0.1, -INF, 0.0]),
        "upper": np.array([0.1, INF, INF]),
        "warm_start": np.full((2, 3), 7.0),
    }
    copies = {name: value.copy() for name, value in given.items()}
    parts = ("data", "indices", "indptr") if scipy.sparse.issparse(design) else ()
    before = [getattr(design, part).copy() for part in parts] or [design.copy()]
    response = given["y"]
    model = {name: value for name, value in given.items() if name != "y"}
    for alpha in (0.1, 0.0):
        fastreg.solve(design, response, alpha=alpha, standardize=True, method=method, **model)
    fastreg.solve_path(design, response, n_alphas=4, method=method, **model)
    fastreg.ridge_path(design, response, np.array([0.1, 1.0]), sample_weight=model["sample_weight"])
    for name, value in given.items():
        np.testing.assert_array_equal(value, copies[name], err_msg=name)
    after = [getattr(design, part) for part in parts] or [design]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


LONG_FITS = {
    "gradient": """
        rng = np.random.default_rng(0)
        X = rng.standard_normal((2000, 3)) @ rng.standard_normal((3, 1500))
        X += 1e-5 * rng.standard_normal(X.shape)
        fit = lambda: fastreg.solve(X, X @ rng.standard_normal(1500), alpha=1e-12, tol=1e-15,
                                    method="gradient", max_iter=10**9)""",
    "path": """
        rng = np.random.default_rng(0)
        X = np.cumsum(rng.standard_normal((1500, 3000)), axis=1)
        y = rng.standard_normal(1500)
        fit = lambda: fastreg.solve_path(X, y, n_alphas=5000, eps=1e-6, sparse_coef=True)""",
    "moments": """
        X = np.broadcast_to(np.arange(40_000.0), (1_000_000, 40_000))
        fit = lambda: fastreg.solve(X, np.arange(1e6))""",
    "Gram": """
        rng = np.random.default_rng(0)
        X = rng.standard_normal((2000, 40))
        Y = rng.standard_normal((2000, 3000))
        fit = lambda: fastreg.solve_path(X, Y, n_alphas=2000, eps=1e-9, sparse_coef=True)""",
}
SCRIPT = """
import sys
import time
import numpy as np
import fastreg
{problem}
print("started", flush=True)
try:
    fit()
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("finished", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a child on Windows")
@pytest.mark.parametrize("name", LONG_FITS)
def test_ctrl_c_stops_a_long_fit(name):
    """Within a second; ten are allowed here, since the machine may be busy."""
    script = SCRIPT.format(problem=textwrap.dedent(LONG_FITS[name]))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "started\n"
            time.sleep(1.0)
            assert child.poll() is None
            child.send_signal(signal.SIGINT)
            sent = time.monotonic()
            assert child.stdout.readline() == "interrupted\n"
            assert time.monotonic() - sent < 10
        finally:
            child.kill()
