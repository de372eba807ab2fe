"""Fit penalties over a path, choose alpha on one part of the rows, and judge on another.

The rows are split at random into three parts: *train* (the paths are fitted to it), *validation*
(chooses alpha) and *test* (is used once, for the error that is reported). The model of the chosen
alpha is then fitted to train and validation together; it is this model whose error is measured
and which is saved. With an alpha that is given there is no validation part.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import fastreg
from fastreg.cli.heldout import Data, Rows, power_of_two, rms
from fastreg.cli.scales import total_variance

Floats = NDArray[np.float64]

T = TypeVar("T")

PENALTIES = ("l2", "l1", "elasticnet")
NAMES = {
    "none": "least squares",
    "l2": "L2 (ridge)",
    "l1": "L1 (lasso)",
    "elasticnet": "elastic net",
}

#: The least-squares baseline is not waited for longer than this, in seconds.
BASELINE_SECONDS = 60.0

#: How many residuals are held at once, 32 MiB of them.
BLOCK = 2**22


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to fit.

    Attributes
    ----------
    penalties : tuple of str
        Of ``l1``, ``l2``, ``elasticnet``, ``none``.
    l1_ratio : float
        For the elastic net; see `ratio`.
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

    def ratio(self, penalty: str, deviation: float) -> float:
        """Give the l1_ratio of a penalty on a target of this standard deviation.

        The L1 part of a penalty is in the unit of the target, the L2 part is not: one mixture of
        alphas would be nearly L2 for a price in cents, and nearly L1 for the same in millions. On
        a path the mixture is therefore that of the target scaled to standard deviation 1.
        """
        share = {"l1": 1.0, "l2": 0.0, "none": 1.0}.get(penalty, self.l1_ratio)
        if self.alpha is not None:
            return share
        return share * deviation / (share * deviation + (1.0 - share))


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
    mean = data.mean(data.parts.fitted)
    return Comparison(
        data=data,
        outcomes=tuple(outcomes),
        least_squares=least_squares,
        why_no_least_squares=why,
        mean_error=data.error(data.y[data.parts.test] - mean, data.parts.test),
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
    mean = data.mean(data.parts.train)
    errors = {"mean only": _both_errors(data, np.full_like(data.y, mean))}
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
    return data.error(residuals[train], train), data.error(residuals[validation], validation)


def _fit(data: Data, plan: Plan, penalty: str, **options: float) -> Outcome:
    alpha, search, seconds = plan.alpha, None, 0.0
    if penalty == "none":
        alpha = 0.0
    elif alpha is None:
        path, seconds = _timed(_path, data, plan, penalty)
        search = _search(path, data)
        alpha = search.alpha
    result, more = _timed(_final, data, plan, penalty, alpha=alpha, **options)
    if not (np.isfinite(result.coef).all() and np.isfinite(result.intercept)):
        raise ValueError("the numbers are too large or too small to compute with")
    test = data.parts.test
    residuals = data.y[test]
    if len(residuals):
        residuals = residuals - result.predict(data.X[test])
    return Outcome(
        penalty=penalty,
        search=search,
        result=result,
        test_residuals=residuals,
        test_error=data.error(residuals, test),
        seconds=seconds + more,
    )


def _timed(function: Callable[..., T], *args: Any, **options: Any) -> tuple[T, float]:
    start = time.perf_counter()
    return function(*args, **options), time.perf_counter() - start


def _final(data: Data, plan: Plan, penalty: str, **options: Any) -> "fastreg.Result":
    X, y, weight = data.part(data.parts.fitted)
    return fastreg.solve(
        X,
        y,
        l1_ratio=plan.ratio(penalty, data.deviation(data.parts.train)),
        sample_weight=weight,
        standardize=plan.standardize,
        **options,
    )


def _search(path: "fastreg.PathResult", data: Data) -> Search:
    errors = _path_errors(path, data, data.parts.validation)
    return Search(
        path=path,
        training_errors=_path_errors(path, data, data.parts.train),
        validation_errors=errors,
        chosen=int(np.argmin(errors)),
    )


def _path_errors(path: "fastreg.PathResult", data: Data, rows: Rows) -> Floats:
    """Compute the error of every alpha, some rows at a time: their residuals are a wide matrix."""
    blocks = np.array_split(rows, 1 + len(rows) * len(path) // BLOCK)
    parts = []
    for block in blocks:
        residuals = data.y[block][:, None] - path.predict(data.X[block])
        parts.append([data.error(column, block) for column in residuals.T])
    weight = np.array([data.weight_of(block) for block in blocks])
    return np.array([rms(column, weight) for column in np.transpose(parts)])


def _path(data: Data, plan: Plan, penalty: str) -> "fastreg.PathResult":
    X, y, weight = data.part(data.parts.train)
    ratio = plan.ratio(penalty, data.deviation(data.parts.train))
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


def lead(first: Outcome, second: Outcome, weight: Floats | None) -> float:
    """How many standard errors the squared errors of two outcomes are apart on the test part."""
    unit = power_of_two(np.concatenate([first.test_residuals, second.test_residuals]))
    difference = (second.test_residuals / unit) ** 2 - (first.test_residuals / unit) ** 2
    share = np.ones_like(difference) if weight is None else weight
    share = share / share.sum()
    mean = float(share @ difference)
    error = float(np.sqrt(share**2 @ (difference - mean) ** 2))
    return mean / error if error else 0.0
