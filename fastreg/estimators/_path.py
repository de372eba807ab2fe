"""enet_path and lasso_path with scikit-learn's interface."""

from numbers import Integral, Real
from typing import Any, Final

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from fastreg.api import solve_path
from fastreg.estimators._base import (
    FLOATS,
    check_gram,
    check_weight,
    in_precision_of,
    is_floating,
    refuse_unreadable,
    settings_for,
    single_response,
    tol_for,
    warn_unless_converged,
)
from fastreg.estimators._compat import (
    Interval,
    StrOptions,
    skips_parameter_validation,
    validate_parameter_constraints,
)
from fastreg.grid import alpha_grid
from fastreg.inputs import as_float

__all__ = ["enet_path", "lasso_path"]

_CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "X": ["array-like", "sparse matrix"],
    "y": ["array-like", "sparse matrix"],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "eps": [Interval(Real, 0, 1, closed="neither")],
    "n_alphas": [Interval(Integral, 1, None, closed="left"), None],
    "alphas": [Interval(Integral, 1, None, closed="left"), "array-like", None],
    "precompute": [StrOptions({"auto"}), "boolean", "array-like"],
    "Xy": ["array-like", None],
    "copy_X": ["boolean"],
    "coef_init": ["array-like", None],
    "verbose": ["verbose"],
    "return_n_iter": ["boolean"],
    "positive": ["boolean"],
    "check_input": ["boolean"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    "random_state": ["random_state"],
    "selection": [StrOptions({"cyclic", "random"})],
    "do_screening": ["boolean"],
}
# What scikit-learn's functions take as **params, and the defaults.
_SOLVER_PARAMETERS: Final[dict[str, Any]] = {
    "check_input": True,
    "sample_weight": None,
    "tol": 1e-4,
    "max_iter": 1000,
    "random_state": None,
    "selection": "cyclic",
    "do_screening": True,
}


def enet_path(
    X: Any,
    y: Any,
    *,
    l1_ratio: float = 0.5,
    eps: float = 1e-3,
    n_alphas: int | None = None,
    alphas: Any = None,
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: bool | int = False,
    return_n_iter: bool = False,
    positive: bool = False,
    check_input: bool = True,
    **params: Any,
) -> tuple[Any, ...]:
    """1/(2 S) sum_i s_i (y_i - x_i'w)^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|_2^2).

    The elastic net for a decreasing sequence of alphas, without an intercept: centre `X` and `y`
    first if you want one (or use :func:`fastreg.solve_path`, which fits it). A drop-in replacement
    for :func:`sklearn.linear_model.enet_path`, except for `y` with several columns, see Raises.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples; float32 and float64 in any memory order are used without a copy.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Target.
    l1_ratio : float, default=0.5
        Share of the L1 penalty, from 0 (L2 alone, needs `alphas`) to 1 (L1 alone).
    eps : float, default=1e-3
        Smallest alpha over largest alpha of an automatic grid, between 0 and 1.
    n_alphas : int, default=None
        Number of alphas of an automatic grid, as scikit-learn before 1.9 spells it.
    alphas : int or array-like, default=None
        The alphas, or their number on an automatic grid; None means `n_alphas`, or 100.
    precompute : 'auto', bool or array-like of shape (n_features, n_features), default='auto'
        Accepted for compatibility, without influence: the solver decides itself whether a Gram
        matrix pays. A matrix is compared with `X` at a few entries.
    Xy : array-like of shape (n_features,) or (n_features, n_targets), default=None
        Accepted for compatibility, without influence.
    copy_X : bool, default=True
        Accepted for compatibility, without influence: `X` is never changed.
    coef_init : array-like of shape (n_features,), default=None
        Coefficients to start from.
    verbose : bool or int, default=False
        Accepted for compatibility, without influence: nothing is printed.
    return_n_iter : bool, default=False
        Whether to return the numbers of sweeps too.
    positive : bool, default=False
        Whether the coefficients are kept at or above 0; for one target only.
    check_input : bool, default=True
        False skips scikit-learn's checks of `X` and `y` if both are float32 or float64 arrays (or
        sparse matrices); the solver's own checks remain.
    **params : dict
        `tol` (default 1e-4) and `max_iter` (default 1000) as in :class:`ElasticNet`, and
        `sample_weight` (s in the formula; default None). `selection`, `random_state` and
        `do_screening` are accepted without influence.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The alphas, decreasing.
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
        Coefficients, in the precision of `X`.
    dual_gaps : ndarray of shape (n_alphas,)
        Duality gap at each alpha, in the unit of the formula above; summed over the targets.
    n_iters : list of int
        Number of sweeps (or of steps of a method that makes none) at each alpha; only if
        `return_n_iter` is True.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid. Also if `y` has several columns and `l1_ratio` is not 0:
        scikit-learn's function ties the targets by the L2 norm of each feature's coefficients
        there, which is another model; :func:`fastreg.solve_path` fits them independently.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        Once, if the duality gap did not reach its tolerance at some alpha.

    See Also
    --------
    lasso_path : The same with ``l1_ratio=1``.
    ElasticNet : The estimator for a single alpha.
    fastreg.solve_path : With intercept, penalty factors, bounds and all certificates.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import enet_path
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> y = np.array([3.0, -3.0, 1.0, -1.0])
    >>> alphas, coefs, gaps = enet_path(X, y, l1_ratio=0.5, alphas=[2.0, 1.0], tol=1e-12)
    >>> coefs.round(4)
    array([[0.3333, 1.    ],
           [0.    , 0.    ]])
    """
    return _fit_path(locals(), l1_ratio=l1_ratio)


def lasso_path(
    X: Any,
    y: Any,
    *,
    eps: float = 1e-3,
    n_alphas: int | None = None,
    alphas: Any = None,
    precompute: Any = "auto",
    Xy: Any = None,
    copy_X: bool = True,
    coef_init: Any = None,
    verbose: bool | int = False,
    return_n_iter: bool = False,
    positive: bool = False,
    **params: Any,
) -> tuple[Any, ...]:
    """1/(2 S) sum_i s_i (y_i - x_i'w)^2 + alpha |w|_1.

    The lasso for a decreasing sequence of alphas, without an intercept: centre `X` and `y` first
    if you want one (or use :func:`fastreg.solve_path`, which fits it). A drop-in replacement for
    :func:`sklearn.linear_model.lasso_path`, except for `y` with several columns, see Raises.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples; float32 and float64 in any memory order are used without a copy.
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Target.
    eps : float, default=1e-3
        Smallest alpha over largest alpha of an automatic grid, between 0 and 1.
    n_alphas : int, default=None
        Number of alphas of an automatic grid, as scikit-learn before 1.9 spells it.
    alphas : int or array-like, default=None
        The alphas, or their number on an automatic grid; None means `n_alphas`, or 100.
    precompute : 'auto', bool or array-like of shape (n_features, n_features), default='auto'
        Accepted for compatibility, without influence, see :func:`enet_path`.
    Xy : array-like of shape (n_features,) or (n_features, n_targets), default=None
        Accepted for compatibility, without influence.
    copy_X : bool, default=True
        Accepted for compatibility, without influence: `X` is never changed.
    coef_init : array-like of shape (n_features,), default=None
        Coefficients to start from.
    verbose : bool or int, default=False
        Accepted for compatibility, without influence: nothing is printed.
    return_n_iter : bool, default=False
        Whether to return the numbers of sweeps too.
    positive : bool, default=False
        Whether the coefficients are kept at or above 0.
    **params : dict
        `check_input` and the further parameters of :func:`enet_path`.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The alphas, decreasing.
    coefs : ndarray of shape (n_features, n_alphas) or (1, n_features, n_alphas)
        Coefficients, in the precision of `X`.
    dual_gaps : ndarray of shape (n_alphas,)
        Duality gap at each alpha, in the unit of the formula above.
    n_iters : list of int
        Number of sweeps (or of steps of a method that makes none) at each alpha; only if
        `return_n_iter` is True.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid, or `y` has several columns, see :func:`enet_path`.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        Once, if the duality gap did not reach its tolerance at some alpha.

    See Also
    --------
    enet_path : With an additional L2 penalty.
    Lasso : The estimator for a single alpha.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import lasso_path
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> y = np.array([3.0, -3.0, 1.0, -1.0])
    >>> alphas, coefs, gaps = lasso_path(X, y, alphas=[0.25, 1.0], tol=1e-12)
    >>> alphas
    array([1.  , 0.25])
    >>> coefs.round(4)
    array([[1. , 2.5],
           [0. , 0.5]])
    """
    return _fit_path(locals(), l1_ratio=1.0)


def _check_targets(y: Any, l1_ratio: float, positive: bool) -> None:
    """Raise ValueError for several targets where scikit-learn's model ties them."""
    if y.ndim != 1 and positive:
        raise ValueError("positive=True is only for y of one dimension.")
    if y.ndim == 2 and y.shape[1] > 1 and l1_ratio > 0.0:
        raise ValueError(
            f"y has {y.shape[1]} columns: scikit-learn's path functions then penalise the L2 norm "
            "of the coefficients of each feature (multi-task), which fastreg does not fit. "
            "Call the function for one column at a time, or fastreg.solve_path for independent "
            "targets."
        )


def _check_shape(name: str, array: Any, *shapes: tuple[int, ...]) -> Any:
    """Return finite numbers in one of the given shapes, or None for None."""
    if array is None:
        return None
    array = check_array(as_float(name, array, ndim=(1, 2)), ensure_2d=False, input_name=name)
    if array.shape not in shapes:
        raise ValueError(f"{name} has shape {array.shape}, but {shapes[0]} is expected.")
    return array


def _check_alphas(X: Any, y: Any, options: dict[str, Any], model: dict[str, Any]) -> Any:
    """Return the alphas of the user, or an automatic grid."""
    alphas, n_alphas = options["alphas"], options["n_alphas"]
    if alphas is None:
        alphas = 100 if n_alphas is None else n_alphas
    if not isinstance(alphas, Integral):
        return alphas
    if model["l1_ratio"] == 0.0:
        raise ValueError(
            "l1_ratio=0 has no automatic grid of alphas (none makes all coefficients 0): "
            "give alphas as an array."
        )
    return alpha_grid(X, y, n_alphas=int(alphas), eps=float(options["eps"]), **model)


def _fit_path(arguments: dict[str, Any], l1_ratio: float) -> tuple[Any, ...]:
    """Check the arguments of a path function, solve, and shape the result as scikit-learn does."""
    params = arguments.pop("params")
    options = _SOLVER_PARAMETERS | arguments | params
    unknown = sorted(params.keys() - _SOLVER_PARAMETERS.keys())
    if unknown:
        raise ValueError(
            f"Unexpected parameters in params: {unknown}. Accepted: {list(_SOLVER_PARAMETERS)}."
        )
    if not skips_parameter_validation():
        checked = {name: value for name, value in options.items() if name in _CONSTRAINTS}
        name = "enet_path" if "l1_ratio" in arguments else "lasso_path"
        validate_parameter_constraints(_CONSTRAINTS, checked, caller_name=name)
    X, y = arguments["X"], arguments["y"]
    if options["check_input"] or not is_floating(X, y):
        refuse_unreadable(X=X, y=y)
        X = check_array(X, accept_sparse=("csc", "csr"), dtype=FLOATS, input_name="X")
        y = check_array(y, dtype="numeric", ensure_2d=False, input_name="y")
        check_consistent_length(X, y)
    target = single_response(y)
    _check_targets(y, l1_ratio, options["positive"])
    n_features, targets = X.shape[1:], target.shape[1:]
    _check_shape("Xy", options["Xy"], n_features + targets, n_features + y.shape[1:])
    start = _check_shape("coef_init", options["coef_init"], targets + n_features)
    sample_weight = check_weight(options["sample_weight"], X)
    if not isinstance(options["precompute"], (str, bool, np.bool_)):
        check_gram(options["precompute"], X, False, sample_weight)
    model = {
        "l1_ratio": float(l1_ratio),
        "fit_intercept": False,
        "sample_weight": sample_weight,
        "positive": bool(options["positive"]),
    }
    path = solve_path(
        X,
        target,
        alphas=_check_alphas(X, target, options, model),
        warm_start=start,
        settings=settings_for(float(options["tol"]), options["max_iter"]),
        **model,
    )
    warn_unless_converged(
        path, "Objective", tol_for=tol_for, max_iter=options["max_iter"], stacklevel=4
    )
    coefs = in_precision_of(X, np.moveaxis(path.coef, 0, -1))
    gaps, sweeps = np.asarray(path.duality_gap), np.maximum(path.n_sweeps, path.n_iter)
    if target.ndim == 2:
        gaps, sweeps = gaps.sum(axis=1), sweeps.max(axis=1)
    elif y.ndim == 2:
        coefs = coefs[np.newaxis]
    found = (np.asarray(path.alphas), coefs, gaps)
    return (*found, sweeps.tolist()) if options["return_n_iter"] else found
