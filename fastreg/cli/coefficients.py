"""The coefficients in a file."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from fastreg.cli.compare import Outcome
from fastreg.cli.errors import UserError


def check_coefficient_path(path: str) -> None:
    """Refuse an ending that is not known, before any work is done."""
    if not path.lower().endswith((".csv", ".json")):
        raise UserError(f"--coef {path}: the name must end with .csv or .json")


def coefficients(
    outcomes: Sequence[Outcome], names: Sequence[str], target: str, path: str
) -> bytes:
    """Lay out the coefficients as CSV or JSON, by the ending of the path."""
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
