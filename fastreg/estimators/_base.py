"""What the three estimators share: checks of parameters and arrays, storing a result, predict.

Design. An estimator is a thin class: constructor arguments, docstring, and one call of
:func:`fastreg.solve` with its arguments in fastreg's scaling. Everything else is here. Small fits
spend more time in checks than in the solver, so a check has two lanes: a short one that recognises
parameters and arrays that are beyond doubt, and scikit-learn's own machinery for everything else,
which also words all the errors.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fastreg.estimators._compat import check_sample_weight, skips_parameter_validation
from fastreg.inputs import as_float, is_sparse, require_indices
from fastreg.result import Status
from fastreg.settings import Settings

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))

_NEVER_PLAIN: tuple[Any, Any, Any] = (None, None, None)
_SMALL = 100_000  # entries up to which checks cost more than their arithmetic

_REMEDIES = {
    Status.MAX_ITER: "Increase max_iter (now {max_iter}), raise tol to {tol:.1e}, or increase "
    "alpha.",
    Status.STALLED: "Rounding errors hide the rest: raise tol to {tol:.1e}, or bring the features "
    "to one scale.",
    Status.NUMERICAL_ERROR: "Numbers overflowed: bring features and target to a moderate scale.",
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
            refuse_unreadable(X=X)
            X = validate_data(self, X, accept_sparse=("csr", "csc", "coo"), reset=False)
        return X @ self.coef_.T + self.intercept_

    def _check_parameters(self) -> None:
        """Raise scikit-learn's InvalidParameterError for a parameter that is out of its domain."""
        parameters = self.__dict__
        for name in self._parameter_constraints:  # a subclass may have more
            kind, low, high = self._plain.get(name, _NEVER_PLAIN)
            value = parameters.get(name, self)
            if type(value) is not kind or (value is not None and not low <= value <= high):
                break
        else:
            return
        if not skips_parameter_validation():
            self._validate_params()

    def _check_arrays(
        self, X: Any, y: Any, formats: tuple[str, ...] = ("csc", "csr")
    ) -> tuple[Any, Any]:
        """Check X and y, make X floating; writes n_features_in_ and feature_names_in_.

        Sparse X comes in one of the formats.
        """
        plain = is_plain(X) and is_plain(y) and X.ndim == 2 and X.shape[0] == y.shape[0]
        if plain and np.isfinite(y).all():  # the solver names entries of X that are not finite
            self.n_features_in_ = X.shape[1]
            self.__dict__.pop("feature_names_in_", None)
            return X, y
        refuse_unreadable(X=X, y=y)
        checked: tuple[Any, Any] = validate_data(
            self,
            X,
            y,
            accept_sparse=formats,
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
        coef, intercept = results[0][0].coef, results[0][0].intercept
        if len(results) > 1:
            coef, intercept = np.empty((y.shape[1], X.shape[1])), np.empty(y.shape[1])
            for result, responses in results:
                coef[responses] = result.coef
                intercept[responses] = result.intercept
        self.coef_ = in_precision_of(X, coef)
        if not self.fit_intercept:
            self.intercept_ = 0.0
        else:
            intercept = in_precision_of(X, intercept)
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


def is_floating(*arrays: Any) -> bool:
    """Whether all of `arrays` are NumPy arrays or sparse matrices of float32 or float64."""
    return all(
        (isinstance(array, np.ndarray) or is_sparse(array)) and array.dtype in FLOATS
        for array in arrays
    )


def refuse_unreadable(**arrays: Any) -> None:
    """Raise ValueError for what scikit-learn's checks let pass although no number can be read.

    These are masked entries, and sparse matrices whose indices point outside.
    """
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
            raise ValueError(f"{name} has masked entries: fill them in or leave them out.")
        if is_sparse(array) and array.ndim == 2:
            require_indices(array)


def in_precision_of(X: Any, values: Any) -> Any:
    """Return a copy of coefficients in the precision of X; ValueError if they overflow there."""
    if X.dtype == np.float64:
        array = np.array(values, dtype=np.float64)
    else:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype=X.dtype)
    if not np.isfinite(array).all():
        raise ValueError(
            f"The fit has non-finite parameter values in the precision of X ({X.dtype}). "
            "Bring the features and the target to a moderate scale."
        )
    return array


@lru_cache(maxsize=64)
def settings_for(tol: float, max_iter: Any) -> Settings:
    """Return fastreg's settings for scikit-learn's `tol` and `max_iter` of ElasticNet.

    scikit-learn bounds the gap by tol |y|^2 / n, fastreg by its tol |y|^2 / (2 n), and wants it
    positive. `max_iter` bounds both the outer iterations and the sweeps in each of them.
    """
    settings = Settings(tol=max(2.0 * tol, np.finfo(np.float64).tiny))
    if max_iter is None:
        return settings
    return replace(settings, max_iter=int(max_iter), max_sweeps=int(max_iter))


def tol_for(relative_gap: float) -> float:
    """Return scikit-learn's `tol` of ElasticNet that a relative duality gap would satisfy."""
    return relative_gap / 2.0


def single_response(y: Any) -> Any:
    """`y` with one column as a vector; anything else as it is."""
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def check_weight(sample_weight: Any, X: Any) -> Any:
    """Return one weight a sample, or None for None; the solver refuses NaN and what is negative."""
    if sample_weight is None:
        return None
    weight = as_float("sample_weight", sample_weight, ndim=(0, 1, 2))[()]
    return check_sample_weight(weight, X, dtype=np.float64)


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
    given = as_float("precompute", gram, ndim=(2,))
    coarse = np.float32 in (X.dtype, np.asarray(gram).dtype)
    if given.shape != (n_features, n_features):
        raise ValueError(
            f"precompute is a matrix of shape {given.shape}, but the Gram matrix of X has shape "
            f"{(n_features, n_features)}."
        )
    if is_sparse(X):
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
    given = given[np.ix_([j, k], [j, k])]
    norms = np.sqrt(expected.diagonal())
    rounding = (1e-4 if coarse else 1e-7) * np.outer(norms, norms)
    if not np.all(np.abs(expected - given) <= rounding):  # NaN is not
        raise ValueError(
            "The Gram matrix given as precompute did not pass validation: its entries of the "
            f"features {j} and {k} are {given.ravel()}, and those of X are {expected.ravel()}."
        )


def warn_unless_converged(
    result: Any,
    subject: str,
    *,
    tol_for: Callable[[float], float],
    max_iter: Any,
    stacklevel: int = 3,
) -> None:
    """Warn once, with gap, tolerance and remedy, if a result (or any of several) is not converged.

    Parameters
    ----------
    result : Result or PathResult
    subject : str
        What did not converge: "Objective" or "lsqr solver".
    tol_for : callable
        The user's `tol` that a gap relative to the null objective would satisfy.
    max_iter : int or None
        The user's limit, for the message.
    stacklevel : int, default=3
        Of the caller's caller.
    """
    if result.converged:
        return
    gaps, tolerances, relative = map(
        np.ravel, (result.duality_gap, result.tolerance, result.relative_gap)
    )
    k = np.argmax(relative)
    worst = Status(int(np.min(result.status)))
    remedy = _REMEDIES[worst].format(max_iter=max_iter, tol=1.1 * tol_for(float(relative[k])))
    warnings.warn(
        f"{subject} did not converge ({worst.name.lower().replace('_', ' ')}): the duality gap "
        f"{gaps[k]:.3e} is above the tolerance {tolerances[k]:.3e}. {remedy}",
        ConvergenceWarning,
        stacklevel=stacklevel,
    )
