"""The compiled way from the moments of folds to their scores: as the general way, or not at all."""

import numpy as np
import pytest

import fastreg
from fastreg._core.fold_path import FoldPath
from fastreg.fold_moments import fold_moments, heldout_error, training_moments
from fastreg.validation.from_moments import MomentScorer


def problem(n, p, seed, *, mean=0.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, p)) * np.geomspace(0.2, 5.0, p) + mean).astype(dtype)
    w = np.where(np.arange(p) % 3 == 0, 1.0, 0.0) / np.geomspace(0.2, 5.0, p)
    return X, X @ w + rng.normal(size=n), rng


MODELS = {
    "lasso": {},
    "elastic net": {"l1_ratio": 0.3},
    "ratios": {"l1_ratio": [0.2, 0.9, 1.0]},
    "standardize": {"standardize": True},
    "factors": {"penalty_factor": "some"},
    "weights": {"sample_weight": "some"},
    "shuffled": {"shuffle": True, "random_state": 0},
    "far means": {"mean": 30.0},
    "float": {"dtype": np.float32},
}


@pytest.mark.parametrize("shape", [(40, 1), (100, 10), (90, 30), (600, 60)])
@pytest.mark.parametrize("model", MODELS)
def test_the_same_as_the_general_way(model, shape, monkeypatch):
    options = dict(MODELS[model])
    data = {name: options.pop(name) for name in ("mean", "dtype") if name in options}
    X, y, rng = problem(*shape, 3, **data)
    for name, size in (("penalty_factor", shape[1]), ("sample_weight", shape[0])):
        if options.get(name) == "some":
            options[name] = rng.uniform(0.1, 3.0, size)
    options |= {"tol": 1e-8, "eps": 1e-2, "n_alphas": 20, "cv": 4}
    runs = []
    run = MomentScorer._score
    monkeypatch.setattr(MomentScorer, "_score", lambda *a: runs.append(a[2]) or run(*a))
    short = fastreg.validate(X, y, **options)
    assert not runs  # nothing was left over
    monkeypatch.setattr(MomentScorer, "_plain_paths", lambda *_: None)
    general = fastreg.validate(X, y, **options)
    assert sorted(runs) == list(range(4))
    assert short.method == general.method == "moments"
    # both are within the tolerance of the minimum, not of each other's last bit
    assert np.allclose(short.fold_scores, general.fold_scores, rtol=1e-4)
    assert short.largest_gap <= 1e-8
    assert short.n_fits == general.n_fits
    assert short.index == general.index
    monkeypatch.undo()
    threads = fastreg.validate(X, y, **options, n_threads=3)
    assert np.array_equal(threads.fold_scores, short.fold_scores)
    assert threads.largest_gap == short.largest_gap


def test_a_fold_is_proven_and_scored():
    X, y, _ = problem(120, 8, 5)
    fold = np.arange(120) % 3
    parts = fold_moments(X, y, None, fold, 3)
    training = training_moments(parts)[1]
    alphas = np.array([0.5, 0.05, 0.005])
    out = np.empty((3, 3))
    path = FoldPath(np.ones(8), False)
    arguments = {"tol": 1e-8, "max_sweeps": 1000, "deadline": np.inf}
    assert path.run(training._state, parts[1]._state, alphas, 0.0 * alphas, out, **arguments)
    reference = fastreg.solve_path(X[fold != 1], y[fold != 1], alphas=alphas, tol=1e-12)
    residual = y[fold == 1][:, None] - reference.predict(X[fold == 1])
    assert np.allclose(out[0], np.mean(residual**2, axis=0), rtol=1e-6)
    assert np.array_equal(out[1], reference.n_active)
    assert (out[2] >= 0.0).all()
    assert (out[2] <= 1e-8).all()
    # no less than what the moments themselves say, rounding included
    slow = training.path(alphas=alphas, tol=1e-8)
    assert np.allclose(heldout_error(parts[1], slow.coef, slow.intercept)[0], out[0], rtol=1e-5)
    again = np.empty((3, 3))
    assert path.run(training._state, parts[1]._state, alphas, 0.0 * alphas, again, **arguments)
    assert np.array_equal(out, again)
    with pytest.raises(ValueError, match="shapes"):
        path.run(training._state[1:], parts[1]._state, alphas, alphas, out, **arguments)


@pytest.mark.parametrize("trouble", ["constant", "copies", "exact", "no weight", "no factor"])
def test_what_is_in_doubt_goes_the_general_way(trouble):
    X, y, _ = problem(100, 6, 7)
    options = {"tol": 1e-9, "n_alphas": 15, "cv": 4}
    fold = np.repeat(np.arange(4), 25)
    if trouble == "constant":  # where fold 2 is left out
        X[fold != 2, 3] = 5.0
    elif trouble == "copies":
        X[:, 5] = X[:, 4] * 2.0
    elif trouble == "exact":  # a residual that is all rounding
        y = X @ np.arange(6.0)
        options |= {"eps": 1e-9}
    elif trouble == "no weight":
        options["sample_weight"] = np.where(fold == 1, 1e-9, 1.0)
    else:
        options["penalty_factor"] = [0, 1, 1, 1, 1, 1]
    result = fastreg.validate(X, y, **options)
    for k in range(4):
        weight = options.get("sample_weight", np.ones(100))[fold != k]
        path = fastreg.solve_path(
            X[fold != k],
            y[fold != k],
            alphas=result.alphas,
            tol=1e-12,
            sample_weight=weight,
            penalty_factor=options.get("penalty_factor"),
        )
        error = np.mean((y[fold == k][:, None] - path.predict(X[fold == k])) ** 2, axis=0)
        assert np.allclose(result.fold_scores[:, k], error, rtol=1e-4, atol=1e-9 * np.var(y))
    assert result.largest_gap <= 1e-9
