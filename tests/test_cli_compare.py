"""Penalties on the same folds, and the numbers that are told about them."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

polars = pytest.importorskip("polars")
pytest.importorskip("click")
pytest.importorskip("rich")

from commandline import problem  # noqa: E402
from scipy import sparse, stats  # noqa: E402

import fastreg  # noqa: E402
from fastreg.cli import compare, features, heldout, judge, pictures, report, scales, words  # noqa: E402


def data_of(X, y, weight=None, **options):
    parts = heldout.split(len(y), **{"n_folds": 4, **options})
    return heldout.Data.of(heldout.Sample(X=X, y=y, sample_weight=weight), parts)


def compared(X, y, weight=None, *, rows=None, **changes):
    plan = compare.Plan(**{"penalties": ("l2", "l1"), "n_alphas": 8, **changes})
    return compare.compare(data_of(X, y, weight, **(rows or {})), plan)


# What is fitted


@pytest.mark.parametrize("selection", ["min", "1se"])
def test_outcomes_are_those_of_validate_on_the_same_folds(selection):
    X, y = problem()
    found = compared(X, y, penalties=compare.PENALTIES, selection=selection, rows={"seed": 7})
    folds = {"cv": 4, "shuffle": True, "random_state": 7}
    deviation = np.std(y)
    mixed = [s * deviation / (s * deviation + 1.0 - s) for s in compare.L1_RATIOS]
    grid = np.geomspace(4.0, 4e-6, 8)  # four columns of standard deviation 1
    how = {
        "none": {"alphas": [0.0]},
        "l2": {"alphas": grid, "l1_ratio": 0.0},
        "l1": {"l1_ratio": 1.0},
        "elasticnet": {"l1_ratio": mixed},
    }
    assert [outcome.penalty for outcome in found.outcomes] == list(how)
    for outcome in found.outcomes:
        own = how[outcome.penalty]
        expected = fastreg.validate(
            X, y, n_alphas=8, standardize=True, selection=selection, **folds, **own
        )
        assert np.allclose(outcome.fold_scores, expected.fold_scores[expected.index], rtol=1e-6)
        assert np.allclose(outcome.result.coef, expected.result.coef, atol=1e-6)
        assert np.isclose(outcome.result.alpha, expected.alpha)
        assert np.isclose(
            found.error(outcome.fold_scores).value, np.sqrt(expected.mean[expected.index])
        )
    assert found.ranking[0].fold_scores.mean() == min(o.fold_scores.mean() for o in found.outcomes)


def test_the_test_rows_have_no_part_in_anything():
    X, y = problem()
    rows = {"test": 0.25, "seed": 3}
    found = compared(X, y, rows=rows, penalties=compare.PENALTIES)
    parts = heldout.split(80, n_folds=4, **rows)
    assert len(parts.test) == 20
    assert sorted(np.concatenate([parts.fitted, parts.test])) == list(range(80))
    wild = y.copy()
    wild[parts.test] = 1e6
    other = compared(X, wild, rows=rows, penalties=compare.PENALTIES)
    for outcome, same in zip(found.outcomes, other.outcomes, strict=True):
        assert np.array_equal(outcome.result.coef, same.result.coef)
        residuals = y[parts.test] - outcome.result.predict(X[parts.test])
        assert np.allclose(outcome.test_scores, residuals**2)
    mean = y[parts.fitted].mean()
    assert np.allclose(found.mean_test_scores, (y[parts.test] - mean) ** 2)


def test_the_mean_alone_is_that_of_the_rows_a_fold_trains_on():
    X, y = problem()
    weight = np.arange(80) % 3 + 0.0
    found = compared(X, y, weight)
    for k, score in enumerate(found.mean_scores):
        held = found.data.folds.test[k]
        train = np.setdiff1d(np.arange(80), held)
        mean = np.average(y[train], weights=weight[train])
        assert np.isclose(score, np.average((y[held] - mean) ** 2, weights=weight[held]))
    assert np.allclose(found.weights, [weight[rows].sum() for rows in found.data.folds.test])


def test_rows_in_the_order_of_time_and_groups():
    parts = heldout.split(60, n_folds=3, test=0.25, time_ordered=True)
    assert parts.test.tolist() == list(range(45, 60))
    for k, held in enumerate(parts.folds.test):
        assert parts.folds.train_rows(k).max() < held.min()
    groups = np.repeat(np.arange(12), 5)
    parts = heldout.split(60, n_folds=3, test=0.25, seed=1, groups=groups)
    assert not set(groups[parts.test]) & set(groups[parts.fitted])
    own = groups[parts.fitted]
    for k, held in enumerate(parts.folds.test):
        assert not set(own[held]) & set(own[parts.folds.train_rows(k)])


def test_a_baseline_that_fails_does_not_end_the_comparison(monkeypatch):
    X, y = problem()
    validate = fastreg.validate

    def exhausted(X, y, *, alphas, **options):
        if alphas is not None and not np.any(alphas):
            raise MemoryError
        return validate(X, y, alphas=alphas, **options)

    monkeypatch.setattr(fastreg, "validate", exhausted)
    found = compared(X, y, penalties=compare.PENALTIES)
    assert [outcome.penalty for outcome in found.outcomes] == ["l2", "l1", "elasticnet"]
    told = report.sentences(found, "y")
    assert "Least squares is left out: there is not enough memory for it." in told
    assert found.sizes()[0] == "weakest fit"
    with pytest.raises(MemoryError):  # what was asked for is not left out
        compared(X, y, penalties=("none",))


def test_least_squares_without_an_answer_is_left_out(monkeypatch):
    X, y = problem()
    validate = fastreg.validate

    def late(X, y, **options):
        found = validate(X, y, **options)
        if "time_limit" not in options:
            return found
        return replace(found, result=replace(found.result, status=fastreg.Status.TIME_LIMIT))

    monkeypatch.setattr(fastreg, "validate", late)
    found = compared(X, y, penalties=compare.PENALTIES)
    assert [outcome.penalty for outcome in found.outcomes] == ["l2", "l1", "elasticnet"]
    assert "Least squares is left out: it was not solved within 60 seconds." in str(
        report.sentences(found, "y")
    )


def test_least_squares_with_more_features_than_rows_is_of_least_norm():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 50))
    y = X[:, 0] + 0.1 * rng.normal(size=30)
    found = compared(X, y, penalties=compare.PENALTIES)
    (least,) = [outcome for outcome in found.outcomes if outcome.penalty == "none"]
    shortest = np.linalg.pinv(X - X.mean(axis=0)) @ (y - y.mean())
    assert np.allclose(least.result.coef, shortest)
    assert any("many answers" in sentence for sentence in report.sentences(found, "y"))
    of, sizes = found.sizes()
    assert of == "weakest fit"  # least squares goes through every point
    ends = [o.validation.path.coef[-1] * X.std(axis=0) for o in found.outcomes[1:]]
    longest = max(np.linalg.norm(end) for end in ends)
    expected = [np.linalg.norm(found.effect(o)) / longest for o in found.outcomes]
    np.testing.assert_allclose(sizes, expected)


def test_the_elastic_net_does_not_depend_on_the_unit_of_the_target():
    X, y = problem()
    plain, scaled = (
        compared(X, y * unit, penalties=("elasticnet",)).outcomes[0] for unit in (1.0, 1e5)
    )
    assert plain.n_kept == scaled.n_kept
    assert plain.validation.index == scaled.validation.index
    assert np.allclose(scaled.fold_scores, 1e10 * plain.fold_scores, rtol=1e-4)
    half = compared(X, y * 1e5, penalties=("elasticnet",), l1_ratios=(0.5,)).outcomes[0]
    assert half.result.l1_ratio > 0.999
    given = compared(X, y * 1e5, penalties=("elasticnet",), l1_ratios=(0.5,), alpha=2.0).outcomes[0]
    assert given.result.l1_ratio == 0.5


def test_degrees_are_chosen_with_the_strength():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, size=90)
    y = 4.0 * x**3 - 3.0 * x + 0.1 * rng.normal(size=90)
    X = np.column_stack([x**d for d in range(1, 7)])
    plan = compare.Plan(penalties=("none",))
    sizes = {d: d for d in range(1, 7)}
    (outcome,) = compare.compare(data_of(X, y), plan, sizes=sizes).outcomes
    basis = fastreg.PolynomialBasis.of(x[:, None], 6, kind="monomial")
    folds = {"cv": 4, "shuffle": True, "random_state": 0}
    expected = fastreg.validate_degrees(
        basis, x[:, None], y, alphas=[0.0], l1_ratio=0.0, standardize=True, **folds
    )
    assert outcome.degree == expected.degree >= 3
    assert np.allclose(outcome.validation.mean.ravel(), expected.mean.ravel(), rtol=1e-6)
    assert len(outcome.result.coef) == outcome.degree


def test_what_is_learned_once_for_all_folds_hardly_matters():
    """Fill-in values and ranges come from all inputs: new ones in each fold change little."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * rng.normal(size=120)
    x[rng.uniform(size=x.shape) < 0.1] = np.nan
    frame = polars.DataFrame(dict(zip("abc", x.T, strict=True)))
    how = {"degree": 2, "impute": "mean"}
    X = features.learn(frame, np.arange(120), **how).transform(frame)
    found = compared(X, y, penalties=("l1",), n_alphas=20)
    (outcome,) = found.outcomes
    folds, alphas = found.data.folds, outcome.validation.alphas[0]
    scores = []
    for k, held in enumerate(folds.test):
        train = folds.train_rows(k)
        own = features.learn(frame, train, **how).transform(frame)
        path = fastreg.solve_path(own[train], y[train], alphas=alphas, standardize=True)
        scores.append(np.mean((y[held, None] - path.predict(own[held])) ** 2, axis=0))
    anew = np.sqrt(np.mean(scores, axis=0).min())
    once = found.error(outcome.fold_scores)
    assert abs(anew - once.value) < 0.2 * once.standard_error


# What is told


def test_errors_and_leads():
    rng = np.random.default_rng(0)
    first, second = rng.uniform(1.0, 2.0, size=(2, 8))
    weights = np.ones(8)
    found = judge.root_mean(first, weights)
    error = first.std(ddof=1) / np.sqrt(8)
    assert np.isclose(found.value, np.sqrt(first.mean()))
    assert np.isclose(found.standard_error, error / (2.0 * found.value))
    ahead = judge.lead(first, second, weights)
    roots = np.sqrt(first.mean()), np.sqrt(second.mean())
    pairs = second / (2.0 * roots[1]) - first / (2.0 * roots[0])
    assert np.isclose(ahead.value, roots[1] - roots[0])
    assert np.isclose(ahead.standard_error, pairs.std(ddof=1) / np.sqrt(8))
    same = judge.lead(first, first, weights)
    assert (same.value, same.standard_error, same.is_clear) == (0.0, 0.0, False)
    reach = stats.t.ppf(0.975, 7)
    assert judge.Estimate(reach * 1.001, 1.0, 8).is_clear
    assert not judge.Estimate(reach * 0.999, 1.0, 8).is_clear
    assert judge.root_mean(np.zeros(3), np.ones(3)).value == 0.0


def test_a_lead_is_paired():
    hard = np.array([1.0, 100.0, 10.0, 1000.0])
    ahead = judge.lead(hard, 1.1 * hard + 0.01, np.ones(4))
    alone = judge.root_mean(hard, np.ones(4))
    assert ahead.standard_error < 0.1 * alone.standard_error


def test_optimism_is_that_of_tibshirani_and_tibshirani():
    X, y = problem()
    y = y + 20.0 * np.random.default_rng(0).normal(size=80)
    found = compared(X, y, penalties=("l1",), n_alphas=50)
    (outcome,) = found.outcomes
    scores = outcome.validation.fold_scores[0]
    mean = scores.mean(axis=1)
    best = int(np.argmin(mean))
    bias = np.mean([scores[best, k] - scores[:, k].min() for k in range(4)])
    assert bias > 0.0
    assert np.isclose(outcome.optimism, np.sqrt(mean[best] + bias) - np.sqrt(mean[best]))
    assert compared(X, y, penalties=("l1",), alpha=0.1).outcomes[0].optimism is None
    assert compared(X, y, penalties=("l1",), selection="1se").outcomes[0].optimism is None


def test_optimism_has_about_the_right_size():
    """On noise alone the least of a curve lies below the error of its model on new rows."""
    apparent, true, estimated = [], [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(40, 30)), rng.normal(size=40)
        (outcome,) = compared(X, y, penalties=("l1",), n_alphas=30).outcomes
        apparent.append(outcome.fold_scores.mean())
        true.append(1.0 + outcome.result.coef @ outcome.result.coef + outcome.result.intercept**2)
        estimated.append((np.sqrt(apparent[-1]) + outcome.optimism) ** 2 - apparent[-1])
    gap = np.mean(true) - np.mean(apparent)
    assert gap > 0.02
    assert 0.3 * gap < np.mean(estimated) < 3.0 * gap


def test_sizes_and_top_features():
    X, y = problem()
    found = compared(X, y, penalties=compare.PENALTIES)
    deviation = X.std(axis=0)
    least = np.linalg.norm(found.outcomes[0].result.coef * deviation)
    of, sizes = found.sizes()
    assert of == "least squares"
    for size, outcome in zip(sizes, found.outcomes, strict=True):
        assert np.isclose(size, np.linalg.norm(outcome.result.coef * deviation) / least)
    assert set(found.top_features(2)) == {0, 1}
    assert len(found.top_features(99)) <= 4
    names = ["a", "b", "c", "d"]
    grid = report.features(found, names, n=2)
    assert grid.columns[1:] == (
        "least squares",
        "L2 (ridge)",
        "L1 (lasso)",
        f"elastic net {found.outcomes[3].share:g}",
    )
    assert [row[0] for row in grid.rows] == [names[j] for j in found.top_features(2)]


def test_numbers_read_well():
    assert [words.number(v) for v in (78.753, 0.0123456, 123456.7, 1e9, 0.0, 1e-9, np.nan)] == [
        "78.75", "0.01235", "123457", "1e+09", "0.0", "1e-09", "-",
    ]  # fmt: skip
    assert [words.gap(v) for v in (0.0, 9e-13, 1e-12, 2e-9, 2.01e-9, 9.9e-7, np.nan)] == [
        "< 1e-12", "< 1e-12", "1e-12", "2e-09", "3e-09", "1e-06", "-",
    ]  # fmt: skip
    assert [words.duration(v) for v in (0.0123, 2.345)] == ["12 ms", "2.3 s"]
    pairs = [(73.21, 1.86), (101.694, 0.651), (365.2, 34.4), (5.0, 0.0), (1e9, 2e8), (1.0, np.nan)]
    pairs += [(1.074e-4, 2e-5), (-2e-8, 1e-6)]
    assert [words.estimate(judge.Estimate(*pair, 5)) for pair in pairs] == [
        "73.2 ± 1.9", "101.69 ± 0.65", "365 ± 34", "5.000", "(1.00 ± 0.20)e9", "1.000",
        "(1.07 ± 0.20)e-4", "(-0.0 ± 1.0)e-6",
    ]  # fmt: skip
    assert [words.effect(v) for v in (0.0, 43.51, -7.474, 0.01234, 1e-9, 12345.6)] == [
        "0", "+43.5", "-7.47", "+0.0123", "+1e-09", "+12346",
    ]  # fmt: skip
    assert [words.optimism(v) for v in (0.1, 0.2249, 12.3, 0.0, 1e-9, None)] == [
        "0.10", "0.22", "12", "0", "1e-09", "",
    ]  # fmt: skip
    assert [words.share(v) for v in (1.0, 0.176, 0.0049, 1e-9, 0.0, 1e3)] == [
        "100%", "18%", "0.5%", "< 0.1%", "0%", "> 9999%",
    ]  # fmt: skip


def test_models_that_are_level_are_called_so():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    found = compared(X, X @ [1.0, 2.0] + 0.1 * rng.normal(size=400), penalties=compare.PENALTIES)
    (verdict,) = [s for s in report.sentences(found, "y") if "predicts best" in s]
    assert "may be chance" in verdict


# Numbers that are hard


def test_standard_deviations_of_columns():
    rng = np.random.default_rng(0)
    X = np.where(rng.uniform(size=(30, 6)) < 0.5, 0.0, rng.normal(size=(30, 6)) + 5.0)
    X[:, 2], X[:, 3] = 7.0, 0.0
    weight = rng.integers(0, 3, size=30).astype(float)
    for w in (None, weight):
        mean = np.average(X, axis=0, weights=w)
        expected = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
        for matrix in (X, sparse.csr_array(X), sparse.csc_array(X)):
            found = scales.column_deviations(matrix, w)
            assert np.allclose(found, expected)
            assert np.all(found[2:4] == 0.0)


@pytest.mark.filterwarnings("error")
def test_huge_and_tiny_numbers_are_judged_like_others():
    X, y = problem()
    plain = compared(X, y)
    for scale in (2.0**240, 2.0**-240):
        scaled = compared(X, y * scale)
        for outcome, other in zip(scaled.outcomes, plain.outcomes, strict=True):
            ratio = scaled.error(outcome.fold_scores).value / plain.error(other.fold_scores).value
            assert np.isclose(ratio / scale, 1.0, rtol=1e-4)
        ahead, other = scaled.lead(*scaled.outcomes), plain.lead(*plain.outcomes)
        assert np.isclose(ahead.value / ahead.standard_error, other.value / other.standard_error)


def test_overflow_of_standard_deviations():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3)) * [1e300, 1.0, 1e-300]
    expected = np.std(X * [1e-300, 1.0, 1e300], axis=0) * [1e300, 1.0, 1e-300]
    for matrix in (X, sparse.csc_array(X)):
        assert np.allclose(scales.column_deviations(matrix) / expected, 1.0)
    with pytest.raises(ValueError, match="too large to be left as they are"):
        scales.total_variance(X, None, standardize=False)


def test_errors_in_blocks_are_those_of_all_rows(monkeypatch):
    X, y = problem()
    for matrix in (X, sparse.csc_array(X)):
        found = compared(matrix, y)
        outcome = found.outcomes[1]
        predicted = outcome.validation.path.predict(X)
        expected = np.sqrt(np.mean((y[:, None] - predicted) ** 2, axis=0))
        assert np.allclose(pictures.training_errors(found, outcome), expected)
        monkeypatch.setattr(pictures, "BLOCK", 50)
        assert np.allclose(pictures.training_errors(found, outcome), expected)


def test_time_is_told_without_imports():
    code = """
import sys
import numpy as np
from fastreg.cli import compare, heldout
rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
whole = heldout.Sample(X=X, y=y, sample_weight=None)
data = heldout.Data.of(whole, heldout.split(40, n_folds=4))
plan = compare.Plan(penalties=compare.PENALTIES, n_alphas=5)
seen, clock = [], compare.time.perf_counter
def perf_counter():
    seen.append(set(sys.modules))
    return clock()
compare.time = type("time", (), {"perf_counter": staticmethod(perf_counter)})
compare.compare(data, plan)
assert len(seen) == 8
assert seen[0] == seen[-1], sorted(seen[-1] - seen[0])
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_unsolved_models_are_told():
    X, y = problem()
    found = compared(X, y, penalties=("l1",))
    (outcome,) = found.outcomes
    bad = replace(outcome, validation=replace(outcome.validation, n_unconverged=3))
    told = report.sentences(replace(found, outcomes=(bad,)), "y")
    assert any("L1 is not solved: 3 of 40 fits did not converge" in text for text in told)
    assert not any("Proof" in text for text in told)


def test_a_mixed_penalty_can_be_fitted_again():
    X, y = problem()
    y = 1e4 * y
    found = compared(X, y, penalties=("elasticnet",))
    (told,) = [line for line in report.sentences(found, "y") if "--l1-ratio" in line]
    numbers = told.rstrip(".").split(" --")
    alpha, ratio = float(numbers[1].split()[1]), float(numbers[2].split()[1])
    model = found.outcomes[0].result
    again = fastreg.solve(X, y, alpha=alpha, l1_ratio=ratio, standardize=True)
    np.testing.assert_allclose(again.coef, model.coef, rtol=1e-3, atol=1e-4 * np.abs(y).max())
    given = compared(X, y, penalties=("elasticnet",), alpha=1.0, l1_ratios=(0.5,))
    assert not any("--l1-ratio" in line for line in report.sentences(given, "y"))


def test_rows_kept_apart_are_told():
    X, y = problem()
    found = compared(X, y, penalties=("l1",), rows={"test": 0.3})
    first = found.ranking[0]
    (told,) = [line for line in report.sentences(found, "y") if "kept apart" in line]
    error = np.sqrt(np.mean(first.test_scores))
    assert f" is {words.estimate(found.test_error(first.test_scores))} (y)" in told
    side = "below" if error < np.sqrt(np.mean(found.mean_test_scores)) else "above"
    assert f"{side} that of the mean" in told


def test_a_small_but_clear_lead_over_the_mean_counts():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20_000, 2))
    y = 0.05 * X[:, 0] + rng.normal(size=20_000)
    found = compared(X, y, penalties=("l1",))
    (first,) = found.ranking
    assert found.error(first.fold_scores).value > 0.995 * found.mean_error.value
    assert report.is_better_than_the_mean(found, first)
    nothing = compared(X[:200], rng.normal(size=200), penalties=("l1",))
    assert not report.is_better_than_the_mean(nothing, nothing.ranking[0])


def test_a_path_of_one_strength_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    X, y = problem()
    found = compared(X, y, penalties=compare.PENALTIES, n_alphas=1, l1_ratios=(0.5,))
    request = SimpleNamespace(
        command="compare", data="d.csv", style="dark", plot=str(tmp_path / "one.png")
    )
    pictures.draw(found, [f"x{j}" for j in range(X.shape[1])], request, "y")
    assert (tmp_path / "one.png").stat().st_size > 10_000


def test_nothing_is_said_of_optimism_where_the_mean_is_best():
    rng = np.random.default_rng(3)
    found = compared(rng.normal(size=(60, 4)), rng.normal(size=60))
    assert not report.is_better_than_the_mean(found, found.ranking[0])
    assert not any("looks too good" in line for line in report.sentences(found, "y"))


def test_what_the_one_standard_error_rule_costs_is_said():
    X, y = problem()
    found = compared(X, y, penalties=compare.PENALTIES, selection="1se", n_alphas=30)
    text = " ".join(report.sentences(found, "y"))
    assert "By the one-standard-error rule penalties are stronger" in text
    least = {o.name: np.sqrt(o.validation.mean.min()) for o in found.outcomes}
    for name in ("L2 (ridge)", "L1 (lasso)"):
        assert words.number(least[name]) in text
    best = min(least, key=least.get)
    would = "By these least errors" in text
    assert would == (best != found.ranking[0].name)
    others = compared(X, y, penalties=compare.PENALTIES, n_alphas=30)
    assert "rule" not in " ".join(report.sentences(others, "y"))
    alone = compared(X, y, penalties=("l1",), selection="1se", n_alphas=30)
    assert "stronger" not in " ".join(report.sentences(alone, "y"))
