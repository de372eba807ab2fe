"""The function `validate`: folds, grid, scores, choice, fit to all rows."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np

from fastreg.api import path_result
from fastreg.engine import Engine
from fastreg.grid import check_grid, default_grid
from fastreg.inputs import (
    Array,
    as_alphas,
    as_float,
    as_matrix,
    as_response,
    as_strength,
)
from fastreg.problem import Problem, prepare
from fastreg.result import PathResult
from fastreg.settings import Settings, resolve_settings
from fastreg.validation.folds import Folds, make_folds
from fastreg.validation.paths import Scored, Task, score_folds
from fastreg.validation.result import ValidationResult
from fastreg.validation.scores import as_score, average
from fastreg.validation.selection import (
    Curve,
    best,
    check_selection,
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
        largest alpha; with several l1_ratios, of their largest alphas within, the one with the
        fewest nonzero coefficients. A callable takes a `Curve` and returns an index.
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
    started = monotonic()
    chosen = resolve_settings(settings, options)
    check_selection(selection)
    if not isinstance(refit, (bool, np.bool_)):
        raise TypeError(f"refit must be True or False, got {refit!r}")
    check_grid(n_alphas, eps)
    ratios = _as_ratios(l1_ratio)
    grid = None if alphas is None else _as_grids(alphas, len(ratios))
    matrix, names = as_matrix(X)
    model = {
        "fit_intercept": fit_intercept,
        "penalty_factor": penalty_factor,
        "lower": lower,
        "upper": upper,
        "positive": positive,
        "standardize": standardize,
    }
    targets, shift = _as_targets(y, offset, matrix.shape[0])
    if grid is None:
        depth = np.power(eps, np.arange(n_alphas) / max(n_alphas - 1, 1))
        rough = np.broadcast_to(depth, (len(ratios), n_alphas))
    else:
        rough = grid
    task = Task(
        X=matrix,
        y=targets,
        offset=shift,
        weight=np.ones(matrix.shape[0]),
        weighted=sample_weight is not None,
        model=model,
        l1_ratios=ratios,
        alphas=rough,
        score=as_score(scoring),
        settings=chosen,
        started=started,
    )
    if sample_weight is not None:
        weight = as_float("sample_weight", sample_weight, ndim=(0, 1))
        task = replace(task, weight=np.broadcast_to(weight, (matrix.shape[0],)) + 0.0)
    whole = _prepare_all(task, sample_weight) if grid is None or refit else None
    if grid is None:
        assert whole is not None
        task = replace(
            task,
            alphas=np.stack(
                [default_grid(whole, ratio, n_alphas, eps, chosen, started) for ratio in ratios]
            ),
        )
    folds = make_folds(
        matrix,
        targets,
        cv=cv,
        foldid=foldid,
        groups=groups,
        stratify=stratify,
        time_ordered=time_ordered,
        shuffle=shuffle,
        random_state=random_state,
    )
    folds.require_weight(task.weight)
    scored, method = score_grid(task, folds)
    fold_weights = np.array([float(task.weight[rows].sum()) for rows in folds.test])
    mean, standard_error = average(scored.scores, fold_weights)
    curve = Curve(
        alphas=task.alphas[None],
        mean=mean[None],
        standard_error=standard_error[None],
        n_active=(scored.n_active @ (fold_weights / fold_weights.sum()))[None],
        greater_is_better=task.score.greater_is_better,
    )
    place = select(curve, selection)
    path = None
    if refit:
        assert whole is not None
        whole = replace(whole, feature_names=names)
        i, n_points = place[1], task.alphas.shape[1]
        engine = Engine(whole, chosen, float(ratios[i]), task.alphas[i], started)
        record = engine.new_record(n_points)
        engine.run_all(record, None)
        path = path_result(engine, record, False, monotonic() - started)
    axes = 1 if np.ndim(l1_ratio) == 0 else 2
    return _result(task, folds, scored, curve, path, place, selection, axes, method, fold_weights)


def score_grid(task: Task, folds: Folds) -> tuple[Scored, str]:
    """Return the scores of all folds by the way that suits them, and its name."""
    return score_folds(task, folds), "paths"


def _result(
    task: Task,
    folds: Folds,
    scored: Scored,
    curve: Curve,
    path: PathResult | None,
    place: tuple[int, ...],
    selection: Any,
    axes: int,
    method: str,
    fold_weights: Array,
) -> ValidationResult:
    """Return the result, its grid with the last `axes` of the three axes."""

    def drop(values: Array) -> Array:
        return values.reshape(values.shape[3 - axes :])

    def short(index: tuple[int, ...]) -> tuple[int, ...]:
        return index[3 - axes :]

    statuses = [scored.status] if path is None else [scored.status, path.status]
    gaps = [scored.relative_gap] if path is None else [scored.relative_gap, path.relative_gap]
    bad = sum(int(np.count_nonzero(np.asarray(status) <= 0)) for status in statuses)
    return ValidationResult(
        alphas=drop(curve.alphas),
        l1_ratios=task.l1_ratios,
        degrees=None,
        scoring=task.score.name,
        greater_is_better=task.score.greater_is_better,
        fold_scores=scored.scores.reshape(scored.scores.shape[2 - axes :]),
        fold_weights=fold_weights,
        mean=drop(curve.mean),
        standard_error=drop(curve.standard_error),
        n_active=drop(curve.n_active),
        selection=selection if isinstance(selection, str) else _name(selection),
        index=short(place),
        index_min=short(best(curve)),
        index_1se=short(one_standard_error(curve)),
        result=None if path is None else path[place[2]],
        path=path,
        folds=folds,
        largest_gap=max(float(np.max(gap)) for gap in gaps),
        n_unconverged=bad,
        n_fits=sum(np.size(status) for status in statuses),
        n_passes=scored.n_passes + (0 if path is None else path.n_passes),
        seconds=monotonic() - task.started,
        method=method,
    )


def _name(selection: Any) -> str:
    return str(getattr(selection, "__name__", type(selection).__name__))


def _prepare_all(task: Task, sample_weight: Any) -> Problem:
    """Return the problem of all rows."""
    return prepare(
        task.X,
        task.y,
        offset=task.offset,
        sample_weight=sample_weight,
        plan=task.plan(task.settings),
        **task.model,
    )


def _as_ratios(l1_ratio: Any) -> Array:
    """Return the l1_ratios as an array."""
    if np.ndim(l1_ratio) == 0:
        return np.array([as_strength("l1_ratio", l1_ratio, high=1.0)])
    if np.ndim(l1_ratio) != 1 or len(l1_ratio) == 0:
        raise ValueError("l1_ratio must be a number or a sequence of at least one number")
    return np.array([as_strength("l1_ratio", ratio, high=1.0) for ratio in l1_ratio])


def _as_grids(alphas: Any, n_ratios: int) -> Array:
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
