"""`fastreg.solve`, judged by the oracle over the product of storages, arguments and shapes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import oracle
import problems
import pytest
import scipy.sparse
from problems import MORE_STORAGES, PENALTIES, SHAPES, STORAGES, penalty_arguments, row_weights

import fastreg

METHODS = ("working_set", "gram", "gradient", "cholesky", "svd", "krylov")
CLOSED_FORMS = ("cholesky", "svd", "krylov")


def stored(storage, shape, directory):
    """The problem of a shape in a storage: what the solver gets, the same as float64, y, kind."""
    kind, convert = {**STORAGES, **MORE_STORAGES}[storage]
    X, y = problems.shaped(shape, kind)
    if storage == "memmap":
        file = directory / "X.dat"
        X.tofile(file)
        return np.memmap(file, dtype=np.float64, mode="r", shape=X.shape), X, y, kind
    return convert(X), X, y, kind


def judge_cell(
    storage, shape, directory, *, weighted, fit_intercept, argument, penalties=PENALTIES, **options
):
    given, X, y, kind = stored(storage, shape, directory)
    n, p = X.shape
    for penalty in penalties:
        model = {**PENALTIES[penalty], **penalty_arguments(p)[argument]}
        model["fit_intercept"] = fit_intercept
        model["sample_weight"] = row_weights(n) if weighted else None
        result = fastreg.solve(given, y, **model, **options)
        truth = problems.exact(shape, kind, weighted, fit_intercept, argument, penalty)
        oracle.check(result, X, y, reference=lambda _, truth=truth: truth, **model)
        assert result.coef.shape == (p,)
        # One row has no spread, so that standardize leaves nothing to penalise.
        penalised = argument != "factors" and (shape, penalty) != ("n = 1", "standardized lasso")
        if model["alpha"] > 0 and penalised:
            assert result.status == fastreg.Status.CONVERGED


@pytest.mark.parametrize("argument", penalty_arguments(1))
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("weighted", [True, False], ids=["weights", "no weights"])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_product(shape, storage, weighted, fit_intercept, argument, tmp_path):
    judge_cell(
        storage, shape, tmp_path, weighted=weighted, fit_intercept=fit_intercept, argument=argument
    )


@pytest.mark.parametrize("storage", MORE_STORAGES)
@pytest.mark.parametrize("shape", ["n > p", "n < p"])
def test_more_storages(shape, storage, tmp_path):
    for argument in ("none", "bounds"):
        judge_cell(storage, shape, tmp_path, weighted=True, fit_intercept=True, argument=argument)


# Each row is one choice; every pair of choices (storage, weights, intercept, shape) is somewhere.
PAIRS = [
    ("C", True, True, "n > p"),
    ("F", False, True, "n < p"),
    ("CSC", True, False, "n < p"),
    ("CSR", False, False, "n > p"),
    ("float32", True, True, "n = p"),
    ("C", False, False, "p = 1"),
    ("F", True, False, "rank-deficient"),
    ("CSC", False, True, "rank-deficient"),
    ("CSR", True, True, "p = 1"),
    ("strided", True, False, "n = p"),
    ("CSC", False, True, "n > p"),
    ("C", True, True, "n = 1"),
    ("int", False, True, "n < p"),
]


@pytest.mark.parametrize(("storage", "weighted", "fit_intercept", "shape"), PAIRS)
@pytest.mark.parametrize("method", METHODS)
def test_explicit_methods(method, storage, weighted, fit_intercept, shape, tmp_path):
    """A method that is asked for is the one that answers, and its answer is proven like any."""
    if method == "svd" and storage.startswith("CS"):
        given, _, y, _ = stored(storage, shape, tmp_path)
        with pytest.raises(ValueError, match="method"):  # it would be dense
            fastreg.solve(given, y, l1_ratio=0.0, method=method)
        return
    closed = method in CLOSED_FORMS
    penalties = ["ridge"] if closed else ["lasso", "elastic net", "ridge", "standardized lasso"]
    for argument in ("none",) if closed else penalty_arguments(1):
        judge_cell(
            storage,
            shape,
            tmp_path,
            weighted=weighted,
            fit_intercept=fit_intercept,
            argument=argument,
            penalties=penalties,
            method=method,
        )
    given, _, y, _ = stored(storage, shape, tmp_path)
    model = {"alpha": 0.05, "l1_ratio": 0.0, "fit_intercept": fit_intercept}
    assert fastreg.solve(given, y, method=method, **model).method == method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_least_squares_by_every_method(method, fit_intercept):
    X, y = problems.regression(40, 6, seed=11)
    model = {"alpha": 0.0, "fit_intercept": fit_intercept}
    result = fastreg.solve(X, y, method=method, **model)
    oracle.check(result, X, y, **model)
    A = np.column_stack([X, np.ones(40)]) if fit_intercept else X
    truth = np.linalg.lstsq(A, y, rcond=None)[0]
    np.testing.assert_allclose(result.coef, truth[:6], atol=1e-4)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "CSC"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), [(60, 20), (20, 60)])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_scikit_learn_agrees(n, p, l1_ratio, fit_intercept, sparse):
    peers = pytest.importorskip("sklearn.linear_model")
    X, y = problems.regression(n, p, seed=14)
    given = scipy.sparse.csc_array(X) if sparse else X
    for alpha in (0.5, 0.05):
        ours = fastreg.solve(given, y, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
        peer = peers.ElasticNet(
            alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-14, max_iter=10**5
        ).fit(X, y)
        np.testing.assert_allclose(ours.coef, peer.coef_, atol=1e-6)
        np.testing.assert_array_equal(ours.coef != 0, np.abs(peer.coef_) > 1e-9)
        problem = oracle.make_problem(X, y, alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
        theirs = oracle.objective(problem, peer.coef_, peer.intercept_)
        assert ours.objective <= theirs * (1 + 1e-9) + ours.duality_gap


@pytest.mark.parametrize("method", CLOSED_FORMS)
@pytest.mark.parametrize(
    "model",
    [
        {"alpha": 0.1},
        {"alpha": 0.1, "l1_ratio": 0.5},
        {"alpha": 0.1, "l1_ratio": 0, "lower": 0.0},
        {"alpha": 0.1, "l1_ratio": 0.0, "positive": True},
    ],
    ids="+".join,
)
def test_a_method_that_does_not_apply_is_refused(method, model):
    X, y = problems.regression(10, 3)
    with pytest.raises(ValueError, match="method"):
        fastreg.solve(X, y, method=method, **model)


@pytest.mark.parametrize("storage", ["C", "F", "float32", "CSC", "CSR"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", ["n < p", "rank-deficient"])
def test_rank_deficient_least_squares_has_minimum_norm(shape, fit_intercept, storage, tmp_path):
    given, X, y, _ = stored(storage, shape, tmp_path)
    s = row_weights(len(y)) + 0.5
    result = fastreg.solve(given, y, alpha=0.0, fit_intercept=fit_intercept, sample_weight=s)
    assert result.status == fastreg.Status.RANK_DEFICIENT
    assert result.converged
    A, t = X, y
    if fit_intercept:
        A, t = X - np.average(X, axis=0, weights=s), y - np.average(y, weights=s)
    root = np.sqrt(s)
    truth = np.linalg.pinv(A * root[:, None], rcond=1e-12) @ (t * root)
    np.testing.assert_allclose(result.coef, truth, atol=1e-10)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "CSC"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_offset(penalty, sparse):
    X, y = problems.regression(30, 5, seed=1)
    offset = np.linspace(-3, 8, 30) ** 2
    given = scipy.sparse.csc_array(X) if sparse else X
    for fit_intercept in (True, False):
        model = {**PENALTIES[penalty], "offset": offset, "fit_intercept": fit_intercept}
        result = fastreg.solve(given, y, **model)
        oracle.check(result, X, y, **model)
        prediction = result.predict(given, offset=offset)
        np.testing.assert_allclose(prediction, X @ result.coef + result.intercept + offset)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "CSC"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("n", "p"), [(30, 5), (6, 10)])
def test_two_dimensional_y(n, p, penalty, sparse):
    """Several responses are judged one by one, and are what each alone gives."""
    X, _ = problems.regression(n, p, seed=2)
    Y = np.random.default_rng(3).standard_normal((n, 4)) * [1, 10, 0.1, 1]
    Y[:, 3] = 7.0  # nothing to explain
    given = scipy.sparse.csc_array(X) if sparse else X
    weight = row_weights(n)
    for y in (Y, np.asfortranarray(Y), Y[:, :1]):
        model = {**PENALTIES[penalty], "sample_weight": weight}
        result = fastreg.solve(given, y, **model)
        oracle.check(result, X, y, **model)
        m = y.shape[1]
        assert result.coef.shape == (m, p)
        assert np.shape(result.certified_zero) == (m, p)
        assert np.shape(result.intercept) == np.shape(result.duality_gap) == (m,)
        alone = [fastreg.solve(given, column, **model) for column in y.T]
        fits = np.array([one.predict(given) for one in alone]).T
        apart = weight @ (result.predict(given) - fits) ** 2
        bound = [one.prediction_error_bound for one in alone] + result.prediction_error_bound
        assert np.all(apart <= 2 * bound + 1e-12)
        np.testing.assert_allclose(
            result.objective, [one.objective for one in alone], rtol=1e-6, atol=1e-12
        )


@pytest.mark.parametrize(
    "convert",
    [
        list,
        np.asfortranarray,
        lambda y: y.astype(np.float32),
        lambda y: y[::-1].copy()[::-1],
        lambda y: y.astype(np.longdouble),
        problems.read_only,
    ],
    ids=["list", "F", "float32", "reversed", "longdouble", "read-only"],
)
def test_storages_of_y(convert):
    X, y = problems.regression(20, 4, seed=5)
    result = fastreg.solve(X, convert(y), alpha=0.1)
    oracle.check(result, X, y, alpha=0.1)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integer_y(dtype):
    X, y = problems.regression(20, 4, seed=5)
    y = (np.abs(y) * (2 if dtype is not bool else 0.3)).astype(dtype)
    oracle.check(fastreg.solve(X, y, alpha=0.1), X, y.astype(float), alpha=0.1)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    frames = pytest.importorskip(library)
    X, y = problems.regression(20, 3, seed=6)
    whole = np.rint(X[:, 1]).astype(np.int64)
    flag = X[:, 2] > 0
    frame = frames.DataFrame({"a": X[:, 0], "whole": whole, "flag": flag})
    plain = np.column_stack([X[:, 0], whole, flag])
    result = fastreg.solve(frame, frames.Series(y), alpha=0.1)
    oracle.check(result, plain, y, alpha=0.1)
    np.testing.assert_allclose(result.predict(frame), plain @ result.coef + result.intercept)
    weight = row_weights(20)
    result = fastreg.solve(frame, frames.Series(y), alpha=0.1, sample_weight=frames.Series(weight))
    oracle.check(result, plain, y, alpha=0.1, sample_weight=weight)


@pytest.mark.parametrize("shape", [(20, 4), (6, 10)])
def test_warm_start(shape):
    X, y = problems.regression(*shape, seed=7)
    cold = fastreg.solve(X, y, alpha=0.1)
    near = fastreg.solve(X, y, alpha=0.12)
    rng = np.random.default_rng(0)
    starts = [
        near,
        near.coef,
        near.coef.tolist(),
        cold,
        np.zeros(shape[1]),
        100 * rng.standard_normal(shape[1]),
        near.coef.astype(np.float32),
    ]
    for start in starts:
        result = fastreg.solve(X, y, alpha=0.1, warm_start=start)
        oracle.check(result, X, y, alpha=0.1)
        np.testing.assert_allclose(result.objective, cold.objective, rtol=2e-8)
    bounded = {"alpha": 0.1, "lower": 0.0, "upper": 0.5}
    start = 10 * rng.standard_normal(shape[1])
    oracle.check(fastreg.solve(X, y, warm_start=start, **bounded), X, y, **bounded)


def test_warm_start_of_several_responses():
    X, _ = problems.regression(20, 4, seed=7)
    Y = np.random.default_rng(1).standard_normal((20, 3))
    first = fastreg.solve(X, Y, alpha=0.05)
    for start in (first, first.coef):
        oracle.check(fastreg.solve(X, Y, alpha=0.02, warm_start=start), X, Y, alpha=0.02)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_scalar_and_vector_arguments_agree(penalty):
    X, y = problems.regression(20, 4, seed=8)
    scalar = fastreg.solve(X, y, lower=-0.2, upper=0.3, **PENALTIES[penalty])
    sides = {"lower": np.full(4, -0.2), "upper": np.full(4, 0.3)}
    vector = fastreg.solve(X, y, **sides, **PENALTIES[penalty])
    np.testing.assert_array_equal(scalar.coef, vector.coef)
    sides["lower"] = [-0.2] * 4  # not the lane of small fits, but for rounding the same
    listed = fastreg.solve(X, y, **sides, **PENALTIES[penalty])
    np.testing.assert_allclose(scalar.coef, listed.coef, rtol=1e-12)
    positive = fastreg.solve(X, y, positive=True, **PENALTIES[penalty])
    bounded = fastreg.solve(X, y, lower=0.0, **PENALTIES[penalty])
    np.testing.assert_array_equal(positive.coef, bounded.coef)


def test_settings_object_and_options_agree():
    X, y = problems.regression(30, 10, seed=9)
    settings = fastreg.Settings(tol=1e-4, method="working_set")
    one = fastreg.solve(X, y, alpha=0.1, settings=settings)
    other = fastreg.solve(X, y, alpha=0.1, tol=1e-4, method="working_set")
    np.testing.assert_array_equal(one.coef, other.coef)
    assert one.tolerance == other.tolerance == pytest.approx(1e-4 * one.null_objective)


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_the_same_bits_twice(method):
    X, y = problems.regression(60, 20, seed=10)
    model = {"alpha": 0.05, "l1_ratio": 0.0 if method in CLOSED_FORMS else 0.9, "method": method}
    runs = [fastreg.solve(X, y, **model) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].coef, runs[1].coef)
    for name in ("intercept", "objective", "duality_gap", "kkt_violation", "n_passes", "n_sweeps"):
        assert getattr(runs[0], name) == getattr(runs[1], name), name


def test_many_threads_give_the_same_answers():
    tasks = []
    for seed in range(12):
        X, y = problems.regression(50, 30 if seed % 2 else 120, seed=seed)
        given = scipy.sparse.csc_array(X) if seed % 3 == 0 else X
        tasks.append(partial(fastreg.solve, given, y, alpha=0.02 * (1 + seed % 4)))
    alone = [task() for task in tasks]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            together = list(pool.map(lambda task: task(), tasks))
            for one, other in zip(alone, together, strict=True):
                np.testing.assert_array_equal(one.coef, other.coef)
                assert one.duality_gap == other.duality_gap


def test_threads_share_one_design():
    """One array in many threads at once: nothing is written to it."""
    X, y = problems.regression(80, 40, seed=20)
    X.flags.writeable = False
    alphas = np.geomspace(0.5, 0.001, 16)
    alone = [fastreg.solve(X, y, alpha=alpha).coef for alpha in alphas]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda alpha: fastreg.solve(X, y, alpha=alpha).coef, alphas)
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("option", "status"),
    [
        ({"max_iter": 1, "method": "gradient"}, "MAX_ITER"),
        ({"time_limit": 1e-9, "method": "gradient"}, "TIME_LIMIT"),
    ],
)
def test_running_out_is_reported_honestly(option, status):
    X, y = problems.regression(60, 120, seed=12)
    result = fastreg.solve(X, y, alpha=1e-3, **option)
    assert result.status == fastreg.Status[status]
    assert not result.converged
    assert result.duality_gap > result.tolerance
    oracle.check(result, X, y, alpha=1e-3, converged=False)


@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-12])
def test_looser_and_tighter_tolerances(tol):
    X, y = problems.regression(40, 60, seed=13)
    result = fastreg.solve(X, y, alpha=0.01, tol=tol)
    assert result.converged
    assert result.duality_gap <= result.tolerance == pytest.approx(tol * result.null_objective)
    oracle.check(result, X, y, alpha=0.01, converged=False)
