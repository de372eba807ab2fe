"""Say what was found: the table, the sentences, and the coefficients in a file."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from fastreg.cli.compare import Comparison, Outcome, lead
from fastreg.cli.errors import UserError, count

Floats = NDArray[np.float64]

#: A relative gap below this is made of rounding errors, and is not quoted.
PRECISION = 1e-12


def table(comparison: Comparison) -> Table:
    """Lay out one row per model, the baselines first."""
    judged = len(comparison.data.parts.test) > 0
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("Model", no_wrap=True)
    for heading in (
        "Alpha",
        "Features",
        *(("Test error\n(RMSE)", "R²") if judged else ()),
        "Gap",
        "Time",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    n_features = comparison.data.X.shape[1]
    if judged:
        error = number(comparison.mean_error)
        table.add_row("mean only", "", f"0 of {n_features}", error, "0.00", "", "", style="dim")
    baseline = comparison.least_squares
    rows = [*((baseline,) if baseline is not None else ()), *comparison.outcomes]
    winner = min(rows, key=lambda outcome: outcome.test_error)
    for outcome in rows:
        result = outcome.result
        cells = [
            outcome.name,
            "" if outcome.penalty == "none" else f"{result.alpha:.3g}",
            f"{outcome.n_kept} of {n_features}",
        ]
        if judged:
            cells += [number(outcome.test_error), _explained(outcome, comparison)]
        cells += [gap(result.relative_gap), duration(outcome.seconds)]
        best = judged and len(rows) > 1 and outcome is winner
        table.add_row(*cells, style="bold green" if best else "dim" if outcome is baseline else "")
    return table


def sentences(comparison: Comparison, target: str) -> list[str]:
    """Say in plain words what the table shows."""
    found = []
    if len(comparison.data.parts.test):
        found.append(_verdict(comparison, target))
    if comparison.why_no_least_squares:
        found.append(f"Least squares is left out: {comparison.why_no_least_squares}.")
    unfinished = [o for o in comparison.outcomes if not o.result.converged]
    for outcome in unfinished:
        message = outcome.result.message
        found.append(f"{_upper(_short(outcome))} is not solved: {message[:1].lower()}{message[1:]}")
    if not unfinished and any(outcome.search is not None for outcome in comparison.outcomes):
        found.append(_proof(comparison))
    edge = [_short(o) for o in comparison.outcomes if o.search is not None and o.search.at_edge]
    if edge:
        found.append(
            f"{_upper(_list(edge))} chose the smallest alpha that was tried: a smaller --eps may"
            " do better."
        )
    return found


def _verdict(comparison: Comparison, target: str) -> str:
    """Say which model predicts best, and by how much."""
    models = [*comparison.outcomes]
    if comparison.least_squares is not None:
        models.append(comparison.least_squares)
    first, *others = sorted(models, key=lambda outcome: outcome.test_error)
    if _level(first.test_error, comparison.mean_error) or (
        first.test_error > comparison.mean_error
    ):
        return (
            "No model predicts new rows better than the mean of the others, whose error is"
            f" {number(comparison.mean_error)} ({target})."
        )
    level = [other for other in others if _level(first.test_error, other.test_error)]
    behind = [other for other in others if not _level(first.test_error, other.test_error)]
    against = [f"level with {_list([_short(other) for other in level])}"] if level else []
    against += [f"{_below(first.test_error, other.test_error)} {_short(other)}" for other in behind]
    against.append(f"{_below(first.test_error, comparison.mean_error)} the mean alone")
    kept = f"{first.n_kept} of {count(comparison.data.X.shape[1], 'feature')}"
    verb = f"predicts best with {kept}" if others else f"uses {kept}"
    text = (
        f"{_upper(_short(first))} {verb}: its error is {number(first.test_error)}"
        f" ({target}), {_list(against)}."
    )
    if behind:
        text += f" {_lead(comparison, first, behind[0])}"
    return text


def _lead(comparison: Comparison, first: Outcome, second: Outcome) -> str:
    rows = comparison.data.parts.test
    weight = comparison.data.sample_weight
    distance = lead(first, second, None if weight is None else weight[rows])
    clear = "which may be chance"
    if distance > 2.0:  # the best of several was picked: no proof even then
        clear = "hardly chance" if distance > 3.0 else "probably not chance"
    return (
        f"The lead over {_short(second)} is {distance:.1f} standard errors on"
        f" {count(len(rows), 'test row')}, {clear}."
    )


def _proof(comparison: Comparison) -> str:
    paths = [o.search.path for o in comparison.outcomes if o.search is not None]
    worst = max(
        float(np.max(path.duality_gap / np.where(path.null_objective > 0, path.null_objective, 1)))
        for path in paths
    )
    solutions = sum(len(path.alphas) for path in paths)
    return (
        f"Proof: no duality gap of the {solutions} models on the way is larger than"
        f" {gap(worst).removeprefix('< ')} times the objective of the mean alone, so none can be"
        " improved by more than that."
    )


def write_coefficients(
    comparison: Comparison, names: Sequence[str], target: str, path: str
) -> bytes:
    """Lay out the coefficients as CSV or JSON, by the ending of the path."""
    outcomes = comparison.outcomes
    if path.lower().endswith(".json"):
        content = {
            "target": target,
            "models": [_as_json(outcome, names) for outcome in outcomes],
        }
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["feature", *(outcome.penalty for outcome in outcomes)])
    writer.writerow(["(intercept)", *(repr(float(o.result.intercept)) for o in outcomes)])
    columns = [outcome.result.coef.tolist() for outcome in outcomes]
    for name, *values in zip(names, *columns, strict=True):
        writer.writerow([name, *(f"{value!r}" if value else "0" for value in values)])
    return text.getvalue().encode()


def check_coefficient_path(path: str) -> None:
    """Refuse an ending that is not known, before any work is done."""
    if not path.lower().endswith((".csv", ".json")):
        raise UserError(f"--coef {path}: the name must end with .csv or .json")


def _as_json(outcome: Outcome, names: Sequence[str]) -> dict[str, Any]:
    result = outcome.result
    return {
        "penalty": outcome.penalty,
        "alpha": float(result.alpha),
        "l1_ratio": float(result.l1_ratio),
        "relative_gap": float(result.relative_gap),
        "intercept": float(result.intercept),
        "coef": dict(zip(names, result.coef.tolist(), strict=True)),
    }


def number(value: float) -> str:
    """Format with four significant digits, without an exponent where that reads well."""
    if not np.isfinite(value):
        return "-"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    digits = max(0, 3 - int(np.floor(np.log10(abs(value))))) if value else 1
    return f"{value:.{digits}f}"


def gap(value: float) -> str:
    """Format a relative duality gap, rounded up; of one below `PRECISION` only that is told."""
    if not value >= PRECISION:
        return "-" if np.isnan(value) else f"< {PRECISION:.0e}"
    rounded = f"{value:.0e}"
    if float(rounded) < value:
        rounded = f"{value + 0.5 * 10.0 ** np.floor(np.log10(value)):.0e}"
    return rounded


def duration(seconds: float) -> str:
    """Format a time."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def _explained(outcome: Outcome, comparison: Comparison) -> str:
    """Compute the share of the squared error of the mean that a model explains."""
    if not comparison.mean_error:
        return "-"
    share = 1.0 - (outcome.test_error / comparison.mean_error) ** 2
    return f"{share:.2f}" if share > -10.0 else "< -10"


def _short(outcome: Outcome) -> str:
    name = outcome.name.partition(" (")[0]
    return f"the {name}" if outcome.penalty == "elasticnet" else name


def _level(error: float, other: float) -> bool:
    return abs(error - other) <= 0.005 * abs(other)


def _below(error: float, other: float) -> str:
    return f"{1.0 - error / other:.0%} below"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _list(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
