"""What LassoCV and ElasticNetCV have in common: cross-validation over a grid of alphas."""

import os
import sys
import warnings
from abc import abstractmethod
from dataclasses import replace
from numbers import Integral, Number, Real
from types import NoneType
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils import check_scalar, column_or_1d
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from fastreg.estimators._base import (
    LinearRegressor,
    check_gram,
    check_weight,
    settings_for,
    tol_for,
    warn_unless_converged,
)
from fastreg.estimators._compat import Interval, StrOptions, raise_for_params, routing_enabled
from fastreg.validation.folds import Folds, folds_from_pairs, make_folds
from fastreg.validation.result import ValidationResult
from fastreg.validation.run import explore
from fastreg.validation.selection import RULES

__all__ = ["PathCV"]

_DEFAULT = 5  # folds, for cv=None


class PathCV(LinearRegressor):
    """A model whose alpha is chosen by cross-validation, from one path a fold and l1_ratio."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "eps": [Interval(Real, 0, None, closed="neither")],
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "fit_intercept": ["boolean"],
        "precompute": [StrOptions({"auto"}), "array-like", "boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "cv": ["cv_object"],
        "copy_X": ["boolean"],
        "verbose": ["verbose"],
        "n_jobs": [Integral, None],
        "positive": ["boolean"],
        "random_state": ["random_state"],
        "selection": [StrOptions({"cyclic", "random", "min", "1se"})],
        "n_alphas": [Interval(Integral, 1, None, closed="left"), None],
    }
    _plain: ClassVar[dict[str, tuple[type, Any, Any]]] = {
        "eps": (float, sys.float_info.min, 1.0),
        "alphas": (int, 1, sys.maxsize),
        "fit_intercept": (bool, False, True),
        "precompute": (str, "auto", "auto"),
        "max_iter": (int, 1, sys.maxsize),
        "tol": (float, 0.0, sys.float_info.max),
        "cv": (int, 2, sys.maxsize),
        "copy_X": (bool, False, True),
        "verbose": (bool, False, True),
        "n_jobs": (NoneType, None, None),
        "positive": (bool, False, True),
        "random_state": (NoneType, None, None),
        "selection": (str, "cyclic", "cyclic"),
        "n_alphas": (NoneType, None, None),
    }

    alpha_: float
    alphas_: Any
    mse_path_: Any
    validation_: ValidationResult

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose alpha and l1_ratio by cross-validation, and fit them to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 and float64 in any memory order are used without a copy.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights, at least 0, in the fits, the grid and the error of each fold; all folds count
            the same. A float is without influence.
        **params : dict
            For the splitter, if metadata routing is enabled.

        Returns
        -------
        ElasticNetCV or LassoCV
            The fitted estimator itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an array is not valid.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If a duality gap did not reach its tolerance.
        """
        raise_for_params(params, self, "fit")
        self._check_parameters()
        X, y = self._check_arrays(X, y)
        if y.ndim > 1:
            if y.shape[1] > 1:
                raise ValueError(
                    f"y has {y.shape[1]} columns, but {type(self).__name__} takes one target: for "
                    f"multi-task outputs, use sklearn.linear_model.MultiTask{type(self).__name__}."
                )
            y = column_or_1d(y, warn=True)
        if isinstance(sample_weight, Number):
            sample_weight = None
        sample_weight = check_weight(sample_weight, X)
        if not isinstance(self.precompute, (bool, np.bool_, str)):
            check_gram(self.precompute, X, self.fit_intercept, sample_weight)
        ratios = self._ratios()
        settings = settings_for(float(self.tol), self.max_iter)
        found = explore(
            X,
            y,
            **self._grid(ratios, y),
            l1_ratio=ratios,
            folds={"cv": self._folds(X, y, sample_weight, params)},
            scoring="mean_squared_error",
            selection=self.selection if self.selection in RULES else "min",
            refit="point",
            sample_weight=sample_weight,
            offset=None,
            model={
                "fit_intercept": bool(self.fit_intercept),
                "penalty_factor": None,
                "lower": None,
                "upper": None,
                "positive": bool(self.positive),
                "standardize": False,
            },
            settings=replace(settings, n_threads=self._n_threads()),
            weigh_folds=False,
        )
        self._store_choice(found)
        result = found.result
        assert result is not None
        self._store([(result, None)], X, y)
        self.n_iter_ = max(result.n_sweeps, result.n_iter)
        self.dual_gap_ = result.duality_gap
        if found.converged:
            warn_unless_converged(result, "Objective", tol_for=tol_for, max_iter=self.max_iter)
        else:
            warnings.warn(
                f"Objective did not converge in cross-validation. {found.message}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @abstractmethod
    def _ratios(self) -> Any:
        """Return the l1_ratios, an array."""

    def _grid(self, ratios: Any, y: Any) -> dict[str, Any]:
        """Return the alphas, or how to make them."""
        alphas = self.alphas
        if alphas is None:
            alphas = 100 if self.n_alphas is None else self.n_alphas
        if isinstance(alphas, Integral):
            if not ratios.all():
                raise ValueError(
                    "l1_ratio=0 has no automatic grid of alphas (none makes all coefficients 0): "
                    "give alphas as an array."
                )
            if not (y != (y[0] if self.fit_intercept else 0.0)).any():  # nothing to explain
                grid = np.full(int(alphas), np.finfo(np.float64).resolution)
                return {"alphas": grid, "n_alphas": 1, "eps": 0.5}
            if alphas == 1:  # alpha_max, whatever eps is
                return {"alphas": None, "n_alphas": 1, "eps": 0.5}
            if not self.eps < 1.0:
                raise ValueError(f"eps must be < 1 for an automatic grid, got {self.eps}.")
            return {"alphas": None, "n_alphas": int(alphas), "eps": float(self.eps)}
        for i, alpha in enumerate(alphas):
            check_scalar(alpha, f"alphas[{i}]", Real, min_val=0.0, include_boundaries="left")
        return {"alphas": alphas, "n_alphas": 1, "eps": 0.5}

    def _folds(self, X: Any, y: Any, sample_weight: Any, params: dict[str, Any]) -> Folds:
        """Return the folds of scikit-learn's splitter, or those of a number of folds."""
        number = _DEFAULT if self.cv is None else self.cv
        if isinstance(number, Integral) and 2 <= int(number) <= X.shape[0] and not params:
            return make_folds(X, y, cv=int(number))
        splitter = check_cv(self.cv)
        routed: dict[str, Any] = {}
        if routing_enabled():
            routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
            routed = dict(routed.splitter.split)  # type: ignore[attr-defined]
        return folds_from_pairs(splitter.split(X, y, **routed), X.shape[0], overlap=True)

    def _n_threads(self) -> int:
        """Return the number of threads that joblib's `n_jobs` means."""
        if self.n_jobs is None:
            return 1
        if self.n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning: give a number of threads, -1 for all.")
        n_jobs = int(self.n_jobs)
        return n_jobs if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + n_jobs)

    def _store_choice(self, found: ValidationResult) -> None:
        """Write the choice, and what it was made from."""
        self.alpha_ = found.alpha
        automatic = self.alphas is None or isinstance(self.alphas, Integral)
        single = len(found.l1_ratios) == 1 or not automatic
        self.alphas_ = found.alphas[0] if single else found.alphas
        self.mse_path_ = np.squeeze(found.fold_scores)
        self.validation_ = found

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing: what ``fit`` takes beyond its own goes to the splitter.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=check_cv(self.cv),
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )

    def __sklearn_tags__(self) -> Any:
        """Scikit-learn's tags: one response only; sparse X is accepted."""
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = False
        return tags
