"""The page of ``--report``: one file of HTML, with its style and its pictures inside.

What it says is what the terminal says; the template is beside this module. Whatever comes from the
user, such as the names of columns, is escaped by the template engine.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from fastreg.cli import pictures, report, words
from fastreg.cli.compare import Comparison, Outcome
from fastreg.cli.errors import count
from fastreg.cli.report import Grid
from fastreg.cli.request import Request

GLOSSARY = {
    "Held-out RMSE": (
        "Root of the mean squared error on the folds, each predicted by a model that has not seen"
        " it; s.e. is its standard error, from how the folds differ."
    ),
    "Optimism": (
        "By how much this error looks too good, because it is the least of a curve: an estimate"
        " from the folds (Tibshirani & Tibshirani 2009)."
    ),
    "Test RMSE": "The same error on rows that had no part in anything before.",
    "Kept": "Features with a coefficient other than zero.",
    "Proven zero": "Features that are zero in every best answer, by a proof.",
    "Size of l. sq.": (
        "Length of the vector of standardised coefficients, as a share of that of least squares:"
        " how much the penalty shrinks."
    ),
    "Size of weakest": (
        "Length of the vector of standardised coefficients, as a share of the longest that any of"
        " these models has at its smallest alpha: how much the penalty shrinks. (Least squares is"
        " no measure here: it is not there, or goes through every point.)"
    ),
    "Gap": (
        "The relative duality gap: no answer can have an objective that is smaller by more than"
        " this share of that of the mean alone."
    ),
    "Time": "All fits of a model, those of the folds included.",
}


#: Names of options, and numbers with their standard errors.
_WHOLE = re.compile(r"((?<![\w-])--?[a-z][\w-]*|\(?-?[\d.]+ ± [\d.]+(?:\)e-?\d+)?)")


@dataclass(frozen=True)
class Section:
    """A table with a heading; `bars` says how long the bar below each number is."""

    id: str
    title: str
    grid: Grid
    note: str = ""
    bars: list[list[dict[str, Any]]] | None = None


def render(
    request: Request,
    comparison: Comparison,
    names: Sequence[str],
    target: str,
    *,
    opening: Sequence[str],
    tables: Sequence[Section],
    sentences: Sequence[str],
    made_by: str,
) -> bytes:
    """Make the page.

    Parameters
    ----------
    request : Request
    comparison : Comparison
    names : sequence of str
        Of the features.
    target : str
    opening, sentences : sequence of str
        What was fitted to what; what came out.
    tables : sequence of Section
    made_by : str
        Program and version.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["parts"] = _parts
    text = files("fastreg.cli").joinpath("page.html.jinja").read_text(encoding="utf-8")
    lead, *others = sentences
    page: str = environment.from_string(text).render(
        kicker=f"fastreg {request.command} · {request.data}",
        title=_title(comparison, target),
        lead=[lead],
        tiles=_tiles(comparison, target),
        errors=_errors(comparison),
        errors_note=f"Dot: root mean squared error ({target}), line: one standard error each way.",
        tables=[table for table in (*tables, features(comparison, names)) if table.grid.rows],
        sentences=others,
        pictures=pictures.for_page(comparison, list(names), target),
        command=shlex.join(["fastreg", *request.words]),
        opening=opening,
        glossary=_glossary(tables),
        made_by=made_by,
    )
    return page.encode()


def _parts(text: str) -> list[tuple[str, bool]]:
    """Part a text, and say of each part whether no line may end within it."""
    return [(part, k % 2 == 1) for k, part in enumerate(_WHOLE.split(text)) if part]


def features(comparison: Comparison, names: Sequence[str]) -> Section:
    """Make the table of the most important features, with bars."""
    grid = report.features(comparison, names, n=12)
    effects = [comparison.effect(outcome) for outcome in comparison.outcomes]
    chosen = comparison.top_features(12)
    sizes = [abs(float(effect[j])) for effect in effects for j in chosen]
    largest = max(sizes, default=0.0) or 1.0
    bars = [[_bar(float(effect[j]) / largest) for effect in effects] for j in chosen]
    return Section(
        "features",
        "The features that matter most",
        grid,
        "The effect of one standard deviation of a feature, the others held fixed"
        " (standardised coefficient).",
        bars,
    )


def _bar(share: float) -> dict[str, Any]:
    """Lay out a bar from the middle, as shares of 100."""
    width = round(50.0 * abs(share), 2)
    return {
        "left": 50.0 if share >= 0 else round(50.0 - width, 2),
        "width": width,
        "less": share < 0,
    }


def _title(comparison: Comparison, target: str) -> str:
    """Name the best model, and those that are behind it by no more than chance."""
    first, *others = comparison.ranking
    if not report.is_better_than_the_mean(comparison, first):
        return f"No model predicts {target} better than its mean"
    if not others:
        return f"How well {report.short(first)} predicts {target}"
    level = [first, *(o for o in others if not comparison.lead(first, o).is_clear)]
    if len(level) == len(comparison.outcomes):
        return f"All models predict {target} alike"
    names = words.upper(words.listed([report.short(outcome) for outcome in level]))
    return f"{names} {'predicts' if len(level) == 1 else 'predict'} {target} best"


def _tiles(comparison: Comparison, target: str) -> list[dict[str, str]]:
    first = comparison.ranking[0]
    error, mean = comparison.error(first.fold_scores), comparison.mean_error
    spread = words.two_digits(error.standard_error)
    tiles = [
        ("Held-out error", words.number(error.value), f"± {spread} {target}"),
        (
            "Better than the mean",
            f"{1.0 - error.value / mean.value:.0%}",
            f"whose error is {words.number(mean.value)}",
        ),
        ("Features kept", str(first.n_kept), f"of {len(first.result.coef)}"),
        ("Proven zero", str(first.n_proven), "in every best answer"),
        ("Duality gap", words.gap(first.result.relative_gap), "relative, at most"),
    ]
    if len(comparison.data.test):
        own = comparison.test_error(first.test_scores)
        spread = words.two_digits(own.standard_error)
        note = f"± {spread}, on {count(len(comparison.data.test), 'row')}"
        tiles.insert(1, ("Test error", words.number(own.value), note))
    return [dict(zip(("label", "value", "note"), tile, strict=True)) for tile in tiles]


def _errors(comparison: Comparison) -> list[dict[str, Any]]:
    """Place the held-out errors on a line from 0 to the largest, as shares of 100."""
    rows: list[tuple[str, Any, Outcome | None]] = [("mean only", comparison.mean_error, None)]
    rows += [
        (report.label(outcome), comparison.error(outcome.fold_scores), outcome)
        for outcome in comparison.outcomes
    ]
    if len(rows) < 3:
        return []
    ends = np.array([[e.value - e.standard_error, e.value + e.standard_error] for _, e, _ in rows])
    high = float(np.nanmax(ends)) or 1.0

    def place(value: float) -> float:
        return round(100.0 * min(max(value / high, 0.0), 1.0), 2)

    return [
        {
            "name": name,
            "text": words.estimate(error),
            "best": outcome is comparison.ranking[0],
            "low": place(error.value - error.standard_error),
            "high": place(error.value + error.standard_error),
            "at": place(error.value),
        }
        for name, error, outcome in rows
    ]


def _glossary(tables: Sequence[Section]) -> list[tuple[str, str]]:
    """Explain the columns that are there."""
    heads = " ".join(
        heading.replace("-\n", "").replace("\n", " ") for t in tables for heading in t.grid.columns
    )
    return [(term, meaning) for term, meaning in GLOSSARY.items() if term in heads]
