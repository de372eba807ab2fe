"""From a comparison to the picture that ``--plot`` writes, and to those of ``--report``."""

import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fastreg.cli.compare import Comparison, Outcome
from fastreg.cli.errors import UserError, count, require
from fastreg.cli.heldout import Floats
from fastreg.cli.report import short

SUFFIXES = (".png", ".svg", ".pdf")

#: How many residuals are held at once, 32 MiB of them.
BLOCK = 2**22

Style = Literal["light", "dark"]


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
    """Draw what a command is about, and write the picture."""
    from fastreg.plotting import save_figure

    source = Path(request.data).name
    if request.command == "compare":
        figure = _beside_each_other(comparison, names, request.style, target, source)
    elif request.command == "validate":
        (outcome,) = comparison.outcomes
        title = f"How strong {short(outcome)} should be on {source}"
        figure = _curve(outcome, target, request.style, title=title).figure_
    else:
        figure = _one(comparison, names, request.style, target, source)
    try:
        save_figure(figure, request.plot)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {request.plot}: {reason}") from error


def _one(comparison: Comparison, names: list[str], style: Style, target: str, source: str) -> Any:
    from fastreg.plotting import CoefficientPathDisplay

    (outcome,) = comparison.outcomes
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
        ylabel=f"effect of one standard deviation on {_short(target)}",
        error_label=f"held-out error ({_short(target)})",
    )
    return display.figure_


def _beside_each_other(
    comparison: Comparison, names: list[str], style: Style, target: str, source: str
) -> Any:
    from fastreg.plotting import (
        CoefficientPathDisplay,
        ErrorCurve,
        ErrorCurvesDisplay,
        comparison_figure,
    )

    paths, curves = {}, {}
    searched = [o for o in comparison.outcomes if o.penalty != "none"]
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
        subtitle=f"Lines: the effect of one standard deviation of each feature on {_short(target)},"
        " from a strong to a weak penalty. Dashed: the alpha of least held-out error.",
        unit=_short(target),
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


# The pictures of a page


@dataclass(frozen=True)
class Picture:
    """A picture in both styles, as addresses that hold it, and its size in dots."""

    title: str
    alt: str
    caption: str
    light: str
    dark: str
    width: int
    height: int
    wide: bool = False

    @classmethod
    def of(cls, draw: Callable[[Style], bytes], **facts: Any) -> "Picture":
        """Draw both styles as PNG."""
        light, dark = (draw(style) for style in ("light", "dark"))
        width, height = struct.unpack(">II", light[16:24])
        return cls(light=_address(light), dark=_address(dark), width=width, height=height, **facts)


def for_page(comparison: Comparison, names: list[str], target: str) -> list[Picture]:
    """Draw each model's curve of held-out errors and its path of coefficients, and all together."""
    found = []
    for outcome in comparison.outcomes:
        if outcome.validation is None or outcome.validation.mean.size == 1:
            continue
        over = "alpha" if outcome.validation.alphas.shape[-1] > 1 else "degree"
        picture = _small(
            partial(_curve, outcome, target),
            title=outcome.name,
            alt=f"{outcome.name}: held-out error against {over}",
            caption="Error on held-out rows; the band is one standard error each way. Marked are"
            " the least error (min) and the one-standard-error rule (1se).",
        )
        found.append(picture)
        if over == "alpha":
            picture = _small(
                partial(_path, comparison, outcome, names),
                title=outcome.name,
                alt=f"{outcome.name}: coefficients against alpha",
                caption=f"The effect of one standard deviation of each feature on {target}, from a"
                " strong to a weak penalty. Dashed: the strength that was chosen.",
            )
            found.append(picture)
    if len(comparison.outcomes) > 1:
        found.append(_together(comparison))
    return found


def _together(comparison: Comparison) -> Picture:
    """Draw why the penalties differ, and the sizes of the coefficients of all models."""
    from fastreg.plotting import PenaltyDisplay

    results = {outcome.name.partition(" (")[0]: outcome.result for outcome in comparison.outcomes}

    def draw(style: Style) -> bytes:
        display = PenaltyDisplay.from_result(
            results, scale=comparison.deviation, style=style, ylabel="size of the effect"
        )
        return display.png()

    return Picture.of(
        draw,
        title="Why the penalties differ",
        alt="The shapes of the penalties, how they shrink one weight, and sizes of coefficients",
        caption="Above: where the error of two weights meets the penalty. Below: one weight with"
        " and without a penalty, and the sizes of the effects that each model has kept.",
        wide=True,
    )


def _curve(
    outcome: Outcome, target: str, style: Style, ax: Any = None, title: str | None = None
) -> Any:
    """Draw the held-out error, in the unit of the target, over the grid of a model."""
    from fastreg.plotting import ValidationCurveDisplay

    found: Any = outcome.validation
    root = np.sqrt(found.mean)
    inside = replace(
        found,
        l1_ratios=np.array(outcome.shares),
        scoring="root mean squared error",
        mean=root,
        standard_error=found.standard_error / (2.0 * np.where(root > 0.0, root, 1.0)),
        fold_scores=np.sqrt(found.fold_scores),
    )
    return ValidationCurveDisplay.from_result(
        inside, ax=ax, style=style, title=title, ylabel=f"held-out error ({_short(target)})"
    )


def _path(comparison: Comparison, outcome: Outcome, names: list[str], style: Style, ax: Any) -> Any:
    from fastreg.plotting import CoefficientPathDisplay

    found: Any = outcome.validation
    width = found.path.n_features
    return CoefficientPathDisplay.from_result(
        found.path,
        feature_names=names[:width],
        scale=comparison.deviation[:width],
        chosen=found.index[-1],
        ax=ax,
        style=style,
        max_labels=7,
        ylabel="",
    )


def _small(draw: Callable[[Style, Any], Any], *, title: str, alt: str, caption: str) -> Picture:
    """Draw one pair of axes, small enough for a phone."""
    from fastreg.plotting import small_png

    return Picture.of(
        lambda style: small_png(partial(draw, style), style=style),
        title=title,
        alt=alt,
        caption=caption,
    )


def _address(png: bytes) -> str:
    """Turn a picture into the address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _short(target: str) -> str:
    """Cut a long name, which stands along an axis."""
    return target if len(target) <= 20 else f"{target[:19]}…"
