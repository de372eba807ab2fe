"""The function `validate_moments`: validation of what was never in memory at once."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import numpy as np

from fastreg.grid import check_grid
from fastreg.moments import Moments
from fastreg.settings import Settings, resolve_settings
from fastreg.validation.from_moments import MomentScorer
from fastreg.validation.paths import Search
from fastreg.validation.result import ValidationResult
from fastreg.validation.run import as_grids, as_ratios, conclude
from fastreg.validation.scores import as_score
from fastreg.validation.selection import check_selection


def validate_moments(
    folds: Sequence[Moments],
    *,
    alphas: Any = None,
    n_alphas: int = 100,
    eps: float = 1e-3,
    l1_ratio: Any = 1.0,
    selection: Any = "min",
    refit: bool = True,
    fit_intercept: bool = True,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: bool = False,
    standardize: bool = False,
    settings: Settings | None = None,
    **options: Any,
) -> ValidationResult:
    """Choose alpha and l1_ratio by held-out squared error, from the moments of each fold alone.

        mean(alpha, l1_ratio) = sum_k v_k error_k(w_k, b_k)

    with (w_k, b_k) fitted to the sum of the moments of all other folds, and the mean squared error
    on the rows of fold k from its moments; v_k is its share of the weights. What `validate` does
    with rows, for data larger than memory: spread chunks, or rows, over several `Moments`.

    Parameters
    ----------
    folds : sequence of Moments
        At least two, of the same columns and responses, each of rows of its own.
    alphas, n_alphas, eps, l1_ratio, selection, refit, fit_intercept, penalty_factor, lower, \
upper, positive, standardize, settings, **options
        As in `validate`.

    Returns
    -------
    ValidationResult
        Without `folds`. An error that is all but zero beside the variance of the responses carries
        the rounding of the moments.

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    Examples
    --------
    >>> import numpy as np, fastreg
    >>> rng = np.random.default_rng(0)
    >>> folds = [fastreg.Moments() for _ in range(5)]
    >>> for chunk in range(20):
    ...     X = rng.standard_normal((100, 8))
    ...     y = X[:, 0] + rng.standard_normal(100)
    ...     _ = folds[chunk % 5].add(X, y)
    >>> int(fastreg.validate_moments(folds, selection="1se").result.n_active)
    1
    """
    started = monotonic()
    chosen = resolve_settings(settings, options)
    check_selection(selection)
    check_grid(n_alphas, eps)
    if not isinstance(refit, (bool, np.bool_)):
        raise TypeError(f"refit must be True or False, got {refit!r}")
    parts = list(folds)
    for k, part in enumerate(parts):
        if not isinstance(part, Moments):
            raise TypeError(f"folds must hold Moments, but fold {k} is a {type(part).__name__}")
        if part.weight_sum == 0.0:
            raise ValueError(f"fold {k} of folds has no rows of positive weight")
    if len(parts) < 2:
        raise ValueError(f"folds must hold at least two Moments, got {len(parts)}")
    ratios = as_ratios(l1_ratio)
    grid = None if alphas is None else as_grids(alphas, len(ratios))
    search = Search(
        model={
            "fit_intercept": fit_intercept,
            "penalty_factor": penalty_factor,
            "lower": lower,
            "upper": upper,
            "positive": positive,
            "standardize": standardize,
        },
        l1_ratios=ratios,
        alphas=np.empty((len(ratios), 0)),  # before the grid is made
        score=as_score("mean_squared_error"),
        settings=chosen,
        started=started,
    )
    return conclude(
        MomentScorer(search, parts),
        search,
        grid,
        n_alphas,
        eps,
        np.array([part.weight_sum for part in parts]),
        selection,
        "path" if refit else "none",
        several=np.ndim(l1_ratio) > 0,
    )
