"""Say what was found: tables of text, and sentences. The page of ``--report`` shows the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from fastreg.cli import words
from fastreg.cli.compare import Comparison, Outcome
from fastreg.cli.errors import count
from fastreg.cli.judge import lead
from fastreg.result import Status

#: Headings for the two meanings of `Comparison.sizes`.
SIZES = {"least squares": "Size of\nl. sq.", "weakest fit": "Size of\nweakest"}

#: How many features a comparison names.
N_TOP = 8


@dataclass(frozen=True)
class Grid:
    """A table of text: what the terminal and the page show alike.

    Attributes
    ----------
    columns : tuple of str
        Headings; the first column is left-aligned.
    rows : list of tuple of str
    best, dim : set of int
        The rows to stress, and those that stand for comparison only.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    best: frozenset[int] = frozenset()
    dim: frozenset[int] = frozenset()

    def for_terminal(self) -> Table:
        """Lay out for a terminal."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=0)
        for k, heading in enumerate(self.columns):
            table.add_column(heading, justify="right" if k else "left", no_wrap=True)
        for i, row in enumerate(self.rows):
            style = "bold green" if i in self.best else "dim" if i in self.dim else ""
            table.add_row(*row, style=style)
        return table


def models(comparison: Comparison) -> Grid:
    """Make the table of the models, the mean alone first."""
    data = comparison.data
    n_features = data.fitted.X.shape[1]
    folds, test, several = data.folds is not None, len(data.test) > 0, len(comparison.outcomes) > 1
    of, sizes = comparison.sizes() if several else ("", [])
    told = not test and any(outcome.optimism is not None for outcome in comparison.outcomes)
    columns = ["Model", "Alpha"]
    columns += ["Held-out\nRMSE ± s.e."] * folds + ["Opti-\nmism"] * told
    columns += ["Test\nRMSE ± s.e."] if test else []
    columns += [f"Kept\nof {n_features}", "Proven\nzero"]
    columns += [SIZES[of]] if sizes else []
    columns += ["Gap", "Time"]
    rows = []
    if folds or test:
        cells = ["mean only", ""]
        cells += [words.estimate(comparison.mean_error)] * folds + [""] * told
        cells += [words.estimate(comparison.test_error(comparison.mean_test_scores))] * test
        rows.append((*cells, "0", *[""] * (len(columns) - len(cells) - 1)))
    for k, outcome in enumerate(comparison.outcomes):
        result = outcome.result
        cells = [label(outcome), "" if outcome.penalty == "none" else words.strength(result.alpha)]
        if folds:
            cells.append(words.estimate(comparison.error(outcome.fold_scores)))
        if told:
            cells.append(words.optimism(outcome.optimism))
        if test:
            cells.append(words.estimate(comparison.test_error(outcome.test_scores)))
        cells += [str(outcome.n_kept), str(outcome.n_proven)]
        cells += [words.share(sizes[k])] if sizes else []
        rows.append((*cells, words.gap(result.relative_gap), words.duration(outcome.seconds)))
    first = len(rows) - len(comparison.outcomes)
    best = {first + comparison.outcomes.index(comparison.ranking[0])} if several else set()
    return Grid(tuple(columns), rows, frozenset(best), frozenset(range(first)))


def features(comparison: Comparison, names: Sequence[str], n: int = N_TOP) -> Grid:
    """Make the table of the features of largest effect, the models side by side."""
    effects = [comparison.effect(outcome) for outcome in comparison.outcomes]
    rows = [
        (names[j], *(words.effect(float(effect[j])) for effect in effects))
        for j in comparison.top_features(n)
    ]
    return Grid(("Feature", *(label(outcome) for outcome in comparison.outcomes)), rows)


def sentences(comparison: Comparison, target: str) -> list[str]:
    """Say in plain words what the tables show."""
    found = []
    if comparison.data.folds is not None:
        found.append(_verdict(comparison, target))
        found += _rule_told(comparison, target)
        found += _tested(comparison, target)
        if is_better_than_the_mean(comparison, comparison.ranking[0]):
            found += _optimism_told(comparison, target)
    found += [
        _ratio_told(outcome)
        for outcome in comparison.outcomes
        if outcome.is_mixed and outcome.blend in (None, 1.0)
    ]
    found += [_blend_told(outcome) for outcome in comparison.outcomes if outcome.blend is not None]
    if comparison.left_out:
        found.append(f"Least squares is left out: {comparison.left_out}.")
    found += [
        _many_answers(o) for o in comparison.outcomes if o.result.status == Status.RANK_DEFICIENT
    ]
    unfinished = [outcome for outcome in comparison.outcomes if not outcome.solved]
    for outcome in unfinished:
        source = outcome.result if outcome.validation is None else outcome.validation
        found.append(f"{words.upper(short(outcome))} is not solved: {_lower(source.message)}")
    if not unfinished:
        found.append(_proof(comparison))
    edge = [short(outcome) for outcome in comparison.outcomes if outcome.at_edge]
    if edge:
        found.append(
            f"{words.upper(words.listed(edge))} chose the smallest alpha that was tried: a smaller"
            " --eps may do better."
        )
    return found


def is_better_than_the_mean(comparison: Comparison, outcome: Outcome) -> bool:
    """Whether a model's error is smaller than that of the mean: by half a per cent, or clearly."""
    ahead = lead(outcome.fold_scores, comparison.mean_scores, comparison.weights)
    clear = ahead.value > 0.0 and ahead.is_clear
    return clear or ahead.value > 0.005 * comparison.mean_error.value


def _verdict(comparison: Comparison, target: str) -> str:
    """Say which model predicts best, and by how much."""
    first, *others = comparison.ranking
    error, mean = comparison.error(first.fold_scores), comparison.mean_error
    if not is_better_than_the_mean(comparison, first):
        return (
            "No model predicts rows that it has not seen better than their mean, whose error is"
            f" {words.estimate(mean)} ({target})."
        )
    kept = f"{first.n_kept} of {count(len(first.result.coef), 'feature')}"
    verb = "predicts best with" if others else "uses"
    degree = "" if first.degree is None else f" of degree {first.degree}"
    below = 1.0 - error.value / mean.value
    text = (
        f"{words.upper(short(first))}{degree} {verb} {kept}: its error on rows that it has not seen"
        f" is {words.estimate(error)} ({target}), {_percent(below)} below that of the mean."
    )
    if not others:
        return text
    leads = [(other, comparison.lead(first, other)) for other in others]
    parts = [f"{words.estimate(ahead)} over {short(other)}" for other, ahead in leads]
    chance = [short(other) for other, ahead in leads if not ahead.is_clear]
    text += f" Its lead, on the same {len(first.fold_scores)} folds, is {words.listed(parts)};"
    if not chance:
        return f"{text} none of these is within chance."
    if len(chance) == len(leads):
        return f"{text} {'all of these' if len(leads) > 1 else 'this'} may be chance."
    return f"{text} that over {words.listed(chance)} may be chance."


def _rule_told(comparison: Comparison, target: str) -> list[str]:
    """Say what the one-standard-error rule costs, which least squares knows nothing of."""
    least = {
        outcome.name: comparison.error(outcome.least_scores).value
        for outcome in comparison.outcomes
    }
    moved = [outcome for outcome in comparison.outcomes if not outcome.is_at_least_error]
    if not moved or len(least) < 2:
        return []
    parts = [f"{words.number(least[outcome.name])} for {short(outcome)}" for outcome in moved]
    text = (
        "By the one-standard-error rule penalties are stronger than where the error is least:"
        f" {words.listed(parts)} ({target})."
    )
    first = min(comparison.outcomes, key=lambda outcome: least[outcome.name])
    if first is not comparison.ranking[0]:
        text += f" By these least errors {short(first)} would be first."
    return [text]


def _tested(comparison: Comparison, target: str) -> list[str]:
    """Say what the rows that were kept apart say of the best model."""
    if not len(comparison.data.test):
        return []
    first = comparison.ranking[0]
    error = comparison.test_error(first.test_scores)
    mean = comparison.test_error(comparison.mean_test_scores).value
    side = "below" if error.value <= mean else "above"
    share = abs(1.0 - error.value / mean) if mean else 0.0
    rows = count(len(comparison.data.test), "row")
    text = (
        f"On the {rows} kept apart the error of {short(first)} is {words.estimate(error)}"
        f" ({target}), {_percent(share)} {side} that of the mean."
    )
    return [text]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.1%}"


def _ratio_told(outcome: Outcome) -> str:
    """Say with which numbers a mixed penalty that a path has chosen is fitted alone."""
    result = outcome.result
    return (
        f"The ratio of {short(outcome)}, {outcome.share:g}, is for a target of standard deviation"
        f" 1; alone it is fitted by --alpha {result.alpha:.6g} --l1-ratio {result.l1_ratio:.10g}."
    )


def _blend_told(outcome: Outcome) -> str:
    """Say what a relaxed fit is, and what is proven of it."""
    fit, blend = short(outcome), outcome.blend
    if blend == 1.0:
        return f"Relaxed by 1: these are the coefficients of {fit} as it is."
    if blend == 0.0:
        text = f"Relaxed by 0: these are the coefficients of least squares on what {fit} keeps."
    else:
        text = (
            f"Relaxed by {blend:g}: that share of the coefficients of {fit}, and the rest of those"
            " of least squares on the features that it keeps."
        )
    return f"{text} Gap and zeros are proven of {fit}."


def _optimism_told(comparison: Comparison, target: str) -> list[str]:
    """Say how much the choice of a least error flatters."""
    chosen = [outcome for outcome in comparison.outcomes if outcome.optimism is not None]
    if not any(outcome.optimism for outcome in chosen):
        return []
    parts = [f"{words.optimism(outcome.optimism)} for {short(outcome)}" for outcome in chosen]
    text = (
        "Each of these errors is the least of a curve, and so looks too good, by an estimated"
        if len(chosen) > 1
        else "This error is the least of a curve, and so looks too good, by an estimated"
    )
    text += f" {words.listed(parts)} ({target}; Tibshirani & Tibshirani 2009)."

    def corrected(outcome: Outcome) -> float:
        return comparison.error(outcome.fold_scores).value + (outcome.optimism or 0.0)

    after = min(comparison.ranking, key=corrected)
    if after is not comparison.ranking[0]:
        text += f" With that added, {short(after)} would be first."
    return [text]


def _many_answers(outcome: Outcome) -> str:
    return (
        f"{words.upper(short(outcome))} has many answers, because columns depend on each other;"
        " the one of least norm is shown."
    )


def _proof(comparison: Comparison) -> str:
    found = [o.validation for o in comparison.outcomes if o.validation is not None]
    gaps = [v.largest_gap for v in found] or [o.result.relative_gap for o in comparison.outcomes]
    fits = sum(v.n_fits for v in found) or len(comparison.outcomes)
    worst = float(np.max(gaps))
    told = words.gap(max(worst, words.PRECISION))
    which = f"of the {fits} fits on the way" if fits > 1 else "of this fit"
    text = f"Proof: {'no' if fits > 1 else 'the'} duality gap {which} is "
    text += f"larger than {told}" if fits > 1 else f"at most {told}"
    text += " times the objective of the mean alone"
    text += ", so none can be improved by more than that" if fits > 1 else ""
    zeros = [
        f"{_of(outcome.n_proven, len(outcome.result.coef) - outcome.n_kept)} of {short(outcome)}"
        for outcome in comparison.outcomes
        if outcome.n_proven
    ]
    proven = f" Proven to be zero in every best answer: {words.listed(zeros)}." if zeros else ""
    return f"{text}.{proven}"


def _of(n: int, zeros: int) -> str:
    if n == zeros:
        return "the one zero" if n == 1 else f"all {n} zeros"
    return f"{n} of the {zeros} zeros"


def short(outcome: Outcome) -> str:
    """Name a model within a sentence."""
    name = outcome.name.partition(" (")[0]
    return f"the {name}" if outcome.penalty == "elasticnet" else name


def label(outcome: Outcome) -> str:
    """Name a model in a table."""
    return f"{outcome.name} {outcome.share:g}" if outcome.penalty == "elasticnet" else outcome.name


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
