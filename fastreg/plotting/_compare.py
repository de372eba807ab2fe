"""Several penalties beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from matplotlib.figure import Figure

from fastreg.plotting._drawing import (
    FONT,
    Display,
    Floats,
    Style,
    Theme,
    aside,
    draw_title,
    drawable,
    dress,
    label_width,
    number,
    shorten,
    spread_asides,
    theme_of,
)
from fastreg.plotting._paths import CoefficientPathDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ErrorCurve:
    """Errors along a path, on the rows it was fitted to and on rows it has not seen."""

    training: Floats
    validation: Floats
    chosen: int


class ErrorCurvesDisplay(Display):
    """Validation error against training error: the balance that a penalty strikes.

    All curves begin at the right, with the mean, and run to the left as the penalty weakens: down
    while the model learns what is true of new rows too, up when it learns its own rows by heart.

    Parameters
    ----------
    curves : mapping of str to ErrorCurve
    baselines : mapping of str to (float, float), optional
        Training and validation error of other models.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    lines_ : dict of str to matplotlib.lines.Line2D
    """

    def __init__(
        self,
        curves: Mapping[str, ErrorCurve],
        baselines: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if not curves:
            raise ValueError("curves must have at least one entry")
        self.curves = dict(curves)
        self.baselines = dict(baselines or {})

    @classmethod
    def from_result(
        cls,
        curves: Mapping[str, ErrorCurve],
        baselines: Mapping[str, tuple[float, float]] | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the curves; see the class and `plot`."""
        return cls(curves, baselines).plot(**plot_options)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        style: Style = "light",
        title: str | None = None,
        unit: str = "",
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; a figure of its own by default.
        style : {"light", "dark"}
        title : str, optional
        unit : str
            Of the errors.
        """
        theme = theme_of(style)
        if ax is None:
            figure = Figure(figsize=(8.0, 5.0), facecolor=theme.paper)
            ax = figure.subplots()
            figure.subplots_adjust(left=0.1, right=0.74, top=0.87, bottom=0.12)
        self.ax_ = ax
        self.figure_: Any = ax.figure
        dress(ax, theme)
        self._set_limits(ax)
        self.lines_ = {}
        least = min(float(curve.validation[curve.chosen]) for curve in self.curves.values())
        for k, (name, curve) in enumerate(self.curves.items()):
            color = theme.colors[k % len(theme.colors)]
            (self.lines_[name],) = ax.plot(
                curve.training, curve.validation, color=color, linewidth=2.0, zorder=3
            )
            x, y = curve.training[curve.chosen], curve.validation[curve.chosen]
            ax.plot(
                [x], [y], "o", color=color, markeredgecolor=theme.paper, markersize=8.0, zorder=4
            )
            label = aside(ax, f"{name} {number(float(y))}", float(y), color, theme.ink)
            if y == least:
                label.set_fontweight("bold")
        high = ax.get_ylim()[1]
        for name, (x, y) in self.baselines.items():
            if y <= high:
                ax.plot([x], [y], "D", color=theme.muted, markersize=5.5, zorder=4)
            beyond = " ↑" if y > high else " ↓" if y < ax.get_ylim()[0] else ""
            aside(ax, f"{name} {number(y)}{beyond}", y, theme.muted)
        self._draw_diagonal(ax, theme)
        unit = f" ({unit})" if unit else ""
        ax.set_xlabel("training error (a closer fit →)", color=theme.ink, fontsize=FONT)
        ax.set_ylabel(
            drawable(f"validation error{unit}"), color=theme.ink, fontsize=FONT, parse_math=False
        )
        if title is not None:
            draw_title(ax, title, theme)
        spread_asides(ax)
        return self

    def _draw_diagonal(self, ax: "Axes", theme: Theme) -> None:
        """Draw where both errors are equal, if that is inside, and say so."""
        (left, right), (bottom, top) = ax.get_xlim()[::-1], ax.get_ylim()
        low, high = max(left, bottom), min(right, top)
        if high - low < 0.02 * (right - left):
            return
        ax.plot([low, high], [low, high], color=theme.faint, linewidth=1.0, zorder=1)
        at = 0.9 * low + 0.1 * high
        far_left = at > 0.35 * left + 0.65 * right  # the axis runs from large errors to small
        ax.annotate(
            "both errors equal",
            (at, at),
            xytext=(6 if far_left else -6, 0),
            textcoords="offset points",
            ha="left" if far_left else "right",
            va="center",
            color=theme.muted,
            fontsize=FONT - 1.0,
        )

    def _set_limits(self, ax: "Axes") -> None:
        """Show all curves up to where they began, and the baselines that lie there."""
        start = max(float(curve.validation[0]) for curve in self.curves.values())
        best = min(float(np.nanmin(curve.validation)) for curve in self.curves.values())
        rise = max(start - best, 0.05 * abs(start)) or 1.0
        high = start + 0.15 * rise
        ax.set_ylim(best - 0.15 * rise, high)
        x = np.concatenate(
            [
                *(curve.training[curve.validation <= high] for curve in self.curves.values()),
                [training for training, error in self.baselines.values() if error <= high],
            ]
        )
        margin = 0.04 * float(np.ptp(x)) or abs(float(x[0])) or 1.0
        ax.set_xlim(float(np.max(x)) + margin, float(np.min(x)) - margin)


def comparison_figure(
    paths: Mapping[str, CoefficientPathDisplay],
    curves: ErrorCurvesDisplay,
    *,
    best: str | None = None,
    title: str = "",
    subtitle: str = "",
    unit: str = "",
    style: Style = "light",
    max_labels: int = 7,
) -> Figure:
    """Draw up to three paths and the error curves of all in one figure.

    The same features have the same colour everywhere: those with the largest coefficients in the
    path called `best`, filled up from the others.

    Parameters
    ----------
    paths : mapping of str to CoefficientPathDisplay
        With the same features.
    curves : ErrorCurvesDisplay
    best : str, optional
    title, subtitle, unit : str
    style : {"light", "dark"}
    max_labels : int
        How many features are named.
    """
    theme = theme_of(style)
    width, height = 13.0, 9.2
    figure = Figure(figsize=(width, height), facecolor=theme.paper)
    axes = figure.subplots(2, 2).ravel()
    features = _shared_features(paths, best, max_labels)
    any_path = next(iter(paths.values()))
    labels = [shorten(any_path.feature_names[j]) for j in features]
    labels += [f"{name} 0000000 ↑" for name in (*curves.curves, *curves.baselines)]
    beside = (label_width(labels) + 6.0) / 72.0
    panel = (width - 2.0 * beside - 0.65 - 0.75) / 2.0
    figure.subplots_adjust(
        left=0.65 / width,
        right=1.0 - beside / width,
        top=0.855,
        bottom=0.06,
        wspace=(beside + 0.75) / panel,
        hspace=0.38,
    )
    for ax, (name, display) in zip(axes, paths.items(), strict=False):
        display.plot(ax, style=style, features=features, title=name, ylabel="")
    low = min(display.ax_.get_ylim()[0] for display in paths.values())
    high = max(display.ax_.get_ylim()[1] for display in paths.values())
    for display in paths.values():
        display.set_ylim(low, high)
    curves.plot(axes[-1], style=style, title="The balance", unit=unit)
    _headline(figure, title, FONT + 7.0, 0.65 / width, 0.965, color=theme.ink, fontweight="bold")
    _headline(figure, subtitle, FONT + 0.5, 0.65 / width, 0.935, color=theme.muted)
    for ax in axes[len(paths) : -1]:
        ax.set_visible(False)
    return figure


def _headline(figure: Figure, text: str, size: float, x: float, y: float, **style: Any) -> None:
    figure.text(x, y, drawable(text), fontsize=size, parse_math=False, **style)


def _shared_features(
    paths: Mapping[str, CoefficientPathDisplay], best: str | None, max_labels: int
) -> list[int]:
    rankings: Sequence[list[int]] = [display.ranking(max_labels) for display in paths.values()]
    if best is not None:
        rankings = [paths[best].ranking(max_labels), *rankings]
    found = dict.fromkeys(j for ranking in rankings for j in ranking)
    return list(found)[:max_labels]
