"""RidgeCV with scikit-learn's interface."""

import warnings
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.model_selection import GridSearchCV
from sklearn.utils import check_scalar
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import validate_data

from fastreg.estimators._base import (
    FLOATS,
    LinearRegressor,
    check_weight,
    in_precision_of,
    refuse_unreadable,
)
from fastreg.estimators._compat import Interval, StrOptions, raise_for_params, routing_enabled
from fastreg.estimators._ridge import Ridge
from fastreg.inputs import is_sparse
from fastreg.ridge_grid import RidgePathResult, ridge_path

__all__ = ["RidgeCV"]

# Entries up to which sparse X is made dense, so that singular values can help out at tiny alphas.
_SMALL = 100_000


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
        The whole path with its leave-one-out errors, in the scaling of :func:`fastreg.ridge_path`
        (decreasing alphas, divided by the sum of the weights); with `cv`, the last fit.

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
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.gcv_mode = gcv_mode
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target

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
        scorer = self._get_scorer()
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        if self.cv is None:
            self._fit_leaving_one_out(X, y, sample_weight, scorer, params)
            return self
        for name in ("store_cv_results", "alpha_per_target"):
            if getattr(self, name):
                raise ValueError(f"cv!=None and {name}=True are incompatible")
        model = Ridge(fit_intercept=self.fit_intercept)
        if routing_enabled():
            model.set_fit_request(sample_weight=True)
        grid = {"alpha": self._alphas("left")}
        search = GridSearchCV(model, grid, cv=self.cv, scoring=scorer).fit(X, y, **params)
        best = search.best_estimator_
        self.alpha_, self.best_score_ = best.alpha, search.best_score_
        self.coef_, self.intercept_, self.result_ = best.coef_, best.intercept_, best.result_
        self.n_features_in_ = best.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_
        return self

    def _alphas(self, boundaries: str) -> Any:
        """Return the strengths in the given order."""
        alphas = np.asarray(self.alphas)
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
        alphas = self._alphas("neither").astype(np.float64)
        score_params = {} if sample_weight is None else {"sample_weight": sample_weight}
        if routing_enabled():
            score_params = process_routing(self, "fit", **params).scorer.score
        refuse_unreadable(X=X, y=y)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=("csr", "csc", "coo"),
            dtype=FLOATS,
            multi_output=True,
            y_numeric=True,
        )
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
        errors = np.empty_like(path.loo_errors)
        errors[order] = path.loo_errors
        target = np.asarray(y, dtype=np.float64)
        if self.scoring is None:
            cells = np.square(errors)
            if weight is not None:
                cells *= weight if errors.ndim == 2 else weight[:, None]
            alone = self.alpha_per_target and errors.ndim == 3
            scores = -cells.mean(axis=1 if alone else tuple(range(1, errors.ndim)))
        else:
            cells = target - errors
            scores = self._scores(cells, target, scorer, score_params)
        self._store_choice(X, y, path, alphas, order, scores)
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

    def _store_choice(
        self, X: Any, y: Any, path: RidgePathResult, alphas: Any, order: Any, scores: Any
    ) -> None:
        """Write the choice; of equal scores the first in the user's order."""
        best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=0)
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
