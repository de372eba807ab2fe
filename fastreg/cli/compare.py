"""Fit penalties, their strength chosen by `fastreg.validate`, all on the same folds."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastreg
from fastreg.cli.heldout import Data, Sample
from fastreg.cli.judge import Estimate, lead, optimism, root_mean
from fastreg.cli.scales import column_deviations, total_variance
from fastreg.threads import watched
from fastreg.validation.degrees import validate_nested

Floats = NDArray[np.float64]

PENALTIES = ("none", "l2", "l1", "elasticnet")
NAMES = {
    "none": "least squares",
    "l2": "L2 (ridge)",
    "l1": "L1 (lasso)",
    "elasticnet": "elastic net",
}

#: The mixtures that are tried where none is given.
L1_RATIOS = (0.1, 0.5, 0.9)

#: In a comparison least squares is not waited for longer than this, in seconds.
BASELINE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to fit.

    Attributes
    ----------
    penalties : tuple of str
        Of ``none``, ``l2``, ``l1``, ``elasticnet``.
    l1_ratios : tuple of float
        Of the elastic net; see `ratio`. Several are tried together with alpha.
    alpha : float or None
        Given, or None: chosen from a path.
    n_alphas, eps : int, float
        The path: how many alphas, and the smallest as a share of the largest (for L2 the square of
        `eps` is that share, as its penalty acts on squares).
    selection : {"min", "1se"}
        Which alpha is chosen.
    standardize : bool
    relax : tuple of float
        Blends with least squares on the features that are kept: 1 is none of it, 0 all. Several are
        tried together with alpha; empty: 1.
    """

    penalties: tuple[str, ...]
    l1_ratios: tuple[float, ...] = L1_RATIOS
    alpha: float | None = None
    n_alphas: int = 100
    eps: float = 1e-3
    selection: str = "min"
    standardize: bool = True
    relax: tuple[float, ...] = ()

    def shares(self, penalty: str) -> tuple[float, ...]:
        """List the mixtures of a penalty as the user says them."""
        return {"l1": (1.0,), "l2": (0.0,), "none": (0.0,)}.get(penalty, self.l1_ratios)

    def ratio(self, share: float, deviation: float) -> float:
        """Give the l1_ratio for a target of this standard deviation.

        The L1 part of a penalty is in the unit of the target, the L2 part is not: one mixture of
        alphas would be nearly L2 for a price in cents, and nearly L1 for the same in millions. On
        a path the mixture is therefore that of the target scaled to standard deviation 1.
        """
        if self.alpha is not None:
            return share
        return share * deviation / (share * deviation + (1.0 - share))

    def alphas(self, penalty: str, data: Data) -> Any:
        """Give the grid, where it is not the usual one of `fastreg.validate`."""
        if penalty == "none":
            return np.zeros(1)
        if self.alpha is not None:
            return np.array([self.alpha])
        if penalty == "l2":
            largest = total_variance(data.fitted.X, data.fitted.sample_weight, self.standardize)
            return np.geomspace(largest, largest * self.eps**2, self.n_alphas)
        return None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One penalty: how its strength was found, and the model that all rows but the test's give.

    Attributes
    ----------
    penalty : str
    shares : tuple of float
        The mixtures that were tried, as the user says them.
    result : fastreg.Result
        With the coefficients of the blend, where there is one, and the proof of its path.
    validation : fastreg.ValidationResult or None
        None: there are no folds.
    test_scores : ndarray
        Squared errors of the test rows.
    seconds : float
        For all fits, those of the folds included.
    """

    penalty: str
    shares: tuple[float, ...]
    result: "fastreg.Result"
    validation: "fastreg.ValidationResult | None"
    test_scores: Floats
    seconds: float

    @property
    def name(self) -> str:
        """The penalty as the user reads it."""
        return NAMES[self.penalty]

    @property
    def share(self) -> float:
        """The mixture that was chosen, as the user says it."""
        return self.shares[0 if self.validation is None else self.place(self.validation.index)[0]]

    def place(self, index: tuple[int, ...]) -> tuple[int, int]:
        """Return which mixture and which blend a point of the grid has."""
        assert self.validation is not None
        return (index[-2], 0) if self.validation.blends is None else (index[-3], index[-2])

    @property
    def blend(self) -> float | None:
        """The blend with least squares that was chosen, where there is one."""
        found = self.validation
        if found is None or found.blends is None:
            return None
        return float(found.blends[self.place(found.index)[1]])

    @property
    def degree(self) -> int | None:
        """The chosen degree, where there are several."""
        return None if self.validation is None else self.validation.degree

    @property
    def is_mixed(self) -> bool:
        """Whether the penalty is an elastic net of another ratio in the units of the target."""
        return 0.0 < self.share < 1.0 and self.result.l1_ratio != self.share

    @property
    def n_kept(self) -> int:
        """The number of features with a coefficient other than zero."""
        return int(np.count_nonzero(self.result.coef))

    @property
    def n_proven(self) -> int:
        """The number of features that are proven to be zero at every optimum."""
        return int(np.count_nonzero(self.result.certified_zero))

    @property
    def at_edge(self) -> bool:
        """Whether the chosen alpha is the smallest of several."""
        found = self.validation
        return found is not None and 1 < found.alphas.shape[-1] == found.index[-1] + 1

    @property
    def solved(self) -> bool:
        """Whether every fit ended with a usable status."""
        return self.result.converged and (self.validation is None or self.validation.converged)

    @property
    def fold_scores(self) -> Floats:
        """Mean squared error of each fold at the chosen point."""
        assert self.validation is not None
        scores: Floats = self.validation.fold_scores[self.validation.index]
        return scores

    @property
    def least_scores(self) -> Floats:
        """The same where the error is least."""
        found = self.validation
        assert found is not None
        if found.index == found.index_min:
            return self.fold_scores
        scores: Floats = found.fold_scores[found.index_min]
        return scores

    @property
    def is_at_least_error(self) -> bool:
        """Whether the chosen point is the one of least held-out error."""
        return self.validation is None or self.validation.index == self.validation.index_min

    @property
    def optimism(self) -> float | None:
        """How much better the least error of the grid looks than its model is; see `judge`.

        None where the error is not the least of several.
        """
        found = self.validation
        if found is None or found.mean.size == 1 or found.index != found.index_min:
            return None
        return optimism(found.fold_scores, found.index, found.fold_weights)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All outcomes on the same folds, and the mean of the target as the simplest model.

    Attributes
    ----------
    data : Data
    outcomes : tuple of Outcome
    left_out : str
        Why least squares is not among them; empty if it is, or was not asked for.
    mean_scores, mean_test_scores : ndarray
        Squared errors of the mean: a mean for each fold, and those of the test rows.
    deviation : ndarray of shape (n_features,)
        Standard deviations of the features in the rows that are fitted to.
    """

    data: Data
    outcomes: tuple[Outcome, ...]
    left_out: str
    mean_scores: Floats
    mean_test_scores: Floats
    deviation: Floats

    @property
    def weights(self) -> Floats:
        """What each fold holds out."""
        folds, weight = self.data.folds, self.data.fitted.weight
        return np.array([weight[rows].sum() for rows in folds.test]) if folds else np.empty(0)

    def error(self, scores: Floats) -> Estimate:
        """Estimate a held-out error from scores of folds."""
        return root_mean(scores, self.weights)

    @property
    def mean_error(self) -> Estimate:
        """The held-out error of the mean alone."""
        return self.error(self.mean_scores)

    def test_error(self, scores: Floats) -> Estimate:
        """Estimate the error on the test rows."""
        return root_mean(scores, self.data.test.weight)

    def lead(self, first: Outcome, second: Outcome) -> Estimate:
        """Estimate by how much the first outcome does better than the second."""
        return lead(first.fold_scores, second.fold_scores, self.weights)

    def effect(self, outcome: Outcome) -> Floats:
        """Give standardised coefficients: the effect of one standard deviation of each feature."""
        coef = outcome.result.coef
        return np.asarray(coef * self.deviation[: len(coef)], dtype=np.float64)

    @property
    def ranking(self) -> list[Outcome]:
        """The outcomes, the least held-out error first (the test has no say)."""
        if self.data.folds is None:
            return list(self.outcomes)
        return sorted(self.outcomes, key=lambda outcome: self.error(outcome.fold_scores).value)

    def sizes(self) -> tuple[str, list[float]]:
        """Give the norm of each model's effects as a share: how much the penalty has shrunk them.

        Returns
        -------
        of : str
            Whose share: that of least squares, if it is there and does not go through every point,
            or else the longest of all penalised models at their smallest alphas.
        sizes : list of float
        """
        norms = {o.penalty: float(np.linalg.norm(self.effect(o))) for o in self.outcomes}
        n_rows, n_features = self.data.fitted.X.shape
        if norms.get("none") and n_rows > n_features:
            return "least squares", [norm / norms["none"] for norm in norms.values()]
        paths = [None if o.validation is None else o.validation.path for o in self.outcomes]
        weakest = [
            float(np.linalg.norm((o.result if path is None else path[-1]).coef * self.deviation))
            for o, path in zip(self.outcomes, paths, strict=True)
            if o.penalty != "none"
        ]
        longest = max(weakest, default=0.0) or 1.0
        return "weakest fit", [norm / longest for norm in norms.values()]

    def top_features(self, n: int) -> list[int]:
        """List the features of largest effect in the best model, filled up from the next best."""
        found: dict[int, None] = {}
        for outcome in self.ranking:
            size = np.abs(self.effect(outcome))
            order = np.argsort(-size, kind="stable")[:n]
            found.update((int(j), None) for j in order if size[j] > 0.0)
        return list(found)[:n]


def compare(
    data: Data,
    plan: Plan,
    *,
    sizes: Mapping[int, int] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_part: Callable[[], None] = lambda: None,
) -> Comparison:
    """Fit all penalties of a plan.

    Parameters
    ----------
    data : Data
    plan : Plan
    sizes : mapping of int to int, optional
        The number of features, the first ones, of each degree that is tried.
    on_step : callable
        Is told what is being fitted, before each fit.
    on_part : callable
        Is called when a fold is done, of each degree that is tried.

    Raises
    ------
    ValueError
        If numbers are too large or too small to compute with.
    """
    _load_everything()
    outcomes, left_out = [], ""
    for penalty in plan.penalties:
        on_step(NAMES[penalty])
        with watched(on_part):
            if penalty == "none" and len(plan.penalties) > 1:
                outcome, left_out = _baseline(data, plan)
                outcomes += [] if outcome is None else [outcome]
            else:
                outcomes.append(_fit(data, plan, penalty, sizes))
    fitted, test = data.fitted, data.test
    return Comparison(
        data=data,
        outcomes=tuple(outcomes),
        left_out=left_out,
        mean_scores=_mean_scores(data),
        mean_test_scores=(test.y - np.average(fitted.y, weights=fitted.weight)) ** 2,
        deviation=column_deviations(fitted.X, fitted.sample_weight),
    )


def _load_everything() -> None:
    """Fit something tiny, so that no time that is told includes imports."""
    rows, y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 2.0]]), np.array([0.0, 1.0, 3.0])
    for l1_ratio in (0.0, 1.0):
        fastreg.validate(rows, y, cv=3, alphas=[0.5, 0.1], l1_ratio=l1_ratio)
        fastreg.solve(rows, y, alpha=0.0, l1_ratio=l1_ratio)


def _baseline(data: Data, plan: Plan) -> tuple[Outcome | None, str]:
    """Fit least squares, whose failure must not end the comparison of the others."""
    try:
        outcome = _fit(data, plan, "none", time_limit=BASELINE_SECONDS)
    except MemoryError:
        return None, "there is not enough memory for it"
    if not outcome.solved:
        return None, f"it was not solved within {BASELINE_SECONDS:g} seconds"
    return outcome, ""


def _fit(
    data: Data,
    plan: Plan,
    penalty: str,
    sizes: Mapping[int, int] | None = None,
    **options: Any,
) -> Outcome:
    fitted = data.fitted
    deviation = root_mean(
        (fitted.y - np.average(fitted.y, weights=fitted.weight)) ** 2, fitted.weight
    ).value
    if not np.isfinite(deviation):
        raise ValueError("the numbers of the target are too large to compute with")
    shares = plan.shares(penalty)
    ratios = [plan.ratio(share, deviation) for share in shares]
    model = {
        "sample_weight": fitted.sample_weight,
        "standardize": plan.standardize,
        **options,
    }
    start = time.perf_counter()
    alphas = plan.alphas(penalty, data)
    validation = None
    if data.folds is None:
        result = fastreg.solve(
            fitted.X, fitted.y, alpha=float(alphas[0]), l1_ratio=ratios[0], **model
        )
    else:
        model |= {"alphas": alphas, "n_alphas": plan.n_alphas, "eps": plan.eps}
        model |= {"l1_ratio": ratios, "cv": data.folds, "selection": plan.selection}
        if plan.relax:
            model["relax"] = list(plan.relax)
        if sizes is None:
            validation = fastreg.validate(fitted.X, fitted.y, **model)
        else:
            validation = validate_nested(fitted.X, fitted.y, sizes, **model)
        assert validation.result is not None
        # of a blend the proof is that of its path
        result = replace(validation.result, coef=validation.coef, intercept=validation.intercept)
    seconds = time.perf_counter() - start
    if not (np.isfinite(result.coef).all() and np.isfinite(result.intercept)):
        raise ValueError("the numbers are too large or too small to compute with")
    return Outcome(
        penalty=penalty,
        shares=shares,
        result=result,
        validation=validation,
        test_scores=_squares(data.test, result),
        seconds=seconds,
    )


def _squares(sample: Sample, result: "fastreg.Result") -> Floats:
    """Compute the squared errors of rows."""
    if not len(sample):
        return np.empty(0)
    predicted = result.predict(sample.X[:, : len(result.coef)])
    return np.asarray((sample.y - predicted) ** 2)


def _mean_scores(data: Data) -> Floats:
    """Compute the scores of predicting the mean of the rows that a fold trains on."""
    y, weight, folds = data.fitted.y, data.fitted.weight, data.folds
    scores = []
    for k in range(len(folds) if folds else 0):
        assert folds is not None
        train, held = folds.train_rows(k), folds.test[k]
        mean = np.average(y[train], weights=weight[train])
        scores.append(np.average((y[held] - mean) ** 2, weights=weight[held]))
    return np.array(scores)
