"""LassoCV and ElasticNetCV with scikit-learn's interface."""

import os
import sys
import warnings
from numbers import Integral, Number, Real
from types import NoneType
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils import check_scalar, column_or_1d
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from fastreg.api import solve
from fastreg.estimators._base import (
    LinearRegressor,
    check_gram,
    check_weight,
    settings_for,
    tol_for,
    warn_unless_converged,
)
from fastreg.estimators._compat import Interval, StrOptions, raise_for_params, routing_enabled
from fastreg.estimators._path import enet_path, lasso_path
from fastreg.validation.folds import Folds, folds_from_pairs, make_folds
from fastreg.validation.result import ValidationResult
from fastreg.validation.run import validate
from fastreg.validation.scores import average
from fastreg.validation.selection import Curve, select

__all__ = ["ElasticNetCV", "LassoCV"]

_DEFAULT = 5  # folds, for cv=None


class ElasticNetCV(LinearRegressor):
    """1/(2 S) sum_i s_i (y_i - b - x_i'w)^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|_2^2).

    The elastic net with alpha and l1_ratio chosen by cross-validation; s is `sample_weight` and S
    its sum. A drop-in replacement for :class:`sklearn.linear_model.ElasticNetCV`.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the L1 penalty, from 0 (L2 alone, needs an array of `alphas`) to 1 (L1 alone). Of
        a list the one with the best mean is chosen.
    eps : float, default=1e-3
        Smallest alpha over largest alpha of an automatic grid.
    alphas : int or array-like, default=100
        The alphas, or their number on an automatic grid; None means `n_alphas`, or 100.
    fit_intercept : bool, default=True
        Whether to fit b; it is not penalised.
    precompute : 'auto', bool or array-like of shape (n_features, n_features), default='auto'
        Accepted for compatibility, without influence: the solver decides itself whether a Gram
        matrix pays. A matrix is compared with `X` at a few entries.
    max_iter : int, default=1000
        Largest number of outer iterations at an alpha, and of sweeps in each of them.
    tol : float, default=1e-4
        As in :class:`ElasticNet`; for every fit, those of the folds included.
    cv : int, splitter or iterable of (train, test), default=None
        Folds of neighbouring rows (5 for None), a splitter of scikit-learn, or row indices.
    copy_X : bool, default=True
        Accepted for compatibility, without influence: `X` is never changed.
    verbose : bool or int, default=0
        Accepted for compatibility, without influence: nothing is printed.
    n_jobs : int or None, default=None
        Threads over the folds; None is 1, -1 is one for each processor. They change no result.
    positive : bool, default=False
        Whether the coefficients are kept at or above 0.
    random_state : int, RandomState instance or None, default=None
        Accepted for compatibility, without influence: the solver is deterministic.
    selection : {'cyclic', 'random', 'min', '1se'}, default='cyclic'
        The rule that chooses alpha: 'min' takes the smallest mean error, '1se' the largest alpha
        whose mean error is within one standard error of it (see :func:`fastreg.validate`).
        'cyclic' and 'random' are scikit-learn's orders of coordinates, of which this solver makes
        no use; with them the rule is 'min', as it is there.
    n_alphas : int or None, default=None
        Number of alphas of an automatic grid, as scikit-learn before 1.9 spells it.

    Attributes
    ----------
    alpha_ : float
        The alpha that was chosen.
    l1_ratio_ : float
        The l1_ratio that was chosen.
    coef_ : ndarray of shape (n_features,)
        Coefficients of the fit to all rows, in the precision of `X`.
    intercept_ : float
        Intercept; 0.0 if `fit_intercept` is False.
    mse_path_ : ndarray of shape (n_l1_ratio, n_alphas, n_folds)
        Mean squared error of every fold; without the first axis for a single l1_ratio.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratio, n_alphas)
        The grid, decreasing; automatic ones depend on the l1_ratio.
    dual_gap_ : float
        Duality gap of the fit to all rows, in the unit of the formula above.
    n_iter_ : int
        Number of sweeps (or of steps of a method that makes none) of the fit to all rows.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in ``fit``, if all of them are strings.
    result_ : fastreg.Result
        The fit to all rows, in double precision.
    validation_ : fastreg.ValidationResult
        All about the folds. Its mean weighs the folds by their sample weights, whereas the
        estimator, like scikit-learn's, gives each fold the same weight.

    See Also
    --------
    LassoCV : The same with ``l1_ratio=1``.
    fastreg.validate : With groups, labels, time, other scores and all options of the solver.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import ElasticNetCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 5))
    >>> y = 2 * X[:, 0] + rng.standard_normal(100)
    >>> model = ElasticNetCV(l1_ratio=[0.5, 1.0], selection="1se").fit(X, y)
    >>> model.l1_ratio_, np.count_nonzero(model.coef_)
    (1.0, 1)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), "array-like"],
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
        "l1_ratio": (float, 0.0, 1.0),
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

    path = staticmethod(enet_path)

    alpha_: float
    l1_ratio_: float
    alphas_: Any
    mse_path_: Any
    validation_: ValidationResult

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: Any = 1e-3,
        alphas: Any = 100,
        fit_intercept: Any = True,
        precompute: Any = "auto",
        max_iter: Any = 1000,
        tol: Any = 1e-4,
        cv: Any = None,
        copy_X: Any = True,
        verbose: Any = 0,
        n_jobs: Any = None,
        positive: Any = False,
        random_state: Any = None,
        selection: Any = "cyclic",
        n_alphas: Any = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.n_alphas = n_alphas

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
        ratios = np.atleast_1d(np.asarray(getattr(self, "l1_ratio", 1.0), dtype=np.float64))
        model: dict[str, Any] = {
            "fit_intercept": bool(self.fit_intercept),
            "sample_weight": sample_weight,
            "positive": bool(self.positive),
            "settings": settings_for(float(self.tol), self.max_iter),
        }
        found = validate(
            X,
            y,
            l1_ratio=ratios,
            cv=self._folds(X, y, sample_weight, params),
            refit=False,
            n_threads=self._n_threads(),
            **self._grid(ratios, y),
            **model,
        )
        self._choose(found)
        result = solve(X, y, self.alpha_, l1_ratio=self.l1_ratio_, **model)
        self._store([(result, None)], X, y)
        self.n_iter_ = max(result.n_sweeps, result.n_iter)
        self.dual_gap_ = result.duality_gap
        if not hasattr(self, "l1_ratio"):
            del self.l1_ratio_
        if found.converged:
            warn_unless_converged(result, "Objective", tol_for=tol_for, max_iter=self.max_iter)
        else:
            warnings.warn(
                f"Objective did not converge in cross-validation. {found.message}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

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
                return {"alphas": np.full(int(alphas), np.finfo(np.float64).resolution)}
            if alphas == 1:  # alpha_max, whatever eps is
                return {"n_alphas": 1}
            if not self.eps < 1.0:
                raise ValueError(f"eps must be < 1 for an automatic grid, got {self.eps}.")
            return {"n_alphas": int(alphas), "eps": float(self.eps)}
        for i, alpha in enumerate(alphas):
            check_scalar(alpha, f"alphas[{i}]", Real, min_val=0.0, include_boundaries="left")
        return {"alphas": alphas}

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

    def _choose(self, found: ValidationResult) -> None:
        """Write the choice by means over folds of equal weight, and what it was made from."""
        mean, error = average(found.fold_scores, np.ones(found.n_folds))
        curve = Curve(found.alphas[None], mean[None], error[None], found.n_active[None], False)
        rule = self.selection if self.selection in ("min", "1se") else "min"
        _, i, j = select(curve, rule)
        self.alpha_ = float(found.alphas[i, j])
        self.l1_ratio_ = float(found.l1_ratios[i])
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


class LassoCV(ElasticNetCV):
    """1/(2 S) sum_i s_i (y_i - b - x_i'w)^2 + alpha |w|_1.

    The lasso with alpha chosen by cross-validation; s is `sample_weight` and S its sum. A drop-in
    replacement for :class:`sklearn.linear_model.LassoCV`.

    Parameters
    ----------
    eps, alphas, fit_intercept, precompute, max_iter, tol, copy_X, cv, verbose, n_jobs, positive, \
random_state, selection, n_alphas
        As in :class:`ElasticNetCV`; ``selection="1se"`` takes the largest alpha whose mean error is
        within one standard error of the smallest.

    Attributes
    ----------
    alpha_, coef_, intercept_, mse_path_, alphas_, dual_gap_, n_iter_, n_features_in_, \
feature_names_in_, result_, validation_
        As in :class:`ElasticNetCV`; there is no `l1_ratio_`, and `mse_path_` has shape
        (n_alphas, n_folds).

    See Also
    --------
    ElasticNetCV : With an additional L2 penalty.
    fastreg.validate : With groups, labels, time, other scores and all options of the solver.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import LassoCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 5))
    >>> y = 2 * X[:, 0] + rng.standard_normal(100)
    >>> model = LassoCV(selection="1se").fit(X, y)
    >>> model.mse_path_.shape, np.count_nonzero(model.coef_)
    ((100, 5), 1)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        name: constraints
        for name, constraints in ElasticNetCV._parameter_constraints.items()
        if name != "l1_ratio"
    }

    path = staticmethod(lasso_path)

    def __init__(
        self,
        *,
        eps: Any = 1e-3,
        alphas: Any = 100,
        fit_intercept: Any = True,
        precompute: Any = "auto",
        max_iter: Any = 1000,
        tol: Any = 1e-4,
        copy_X: Any = True,
        cv: Any = None,
        verbose: Any = False,
        n_jobs: Any = None,
        positive: Any = False,
        random_state: Any = None,
        selection: Any = "cyclic",
        n_alphas: Any = None,
    ) -> None:
        super().__init__(
            eps=eps,
            alphas=alphas,
            fit_intercept=fit_intercept,
            precompute=precompute,
            max_iter=max_iter,
            tol=tol,
            copy_X=copy_X,
            cv=cv,
            verbose=verbose,
            n_jobs=n_jobs,
            positive=positive,
            random_state=random_state,
            selection=selection,
            n_alphas=n_alphas,
        )
        del self.l1_ratio
