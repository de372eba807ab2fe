"""Fit penalties over a path, choose alpha on one part of the rows, and judge on another.

The rows are split at random into three parts: *train* (the paths are fitted to it), *validation*
(chooses alpha) and *test* (is used once, for the error that is reported). The model of the chosen
alpha is then fitted to train and validation together; it is this model whose error is measured
and which is saved. With an alpha that is given there is no validation part.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import fastreg
from fastreg.cli.errors import UserError, count

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

PENALTIES = ("l2", "l1", "elasticnet")
NAMES = {
    "none": "least squares",
    "l2": "L2 (ridge)",
    "l1": "L1 (lasso)",
    "elasticnet": "elastic net",
}

#: The least-squares baseline is not waited for longer than this, in seconds.
BASELINE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The indices of the rows of each part; any but the first may be empty."""

    train: Rows
    validation: Rows
    test: Rows

    @property
    def fitted(self) -> Rows:
        """The rows that the final models are fitted to."""
        return np.concatenate([self.train, self.validation])


@dataclass(frozen=True, kw_only=True)
class Data:
    """A regression problem: design matrix, target, weights, and which row serves for what."""

    X: Any
    y: Floats
    sample_weight: Floats | None
    parts: Parts

    def part(self, rows: Rows) -> tuple[Any, Floats, Floats | None]:
        """Take some rows."""
        weight = self.sample_weight
        return self.X[rows], self.y[rows], None if weight is None else weight[rows]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to fit.

    Attributes
    ----------
    penalties : tuple of str
        Of ``l1``, ``l2``, ``elasticnet``, ``none``.
    l1_ratio : float
        For the elastic net.
    alpha : float or None
        Given, or None: chosen from a path.
    n_alphas, eps : int, float
        The path: how many alphas, and the smallest as a share of the largest (for L2 its square,
        as it acts on squares).
    standardize : bool
    """

    penalties: tuple[str, ...]
    l1_ratio: float
    alpha: float | None
    n_alphas: int
    eps: float
    standardize: bool

    def ratio(self, penalty: str) -> float:
        """Give the l1_ratio of a penalty."""
        return {"l1": 1.0, "l2": 0.0, "none": 1.0}.get(penalty, self.l1_ratio)


@dataclass(frozen=True, kw_only=True)
class Search:
    """A path over decreasing alphas, and the alpha that was chosen from it.

    Attributes
    ----------
    path : fastreg.PathResult
        Fitted to the training part.
    training_errors, validation_errors : ndarray of shape (n_alphas,)
        Root mean squared errors on these parts.
    chosen : int
        The index of the least validation error.
    """

    path: "fastreg.PathResult"
    training_errors: Floats
    validation_errors: Floats
    chosen: int

    @property
    def alpha(self) -> float:
        """The chosen alpha."""
        return float(self.path.alphas[self.chosen])

    @property
    def at_edge(self) -> bool:
        """Whether the chosen alpha is the smallest that was tried."""
        return self.chosen == len(self.path.alphas) - 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One penalty: how its alpha was found, and the final model.

    Attributes
    ----------
    penalty : str
    search : Search or None
        None: alpha was given.
    result : fastreg.Result
        The final model.
    test_residuals : ndarray
        Target minus prediction on the test part.
    test_error : float
        Their (weighted) root mean square; nan without a test part.
    seconds : float
        For the path and the final fit.
    """

    penalty: str
    search: Search | None
    result: "fastreg.Result"
    test_residuals: Floats
    test_error: float
    seconds: float

    @property
    def name(self) -> str:
        """The penalty as the user reads it."""
        return NAMES[self.penalty]

    @property
    def n_kept(self) -> int:
        """The number of features with a coefficient other than zero."""
        return int(np.count_nonzero(self.result.coef))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All outcomes, and the two baselines: least squares, and the mean for every row.

    Attributes
    ----------
    data : Data
    outcomes : tuple of Outcome
    least_squares : Outcome or None
        None: not asked for, or it could not be had.
    why_no_least_squares : str
        The reason; empty if it is there or was not asked for.
    mean_error : float
        The test error of predicting the mean.
    baselines : dict of str to (float, float)
        Training and validation error of the baselines, fitted like the paths.
    """

    data: Data
    outcomes: tuple[Outcome, ...]
    least_squares: Outcome | None
    why_no_least_squares: str
    mean_error: float
    baselines: dict[str, tuple[float, float]]

    @property
    def best(self) -> Outcome:
        """The outcome of least validation error: the one to keep (the test part has no say)."""

        def error(outcome: Outcome) -> float:
            search = outcome.search
            return np.inf if search is None else float(search.validation_errors[search.chosen])

        return min(self.outcomes, key=error)


def split(n_rows: int, *, validation: float, test: float, seed: int) -> Parts:
    """Split rows at random.

    Parameters
    ----------
    n_rows : int
    validation, test : float
        The share of the rows in each part; 0 for none, otherwise at least one row.
    seed : int

    Raises
    ------
    UserError
        If no two rows are left to train on.
    """
    order = np.random.default_rng(seed).permutation(n_rows)
    n_test = max(1, round(test * n_rows)) if test else 0
    n_validation = max(1, round(validation * n_rows)) if validation else 0
    if n_rows - n_test - n_validation < 2:
        raise UserError(
            f"{count(n_rows, 'row')} of data cannot be split into parts: too few are left to train"
            " on" + ("; see --test-size and --validation-size" if n_rows > 2 else "")
        )
    return Parts(
        test=np.sort(order[:n_test]),
        validation=np.sort(order[n_test : n_test + n_validation]),
        train=np.sort(order[n_test + n_validation :]),
    )


def compare(
    data: Data, plan: Plan, *, on_step: Callable[[str], None] = lambda _: None
) -> Comparison:
    """Fit all penalties of a plan and the baselines.

    Parameters
    ----------
    data : Data
    plan : Plan
    on_step : callable
        Is told what is being fitted, before each fit.
    """
    _load_everything()
    outcomes = []
    for penalty in plan.penalties:
        on_step(NAMES[penalty])
        outcomes.append(_fit(data, plan, penalty))
    least_squares, why = None, ""
    if "none" not in plan.penalties and len(data.parts.test):
        on_step(NAMES["none"])
        least_squares, why = _least_squares(data, plan)
    mean = _mean(*data.part(data.parts.fitted)[1:])
    return Comparison(
        data=data,
        outcomes=tuple(outcomes),
        least_squares=least_squares,
        why_no_least_squares=why,
        mean_error=_rms(data.y[data.parts.test] - mean, data, data.parts.test),
        baselines=_baselines(data, plan, least_squares),
    )


def _load_everything() -> None:
    """Fit something tiny, so that no time that is told includes imports."""
    rows, y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 2.0]]), np.array([0.0, 1.0, 3.0])
    for l1_ratio in (0.0, 1.0):
        fastreg.solve_path(rows, y, alphas=[0.5], l1_ratio=l1_ratio)
        fastreg.solve(rows, y, alpha=0.0, l1_ratio=l1_ratio)


def _least_squares(data: Data, plan: Plan) -> tuple[Outcome | None, str]:
    """Fit the baseline that nobody asked for: its failure must not end the others' comparison."""
    try:
        outcome = _fit(data, plan, "none", time_limit=BASELINE_SECONDS)
    except MemoryError:
        return None, "there is not enough memory for it"
    if not outcome.result.converged:
        message = outcome.result.message.rstrip(".")
        return None, f"{message[:1].lower()}{message[1:]}"
    return outcome, ""


def _baselines(
    data: Data, plan: Plan, least_squares: Outcome | None
) -> dict[str, tuple[float, float]]:
    if not len(data.parts.validation):
        return {}
    X, y, weight = data.part(data.parts.train)
    errors = {"mean only": _both_errors(data, np.full_like(data.y, _mean(y, weight)))}
    if least_squares is not None:
        with suppress(MemoryError):
            result = fastreg.solve(
                X, y, alpha=0.0, sample_weight=weight, standardize=plan.standardize
            )
            errors[NAMES["none"]] = _both_errors(data, result.predict(data.X))
    return errors


def _both_errors(data: Data, predicted: Floats) -> tuple[float, float]:
    residuals = data.y - predicted
    train, validation = data.parts.train, data.parts.validation
    return _rms(residuals[train], data, train), _rms(residuals[validation], data, validation)


def _fit(data: Data, plan: Plan, penalty: str, **options: float) -> Outcome:
    start = time.perf_counter()
    alpha = 0.0 if penalty == "none" else plan.alpha
    search = None
    if alpha is None:
        search = _search(data, plan, penalty)
        alpha = search.alpha
    X, y, weight = data.part(data.parts.fitted)
    result = fastreg.solve(
        X,
        y,
        alpha=alpha,
        l1_ratio=plan.ratio(penalty),
        sample_weight=weight,
        standardize=plan.standardize,
        **cast(Any, options),
    )
    seconds = time.perf_counter() - start
    residuals = data.y[data.parts.test]
    if len(residuals):
        residuals = residuals - result.predict(data.X[data.parts.test])
    return Outcome(
        penalty=penalty,
        search=search,
        result=result,
        test_residuals=residuals,
        test_error=_rms(residuals, data, data.parts.test),
        seconds=seconds,
    )


def _search(data: Data, plan: Plan, penalty: str) -> Search:
    path = _path(data, plan, penalty)
    errors = _path_errors(path, data, data.parts.validation)
    return Search(
        path=path,
        training_errors=_path_errors(path, data, data.parts.train),
        validation_errors=errors,
        chosen=int(np.argmin(errors)),
    )


def _path(data: Data, plan: Plan, penalty: str) -> "fastreg.PathResult":
    X, y, weight = data.part(data.parts.train)
    ratio = plan.ratio(penalty)
    alphas = None
    if ratio == 0.0:
        largest = total_variance(X, weight, plan.standardize)
        alphas = np.geomspace(largest, largest * plan.eps**2, plan.n_alphas)
    return fastreg.solve_path(
        X,
        y,
        alphas=alphas,
        n_alphas=plan.n_alphas,
        eps=plan.eps,
        l1_ratio=ratio,
        sample_weight=weight,
        standardize=plan.standardize,
    )


def total_variance(X: Any, weight: Floats | None, standardize: bool) -> float:
    """Sum the variances of the columns: the L2 penalty of that alpha at least halves every fit.

    There is no smallest alpha that makes all coefficients of an L2 penalty zero, where a path
    could begin. This sum bounds the largest eigenvalue of the covariance of X from above.
    """
    deviation = column_deviations(X, weight)
    total = np.count_nonzero(deviation) if standardize else float(deviation @ deviation)
    return float(total) or 1.0


def column_deviations(X: Any, weight: Floats | None = None) -> Floats:
    """Compute the (weighted) standard deviation of every column; 0 for a constant one."""
    share = np.full(X.shape[0], 1.0 / X.shape[0]) if weight is None else weight / weight.sum()
    mean = np.asarray(share @ X).ravel()
    if hasattr(X, "tocsc"):
        columns = X.tocsc()
        stored = np.diff(columns.indptr)
        centered, filled = columns.copy(), columns.copy()
        centered.data = (columns.data - np.repeat(mean, stored)) ** 2
        filled.data = np.ones_like(columns.data)
        empty = np.where(stored < X.shape[0], 1.0 - share @ filled, 0.0)
        variance = share @ centered + empty * mean**2
    else:
        variance = np.array([share @ (X[:, j] - mean[j]) ** 2 for j in range(X.shape[1])])
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return np.where(deviation > 1e-13 * np.abs(mean), deviation, 0.0)


def lead(first: Outcome, second: Outcome, weight: Floats | None) -> float:
    """How many standard errors the squared errors of two outcomes are apart on the test part."""
    unit = _unit(np.concatenate([first.test_residuals, second.test_residuals]))
    difference = (second.test_residuals / unit) ** 2 - (first.test_residuals / unit) ** 2
    share = np.ones_like(difference) if weight is None else weight
    share = share / share.sum()
    mean = float(share @ difference)
    error = float(np.sqrt(share**2 @ (difference - mean) ** 2))
    return mean / error if error else 0.0


def _mean(y: Floats, weight: Floats | None) -> float:
    return float(np.average(y, weights=weight))


def _path_errors(path: "fastreg.PathResult", data: Data, rows: Rows) -> Floats:
    residuals = data.y[rows][:, None] - path.predict(data.X[rows])
    return np.array([_rms(column, data, rows) for column in residuals.T])


def _rms(residuals: Floats, data: Data, rows: Rows) -> float:
    if not len(rows):
        return float("nan")
    weight = None if data.sample_weight is None else data.sample_weight[rows]
    unit = _unit(residuals)
    return unit * float(np.sqrt(np.average((residuals / unit) ** 2, weights=weight)))


def _unit(values: Floats) -> float:
    """Find a power of two (no rounding) to divide by, so that the squares do not overflow."""
    largest = float(np.max(np.abs(values), initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return 1.0
    return math.ldexp(1.0, math.frexp(largest)[1] - 1)


def check_weights(weight: Floats, parts: Parts) -> None:
    """Refuse weights that are negative, or zero in a whole part."""
    if (weight < 0.0).any():
        raise UserError(f"--weights: {count(int((weight < 0.0).sum()), 'weight')} below zero")
    for rows in (parts.train, parts.validation, parts.test):
        if len(rows) and weight[rows].sum() == 0.0:
            raise UserError("--weights: all rows of one part have weight 0; try another --seed")
