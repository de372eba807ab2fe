"""The function `validate`: folds, grid, scores, choice, fit to all rows."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from time import monotonic
from typing import Any

import numpy as np

from fastreg.grid import check_grid
from fastreg.inputs import (
    Array,
    as_alphas,
    as_float,
    as_matrix,
    as_response,
    as_strength,
    as_weight,
)
from fastreg.settings import Settings, resolve_settings
from fastreg.survey import RangeError
from fastreg.validation.folds import Folds, make_folds
from fastreg.validation.from_moments import MomentScorer, takes_moments
from fastreg.validation.paths import PathScorer, Search, Task
from fastreg.validation.relaxing import RelaxedScorer, as_blends
from fastreg.validation.result import ValidationResult
from fastreg.validation.scores import as_score, average
from fastreg.validation.selection import (
    Curve,
    best,
    check_selection,
    name_of,
    one_standard_error,
    select,
)


def validate(
    X: Any,
    y: Any,
    *,
    alphas: Any = None,
    n_alphas: int = 100,
    eps: float = 1e-3,
    l1_ratio: Any = 1.0,
    relax: Any = None,
    cv: Any = 5,
    foldid: Any = None,
    groups: Any = None,
    stratify: Any = None,
    time_ordered: bool = False,
    shuffle: bool = False,
    random_state: Any = None,
    scoring: Any = "mean_squared_error",
    selection: Any = "min",
    refit: bool = True,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    offset: Any = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: bool = False,
    standardize: bool = False,
    settings: Settings | None = None,
    **options: Any,
) -> ValidationResult:
    """Choose alpha and l1_ratio by the score of held-out rows, averaged over folds.

        mean(alpha, l1_ratio) = sum_k v_k score(y_i, b_k + x_i'w_k : i held out by fold k)

    with (w_k, b_k) the minimiser of the objective of `solve` on the rows that fold k trains on, and
    v_k the share of the sample weights that it holds out. The standard error is
    sqrt(sum_k v_k (score_k - mean)^2 / (K - 1)).

    Parameters
    ----------
    X, y, fit_intercept, offset, penalty_factor, lower, upper, positive, standardize
        As in `solve`. Means and deviations are those of the rows a fold trains on.
    alphas : array of shape (n_alphas,) or (n_l1_ratios, n_alphas), optional
        The grid, in any order. Default: `alpha_grid` of all rows, for each l1_ratio.
    n_alphas, eps : int, float
        As in `solve_path`.
    l1_ratio : float or sequence of float, default 1.0
        A sequence is validated jointly with alpha.
    relax : float or sequence of float in [0, 1], optional
        Blends of each fit with least squares on its support, w = relax w_path + (1 - relax) w_LS:
        1 is the path, 0 least squares (see `relax`; glmnet's gamma). A sequence is validated
        jointly with alpha. The least-squares fits of a fold are those of the rows it trains on.
    cv : int, float, splitter or iterable of (train, test), default 5
        Folds in the order of the rows; a float in (0, 1) is the share of rows, the last ones, that
        are held out once; an object with a method ``split``, as scikit-learn's, makes its own.
    foldid : array of shape (n_samples,), optional
        In place of cv: the fold that holds out each row; negative for none.
    groups : array of shape (n_samples,), optional
        Rows of one group are never parted.
    stratify : array of shape (n_samples,), optional
        Labels of which every fold gets its share.
    time_ordered : bool, default False
        Every fold trains on the rows before those it holds out.
    shuffle, random_state
        Folds of rows (or groups) at random; an int or a generator makes them reproducible.
    scoring : str, callable or Score, default "mean_squared_error"
        Or "mean_absolute_error", "r2", "deviance", or an error (y_true, y_pred, sample_weight) ->
        float; `Score` names one, and says whether it is a merit. Of several responses the average
        score counts.
    selection : {"min", "1se"} or callable, default "min"
        "min" is the best mean. "1se" is the simplest point within one standard error of it: the
        largest alpha; with several l1_ratios or blends, of their largest alphas within, the one
        with the fewest nonzero coefficients. A callable takes a `Curve` and returns an index.
    refit : bool, default True
        Whether to fit all rows, along the alphas of the chosen l1_ratio.
    sample_weight : array of shape (n_samples,), optional
        Weights >= 0 of the rows in grid, fits, scores, and of the folds in their mean; a weight of
        k equals k copies of the row in the same fold.
    settings, **options
        As in `solve`. With several ``n_threads``, folds run in parallel; results are the same.

    Returns
    -------
    ValidationResult

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    References
    ----------
    L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees", 1984.
    """
    if not isinstance(refit, (bool, np.bool_)):
        raise TypeError(f"refit must be True or False, got {refit!r}")
    folds = {
        "cv": cv,
        "foldid": foldid,
        "groups": groups,
        "stratify": stratify,
        "time_ordered": time_ordered,
        "shuffle": shuffle,
        "random_state": random_state,
    }
    model = {
        "fit_intercept": fit_intercept,
        "penalty_factor": penalty_factor,
        "lower": lower,
        "upper": upper,
        "positive": positive,
        "standardize": standardize,
    }
    return explore(
        X,
        y,
        alphas=alphas,
        n_alphas=n_alphas,
        eps=eps,
        l1_ratio=l1_ratio,
        relax=relax,
        folds=folds,
        scoring=scoring,
        selection=selection,
        refit="path" if refit else "none",
        sample_weight=sample_weight,
        offset=offset,
        model=model,
        settings=resolve_settings(settings, options),
    )


def explore(
    X: Any,
    y: Any,
    *,
    alphas: Any,
    n_alphas: int,
    eps: float,
    l1_ratio: Any,
    folds: dict[str, Any],
    scoring: Any,
    selection: Any,
    refit: str,
    sample_weight: Any,
    offset: Any,
    model: dict[str, Any],
    settings: Settings,
    weigh_folds: bool = True,
    relax: Any = None,
) -> ValidationResult:
    """Do what `validate` says, with the arguments of `make_folds` and `prepare` in dictionaries.

    `refit` is "path", "point" (the chosen one only) or "none"; without `weigh_folds` all folds
    count the same.
    """
    started = monotonic()
    check_selection(selection)
    check_grid(n_alphas, eps)
    ratios = as_ratios(l1_ratio)
    blends = as_blends(relax)
    matrix, names = as_matrix(X)
    n = matrix.shape[0]
    targets, shift = _as_targets(y, offset, n)
    weighted = sample_weight is not None
    as_weight(sample_weight, n)  # checks
    weight = np.ones(n)
    if weighted:
        weight = weight * as_float("sample_weight", sample_weight, ndim=(0, 1))
    grid = None if alphas is None else as_grids(alphas, len(ratios))
    task = Task(
        X=matrix,
        y=targets,
        offset=shift,
        weight=weight,
        weighted=weighted,
        model=model,
        l1_ratios=ratios,
        alphas=_rough_grid(n_alphas, eps) if grid is None else grid,
        score=as_score(scoring),
        settings=settings,
        started=started,
    )
    made = make_folds(matrix, targets, **folds)
    made.require_weight(weight)
    fold_weights = np.array([float(weight[rows].sum()) for rows in made.test])
    found = conclude(
        _scorer(task, made) if blends is None else RelaxedScorer(task, made, blends),
        task,
        grid,
        n_alphas,
        eps,
        fold_weights if weigh_folds else np.ones(len(made)),
        selection,
        refit,
        several=np.ndim(l1_ratio) > 0,
        several_blends=np.ndim(relax) > 0,
        folds=made,
    )
    if names is None:
        return found
    return replace(
        found,
        path=None if found.path is None else replace(found.path, feature_names=names),
        result=None if found.result is None else replace(found.result, feature_names=names),
    )


@lru_cache(maxsize=8)
def _rough_grid(n_alphas: int, eps: float) -> Array:
    """Return what a grid is like, up to a factor; not to be written to."""
    return np.power(eps, np.arange(n_alphas) / max(n_alphas - 1, 1))[None]


def _scorer(task: Task, folds: Folds) -> MomentScorer | PathScorer:
    if takes_moments(task, folds):
        try:
            return MomentScorer.of(task, folds)
        except RangeError:
            pass  # paths bring every column to a size of its own first
    return PathScorer(task, folds)


def conclude(
    scorer: MomentScorer | PathScorer,
    search: Search,
    grid: Array | None,
    n_alphas: int,
    eps: float,
    fold_weights: Array,
    selection: Any,
    refit: str,
    *,
    several: bool,
    several_blends: bool = False,
    folds: Folds | None = None,
) -> ValidationResult:
    """Make the grid if there is none, score the folds, choose, fit all rows.

    With `several` l1_ratios the result has an axis for them, and so with `several_blends`.
    """
    grid = scorer.grid(n_alphas, eps) if grid is None else grid
    ratios = search.l1_ratios
    blends = scorer.blends if isinstance(scorer, RelaxedScorer) else None
    n_blends = 1 if blends is None else len(blends)
    scored = scorer.score(grid)
    mean, standard_error = average(scored.scores, fold_weights)
    curve = Curve(  # whose second axis is one for l1_ratio and blend
        alphas=np.repeat(grid, n_blends, axis=0)[None],
        mean=mean[None],
        standard_error=standard_error[None],
        n_active=(scored.n_active @ (fold_weights / fold_weights.sum()))[None],
        greater_is_better=search.score.greater_is_better,
    )
    place = select(curve, selection)
    i, j = place[1] // n_blends, place[2]
    path = result = relaxed = None
    if refit == "path":
        path = scorer.path(float(ratios[i]), grid[i])
        result = path[j]
        relaxed = scorer.relax(path) if isinstance(scorer, RelaxedScorer) else None
    elif refit == "point":
        result = scorer.solve(float(ratios[i]), float(grid[i, j]))
    fits = [scored] + [one for one in (path if path is not None else result,) if one is not None]
    shape = len(ratios), n_blends, grid.shape[1]
    kept = several, several_blends, True

    def drop(values: Array, *last: int) -> Array:
        """Return those axes of the grid that the user gave, and a last one."""
        return values.reshape(*(n for n, keep in zip(shape, kept, strict=True) if keep), *last)

    def short(at: tuple[int, ...]) -> tuple[int, ...]:
        full = at[1] // n_blends, at[1] % n_blends, at[2]
        return tuple(k for k, keep in zip(full, kept, strict=True) if keep)

    return ValidationResult(
        alphas=drop(curve.alphas),
        l1_ratios=ratios,
        degrees=None,
        scoring=search.score.name,
        greater_is_better=search.score.greater_is_better,
        fold_scores=drop(scored.scores, scored.scores.shape[-1]),
        fold_weights=fold_weights,
        mean=drop(curve.mean),
        standard_error=drop(curve.standard_error),
        n_active=drop(curve.n_active),
        selection=name_of(selection),
        index=short(place),
        index_min=short(best(curve)),
        index_1se=short(one_standard_error(curve)),
        result=result,
        path=path,
        folds=folds,
        largest_gap=max(float(np.max(fit.relative_gap)) for fit in fits),
        n_unconverged=sum(int(np.count_nonzero(np.asarray(fit.status) <= 0)) for fit in fits),
        n_fits=sum(np.size(fit.status) for fit in fits),
        n_passes=scored.n_passes + scorer.n_passes,
        seconds=monotonic() - search.started,
        method=scorer.method,
        blends=blends,
        relaxed=relaxed,
    )


def as_ratios(l1_ratio: Any) -> Array:
    """Return the l1_ratios as an array."""
    if np.ndim(l1_ratio) == 0:
        return np.array([as_strength("l1_ratio", l1_ratio, high=1.0)])
    if np.ndim(l1_ratio) != 1 or len(l1_ratio) == 0:
        raise ValueError("l1_ratio must be a number or a sequence of at least one number")
    return np.array([as_strength("l1_ratio", ratio, high=1.0) for ratio in l1_ratio])


def as_grids(alphas: Any, n_ratios: int) -> Array:
    """Return a decreasing grid for each l1_ratio."""
    array = as_float("alphas", alphas, ndim=(1, 2))
    if array.ndim == 1:
        return np.tile(as_alphas(array), (n_ratios, 1))
    if len(array) != n_ratios:
        raise ValueError(
            f"alphas must be a vector or have a row for each of {n_ratios} l1_ratios, "
            f"got shape {array.shape}"
        )
    return np.stack([as_alphas(row) for row in array])


def _as_targets(y: Any, offset: Any, n: int) -> tuple[Array, Array | None]:
    """Return y, of one or two dimensions, and the offset in its shape."""
    responses, many = as_response(y, n)
    targets = responses if many else responses[:, 0]
    if offset is None:
        return targets, None
    shift = as_float("offset", offset, ndim=(1, 2))
    if shift.shape not in ((n,), targets.shape):
        raise ValueError(f"offset must have shape ({n},) or that of y, got {shift.shape}")
    if shift.ndim < targets.ndim:
        shift = shift[:, None]
    return targets, np.broadcast_to(shift, targets.shape) + 0.0
