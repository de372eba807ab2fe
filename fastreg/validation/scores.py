"""How well predictions fit, and how the folds are averaged.

With e_k the score of fold k, and v_k the sum of the sample weights that it holds out, as a share of
all that is held out,

    mean = sum_k v_k e_k,    standard error = sqrt(sum_k v_k (e_k - mean)^2 / (K - 1)),

which for folds of equal weight is the standard deviation of the e_k over sqrt(K). For means over
rows (squared and absolute errors, deviance) of a partition the mean is that over all rows at once.

L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees", 1984, 3.4.3;
J. Friedman, T. Hastie, R. Tibshirani, "Regularization Paths for Generalized Linear Models via
Coordinate Descent", J. Stat. Softw. 33(1), 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import numpy as np

from fastreg.inputs import Array

_BLOCK = 1 << 21  # predictions that are held at a time


@dataclass(frozen=True)
class Score:
    """A measure of predictions.

    Parameters
    ----------
    name : str
    function : callable
        (y_true, y_pred, sample_weight) -> float; the weights are None or those of the rows.
    greater_is_better : bool, default False
    """

    name: str
    function: Callable[[Any, Any, Any], float]
    greater_is_better: bool = False

    def of_columns(self, y: Array, predicted: Array, weight: Array | None) -> Array:
        """Return the score of each of several predictions, (n, k) or (n, k, m) of (n, m)."""
        many = _COLUMNS.get(self.name) if self.function is _by_columns else None
        if many is None:
            columns = range(predicted.shape[1])
            return np.array([_number(self.function(y, predicted[:, i], weight)) for i in columns])
        share = np.full(len(y), 1.0 / len(y)) if weight is None else weight / weight.sum()
        if y.ndim == 1:
            return many(y[:, None], predicted, share)
        each = [many(y[:, [j]], predicted[:, :, j], share) for j in range(y.shape[1])]
        return np.asarray(np.mean(each, axis=0))


def _number(value: Any) -> float:
    if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf":
        return float(value)
    raise TypeError(f"scoring must return a number, got {value!r}")


def _squared(y: Array, predicted: Array, share: Array) -> Array:
    error = predicted - y
    error *= error
    return np.asarray(share @ error)


def _absolute(y: Array, predicted: Array, share: Array) -> Array:
    error = predicted - y
    return np.asarray(share @ np.abs(error, out=error))


def _r2(y: Array, predicted: Array, share: Array) -> Array:
    """Return 1 - squared error / variance; of a constant y, 1 if it is met and 0 otherwise."""
    used = y[share > 0]
    if len(used) < 2:
        raise ValueError("scoring='r2' needs at least two held-out rows of positive weight a fold")
    error = _squared(y, predicted, share)
    if (used == used[0]).all():
        return np.where(error == 0.0, 1.0, 0.0)
    centred = y[:, 0] - used[0, 0]
    centred -= share @ centred
    return np.asarray(1.0 - error / float(share @ (centred * centred)))


_COLUMNS = {
    "mean_squared_error": _squared,
    "mean_absolute_error": _absolute,
    "deviance": _squared,  # of a normal distribution of unit variance
    "r2": _r2,
}


def _by_columns(y: Any, predicted: Any, weight: Any) -> float:
    raise NotImplementedError  # stands for the functions above


_NAMED = {name: Score(name, _by_columns, name == "r2") for name in _COLUMNS}


def as_score(scoring: Any) -> Score:
    """Return the score that a name, a function (an error) or a `Score` stands for."""
    if isinstance(scoring, Score):
        return scoring
    if hasattr(scoring, "_score_func"):
        raise TypeError(
            "scoring must be a function (y_true, y_pred, sample_weight) -> error, or a fastreg "
            f"Score for a merit, not a scorer, which takes an estimator; got {scoring!r}"
        )
    if isinstance(scoring, str):
        if scoring not in _NAMED:
            raise ValueError(f"scoring must be one of {', '.join(_NAMED)}, got {scoring!r}")
        return _NAMED[scoring]
    if callable(scoring):
        return Score(getattr(scoring, "__name__", "score"), _by_keyword(scoring))
    raise TypeError(f"scoring must be a name, a callable or a fastreg Score, got {scoring!r}")


def _by_keyword(function: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
    """Return the function with its weights as the third argument, if it knows them by name only.

    The metrics of scikit-learn do.
    """
    try:
        weight = signature(function).parameters.get("sample_weight")
    except (TypeError, ValueError):  # built in
        weight = None
    if weight is None or weight.kind is not Parameter.KEYWORD_ONLY:
        return function
    return lambda y, predicted, share: function(y, predicted, sample_weight=share)


def is_squared_error(score: Score) -> bool:
    """Whether the score is the mean of squared errors, which moments give without predictions."""
    return score.function is _by_columns and _COLUMNS[score.name] is _squared


def columns_at_once(n_rows: int) -> int:
    """Return how many predictions of so many rows are made at a time."""
    return max(1, _BLOCK // max(n_rows, 1))


def average(scores: Array, weights: Array) -> tuple[Array, Array]:
    """Return mean and standard error over the folds, the last axis; nan for one fold."""
    share = weights / weights.sum()
    mean = scores @ share
    n_folds = scores.shape[-1]
    if n_folds == 1:
        return mean, np.full(mean.shape, np.nan)
    off = scores - mean[..., None]
    unit = np.max(np.abs(off), initial=0.0)  # scores may be squares, whose squares are no numbers
    if not 0.0 < unit < np.inf:
        unit = 1.0
    return mean, unit * np.sqrt((off / unit) ** 2 @ share / (n_folds - 1))
