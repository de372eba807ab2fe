"""Which weights of a network are zero."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from fastreg.plotting._drawing import (
    FONT,
    TITLE_Y,
    Display,
    Style,
    Theme,
    draw_subtitle,
    draw_title,
    dress,
    shorten,
    theme_of,
)

if TYPE_CHECKING:
    import fastreg.keras


class SparsityDisplay(Display):
    """A panel for each layer: a row for each neuron, a column for each input, zeros left blank.

    Make one with `from_result`.

    Parameters
    ----------
    report : fastreg.keras.SparsityReport

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    axes_ : list of matplotlib.axes.Axes
    images_ : list of matplotlib.image.AxesImage

    Examples
    --------
    >>> report = fastreg.keras.sparsity_report(model)  # doctest: +SKIP
    >>> SparsityDisplay.from_result(report).save("zeros.png")  # doctest: +SKIP
    """

    def __init__(self, *, report: "fastreg.keras.SparsityReport") -> None:
        self.report = report

    @classmethod
    def from_result(cls, result: "fastreg.keras.SparsityReport", **plot_options: Any) -> Self:
        """Draw a report.

        Parameters
        ----------
        result : fastreg.keras.SparsityReport
        **plot_options
            See `plot`.

        Raises
        ------
        TypeError
            If result is something else.
        """
        if not hasattr(result, "layers") or not hasattr(result, "zeros"):
            raise TypeError(f"result must be a SparsityReport, got {type(result).__name__}")
        return cls(report=result).plot(**plot_options)

    def plot(self, *, style: Style = "light", title: str | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        style : {"light", "dark"}
        title : str, optional
            Default: which share of the weights is zero.
        """
        theme = theme_of(style)
        layers = self.report.layers
        heights = [_height(layer.used.shape) for layer in layers]
        inches = 0.35 + sum(heights) + 0.8 * len(layers)
        self.figure_ = Figure(figsize=(8.4, inches), facecolor=theme.paper)
        self.axes_, self.images_ = [], []
        whole = f"{self.report.zeros:.1%} of the weights are zero"
        heading = self.figure_.add_axes((0.09, 1.0 - 0.48 / inches, 0.87, 0.2 / inches))
        heading.set_axis_off()
        draw_title(heading, whole if title is None else title, theme)
        key = {"loc": "right", "y": TITLE_Y, "fontsize": FONT, "color": theme.colors[0]}
        heading.set_title("coloured: weights that are not zero", **key)
        bottom = inches - 0.35
        for layer, height in zip(layers, heights, strict=True):
            bottom -= height + 0.3
            ax = self.figure_.add_axes((0.09, bottom / inches, 0.87, height / inches))
            bottom -= 0.5
            self.axes_.append(ax)
            self.images_.append(_draw(ax, layer, height, theme))
        return self


def _height(shape: tuple[int, ...]) -> float:
    """Return the height of a panel in inches: that of square cells, within limits."""
    n_inputs, n_neurons = shape
    return float(np.clip(7.3 * n_neurons / n_inputs, 0.4, 2.6))


def _draw(ax: Any, layer: Any, height: float, theme: Theme) -> Any:
    dress(ax, theme)
    n_inputs, n_neurons = layer.used.shape
    colors = LinearSegmentedColormap.from_list("zeros", [theme.paper, theme.colors[0]])
    image = ax.imshow(
        layer.used.T.astype(float),
        cmap=colors,
        vmin=0.0,
        vmax=1.0,
        aspect="auto",
        interpolation="antialiased" if n_inputs > 400 or n_neurons > 150 else "nearest",
    )
    for spine in ax.spines.values():
        spine.set(visible=True, color=theme.faint)
    ax.set_ylabel("neuron", color=theme.ink, fontsize=FONT)
    ax.set_xlabel("input", color=theme.ink, fontsize=FONT, labelpad=1)
    for axis, size, most in ((ax.yaxis, n_neurons, 5), (ax.xaxis, n_inputs, 9)):
        axis.set_major_locator(
            MaxNLocator(min(most, size - 1), integer=True) if size > 1 else FixedLocator([0.0])
        )
    dead, unused = len(layer.dead_neurons), len(layer.unused_inputs)
    draw_subtitle(
        ax,
        f"{shorten(layer.name)}: {layer.zeros:.1%} zeros, {dead} of {n_neurons} neurons dead, "
        f"{unused} of {n_inputs} inputs unused",
        theme,
    ).set_y(1.0 + 0.06 / height)
    return image
