"""Choosing alpha, judging on other rows, and the numbers in the report."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("polars")
pytest.importorskip("click")
pytest.importorskip("rich")

from commandline import problem
from scipy import sparse

import fastreg
from fastreg.cli import compare, heldout, report, scales


def test_alpha_is_chosen_on_the_validation_rows():
    X, y = problem()
    parts = heldout.split(80, validation=0.25, test=0.25, seed=0)
    data = heldout.Data(X=X, y=y, sample_weight=None, parts=parts)
    plan = compare.Plan(
        penalties=("l1",), l1_ratio=0.5, alpha=None, n_alphas=12, eps=1e-3, standardize=True
    )
    (outcome,) = compare.compare(data, plan).outcomes
    path = fastreg.solve_path(X[parts.train], y[parts.train], n_alphas=12, standardize=True)
    errors = np.mean((y[parts.validation, None] - path.predict(X[parts.validation])) ** 2, axis=0)
    assert np.allclose(outcome.search.validation_errors, np.sqrt(errors))
    assert outcome.search.chosen == np.argmin(errors)
    fitted = np.concatenate([parts.train, parts.validation])
    final = fastreg.solve(
        X[fitted], y[fitted], alpha=path.alphas[outcome.search.chosen], standardize=True
    )
    assert np.allclose(outcome.result.coef, final.coef, atol=1e-6)
    residuals = y[parts.test] - outcome.result.predict(X[parts.test])
    assert np.isclose(outcome.test_error, np.sqrt(np.mean(residuals**2)))


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


def test_lead_counts_standard_errors():
    rng = np.random.default_rng(0)
    result = None
    make = lambda residuals: compare.Outcome(  # noqa: E731
        penalty="l1", search=None, result=result, test_residuals=residuals,
        test_error=0.0, seconds=0.0,
    )  # fmt: skip
    small, large = rng.normal(size=400), 1.5 * rng.normal(size=400)
    d = large**2 - small**2
    assert np.isclose(
        compare.lead(make(small), make(large), None), d.mean() / (d.std() / np.sqrt(400))
    )
    assert compare.lead(make(small), make(small), None) == 0.0


def test_numbers_read_well():
    from fastreg.cli.report import duration, gap, number

    assert [number(v) for v in (78.753, 0.0123456, 123456.7, 1e9, 0.0, 1e-9, float("nan"))] == [
        "78.75", "0.01235", "123457", "1e+09", "0.0", "1e-09", "-",
    ]  # fmt: skip
    assert [gap(v) for v in (0.0, 9e-13, 1e-12, 2e-9, 2.01e-9, 9.9e-7, float("nan"))] == [
        "< 1e-12", "< 1e-12", "1e-12", "2e-09", "3e-09", "1e-06", "-",
    ]  # fmt: skip
    assert [duration(v) for v in (0.0123, 2.345)] == ["12 ms", "2.3 s"]


def outcomes_of(X, y, **changes):
    parts = heldout.split(len(y), validation=0.25, test=0.25, seed=0)
    data = heldout.Data(X=X, y=y, sample_weight=None, parts=parts)
    settings = {"penalties": ("l2", "l1"), "l1_ratio": 0.5, "alpha": None, "n_alphas": 8}
    plan = compare.Plan(**{**settings, "eps": 1e-3, "standardize": True, **changes})
    return compare.compare(data, plan)


@pytest.mark.filterwarnings("error")
def test_huge_and_tiny_numbers_are_judged_like_others():
    X, y = problem()
    plain = outcomes_of(X, y)
    first, second = plain.outcomes
    for scale in (2.0**500, 2.0**-500):
        scaled = outcomes_of(X, y * scale)
        for outcome, other in zip(scaled.outcomes, plain.outcomes, strict=True):
            assert np.isclose(outcome.test_error / scale, other.test_error, rtol=1e-4)
        lead = compare.lead(*scaled.outcomes, None)
        assert np.isclose(lead, compare.lead(first, second, None), rtol=1e-2)
    big = [replace(o, test_residuals=o.test_residuals * 2.0**1000) for o in plain.outcomes]
    assert np.isclose(compare.lead(*big, None), compare.lead(first, second, None))


def test_a_baseline_that_fails_does_not_end_the_comparison(monkeypatch):
    X, y = problem()
    solve = fastreg.solve
    sizes = []

    def exhausted(X, y, *, alpha, **options):
        if alpha == 0.0 and len(y) > 3:
            sizes.append(len(y))
            raise MemoryError
        return solve(X, y, alpha=alpha, **options)

    monkeypatch.setattr(fastreg, "solve", exhausted)
    comparison = outcomes_of(X, y)
    assert sizes == [60]
    assert comparison.least_squares is None
    assert list(comparison.baselines) == ["mean only"]
    assert "Least squares is left out: there is not enough memory for it." in report.sentences(
        comparison, "y"
    )
    assert len(comparison.outcomes) == 2
    with pytest.raises(MemoryError):  # what was asked for is not left out
        outcomes_of(X, y, penalties=("none",))


def test_the_table_and_the_picture_have_the_same_baselines(monkeypatch):
    X, y = problem()
    clock = iter(np.arange(0.0, 1e6, 30.0))  # a machine on which every fit takes 30 s
    monkeypatch.setattr(compare.time, "perf_counter", lambda: next(clock))
    comparison = outcomes_of(X, y)
    assert comparison.least_squares.seconds == 30.0
    assert list(comparison.baselines) == ["mean only", "least squares"]


def test_time_is_told_without_imports():
    code = """
import builtins, sys
import numpy as np
from fastreg.cli import compare, heldout
rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
parts = heldout.split(40, validation=0.25, test=0.25, seed=0)
plan = compare.Plan(penalties=("l2", "l1", "elasticnet"), l1_ratio=0.5, alpha=None, n_alphas=5,
                    eps=1e-3, standardize=True)
seen, clock = [], compare.time.perf_counter
def perf_counter():
    seen.append(set(sys.modules))
    return clock()
compare.time = type("time", (), {"perf_counter": staticmethod(perf_counter)})
compare.compare(heldout.Data(X=X, y=y, sample_weight=None, parts=parts), plan)
assert len(seen) == 14
assert seen[0] == seen[-1], sorted(seen[-1] - seen[0])
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_equal_models_are_listed_once():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    comparison = outcomes_of(
        X, X @ [1.0, 2.0] + 0.1 * rng.normal(size=400), penalties=compare.PENALTIES
    )
    (verdict,) = [s for s in report.sentences(comparison, "y") if "predicts best" in s]
    assert verdict.count("level with") == 1


def test_the_elastic_net_does_not_depend_on_the_unit_of_the_target():
    X, y = problem()
    plain, scaled = (
        outcomes_of(X, y * unit, penalties=("elasticnet",)).outcomes[0] for unit in (1.0, 1e5)
    )
    assert plain.n_kept == scaled.n_kept
    assert plain.search.chosen == scaled.search.chosen
    assert np.isclose(scaled.test_error, 1e5 * plain.test_error, rtol=1e-4)
    assert scaled.result.l1_ratio > 0.999
    given = outcomes_of(X, y * 1e5, penalties=("elasticnet",), alpha=2.0).outcomes[0]
    assert given.result.l1_ratio == 0.5


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
    plain = outcomes_of(X, y).outcomes[1].search
    monkeypatch.setattr(compare, "BLOCK", 50)
    blocks = outcomes_of(X, y).outcomes[1].search
    assert np.allclose(blocks.validation_errors, plain.validation_errors, rtol=1e-12)
    assert np.allclose(blocks.training_errors, plain.training_errors, rtol=1e-12)
