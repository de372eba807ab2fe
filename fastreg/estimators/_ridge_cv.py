"""RidgeCV with scikit-learn's interface."""

import math
import warnings
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import check_scalar
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from fastreg.api import solve_path
from fastreg.estimators._base import (
    LinearRegressor,
    check_weight,
    in_precision_of,
)
from fastreg.estimators._compat import Interval, StrOptions, raise_for_params, routing_enabled
from fastreg.estimators._ridge import Ridge
from fastreg.inputs import is_sparse
from fastreg.result import Status
from fastreg.ridge_grid import RidgePathResult, ridge_path

__all__ = ["RidgeCV"]

# Entries up to which sparse X is made dense, so that singular values can help out at tiny alphas.
_SMALL = 100_000
# Alphas up to which a factor for each is cheaper than a decomposition, and the rank from which.
_FEW, _LARGE = 7, 200


class _Predictions(BaseEstimator):
    """An estimator for scorers, whose samples are predictions already."""

    def fit(self, X: Any, y: Any) -> Self:  # pragma: no cover - asked for, not called
        return self

    def predict(self, X: Any) -> Any:
        return X


class RidgeCV(LinearRegressor):
    """sum_i s_i (y_i - b - x_i'w)^2 + alpha |w|_2^2.

    Ridge regression with alpha chosen by cross-validation, exact leave-one-out by default; s is
    `sample_weight`. A drop-in replacement for :class:`sklearn.linear_model.RidgeCV`, in its
    scaling.

    Parameters
    ----------
    alphas : float or array-like of shape (n_alphas,), default=(0.1, 1.0, 10.0)
        Strengths of the penalty; positive, with `cv` also 0.
    fit_intercept : bool, default=True
        Whether to fit b; it is not penalised.
    scoring : str, callable or None, default=None
        A scorer of scikit-learn. None is the negative mean squared error of leave-one-out, or R2
        with `cv`.
    cv : int, splitter or iterable of (train, test), default=None
        None is leave-one-out, for all alphas from one decomposition.
    gcv_mode : {'auto', 'svd', 'eigen'} or None, default=None
        Accepted for compatibility, without influence: eigenvalues of the smaller Gram matrix are
        used, or singular values where these would lose half of the digits.
    store_cv_results : bool, default=False
        Whether to keep `cv_results_`; only for leave-one-out.
    alpha_per_target : bool, default=False
        Whether each target gets an alpha of its own; only for leave-one-out.
    selection : {'min', '1se'}, default='min'
        'min' takes the alpha of the best score, '1se' the largest alpha whose score is within one
        standard error of it: over the folds, or over the squared errors of leave-one-out, which
        therefore needs ``scoring=None``.

    Attributes
    ----------
    cv_results_ : ndarray of shape (n_samples, n_alphas) or (n_samples, n_targets, n_alphas)
        Squared errors of leave-one-out, times the weights; with `scoring`, predictions. Only if
        `store_cv_results` is True.
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, in the precision of `X`.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept; 0.0 if `fit_intercept` is False.
    alpha_ : float or ndarray of shape (n_targets,)
        The alpha that was chosen, one for each target if `alpha_per_target` is True.
    best_score_ : float or ndarray of shape (n_targets,)
        Its score.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in ``fit``, if all of them are strings.
    result_ : fastreg.RidgePathResult or fastreg.Result
        The whole path, in the scaling of :func:`fastreg.ridge_path` (decreasing alphas, divided by
        the sum of the weights), its leave-one-out errors only if `store_cv_results` is True; with
        `cv`, the fit to all rows.

    See Also
    --------
    Ridge : For a single alpha.
    fastreg.ridge_path : The path, with generalised cross-validation and degrees of freedom.
    fastreg.validate : For other scores, groups, and ``l1_ratio`` in the grid.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import RidgeCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((50, 5))
    >>> y = X[:, 0] + rng.standard_normal(50)
    >>> RidgeCV(alphas=[0.1, 1.0, 10.0]).fit(X, y).alpha_
    10.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alphas": ["array-like", Interval(Real, 0, None, closed="neither")],
        "fit_intercept": ["boolean"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "cv": ["cv_object"],
        "gcv_mode": [StrOptions({"auto", "svd", "eigen"}), None],
        "store_cv_results": ["boolean"],
        "alpha_per_target": ["boolean"],
        "selection": [StrOptions({"min", "1se"})],
    }

    alpha_: Any
    best_score_: Any
    cv_results_: Any

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: Any = True,
        scoring: Any = None,
        cv: Any = None,
        gcv_mode: Any = None,
        store_cv_results: Any = False,
        alpha_per_target: Any = False,
        selection: Any = "min",
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.gcv_mode = gcv_mode
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target
        self.selection = selection

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose alpha by cross-validation, and fit it to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights, at least 0; a float is the weight of every sample.
        **params : dict
            For the scorer and the splitter, if metadata routing is enabled.

        Returns
        -------
        RidgeCV
            The fitted estimator itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an array is not valid, or parameters contradict each other.
        """
        raise_for_params(params, self, "fit")
        self._check_parameters()
        plain = self.scoring is None and (self.cv is None or sample_weight is None)
        scorer = None if plain and not routing_enabled() else self._get_scorer()
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        if self.cv is None:
            self._fit_leaving_one_out(X, y, sample_weight, scorer, params)
        else:
            self._fit_by_folds(X, y, sample_weight, scorer, params)
        return self

    def _check_parameters(self) -> None:
        plain = (
            type(self.alphas) in (tuple, np.ndarray)
            and self.scoring is self.gcv_mode is None
            and (self.cv is None or (type(self.cv) is int and self.cv > 1))
            and type(self.fit_intercept) is bool
            and self.store_cv_results is self.alpha_per_target is False
            and self.selection == "min"
        )
        if not plain:
            super()._check_parameters()

    def _alphas(self, boundaries: str) -> Any:
        """Return the strengths in the given order."""
        alphas = np.asarray(self.alphas)
        plain = alphas.dtype == np.float64 and alphas.ndim == 1 and alphas.size > 0
        if plain and 0.0 < alphas.min() and alphas.max() < math.inf:
            return alphas
        each = [("alphas", alphas.reshape(-1)[0])] if alphas.size == 1 else []
        if alphas.size > 1:
            each = [(f"alphas[{i}]", alpha) for i, alpha in enumerate(self.alphas)]
        for name, alpha in each:
            check_scalar(alpha, name, Real, min_val=0.0, include_boundaries=boundaries)
        return alphas.reshape(-1)

    def _fit_leaving_one_out(
        self, X: Any, y: Any, sample_weight: Any, scorer: Any, params: dict[str, Any]
    ) -> None:
        """Choose by leave-one-out errors, which a path has for all alphas."""
        if self.selection == "1se" and self.scoring is not None:
            raise ValueError("selection='1se' without cv needs scoring=None")
        alphas = self._alphas("neither").astype(np.float64)
        score_params = {} if sample_weight is None else {"sample_weight": sample_weight}
        if routing_enabled():
            score_params = process_routing(self, "fit", **params).scorer.score
        X, y = self._check_arrays(X, y, ("csr", "csc", "coo"))
        if is_sparse(X):
            if self.gcv_mode == "svd":
                warnings.warn(
                    "The 'svd' mode is not supported for sparse X: 'eigen' takes its place. "
                    "scikit-learn will refuse it from version 1.11 on.",
                    FutureWarning,
                    stacklevel=3,
                )
            if X.shape[0] * X.shape[1] <= _SMALL:
                X = X.toarray()
        weight = check_weight(sample_weight, X)
        total = float(X.shape[0] if weight is None else weight.sum())
        path = ridge_path(
            X,
            y,
            alphas / (total if total > 0.0 else 1.0),
            fit_intercept=bool(self.fit_intercept),
            sample_weight=weight,
        )
        order = np.argsort(-alphas, kind="stable")  # of the path
        assert path.loo_errors is not None
        errors = np.empty_like(path.loo_errors)
        errors[order] = path.loo_errors
        if not self.store_cv_results:
            path = replace(path, loo_errors=path.loo_errors[:0])
        margin = 0.0
        target = np.asarray(y, dtype=np.float64)
        if self.scoring is None:
            cells = np.square(errors)
            if weight is not None:
                cells *= weight if errors.ndim == 2 else weight[:, None]
            alone = self.alpha_per_target and errors.ndim == 3
            rows = cells if alone or errors.ndim == 2 else cells.mean(axis=2)
            scores = -rows.mean(axis=1)
            margin = _standard_error(rows) if self.selection == "1se" else 0.0
        else:
            cells = target - errors
            scores = self._scores(cells, target, scorer, score_params)
        self._store_choice(X, y, path, alphas, order, scores, margin)
        if self.store_cv_results:
            self.cv_results_ = in_precision_of(X, np.moveaxis(cells, 0, -1))

    def _scores(self, predicted: Any, y: Any, scorer: Any, params: dict[str, Any]) -> Any:
        """Return the scores of predictions, (n_alphas,) or (n_alphas, n_targets)."""
        judge = _Predictions()
        if not (self.alpha_per_target and y.ndim == 2):
            return np.array([scorer(judge, one, y, **params) for one in predicted])
        columns = range(y.shape[1])
        return np.array(
            [[scorer(judge, one[:, j], y[:, j], **params) for j in columns] for one in predicted]
        )

    def _fit_by_folds(
        self, X: Any, y: Any, sample_weight: Any, scorer: Any, params: dict[str, Any]
    ) -> None:
        """Choose by the scores of held-out rows, a path for each fold."""
        for name in ("store_cv_results", "alpha_per_target"):
            if getattr(self, name):
                raise ValueError(f"cv!=None and {name}=True are incompatible")
        alphas = self._alphas("left").astype(np.float64)
        score_params: dict[str, Any] = {}
        split_params: dict[str, Any] = {}
        if routing_enabled():
            routed = process_routing(self, "fit", **params)
            score_params, split_params = routed.scorer.score, routed.splitter.split
        elif sample_weight is not None and getattr(scorer, "_accept_sample_weight", bool)():
            score_params = {"sample_weight": sample_weight}  # as GridSearchCV does
        X, y = self._check_arrays(X, y, ("csr",))
        weight = check_weight(sample_weight, X)
        scores = []
        for train, test in check_cv(self.cv).split(X, y, **split_params):
            own = {name: _safe_rows(value, test, X) for name, value in score_params.items()}
            models = self._models(
                X[train], y[train], None if weight is None else weight[train], alphas
            )
            X_test, y_test = X[test], y[test]
            if scorer is None:
                scores.append(_scores_of(models, X_test, y_test))
            else:
                scores.append([scorer(model, X_test, y_test, **own) for model in models])
        each = np.array(scores, dtype=np.float64).T
        means = each.mean(axis=1)
        best = self._choose(alphas, means, _standard_error(each))
        model = Ridge(alphas[best], fit_intercept=self.fit_intercept).fit(X, y, weight)
        self.alpha_, self.best_score_ = float(alphas[best]), means[best]
        self.coef_, self.intercept_, self.result_ = model.coef_, model.intercept_, model.result_

    def _models(self, X: Any, y: Any, weight: Any, alphas: Any) -> list[Ridge]:
        """Return a fitted model for each alpha; the work on X is shared by all but 0."""
        models = [Ridge(alpha, fit_intercept=self.fit_intercept) for alpha in alphas]
        positive = np.flatnonzero(alphas > 0)
        for i in np.flatnonzero(alphas == 0):
            models[i].fit(X, y, weight)
        if len(positive) == 0:
            return models
        total = float(X.shape[0] if weight is None else weight.sum())
        path = _path_of(
            X,
            y,
            alphas[positive] / (total if total > 0.0 else 1.0),
            fit_intercept=bool(self.fit_intercept),
            sample_weight=weight,
        )
        for k, i in enumerate(positive[np.argsort(-alphas[positive], kind="stable")]):
            coef = path.coef[k].reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else path.coef[k]
            models[i].coef_ = in_precision_of(X, coef)
            models[i].intercept_ = in_precision_of(X, path.intercept[k])[()]
            models[i].n_features_in_ = X.shape[1]
        return models

    def _choose(self, alphas: Any, scores: Any, margin: Any) -> Any:
        """Return the place of the alpha that is chosen, of each target.

        `margin` is the standard error of each score. Of equal scores the first in the user's order
        is taken.
        """
        known = np.where(np.isnan(scores), -np.inf, scores)
        best = np.argmax(known, axis=0)
        if self.selection == "min":
            return best
        margin = np.nan_to_num(np.take_along_axis(margin, np.expand_dims(best, 0), axis=0))
        within = known >= known.max(axis=0) - margin
        size = alphas if known.ndim == 1 else alphas[:, None]
        return np.argmax(np.where(within, size, -np.inf), axis=0)

    def _store_choice(
        self,
        X: Any,
        y: Any,
        path: RidgePathResult,
        alphas: Any,
        order: Any,
        scores: Any,
        margin: Any,
    ) -> None:
        """Write the choice."""
        best = self._choose(alphas, scores, margin)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        if scores.ndim == 1:
            self.alpha_, self.best_score_ = float(alphas[best]), scores[best]
            coef, intercept = path.coef[place[best]], path.intercept[place[best]]
        else:
            columns = np.arange(scores.shape[1])
            self.alpha_, self.best_score_ = alphas[best], scores[best, columns]
            coef = path.coef[place[best], columns]
            intercept = path.intercept[place[best], columns]
        if y.ndim == 2 and y.shape[1] == 1:
            coef = coef.reshape(-1)
        self.coef_ = in_precision_of(X, coef)
        self.intercept_ = in_precision_of(X, intercept)[()] if self.fit_intercept else 0.0
        self.result_ = path

    def _get_scorer(self) -> Any:
        """Return the scorer; it is weighted where metadata are routed and none was chosen."""
        if routing_enabled() and self.scoring is None:
            return get_scorer("r2").set_score_request(sample_weight=True)
        return check_scoring(estimator=self, scoring=self.scoring, allow_none=True)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing: what ``fit`` takes beyond its own goes to scorer and splitter.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                scorer=self._get_scorer(),
                method_mapping=MethodMapping().add(caller="fit", callee="score"),
            )
            .add(
                splitter=self.cv,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )


def _path_of(X: Any, y: Any, alphas: Any, **model: Any) -> Any:
    """Return a ridge path: by a factor for each alpha where these are few, or a decomposition."""
    n, p = X.shape
    if len(alphas) <= _FEW and min(n, p) >= _LARGE and p <= 2 * n and not is_sparse(X):
        path = solve_path(X, y, alphas=alphas, l1_ratio=0.0, **model)
        if np.all(path.status == Status.CONVERGED):
            return path
    return ridge_path(X, y, alphas, leave_one_out=False, **model)


def _scores_of(models: list[Ridge], X: Any, y: Any) -> Any:
    """R2 of models of the same features, by scikit-learn where it is more than a quotient."""
    if y.ndim == 1 and len(y) > 1:
        target = np.asarray(y, dtype=np.float64)
        total = float(np.sum((target - target.mean()) ** 2))
        if total > 0.0:
            coef = np.stack([model.coef_ for model in models], axis=1)
            errors = target[:, None] - (X @ coef + [model.intercept_ for model in models])
            return 1.0 - np.sum(errors**2, axis=0) / total
    return [float(model.score(X, y)) for model in models]


def _standard_error(values: Any) -> Any:
    """Return the standard error of means over the second axis."""
    if values.shape[1] < 2:
        return np.full(values.shape[:1] + values.shape[2:], np.nan)
    return values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])


def _safe_rows(value: Any, rows: Any, X: Any) -> Any:
    """Return the rows of what has as many as X, anything else as it is."""
    same = hasattr(value, "shape") or isinstance(value, (list, tuple))
    if same and len(value) == X.shape[0]:
        return np.asarray(value)[rows]
    return value
