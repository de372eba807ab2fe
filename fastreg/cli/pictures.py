"""From a comparison to the picture that ``--plot`` writes, and to those of ``--report``."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastreg.cli.compare import Comparison, Outcome
from fastreg.cli.errors import UserError, count, require
from fastreg.cli.heldout import Floats

SUFFIXES = (".png", ".svg", ".pdf")

#: How many residuals are held at once, 32 MiB of them.
BLOCK = 2**22


def check_picture_path(path: str) -> None:
    """Refuse a picture that cannot be made, before any work is done."""
    if not path.lower().endswith(SUFFIXES):
        raise UserError(f"--plot {path}: the name must end with .png, .svg or .pdf")
    require("matplotlib", "cli", "--plot")


def check_report_path(path: str) -> None:
    """Refuse a page that cannot be made, before any work is done."""
    if not path.lower().endswith((".html", ".htm")):
        raise UserError(f"--report {path}: the name must end with .html")
    require("matplotlib", "cli", "--report")
    require("jinja2", "cli", "--report")


def draw(comparison: Comparison, names: list[str], request: Any, target: str) -> None:
    """Draw the paths of a comparison and write the picture."""
    from fastreg.plotting import save_figure

    searched = [o for o in comparison.outcomes if o.validation and o.validation.mean.size > 1]
    make = _one if len(searched) == 1 else _several
    figure = make(comparison, searched, names, request.style, target, Path(request.data).name)
    try:
        save_figure(figure, request.plot)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {request.plot}: {reason}") from error


def _one(
    comparison: Comparison,
    searched: list[Outcome],
    names: list[str],
    style: Any,
    target: str,
    source: str,
) -> Any:
    from fastreg.plotting import CoefficientPathDisplay

    (outcome,) = searched
    found: Any = outcome.validation
    width = found.path.n_features
    display = CoefficientPathDisplay.from_result(
        found.path,
        feature_names=names[:width],
        scale=comparison.deviation[:width],
        validation_error=held_out_errors(outcome),
        chosen=found.index[-1],
        baselines={"mean only": comparison.mean_error.value},
        style=style,
        title=f"How {outcome.name} shrinks {count(width, 'feature')} of {source}",
        ylabel=f"effect of one standard deviation on {target}",
        error_label=f"held-out error ({target})",
    )
    return display.figure_


def _several(
    comparison: Comparison,
    searched: list[Outcome],
    names: list[str],
    style: Any,
    target: str,
    source: str,
) -> Any:
    from fastreg.plotting import (
        CoefficientPathDisplay,
        ErrorCurve,
        ErrorCurvesDisplay,
        comparison_figure,
    )

    paths, curves = {}, {}
    for outcome in searched:
        found: Any = outcome.validation
        chosen = found.index[-1]
        paths[outcome.name] = CoefficientPathDisplay.prepare(
            found.path, feature_names=names, scale=comparison.deviation, chosen=chosen
        )
        curves[outcome.name] = ErrorCurve(
            training_errors(comparison, outcome), held_out_errors(outcome), chosen
        )
    mean = comparison.mean_error.value
    baselines = {"mean only": (mean, mean)}
    for outcome in comparison.outcomes:
        if outcome.penalty == "none":
            errors = training_errors(comparison, outcome), held_out_errors(outcome)
            baselines[outcome.name] = (float(errors[0][0]), float(errors[1][0]))
    best = next(o for o in comparison.ranking if o in searched)
    return comparison_figure(
        paths,
        ErrorCurvesDisplay(curves, baselines),
        best=best.name,
        title=f"How the penalties shrink {count(len(names), 'feature')} of {source}",
        subtitle=f"Lines: the effect of one standard deviation of each feature on {target}, from a"
        " strong to a weak penalty. Dashed: the alpha of least held-out error.",
        unit=target,
        style=style,
    )


def held_out_errors(outcome: Outcome) -> Floats:
    """Give the held-out error along the path of the chosen mixture."""
    found: Any = outcome.validation
    return np.asarray(np.sqrt(found.mean[found.index[:-1]]))


def training_errors(comparison: Comparison, outcome: Outcome) -> Floats:
    """Compute the error on the rows of the fit along a path, some rows at a time."""
    fitted, path = comparison.data.fitted, outcome.validation.path  # type: ignore[union-attr]
    assert path is not None
    total = np.zeros(len(path))
    for rows in np.array_split(np.arange(len(fitted)), 1 + len(fitted) * len(path) // BLOCK):
        block = fitted.take(rows)
        total += block.weight @ (block.y[:, None] - path.predict(block.X)) ** 2
    return np.asarray(np.sqrt(total / fitted.weight.sum()))


# The pictures of a page are small, so that their letters can be read on a phone.


@dataclass(frozen=True)
class Picture:
    """A picture in both styles, as addresses that hold it, and its size in points of a screen."""

    light: str
    dark: str
    alt: str
    caption: str
    width: int
    height: int


def for_page(comparison: Comparison, names: list[str], target: str) -> list[Picture]:
    """Draw the paths of the models."""
    return [
        _path_picture(comparison, outcome, names, target)
        for outcome in comparison.outcomes
        if outcome.validation is not None and outcome.validation.alphas.shape[-1] > 1
    ]


def _path_picture(
    comparison: Comparison, outcome: Outcome, names: list[str], target: str
) -> Picture:
    from matplotlib.figure import Figure

    from fastreg.plotting import CoefficientPathDisplay
    from fastreg.plotting._drawing import THEMES, label_width, shorten

    found: Any = outcome.validation
    width = found.path.n_features
    display = CoefficientPathDisplay.prepare(
        found.path,
        feature_names=names[:width],
        scale=comparison.deviation[:width],
        chosen=found.index[-1],
    )
    addresses = {}
    size = (5.0, 3.8)
    labels = [shorten(display.feature_names[j]) for j in display.ranking(7)]
    for style in STYLES:
        theme = THEMES[style]
        figure = Figure(figsize=size, facecolor=theme.paper)
        ax = figure.subplots()
        right = 1.0 - (label_width(labels) + 4.0) / (72.0 * size[0])
        figure.subplots_adjust(left=0.09, right=right, top=0.84, bottom=0.13)
        display.plot(ax, style=style, max_labels=7, title=outcome.name, ylabel="")
        addresses[style] = _address(figure)
    return Picture(
        **addresses,
        alt=f"Coefficients of {outcome.name} against the strength of the penalty",
        caption=f"{outcome.name}: the effect of one standard deviation of each feature on {target},"
        " from a strong to a weak penalty. Dashed: the strength that was chosen.",
        width=round(96 * size[0]),
        height=round(96 * size[1]),
    )


def _address(figure: Any) -> str:
    """Render a picture into the text that stands for it in a page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, facecolor=figure.get_facecolor())
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
