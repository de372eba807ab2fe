"""Ridge with scikit-learn's interface."""

import math
import sys
from functools import lru_cache
from numbers import Integral, Real
from types import NoneType
from typing import Any, ClassVar, Self

import numpy as np

from fastreg.api import solve, solve_each
from fastreg.estimators._base import (
    LinearRegressor,
    check_weight,
    single_response,
    warn_unless_converged,
)
from fastreg.estimators._compat import Interval, StrOptions
from fastreg.inputs import as_float, is_sparse
from fastreg.settings import Settings

__all__ = ["Ridge"]

# scikit-learn's solver -> fastreg's method.
_METHODS = {
    "auto": "auto",
    "svd": "svd",
    "cholesky": "cholesky",
    "lsqr": "krylov",
    "sparse_cg": "krylov",
    "sag": "gradient",
    "saga": "gradient",
    "lbfgs": "auto",
}
# fastreg's method -> the name that scikit-learn has for its like.
_SOLVERS = {
    "svd": "svd",
    "krylov": "sparse_cg",
    "gradient": "saga",
    "gradient, then krylov": "sparse_cg",
}
# Smallest and largest tol that are passed on. Rounding allows an iterative method no less than
# 1e-12. 'auto' may end up with a direct method, which is neither to be refined for nothing nor to
# be cut short.
_TOL_RANGES = {"iterative": (1e-12, 1.0), "auto": (1e-8, 1e-4)}


class Ridge(LinearRegressor):
    """sum_i s_i (y_i - b - x_i'w)^2 + alpha |w|_2^2.

    Ridge regression, minimised over the coefficients w and the intercept b; s is `sample_weight`
    (1 without). A drop-in replacement for :class:`sklearn.linear_model.Ridge`, in its scaling:
    `alpha` here is the sum of the weights times the alpha of :func:`fastreg.solve`.

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default=1.0
        Strength of the penalty, at least 0; an array has one for each target. With 0 it is least
        squares, of minimum norm if the columns of `X` are dependent.
    fit_intercept : bool, default=True
        Whether to fit b; it is not penalised.
    copy_X : bool, default=True
        Accepted for compatibility, without influence: `X` is never changed.
    max_iter : int or None, default=None
        Largest number of iterations of an iterative method; None leaves it to the method.
    tol : float, default=1e-4
        Precision of the coefficients that an iterative method is asked for. The duality gap is
        quadratic in it: the fit ends at a gap of `tol` squared in the unit of
        :func:`fastreg.solve`, which is relative to the objective at w = 0. The direct methods
        ('svd', 'cholesky') have the precision of the arithmetic whatever `tol` is; 'auto', which
        prefers them for dense `X`, takes a `tol` above 1e-4 for 1e-4.
    solver : {'auto', 'svd', 'cholesky', 'lsqr', 'sparse_cg', 'sag', 'saga', 'lbfgs'}, \
            default='auto'
        Which of fastreg's methods is used:

        - 'auto': chosen by shape, storage and condition of the data;
        - 'svd': singular value decomposition (dense `X` only), the safest if columns are dependent;
        - 'cholesky': normal equations on the shorter side; falls back to 'svd' when they are
          ill-conditioned;
        - 'lsqr' and 'sparse_cg': one Krylov method, which only multiplies by `X`;
        - 'sag' and 'saga': accelerated gradient steps; deterministic, unlike their namesakes;
        - 'lbfgs': coordinate descent with bounds; only with `positive`, as in scikit-learn.
    positive : bool, default=False
        Whether the coefficients are kept at or above 0; needs solver 'auto' or 'lbfgs'.
    random_state : int, RandomState instance or None, default=None
        Accepted for compatibility, without influence: all methods are deterministic.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, in the precision of `X`.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept; 0.0 if `fit_intercept` is False.
    n_iter_ : None or ndarray of shape (n_targets,)
        Number of iterations for each target; None unless the solver is 'sag', 'saga' or 'lsqr'.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in ``fit``, if all of them are strings.
    solver_ : str
        The solver that was used, by scikit-learn's name.
    result_ : fastreg.Result or list of fastreg.Result
        The whole result, in the scaling of :func:`fastreg.solve`; a list, one for each distinct
        strength in increasing order, if `alpha` differs between the targets.

    See Also
    --------
    ElasticNet : With an L1 penalty.
    fastreg.ridge_path : A whole grid of alphas with leave-one-out errors, from one decomposition.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import Ridge
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> y = np.array([3.0, -3.0, 1.0, -1.0])
    >>> model = Ridge(alpha=2.0).fit(X, y)
    >>> model.coef_.round(4)
    array([1.5, 0.5])
    >>> Ridge(alpha=[2.0, 0.0]).fit(X, np.c_[y, y]).coef_.round(4)
    array([[1.5, 0.5],
           [3. , 1. ]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like"],
        "fit_intercept": ["boolean"],
        "copy_X": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions(set(_METHODS))],
        "positive": ["boolean"],
        "random_state": ["random_state"],
    }
    _plain: ClassVar[dict[str, tuple[type, Any, Any]]] = {
        "alpha": (float, 0.0, sys.float_info.max),
        "fit_intercept": (bool, False, True),
        "copy_X": (bool, False, True),
        "max_iter": (NoneType, None, None),
        "tol": (float, 0.0, sys.float_info.max),
        "solver": (str, "auto", "auto"),
        "positive": (bool, False, True),
        "random_state": (NoneType, None, None),
    }

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: Any = True,
        copy_X: Any = True,
        max_iter: Any = None,
        tol: Any = 1e-4,
        solver: Any = "auto",
        positive: Any = False,
        random_state: Any = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Minimise the objective of the class for `X` and `y`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 and float64 in any memory order are used without a copy.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights, at least 0; a float is the weight of every sample.

        Returns
        -------
        Ridge
            The fitted estimator itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an array is not valid, or parameters contradict each other.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If an iterative method did not reach its tolerance.
        """
        self._check_parameters()
        X, y = self._check_arrays(X, y)
        self._check_solver(X)
        sample_weight = check_weight(sample_weight, X)
        total = float(X.shape[0] if sample_weight is None else sample_weight.sum())
        target = single_response(y)
        alphas = self._penalties(target) / (total if total > 0.0 else 1.0)
        model = {
            "l1_ratio": 0.0,
            "fit_intercept": bool(self.fit_intercept),
            "sample_weight": sample_weight,
            "positive": bool(self.positive),
        }
        results: list[tuple[Any, Any]]
        if len(alphas) == 1:
            settings = _settings(self.solver, float(self.tol), self.max_iter)
            results = [(solve(X, target, float(alphas[0]), settings=settings, **model), None)]
        else:
            options = _options(self.solver, float(self.tol), self.max_iter)
            results = solve_each(X, target, alphas, options=options, **model)
        self._store(results, X, y)
        self._store_solver(results, target)
        return self

    def _check_solver(self, X: Any) -> None:
        """Raise ValueError if solver, positive and the storage of X do not go together."""
        if self.positive and self.solver not in ("auto", "lbfgs"):
            raise ValueError(
                f"solver='{self.solver}' does not support positive=True: "
                "use 'auto' or 'lbfgs', or positive=False."
            )
        if self.solver == "lbfgs" and not self.positive:
            raise ValueError(
                "solver='lbfgs' is for positive=True: use another solver, 'auto' for example."
            )
        if self.solver == "svd" and is_sparse(X):
            raise ValueError(
                "solver='svd' does not support sparse X: use 'auto', 'cholesky', 'lsqr', "
                "'sparse_cg', 'sag' or 'saga'."
            )

    def _penalties(self, target: Any) -> Any:
        """Return the strength of each response, or one if it is the same for all."""
        if type(self.alpha) is float and 0.0 <= self.alpha < math.inf:
            return np.array([self.alpha])
        alphas = as_float("alpha", self.alpha, ndim=(0, 1, 2)).ravel()
        n_targets = 1 if target.ndim == 1 else target.shape[1]
        if alphas.size not in (1, n_targets):
            raise ValueError(
                f"alpha holds {alphas.size} penalties, but y has {n_targets} targets: "
                "give a single number or one for each target."
            )
        if not (np.isfinite(alphas) & (alphas >= 0.0)).all():
            raise ValueError(f"alpha must be >= 0 and finite for each target, got {self.alpha!r}.")
        return alphas[:1] if (alphas == alphas[0]).all() else alphas

    def _store_solver(self, results: list[tuple[Any, Any]], target: Any) -> None:
        """Write solver_ and n_iter_, and warn if a result has not converged."""
        method = results[0][0].method
        if self.solver == "auto" or (self.solver != "lbfgs" and method != _METHODS[self.solver]):
            self.solver_ = "lbfgs" if self.positive else _SOLVERS.get(method, "cholesky")
        else:
            self.solver_ = self.solver
        self.n_iter_ = None
        if self.solver in ("sag", "saga", "lsqr"):
            self.n_iter_ = np.empty(1 if target.ndim == 1 else target.shape[1], dtype=np.int32)
            for result, responses in results:
                self.n_iter_[slice(None) if responses is None else responses] = result.n_iter
        worst = max(
            (result for result, _ in results),
            key=lambda result: (not result.converged, np.max(result.relative_gap)),
        )
        warn_unless_converged(
            worst,
            f"The {self.solver_} solver",
            tol_for=math.sqrt,
            max_iter=self.max_iter,
            stacklevel=4,
        )

    def __sklearn_tags__(self) -> Any:
        """Scikit-learn's tags: sparse X, unless the solver is 'svd'."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.solver != "svd"
        return tags


def _options(solver: str, tol: float, max_iter: Any) -> dict[str, Any]:
    """Return the settings of the solver; a direct method has its own precision."""
    options: dict[str, Any] = {"method": _METHODS[solver]}
    if solver not in ("svd", "cholesky"):
        low, high = _TOL_RANGES["auto" if solver == "auto" else "iterative"]
        options["tol"] = min(max(tol, low), high) ** 2
        if max_iter is not None:
            options["max_iter"] = int(max_iter)
    return options


@lru_cache(maxsize=64)
def _settings(solver: str, tol: float, max_iter: Any) -> Settings:
    """Return the same as settings, which cost as much to check as a tiny fit."""
    return Settings(**_options(solver, tol, max_iter))
