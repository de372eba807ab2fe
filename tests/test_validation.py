"""validate: scores against plain loops over folds, selection, weights, storages, threads."""

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import regression
from scipy import sparse
from sklearn import linear_model, metrics, model_selection

import fastreg
from fastreg.validation import Curve, from_moments, make_folds, run
from fastreg.validation.folds import Folds
from fastreg.validation.scores import as_score, average
from fastreg.validation.selection import one_standard_error, select

SKLEARN = {
    "mean_squared_error": metrics.mean_squared_error,
    "mean_absolute_error": metrics.mean_absolute_error,
    "r2": metrics.r2_score,
    "deviance": metrics.mean_squared_error,
}


def fold_scores(X, y, folds, score, alphas, sample_weight=None, **model):
    """One solve for each alpha on a copy of the rows of each fold."""
    found = np.empty((len(alphas), len(folds)))
    offset = model.pop("offset", None)
    for k in range(len(folds)):
        train, test = folds.train_rows(k), folds.test[k]
        weights = {} if sample_weight is None else {"sample_weight": sample_weight[train]}
        shift = {} if offset is None else {"offset": offset[train]}
        for i, alpha in enumerate(alphas):
            fit = fastreg.solve(X[train], y[train], alpha, tol=1e-12, **weights, **shift, **model)
            predicted = fit.predict(X[test], None if offset is None else offset[test])
            own = None if sample_weight is None else sample_weight[test]
            found[i, k] = score(y[test], predicted, sample_weight=own)
    return found


@pytest.mark.parametrize("scoring", sorted(SKLEARN))
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_a_loop_over_folds(scoring, l1_ratio, weighted):
    X, y = regression(60, 12)[:2]
    weight = np.random.default_rng(0).uniform(0, 2, 60) if weighted else None
    result = fastreg.validate(
        X,
        y,
        l1_ratio=l1_ratio,
        n_alphas=7,
        scoring=scoring,
        sample_weight=weight,
        shuffle=True,
        random_state=0,
        tol=1e-12,
    )
    expected = fold_scores(
        X, y, result.folds, SKLEARN[scoring], result.alphas, weight, l1_ratio=l1_ratio
    )
    np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-6, atol=1e-8)
    assert result.greater_is_better == (scoring == "r2")
    weights = np.ones(60) if weight is None else weight
    share = np.array([weights[rows].sum() for rows in result.folds.test])
    np.testing.assert_allclose(result.fold_weights, share)
    mean = np.average(expected, axis=1, weights=share)
    np.testing.assert_allclose(result.mean, mean, rtol=1e-6, atol=1e-8)
    spread = np.average((expected - mean[:, None]) ** 2, axis=1, weights=share)
    np.testing.assert_allclose(result.standard_error, np.sqrt(spread / 4), rtol=1e-5)
    best = np.argmax(mean) if scoring == "r2" else np.argmin(mean)
    assert result.index == result.index_min == (best,)
    alone = fastreg.solve(X, y, result.alpha, l1_ratio=l1_ratio, sample_weight=weight, tol=1e-12)
    np.testing.assert_allclose(result.result.coef, alone.coef, atol=1e-5)
    np.testing.assert_allclose(result.predict(X), alone.predict(X), atol=1e-5)


MODELS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "standardize": {"standardize": True},
    "factor": {"penalty_factor": np.array([0.0, 1.0, 2.0, np.inf, 0.5, 1, 1, 1])},
    "bounds": {"lower": -0.2, "upper": 0.5},
    "positive": {"positive": True},
    "offset": {"offset": np.linspace(-1, 2, 50)},
}
STORAGES = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "float32": lambda X: X.astype(np.float32),
    "csc": sparse.csc_array,
    "csr": sparse.csr_array,
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.7])
def test_every_model_on_every_storage(model, storage, l1_ratio):
    X, y = regression(50, 8, seed=3)[:2]
    X = X.astype(np.float32).astype(np.float64)
    X[np.abs(X) < 0.3] = 0
    grid = [1.0, 0.3, 0.1, 0.03, 0.01]
    result = fastreg.validate(
        storage(X), y, alphas=grid, l1_ratio=l1_ratio, cv=4, tol=1e-12, **model
    )
    expected = fold_scores(
        X, y, result.folds, metrics.mean_squared_error, grid, l1_ratio=l1_ratio, **model
    )
    np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-5, atol=1e-9)
    assert result.converged
    assert result.largest_gap <= 1e-12


@pytest.mark.parametrize("storage", [np.ascontiguousarray, np.asfortranarray, sparse.csc_array])
def test_more_features_than_rows(storage):
    X, y = regression(40, 1200, seed=1)[:2]
    result = fastreg.validate(storage(X), y, n_alphas=12, eps=0.05, cv=4, tol=1e-10)
    expected = fold_scores(X, y, result.folds, metrics.mean_squared_error, result.alphas)
    np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-3, atol=1e-6)
    ridge = fastreg.validate(storage(X), y, l1_ratio=0, alphas=[10, 1, 0.1, 0.01], cv=4)
    expected = fold_scores(
        X, y, ridge.folds, metrics.mean_squared_error, ridge.alphas, l1_ratio=0.0
    )
    np.testing.assert_allclose(ridge.fold_scores, expected, rtol=1e-5)


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_moments_and_paths_agree(monkeypatch, model, storage):
    X, y = regression(50, 8, seed=4)[:2]
    weight = np.random.default_rng(0).integers(0, 3, 50)
    options = {"l1_ratio": [0.0, 0.6, 1.0], "sample_weight": weight, "shuffle": True}
    # much below this tolerance the rounding of the moments leaves doubt, and X is read again
    options |= {"random_state": 1, "n_alphas": 9, "tol": 1e-10, **model}
    one = fastreg.validate(storage(X), y, **options)
    monkeypatch.setattr(run, "takes_moments", lambda task, folds: False)
    two = fastreg.validate(storage(X), y, **options)
    assert (one.method, two.method) == ("moments", "paths")
    assert one.n_passes == 1
    assert two.n_passes > 5
    np.testing.assert_allclose(one.alphas, two.alphas, rtol=1e-9)
    np.testing.assert_allclose(one.fold_scores, two.fold_scores, rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(one.n_active, two.n_active, atol=0.5)
    np.testing.assert_allclose(one.path.coef, two.path.coef, atol=1e-4)


WITHOUT_OFFSET = {name: model for name, model in MODELS.items() if "offset" not in model}


@pytest.mark.parametrize("model", WITHOUT_OFFSET.values(), ids=WITHOUT_OFFSET)
def test_folds_of_which_only_moments_are_known(model):
    X, y = regression(90, 8, seed=4)[:2]
    weight = np.random.default_rng(0).integers(1, 3, 90)
    fold = np.random.default_rng(1).integers(0, 3, 90)
    parts = [fastreg.Moments() for _ in range(3)]
    for rows in np.array_split(np.arange(90), 7):  # chunks of a file
        for k, part in enumerate(parts):
            own = rows[fold[rows] == k]
            part.add(X[own], y[own], weight[own])
    options = {"l1_ratio": [0.3, 1.0], "n_alphas": 9, "tol": 1e-10, "selection": "1se", **model}
    one = fastreg.validate_moments(parts, **options)
    two = fastreg.validate(X, y, foldid=fold, sample_weight=weight, **options)
    assert one.folds is None
    assert one.n_passes == 0
    assert one.index == two.index
    np.testing.assert_allclose(one.alphas, two.alphas, rtol=1e-9)
    np.testing.assert_allclose(one.fold_scores, two.fold_scores, rtol=1e-5)
    np.testing.assert_allclose(one.standard_error, two.standard_error, rtol=1e-4)
    np.testing.assert_allclose(one.result.coef, two.result.coef, atol=1e-5)
    assert [part.n_rows for part in parts] == np.bincount(fold).tolist()


def test_mistakes_in_folds_of_moments():
    X, y = regression(40, 3)[:2]
    part = fastreg.Moments().add(X, y)
    for folds, error, message in (
        ([part], ValueError, "at least two"),
        ([part, X], TypeError, "fold 1 is a ndarray"),
        ([part, fastreg.Moments()], ValueError, "fold 1 of folds has no rows"),
        ([part, fastreg.Moments().add(X[:, :2], y)], ValueError, "2 features"),
    ):
        with pytest.raises(error, match=message):
            fastreg.validate_moments(folds)
    with pytest.raises(TypeError, match="sample_weight"):
        fastreg.validate_moments([part, part], sample_weight=y)
    assert doctest.testmod(importlib.import_module("fastreg.validation.moments")).failed == 0


def test_what_moments_leave_in_doubt_is_predicted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    y = X @ [1.0, -2.0, 0.0, 3.0]  # exact: the error is all rounding of the moments
    result = fastreg.validate(X, y, alphas=[1.0, 1e-7, 1e-9], tol=1e-14)
    expected = fold_scores(X, y, result.folds, metrics.mean_squared_error, result.alphas)
    np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-2)
    assert result.mean[-1] < 1e-16
    # means of a million deviations
    X[:, 0] += 1e6
    y += rng.standard_normal(200)
    result = fastreg.validate(X, y, alphas=[0.1, 0.01])
    expected = fold_scores(X, y, result.folds, metrics.mean_squared_error, result.alphas)
    np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-6)


def test_ridge_factors_and_eigenvalues_agree():
    X, y = regression(50, 20)[:2]
    grid = np.geomspace(10, 1e-3, 9)
    fast = fastreg.validate(X, y, l1_ratio=0, alphas=grid)
    slow = fastreg.validate(X, y, l1_ratio=0, alphas=grid, method="cholesky")
    np.testing.assert_allclose(fast.fold_scores, slow.fold_scores, rtol=1e-9)


def test_several_responses():
    X, y = regression(50, 6)[:2]
    Y = np.c_[y, np.cos(3 * y)]
    for l1_ratio in (0.0, 1.0):
        result = fastreg.validate(X, Y, l1_ratio=l1_ratio, n_alphas=6, tol=1e-11)
        each = [
            fold_scores(
                X,
                Y[:, j],
                result.folds,
                metrics.mean_squared_error,
                result.alphas,
                l1_ratio=l1_ratio,
            )
            for j in range(2)
        ]
        np.testing.assert_allclose(result.fold_scores, np.mean(each, axis=0), rtol=1e-5)
        assert result.result.coef.shape == (2, 6)


def test_scores_of_scikit_learns_lasso_cv():
    X, y = regression(80, 10)[:2]
    weight = np.random.default_rng(5).integers(1, 4, 80).astype(float)
    theirs = linear_model.LassoCV(tol=1e-12, max_iter=100_000).fit(X, y, sample_weight=weight)
    ours = fastreg.validate(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.alphas, theirs.alphas_, rtol=1e-9)
    np.testing.assert_allclose(ours.fold_scores, theirs.mse_path_, rtol=1e-5)


@given(data=st.data())
def test_a_weight_is_a_number_of_copies(data):
    n, p = 24, 4
    X, y = regression(n, p, seed=data.draw(st.integers(0, 5)))[:2]
    copies = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    foldid = np.array(data.draw(st.permutations([0, 1, 2] * 8)))
    for fold in range(3):
        copies[np.flatnonzero(foldid == fold)[:2]] += 1
    rows = np.repeat(np.arange(n), copies)
    l1_ratio = data.draw(st.sampled_from([[1.0], [0.0, 0.5]]))
    scoring = data.draw(st.sampled_from(sorted(SKLEARN)))
    options = {"l1_ratio": l1_ratio, "n_alphas": 8, "scoring": scoring, "tol": 1e-13}
    options["selection"] = data.draw(st.sampled_from(["min", "1se"]))
    one = fastreg.validate(X, y, sample_weight=copies, foldid=foldid, **options)
    many = fastreg.validate(X[rows], y[rows], foldid=foldid[rows], **options)
    for name in ("alphas", "fold_scores", "mean", "standard_error", "fold_weights"):
        np.testing.assert_allclose(getattr(one, name), getattr(many, name), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(one.result.coef, many.result.coef, atol=1e-5)


@pytest.mark.parametrize("storage", [np.ascontiguousarray, sparse.csc_array])
def test_threads_change_no_bit(storage):
    X, y = regression(60, 90)[:2]
    results = [
        fastreg.validate(storage(X), y, l1_ratio=[0.0, 0.5, 1.0], n_alphas=10, n_threads=threads)
        for threads in (1, 2, 5)
    ]
    for other in results[1:]:
        assert np.array_equal(results[0].fold_scores, other.fold_scores)
        assert np.array_equal(results[0].path.coef, other.path.coef)
        assert results[0].largest_gap == other.largest_gap


def test_one_held_out_part():
    X, y = regression(50, 5)[:2]
    result = fastreg.validate(X, y, cv=0.2, selection="1se")
    assert result.n_folds == 1
    assert np.isnan(result.standard_error).all()
    assert result.index == result.index_min
    assert "1 fold" in repr(result)


def test_a_grid_of_ratios_has_an_axis():
    X, y = regression(50, 5)[:2]
    result = fastreg.validate(X, y, l1_ratio=[0.2, 1.0], n_alphas=5, cv=3)
    assert result.alphas.shape == result.mean.shape == result.n_active.shape == (2, 5)
    assert result.fold_scores.shape == (2, 5, 3)
    assert result.l1_ratio == result.l1_ratios[result.index[0]]
    assert result.mean[result.index] == result.mean.min()
    assert result.path.l1_ratio == result.l1_ratio
    own = fastreg.validate(X, y, l1_ratio=[0.2, 1.0], alphas=result.alphas, cv=3, refit=False)
    assert np.array_equal(own.fold_scores, result.fold_scores)
    assert own.result is None
    assert own.path is None
    with pytest.raises(ValueError, match="refit=True"):
        own.predict(X)
    for text in ("2 l1_ratios", "chosen by min", "1se", "+-", "3 folds", "moments"):
        assert text in repr(result)


def test_a_callable_score():
    X, y = regression(50, 5)[:2]

    def largest(y_true, y_pred, sample_weight):
        assert sample_weight is None
        return np.abs(y_true - y_pred).max()

    result = fastreg.validate(X, y, scoring=largest, n_alphas=5)
    assert result.scoring == "largest"
    assert result.index_min == (np.argmin(result.mean),)
    merit = fastreg.Score("minus", lambda *rows: -largest(*rows), greater_is_better=True)
    other = fastreg.validate(X, y, scoring=merit, n_alphas=5)
    assert np.array_equal(other.fold_scores, -result.fold_scores)
    assert other.index == result.index


def test_metrics_of_scikit_learn_are_scores():
    X, y = regression(50, 5)[:2]
    weight = np.arange(50) % 3 + 1.0
    one = fastreg.validate(X, y, scoring=metrics.median_absolute_error, sample_weight=weight)
    other = fastreg.validate(
        X, y, scoring=lambda y, p, w: metrics.mean_squared_error(y, p, sample_weight=w)
    )
    assert one.scoring == "median_absolute_error"
    np.testing.assert_allclose(other.fold_scores, fastreg.validate(X, y).fold_scores, rtol=1e-9)


def test_a_score_cannot_change_what_it_is_given():
    X, y = regression(50, 5)[:2]

    def greedy(y_true, y_pred, sample_weight):
        y_true -= 1
        return 0.0

    with pytest.raises(ValueError, match="read-only"):
        fastreg.validate(X, y, scoring=greedy)


def curve(mean, error, active, greater_is_better=False):
    mean = np.asarray(mean, dtype=float)
    alphas = np.broadcast_to(np.geomspace(1, 0.01, mean.shape[-1]), mean.shape)
    error = np.broadcast_to(np.asarray(error, dtype=float), mean.shape)
    return Curve(alphas, mean, error, np.asarray(active, dtype=float), greater_is_better)


def test_the_one_standard_error_rule():
    one = curve([[[9, 5, 4, 3.5, 3, 3.2]]], 1.0, [[[0, 1, 2, 3, 4, 5]]])
    assert select(one, "min") == (0, 0, 4)
    assert select(one, "1se") == (0, 0, 2)
    merit = curve(-one.mean, 1.0, one.n_active, greater_is_better=True)
    assert select(merit, "1se") == (0, 0, 2)
    # of two ratios, the sparser one of their largest alphas within; of two degrees the smaller one
    two = curve(
        [[[9, 4, 3], [3.9, 3.5, 3.4]], [[2.9, 2.8, 2.95], [9, 9, 9]]],
        1.2,
        [[[0, 2, 3], [5, 5, 5]], [[1, 1, 1], [1, 1, 1]]],
    )
    assert select(two, "min") == (1, 0, 1)
    assert select(two, "1se") == (0, 0, 1)
    assert one_standard_error(curve([[[2, np.nan, 1]]], np.nan, [[[0, 1, 2]]])) == (0, 0, 2)


def test_the_one_standard_error_rule_chooses_what_is_published():
    """Best subsets of 0 to 8 features of the prostate data, 10 folds: two are chosen.

    Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", 2009, figure 3.7 and table
    3.3; the figures are those of McLeod and Xu, manual of the R package bestglm, oneSDRule, which
    answers with the third model.
    """
    mean = [1.4637799, 0.7036285, 0.6242480, 0.6069406, 0.6006877, 0.6005472, 0.5707958, 0.5907897]
    mean += [0.5895489]
    error = [0.24878992, 0.14160499, 0.08714908, 0.11376041, 0.08522291, 0.11897327, 0.07960879]
    error += [0.09235052, 0.12860983]
    published = curve([[mean]], [[error]], [[np.arange(9)]])
    assert published.n_active[select(published, "min")] == 6
    assert published.n_active[select(published, "1se")] == 2


def test_the_standard_error_by_hand():
    """Errors 1, 2, 3, 6 of four folds: mean 3, deviation sqrt(14/3), standard error sqrt(7/6).

    At the next alpha they are 1, 2, 2, 3: mean 2, deviation sqrt(2/3), standard error sqrt(1/6), so
    that 2.3 is within one of the minimum and 2.5 is not.
    """
    scores = np.array([[1, 2, 3, 6], [2.5] * 4, [2.3] * 4, [1, 2, 2, 3]], dtype=float)
    mean, error = average(scores, np.ones(4))
    np.testing.assert_allclose(mean, [3, 2.5, 2.3, 2], rtol=1e-14)
    np.testing.assert_allclose(error, np.sqrt([7 / 6, 0, 0, 1 / 6]), atol=1e-14)
    by_hand = curve([[mean]], [[error]], [[[0, 1, 2, 3]]])
    assert select(by_hand, "min") == (0, 0, 3)
    assert select(by_hand, "1se") == (0, 0, 2)


def test_a_callable_selection():
    X, y = regression(50, 5)[:2]
    by_count = fastreg.validate(
        X, y, selection=lambda curve: np.argmax(curve.n_active >= 2), n_alphas=20
    )
    assert by_count.n_active[by_count.index] >= 2
    assert by_count.selection == "<lambda>"
    full = fastreg.validate(X, y, selection=lambda curve: (0, 0, 3), n_alphas=20)
    assert full.index == (3,)
    for chosen, error in (((0, 0, 20), ValueError), (-1, ValueError), (0.5, TypeError)):
        with pytest.raises(error, match=r"selection (returned|must)"):
            fastreg.validate(X, y, selection=lambda curve, chosen=chosen: chosen, n_alphas=20)


def test_average_over_folds():
    scores = np.random.default_rng(0).uniform(size=(4, 6))
    mean, error = average(scores, np.full(6, 3.0))
    np.testing.assert_allclose(mean, scores.mean(axis=1))
    np.testing.assert_allclose(error, scores.std(axis=1, ddof=1) / np.sqrt(6))


def test_r2_of_a_constant():
    score = as_score("r2")
    y = np.array([2.0, 2.0])
    assert np.array_equal(score.of_columns(y, np.array([[2.0, 1], [2, 2]]), None), [1, 0])
    with pytest.raises(ValueError, match="at least two"):
        score.of_columns(y[:1], np.ones((1, 1)), None)


def test_fits_that_stop_early_are_reported():
    X, y = regression(60, 40)[:2]
    result = fastreg.validate(X, y, max_iter=1, max_sweeps=1, method="working_set", tol=1e-14)
    assert not result.converged
    assert 0 < result.n_unconverged <= result.n_fits == 600
    assert f"{result.n_unconverged} of 600" in result.message
    assert result.message in repr(result)


def test_names_of_a_frame_are_kept():
    pandas = pytest.importorskip("pandas")
    X, y = regression(40, 3)[:2]
    frame = pandas.DataFrame(X, columns=list("abc"))
    result = fastreg.validate(frame, y, n_alphas=5)
    assert result.result.feature_names == ("a", "b", "c")
    np.testing.assert_array_equal(result.predict(frame[["c", "a", "b"]]), result.predict(frame))


def test_any_splitter_of_scikit_learn():
    X, y = regression(60, 4)[:2]
    labels = np.arange(60) % 7
    for splitter, groups in (
        (model_selection.GroupKFold(3), labels),
        (model_selection.ShuffleSplit(4, random_state=0), None),
        (model_selection.LeaveOneGroupOut(), labels),
    ):
        result = fastreg.validate(X, y, cv=splitter, groups=groups, n_alphas=5)
        folds = make_folds(X, y, cv=splitter, groups=groups)
        expected = fold_scores(X, y, folds, metrics.mean_squared_error, result.alphas)
        np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scoring": "accuracy"}, ValueError, "scoring must be one of"),
        ({"scoring": 3}, TypeError, "scoring must be a name"),
        ({"selection": "2se"}, ValueError, "selection must be"),
        ({"selection": 1}, TypeError, "selection must be"),
        ({"refit": 1}, TypeError, "refit must be"),
        ({"l1_ratio": []}, ValueError, "l1_ratio must be"),
        ({"l1_ratio": [0.5, 2]}, ValueError, "l1_ratio must be"),
        ({"l1_ratio": [0.5, 1], "alphas": np.ones((3, 2))}, ValueError, "a row for each of 2"),
        ({"offset": np.ones(3)}, ValueError, "offset must have shape"),
        ({"sample_weight": np.r_[np.ones(40), np.zeros(10)]}, ValueError, "held-out rows of fold"),
        ({"sample_weight": -np.ones(50)}, ValueError, "sample_weight must be"),
        ({"no_such": 1}, TypeError, "unknown option"),
    ],
)
def test_mistakes(options, error, message):
    X, y = regression(50, 5)[:2]
    with pytest.raises(error, match=message):
        fastreg.validate(X, y, **options)


def test_degrees_share_one_set_of_moments(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (300, 2))
    y = X[:, 0] ** 3 - X[:, 1] + 0.1 * rng.normal(size=300)
    basis = fastreg.PolynomialBasis.of(X, 4)
    surveys = []
    survey = from_moments.fold_moments
    monkeypatch.setattr(
        from_moments, "fold_moments", lambda *a: surveys.append(a[0].shape) or survey(*a)
    )
    options = {"sample_weight": rng.uniform(0.5, 2.0, 300), "tol": 1e-10, "n_alphas": 20}
    both = fastreg.validate_degrees(basis, X, y, **options)
    assert surveys == [(300, basis.n_columns(4))]
    assert both.method == "moments"
    assert type(both.folds) is Folds
    design = basis.transform(X)
    for i, degree in enumerate(both.degrees):
        alone = fastreg.validate(design[:, : basis.n_columns(degree)], y, **options)
        np.testing.assert_allclose(both.alphas[i], alone.alphas, rtol=1e-12)
        np.testing.assert_allclose(both.fold_scores[i], alone.fold_scores, rtol=1e-5)
    assert both.n_passes == 1 + both.path.n_passes


@pytest.mark.parametrize("unit", [1e-85, 1e80])
def test_the_rules_do_not_depend_on_the_unit_of_the_response(unit):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = X[:, 0] + rng.normal(size=60)
    usual = fastreg.validate(X, y, n_alphas=20, selection="1se")
    other = fastreg.validate(X, unit * y, n_alphas=20, selection="1se")
    assert usual.index != usual.index_min
    assert other.index == usual.index
    np.testing.assert_allclose(other.standard_error / unit / unit, usual.standard_error, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-170, 1e160])
def test_tall_data_whose_squares_are_no_numbers(unit):
    X, y = regression(80, 4, seed=5)[:2]
    options = {"n_alphas": 15, "standardize": True, "tol": 1e-10}
    usual, other = fastreg.validate(X, y, **options), fastreg.validate(unit * X, y, **options)
    assert (usual.method, other.method) == ("moments", "paths")
    np.testing.assert_allclose(other.mean, usual.mean, rtol=1e-5)
    assert other.index == usual.index
