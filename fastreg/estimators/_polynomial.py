"""PolynomialRegression: a polynomial of one or more inputs with a penalty, scikit-learn style."""

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fastreg.api import solve
from fastreg.estimators._base import (
    LinearRegressor,
    check_weight,
    refuse_unreadable,
    single_response,
    warn_unless_converged,
)
from fastreg.estimators._compat import Interval, StrOptions
from fastreg.inputs import as_float
from fastreg.monomials import Monomials
from fastreg.polynomial import INTERACTIONS, KINDS, OUTSIDE, PolynomialBasis
from fastreg.settings import Settings
from fastreg.validation.degrees import validate_degrees
from fastreg.validation.result import ValidationResult
from fastreg.validation.scores import Score, as_score

__all__ = ["PolynomialRegression"]

_DIGITS = 8.0  # lost in powers of the inputs, from which on a warning is due
_RATIOS = {"l1": 1.0, "l2": 0.0, None: 0.0}


class PolynomialRegression(LinearRegressor):
    """1/(2 S) sum_i s_i (y_i - b - q(x_i)'w)^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|_2^2).

    A polynomial in columns q(x) of degree at most `degree`, minimised over its coefficients w and
    the intercept b; s is `sample_weight` and S its sum. Degree and alpha may be chosen, together,
    by validation: on rows that were not used for the fit.

    Parameters
    ----------
    degree : int or sequence of int, default=3
        Degree; of a sequence (a range, for example) one is chosen by validation.
    penalty : {'l1', 'l2', 'elasticnet', None}, default='l2'
        'l2' keeps all terms and makes them smaller, 'l1' sets terms to exactly zero; None is least
        squares.
    alpha : float or array-like, default=None
        Strength, in the unit of the formula above. Of an array one is chosen by validation, for
        None of a grid made for the data.
    l1_ratio : float or list of float, default=0.5
        For 'elasticnet': share of the L1 penalty; of a list one is chosen by validation.
    basis : {'legendre', 'chebyshev', 'monomial'}, default='legendre'
        Orthogonal polynomials of the inputs, scaled to [-1, 1] by their range in ``fit``; or powers
        of the inputs as they are.
    interactions : {'total', 'full', 'none'}, default='total'
        Products of several inputs: degrees that add up to at most `degree`, degrees of at most
        `degree` each, or none.
    outside : {'extrapolate', 'clip', 'error'}, default='extrapolate'
        In ``predict``, for inputs outside of their range in ``fit``: the polynomial goes on (and
        grows fast), inputs are moved to the end of the range, or a ValueError.
    fit_intercept : bool, default=True
        Whether to fit b; it is not penalised.
    standardize : bool, default=False
        Whether to penalise the coefficients of columns scaled to unit standard deviation.
    cv : int, float, splitter or iterable of (train, test), default=5
        How rows are held out; see :func:`fastreg.validate`. Of an int K, row i is held out by the
        fold i mod K: rows are often sorted by an input, and neighbouring rows held out together
        would be measured outside of the range of the others.
    scoring : str or callable, default='mean_squared_error'
        As in :func:`fastreg.validate`.
    selection : {'min', '1se'} or callable, default='min'
        'min' takes the best mean score; '1se' the smallest degree, and then the largest alpha,
        within one standard error of it.
    n_alphas : int, default=100
        Length of a grid made for the data.
    eps : float, default=1e-4
        Smallest alpha over largest alpha of that grid; with an L2 penalty its root.
    tol : float, default=1e-8
        A fit ends when its duality gap is at most `tol` times the objective at w = 0.

    Attributes
    ----------
    coef_ : ndarray of shape (n_columns,) or (n_targets, n_columns)
        Coefficients of the columns of `basis_`.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept; 0.0 if `fit_intercept` is False.
    basis_ : fastreg.PolynomialBasis
        The columns, of degree `degree_`: their names, ``transform``, ranges of the inputs.
    degree_, alpha_, l1_ratio_ : int, float, float
        Those of the fit; `alpha_` is 0 without a penalty.
    validation_ : fastreg.ValidationResult or None
        Scores over degree, l1_ratio (of a list) and alpha; None where nothing was to be chosen.
    result_ : fastreg.Result
        The fit to all rows, with its duality gap.
    n_features_in_ : int
        Number of inputs seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs seen in ``fit``, if all of them are strings.

    See Also
    --------
    fastreg.PolynomialBasis : The columns.
    fastreg.validate_degrees : The choice, with all options.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg.estimators import PolynomialRegression
    >>> x = np.linspace(0, 4, 60)[:, None]
    >>> y = (x[:, 0] - 1) * (x[:, 0] - 3) * x[:, 0] + np.random.default_rng(0).normal(0, 0.1, 60)
    >>> model = PolynomialRegression(range(1, 10), penalty=None, selection="1se").fit(x, y)
    >>> model.degree_
    3
    >>> powers = model.to_monomials()  # x^3 - 4 x^2 + 3 x
    >>> powers.coef.round()
    array([ 3., -4.,  1.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "degree": [Interval(Integral, 1, None, closed="left"), "array-like", range],
        "penalty": [StrOptions({"l1", "l2", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like", None],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "basis": [StrOptions(set(KINDS))],
        "interactions": [StrOptions(set(INTERACTIONS))],
        "outside": [StrOptions(set(OUTSIDE))],
        "fit_intercept": ["boolean"],
        "standardize": ["boolean"],
        "cv": ["cv_object", Interval(Real, 0, 1, closed="neither")],
        "scoring": [str, callable, Score],
        "selection": [StrOptions({"min", "1se"}), callable],
        "n_alphas": [Interval(Integral, 1, None, closed="left")],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }

    basis_: PolynomialBasis
    degree_: int
    alpha_: float
    l1_ratio_: float
    validation_: ValidationResult | None

    def __init__(
        self,
        degree: Any = 3,
        penalty: Any = "l2",
        alpha: Any = None,
        *,
        l1_ratio: Any = 0.5,
        basis: Any = "legendre",
        interactions: Any = "total",
        outside: Any = "extrapolate",
        fit_intercept: Any = True,
        standardize: Any = False,
        cv: Any = 5,
        scoring: Any = "mean_squared_error",
        selection: Any = "min",
        n_alphas: Any = 100,
        eps: Any = 1e-4,
        tol: Any = 1e-8,
    ) -> None:
        self.degree = degree
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.basis = basis
        self.interactions = interactions
        self.outside = outside
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.n_alphas = n_alphas
        self.eps = eps
        self.tol = tol

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose what is to be chosen by validation, and fit it to all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights, at least 0; rows of weight 0 do not count in the range of the inputs.

        Returns
        -------
        PolynomialRegression
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
        self._check_parameters()
        refuse_unreadable(X=X, y=y)
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        weight = check_weight(sample_weight, X)
        target = single_response(y)
        degrees = self._degrees()
        basis = self._basis(X, weight, max(degrees))
        X = np.clip(X, basis.low, basis.high)  # rows of weight 0
        model: dict[str, Any] = {
            "sample_weight": weight,
            "fit_intercept": bool(self.fit_intercept),
            "standardize": bool(self.standardize),
            "settings": Settings(tol=float(self.tol)),
        }
        fixed = self.penalty is None or (self.alpha is not None and np.ndim(self.alpha) == 0)
        ratio = _RATIOS.get(self.penalty, self.l1_ratio)
        strength = 0.0 if self.penalty is None else self.alpha
        as_score(self.scoring)  # checks
        self.validation_ = None
        if fixed and len(degrees) == 1 and np.ndim(ratio) == 0:
            design = basis.transform(X)
            result = solve(design, target, float(strength), l1_ratio=float(ratio), **model)
        else:
            grid: dict[str, Any] = {"n_alphas": int(self.n_alphas), "eps": float(self.eps)}
            if strength is not None:
                grid = {"alphas": _strengths(strength)}
            found = validate_degrees(
                basis,
                X,
                target,
                degrees,
                l1_ratio=ratio,
                scoring=self.scoring,
                selection=self.selection,
                **self._folds(len(X)),
                **grid,
                **model,
            )
            assert found.result is not None
            assert found.degree is not None
            self.validation_, result = found, found.result
            basis = basis.up_to(found.degree)
        self.basis_, self.degree_ = basis, basis.degree
        self.alpha_, self.l1_ratio_ = result.alpha, result.l1_ratio
        self._store([(result, None)], X, y)
        if self.validation_ is None or self.validation_.converged:
            warn_unless_converged(result, "Objective", tol_for=float, max_iter=None)
        else:
            warnings.warn(
                f"Objective did not converge in validation. {self.validation_.message}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X: Any) -> Any:
        """q(X) coef_' + intercept_.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs; for those outside of their range in ``fit`` see `outside`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If ``fit`` has not been called.
        ValueError
            If `X` has other features than those seen in ``fit``, is not finite, or leaves the range
            where that is an error.
        """
        check_is_fitted(self)
        refuse_unreadable(X=X)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.basis_.transform(X) @ self.coef_.T + self.intercept_

    def to_monomials(self) -> Monomials | list[Monomials]:
        """Return the polynomial in powers of the inputs, exactly, or a list of one for each target.

        Warns
        -----
        UserWarning
            If their values lose more than half of the digits by cancellation, in the range of the
            inputs; ``predict`` does not.
        """
        check_is_fitted(self)
        coefs, intercepts = np.atleast_2d(self.coef_), np.ravel(self.intercept_)
        intercepts = np.broadcast_to(intercepts, len(coefs))
        pairs = zip(coefs, intercepts, strict=True)
        found = [self.basis_.to_monomials(coef, float(b)) for coef, b in pairs]
        lost = max(one.digits_lost for one in found)
        if lost > _DIGITS:
            warnings.warn(
                f"Powers of these inputs cancel {lost:.0f} of 16 digits when they are evaluated: "
                "use predict, or shift the inputs towards zero.",
                UserWarning,
                stacklevel=2,
            )
        return found[0] if self.coef_.ndim == 1 else found

    def _degrees(self) -> list[int]:
        """Return the degrees to choose from."""
        given = [self.degree] if np.ndim(self.degree) == 0 else list(self.degree)
        if not given:
            raise ValueError("degree must hold at least one integer")
        for degree in given:
            if type(degree) is bool or not isinstance(degree, (int, np.integer)) or degree < 1:
                raise ValueError(f"degree must hold integers >= 1, got {degree!r}")
        return sorted({int(degree) for degree in given})

    def _basis(self, X: Any, weight: Any, degree: int) -> PolynomialBasis:
        """Return the basis for the rows that count."""
        counted = X[weight > 0] if weight is not None and (weight > 0).any() else X
        basis = PolynomialBasis.of(
            counted,
            degree,
            kind=self.basis,
            interactions=self.interactions,
            outside=self.outside,
        )
        names = getattr(self, "feature_names_in_", None)
        return basis if names is None else replace(basis, input_names=tuple(names.tolist()))

    def _folds(self, n: int) -> dict[str, Any]:
        """Return how rows are held out."""
        cv = 5 if self.cv is None else self.cv
        if isinstance(cv, (int, np.integer)):
            if not 2 <= cv <= n:
                raise ValueError(f"cv={cv} needs as many samples, and at least 2; n_samples={n}")
            return {"foldid": np.arange(n) % int(cv)}
        return {"cv": cv}

    def __sklearn_tags__(self) -> Any:
        """Scikit-learn's tags: sparse X is refused, because polynomials fill its zeros."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


def _strengths(alpha: Any) -> Any:
    """Return the strengths that a user gave, one or several, as an array."""
    array = np.atleast_1d(as_float("alpha", alpha, ndim=(0, 1)))
    if array.size == 0 or not ((array >= 0.0) & np.isfinite(array)).all():
        raise ValueError(
            f"alpha must be a number or an array of at least one number, all >= 0, got {alpha!r}"
        )
    return array
