"""Information criteria for a finished path: a choice of alpha without another fit."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy import linalg
from scipy.special import gammaln

from fastreg.api import solve
from fastreg.blocks import row_gram, standardised
from fastreg.choice import gram_bytes
from fastreg.inputs import Array, as_float, as_strength
from fastreg.lapack import cholesky
from fastreg.problem import Problem
from fastreg.result import PathResult, Result
from fastreg.settings import Settings
from fastreg.spectrum import decompose
from fastreg.supports import Columns, Fitted, look_again, union

CRITERIA = ("aic", "aicc", "bic", "ebic")

_SURE = 1e-8  # pivot of unit columns that is no rounding
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, repr=False)
class InformationCriteria:
    """Criteria along a path, and the point that the chosen one is smallest at.

    Arrays have shape (n_alphas,), or (n_alphas, n_responses) for two-dimensional y.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Those of the path.
    df : ndarray
        Degrees of freedom, the intercept included.
    mean_squared_error : ndarray
        Weighted mean of the squared residuals.
    deviance : ndarray
        Minus twice the log-likelihood of Gaussian noise.
    aic, aicc, bic, ebic : ndarray
        Criteria; inf where the variance is unknown and `df` leaves nothing to know it from.
    n_samples : float
        The n of the formulas.
    noise_variance : float or ndarray of shape (n_responses,), or None
        None if it was estimated at every alpha from the residuals there.
    gamma : float
        That of `ebic`.
    criterion : str
        The one that chose.
    index : int or ndarray of shape (n_responses,)
        Where it is smallest; of equal ones the largest alpha.
    result : Result, or tuple of one for each response
        The fit there, taken from the path.
    """

    alphas: Array
    df: Array
    mean_squared_error: Array
    deviance: Array
    aic: Array
    aicc: Array
    bic: Array
    ebic: Array
    n_samples: float
    noise_variance: Any
    gamma: float
    criterion: str
    index: Any
    result: Any

    @property
    def alpha(self) -> Any:
        """The chosen alpha, or one for each response."""
        return self.alphas[self.index]

    def __repr__(self) -> str:
        """Return a short table: what each criterion would choose."""
        noise = "unknown" if self.noise_variance is None else f"{np.mean(self.noise_variance):.6g}"
        lines = [
            f"InformationCriteria: {len(self.alphas)} alphas, chosen by {self.criterion.upper()}",
            f"  n={self.n_samples:g}, noise variance {noise}",
        ]
        df = self.df.reshape(len(self.alphas), -1)
        for name in CRITERIA:
            values = getattr(self, name).reshape(len(self.alphas), -1)
            best = values.argmin(axis=0)
            for k in range(min(len(best), 3)):
                at = best[k]
                lines.append(
                    f"  {name.upper():<5} smallest at alpha={self.alphas[at]:.6g}: "
                    f"{values[at, k]:.6g} ({df[at, k]:.4g} degrees of freedom)"
                    + (f", response {k}" if len(best) > 1 else "")
                )
        return "\n".join(lines)


def information_criteria(
    path: PathResult,
    X: Any,
    y: Any,
    *,
    criterion: str = "bic",
    gamma: float = 0.5,
    noise_variance: Any = None,
    n_samples: float | None = None,
    **model: Any,
) -> InformationCriteria:
    """Return -2 log-likelihood + penalty on the degrees of freedom, for every point of a path.

        deviance = n log(2 pi mse) + n                     variance unknown
                 = n log(2 pi variance) + n mse / variance         known
        AIC  = deviance + 2 df
        AICc = AIC + 2 (df + 1) (df + 2) / (n - df - 2)    (AIC where the variance is known)
        BIC  = deviance + df log n
        EBIC = BIC + 2 gamma log binomial(p, k)

    mse is the weighted mean of the squared residuals, p counts the penalised features and k those
    of them that the L1 penalty has selected. df is the trace of the hat matrix given the support A

        df = tr X_A (X_A'S X_A + sum(s) alpha (1 - l1_ratio) F)^-1 X_A'S   (+ 1 for the intercept)

    with F the penalty factors, columns centred if there is an intercept; for the lasso this is the
    rank of X_A: the number of nonzeros where columns are independent. Features that a bound holds
    count as fixed. The variance, if unknown, is not counted in df.

    Parameters
    ----------
    path : PathResult
        From `solve_path`.
    X, y, **model
        What the path was computed from, with the model arguments of `solve`: fit_intercept,
        sample_weight, offset, penalty_factor, lower, upper, positive, standardize. A path keeps
        neither, which is why this is a function. Data with other objectives are refused.
    criterion : {"aic", "aicc", "bic", "ebic"}, default "bic"
        The one that chooses.
    gamma : float, default 0.5
        In [0, 1]; the larger, the fewer features among many. At 0 EBIC is BIC.
    noise_variance : float or array of shape (n_responses,), or "estimate", optional
        Variance of the noise (of a row of weight one). "estimate" takes it from the least-squares
        fit of all features, sum s r^2 / (n - rank), which needs more rows than that. Default:
        unknown, estimated by mse at every point.
    n_samples : float, optional
        n. Default: the sum of the sample weights, by which a row of weight k is k rows. Where
        weights tell how precise rows are instead, give the number of rows.

    Returns
    -------
    InformationCriteria

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is. Also if the
        variance is unknown and no point has df < n.

    Notes
    -----
    With an unknown variance a path that ends close to interpolation, as for p >= n, makes the
    logarithm arbitrarily small there; end it before, or give the variance.

    References
    ----------
    H. Zou, T. Hastie, R. Tibshirani, "On the degrees of freedom of the lasso", Ann. Stat. 35, 2007.
    R. J. Tibshirani, J. Taylor, "Degrees of freedom in lasso problems", Ann. Stat. 40, 2012.
    C. M. Hurvich, C.-L. Tsai, "Regression and time series model selection in small samples",
    Biometrika 76, 1989.
    J. Chen, Z. Chen, "Extended Bayesian information criteria for model selection with large model
    spaces", Biometrika 95, 2008.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, got {criterion!r}")
    gamma = as_strength("gamma", gamma, high=1.0)
    fitted = look_again(path, X, y, model)
    problem = fitted.problem
    n = problem.weight_sum if n_samples is None else as_strength("n_samples", n_samples)
    if n == 0:
        raise ValueError("n_samples must be > 0, got 0")
    mse = fitted.mean_squared_error
    df = _degrees_of_freedom(fitted)
    variance = _noise_variance(noise_variance, fitted, y, n, model)
    with np.errstate(divide="ignore", invalid="ignore"):
        if variance is None:
            deviance = np.where(df < n, n * (np.log(2 * np.pi * mse) + 1), np.inf)
            room = n - df - 2
            small = np.where(room > 0, 2 * (df + 1) * (df + 2) / room, np.inf)
            aicc = np.where(room > 0, deviance + 2 * df + small, np.inf)
        else:
            deviance = n * np.log(2 * np.pi * variance) + n * mse / variance
            aicc = deviance + 2 * df
    bic = deviance + df * np.log(n)
    values = {
        "aic": deviance + 2 * df,
        "aicc": aicc,
        "bic": bic,
        "ebic": bic + 2 * gamma * _log_models(fitted),
    }
    chosen = values[criterion]
    if np.isposinf(chosen).all(axis=0).any():
        raise ValueError(
            f"{criterion} needs points with fewer degrees of freedom than samples ({n:g}); end the "
            "path earlier, or give noise_variance"
        )
    index = chosen.argmin(axis=0)

    def shaped(array: Array) -> Array:
        return array if problem.many else array[:, 0]

    noise = variance if variance is None or problem.many else float(variance[0])
    result: Any = path[int(index[0])]
    if problem.many:
        result = tuple(_of_response(path[int(i)], k) for k, i in enumerate(index))
    return InformationCriteria(
        alphas=path.alphas,
        df=shaped(df),
        mean_squared_error=shaped(mse),
        deviance=shaped(deviance),
        **{name: shaped(array) for name, array in values.items()},
        n_samples=float(n),
        noise_variance=noise,
        gamma=gamma,
        criterion=criterion,
        index=index if problem.many else int(index[0]),
        result=result,
    )


def _of_response(result: Result, response: int) -> Result:
    """Return one response of a result; its status is that of all."""
    shared = {"l1_ratio", "status", "n_passes", "seconds", "method", "n_features", "alpha"}
    each = {
        field.name: getattr(result, field.name)[response]
        for field in fields(result)
        if field.name not in shared and field.name != "feature_names"
    }
    return replace(
        result, **{k: v.item() if isinstance(v, np.generic) else v for k, v in each.items()}
    )


def _log_models(fitted: Fitted) -> Array:
    """Return log binomial(p, k) of every point: how many models are as large as it is."""
    problem, path = fitted.problem, fitted.path
    penalised = problem.movable & (problem.l1_unit > 0)
    p = int(penalised.sum()) if path.l1_ratio > 0 else 0
    k = np.array(
        [[int(penalised[columns].sum()) for columns, _ in points] for points in fitted.points]
    ).T
    k = k if p else np.zeros_like(k)
    return np.asarray(gammaln(p + 1) - gammaln(k + 1) - gammaln(p - k + 1))


def _noise_variance(
    given: Any, fitted: Fitted, y: Any, n: float, model: dict[str, Any]
) -> Array | None:
    """Return one variance a response, or None for unknown."""
    problem = fitted.problem
    if given is None:
        return None
    if not isinstance(given, str):
        variance = as_float("noise_variance", given, ndim=(0, 1))
        if variance.shape not in ((), (1,), (problem.n_responses,)):
            raise ValueError(
                f"noise_variance must be a number or have shape ({problem.n_responses},), "
                f"got {variance.shape}"
            )
        if not (np.isfinite(variance).all() and (variance > 0).all()):
            raise ValueError(f"noise_variance must be > 0 and finite, got {given!r}")
        return np.broadcast_to(variance, (problem.n_responses,)).copy()
    if given != "estimate":
        raise ValueError(f'noise_variance must be a number or "estimate", got {given!r}')
    columns = np.flatnonzero(problem.movable | (~problem.excluded & (problem.norm > 0)))
    room = n - _rank(problem, columns) - problem.fit_intercept
    if not room > 0:
        raise ValueError(
            f'noise_variance="estimate" needs more samples ({n:g}) than independent features, '
            "intercept included; give a number"
        )
    plain = {k: v for k, v in model.items() if k in ("fit_intercept", "sample_weight", "offset")}
    excluded = np.where(problem.excluded, np.inf, 1.0)
    fit = solve(fitted.matrix, y, 0.0, penalty_factor=excluded, **plain)
    variance = np.atleast_1d(2.0 * np.asarray(fit.objective)) * n / room
    if (variance <= 0).any():
        raise ValueError(
            'noise_variance="estimate" finds no noise: least squares fits y exactly; give a number'
        )
    return variance


def _degrees_of_freedom(fitted: Fitted) -> Array:
    """Return the degrees of freedom of every point, of shape (n_alphas, n_responses)."""
    path, problem = fitted.path, fitted.problem
    n_alphas, m = fitted.mean_squared_error.shape
    if path.l1_ratio == 0 and not problem.has_bounds and path.alphas[-1] > 0:
        spectrum = decompose(problem, float(path.alphas[-1])) if problem.movable.any() else None
        if spectrum is not None:
            df = spectrum.degrees_of_freedom(problem, path.alphas)
            return np.repeat(df[:, None], m, axis=1)
    supports = [[fitted.within(k, i) for k in range(m)] for i in range(n_alphas)]
    every = union([columns for row in supports for columns in row])
    small = gram_bytes(len(every)) <= Settings().gram_memory
    gram = problem.gram_of(every) if small and len(every) else None
    independent = gram is not None and _independent(gram)
    # in standardised units: the penalty does not depend on the response
    l2 = problem.factors(0)[1] * (1.0 - path.l1_ratio)
    known: dict[tuple[bytes, float], float] = {}
    df = np.empty((n_alphas, m))
    for i, row in enumerate(supports):
        for k, columns in enumerate(row):
            strength = l2[columns] * path.alphas[i]
            key = (columns.tobytes(), float(path.alphas[i]) if strength.any() else 0.0)
            if key not in known:
                if len(columns) == 0:
                    known[key] = 0.0
                elif strength.any():
                    known[key] = _trace(problem, columns, strength, gram, every)
                else:
                    known[key] = len(columns) if independent else _rank(problem, columns)
            df[i, k] = known[key] + problem.fit_intercept
    return df


def _unit(gram: Array) -> Array:
    """Return a Gram matrix with a unit diagonal."""
    norm = np.sqrt(np.diag(gram))
    return np.asarray(gram / np.where(norm > 0, norm, 1.0) / norm[:, None])


def _independent(gram: Array) -> bool:
    """Whether columns are independent beyond doubt, and with them all subsets."""
    factor, info = linalg.lapack.dpotrf(_unit(gram), lower=1)
    return info == 0 and bool((np.diag(factor) ** 2 > _SURE).all())


def _rank(problem: Problem, columns: Columns) -> int:
    """Return the rank of columns (centred if there is an intercept), by singular values."""
    n, k = problem.design.n_samples, len(columns)
    if k == 0:
        return 0
    if (
        k <= n
        and gram_bytes(k) <= Settings().gram_memory
        and _independent(problem.gram_of(columns))
    ):
        return k
    Z = standardised(problem, columns)
    if problem.fit_intercept:
        root = np.sqrt(problem.weight)
        Z -= np.outer(root, root @ Z)
    Z /= np.linalg.norm(Z, axis=0)
    # Of a column with a large mean, rounding is as large as that of the mean.
    offset = problem.mean[columns] * problem.design.scale[columns] / problem.norm[columns]
    values = np.linalg.svd(Z, compute_uv=False)
    rounding = max(n, k) * _EPSILON * (1.0 + float(np.max(np.abs(offset))))
    return int(np.count_nonzero(values > rounding * values[0]))


def _trace(
    problem: Problem, columns: Columns, strength: Array, gram: Array | None, every: Columns
) -> float:
    """Return tr G (G + diag(strength))^-1 for the Gram matrix G of some columns."""
    n, k = problem.design.n_samples, len(columns)
    if k > n and (strength > 0).all():
        inverses = np.zeros(problem.design.n_features)
        inverses[columns] = 1.0 / strength
        values = np.maximum(np.linalg.eigvalsh(row_gram(problem, inverses)), 0.0)
        return float(np.sum(values / (1.0 + values)))
    at = np.searchsorted(every, columns)
    G = problem.gram_of(columns) if gram is None else gram[np.ix_(at, at)]
    unit = np.sqrt(np.diag(G) + strength)
    H = G.copy()
    H[np.diag_indices(k)] += strength
    H /= unit * unit[:, None]
    factor, rcond = cholesky(H)
    if rcond > k * _EPSILON:
        inverse, _ = linalg.lapack.dpotri(factor, lower=1)
        return float(k - np.sum(strength * np.diag(inverse) / unit**2))
    inverse = np.linalg.pinv(H, rcond=_SURE, hermitian=True)
    return float(np.sum(inverse * (G / (unit * unit[:, None]))))
