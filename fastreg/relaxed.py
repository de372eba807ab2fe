"""Relaxed fits: least squares on every support of a path, and blends with the path itself."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.api import solve
from fastreg.choice import gram_bytes
from fastreg.inputs import Array, as_matrix_of, as_shift, as_strength
from fastreg.normal_equations import CholeskyInverse, Moments, fit_moments
from fastreg.responses import moments_of
from fastreg.result import PathResult, Status
from fastreg.settings import Settings, resolve_settings
from fastreg.supports import Columns, Fitted, look_again, union


@dataclass(frozen=True, repr=False)
class RelaxedPath:
    """A path, and beside each of its points the least-squares fit on that point's support.

    Attributes
    ----------
    path : PathResult
        The path that was relaxed.
    least_squares_coef : ndarray of shape (n_alphas, n_features) or \
(n_alphas, n_responses, n_features)
        Coefficients of least squares, zero off the support.
    least_squares_intercept : ndarray of shape (n_alphas,) or (n_alphas, n_responses)
        Their intercepts.
    support : ndarray of int, shape of least_squares_intercept
        Number of the support, in the order of entry; equal supports share one fit.
    status : ndarray of int, shape of least_squares_intercept
        `Status` of the fit; RANK_DEFICIENT where columns of the support are dependent and the
        coefficients with the smallest norm were taken.
    duality_gap : ndarray, shape of least_squares_intercept
        Proven bound on objective - minimum of the least-squares fit.
    seconds : float
        Wall-clock time of the call.
    """

    path: PathResult
    least_squares_coef: Array
    least_squares_intercept: Array
    support: npt.NDArray[np.intp]
    status: npt.NDArray[np.int64]
    duality_gap: Array
    seconds: float

    @property
    def n_supports(self) -> int:
        """Number of different supports: of least-squares fits."""
        return int(self.support.max()) + 1

    @property
    def converged(self) -> bool:
        """Whether every least-squares fit has a usable (positive) status."""
        return bool((self.status > 0).all())

    def coef(self, gamma: float = 0.0) -> Array:
        """Return gamma * coef of the path + (1 - gamma) * coef of least squares.

        Raises
        ------
        TypeError, ValueError
            If gamma is not a number in [0, 1].
        """
        gamma = as_strength("gamma", gamma, high=1.0)
        return gamma * _dense_coef(self.path) + (1.0 - gamma) * self.least_squares_coef

    def intercept(self, gamma: float = 0.0) -> Array:
        """Return the intercepts that belong to `coef`.

        Raises
        ------
        TypeError, ValueError
            If gamma is not a number in [0, 1].
        """
        gamma = as_strength("gamma", gamma, high=1.0)
        own = np.asarray(self.path.intercept, dtype=np.float64)
        return np.asarray(gamma * own + (1.0 - gamma) * self.least_squares_intercept)

    def predict(self, X: Any, gamma: float = 0.0, offset: Any = None) -> Array:
        """Return the predictions of every alpha, of shape (n, n_alphas[, n_responses]).

        Raises
        ------
        TypeError, ValueError
            If gamma is not a number in [0, 1], or X or offset has a wrong type, shape or name, or
            is not finite.
        """
        matrix = as_matrix_of(X, self.path.n_features, self.path.feature_names)
        coef = self.coef(gamma)
        flat = coef.reshape(-1, self.path.n_features)
        product = np.asarray(matrix @ flat.T).reshape(-1, *coef.shape[:-1])
        prediction = product + self.intercept(gamma)
        if offset is not None:
            shape = prediction.shape[:1] + prediction.shape[2:]
            prediction += as_shift(offset, shape)[:, None]
        return np.asarray(prediction)

    def __repr__(self) -> str:
        """Return a short table."""
        deficient = int(np.count_nonzero(self.status == Status.RANK_DEFICIENT))
        return (
            f"RelaxedPath: {len(self.path)} alphas from {self.path.alphas[0]:.6g} to "
            f"{self.path.alphas[-1]:.6g}, {self.path.n_features} features\n"
            f"  least squares   {self.n_supports} supports, {int((self.status > 0).sum())} of "
            f"{self.status.size} points usable"
            + (f", {deficient} with dependent columns" if deficient else "")
            + f"\n  largest gap     {self.duality_gap.max():.1e}\n"
            f"  work            {self.seconds:.3g} s"
        )


def relax(
    path: PathResult,
    X: Any,
    y: Any,
    *,
    settings: Settings | None = None,
    **model: Any,
) -> RelaxedPath:
    """Return the relaxed path: w(gamma) = gamma w + (1 - gamma) w_LS at every alpha.

    w are the coefficients of the path, and w_LS those of least squares on its support,

        w_LS = argmin 1/(2 S) sum_i s_i (y_i - offset_i - b - x_i'w)^2,   w_j = 0 off the support

    within the bounds if there are any. gamma = 1 is the path, gamma = 0 least squares: the relaxed
    lasso as simplified by Hastie et al. [2]_, and glmnet's gamma. Meinshausen's phi [1]_ weighs the
    penalty on the support instead; for orthogonal columns (more generally, as long as no sign on
    the support changes) phi and gamma are the same.

    Parameters
    ----------
    path : PathResult
        From `solve_path`.
    X, y, **model
        What the path was computed from, with the model arguments of `solve`. Data with other
        objectives are refused. Features without a penalty are in every support.
    settings : Settings, optional
        Its tolerance is that of the least-squares fits.

    Returns
    -------
    RelaxedPath

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    Notes
    -----
    Each support is fitted once, and all share one Gram matrix of the features that occur in any.
    Where rounding leaves a fit from it without a proof, it is fitted to X; so are supports with
    dependent columns, whose coefficients of the smallest norm are returned.

    References
    ----------
    .. [1] N. Meinshausen, "Relaxed Lasso", Comput. Stat. Data Anal. 52, 2007.
    .. [2] T. Hastie, R. Tibshirani, R. Tibshirani, "Best Subset, Forward Stepwise or Lasso?
       Analysis and Recommendations Based on Extensive Comparisons", Stat. Sci. 35, 2020.
    """
    started = monotonic()
    chosen = resolve_settings(settings, {})
    fitted = look_again(path, X, y, model)
    n_alphas, m = fitted.mean_squared_error.shape
    shape = (n_alphas, m)
    coef = np.zeros((*shape, path.n_features))
    intercept, gap = np.zeros(shape), np.zeros(shape)
    number, status = np.zeros(shape, np.intp), np.zeros(shape, np.int64)
    supports = [[fitted.free(k, i) for i in range(n_alphas)] for k in range(m)]
    share = _Shared(fitted, union([columns for row in supports for columns in row]), chosen)
    count = 0
    for k in range(m):
        first: dict[bytes, int] = {}
        for i, columns in enumerate(supports[k]):
            at = first.setdefault(columns.tobytes(), i)
            if at == i:
                number[i, k], count = count, count + 1
                coef[i, k], intercept[i, k], gap[i, k], status[i, k] = share.fit(
                    columns, k, y, model
                )
            else:
                coef[i, k], number[i, k] = coef[at, k], number[at, k]
                intercept[i, k], gap[i, k], status[i, k] = (
                    intercept[at, k],
                    gap[at, k],
                    status[at, k],
                )

    def shaped(array: Any) -> Any:
        return array if fitted.problem.many else array[:, 0]

    return RelaxedPath(
        path=path,
        least_squares_coef=shaped(coef),
        least_squares_intercept=shaped(intercept),
        support=shaped(number),
        status=shaped(status),
        duality_gap=shaped(gap),
        seconds=monotonic() - started,
    )


class _Shared:
    """Least squares on subsets of some columns, from their moments as far as these suffice."""

    def __init__(self, fitted: Fitted, columns: Columns, settings: Settings) -> None:
        self.fitted, self.columns, self.settings = fitted, columns, settings
        problem = fitted.problem
        self.moments: Moments | None = None
        fits = gram_bytes(len(columns)) <= settings.gram_memory
        if len(columns) and fits and not problem.has_bounds:
            square = problem.y_size**2
            self.moments, self.centre, self.means = moments_of(problem, columns, square)

    def fit(
        self, columns: Columns, response: int, y: Any, model: dict[str, Any]
    ) -> tuple[Array, float, float, int]:
        """Return coefficients, intercept, duality gap and status."""
        if self.moments is not None and len(columns):
            found = self._from_moments(columns, response)
            if found is not None:
                return found
        return self._from_rows(columns, response, y, model)

    def _from_moments(
        self, columns: Columns, response: int
    ) -> tuple[Array, float, float, int] | None:
        assert self.moments is not None
        problem, whole = self.fitted.problem, self.moments
        at = np.searchsorted(self.columns, columns)
        moments = Moments(
            gram=whole.gram[np.ix_(at, at)],
            correlation=whole.correlation[at][:, [response]],
            square=whole.square[[response]],
            rounding=whole.rounding,
        )
        tolerance = 0.5 * self.settings.tol * problem.y_size[response] ** 2
        inverse = CholeskyInverse(moments, np.zeros(len(at)))
        if inverse.rcond == 0.0:
            return None
        fit = fit_moments(moments, inverse, tolerance)
        if not (np.isfinite(fit.gap) & (fit.gap <= tolerance)).all():
            return None
        W = np.zeros((1, problem.design.n_features))
        W[0, columns] = fit.coef[:, 0]
        mean = self.means[response] - self.centre[at] @ fit.coef[:, 0]
        coef, intercept = problem.outside_many(W, np.array([mean]), np.array([response]))
        gap = float(fit.gap[0]) * float(problem.y_scale[response]) ** 2
        return coef[0], float(intercept[0]), gap, int(Status.CONVERGED)

    def _from_rows(
        self, columns: Columns, response: int, y: Any, model: dict[str, Any]
    ) -> tuple[Array, float, float, int]:
        problem = self.fitted.problem
        target = np.asarray(y)[:, response] if problem.many else y
        plain = {k: v for k, v in model.items() if k in ("fit_intercept", "sample_weight")}
        offset = model.get("offset")
        if offset is not None and np.ndim(offset) == 2:
            offset = np.asarray(offset)[:, response]
        coef = np.zeros(problem.design.n_features)
        # What cannot move, but is not zero, belongs to the fit, too.
        away = (problem.lower > 0) | (problem.upper < 0)
        some = np.union1d(columns, np.flatnonzero(away & ~problem.movable & ~problem.excluded))
        lower, upper = problem.lower[some], problem.upper[some]
        if not len(some):  # a column fixed at zero stands in for none
            some, lower, upper = np.zeros(1, dtype=np.intp), np.zeros(1), np.zeros(1)
        bounded = problem.has_bounds or not len(columns)
        result = solve(
            self.fitted.matrix[:, some],
            target,
            0.0,
            offset=offset,
            lower=lower if bounded else None,
            upper=upper if bounded else None,
            settings=self.settings,
            **plain,
        )
        coef[some] = result.coef
        return coef, float(result.intercept), float(result.duality_gap), int(result.status)


def _dense_coef(path: PathResult) -> Array:
    if isinstance(path.coef, tuple):
        return np.stack([one.toarray() for one in path.coef], axis=1)
    return np.asarray(path.coef if isinstance(path.coef, np.ndarray) else path.coef.toarray())
