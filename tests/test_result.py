"""Results, statuses and settings: fields, shapes, prediction, text."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import scipy.sparse
from problems import regression

import fastreg


@pytest.fixture
def data():
    return regression(20, 6, seed=1)


@pytest.fixture
def result(data):
    return fastreg.solve(*data, alpha=0.1)


def test_fields_of_one_response(result):
    assert isinstance(result, fastreg.Result)
    assert result.coef.shape == result.certified_zero.shape == (6,)
    assert result.coef.dtype == np.float64
    assert result.certified_zero.dtype == bool
    for name in (
        "intercept",
        "alpha",
        "l1_ratio",
        "objective",
        "null_objective",
        "duality_gap",
        "tolerance",
        "relative_gap",
        "kkt_violation",
        "seconds",
        "prediction_error_bound",
    ):
        assert np.ndim(getattr(result, name)) == 0, name
        assert isinstance(getattr(result, name), float), name
    for name in ("n_iter", "n_passes", "n_sweeps", "n_active"):
        assert isinstance(getattr(result, name), int), name
        assert getattr(result, name) >= 0, name
    assert result.n_passes >= 1
    assert (result.alpha, result.l1_ratio) == (0.1, 1.0)
    assert result.status is fastreg.Status.CONVERGED
    assert result.converged is True
    assert isinstance(result.method, str)
    assert result.method != "auto"
    assert 0 <= result.seconds < 60
    assert result.relative_gap == result.duality_gap / result.null_objective
    assert result.tolerance == pytest.approx(1e-8 * result.null_objective)


def test_results_are_frozen(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.alpha = 2.0


def test_results_survive_copying_and_pickling(data, result):
    path = fastreg.solve_path(*data, n_alphas=4)
    for made in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        np.testing.assert_array_equal(made.coef, result.coef)
        assert made.status is result.status
        np.testing.assert_array_equal(made.predict(data[0]), result.predict(data[0]))
    loaded = pickle.loads(pickle.dumps(path))
    np.testing.assert_array_equal(loaded.coef, path.coef)


def test_results_do_not_alias_the_input(data):
    X, y = (v.copy() for v in data)
    start = np.zeros(6)
    result = fastreg.solve(X, y, alpha=0.1, warm_start=start)
    before = result.coef.copy()
    X[:] = y[:] = start[:] = 99.0
    np.testing.assert_array_equal(result.coef, before)


def test_repr_says_what_matters(data, result):
    for shown in (repr(result), repr(fastreg.solve_path(*data, n_alphas=4))):
        assert len(shown) < 2000
        assert "gap" in shown.lower()
        assert "array(" not in shown
    assert "0.1" in repr(result)
    big = fastreg.solve(*regression(20, 3000, seed=2), alpha=0.5)
    assert len(repr(big)) < 2000
    assert len(repr(fastreg.solve_path(*regression(20, 300, seed=2)))) < 2000
    assert fastreg.ridge_path(*data, [1.0]).__repr__().startswith("RidgePathResult")


def test_message_is_the_sentence_of_the_status(result):
    assert result.message == fastreg.Status.CONVERGED.message
    messages = [status.message for status in fastreg.Status]
    assert len(set(messages)) == len(messages) == 6
    for message in messages:
        assert len(message.split()) >= 3


def test_status_numbers():
    expected = {
        "CONVERGED": 1,
        "RANK_DEFICIENT": 2,
        "MAX_ITER": -1,
        "TIME_LIMIT": -2,
        "STALLED": -3,
        "NUMERICAL_ERROR": -4,
    }
    assert {status.name: status.value for status in fastreg.Status} == expected


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        scipy.sparse.csr_array,
        scipy.sparse.csc_matrix,
        lambda X: X.astype(np.float32),
        lambda X: X[::-1][::-1],
        lambda X: X.tolist(),
    ],
    ids=["F", "CSR", "csc_matrix", "float32", "reversed", "list"],
)
def test_predict(data, result, convert):
    X, y = data
    expected = X @ result.coef + result.intercept
    np.testing.assert_allclose(result.predict(convert(X)), expected, rtol=1e-12)
    np.testing.assert_allclose(result.predict(convert(X[:1])), expected[:1], rtol=1e-12)
    offset = np.arange(20.0)
    np.testing.assert_allclose(result.predict(convert(X), offset=offset), expected + offset)
    Y = np.column_stack([y, 2 * y])
    both = fastreg.solve(X, Y, alpha=0.1)
    np.testing.assert_allclose(both.predict(convert(X)), X @ both.coef.T + both.intercept)
    path = fastreg.solve_path(X, y, n_alphas=3)
    np.testing.assert_allclose(path.predict(convert(X)), X @ path.coef.T + path.intercept)


@pytest.mark.parametrize("X", [np.zeros((3, 5)), np.zeros(6), np.zeros((3, 7))], ids=np.shape)
def test_predict_refuses_other_shapes(data, result, X):
    with pytest.raises(ValueError, match="X"):
        result.predict(X)
    with pytest.raises(ValueError, match="X"):
        fastreg.solve_path(*data, n_alphas=3).predict(X)


def test_predict_refuses_a_wrong_offset(data, result):
    with pytest.raises(ValueError, match="offset"):
        result.predict(data[0], offset=np.zeros(3))


def test_path_is_a_sequence(data):
    path = fastreg.solve_path(*data, n_alphas=5)
    assert isinstance(path, fastreg.PathResult)
    assert len(path) == 5
    whole = list(path)
    assert len(whole) == 5
    np.testing.assert_array_equal(path[-1].coef, whole[4].coef)
    for k, point in enumerate(whole):
        assert isinstance(point, fastreg.Result)
        np.testing.assert_array_equal(point.coef, path.coef[k])
        np.testing.assert_array_equal(point.certified_zero, path.certified_zero[k])
        for name in (
            "intercept",
            "status",
            "objective",
            "duality_gap",
            "tolerance",
            "kkt_violation",
            "n_iter",
            "n_sweeps",
            "n_active",
        ):
            assert getattr(point, name) == getattr(path, name)[k], name
    for wrong in (5, -6):
        with pytest.raises(IndexError):
            path[wrong]


def test_path_shapes(data):
    path = fastreg.solve_path(*data, n_alphas=5)
    assert path.alphas.shape == path.intercept.shape == (5,)
    assert path.coef.shape == path.certified_zero.shape == (5, 6)
    for name in (
        "status",
        "objective",
        "duality_gap",
        "tolerance",
        "kkt_violation",
        "n_iter",
        "n_sweeps",
        "n_active",
        "prediction_error_bound",
        "relative_gap",
    ):
        assert np.shape(getattr(path, name)) == (5,), name
    # Passes serve many alphas at once, and so does the time.
    assert path.n_passes == path[2].n_passes >= 1
    assert path.seconds == path[2].seconds > 0
    assert np.issubdtype(path.status.dtype, np.integer)


def test_status_of_several_responses_is_the_worst(data):
    X, y = regression(60, 120, seed=12)
    both = np.column_stack([np.zeros(60), y])
    result = fastreg.solve(X, both, alpha=1e-3, max_iter=1, method="gradient")
    assert result.status == fastreg.Status.MAX_ITER
    assert not result.converged
    assert result.duality_gap[0] <= result.tolerance[0]
    assert result.duality_gap[1] > result.tolerance[1]


def test_settings_are_frozen_keywords_with_defaults():
    settings = fastreg.Settings()
    assert settings.tol == 1e-8
    assert settings.time_limit == np.inf
    assert settings.gram_memory == 2**30
    assert settings.method == "auto"
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.tol = 1.0
    with pytest.raises(TypeError):
        fastreg.Settings(1e-3)
    assert dataclasses.replace(settings, tol=1e-3).tol == 1e-3


@pytest.fixture
def frame(data):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(data[0], columns=list("abcdef"))


def test_columns_of_a_frame_are_taken_by_name(data, frame):
    for fitted in (
        fastreg.solve(frame, data[1], alpha=0.1),
        fastreg.solve_path(frame, data[1], n_alphas=3),
    ):
        expected = fitted.predict(data[0])
        np.testing.assert_allclose(fitted.predict(frame), expected, rtol=1e-13)
        np.testing.assert_allclose(fitted.predict(frame[list("fcabde")]), expected, rtol=1e-13)
        with pytest.raises(ValueError, match="lacks the columns 'd'"):
            fitted.predict(frame.rename(columns={"d": "x"}))
        with pytest.raises(ValueError, match="has other columns 'g'"):
            fitted.predict(frame.assign(g=1.0))
        with pytest.raises(ValueError, match="lacks the columns 'f'"):
            fitted.predict(frame.iloc[:, :5])
        with pytest.raises(ValueError, match="of one name"):
            fitted.predict(frame[list("bacdeff")])


@pytest.mark.parametrize("storage", [np.asarray, scipy.sparse.csc_array, scipy.sparse.csr_array])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_from_what_is_not_finite_are_refused(data, result, storage, value):
    X = data[0].copy()
    X[3, 2] = value
    path = fastreg.solve_path(*data, n_alphas=3, sparse_coef=True)
    for fitted in (result, path):
        with pytest.raises(ValueError, match=r"X contains .* in column 2 \(first in row 3\)"):
            fitted.predict(storage(X))
        with pytest.raises(ValueError, match="offset contains"):
            fitted.predict(data[0], offset=X[:, 2])


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("sparse_coef", [False, True])
def test_offsets_of_a_path(data, many, sparse_coef):
    X, y = data
    y = np.column_stack([y, -y, y**2]) if many else y
    path = fastreg.solve_path(X, y, n_alphas=4, sparse_coef=sparse_coef)
    rows = np.arange(20.0)
    shaped = np.arange(20.0 * 3).reshape(20, 3) if many else rows
    for offset in (rows, shaped):
        expected = np.stack([path[i].predict(X, offset) for i in range(4)], axis=1)
        np.testing.assert_allclose(path.predict(X, offset), expected, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="offset must have the shape of y"):
        path.predict(X, np.zeros((20, 4)))
