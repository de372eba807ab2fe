"""The estimators against scikit-learn's: results, attributes, checks, errors, the warning."""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import pickle
import re
import warnings
from typing import ClassVar

import numpy as np
import pytest
import scipy.sparse
from problems import regression

sklearn = pytest.importorskip("sklearn")

from sklearn import linear_model as theirs  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.feature_selection import SelectFromModel  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_validate  # noqa: E402
from sklearn.multioutput import MultiOutputRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import fastreg  # noqa: E402
from fastreg import estimators as ours  # noqa: E402

CLASSES = ["Lasso", "ElasticNet", "Ridge"]
PATHS = ["lasso_path", "enet_path"]
RIDGE_SOLVERS = ["svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga"]
TIGHT = {"Lasso": {"tol": 1e-13}, "ElasticNet": {"tol": 1e-13}, "Ridge": {"tol": 1e-9}}


@pytest.fixture
def data():
    return regression(40, 7, seed=3)


@pytest.fixture
def weight():
    weight = np.random.default_rng(5).uniform(0.1, 3, 40)
    weight[[4, 17]] = 0
    return weight


def both(name, **params):
    """Our estimator and scikit-learn's, the latter converged as far as it goes."""
    tol = {"Lasso": 1e-14, "ElasticNet": 1e-14, "Ridge": 1e-12}[name]
    reference = getattr(theirs, name)(**{**params, "tol": tol})
    if name != "Ridge":
        reference.set_params(max_iter=100_000)
    return getattr(ours, name)(**{**TIGHT[name], **params}), reference


def expected_failures(estimator):
    """Scikit-learn's own Ridge is expected to fail the first of these checks, too."""
    expected = {}
    if isinstance(estimator, ours.Ridge) and estimator.solver not in ("lsqr", "sag", "saga"):
        expected["check_non_transformer_estimators_n_iter"] = "n_iter_ is None, as documented"
    if getattr(estimator, "solver", "") == "svd":  # scikit-learn 1.6 does not look at the tag
        expected["check_sample_weight_equivalence_on_sparse_data"] = "sparse X is refused"
    return expected


@parametrize_with_checks(
    [
        ours.Lasso(),
        ours.Lasso(alpha=0.05, positive=True, warm_start=True),
        ours.ElasticNet(),
        ours.ElasticNet(alpha=0.01, l1_ratio=0.0, fit_intercept=False),
        ours.Ridge(),
        ours.Ridge(positive=True),
        *(ours.Ridge(solver=solver) for solver in RIDGE_SOLVERS),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("default")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", CLASSES + PATHS)
def test_arguments_are_scikit_learns(name):
    mine = inspect.signature(getattr(ours, name)).parameters
    reference = inspect.signature(getattr(theirs, name)).parameters
    kinds = {key: value.kind for key, value in reference.items()}
    assert {key: mine[key].kind for key in reference} == kinds
    if name in CLASSES:
        defaults = {key: value.default for key, value in reference.items()}
        assert {key: value.default for key, value in mine.items()} == defaults


CONTAINERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "list": lambda X: X.tolist(),
    "csr_matrix": scipy.sparse.csr_matrix,
    "csc_array": scipy.sparse.csc_array,
    "coo_array": scipy.sparse.coo_array,
    "float32 csc": lambda X: scipy.sparse.csc_array(X.astype(np.float32)),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["", "origin"])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", CLASSES)
def test_solutions_are_scikit_learns(name, container, fit_intercept, weighted, data, weight):
    X, y = data
    X = CONTAINERS[container](X)
    params = {"alpha": 3.0 if name == "Ridge" else 0.05, "fit_intercept": fit_intercept}
    model, reference = both(name, **params)
    sample_weight = weight if weighted else None
    model.fit(X, y, sample_weight=sample_weight)
    double = X.astype(float) if hasattr(X, "astype") else X
    reference.fit(double, y, sample_weight=sample_weight)
    single = "float32" in container
    near = {"rtol": 2e-5, "atol": 2e-6} if single else {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(model.coef_, reference.coef_, **near)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, **near)
    np.testing.assert_allclose(model.predict(X), reference.predict(double), rtol=1e-4, atol=1e-5)
    assert model.coef_.dtype == model.predict(X).dtype == (np.float32 if single else np.float64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["", "origin"])
@pytest.mark.parametrize("columns", [None, 1, 3])
@pytest.mark.parametrize("name", CLASSES)
def test_attributes_have_scikit_learns_types(name, columns, fit_intercept, dtype, data):
    X, y = data[0].astype(dtype), data[1].astype(dtype)
    if columns is not None:
        y = np.column_stack([y * (k + 1) + k for k in range(columns)])
    model = getattr(ours, name)(alpha=0.2, fit_intercept=fit_intercept).fit(X, y)
    reference = getattr(theirs, name)(alpha=0.2, fit_intercept=fit_intercept).fit(X, y)
    for key in sorted(vars(reference).keys() & {"coef_", "intercept_", "dual_gap_", "n_iter_"}):
        mine, other = getattr(model, key), getattr(reference, key)
        assert type(mine) is type(other), key
        assert np.shape(mine) == np.shape(other), key
        assert getattr(mine, "dtype", None) == getattr(other, "dtype", None), key
    assert vars(reference).keys() - vars(model).keys() == set()
    assert model.predict(X).shape == reference.predict(X).shape
    assert isinstance(model.result_, fastreg.Result)


@pytest.mark.parametrize("name", CLASSES)
def test_columns_of_y_are_independent(name, data):
    X, y = data
    Y = np.column_stack([y, y[::-1], X[:, 1]])
    model, _ = both(name, alpha=0.1)
    together = clone(model).fit(X, Y)
    for k in range(3):
        alone = clone(model).fit(X, Y[:, k])
        np.testing.assert_allclose(together.coef_[k], alone.coef_, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(together.intercept_[k], alone.intercept_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", CLASSES)
def test_positive(name, data):
    X, y = data
    model, reference = both(name, alpha=0.01, positive=True)
    model.fit(X, y)
    reference.fit(X, y)
    assert model.coef_.min() >= 0
    assert getattr(ours, name)(alpha=0.01).fit(X, y).coef_.min() < 0
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CLASSES)
def test_a_weight_is_a_number_of_copies(name, data):
    X, y = data
    counts = np.random.default_rng(0).integers(0, 4, len(y))
    model, _ = both(name, alpha=0.1)
    weighted = clone(model).fit(X, y, sample_weight=counts)
    repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-6)


def test_a_scalar_weight_is_scikit_learns(data):
    for name in CLASSES:
        model, reference = both(name, alpha=0.2)
        model.fit(*data, sample_weight=2.5)
        reference.fit(*data, sample_weight=2.5)
        np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-6, atol=1e-8)
        for bad in (np.nan, -1.0):
            with pytest.raises(ValueError, match="sample_weight"):
                model.fit(*data, sample_weight=bad)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_tol_is_in_scikit_learns_unit(fit_intercept, weighted, data, weight):
    X, y = data
    s = weight if weighted else np.ones(len(y))
    model = ours.ElasticNet(alpha=0.01, tol=1e-3, fit_intercept=fit_intercept)
    model.fit(X, y, sample_weight=weight if weighted else None)
    centred = y - np.average(y, weights=s) if fit_intercept else y
    tolerance = 1e-3 * np.sum(s * centred**2) / np.sum(s)
    assert model.result_.tolerance == pytest.approx(tolerance, rel=1e-12)
    assert model.dual_gap_ <= tolerance
    residual = y - model.predict(X)
    objective = np.sum(s * residual**2) / np.sum(s) / 2 + 0.01 * (
        0.5 * np.abs(model.coef_).sum() + 0.25 * (model.coef_**2).sum()
    )
    assert model.result_.objective == pytest.approx(objective, rel=1e-12)


@pytest.fixture
def hard():
    """Strongly correlated columns and a small alpha: more than a sweep or an iteration."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 40)) + 5 * rng.standard_normal((60, 1))
    return X, X @ rng.standard_normal(40) + rng.standard_normal(60)


@pytest.mark.parametrize(
    ("estimator", "subject"),
    [
        (ours.Lasso(alpha=1e-3, max_iter=1, tol=1e-12), "Objective"),
        (ours.ElasticNet(alpha=1e-3, max_iter=1, tol=1e-12), "Objective"),
        (ours.Ridge(alpha=1e-3, solver="lsqr", max_iter=1), "The lsqr solver"),
        (ours.Ridge(alpha=1e-3, solver="saga", max_iter=1), "The saga solver"),
    ],
    ids=str,
)
@pytest.mark.parametrize("columns", [1, 3])
def test_one_warning_with_gap_tolerance_and_remedy(estimator, subject, columns, hard):
    X, y = hard
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = clone(estimator).fit(X, y if columns == 1 else np.column_stack([y] * columns))
    assert [warning.category for warning in caught] == [ConvergenceWarning]
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert text.startswith(f"{subject} did not converge")
    assert "max_iter (now 1)" in text
    gap, tolerance, tol = (float(number) for number in re.findall(r"\d\.\d+e[-+]\d+", text))
    assert gap == pytest.approx(np.max(model.result_.duality_gap), rel=1e-3)
    assert tolerance == pytest.approx(np.max(model.result_.tolerance), rel=1e-3)
    assert not model.result_.converged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(tol=tol).fit(X, y)  # the remedy helps


def test_the_remedy_is_for_all_penalties(hard):
    X = hard[0]
    model = ours.Ridge(alpha=[1e-3, 1.0], solver="lsqr", max_iter=1, tol=1e-9)
    Y = np.column_stack([X.sum(axis=1), X[:, 0] - X[:, 1]])  # the first is easy, but has not ended
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, Y)
    tol = re.search("raise tol to ([^,]*),", str(caught[0].message))[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(tol=float(tol)).fit(X, Y)


def test_path_warns_once(hard):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours.lasso_path(*hard, alphas=[1e-2, 1e-3, 1e-4], max_iter=1, tol=1e-12)
    assert [warning.category for warning in caught] == [ConvergenceWarning]
    assert caught[0].filename == __file__


def test_alpha_zero_is_least_squares_without_a_warning(data):
    X, y = data
    expected = theirs.LinearRegression().fit(X, y)
    for name in CLASSES:
        model = getattr(ours, name)(alpha=0.0, tol=1e-12).fit(X, y)
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"alpha": -1.0}, "alpha"),
        ({"alpha": "1"}, "alpha"),
        ({"alpha": np.nan}, "alpha"),
        ({"fit_intercept": "yes"}, "fit_intercept"),
        ({"max_iter": 0}, "max_iter"),
        ({"tol": -1e-3}, "tol"),
        ({"copy_X": 3.5}, "copy_X"),
        ({"positive": None}, "positive"),
        ({"random_state": "seed"}, "random_state"),
        ({"selection": "alphabetic"}, "selection"),
        ({"l1_ratio": 1.5}, "l1_ratio"),
        ({"precompute": "yes"}, "precompute"),
        ({"solver": "simplex"}, "solver"),
    ],
    ids=lambda value: "" if isinstance(value, str) else repr(value),
)
def test_invalid_parameters(name, params, word, data):
    cls = getattr(ours, name)
    if word not in inspect.signature(cls).parameters:
        pytest.skip(f"{name} has no {word}")
    model = cls().set_params(**params)
    try:
        getattr(theirs, name)().set_params(**params).fit(*data)
    except ValueError:
        with pytest.raises(ValueError, match=word):
            model.fit(*data)
    else:
        model.fit(*data)


@pytest.mark.parametrize("name", CLASSES)
def test_a_subclass_may_have_more_parameters(name, data):
    base = getattr(ours, name)

    class Named(base):
        _parameter_constraints: ClassVar = {**base._parameter_constraints, "label": [str]}

        def __init__(self, alpha=0.5, label=""):
            super().__init__(alpha=alpha)
            self.label = label

    expected = base(alpha=0.5).fit(*data).coef_
    np.testing.assert_array_equal(clone(Named()).fit(*data).coef_, expected)
    with pytest.raises(ValueError, match="'label' parameter of Named"):
        Named(label=3).fit(*data)


@pytest.mark.parametrize("name", CLASSES)
def test_validation_of_parameters_can_be_switched_off(name, data):
    with sklearn.config_context(skip_parameter_validation=True):
        getattr(ours, name)(copy_X="no").fit(*data)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("argument", ["X", "y", "sample_weight"])
def test_arrays_that_are_not_finite(name, argument, data, weight):
    arrays = {"X": data[0].copy(), "y": data[1].copy(), "sample_weight": weight.copy()}
    arrays[argument].flat[3] = np.nan
    with pytest.raises(ValueError, match=rf"{argument}.*NaN"):
        getattr(ours, name)().fit(**arrays)


@pytest.mark.parametrize("name", CLASSES)
def test_other_invalid_arrays(name, data, weight):
    X, y = data
    model = getattr(ours, name)()
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(X, y[:-1])
    with pytest.raises(ValueError, match="1D array or scalar"):
        model.fit(X, y, sample_weight=np.ones((40, 1)))
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(X, y, sample_weight=-weight)
    with pytest.raises(ValueError, match="Complex"):
        model.fit(X + 1j, y)
    with pytest.raises(ValueError, match="0 sample"):
        model.fit(X[:0], y[:0])
    with pytest.raises(ValueError, match="2D array"):
        model.fit(X[:, 0], y)
    with pytest.raises(NotFittedError):
        getattr(ours, name)().predict(X)
    with pytest.raises(ValueError, match="7 features"):
        model.fit(X, y).predict(X[:, :5])
    hidden = np.ma.array(X, mask=X > 1)
    for call in (
        lambda: model.fit(hidden, y),
        lambda: model.fit(X, y).predict(hidden),
        lambda: ours.lasso_path(hidden, y),
    ):
        with pytest.raises(ValueError, match="X has masked entries"):
            call()
    with pytest.raises(ValueError, match="y has masked entries"):
        model.fit(X, np.ma.array(y, mask=y > 1))
    with pytest.raises(ValueError, match="sample_weight has masked entries"):
        model.fit(X, y, sample_weight=np.ma.array(weight, mask=weight > 1))
    with pytest.raises(TypeError, match="sample_weight must hold numbers"):
        model.fit(X, y, sample_weight="balanced")
    np.testing.assert_array_equal(model.fit(np.ma.array(X), y).coef_, model.fit(X, y).coef_)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("name", CLASSES)
def test_damaged_sparse_matrices_are_refused(name, form, data):
    X, y = data
    model = getattr(ours, name)().fit(X, y)
    damaged = scipy.sparse.coo_array(X).asformat(form, copy=True)
    (damaged.col if form == "coo" else damaged.indices)[3] = 10**8
    for call in (
        lambda: model.predict(damaged),
        lambda: ours.lasso_path(damaged, y),
        lambda: model.fit(damaged, y),
    ):
        with pytest.raises(ValueError, match="X is a damaged sparse matrix"):
            call()


@pytest.mark.parametrize(
    "X", [np.eye(5, 2, dtype=int), np.eye(5, 2, dtype=bool), np.eye(5, 2).tolist()], ids=type
)
def test_check_input_false_does_not_truncate(X):
    y = [1.5, 0.5, 0.0, 0.0, 0.0]
    expected = ours.Lasso(alpha=0.01).fit(np.asarray(X, dtype=float), np.array(y))
    model = ours.Lasso(alpha=0.01).fit(X, y, check_input=False)
    assert model.coef_.dtype == np.float64
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    coefs = ours.lasso_path(X, y, alphas=[0.01], check_input=False)[1]
    assert coefs.dtype == np.float64
    assert coefs[0, 0] > 1


@pytest.mark.parametrize("name", CLASSES)
def test_inputs_are_left_alone(name, data, weight):
    arrays = [data[0], data[1], weight]
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    getattr(ours, name)(copy_X=False).fit(arrays[0], arrays[1], sample_weight=arrays[2])
    for array, saved in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, saved)


@pytest.mark.parametrize("name", CLASSES)
def test_coef_is_the_users(name, data):
    model = getattr(ours, name)(alpha=0.1).fit(*data)
    saved = model.result_.coef.copy()
    model.coef_[:] = 0
    np.testing.assert_array_equal(model.result_.coef, saved)
    assert np.ptp(model.predict(data[0])) == 0


@pytest.mark.parametrize("name", CLASSES)
def test_copies_and_pickles(name, data):
    model = getattr(ours, name)(alpha=0.1).fit(*data)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copied.predict(data[0]), model.predict(data[0]))
        assert copied.result_.status is model.result_.status
    fresh = clone(model)
    assert not hasattr(fresh, "coef_")
    assert fresh.get_params() == model.get_params()


@pytest.mark.parametrize("name", CLASSES)
def test_model_selection(name, data):
    X, y = data
    grid = {f"{name.lower()}__alpha": np.geomspace(1e-3, 10, 5)}
    searches = []
    for source in (ours, theirs):
        pipeline = make_pipeline(StandardScaler(), getattr(source, name)())
        pipeline.steps[1][1].set_params(tol=1e-10)
        searches.append(GridSearchCV(pipeline, grid, cv=4).fit(X, y))
    assert searches[0].best_params_ == searches[1].best_params_
    assert searches[0].best_score_ == pytest.approx(searches[1].best_score_, rel=1e-5)
    several = MultiOutputRegressor(getattr(ours, name)()).fit(X, np.column_stack([y, -y]))
    assert several.predict(X).shape == (40, 2)


def test_select_from_model_knows_the_lasso(data):
    chosen = SelectFromModel(ours.Lasso(alpha=0.3)).fit(*data).get_support()
    expected = SelectFromModel(theirs.Lasso(alpha=0.3)).fit(*data).get_support()
    np.testing.assert_array_equal(chosen, expected)


@pytest.mark.parametrize("name", CLASSES)
def test_metadata_routing(name, data, weight):
    X, y = data
    estimator = getattr(ours, name)(alpha=0.1)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = clone(estimator).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, asking).fit(X, y, sample_weight=weight)
        with pytest.raises(TypeError, match="check_input"):
            asking.set_fit_request(check_input=True)
        scores = cross_validate(
            asking.set_score_request(sample_weight=True), X, y, params={"sample_weight": weight}
        )
    direct = clone(estimator).fit(StandardScaler().fit_transform(X), y, sample_weight=weight)
    np.testing.assert_array_equal(pipeline[-1].coef_, direct.coef_)
    assert len(scores["test_score"]) == 5


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("name", CLASSES)
def test_feature_names(name, library, data):
    frames = pytest.importorskip(library)
    X, y = data
    names = list("abcdefg")
    frame = frames.DataFrame({name: X[:, j] for j, name in enumerate(names)})
    if not hasattr(getattr(theirs, name)().fit(frame, y), "feature_names_in_"):
        pytest.skip(f"this scikit-learn does not read the names of this {library}")
    model = getattr(ours, name)(alpha=0.1).fit(frame, frames.Series(y))
    assert model.feature_names_in_.tolist() == names
    assert model.n_features_in_ == 7
    expected = getattr(ours, name)(alpha=0.1).fit(X, y).coef_
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[names[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    assert not hasattr(model.fit(X, y), "feature_names_in_")


def test_sparse_coef(data):
    X, y = data
    for Y in (y, np.column_stack([y, -y])):
        model = ours.Lasso(alpha=0.3).fit(X, Y)
        reference = theirs.Lasso(alpha=0.3).fit(X, Y)
        assert type(model.sparse_coef_) is type(reference.sparse_coef_)
        assert model.sparse_coef_.shape == reference.sparse_coef_.shape
        np.testing.assert_array_equal(model.sparse_coef_.toarray(), np.atleast_2d(model.coef_))


def test_warm_start(data):
    X, y = data
    model = ours.ElasticNet(alpha=1e-3, warm_start=True, tol=1e-10).fit(X, y)
    cold = model.coef_.copy()
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, cold, rtol=1e-6)
    with pytest.raises(ValueError, match="warm_start"):
        model.fit(X[:, :5], y)
    model = ours.ElasticNet(alpha=1e-3, warm_start=True, tol=1e-10)
    model.fit(X, np.column_stack([-y, y])).fit(X, np.column_stack([y, -y]))
    np.testing.assert_allclose(model.coef_[0], cold, rtol=1e-5, atol=1e-8)


def test_parameters_without_influence(data):
    X, y = data
    plain = ours.ElasticNet(alpha=0.1).fit(X, y).coef_
    for params in (
        {"precompute": True},
        {"copy_X": False},
        {"selection": "random", "random_state": 0},
        {"random_state": np.random.RandomState(1)},
        {"max_iter": None},
    ):
        np.testing.assert_array_equal(ours.ElasticNet(alpha=0.1, **params).fit(X, y).coef_, plain)
    np.testing.assert_array_equal(
        ours.ElasticNet(alpha=0.1).fit(X, y, check_input=False).coef_, plain
    )
    np.testing.assert_array_equal(
        ours.Ridge(copy_X=False, random_state=3).fit(X, y).coef_, ours.Ridge().fit(X, y).coef_
    )


def test_zero_tolerance_is_accepted(data):
    with pytest.warns(ConvergenceWarning, match="Rounding"):
        model = ours.Lasso(alpha=0.1, tol=0.0).fit(*data)
    np.testing.assert_allclose(model.coef_, ours.Lasso(alpha=0.1, tol=1e-12).fit(*data).coef_)


def test_a_given_gram_matrix_is_checked(data, weight):
    X, y = data
    plain = ours.Lasso(alpha=0.1).fit(X, y)
    centred = X - X.mean(axis=0)
    given = ours.Lasso(alpha=0.1, precompute=centred.T @ centred).fit(centred, y)
    np.testing.assert_allclose(given.coef_, plain.coef_, rtol=1e-9)
    with pytest.raises(ValueError, match=r"precompute.*validation"):
        ours.Lasso(alpha=0.1, precompute=2 * centred.T @ centred).fit(centred, y)
    with pytest.raises(ValueError, match=r"precompute.*shape"):
        ours.Lasso(alpha=0.1, precompute=np.eye(3)).fit(centred, y)
    with pytest.raises(ValueError, match=r"precompute.*validation"):
        ours.Lasso(alpha=0.1, precompute=np.full((7, 7), np.nan)).fit(centred, y)
    with pytest.raises(ValueError, match="precompute is not a regular array"):
        ours.Lasso(alpha=0.1, precompute=[[1.0], [1.0, 2.0]]).fit(centred, y)
    with pytest.warns(UserWarning, match="not centred"):
        ours.Lasso(alpha=0.1, precompute=X.T @ X).fit(X, y)
    centred = X - np.average(X, axis=0, weights=weight)
    gram = (centred.T * weight * (len(y) / weight.sum())) @ centred
    ours.Lasso(alpha=0.1, precompute=gram).fit(centred, y, sample_weight=weight)
    ours.Lasso(alpha=0.1, precompute=np.eye(7)).fit(scipy.sparse.csc_array(X), y)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("solver", RIDGE_SOLVERS)
def test_ridge_solvers(solver, fit_intercept, sparse, data, weight):
    X, y = data
    model = ours.Ridge(0.7, solver=solver, fit_intercept=fit_intercept, tol=1e-9, max_iter=50_000)
    stored = scipy.sparse.csr_array(X) if sparse else X
    if sparse and solver == "svd":
        with pytest.raises(ValueError, match="'svd' does not support sparse"):
            model.fit(stored, y)
        return
    model.fit(stored, y, sample_weight=weight)
    reference = theirs.Ridge(0.7, solver="svd", fit_intercept=fit_intercept)
    reference.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-6, atol=1e-8)
    assert model.solver_ == solver
    if solver in ("lsqr", "sag", "saga"):
        assert model.n_iter_.shape == (1,)
        assert model.n_iter_[0] >= 1
    else:
        assert model.n_iter_ is None


@pytest.mark.parametrize("solver", ["auto", "lsqr", "sparse_cg", "sag", "saga"])
def test_tol_of_ridge_is_a_relative_error_of_the_coefficients(solver, data):
    X, y = data
    exact = ours.Ridge(0.7, solver="svd").fit(X, y).coef_
    model = ours.Ridge(0.7, solver=solver, tol=1e-5).fit(X, y)
    assert model.result_.tolerance == pytest.approx(1e-10 * model.result_.null_objective)
    assert np.linalg.norm(model.coef_ - exact) <= 1e-4 * np.linalg.norm(exact)


@pytest.mark.parametrize("solver", ["auto", "svd", "cholesky"])
def test_tol_does_not_spoil_a_direct_method(solver, data):
    exact = ours.Ridge(0.7, solver="svd").fit(*data).coef_
    for tol in (0, 1.0, 1e300):
        model = ours.Ridge(0.7, solver=solver, tol=tol).fit(*data)
        np.testing.assert_allclose(model.coef_, exact, rtol=1e-7)


def test_ridge_solver_combinations(data):
    X, y = data
    with pytest.raises(ValueError, match="positive"):
        ours.Ridge(solver="lbfgs").fit(X, y)
    for solver in RIDGE_SOLVERS:
        with pytest.raises(ValueError, match="does not support positive"):
            ours.Ridge(solver=solver, positive=True).fit(X, y)
    assert ours.Ridge(positive=True).fit(X, y).solver_ == "lbfgs"
    assert ours.Ridge(solver="lbfgs", positive=True).fit(X, y).n_iter_ is None
    assert ours.Ridge().fit(X, y).solver_ in ("cholesky", "svd")


@pytest.mark.parametrize("positive", [False, True])
def test_ridge_with_a_penalty_for_each_target(positive, data):
    X, y = data
    Y = np.column_stack([y, y, X[:, 0]])
    alphas = [2.0, 0.1, 2.0]
    model = ours.Ridge(alpha=alphas, positive=positive).fit(X, Y)
    for k, alpha in enumerate(alphas):
        alone = ours.Ridge(alpha=alpha, positive=positive).fit(X, Y[:, k])
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(model.intercept_[k], alone.intercept_, rtol=1e-7)
    assert [result.alpha for result in model.result_] == [0.1 / 40, 2.0 / 40]
    assert ours.Ridge(alpha=np.array([1.0])).fit(X, y).coef_.shape == (7,)
    with pytest.raises(ValueError, match=r"2 penalties.*3 targets"):
        ours.Ridge(alpha=[1.0, 2.0]).fit(X, Y)
    with pytest.raises(ValueError, match=r"alpha must be >= 0.*-2\.0"):
        ours.Ridge(alpha=[1.0, -2.0, 1.0]).fit(X, Y)
    with pytest.raises(TypeError, match="alpha must hold numbers"):
        ours.Ridge(alpha=["a", "b", "c"]).fit(X, Y)
    iterative = ours.Ridge(alpha=alphas, solver="lsqr").fit(X, Y)
    assert iterative.n_iter_.shape == (3,)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", PATHS)
def test_paths_are_scikit_learns(name, sparse, data):
    X, y = data
    X, y = X - X.mean(axis=0), y - y.mean()
    stored = scipy.sparse.csr_array(X) if sparse else X
    alphas, coefs, gaps, iterations = getattr(ours, name)(
        stored, y, n_alphas=12, eps=1e-2, tol=1e-12, return_n_iter=True
    )
    grid, expected, _ = getattr(theirs, name)(
        X, y, eps=1e-2, alphas=alphas, tol=1e-14, max_iter=10_000
    )
    np.testing.assert_allclose(alphas, grid)
    np.testing.assert_allclose(coefs, expected, atol=1e-5)
    assert alphas[0] == pytest.approx(np.abs(X.T @ y).max() / 40 / (0.5 if "enet" in name else 1))
    assert alphas[-1] == pytest.approx(1e-2 * alphas[0])
    assert coefs.shape == (7, 12)
    assert gaps.shape == (12,)
    assert len(iterations) == 12
    assert isinstance(iterations, list)
    assert (gaps <= 1e-12 * np.mean(y**2)).all()


@pytest.mark.parametrize("name", PATHS)
def test_path_arguments(name, data, weight):
    X, y = data
    path = getattr(ours, name)
    assert len(path(X, y)[0]) == 100
    assert len(path(X, y, alphas=3)[0]) == len(path(X, y, n_alphas=3)[0]) == 3
    alphas, coefs, _ = path(X.astype(np.float32), y, alphas=[0.1, 1.0, 0.5])
    assert alphas.tolist() == [1.0, 0.5, 0.1]
    assert coefs.dtype == np.float32
    assert path(X, y, positive=True, alphas=5)[1].min() >= 0
    assert path(X, y[:, None], alphas=[0.1])[1].shape == (1, 7, 1)
    near = path(X, y, alphas=[0.1], coef_init=np.ones(7), tol=1e-12)[1]
    np.testing.assert_allclose(near, path(X, y, alphas=[0.1], tol=1e-12)[1], atol=1e-7)
    same = path(
        X,
        y,
        alphas=[0.1],
        precompute=X.T @ X,
        Xy=X.T @ y,
        check_input=False,
        selection="random",
        random_state=0,
        do_screening=False,
        verbose=2,
        tol=1e-12,
    )[1]
    np.testing.assert_allclose(same, near, atol=1e-7)
    weighted = path(X, y, alphas=[0.1], sample_weight=weight, tol=1e-12)[1][:, 0]
    ratio = 1.0 if name == "lasso_path" else 0.5
    single = ours.ElasticNet(alpha=0.1, l1_ratio=ratio, fit_intercept=False, tol=1e-12)
    np.testing.assert_allclose(weighted, single.fit(X, y, sample_weight=weight).coef_, atol=1e-7)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"fit_intercept": True}, "Unexpected parameters in params.*fit_intercept"),
        ({"eps": 0.0}, "eps"),
        ({"eps": 1.0}, "eps"),
        ({"alphas": 0}, "alphas"),
        ({"alphas": [0.1, -0.1]}, "alpha"),
        ({"tol": -1.0}, "tol"),
        ({"selection": "none"}, "selection"),
        ({"precompute": "yes"}, "precompute"),
        ({"precompute": np.eye(7)}, "validation"),
        ({"coef_init": np.zeros(3)}, r"coef_init has shape \(3,\), but \(7,\)"),
        ({"coef_init": np.full(7, np.nan)}, "coef_init contains NaN"),
        ({"Xy": np.zeros(3)}, r"Xy has shape \(3,\), but \(7,\)"),
        ({"sample_weight": np.nan}, "sample_weight"),
    ],
)
def test_invalid_path_arguments(name, arguments, word, data):
    with pytest.raises(ValueError, match=word):
        getattr(ours, name)(*data, **arguments)


@pytest.mark.parametrize("name", PATHS)
def test_a_path_names_what_is_wrong(name, data):
    X, y = data
    path = getattr(ours, name)
    with pytest.raises(ValueError, match="X contains NaN"):
        path(np.where(X > 1, np.nan, X), y)
    with pytest.raises(ValueError, match="y contains NaN"):
        path(X, np.where(y > 1, np.nan, y))
    with pytest.raises(TypeError, match="alphas must hold numbers"):
        path(X, y, alphas=["a", "b"])
    with pytest.raises(ValueError, match="non-finite"):
        path(X.astype(np.float32), 1e60 * y, alphas=[0.1])
    with pytest.raises(ValueError, match=r"Unexpected parameters.*l1_ratio"):
        ours.lasso_path(X, y, l1_ratio=0.5)


def test_paths_of_several_targets_are_refused_where_scikit_learn_ties_them(data):
    X, y = data
    Y = np.column_stack([y, -y])
    with pytest.raises(ValueError, match=r"multi-task.*solve_path"):
        ours.lasso_path(X, Y)
    with pytest.raises(ValueError, match="positive"):
        ours.enet_path(X, Y, positive=True)
    with pytest.raises(ValueError, match="l1_ratio=0"):
        ours.enet_path(X, y, l1_ratio=0.0)
    _, coefs, gaps = ours.enet_path(X, Y, l1_ratio=0.0, alphas=[1.0, 0.1], tol=1e-12)
    assert gaps.shape == (2,)
    for k, alpha in enumerate([1.0, 0.1]):
        expected = theirs.Ridge(alpha=alpha * len(y), fit_intercept=False).fit(X, Y).coef_
        np.testing.assert_allclose(coefs[:, :, k], expected, rtol=1e-6, atol=1e-8)


def test_estimators_carry_their_path():
    assert ours.Lasso.path is ours.ElasticNet.path is ours.enet_path
    assert issubclass(ours.Lasso, ours.ElasticNet)
    assert fastreg.Lasso is ours.Lasso
    assert fastreg.enet_path is ours.enet_path


@pytest.mark.parametrize("module", ["_elastic_net", "_path", "_ridge"])
def test_examples(module):
    outcome = doctest.testmod(importlib.import_module(f"fastreg.estimators.{module}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("solver", ["auto", "svd", "cholesky", "lsqr", "saga"])
@pytest.mark.parametrize("n_targets", [3, 12])
def test_one_strength_for_each_target(solver, n_targets, positive, monkeypatch):
    """X is prepared and decomposed once for all of them."""
    from fastreg import api

    if positive and solver != "auto":
        return
    X, y = regression(60, 7, seed=4)
    rng = np.random.default_rng(5)
    Y = y[:, None] + 3 * rng.standard_normal((60, n_targets))
    alphas = np.round(np.logspace(2, -2, n_targets), 6)
    alphas[1], alphas[2] = alphas[0], 0.0
    weight = rng.uniform(0.5, 2, 60)
    prepared = []

    def prepare(*args, **model):
        prepared.append(args)
        return problem_of(*args, **model)

    problem_of = api.prepare
    monkeypatch.setattr(api, "prepare", prepare)
    parameters = {"solver": solver, "positive": positive, "tol": 1e-8}
    model = ours.Ridge(alpha=alphas, **parameters).fit(X, Y, weight)
    assert len(prepared) == 1
    assert [r.alpha * weight.sum() for r in model.result_] == pytest.approx(np.unique(alphas))
    assert [len(r.coef) for r in model.result_][-1] == 2
    if solver != "auto":
        assert model.solver_ == ours.Ridge(alpha=1.0, **parameters).fit(X, Y, weight).solver_
    for k in range(n_targets):
        alone = ours.Ridge(alpha=alphas[k], **parameters).fit(X, Y[:, k], weight)
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(model.intercept_[k], alone.intercept_, rtol=1e-6, atol=1e-7)
