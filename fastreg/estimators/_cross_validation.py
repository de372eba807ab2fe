"""LassoCV and ElasticNetCV with scikit-learn's interface."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np

from fastreg.estimators._compat import Interval
from fastreg.estimators._path import enet_path, lasso_path
from fastreg.estimators._path_cv import PathCV
from fastreg.validation.result import ValidationResult

__all__ = ["ElasticNetCV", "LassoCV"]


class ElasticNetCV(PathCV):
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
        All about the folds. As in scikit-learn, each fold has the same weight in the mean.

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
        **PathCV._parameter_constraints,
    }
    _plain: ClassVar[dict[str, tuple[type, Any, Any]]] = {
        "l1_ratio": (float, 0.0, 1.0),
        **PathCV._plain,
    }

    path = staticmethod(enet_path)

    l1_ratio_: float

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

    def _ratios(self) -> Any:
        return np.atleast_1d(np.asarray(self.l1_ratio, dtype=np.float64))

    def _store_choice(self, found: ValidationResult) -> None:
        super()._store_choice(found)
        self.l1_ratio_ = found.l1_ratio


class LassoCV(PathCV):
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

    def _ratios(self) -> Any:
        return np.ones(1)
