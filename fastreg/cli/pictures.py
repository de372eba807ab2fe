"""From a comparison to the picture that ``--plot`` writes."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.cli.compare import Comparison, Search
from fastreg.cli.errors import UserError, count, require
from fastreg.cli.scales import column_deviations

Floats = NDArray[np.float64]

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture_path(path: str) -> None:
    """Refuse a picture that cannot be made, before any work is done."""
    if not path.lower().endswith(SUFFIXES):
        raise UserError(f"--plot {path}: the name must end with .png, .svg or .pdf")
    require("matplotlib", "cli", "--plot")


def draw(
    comparison: Comparison, names: list[str], *, path: str, style: Any, target: str, source: str
) -> None:
    """Draw the paths of a comparison and write the picture."""
    from fastreg.plotting import save_figure

    X, _, weight = comparison.data.part(comparison.data.parts.train)
    scale = column_deviations(X, weight)
    searches = {o.name: o.search for o in comparison.outcomes if o.search is not None}
    make = _one if len(searches) == 1 else _several
    figure = make(comparison, searches, names, scale, style, target, Path(source).name)
    try:
        save_figure(figure, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error


def _one(
    comparison: Comparison,
    searches: dict[str, Search],
    names: list[str],
    scale: Floats,
    style: Any,
    target: str,
    source: str,
) -> Any:
    from fastreg.plotting import CoefficientPathDisplay

    ((name, search),) = searches.items()
    display = CoefficientPathDisplay.from_result(
        search.path,
        feature_names=names,
        scale=scale,
        validation_error=search.validation_errors,
        chosen=search.chosen,
        baselines={label: errors[1] for label, errors in comparison.baselines.items()},
        style=style,
        title=f"How {name} shrinks {count(len(names), 'feature')} of {source}",
        ylabel=f"effect of one standard deviation on {target}",
        error_label=f"validation error ({target})",
    )
    return display.figure_


def _several(
    comparison: Comparison,
    searches: dict[str, Search],
    names: list[str],
    scale: Floats,
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

    paths = {
        name: CoefficientPathDisplay.prepare(
            search.path, feature_names=names, scale=scale, chosen=search.chosen
        )
        for name, search in searches.items()
    }
    curves = {
        name: ErrorCurve(search.training_errors, search.validation_errors, search.chosen)
        for name, search in searches.items()
    }
    return comparison_figure(
        paths,
        ErrorCurvesDisplay(curves, comparison.baselines),
        best=comparison.best.name,
        title=f"How the penalties shrink {count(len(names), 'feature')} of {source}",
        subtitle=f"Lines: the effect of one standard deviation of each feature on {target}, from a"
        " strong to a weak penalty. Dashed: the alpha of least validation error.",
        unit=target,
        style=style,
    )
