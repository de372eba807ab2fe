"""The lane for small fits: answers and errors of the general one, or it leaves the fit to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import oracle
import pytest
import scipy.sparse
from problems import regression

import fastreg
from fastreg._core import kernels, small
from fastreg.inputs import dense_if_small

SHAPES = [(30, 5), (100, 10), (150, 3), (300, 20), (40, 40), (20, 50), (9, 1), (2, 2), (1, 3)]
STORAGES = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "float32 F": lambda X: np.asfortranarray(X, dtype=np.float32),
}
SETTINGS = fastreg.Settings()


def taken(X, y, alpha=0.1, l1_ratio=1.0, fit_intercept=True, settings=SETTINGS):
    """Whether the lane answers."""
    return small.fit(X, y, alpha, l1_ratio, fit_intercept, settings) is not None


def both(X, y, *args, **model):
    """The result with the lane, and the general one: the lane leaves time limits alone."""
    result = fastreg.solve(X, y, *args, **model)
    return result, fastreg.solve(X, y, *args, time_limit=1e6, **model)


def assert_same(one, other, X, y):
    """Equal but for rounding."""
    assert vars(one).keys() == vars(other).keys()
    assert one.status is other.status
    size = np.abs(y - y.mean() * (one.intercept != 0)).max()
    scale = size / np.maximum(np.abs(X - X.mean(axis=0)).max(axis=0), 1e-300)
    assert np.all(np.abs(one.coef - other.coef) <= 1e-9 * scale)
    np.testing.assert_array_equal(one.coef != 0, other.coef != 0)
    for name in ("l1_ratio", "alpha", "n_active", "n_features", "feature_names"):
        assert getattr(one, name) == getattr(other, name), name
        assert type(getattr(one, name)) is type(getattr(other, name)), name
    for name in ("objective", "null_objective", "tolerance"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-10), name
    for name, value in vars(other).items():
        assert type(getattr(one, name)) is type(value), name
    assert one.certified_zero.dtype == bool
    # A smaller gap proves more.
    if one.duality_gap <= other.duality_gap:
        assert np.all(one.certified_zero >= (other.certified_zero & (other.coef == 0)))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_lanes_agree(shape, fit_intercept, storage):
    X, y = regression(*shape, seed=sum(shape))
    X, y = STORAGES[storage](X), y.astype(np.float32) if storage == "float32" else y
    kept = X.copy(), y.copy()
    for alpha in (0.001, 0.1, 3):
        for l1_ratio in (1, 0.7, 0.01, 0):
            model = {"alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
            one, other = both(X, y, **model)
            assert_same(one, other, X.astype(float), y)
            oracle.check(one, X, y, **model)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    if shape[0] > 1:
        assert taken(X, y, 0.1, 1.0, fit_intercept)
        assert taken(X, y, 0.1, 0.0, fit_intercept)


def degenerate():
    """Columns, responses and scales that have no digits to lose."""
    X, y = regression(30, 6, seed=4)
    cases = {}

    def case(name, y=y, **columns):
        changed = X.copy()
        for column, values in columns.items():
            changed[:, int(column[1:])] = values
        cases[name] = changed, y

    case("constant column", c2=3.7)
    case("zero column", c2=0.0)
    case("nearly constant column", c2=1e8 + np.arange(30) * 1e-7)
    case("duplicate columns", c2=X[:, 0], c3=X[:, 0])
    case("sign twin", c2=-X[:, 0])
    case("dependent columns", c4=X[:, 0] - 2 * X[:, 1])
    case("nearly dependent columns", c4=X[:, 0] + 1e-9 * X[:, 1])
    case("large mean", c1=X[:, 1] + 1e5, c2=X[:, 2] - 1e9)
    case("outlier first", c1=np.where(np.arange(30) == 0, 1e9, X[:, 1]))
    case("constant y", y=np.full(30, 2.5))
    case("zero y", y=np.zeros(30))
    case("y with a large mean", y=y + 1e9)
    case("exact fit", y=X[:, 0] - 2 * X[:, 1])
    case("tiny y", y=y * 1e-140)
    case("subnormal y", y=y * 1e-310)
    case("large y", y=y * 1e140)
    for power in (-300, -160, -90, 90, 150, 300):
        case(f"column times 1e{power}", c1=X[:, 1] * 10.0**power)
        cases[f"X times 1e{power}"] = X * 10.0**power, y
    return cases


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", degenerate())
def test_degenerate_numbers(name, fit_intercept):
    """Where both lanes answer, the answers are equally good; elsewhere they are the same one."""
    X, y = degenerate()[name]
    A, b = (X - X.mean(axis=0), y - y.mean()) if fit_intercept else (X, y)
    alpha = 0.01 * np.abs(A.T @ b).max() / 30 or 1.0
    for given in (X, np.asfortranarray(X)):
        for l1_ratio in (1.0, 0.5, 0.0):
            model = {"alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
            one, other = both(given, y, **model)
            assert one.status is other.status
            assert abs(one.objective - other.objective) <= (
                one.duality_gap + other.duality_gap + 1e-13 * one.null_objective
            )
            apart = np.sum((one.predict(given) - other.predict(given)) ** 2)
            bound = one.prediction_error_bound + other.prediction_error_bound
            assert apart <= 2 * bound + 1e-13 * np.sum(y**2)
            if taken(given, y, **model):
                oracle.check(one, given, y, **model)


@pytest.mark.parametrize(
    ("name", "X", "y", "alpha", "l1_ratio", "fit_intercept"),
    [
        ("NaN in X", np.array([[1.0, 2], [np.nan, 3], [0, 1]]), None, 0.1, 1, True),
        ("infinity in X", np.array([[1.0, 2], [np.inf, 3], [0, 1]]), None, 0.1, 1, False),
        ("minus infinity", np.array([[-np.inf, 2], [-np.inf, 3], [0, 1]]), None, 0.1, 1, True),
        ("NaN in y", None, np.array([1, np.nan, 2]), 0.1, 1, True),
        ("infinity in y", None, np.array([1, np.inf, 2]), 0.1, 1, False),
        ("huge y", None, np.array([1, 1e160, 2]), 0.1, 1, True),
        ("length of y", None, np.ones(4), 0.1, 1, True),
        ("one-dimensional X", np.ones(3), None, 0.1, 1, True),
        ("three-dimensional X", np.ones((3, 2, 2)), None, 0.1, 1, True),
        ("scalar X", np.array(1.0), None, 0.1, 1, True),
        ("three-dimensional y", None, np.ones((3, 1, 1)), 0.1, 1, True),
        ("scalar y", None, np.array(1.0), 0.1, 1, True),
        ("no rows", np.ones((0, 2)), np.ones(0), 0.1, 1, True),
        ("no columns", np.ones((3, 0)), None, 0.1, 1, True),
        ("dates", np.ones((3, 2), "M8[s]"), None, 0.1, 1, True),
        ("text", np.full((3, 2), "x"), None, 0.1, 1, True),
        ("complex X", np.ones((3, 2), complex), None, 0.1, 1, True),
        ("negative alpha", None, None, -1.0, 1, True),
        ("NaN alpha", None, None, np.nan, 1, True),
        ("infinite alpha", None, None, np.inf, 1, True),
        ("huge alpha", None, None, 10**400, 1, True),
        ("alpha of bool", None, None, True, 1, True),
        ("alpha of text", None, None, "1", 1, True),
        ("array alpha", None, None, np.array([0.1]), 1, True),
        ("negative l1_ratio", None, None, 0.1, -0.1, True),
        ("large l1_ratio", None, None, 0.1, 1.1, True),
        ("NaN l1_ratio", None, None, 0.1, np.nan, True),
        ("fit_intercept of 1", None, None, 0.1, 1, 1),
        ("fit_intercept of None", None, None, 0.1, 1, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_same_errors(name, X, y, alpha, l1_ratio, fit_intercept):
    X = np.array([[1.0, 2], [0, 3], [0, 1]]) if X is None else X
    y = np.array([1.0, 5, 2]) if y is None else y
    errors = []
    for options in ({}, {"time_limit": 1e6}):
        with pytest.raises((TypeError, ValueError)) as caught:
            fastreg.solve(X, y, alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, **options)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


def misaligned(X):
    memory = np.zeros(X.nbytes + 1, np.uint8)
    view = memory[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    return view


def test_what_is_not_plain_is_left_alone():
    X, y = regression(30, 4)
    assert taken(X, y)
    assert taken(X, y, np.float64(0.1), 1, False)
    assert taken(X, y, settings=fastreg.Settings(tol=1e-4, max_sweeps=7))
    for other in (
        X[::2].copy()[::-1],
        X[:, ::2],
        X.astype(int),
        X.astype(">f8"),
        X.tolist(),
        X.view(np.memmap),
        np.ma.masked_array(X),
        misaligned(X),
    ):
        assert not taken(other, y[: len(other)])
    for other in (y[:, None, None], y[::-1], y.tolist(), y.astype(int), misaligned(y)):
        assert not taken(X, other)
    assert not taken(X, y, 0.0)
    assert not taken(X, y, 0.0, 0.0)
    for options in ({"method": "gram"}, {"time_limit": 1.0}, {"gram_memory": 1e5}):
        assert not taken(X, y, settings=fastreg.Settings(**options))
    assert not taken(np.ones((100_000, 50)), np.ones(100_000))
    assert not taken(np.ones((3, 400)), np.ones(3))


@pytest.mark.parametrize(
    ("n", "p", "l1_ratio", "expected"),
    [
        (500, 250, 1.0, True),
        (600, 250, 1.0, False),  # a working set may do with less
        (600, 250, 0.0, True),  # which ridge cannot
        (60, 300, 0.0, True),
        (60, 800, 0.0, True),
        (60, 500, 1.0, False),
        (30, 390, 1.0, False),
    ],
)
def test_how_large_a_small_fit_is(n, p, l1_ratio, expected):
    X, y = regression(n, p)
    assert taken(X, y, 0.5, l1_ratio) == expected
    one = fastreg.solve(X, y, 0.5, l1_ratio=l1_ratio)
    method = "working_set" if l1_ratio > 0.0 else "cholesky"  # which end exactly
    other = fastreg.solve(X, y, 0.5, l1_ratio=l1_ratio, method=method, time_limit=1e6)
    assert_same(one, other, X, y)
    oracle.check(one, X, y, alpha=0.5, l1_ratio=l1_ratio)


def test_how_large_a_small_ridge_is():
    for n, p, expected in (
        (512, 900, True),
        (900, 512, True),
        (513, 513, False),
        (16_384, 100, True),
        (1 << 20, 2, True),
        ((1 << 20) + 1, 2, False),
        (2, (1 << 20) + 1, False),
        (10_000, 300, False),
    ):
        assert small.takes(n, p, 0.0) == small.takes(n, p, 0) == expected
    assert small.takes(100, 384, 0.5)
    assert not small.takes(100, 385, 0.5)
    assert not small.takes(100, 512, "0")
    rng = np.random.default_rng(0)
    for shape in ((700, 500), (450, 600)):
        X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
        one, other = both(X, y, 0.1, l1_ratio=0.0)
        assert one.n_passes != other.n_passes or shape[0] > shape[1]
        assert_same(one, other, X, y)
        coef, intercept = exact_ridge(X, y, 0.1, True)
        np.testing.assert_allclose(one.coef, coef, rtol=1e-9, atol=1e-11)
        assert one.intercept == pytest.approx(intercept, abs=1e-11)


def exact_ridge(X, y, alpha, fit_intercept, weight=None):
    """Coefficients and intercept from the singular values of the rows, in extended units."""
    share = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
    x_mean, y_mean = (share @ X, share @ y) if fit_intercept else (np.zeros(X.shape[1]), 0.0)
    root = np.sqrt(share)
    U, s, Vt = np.linalg.svd((X - x_mean) * root[:, None], full_matrices=False)
    coef = Vt.T @ (s / (s**2 + alpha) * (U.T @ ((y - y_mean) * root)))
    return coef, y_mean - x_mean @ coef


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("shape", [(1, 2), (2, 3), (9, 100), (40, 41), (130, 400)], ids=str)
def test_ridge_on_few_rows(shape, storage, fit_intercept, weighted):
    X, y = regression(*shape, seed=sum(shape))
    X = STORAGES[storage](X + np.linspace(-3, 3, shape[1]))
    kept = X.copy()
    weight = np.random.default_rng(1).uniform(0.1, 3.0, shape[0]) if weighted else None
    for alpha in (1e-6, 1e-2, 1.0, 1e4):
        found = small.fit(X, y, alpha, 0.0, fit_intercept, SETTINGS, weight)
        model = {"l1_ratio": 0.0, "fit_intercept": fit_intercept, "sample_weight": weight}
        one, other = both(X, y, alpha, **model)
        assert_same(one, other, X.astype(float), y)
        if X.size < 2000:
            oracle.check(one, X, y, alpha=alpha, **model)
        coef, intercept = exact_ridge(X.astype(float), y, alpha, fit_intercept, weight)
        np.testing.assert_allclose(one.coef, coef, rtol=1e-9, atol=1e-11 * np.abs(coef).max())
        assert one.intercept == pytest.approx(intercept, rel=1e-9, abs=1e-11)
        assert found is not None or shape[0] == 1  # one row has no deviation
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("constant column", lambda X: np.where(np.arange(80) == 3, 7.0, X)),
        ("zero column", lambda X: np.where(np.arange(80) == 3, 0.0, X)),
        ("nearly constant", lambda X: np.where(np.arange(80) == 3, 1e9 + X, X)),
        ("large means", lambda X: X + 1e4),
        ("larger means", lambda X: X + 1e7),
        ("equal rows", lambda X: X[np.arange(20) // 2]),
        ("equal columns", lambda X: X[:, np.arange(80) // 4]),
        ("huge", lambda X: X * 1e120),
        ("tiny", lambda X: X * 1e-120),
        ("scales", lambda X: X * 10.0 ** np.linspace(-8, 8, 80)),
    ],
)
def test_degenerate_ridge_on_few_rows(name, change, fit_intercept):
    X, y = regression(20, 80)
    X = change(X)
    scale = np.sqrt(np.mean(X * X))
    for alpha in (1e-9, 1.0):
        model = {"l1_ratio": 0.0, "fit_intercept": fit_intercept}
        one, other = both(X, y, alpha * scale**2, **model)
        assert one.status is other.status, name
        oracle.check(one, X, y, alpha=alpha * scale**2, **model)


def test_errors_of_ridge_on_few_rows():
    X, y = regression(20, 80)
    for bad in (np.nan, np.inf):
        for row in (0, 7):
            for M, v in ((X.copy(), y), (X, y.copy())):
                (v if M is X else M)[row] = bad
                with pytest.raises(ValueError, match=r"NaN|infinity"):
                    fastreg.solve(M, v, 1.0, l1_ratio=0.0)


@pytest.mark.parametrize(
    "argument",
    [
        {"sample_weight": np.ones(30)},
        {"offset": np.ones(30)},
        {"penalty_factor": np.ones(4)},
        {"lower": 0},
        {"upper": 0},
        {"positive": True},
        {"standardize": True},
        {"warm_start": np.ones(4)},
        {"method": "working_set"},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_every_argument_counts(argument):
    X, y = regression(30, 4)
    oracle_model = {k: v for k, v in argument.items() if k not in ("warm_start", "method")}
    oracle.check(fastreg.solve(X, y, 0.1, **argument), X, y, alpha=0.1, **oracle_model)


def test_the_answer_belongs_to_the_caller():
    """A later fit writes to other memory, and the result is as frozen as any."""
    X, y = regression(30, 4)
    first = fastreg.solve(X, y, 0.1)
    kept = first.coef.copy(), first.certified_zero.copy()
    fastreg.solve(X, -y, 5.0)
    np.testing.assert_array_equal(first.coef, kept[0])
    np.testing.assert_array_equal(first.certified_zero, kept[1])
    assert first.coef.flags.owndata
    assert first.coef.flags.writeable
    with pytest.raises(AttributeError):
        first.alpha = 1.0
    assert "converged" in repr(first).lower()


def test_threads_never_share_a_workspace():
    tasks = []
    for k in range(40):
        X, y = regression(20 + 37 * k, 1 + k, seed=k)
        tasks.append((X, y, 0.01 * (1 + k % 5)))
    alone = [fastreg.solve(*task) for task in tasks]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for one, other in zip(alone, pool.map(lambda t: fastreg.solve(*t), tasks), strict=True):
                np.testing.assert_array_equal(one.coef, other.coef)
                assert one.duality_gap == other.duality_gap
                np.testing.assert_array_equal(one.certified_zero, other.certified_zero)


@pytest.mark.parametrize("level", kernels.levels())
def test_every_level_of_the_kernels(level):
    used = kernels.level()
    try:
        kernels.use(level)
        for n, p in ((100, 10), (130, 33), (20, 50)):
            X, y = regression(n, p)
            for given in (X, np.asfortranarray(X)):
                oracle.check(fastreg.solve(given, y, 0.05), X, y, alpha=0.05)
    finally:
        kernels.use(used)


@pytest.mark.parametrize("max_sweeps", [1, 2, 3])
def test_a_limit_of_sweeps_is_reported_as_ever(max_sweeps):
    X, y = regression(50, 30, seed=3)
    one, other = both(X, y, 0.001, max_sweeps=max_sweeps)
    assert one.status is other.status
    oracle.check(one, X, y, alpha=0.001, converged=False)


@pytest.mark.parametrize(("n", "p"), [(30, 60), (40, 40)])
def test_fits_that_nearly_interpolate_are_left_alone(n, p):
    X, y = regression(n, p)
    largest = fastreg.alpha_max(X, y)
    assert taken(X, y, 0.1 * largest)
    assert taken(X, y, 0.1 * largest, 0.001)  # a ridge part keeps a residual
    assert not taken(X, y, 1e-4 * largest)
    oracle.check(fastreg.solve(X, y, 1e-4 * largest), X, y, alpha=1e-4 * largest)


def test_ridge_that_could_lose_digits_is_left_alone():
    X, y = regression(40, 8)
    X[:, 3] = X[:, 2] + 1e-3 * X[:, 3]
    assert taken(X, y, 0.1, 0.0)
    assert not taken(X, y, 1e-8, 0.0)
    for alpha in (0.1, 1e-8):
        result = fastreg.solve(X, y, alpha, l1_ratio=0.0)
        A, b = X - X.mean(axis=0), y - y.mean()
        padded = np.vstack([A, np.sqrt(40 * alpha) * np.eye(8)])
        exact = np.linalg.lstsq(padded, np.append(b, np.zeros(8)), rcond=None)[0]
        np.testing.assert_allclose(result.coef, exact, rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.6, 0.0])
@pytest.mark.parametrize("shape", [(30, 5), (150, 3), (40, 40), (20, 50)], ids=str)
def test_weights(shape, l1_ratio, fit_intercept):
    X, y = regression(*shape, seed=sum(shape))
    weight = np.random.default_rng(1).uniform(0.1, 3.0, shape[0])
    kept = weight.copy()
    model = {"alpha": 0.1, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    assert small.fit(X, y, *model.values(), SETTINGS, weight) is not None
    one, other = both(X, y, sample_weight=weight, **model)
    assert_same(one, other, X, y)
    assert one.prediction_error_bound == pytest.approx(
        2 * weight.sum() * one.duality_gap, rel=1e-12
    )
    oracle.check(one, X, y, sample_weight=weight, **model)
    np.testing.assert_array_equal(weight, kept)


@pytest.mark.parametrize(
    "weight",
    [
        np.array([np.nan, *np.ones(29)]),
        np.array([-1.0, *np.ones(29)]),
        np.array([np.inf, *np.ones(29)]),
        np.zeros(30),
        np.ones(29),
        np.ones((30, 2)),
        "heavy",
    ],
    ids=["NaN", "negative", "inf", "zeros", "few", "two columns", "text"],
)
def test_weights_that_are_none(weight):
    X, y = regression(30, 4)
    with pytest.raises((TypeError, ValueError), match="sample_weight"):
        fastreg.solve(X, y, 0.1, sample_weight=weight)


@pytest.mark.parametrize(
    "weight",
    [
        np.array([0.0, *np.ones(29)]),
        np.array([1e-60, *np.ones(29)]),
        np.ones(60)[::2],
        np.ones(30, dtype=np.float32),
        np.ones(30).tolist(),
        np.ones(30, dtype=int),
    ],
    ids=["zero", "tiny", "stride", "float32", "list", "integers"],
)
def test_weights_that_are_not_plain_are_left_alone(weight):
    X, y = regression(30, 4)
    assert small.fit(X, y, 0.1, 1.0, True, SETTINGS, weight) is None
    result = fastreg.solve(X, y, 0.1, sample_weight=weight)
    oracle.check(result, X, y, alpha=0.1, sample_weight=np.asarray(weight, float))


def few_entries(n=40, p=12):
    """A sparse design, a response of it, and the same design dense."""
    rng = np.random.default_rng(5)
    dense = np.where(rng.random((n, p)) < 0.3, rng.standard_normal((n, p)), 0.0)
    return dense, dense[:, 0] - dense[:, 1] + 0.1 * rng.standard_normal(n)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["csc_array", "csr_array", "csc_matrix", "csr_matrix"])
def test_small_sparse_designs(kind, dtype):
    dense, y = few_entries()
    X = getattr(scipy.sparse, kind)(dense.astype(dtype))
    kept = X.copy()
    one, other = both(X, y, 0.02)
    assert one.method == "gram"
    assert_same(one, other, dense.astype(dtype).astype(float), y)
    oracle.check(one, dense.astype(dtype).astype(float), y, alpha=0.02)
    np.testing.assert_array_equal(X.toarray(), kept.toarray())


def test_sparse_designs_in_doubt_are_left_alone():
    dense, y = few_entries()
    X = scipy.sparse.csr_array(dense)
    twice = scipy.sparse.csr_array(
        (np.tile(X.data / 2, 2)[np.argsort(np.tile(np.arange(X.nnz), 2), kind="stable")],
         np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape,
    )  # fmt: skip
    result = fastreg.solve(twice, y, 0.02)
    oracle.check(result, dense, y, alpha=0.02)
    assert dense_if_small(twice, 1.0) is twice
    assert type(dense_if_small(X, 1.0)) is np.ndarray
    bad = X.copy()
    bad.indices[3] = 10**6
    with pytest.raises(ValueError, match="X is a damaged sparse matrix"):
        fastreg.solve(bad, y, 0.02)
    bad = X.copy()
    bad.data[3] = np.nan
    with pytest.raises(ValueError, match="X"):
        fastreg.solve(bad, y, 0.02)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("m", [1, 2, 5])
@pytest.mark.parametrize("shape", [(30, 5), (100, 10), (20, 50), (9, 1)], ids=str)
def test_several_responses(shape, m, storage):
    X, y = regression(*shape, seed=sum(shape))
    Y = np.stack([np.roll(y, k) * 3.0**k for k in range(m)], axis=1)
    X, Y = STORAGES[storage](X), STORAGES[storage](Y)
    weight = np.linspace(0.5, 2.0, len(X))
    for l1_ratio, fit_intercept in ((1, True), (0.5, False), (0, True)):
        model = {"alpha": 0.1, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
        assert shape == (20, 50) or taken(X, Y, **model)  # nothing may be left of a response
        one, other = both(X, Y, **model)
        oracle.check(one, X, Y, **model)
        oracle.check(
            fastreg.solve(X, Y, sample_weight=weight, **model), X, Y, sample_weight=weight, **model
        )
        assert vars(one).keys() == vars(other).keys()
        for name, value in vars(other).items():
            assert type(getattr(one, name)) is type(value), name
            assert np.shape(getattr(one, name)) == np.shape(value), name
            assert getattr(getattr(one, name), "dtype", None) == getattr(value, "dtype", None), name
        for k in range(m):
            alone = fastreg.solve(X, np.ascontiguousarray(Y[:, k]), **model)
            np.testing.assert_allclose(one.coef[k], alone.coef, rtol=1e-8, atol=1e-10 * 3.0**k)
            np.testing.assert_allclose(one.intercept[k], alone.intercept, rtol=1e-7, atol=1e-7)


def test_several_responses_leave_nothing_behind():
    X, y = regression(60, 7)
    Z, _ = regression(60, 7, seed=1)
    Y = np.stack([y, -y, y**2], axis=1)
    first, several = fastreg.solve(X, y, 0.1), fastreg.solve(X, Y, 0.1)
    fastreg.solve(Z, Y, 0.1)
    fastreg.solve(Z, y, 0.1)
    np.testing.assert_array_equal(first.coef, fastreg.solve(X, y, 0.1).coef)
    np.testing.assert_array_equal(several.coef, fastreg.solve(X, Y, 0.1).coef)
    kept = several.coef.copy()
    fastreg.solve(X, -2 * Y, 0.1)
    np.testing.assert_array_equal(several.coef, kept)


def test_doubtful_responses_are_left_to_the_general_lane():
    X, y = regression(60, 7)
    for bad in (np.full(60, 2.5), y * 1e140, y + 1e9):
        Y = np.stack([y, bad], axis=1)
        assert not taken(X, Y)
        oracle.check(fastreg.solve(X, Y, 0.1), X, Y, alpha=0.1)
    assert not taken(X, np.ones((60, 1000)))
    assert not taken(X, np.ones((60, 0)))
    assert not taken(X, np.ones((59, 2)))
    for value in (np.nan, np.inf):
        Y = np.stack([y, y], axis=1)
        Y[3, 1] = value
        with pytest.raises(ValueError, match="y"):
            fastreg.solve(X, Y, 0.1)


def test_several_responses_in_threads():
    X, y = regression(80, 9)
    Ys = [np.stack([np.roll(y, k), y * (k + 1)], axis=1) for k in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda Y: fastreg.solve(X, Y, 0.05).coef, Ys))
    for Y, coef in zip(Ys, found, strict=True):
        np.testing.assert_array_equal(coef, fastreg.solve(X, Y, 0.05).coef)


def sides(p):
    """Arguments about the penalty of each feature that the lane takes."""
    rng = np.random.default_rng(p)
    return {
        "positive": {"positive": True},
        "lower": {"lower": -0.05},
        "lower of int": {"lower": -1, "upper": 1},
        "upper": {"upper": 0},
        "box": {"lower": -rng.uniform(0, 0.3, p), "upper": rng.uniform(0, 0.3, p)},
        "one side": {"upper": np.where(rng.random(p) < 0.5, 0.1, np.inf)},
        "fixed": {"lower": np.where(np.arange(p) % 2, -np.inf, 0.0), "upper": 0.0},
        "positive, lower": {"positive": True, "lower": np.full(p, -1.0), "upper": 0.2},
        "no bounds": {"lower": -np.inf, "upper": np.full(p, np.inf)},
        "penalty_factor": {"penalty_factor": rng.uniform(0.2, 3.0, p)},
        "standardize": {"standardize": True},
        "all": {
            "penalty_factor": rng.uniform(0.2, 3.0, p),
            "standardize": True,
            "positive": True,
            "upper": 0.4,
        },
    }


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", sides(1))
@pytest.mark.parametrize("shape", [(30, 5), (40, 40), (20, 50), (150, 3)], ids=str)
def test_penalties_of_each_feature(shape, name, fit_intercept, weighted):
    X, y = regression(*shape, seed=sum(shape))
    X = X * np.linspace(0.5, 2.0, shape[1])
    given = sides(shape[1])[name]
    kept = {key: np.copy(value) for key, value in given.items()}
    weight = np.random.default_rng(1).uniform(0.1, 3.0, shape[0]) if weighted else None
    for l1_ratio in (1.0, 0.6, 0.0):
        model = {"alpha": 0.05, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
        found = small.fit(X, y, *model.values(), SETTINGS, weight, **given)
        assert (found is not None) == (fit_intercept or not given.get("standardize", False))
        one, other = both(X, y, sample_weight=weight, **model, **given)
        assert_same(one, other, X, y)
        if one.method != other.method:  # the general one may go another way
            assert {one.method, other.method} == {"gram", "working_set"}
        oracle.check(one, X, y, sample_weight=weight, **model, **given)
    for key, value in given.items():
        np.testing.assert_array_equal(value, kept[key])


@pytest.mark.parametrize(
    "given",
    [
        {"lower": 0.1},
        {"upper": -0.1},
        {"lower": np.float32(-1.0)},
        {"lower": np.full(8, -1.0)[::2]},
        {"upper": [1.0, 1.0, 1.0, 1.0]},
        {"penalty_factor": np.array([1.0, 0.0, 1.0, 1.0])},
        {"penalty_factor": np.array([1, 1, 2, 1])},
    ],
    ids=str,
)
def test_penalties_that_are_left_alone(given):
    X, y = regression(30, 4)
    assert small.fit(X, y, 0.1, 1.0, True, SETTINGS, **given) is None
    oracle.check(fastreg.solve(X, y, 0.1, **given), X, y, alpha=0.1, **given)


@pytest.mark.parametrize(
    "given",
    [
        {"lower": np.nan},
        {"lower": np.inf},
        {"upper": -np.inf},
        {"lower": 1.0, "upper": 0.0},
        {"upper": -1.0, "positive": True},
        {"upper": np.zeros(3)},
        {"lower": np.zeros((4, 1))},
        {"lower": "0"},
        {"lower": 10**400},
        {"positive": 1},
        {"standardize": None},
        {"penalty_factor": np.array([1.0, -1.0, 1.0, 1.0])},
        {"penalty_factor": np.array([1.0, np.nan, 1.0, 1.0])},
        {"penalty_factor": np.ones(5)},
        {"penalty_factor": 1.0},
        {"penalty_factor": np.array([np.inf, 1, 1, 1]), "lower": np.array([-1.0, -1, -1, -1])},
    ],
    ids=str,
)
def test_penalties_with_the_same_errors(given):
    X, y = regression(30, 4)
    outcomes = []
    for options in ({}, {"time_limit": 1e6}):
        try:
            outcomes.append(fastreg.solve(X, y, 0.1, **given, **options).coef.tolist())
        except (TypeError, ValueError) as error:
            outcomes.append((type(error), str(error)))
    if isinstance(outcomes[0], list):
        np.testing.assert_allclose(outcomes[0], outcomes[1], rtol=1e-9)
    else:
        assert outcomes[0] == outcomes[1]


def test_which_sparse_designs_are_made_dense():
    def is_dense(n, p, l1_ratio):
        X = scipy.sparse.random_array((n, p), density=0.02, rng=np.random.default_rng(0))
        return type(dense_if_small(X.tocsr(), l1_ratio)) is np.ndarray

    assert is_dense(3000, 60, 1.0)
    assert not is_dense(4000, 60, 1.0)  # too many places
    assert not is_dense(1000, 180, 1.0)  # too large a Gram matrix
    assert not is_dense(40, 500, 1.0)  # too many features,
    assert is_dense(40, 500, 0.0)  # of which ridge needs none
    X = scipy.sparse.random_array((3000, 60), density=0.02, rng=np.random.default_rng(0)).tocsc()
    y = X.toarray()[:, :5].sum(axis=1) + np.random.default_rng(1).standard_normal(3000)
    one, other = both(X, y, 0.001, l1_ratio=0.5)
    assert_same(one, other, X.toarray(), y)
