"""What the three estimators share: checks of parameters and arrays, storing a result, predict.

Design. An estimator is a thin class: constructor arguments, docstring, and one call of
:func:`fastreg.solve` with its arguments in fastreg's scaling. Everything else is here. Small fits
spend more time in checks than in the solver, so a check has two lanes: a short one that recognises
parameters and arrays that are beyond doubt, and scikit-learn's own machinery for everything else,
which also words all the errors.
"""

import warnings
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fastreg.estimators._compat import skips_parameter_validation
from fastreg.result import Status

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))

_SMALL = 100_000  # entries up to which checks cost more than their arithmetic

_REMEDIES = {
    "MAX_ITER": "Increase max_iter (now {max_iter}), raise tol, or increase alpha.",
    "TIME_LIMIT": "Raise tol, or increase alpha.",
    "STALLED": "Rounding errors hide the rest: raise tol, or bring the features to one scale.",
    "NUMERICAL_ERROR": "Numbers overflowed: bring features and target to a moderate scale.",
}


class LinearRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """y = X coef_ + intercept_: the base of ElasticNet, Lasso and Ridge; not to be used itself."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}
    # Parameter -> (type, smallest, largest) of values that are valid beyond doubt.
    _plain: ClassVar[dict[str, tuple[type, Any, Any]]] = {}

    coef_: Any
    intercept_: Any
    result_: Any

    def predict(self, X: Any) -> Any:
        """X coef_' + intercept_.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predicted values, in the precision of `X` when the model was fitted in it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If ``fit`` has not been called.
        ValueError
            If `X` has other features than those seen in ``fit``, or is not finite.
        """
        fitted = self.__dict__
        if not (
            is_plain(X)
            and X.size <= _SMALL
            and X.ndim == 2
            and X.shape[1] == fitted.get("n_features_in_")
            and "coef_" in fitted
            and "feature_names_in_" not in fitted
            and np.isfinite(X).all()
        ):
            check_is_fitted(self)
            X = validate_data(self, X, accept_sparse=("csr", "csc", "coo"), reset=False)
        return X @ self.coef_.T + self.intercept_

    def _check_parameters(self) -> None:
        """Raise scikit-learn's InvalidParameterError for a parameter that is out of its domain."""
        parameters = self.__dict__
        for name, (kind, low, high) in self._plain.items():
            value = parameters.get(name, self)
            if type(value) is not kind or (value is not None and not low <= value <= high):
                break
        else:
            return
        if not skips_parameter_validation():
            self._validate_params()

    def _check_arrays(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Check X and y, make X floating; writes n_features_in_ and feature_names_in_."""
        plain = is_plain(X) and is_plain(y) and X.ndim == 2 and X.shape[0] == y.shape[0]
        if plain and np.isfinite(y).all():  # the solver names entries of X that are not finite
            self.n_features_in_ = X.shape[1]
            self.__dict__.pop("feature_names_in_", None)
            return X, y
        checked: tuple[Any, Any] = validate_data(
            self,
            X,
            y,
            accept_sparse=("csc", "csr"),
            dtype=FLOATS,
            multi_output=True,
            y_numeric=True,
        )
        return checked

    def _store(self, results: list[tuple[Any, Any]], X: Any, y: Any) -> None:
        """Write coef_ and intercept_, in scikit-learn's shapes and the dtype of X, and result_.

        `results` holds a result and the responses that it is for: None for all of them, or their
        indices.
        """
        with np.errstate(over="ignore"):
            if len(results) == 1:
                coef = np.array(results[0][0].coef, dtype=X.dtype)
                intercept = np.array(results[0][0].intercept, dtype=X.dtype)
            else:
                coef = np.empty((y.shape[1], X.shape[1]), dtype=X.dtype)
                intercept = np.empty(y.shape[1], dtype=X.dtype)
                for result, responses in results:
                    coef[responses] = result.coef
                    intercept[responses] = result.intercept
        overflow = any(result.status == Status.NUMERICAL_ERROR for result, _ in results)
        if overflow or not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            raise ValueError(
                f"The fit has non-finite parameter values in the precision of X ({X.dtype}). "
                "Bring the features and the target to a moderate scale."
            )
        self.coef_ = coef
        if not self.fit_intercept:
            self.intercept_ = 0.0
        else:
            self.intercept_ = intercept[()] if y.ndim == 1 else intercept.reshape(-1)
        self.result_ = results[0][0] if len(results) == 1 else [result for result, _ in results]

    def __sklearn_tags__(self) -> Any:
        """Scikit-learn's tags: several responses and sparse X are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def is_plain(array: Any) -> bool:
    """Whether `array` is a non-empty floating ndarray of one or two dimensions."""
    return (
        type(array) is np.ndarray
        and array.dtype in FLOATS
        and 1 <= array.ndim <= 2
        and array.size > 0
    )


def options_for(tol: Any, max_iter: Any) -> dict[str, Any]:
    """Return fastreg's options for scikit-learn's `tol` and `max_iter` of ElasticNet.

    scikit-learn bounds the gap by tol |y|^2 / n, fastreg by its tol |y|^2 / (2 n), and wants it
    positive. `max_iter` bounds both the outer iterations and the sweeps in each of them.
    """
    options = {"tol": max(2.0 * float(tol), np.finfo(np.float64).tiny)}
    if max_iter is not None:
        options["max_iter"] = options["max_sweeps"] = int(max_iter)
    return options


def single_response(y: Any) -> Any:
    """`y` with one column as a vector; anything else as it is."""
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def check_gram(gram: Any, X: Any, fit_intercept: bool, sample_weight: Any = None) -> None:
    """Compare three entries of a Gram matrix that the user computed with those of X.

    fastreg decides by itself when a Gram matrix pays and computes its own, so `gram` changes no
    result; the check finds a user's mistake as scikit-learn does.

    Parameters
    ----------
    gram : array-like of shape (n_features, n_features)
    X : ndarray or sparse matrix of shape (n_samples, n_features)
    fit_intercept : bool
    sample_weight : ndarray of shape (n_samples,), default=None

    Raises
    ------
    ValueError
        If the shape is wrong, or an entry differs by more than rounding.
    """
    n_samples, n_features = X.shape
    gram = np.asarray(gram)
    if gram.shape != (n_features, n_features):
        raise ValueError(
            f"precompute is a matrix of shape {gram.shape}, but the Gram matrix of X has shape "
            f"{(n_features, n_features)}."
        )
    if scipy.sparse.issparse(X):
        return
    if fit_intercept and not np.allclose(np.average(X, axis=0, weights=sample_weight), 0.0):
        warnings.warn(
            "precompute holds the Gram matrix of X, which is not centred, but an intercept is "
            "fitted: the given matrix is not used. Centre X first, or leave precompute alone.",
            UserWarning,
            stacklevel=3,
        )
        return
    j, k = n_features // 2, n_features - 1
    pair = np.asarray(X[:, [j, k]], dtype=np.float64)
    weight = 1.0 if sample_weight is None else sample_weight * (n_samples / sample_weight.sum())
    expected = pair.T @ (pair.T * weight).T
    given = gram[np.ix_([j, k], [j, k])]
    coarse = np.float32 in (X.dtype, gram.dtype)
    norms = np.sqrt(expected.diagonal())
    if np.any(np.abs(expected - given) > (1e-4 if coarse else 1e-7) * np.outer(norms, norms)):
        raise ValueError(
            "The Gram matrix given as precompute did not pass validation: its entries of the "
            f"features {j} and {k} are {given.ravel()}, and those of X are {expected.ravel()}."
        )


def warn_unless_converged(result: Any, max_iter: Any, subject: str, stacklevel: int = 3) -> None:
    """Warn once, with gap, tolerance and remedy, if a result (or any of several) is not converged.

    Parameters
    ----------
    result : Result or PathResult
    max_iter : int or None
        The user's limit, for the message.
    subject : str
        What did not converge: "Objective" or "lsqr solver".
    stacklevel : int, default=3
        Of the caller's caller.
    """
    status = np.asarray(result.status)
    worst = status.min()
    if worst > 0:
        return
    gap, tolerance = np.broadcast_arrays(result.duality_gap, result.tolerance)
    excess = np.argmax(gap / np.maximum(tolerance, np.finfo(float).tiny))
    name = Status(int(worst)).name
    warnings.warn(
        f"{subject} did not converge ({name.lower().replace('_', ' ')}): the duality gap "
        f"{gap.flat[excess]:.3e} is above the tolerance {tolerance.flat[excess]:.3e}. "
        + _REMEDIES.get(name, "Raise tol.").format(max_iter=max_iter),
        ConvergenceWarning,
        stacklevel=stacklevel,
    )
