"""Stability selection: against fits of copied halves; its bounds against brute force."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from problems import regression

import fastreg
from fastreg import selection_bounds
from fastreg.stability import _pair, _strata


@pytest.fixture
def data():
    return regression(41, 12, seed=7, noise=2.0)


def halves(n_pairs, seed, n, groups=None, stratify=None):
    group, strata = _strata(groups, stratify, n)
    generator = np.random.default_rng(seed)
    return [half for _ in range(n_pairs) for half in _pair(group, strata, generator)]


def entries(X, y, half, alphas, most, weight=None, **model):
    """Where features enter, from one path on a copy of the rows."""
    weight = None if weight is None else weight[half]
    path = fastreg.solve_path(X[half], y[half], alphas=alphas, sample_weight=weight, **model)
    entered = set()
    rows = []
    ended = False
    for coef in path.coef:
        now = entered | set(np.flatnonzero(coef))
        ended = ended or len(now) > most
        entered = entered if ended else now
        rows.append(np.isin(np.arange(X.shape[1]), list(entered)))
    return np.array(rows)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("most", [None, 1, 4])
def test_frequencies_are_those_of_fits_to_copied_halves(data, most, make, weighted, n_threads):
    X, y = data
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    alphas = fastreg.alpha_grid(X, y, n_alphas=30, sample_weight=weight)
    found = fastreg.stability_selection(
        make(X),
        y,
        n_select=most,
        n_pairs=6,
        n_alphas=30,
        sample_weight=weight,
        random_state=3,
        n_threads=n_threads,
    )
    np.testing.assert_allclose(found.alphas, alphas, rtol=1e-12)
    limit = np.inf if most is None else most
    each = [entries(X, y, half, alphas, limit, weight) for half in halves(6, 3, len(y))]
    np.testing.assert_allclose(found.frequency, np.mean(each, axis=0), atol=1e-12)
    np.testing.assert_array_equal(found.selected, np.flatnonzero(found.max_frequency >= 0.75))
    mean = np.mean([rows[-1].sum() for rows in each])
    assert found.n_select == (pytest.approx(mean) if most is None else most)
    assert found.n_unconverged == 0


def test_threads_change_no_bit(data):
    X, y = data
    once, more = (
        fastreg.stability_selection(X, y, n_select=4, random_state=1, n_threads=k) for k in (1, 4)
    )
    np.testing.assert_array_equal(once.frequency, more.frequency)
    again = fastreg.stability_selection(X, y, n_select=4, random_state=np.random.default_rng(1))
    np.testing.assert_array_equal(once.frequency, again.frequency)


def test_pairs_are_complementary():
    for first, second in zip(halves(5, 0, 11)[::2], halves(5, 0, 11)[1::2], strict=True):
        assert first.sum() == second.sum() == 5
        assert not (first & second).any()


def test_groups_and_strata_are_halved():
    groups = np.arange(40) // 4  # ten groups
    stratify = np.where(groups < 4, "a", "b")
    for half in halves(5, 0, 40, groups, stratify):
        assert all(len(set(half[groups == g])) == 1 for g in range(10))
        assert half[stratify == "a"].sum() == 8
        assert half[stratify == "b"].sum() == 12


def test_signal_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 300))
    y = X[:, :3] @ [1.0, -1.0, 0.8] + rng.standard_normal(200)
    found = fastreg.stability_selection(X, y, error_bound=0.5, random_state=0)
    assert found.selected.tolist() == [0, 1, 2]
    assert found.error_bound <= 0.5
    assert found.bound("r-concave") < found.bound("unimodal") < found.bound("none")
    assert "stable          3" in repr(found)


def test_the_error_bound_holds_on_noise():
    """Pure noise, a low threshold: the mean number selected stays below each bound."""
    counts = {name: [] for name in ("none", "unimodal", "r-concave")}
    bounds = {}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((40, 30)), rng.standard_normal(40)
        found = fastreg.stability_selection(
            X, y, n_select=4, threshold=0.6, n_pairs=10, random_state=seed, n_alphas=40
        )
        for name in counts:
            counts[name].append(len(found.selected))
            bounds[name] = found.bound(name)
    for name, some in counts.items():
        assert np.mean(some) <= bounds[name], name


def test_unpenalised_features_are_no_candidates(data):
    X, y = data
    factor = np.r_[0.0, np.inf, np.ones(10)]
    found = fastreg.stability_selection(
        X, y, n_select=2, penalty_factor=factor, random_state=0, n_pairs=5
    )
    assert (found.frequency[:, :2] == 0).all()
    assert found.frequency[-1].sum() <= 2


def test_names_of_a_frame(data):
    pandas = pytest.importorskip("pandas")
    X, y = data
    frame = pandas.DataFrame(X, columns=[f"c{j}" for j in range(12)])
    found = fastreg.stability_selection(frame, y, random_state=0, n_pairs=5)
    assert f"c{found.selected[0]}" in repr(found)


@pytest.mark.parametrize("assumption", ["none", "unimodal", "r-concave"])
def test_error_bound_gives_the_largest_selection(assumption):
    for most in (0.3, 1.0, 5.0):
        q = selection_bounds.largest_selection(assumption, most, 200, 0.8, 50)
        assert selection_bounds.bound_of(assumption, q, 200, 0.8, 50) <= most
        assert selection_bounds.bound_of(assumption, q + 1, 200, 0.8, 50) > most


def test_the_plain_bound_is_the_formula():
    assert selection_bounds.bound_of("none", 50, 1000, 0.75, 50) == pytest.approx(2500 / 500)


@pytest.mark.parametrize("threshold", [0.55, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("theta", [0.02, 0.1, 0.3, 0.5])
def test_the_unimodal_bound_covers_the_worst_distribution(theta, threshold):
    """A linear programme for each mode: the largest tail of unimodal shares of pairs."""
    n = 10
    tail = round(threshold * 2 * n) - n
    i = np.arange(n + 1)
    worst = 0.0
    for mode in range(n + 1):
        rise = np.diff(np.eye(n + 1), axis=0)
        shape = np.vstack([-rise[:mode], rise[mode:]])
        found = scipy.optimize.linprog(
            -(i >= tail).astype(float),
            A_ub=np.vstack([shape, i / n]),
            b_ub=np.r_[np.zeros(n), theta**2],
            A_eq=np.ones((1, n + 1)),
            b_eq=[1.0],
        )
        if found.status == 0:
            worst = max(worst, -found.fun)
    p = 100
    assert selection_bounds.bound_of("unimodal", theta * p, p, threshold, n) >= p * worst * 0.999999


@pytest.mark.parametrize(
    ("n", "tail", "eta", "r"),
    [(5, 3, 0.1, -0.5), (5, 3, 0.3, -0.5), (6, 4, 0.6, -0.25), (4, 4, 0.3, -0.25)],
)
def test_the_largest_tail_is_what_optimisation_finds(n, tail, eta, r):
    """f^r convex on 0..last: its logarithm is optimised from many starts."""
    rng = np.random.default_rng(0)

    def mass(x):
        x = np.clip(x, -50, 50)
        f = np.exp((x - x.min()) / r)
        return f / f.sum()

    best = 0.0
    for last in range(tail, n + 1):
        i = np.arange(last + 1)
        limits = [
            {"type": "ineq", "fun": lambda x, i=i: eta * n - mass(x) @ i},
            {"type": "ineq", "fun": lambda x: np.diff(np.exp(np.clip(x, -50, 50)), 2)},
        ]
        for _ in range(12):
            start = rng.normal(size=last + 1) * rng.choice([0.1, 1.0])
            found = scipy.optimize.minimize(
                lambda x: -mass(x)[tail:].sum(), start, constraints=limits, method="SLSQP"
            )
            kept = all(np.min(limit["fun"](found.x)) > -1e-7 for limit in limits)
            if found.success and kept:
                best = max(best, -found.fun)
    assert selection_bounds.largest_tail(eta, tail, n, r) == pytest.approx(best, rel=1e-5)


def test_mistakes_are_named(data):
    X, y = data
    for message, change in (
        ("threshold must be in \\(0.5, 1\\]", {"threshold": 0.5}),
        ("assumption must be one of", {"assumption": "normal"}),
        ("n_pairs must be >= 1", {"n_pairs": 0}),
        ("n_select must be >= 1 and <= 12", {"n_select": 13}),
        ("not both", {"n_select": 3, "error_bound": 1}),
        ("is below", {"error_bound": 1e-6}),
        ("l1_ratio must be > 0", {"l1_ratio": 0.0}),
        ("groups must have shape", {"groups": [1, 2]}),
        ("cannot be halved", {"groups": np.zeros(41)}),
        ("several labels", {"groups": np.zeros(41), "stratify": np.arange(41)}),
        ("nothing can be selected", {"penalty_factor": np.zeros(12)}),
    ):
        with pytest.raises(ValueError, match=message):
            fastreg.stability_selection(X, y, **change)
    for message, change in (
        ("n_select must be an integer", {"n_select": 2.0}),
        ("random_state must be", {"random_state": "a"}),
        ("unknown option", {"gamma": 1}),
    ):
        with pytest.raises(TypeError, match=message):
            fastreg.stability_selection(X, y, **change)
    with pytest.raises(ValueError, match="y must be 1-dimensional"):
        fastreg.stability_selection(X, np.c_[y, y])
    with pytest.raises(ValueError, match="assumption must be one of"):
        fastreg.stability_selection(X, y, n_pairs=2).bound("normal")
