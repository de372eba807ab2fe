"""Stability selection: which features a path selects on half of the rows, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.choice import Plan, decades
from fastreg.engine import Engine
from fastreg.grid import check_grid, default_grid
from fastreg.inputs import (
    Array,
    as_alphas,
    as_float,
    as_generator,
    as_labels,
    as_matrix,
    as_strength,
    known_model,
)
from fastreg.problem import Problem, prepare
from fastreg.selection_bounds import bound_of, largest_selection
from fastreg.settings import Settings, resolve_settings
from fastreg.threads import in_threads

Labels = npt.NDArray[np.intp]

ASSUMPTIONS = ("none", "unimodal", "r-concave")

_FIRST = 10  # alphas of the first part of a path that ends when enough features have entered
_MOST_PAIRS = 1_000_000


@dataclass(frozen=True, repr=False)
class StabilitySelection:
    """How often features are selected on half of the rows, and how many of these can be false.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        The grid, decreasing.
    frequency : ndarray of shape (n_alphas, n_features)
        Share of the half-samples on which a feature had entered the path at or before an alpha.
    threshold : float
        Frequency from which a feature is stable.
    selected : ndarray of int
        The stable features: frequency at the last alpha >= threshold.
    n_select : float
        Most features that a half-sample may select, if it was bounded; otherwise their mean number.
    assumption : {"none", "unimodal", "r-concave"}
        What `error_bound` assumes.
    error_bound : float
        Bound on the expected number of selected features that half-samples select with probability
        at most ``n_select / n_features``; inf where there is none.
    n_pairs : int
        Complementary pairs of half-samples.
    n_unconverged : int
        Fits, among those of all half-samples and alphas, that missed their tolerance.
    feature_names : tuple of str or None
        Of a data frame.
    seconds : float
        Wall-clock time of the call.
    """

    alphas: Array
    frequency: Array
    threshold: float
    selected: npt.NDArray[np.intp]
    n_select: float
    assumption: str
    error_bound: float
    n_pairs: int
    n_unconverged: int
    feature_names: tuple[str, ...] | None
    seconds: float

    @property
    def max_frequency(self) -> Array:
        """The frequency of each feature over the whole grid, of shape (n_features,)."""
        return np.asarray(self.frequency[-1])

    def bound(self, assumption: str) -> float:
        """Return `error_bound` under another assumption.

        Raises
        ------
        ValueError
            If the assumption is not one of "none", "unimodal", "r-concave".
        """
        p = self.frequency.shape[1]
        return bound_of(_known(assumption), self.n_select, p, self.threshold, self.n_pairs)

    def __repr__(self) -> str:
        """Return a short table."""
        p = self.frequency.shape[1]
        best = self.max_frequency
        order = self.selected[np.argsort(-best[self.selected], kind="stable")]
        names = self.feature_names
        shown = [f"{names[j] if names else j} ({best[j]:.2f})" for j in order[:8]]
        assumed = self.assumption
        rest = f", {len(order) - 8} more" if len(order) > 8 else ""
        lines = [
            f"StabilitySelection: {self.n_pairs} complementary pairs, {p} features",
            f"  on each half    {self.n_select:g} selected",
            f"  stable          {len(order)} with frequency >= {self.threshold:g}"
            + (": " + ", ".join(shown) + rest if shown else ""),
            f"  of these false  {self.error_bound:.3g} expected at most, assumption: {assumed}",
            f"  work            {self.seconds:.3g} s",
        ]
        if self.n_unconverged:
            lines.append(f"  unconverged     {self.n_unconverged} fits")
        return "\n".join(lines)


def stability_selection(
    X: Any,
    y: Any,
    *,
    n_select: int | None = None,
    error_bound: float | None = None,
    threshold: float = 0.75,
    assumption: str = "none",
    n_pairs: int = 50,
    alphas: Any = None,
    n_alphas: int = 100,
    eps: float = 1e-3,
    l1_ratio: float = 1.0,
    groups: Any = None,
    stratify: Any = None,
    random_state: Any = None,
    sample_weight: Any = None,
    settings: Settings | None = None,
    **options: Any,
) -> StabilitySelection:
    """Return how often each feature enters a path that is fitted to half of the rows.

        frequency_j(alpha) = 1/(2B) sum_b [j entered at or before alpha on half-sample b]
        stable = {j : frequency_j >= threshold}
        E(false) <= q^2 / ((2 threshold - 1) p)

    Rows are drawn in B complementary pairs: two disjoint halves [2]_. A feature counts once it has
    entered, so that what is selected up to an alpha is a set of at most q = n_select features, and
    the last alpha has the largest frequencies. False are the features that half-samples select with
    probability at most q / p, whatever the data; if the procedure is exchangeable on the noise
    features and better than random guessing, these include all noise features [1]_.

    Parameters
    ----------
    X, y, l1_ratio
        As in `solve`; y has one dimension and l1_ratio > 0.
    n_select : int, optional
        q: a path ends before more features enter. Features that enter together, at one alpha of
        the grid, and are too many are left out together. Default: the path runs over the whole
        grid, and q is the mean number of features that were selected.
    error_bound : float, optional
        In place of n_select: q is the largest number whose bound is at most this.
    threshold : float, default 0.75
        In (1/2, 1].
    assumption : {"none", "unimodal", "r-concave"}, default "none"
        For a smaller bound: of the distribution of the share of pairs (for "r-concave" also of
        half-samples) that select a feature which is false in the sense above [2]_.
    n_pairs : int, default 50
        B.
    alphas, n_alphas, eps
        The grid, as in `solve_path`; by default that of all rows.
    groups : array of shape (n_samples,), optional
        Rows of a group are never parted: half of the groups are drawn.
    stratify : array of shape (n_samples,), optional
        Labels; half of the rows (or groups) of each label are drawn. Groups must lie within labels.
    random_state : int, numpy.random.Generator or None, optional
        An int makes the halves reproducible.
    sample_weight : array of shape (n_samples,), optional
        Weights of the rows in the fits; halves are halves of the rows.
    settings : Settings, optional
        Tolerance, limits and method. With several `n_threads` half-samples are fitted in parallel;
        the result is the same to the last bit.
    **options
        Fields of `Settings`, and the model arguments of `solve`: fit_intercept, offset,
        penalty_factor, lower, upper, positive, standardize. Features without a penalty are always
        there; they are no candidates, count neither in q nor in p, and have frequency 0.

    Returns
    -------
    StabilitySelection

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable; the message names it and says what is.

    References
    ----------
    .. [1] N. Meinshausen, P. Buehlmann, "Stability selection", J. R. Stat. Soc. B 72, 2010.
    .. [2] R. D. Shah, R. J. Samworth, "Variable selection with error control: another look at
       stability selection", J. R. Stat. Soc. B 75, 2013.
    """
    started = monotonic()
    model = {k: options.pop(k) for k in list(options) if k in _MODEL}
    known_model(model)
    chosen = resolve_settings(settings, options)
    ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
    if ratio == 0:
        raise ValueError("l1_ratio must be > 0: without an L1 penalty nothing is selected")
    threshold = as_strength("threshold", threshold, high=1.0)
    if threshold <= 0.5:
        raise ValueError(f"threshold must be in (0.5, 1], got {threshold}")
    _known(assumption)
    _check_count("n_pairs", n_pairs, _MOST_PAIRS)
    check_grid(n_alphas, eps)
    matrix, names = as_matrix(X)
    n = matrix.shape[0]
    target = as_float("y", y, ndim=(1,))
    weight = None if sample_weight is None else as_float("sample_weight", sample_weight, ndim=(1,))
    whole = prepare(matrix, target, sample_weight=weight, **model)
    candidates = np.flatnonzero(whole.movable & (whole.l1_unit > 0))
    p = len(candidates)
    if p == 0:
        raise ValueError("X has no penalised feature that varies: nothing can be selected")
    if error_bound is not None:
        if n_select is not None:
            raise ValueError("give n_select or error_bound, not both")
        most = as_strength("error_bound", error_bound)
        n_select = largest_selection(assumption, most, p, threshold, n_pairs)
    elif n_select is not None:
        _check_count("n_select", n_select, p)
    if alphas is None:
        grid = default_grid(whole, ratio, n_alphas, eps, chosen, started)
    else:
        grid = as_alphas(alphas)
    group, strata = _strata(groups, stratify, n)
    generator = as_generator(random_state)
    halves = [half for _ in range(n_pairs) for half in _pair(group, strata, generator)]

    def run(half: npt.NDArray[np.bool_], own: Settings) -> tuple[Array, int]:
        share = half.astype(np.float64) if weight is None else half * weight
        plan = Plan(own, False, decades(grid))
        problem = prepare(matrix, target, sample_weight=share, plan=plan, **model)
        return _entries(problem, own, ratio, grid, candidates, n_select, started)

    each = in_threads(run, halves, chosen)
    entered, unconverged = np.stack([one for one, _ in each]), sum(bad for _, bad in each)
    frequency = np.zeros((len(grid), matrix.shape[1]))
    for i in range(len(grid)):
        frequency[i, candidates] = np.mean(entered <= i, axis=0)
    q = float(np.sum(entered < len(grid)) / len(halves)) if n_select is None else float(n_select)
    bound = bound_of(assumption, q, p, threshold, n_pairs)
    # A share of 2B half-samples is compared as a number of them.
    stable = frequency[-1] * len(halves) >= threshold * len(halves) - 1e-9
    return StabilitySelection(
        alphas=grid,
        frequency=frequency,
        threshold=threshold,
        selected=np.flatnonzero(stable),
        n_select=q,
        assumption=assumption,
        error_bound=bound,
        n_pairs=int(n_pairs),
        n_unconverged=unconverged,
        feature_names=names,
        seconds=monotonic() - started,
    )


_MODEL = ("fit_intercept", "offset", "penalty_factor", "lower", "upper", "positive", "standardize")


def _known(assumption: str) -> str:
    if assumption not in ASSUMPTIONS:
        raise ValueError(f"assumption must be one of {', '.join(ASSUMPTIONS)}, got {assumption!r}")
    return assumption


def _check_count(name: str, value: Any, most: int) -> None:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be >= 1 and <= {most}, got {value}")


def _strata(groups: Any, stratify: Any, n: int) -> tuple[Labels, list[Labels]]:
    """Return the group of each row, and the groups of each stratum."""
    group = np.arange(n) if groups is None else as_labels("groups", groups, n)
    stratum = np.zeros(n, np.intp) if stratify is None else as_labels("stratify", stratify, n)
    of_group = np.zeros(int(group.max()) + 1, np.intp)
    of_group[group] = stratum
    if (of_group[group] != stratum).any():
        raise ValueError("a group has rows of several labels of stratify")
    strata = [np.flatnonzero(of_group == label) for label in range(int(stratum.max()) + 1)]
    if all(len(some) < 2 for some in strata):
        raise ValueError("X cannot be halved: it has fewer than two rows (or groups) of any label")
    return group, strata


def _pair(
    group: Labels, strata: list[Labels], generator: np.random.Generator
) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield two disjoint halves of the rows; of an odd number of groups one is in neither."""
    part = np.zeros(int(group.max()) + 1, dtype=np.int8)
    for groups in strata:
        order, half = generator.permutation(groups), len(groups) // 2
        part[order[:half]] = 1
        part[order[half : 2 * half]] = 2
    for which in (1, 2):
        yield part[group] == which


def _entries(
    problem: Problem,
    settings: Settings,
    l1_ratio: float,
    grid: Array,
    candidates: Labels,
    most: int | None,
    started: float,
) -> tuple[Array, int]:
    """Return at which alpha each candidate enters (len(grid) if never), and the unconverged fits.

    With a bound on their number the grid is run in parts, each from where the last one ended.
    """
    never = len(grid)
    entered = np.full(len(candidates), never)
    start: Array | None = None
    first, size, bad = 0, never if most is None else _FIRST, 0
    while first < never:
        part = grid[first : first + size]
        engine = Engine(problem, settings, l1_ratio, part, started)
        record = engine.new_record(len(part))
        engine.run_all(record, start)
        coef = record.coef[:, 0]
        for i in range(len(part)):
            now = (coef[i, candidates] != 0) & (entered == never)
            if most is not None and int(np.sum(entered < never) + now.sum()) > most:
                return entered, bad
            entered[now] = first + i
            bad += int(record.status[i].min() < 0)
        if most is not None and int(np.sum(entered < never)) == most:
            return entered, bad
        start, first = record.coef[-1], first + len(part)
    return entered, bad
