"""ElasticNet and Lasso with scikit-learn's interface."""

import sys
from numbers import Integral, Real
from types import NoneType
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.metadata_routing import UNUSED

from fastreg.api import solve
from fastreg.estimators._base import (
    LinearRegressor,
    check_gram,
    check_weight,
    is_floating,
    settings_for,
    single_response,
    tol_for,
    warn_unless_converged,
)
from fastreg.estimators._compat import (
    Interval,
    StrOptions,
    as_sparse_output,
)
from fastreg.estimators._path import enet_path

__all__ = ["ElasticNet", "Lasso"]


class ElasticNet(LinearRegressor):
    """1/(2 S) sum_i s_i (y_i - b - x_i'w)^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|_2^2).

    The elastic net, minimised over the coefficients w and the intercept b; s is `sample_weight`
    and S its sum (s = 1 and S = n_samples without weights). A drop-in replacement for
    :class:`sklearn.linear_model.ElasticNet`. For a target with several columns each column is a
    problem of its own, and all of them share the work on `X`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, at least 0. With 0 it is least squares, of minimum norm if the
        columns of `X` are dependent; unlike scikit-learn's solver this one has no trouble with it.
    l1_ratio : float, default=0.5
        Share of the L1 penalty, from 0 (L2 alone) to 1 (L1 alone).
    fit_intercept : bool, default=True
        Whether to fit b; it is not penalised.
    precompute : bool or array-like of shape (n_features, n_features), default=False
        Accepted for compatibility, without influence: the solver decides itself whether a Gram
        matrix pays. A matrix is compared with `X` at a few entries.
    max_iter : int or None, default=1000
        Largest number of outer iterations, and of sweeps of coordinate descent in each of them;
        None leaves it to the solver.
    copy_X : bool, default=True
        Accepted for compatibility, without influence: `X` is never changed.
    tol : float, default=1e-4
        The fit ends when the duality gap is at most `tol` times sum_i s_i y_i^2 / S, with y
        centred if an intercept is fitted. This is twice `tol` in the unit of
        :func:`fastreg.solve`.
    warm_start : bool, default=False
        Whether ``fit`` starts from the present ``coef_``. The solution does not depend on it.
    positive : bool, default=False
        Whether the coefficients are kept at or above 0.
    random_state : int, RandomState instance or None, default=None
        Accepted for compatibility, without influence: the solver is deterministic.
    selection : {'cyclic', 'random'}, default='cyclic'
        Accepted for compatibility, without influence: the solver chooses its own order.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, in the precision of `X`.
    sparse_coef_ : sparse matrix of shape (1, n_features) or (n_targets, n_features)
        The coefficients as a sparse matrix.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept; 0.0 if `fit_intercept` is False.
    n_iter_ : int or list of int
        Number of sweeps (or of steps of a method that makes none), for each target.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Duality gap at the solution, in the unit of the formula above.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in ``fit``, if all of them are strings.
    result_ : fastreg.Result
        The whole result, in double precision: status, duality gap, certified zeros and more.

    See Also
    --------
    Lasso : The same with ``l1_ratio=1``.
    Ridge : L2 penalty alone, in the scaling of scikit-learn's Ridge.
    enet_path : Solutions for a whole grid of alphas.
    fastreg.solve : The solver, with penalty factors, bounds, offset and standardisation.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import ElasticNet
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> y = np.array([3.0, -3.0, 0.1, -0.1])
    >>> model = ElasticNet(alpha=0.5, l1_ratio=0.8, tol=1e-12).fit(X, y)
    >>> model.coef_.round(4)
    array([1.8333, 0.    ])
    >>> bool(model.dual_gap_ < 1e-11)
    True
    """

    # check_input saves time and is no metadata: a pipeline cannot ask for it.
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"check_input": UNUSED}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "precompute": ["boolean", "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "copy_X": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "positive": ["boolean"],
        "random_state": ["random_state"],
        "selection": [StrOptions({"cyclic", "random"})],
    }
    _plain: ClassVar[dict[str, tuple[type, Any, Any]]] = {
        "alpha": (float, 0.0, sys.float_info.max),
        "l1_ratio": (float, 0.0, 1.0),
        "fit_intercept": (bool, False, True),
        "precompute": (bool, False, True),
        "max_iter": (int, 1, sys.maxsize),
        "copy_X": (bool, False, True),
        "tol": (float, 0.0, sys.float_info.max),
        "warm_start": (bool, False, True),
        "positive": (bool, False, True),
        "random_state": (NoneType, None, None),
        "selection": (str, "cyclic", "cyclic"),
    }

    path = staticmethod(enet_path)

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        l1_ratio: Any = 0.5,
        fit_intercept: Any = True,
        precompute: Any = False,
        max_iter: Any = 1000,
        copy_X: Any = True,
        tol: Any = 1e-4,
        warm_start: Any = False,
        positive: Any = False,
        random_state: Any = None,
        selection: Any = "cyclic",
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.copy_X = copy_X
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> Self:
        """Minimise the objective of the class for `X` and `y`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 and float64 in any memory order are used without a copy.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights, at least 0; a float is the weight of every sample. Only ratios matter.
        check_input : bool, default=True
            False skips scikit-learn's checks of `X` and `y` if both are float32 or float64 arrays
            (or sparse matrices); the solver's own checks remain.

        Returns
        -------
        ElasticNet or Lasso
            The fitted estimator itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an array is not valid, or the coefficients are not finite.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the duality gap did not reach its tolerance.
        """
        self._check_parameters()
        if check_input or not is_floating(X, y):
            X, y = self._check_arrays(X, y)
        sample_weight = check_weight(sample_weight, X)
        if not isinstance(self.precompute, (bool, np.bool_)):
            check_gram(self.precompute, X, self.fit_intercept, sample_weight)
        result = solve(
            X,
            single_response(y),
            float(self.alpha),
            l1_ratio=float(self.l1_ratio),
            fit_intercept=bool(self.fit_intercept),
            sample_weight=sample_weight,
            positive=bool(self.positive),
            warm_start=getattr(self, "coef_", None) if self.warm_start else None,
            settings=settings_for(float(self.tol), self.max_iter),
        )
        self._store([(result, None)], X, y)
        # A closed form makes no sweep, a step of the working set makes many.
        n_iter = np.maximum(result.n_sweeps, result.n_iter)
        self.n_iter_ = n_iter.tolist()
        self.dual_gap_ = np.asarray(result.duality_gap, dtype=X.dtype)[()]
        warn_unless_converged(result, "Objective", tol_for=tol_for, max_iter=self.max_iter)
        return self

    @property
    def sparse_coef_(self) -> Any:
        """``coef_`` as a sparse matrix of shape (n_targets, n_features)."""
        return as_sparse_output(np.atleast_2d(self.coef_))


class Lasso(ElasticNet):
    """1/(2 S) sum_i s_i (y_i - b - x_i'w)^2 + alpha |w|_1.

    The lasso, minimised over the coefficients w and the intercept b; s is `sample_weight` and S
    its sum (s = 1 and S = n_samples without weights). A drop-in replacement for
    :class:`sklearn.linear_model.Lasso`. For a target with several columns each column is a
    problem of its own, and all of them share the work on `X`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, at least 0. With 0 it is least squares, of minimum norm if the
        columns of `X` are dependent; unlike scikit-learn's solver this one has no trouble with it.
    fit_intercept : bool, default=True
        Whether to fit b; it is not penalised.
    precompute : bool or array-like of shape (n_features, n_features), default=False
        Accepted for compatibility, without influence: the solver decides itself whether a Gram
        matrix pays. A matrix is compared with `X` at a few entries.
    copy_X : bool, default=True
        Accepted for compatibility, without influence: `X` is never changed.
    max_iter : int or None, default=1000
        Largest number of outer iterations, and of sweeps of coordinate descent in each of them;
        None leaves it to the solver.
    tol : float, default=1e-4
        The fit ends when the duality gap is at most `tol` times sum_i s_i y_i^2 / S, with y
        centred if an intercept is fitted. This is twice `tol` in the unit of
        :func:`fastreg.solve`.
    warm_start : bool, default=False
        Whether ``fit`` starts from the present ``coef_``. The solution does not depend on it.
    positive : bool, default=False
        Whether the coefficients are kept at or above 0.
    random_state : int, RandomState instance or None, default=None
        Accepted for compatibility, without influence: the solver is deterministic.
    selection : {'cyclic', 'random'}, default='cyclic'
        Accepted for compatibility, without influence: the solver chooses its own order.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, in the precision of `X`.
    sparse_coef_ : sparse matrix of shape (1, n_features) or (n_targets, n_features)
        The coefficients as a sparse matrix.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept; 0.0 if `fit_intercept` is False.
    n_iter_ : int or list of int
        Number of sweeps (or of steps of a method that makes none), for each target.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Duality gap at the solution, in the unit of the formula above.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in ``fit``, if all of them are strings.
    result_ : fastreg.Result
        The whole result, in double precision: status, duality gap, certified zeros and more.

    See Also
    --------
    ElasticNet : The same with an additional L2 penalty.
    lasso_path : Solutions for a whole grid of alphas.
    fastreg.solve : The solver, with penalty factors, bounds, offset and standardisation.

    Examples
    --------
    >>> from fastreg.estimators import Lasso
    >>> model = Lasso(alpha=0.1).fit([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]], [0.0, 1.0, 2.0])
    >>> model.coef_.round(4)
    array([0.85, 0.  ])
    >>> model.result_.certified_zero
    array([False,  True])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        name: constraints
        for name, constraints in ElasticNet._parameter_constraints.items()
        if name != "l1_ratio"
    }

    path = staticmethod(enet_path)

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: Any = True,
        precompute: Any = False,
        copy_X: Any = True,
        max_iter: Any = 1000,
        tol: Any = 1e-4,
        warm_start: Any = False,
        positive: Any = False,
        random_state: Any = None,
        selection: Any = "cyclic",
    ) -> None:
        super().__init__(
            alpha=alpha,
            l1_ratio=1.0,
            fit_intercept=fit_intercept,
            precompute=precompute,
            copy_X=copy_X,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            positive=positive,
            random_state=random_state,
            selection=selection,
        )
