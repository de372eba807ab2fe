"""How often features are selected on halves of the rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from matplotlib.figure import Figure

from fastreg.plotting._axes import alpha_positions, set_alpha_axis
from fastreg.plotting._drawing import (
    FONT,
    Display,
    Floats,
    Style,
    Theme,
    aside,
    draw_grey_lines,
    draw_subtitle,
    draw_title,
    dress,
    label_width,
    names_of,
    number,
    room_for,
    shorten,
    spread_asides,
    theme_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    import fastreg

#: At most this many of the features that are not stable are drawn.
MAX_GREY_FEATURES = 1000


class StabilityDisplay(Display):
    """Selection frequencies against alpha: stable features named, the others in grey.

    Make one with `from_result`.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    frequency : ndarray of shape (n_alphas, n_features)
    selected : ndarray of int
        The stable features.
    threshold : float
    error_bound : float
        Of the number of false ones among them.
    assumption : str
    feature_names : list of str

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    lines_ : list of matplotlib.lines.Line2D
        The stable features.
    rest_ : matplotlib.collections.LineCollection or None
    texts_ : list of matplotlib.text.Text

    Examples
    --------
    >>> stable = fastreg.stability_selection(X, y, error_bound=1)  # doctest: +SKIP
    >>> StabilityDisplay.from_result(stable).save("stability.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        alphas: Floats,
        frequency: Floats,
        selected: Any,
        threshold: float,
        error_bound: float,
        assumption: str,
        feature_names: list[str],
    ) -> None:
        self.alphas = alphas
        self.frequency = frequency
        self.selected = selected
        self.threshold = threshold
        self.error_bound = error_bound
        self.assumption = assumption
        self.feature_names = feature_names

    @classmethod
    def from_result(
        cls,
        result: "fastreg.StabilitySelection",
        *,
        feature_names: Sequence[str] | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a stability selection.

        Parameters
        ----------
        result : fastreg.StabilitySelection
        feature_names : sequence of str, optional
            Default: those of the data frame, else ``x0``, ``x1``, ...
        **plot_options
            See `plot`.

        Raises
        ------
        TypeError
            If result is something else.
        ValueError
            If there are more or fewer names than features.
        """
        if not hasattr(result, "frequency"):
            raise TypeError(f"result must be a StabilitySelection, got {type(result).__name__}")
        return cls(
            alphas=np.asarray(result.alphas),
            frequency=np.asarray(result.frequency),
            selected=result.selected,
            threshold=result.threshold,
            error_bound=result.error_bound,
            assumption=result.assumption,
            feature_names=names_of(result.frequency.shape[1], feature_names, result.feature_names),
        ).plot(**plot_options)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        style: Style = "light",
        max_labels: int = 14,
        title: str | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; a figure of its own by default.
        style : {"light", "dark"}
        max_labels : int
            How many stable features get a colour and a name at most.
        title : str, optional
            Default: how many features are stable.
        """
        theme = theme_of(style)
        ax = self._own_axes(theme, max_labels) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        dress(ax, theme)
        set_alpha_axis(ax, self.alphas)
        ax.set_ylim(0.0, 1.04)
        named = self._named(ax, max_labels)
        self._draw_features(ax, named, theme)
        ax.axhline(self.threshold, color=theme.ink, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
        self.texts_.append(aside(ax, self._threshold(), self.threshold, theme.muted))
        ax.set_ylabel("selected on this share of the halves", color=theme.ink, fontsize=FONT)
        ax.set_xlabel("alpha (a weaker penalty →)", color=theme.ink, fontsize=FONT)
        n_features = self.frequency.shape[1]
        verb = "is" if len(self.selected) == 1 else "are"
        stable = f"{len(self.selected)} of {n_features} features {verb} stable"
        draw_title(ax, stable if title is None else title, theme)
        draw_subtitle(ax, self._bound(), theme)
        spread_asides(ax)
        return self

    def _own_axes(self, theme: Theme, max_labels: int) -> "Axes":
        figure = Figure(figsize=(8.4, 5.0), facecolor=theme.paper)
        ax = figure.subplots()
        texts = [self._threshold(), *(self._text_of(j) for j in self._named(ax, max_labels))]
        right = 1.0 - (label_width(texts) + 10.0) / (72.0 * 8.4)
        figure.subplots_adjust(left=0.09, right=right, top=0.86, bottom=0.11)
        return ax

    def _named(self, ax: "Axes", max_labels: int) -> list[int]:
        """List the stable features, those that come first and most often first."""
        total = self.frequency[:, self.selected].sum(axis=0)
        order = self.selected[np.argsort(-total, kind="stable")]
        return [int(j) for j in order[: min(max_labels, room_for(ax) - 1)]]

    def _text_of(self, feature: int) -> str:
        return f"{shorten(self.feature_names[feature])}  {self.frequency[-1, feature]:.2f}"

    def _draw_features(self, ax: "Axes", named: list[int], theme: Theme) -> None:
        largest = self.frequency[-1].copy()
        largest[named] = 0.0
        others = np.argsort(-largest, kind="stable")[:MAX_GREY_FEATURES]
        others = others[largest[others] > 0.0]
        x = alpha_positions(self.alphas)
        self.rest_ = draw_grey_lines(ax, x, self.frequency[:, others].T, theme)
        self.lines_, self.texts_ = [], []
        for k, j in enumerate(named):
            color = theme.colors[k % len(theme.colors)]
            (line,) = ax.plot(
                x,
                self.frequency[:, j],
                color=color,
                linestyle="-" if k < len(theme.colors) else (0, (5.0, 1.2)),
                linewidth=1.9,
                marker="o" if len(x) == 1 else "",
                zorder=3,
            )
            self.lines_.append(line)
            end = float(self.frequency[-1, j])
            self.texts_.append(aside(ax, self._text_of(j), end, color, theme.ink))

    def _threshold(self) -> str:
        return f"threshold  {self.threshold:g}"

    def _bound(self) -> str:
        if not np.isfinite(self.error_bound):
            return "How many of them are false has no bound: halves select too many."
        assumed = "" if self.assumption == "none" else f", if frequencies are {self.assumption}"
        return f"On average at most {number(self.error_bound)} of them are false{assumed}."
