"""Batches of problems: every layout and option, judged by the oracle, problem by problem."""

import itertools
from types import SimpleNamespace

import numpy as np
import oracle
import problems
import pytest
from standard_form import make_problem

import fastreg
from fastreg import ProblemStatus, solve_many

B, N, P = 5, 14, 4
RNG = np.random.default_rng(7)
STACK = np.stack([problems.regression(N, P, seed=k)[0] for k in range(B)])
TARGETS = np.stack([problems.regression(N, P, seed=k)[1] for k in range(B)])
WEIGHTS = np.round(RNG.uniform(0, 2, (B, N)), 1)
PENALTIES = {
    "plain": {},
    "factors": {"penalty_factor": np.array([0.0, 2.0, np.inf, 1.0])},
    "bounds": {"lower": np.array([-0.1, -np.inf, 0.2, 0.0]), "upper": 0.5},
    "positive": {"positive": True},
    "standardised": {"standardize": True, "penalty_factor": np.array([1.0, 0.5, 1.0, 2.0])},
}


def point(result, b, k=None):
    """One fit of a batch, as the oracle takes it."""
    at = b if k is None else (b, k)
    names = ("coef", "intercept", "status", "objective", "null_objective", "duality_gap",
             "tolerance", "kkt_violation", "n_active")  # fmt: skip
    return SimpleNamespace(**{name: getattr(result, name)[at] for name in names})


def check(result, b, X, y, alpha, k=None, **model):
    found = point(result, b, k)
    assert found.status == ProblemStatus.CONVERGED
    oracle._check_response(found, make_problem(X, y, alpha, **model), None, 1e-8)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4, 0.0])
def test_stacked(penalty, l1_ratio):
    given = PENALTIES[penalty]
    for intercept, weight in itertools.product([True, False], [None, WEIGHTS]):
        model = {"l1_ratio": l1_ratio, "fit_intercept": intercept, **given}
        result = solve_many(STACK, TARGETS, 0.2, sample_weight=weight, **model)
        for b in range(B):
            own = None if weight is None else weight[b]
            check(result, b, STACK[b], TARGETS[b], 0.2, sample_weight=own, **model)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_one_table_with_keys_or_offsets(penalty):
    sizes = np.array([3, 14, 7, 1, 9])
    keys = np.repeat(np.array(["e", "a", "d", "b", "c"]), sizes)
    X, y = problems.regression(sizes.sum(), P, seed=3)
    weight = np.round(RNG.uniform(0.5, 2, len(y)), 1)
    model = {"l1_ratio": 0.5, **PENALTIES[penalty]}
    by_offset = solve_many(
        X, y, 0.3, offsets=np.r_[0, np.cumsum(sizes)], sample_weight=weight, **model
    )
    assert by_offset.keys is None
    mixed = RNG.permutation(len(y))
    by_key = solve_many(
        X[mixed], y[mixed], 0.3, groups=keys[mixed], sample_weight=weight[mixed], **model
    )
    assert by_key.keys.tolist() == ["a", "b", "c", "d", "e"]
    for b, key in enumerate("eadbc"):
        rows = keys == key
        check(by_offset, b, X[rows], y[rows], 0.3, sample_weight=weight[rows], **model)
        place = "abcde".index(key)
        check(by_key, place, X[rows], y[rows], 0.3, sample_weight=weight[rows], **model)
        np.testing.assert_allclose(by_key.coef[place], by_offset.coef[b], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_one_design(penalty, order):
    X = np.array(STACK[0], order=order)
    Y = np.column_stack([TARGETS[0], TARGETS[0] ** 2, -TARGETS[0], np.sin(TARGETS[0]), X[:, 0]])
    model = {"l1_ratio": 0.5, **PENALTIES[penalty]}
    for weight in (None, WEIGHTS[0], WEIGHTS):
        result = solve_many(X, Y, 0.1, sample_weight=weight, **model)
        for b in range(B):
            own = WEIGHTS[b] if weight is WEIGHTS else weight
            check(result, b, X, Y[:, b], 0.1, sample_weight=own, **model)
    result = solve_many(X, Y[:, 0], 0.1, sample_weight=WEIGHTS, **model)
    for b in range(B):
        check(result, b, X, Y[:, 0], 0.1, sample_weight=WEIGHTS[b], **model)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_bootstraps_and_halves(penalty, order):
    """Most rows without weight: the others are drawn, unless something somewhere is not finite."""
    counts = RNG.multinomial(N, np.full(N, 1 / N), size=B).astype(float)
    counts[1] = WEIGHTS[0] * (np.arange(N) % 2)
    X = np.array(STACK[0], order=order)
    for intercept, alpha in itertools.product([True, False], [0.1, np.geomspace(1, 0.01, 4)]):
        model = {"fit_intercept": intercept, **PENALTIES[penalty]}
        alpha = np.atleast_1d(alpha)
        result = solve_many(X, TARGETS[0], alpha[None], sample_weight=counts, **model)
        for b, k in itertools.product(range(B), range(len(alpha))):
            check(result, b, X, TARGETS[0], alpha[k], k, sample_weight=counts[b], **model)
    counts[2] = 0.0
    assert solve_many(X, TARGETS[0], sample_weight=counts).status[2] == ProblemStatus.NO_WEIGHT
    X[3, 1] = np.nan
    result = solve_many(X, TARGETS[0], sample_weight=counts)
    assert (np.delete(result.status, 2) == ProblemStatus.NOT_FINITE).all()


def test_strengths_for_all_for_each_and_paths():
    each, ratio = np.array([0.1, 0.2, 0.3, 0.0, 1.0]), np.array([1.0, 0.5, 0.0, 1.0, 0.9])
    result = solve_many(STACK, TARGETS, each, l1_ratio=ratio)
    assert result.coef.shape == (B, P)
    for b in range(B):
        check(result, b, STACK[b], TARGETS[b], each[b], l1_ratio=ratio[b])
    grid = np.array([1.0, 0.1, 0.01])
    for alphas in (grid[None], np.outer([1, 2, 3, 4, 5], grid)):
        path = solve_many(STACK, TARGETS, alphas, l1_ratio=0.9)
        assert path.coef.shape == (B, 3, P)
        assert path.intercept.shape == path.status.shape == path.alpha.shape == (B, 3)
        for b, k in itertools.product(range(B), range(3)):
            check(path, b, STACK[b], TARGETS[b], np.broadcast_to(alphas, (B, 3))[b, k], k,
                  l1_ratio=0.9)  # fmt: skip


def test_as_solve_says():
    result = solve_many(STACK, TARGETS, 0.1, l1_ratio=0.5)
    for b in range(B):
        alone = fastreg.solve(STACK[b], TARGETS[b], 0.1, l1_ratio=0.5)
        np.testing.assert_allclose(result.coef[b], alone.coef, rtol=1e-9, atol=1e-12)
        assert result.intercept[b] == pytest.approx(alone.intercept, rel=1e-9)


def batches():
    """A batch of each layout, large enough for several tasks."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((3000, 12)), rng.standard_normal(3000)
    yield {"X": X.reshape(60, 50, 12), "y": y.reshape(60, 50)}
    yield {"X": X, "y": y, "groups": rng.integers(0, 40, 3000)}
    yield {"X": X, "y": rng.standard_normal((3000, 30))}
    yield {"X": X, "y": y, "sample_weight": rng.poisson(1.0, (20, 3000)).astype(float)}


@pytest.mark.parametrize(
    "batch", list(batches()), ids=["stacked", "ragged", "many y", "many weights"]
)
def test_the_same_bits_for_any_number_of_threads(batch):
    grid = np.geomspace(0.3, 0.003, 7)[None]
    one = solve_many(alpha=grid, n_threads=1, **batch)
    for n_threads in (2, 3, 7):
        other = solve_many(alpha=grid, n_threads=n_threads, **batch)
        for name in ("coef", "intercept", "duality_gap", "objective", "n_sweeps", "status"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_bad_problem_harms_no_other():
    good = solve_many(STACK, TARGETS, 0.1)
    X, y, weight = STACK.copy(), TARGETS.copy(), np.ones((B, N))
    X[1, 3, 2] = np.nan
    y[2] = 0.25  # constant
    X[3, :, 1] = 7.0  # constant
    weight[4] = 0.0
    for n_threads in (1, 2):
        result = solve_many(X, y, 0.1, sample_weight=weight, n_threads=n_threads)
        assert result.status.tolist() == [
            1,
            ProblemStatus.NOT_FINITE,
            1,
            1,
            ProblemStatus.NO_WEIGHT,
        ]
        assert np.isnan(result.coef[[1, 4]]).all()
        assert np.isinf(result.duality_gap[[1, 4]]).all()
        assert result.intercept[2] == 0.25
        assert not result.coef[2].any()
        assert result.coef[3, 1] == 0
        np.testing.assert_allclose(result.coef[0], good.coef[0], rtol=1e-12)
        assert result.converged.tolist() == [True, False, True, True, False]
        assert "Not solved: NaN" in repr(result)
        assert "no row" in repr(result)
    Y = TARGETS.T.copy()
    Y[0, 0] = np.inf
    result = solve_many(STACK[0], Y, 0.1)
    assert result.status.tolist() == [ProblemStatus.NOT_FINITE, 1, 1, 1, 1]
    clean = solve_many(STACK[0], TARGETS.T, 0.1)
    np.testing.assert_array_equal(result.coef[1:], clean.coef[1:])
    result = solve_many(np.full((6, 2), np.inf), np.ones((6, 2)), 0.1)
    assert (result.status == ProblemStatus.NOT_FINITE).all()


@pytest.mark.parametrize("unit", [1e-307, 1e-160, 1e160, 1e300])
def test_the_unit_of_weights_does_not_matter(unit):
    """Only their ratios do; for a criterion the sum of the weights is the number of rows."""
    X, y = STACK * 1e-8, TARGETS * 1e-8
    plain = solve_many(X, y, 1e-17, sample_weight=np.ones((B, N)))
    weighted = solve_many(X, y, 1e-17, sample_weight=np.full((B, N), unit))
    np.testing.assert_allclose(weighted.coef, plain.coef, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(weighted.objective, plain.objective, rtol=1e-10)
    own = WEIGHTS[0] * unit
    result = solve_many(X, y, 1e-17, sample_weight=own)
    for b in range(B):
        check(result, b, X[b], y[b], 1e-17, sample_weight=own)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.0, 0.5])
@pytest.mark.parametrize("size", [1e-150, 1e-100, 1e100, 1e140])
def test_the_unit_of_a_penalty_does_not_matter(size, l1_ratio):
    """Strength times factor counts, whichever of them is large where columns are small."""
    X, y = STACK[0] * size, TARGETS[0]
    alpha = 0.3 * size * (size if l1_ratio == 0 else 1.0)
    many = {"l1_ratio": l1_ratio, "sample_weight": np.ones((2, N))}
    expected = solve_many(X, y, alpha, **many).coef[0]
    assert expected.any()
    for share in (1e-6, 1e-3, 1e3, 1e6):
        factor = np.full(P, 1 / share)
        found = solve_many(X, y, alpha * share, penalty_factor=factor, **many).coef[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


def test_squares_that_underflow_are_told_of():
    result = solve_many(STACK * 1e-158, TARGETS, 1e-160)
    assert (result.status == ProblemStatus.NUMERICAL_ERROR).all()
    assert np.isnan(result.coef).all()


def test_bounds_hold_after_a_long_step():
    x = np.random.default_rng(0).standard_normal((8, 1))
    y = x[:, 0] * 1e30
    path = [[0.0, 1e40]]
    result = solve_many(x[None], y[None], path, l1_ratio=0.0, lower=0.001, fit_intercept=False)
    assert result.coef[0, 1, 0] >= 0.001


def test_rows_without_weight_need_numbers_wherever_they_are():
    X, weight = STACK.copy(), np.ones((B, N))
    X[0, 0, 0] = X[1, -1, 0] = np.nan
    weight[0, 0] = weight[1, -1] = 0.0
    result = solve_many(X, TARGETS, 0.1, sample_weight=weight)
    assert result.status.tolist() == [ProblemStatus.NOT_FINITE] * 2 + [1] * 3


def test_keys_that_are_missing():
    X, y = problems.regression(4, 2, seed=3)
    for keys in (np.array([1, np.nan, 1, 1], dtype=object),
                 np.array(["2020", "NaT", "2020", "2020"], dtype="M8[D]")):  # fmt: skip
        with pytest.raises(ValueError, match="groups contains NaN"):
            solve_many(X, y, groups=keys)


def test_a_problem_without_rows():
    result = solve_many(STACK[0], TARGETS[0], 0.1, offsets=[0, 5, 5, N])
    assert result.status.tolist() == [1, ProblemStatus.NO_WEIGHT, 1]


def test_limits_are_reported_with_a_gap():
    X = np.random.default_rng(0).standard_normal((2, 60, 40))
    y = X[:, :, :20].sum(axis=2)
    result = solve_many(X, y, 1e-3, tol=1e-12, max_sweeps=1)
    assert (result.status == ProblemStatus.MAX_SWEEPS).all()
    assert (result.duality_gap > result.tolerance).all()
    for b in range(2):
        problem = make_problem(X[b], y[b], 1e-3)
        gap = oracle.duality_gap(problem, result.coef[b], result.intercept[b])
        assert gap <= result.duality_gap[b] * (1 + 1e-6)


@pytest.mark.parametrize(
    "make",
    [
        np.asfortranarray,
        lambda a: a.astype(np.float32),
        lambda a: problems.strided(a) if a.ndim == 2 else a[:, ::1, :],
        lambda a: a.tolist(),
    ],
)
def test_storage_does_not_matter(make):
    expected = solve_many(STACK, TARGETS, 0.1)
    result = solve_many(make(STACK), make(TARGETS), 0.1)
    np.testing.assert_allclose(result.coef, expected.coef, rtol=1e-12)
    edges = np.arange(B + 1) * N
    table = solve_many(make(STACK.reshape(-1, P)), TARGETS.ravel(), 0.1, offsets=edges)
    np.testing.assert_allclose(table.coef, expected.coef, rtol=1e-12)


def test_a_frame_with_a_bad_row():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(STACK[0], columns=list("abcd"))
    frame.loc[1, "b"] = np.nan
    frame["key"] = ["bad"] * 5 + ["good"] * (N - 5)
    result = solve_many(frame[list("abcd")], pandas.Series(TARGETS[0]), 0.1, groups=frame["key"])
    assert result.keys.tolist() == ["bad", "good"]
    assert result.status.tolist() == [ProblemStatus.NOT_FINITE, ProblemStatus.CONVERGED]
    check(result, 1, STACK[0][5:], TARGETS[0][5:], 0.1)


def test_reversed_rows():
    edges = [0, 4, N]
    result = solve_many(STACK[0][::-1], TARGETS[0][::-1], 0.1, offsets=edges)
    for b in range(2):
        rows = slice(edges[b], edges[b + 1])
        check(result, b, STACK[0][::-1][rows], TARGETS[0][::-1][rows], 0.1)


def test_inputs_are_not_changed():
    before = STACK.copy(), TARGETS.copy(), WEIGHTS.copy()
    solve_many(STACK, TARGETS, 0.1, sample_weight=WEIGHTS)
    solve_many(STACK[0], TARGETS.T, 0.1, sample_weight=WEIGHTS)
    for now, then in zip((STACK, TARGETS, WEIGHTS), before, strict=True):
        np.testing.assert_array_equal(now, then)


TABLE, RESPONSE = STACK[0], TARGETS[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((STACK, TARGETS[:, :3]), "y must have shape"),
        ((STACK, TARGETS, [0.1, 0.2]), "alpha must be a number or have shape"),
        ((STACK, TARGETS, -1.0), "alpha must be >= 0"),
        ((STACK, TARGETS, np.nan), r"alpha must be >= 0.*got \[nan\]"),
        ((TABLE, RESPONSE), "one problem only"),
        ((TABLE, RESPONSE[:3]), "y must have shape"),
        ((STACK[:0], TARGETS[:0]), "at least one row"),
    ],
)
def test_wrong_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        solve_many(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groups": np.zeros(3)}, ValueError, "groups must have shape"),
        ({"groups": np.full(N, np.nan)}, ValueError, "groups contains NaN"),
        ({"groups": np.array([1, "a"] * (N // 2), object)}, TypeError, "can be sorted"),
        ({"offsets": [0, 5]}, ValueError, "offsets must increase from 0 to 14"),
        ({"offsets": [0, 9, 5, N]}, ValueError, "offsets must increase"),
        ({"offsets": [0.0, N]}, ValueError, "offsets must be integers"),
        ({"offsets": [0, N], "groups": np.zeros(N)}, ValueError, "exclude each other"),
        ({"offsets": [0, N], "sample_weight": np.ones(3)}, ValueError, "sample_weight must have"),
        ({"offsets": [0, N], "sample_weight": -np.ones(N)}, ValueError, "finite and >= 0"),
        ({"offsets": [0, N], "l1_ratio": 1.5}, ValueError, "l1_ratio must lie between"),
        ({"offsets": [0, N], "l1_ratio": [1.0, 0.5]}, ValueError, "l1_ratio must be a number"),
        ({"offsets": [0, N], "penalty_factor": [1.0]}, ValueError, "penalty_factor must have"),
        ({"offsets": [0, N], "lower": 1.0, "upper": 0.0}, ValueError, "lower"),
        (
            {"offsets": [0, N], "lower": 1.0, "penalty_factor": [np.inf] * TABLE.shape[1]},
            ValueError,
            "penalty_factor is inf",
        ),
        ({"offsets": [0, N], "fit_intercept": "yes"}, TypeError, "fit_intercept must be True"),
        ({"offsets": [0, N], "positive": 1}, TypeError, "positive must be True"),
        ({"offsets": [0, N], "standardize": None}, TypeError, "standardize must be True"),
        ({"offsets": [0, N], "tol": 0.0}, ValueError, "tol must be > 0"),
        ({"offsets": [0, N], "n_threads": 0}, ValueError, "n_threads must be >= 1"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        solve_many(TABLE, RESPONSE, **options)


def test_sparse_and_stacks_with_groups_are_refused():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="X must be dense"):
        solve_many(scipy_sparse.csc_array(TABLE), TARGETS.T)
    with pytest.raises(ValueError, match="groups and offsets are for"):
        solve_many(STACK, TARGETS, groups=np.zeros(N))


def test_statuses_have_messages():
    for status in ProblemStatus:
        assert status.message.endswith(".")


PATH = np.geomspace(1.0, 0.01, 8)[None]
SELECTED = [
    {"X": STACK, "y": TARGETS},
    {"X": STACK, "y": TARGETS, "sample_weight": WEIGHTS + 0.1},
    {"X": STACK[0], "y": np.column_stack([TARGETS[0], TARGETS[0] ** 2])},
    {"X": STACK[0], "y": TARGETS[0], "sample_weight": WEIGHTS + 0.1},
    {"X": STACK[0], "y": TARGETS[0], "sample_weight": WEIGHTS * (WEIGHTS > 0.5)},
    {"X": STACK.reshape(-1, P), "y": TARGETS.ravel(), "offsets": [0, 20, 31, B * N]},
]
KINDS = ["stack", "weights", "many y", "many w", "few w", "ragged"]


def rows_of(batch, b):
    """X, y and weights of a problem."""
    X, y, weight = batch["X"], batch["y"], batch.get("sample_weight")
    if "offsets" in batch:
        rows = slice(batch["offsets"][b], batch["offsets"][b + 1])
        return X[rows], y[rows], None
    if X.ndim == 3:
        return X[b], y[b], None if weight is None else weight[b]
    return X, y[:, b] if y.ndim == 2 else y, None if weight is None else weight[b]


@pytest.mark.parametrize("batch", SELECTED, ids=KINDS)
@pytest.mark.parametrize("criterion", ["aic", "bic"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_selection_by_information(batch, criterion, l1_ratio):
    result = solve_many(alpha=PATH, l1_ratio=l1_ratio, select=criterion, **batch)
    for b in range(len(result.coef)):
        X, y, weight = rows_of(batch, b)
        path = fastreg.solve_path(X, y, alphas=PATH[0], l1_ratio=l1_ratio, sample_weight=weight)
        expected = fastreg.information_criteria(
            path, X, y, criterion=criterion, sample_weight=weight
        )
        np.testing.assert_allclose(result.criterion[b], getattr(expected, criterion), rtol=1e-6)
        assert result.index[b] == expected.index
        assert result.alpha[b] == expected.alpha
        check(result, b, X, y, result.alpha[b], l1_ratio=l1_ratio, sample_weight=weight)


@pytest.mark.parametrize("batch", SELECTED, ids=KINDS)
def test_selection_by_validation(batch):
    rows = batch["X"].shape[0] if batch["X"].ndim == 2 else N
    fold = np.random.default_rng(1).permutation(rows) % 3
    result = solve_many(alpha=PATH, select="cv", cv=fold, **batch)
    for b in range(len(result.coef)):
        X, y, weight = rows_of(batch, b)
        own = fold[slice(*batch["offsets"][b : b + 2])] if "offsets" in batch else fold
        s = np.ones(len(y)) if weight is None else weight
        error = np.zeros(PATH.size)
        for f in range(3):
            train, test = own != f, own == f
            for k, alpha in enumerate(PATH[0]):
                fit = fastreg.solve(X[train], y[train], alpha, sample_weight=s[train])
                error[k] += s[test] @ (y[test] - fit.predict(X[test])) ** 2
        np.testing.assert_allclose(result.criterion[b], error / s.sum(), rtol=1e-6)
        assert result.index[b] == np.argmin(error)
        check(result, b, X, y, result.alpha[b], sample_weight=weight)


def test_selection_does_not_depend_on_threads_or_order_of_rows():
    X, y = problems.regression(90, 5)
    groups = np.random.default_rng(0).integers(0, 6, 90)
    fold = np.arange(90) % 4
    one = solve_many(X, y, PATH, groups=groups, select="cv", cv=fold)
    two = solve_many(X, y, PATH, groups=groups, select="cv", cv=fold, n_threads=3)
    np.testing.assert_array_equal(one.coef, two.coef)
    order = np.argsort(groups, kind="stable")
    other = solve_many(X[order], y[order], PATH, groups=groups[order], select="cv", cv=fold[order])
    np.testing.assert_array_equal(one.criterion, other.criterion)
    drawn = solve_many(X, y, PATH, groups=groups, select="cv", cv=3)
    again = solve_many(X, y, PATH, groups=groups, select="cv", cv=3)
    np.testing.assert_array_equal(drawn.criterion, again.criterion)
    assert drawn.coef.shape == (6, 5)


def test_selection_and_bad_problems():
    X = STACK.copy()
    X[1, 2] = np.nan
    for criterion in ("bic", "cv"):
        result = solve_many(X, TARGETS, PATH, select=criterion)
        assert result.status.tolist() == [1, ProblemStatus.NOT_FINITE, 1, 1, 1]
        assert np.isnan(result.criterion[1]).all()
    with pytest.raises(ValueError, match="select needs a path"):
        solve_many(STACK, TARGETS, 0.1, select="bic")
    with pytest.raises(ValueError, match="select must be"):
        solve_many(STACK, TARGETS, PATH, select="best")
    with pytest.raises(ValueError, match="cv must be an integer >= 2"):
        solve_many(STACK, TARGETS, PATH, select="cv", cv=1)
    with pytest.raises(ValueError, match="cv must be integers"):
        solve_many(STACK, TARGETS, PATH, select="cv", cv=[0, 1])


def test_validation_without_held_out_rows():
    X, y = problems.regression(30, 2, seed=3)
    labels = np.r_[np.full(10, -1), np.arange(20) % 3 * 10**9]
    given = {"offsets": [0, 10, 30], "select": "cv"}
    result = solve_many(X, y, PATH, cv=labels, **given)
    assert result.status.tolist() == [ProblemStatus.NO_WEIGHT, 1]
    assert np.isnan(result.criterion[0]).all()
    plain = solve_many(X, y, PATH, cv=np.where(labels < 0, -1, labels // 10**9), **given)
    np.testing.assert_array_equal(result.criterion[1], plain.criterion[1])


def test_criteria_count_the_rank_of_dependent_columns_without_penalty():
    a, b, noise = np.random.default_rng(16).standard_normal((3, 27))
    X, y = np.column_stack([a, -4.38 * a, b]), a + b + noise
    model = {"penalty_factor": np.array([0.0, 0.0, 1.0])}
    result = solve_many(X[None], y[None], PATH, select="bic", **model)
    path = fastreg.solve_path(X, y, alphas=PATH[0], **model)
    expected = fastreg.information_criteria(path, X, y, **model).bic
    np.testing.assert_allclose(result.criterion[0], expected, rtol=1e-8)


def test_criteria_of_ridge_at_a_bound():
    x = np.linspace(-1, 1, 11)[:, None]
    y = -x[:, 0] + 0.1 * np.cos(7 * x[:, 0])
    result = solve_many(x[None], y[None], PATH, select="aic", l1_ratio=0.0, positive=True)
    path = fastreg.solve_path(x, y, alphas=PATH[0], l1_ratio=0.0, positive=True)
    expected = fastreg.information_criteria(path, x, y, criterion="aic", positive=True).aic
    np.testing.assert_allclose(result.criterion[0], expected, rtol=1e-10)


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("m", [2, 5, 40])
def test_one_design_with_an_alpha_and_a_ratio_for_each_response(m, layout):
    rng = np.random.default_rng(m)
    X = layout(rng.standard_normal((60, 6)) + 2.0)
    Y = X @ rng.standard_normal((6, m)) + rng.standard_normal((60, m)) + 5.0
    Y[:, 0] = Y[:, 0] * 1e-3 + 7.0
    Y[7, m // 2] = np.nan
    weight = rng.random(60)
    alphas = np.geomspace(1.0, 0.01, 4) * rng.uniform(0.5, 2.0, (m, 1))
    ratios = rng.uniform(0.1, 1.0, m)
    ratios[m - 1] = 0.0
    for model in ({}, {"sample_weight": weight, "standardize": True}, {"fit_intercept": False}):
        result = solve_many(X, layout(Y), alphas, l1_ratio=ratios, **model)
        assert result.coef.shape == (m, 4, 6)
        assert result.status[m // 2].tolist() == [ProblemStatus.NOT_FINITE] * 4
        for k in np.delete(np.arange(m), m // 2):
            for i in range(4):
                one = fastreg.solve(X, Y[:, k].copy(), alphas[k, i], l1_ratio=ratios[k], **model)
                apart = abs(result.objective[k, i] - one.objective)
                assert apart <= result.tolerance[k, i] + one.tolerance
                assert result.null_objective[k, i] == pytest.approx(one.null_objective)
                assert result.tolerance[k, i] == pytest.approx(one.tolerance)
                assert result.n_active[k, i] == np.count_nonzero(result.coef[k, i])
                np.testing.assert_allclose(
                    result.coef[k, i], one.coef, atol=1e-3 * np.abs(one.coef).max() + 1e-12
                )
        assert (result.duality_gap <= result.tolerance)[result.converged].all()
