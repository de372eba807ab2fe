"""Small pictures, for a page that is also read on a phone."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from fastreg.plotting._drawing import Style, label_width, png, spread_asides, theme_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: In inches: the room at the left of the axes, and the least width of these.
_LEFT, _NARROWEST = 0.6, 1.6
#: In dots of the figure: the room at the left of all that belongs to the y axis.
_MARGIN = 2.0


def small_png(
    draw: "Callable[[Axes], Any]",
    *,
    style: Style = "light",
    size: tuple[float, float] = (4.6, 3.6),
    dpi: float = 180.0,
) -> bytes:
    """Draw a display without a title into a small figure, and return it as PNG.

    Parameters
    ----------
    draw : callable
        Draws into the axes that it is given, and returns a display with the attribute ``texts_``:
        the labels at the right, which get the room that they need.
    style : {"light", "dark"}
        That of the display.
    size : (float, float), default (4.6, 3.6)
        Width and height in inches; with long labels the picture gets wider.
    dpi : float, default 180
        Dots per inch.

    Raises
    ------
    ValueError
        If style is something else.
    """
    figure = Figure(figsize=size, facecolor=theme_of(style).paper)
    ax = figure.subplots()
    labels = [text.get_text() for text in draw(ax).texts_]
    beside = (1.04 * label_width(labels) + 2.0) / 72.0  # some labels are bold
    _fit(figure, _LEFT, beside, size)
    outside = ax.yaxis.get_tightbbox()  # which numbers of many digits push over the edge
    if outside is not None and outside.x0 < _MARGIN:
        _fit(figure, _LEFT + (_MARGIN - outside.x0) / figure.dpi, beside, size)
    spread_asides(ax)
    return png(figure, dpi)


def _fit(figure: Figure, left: float, right: float, size: tuple[float, float]) -> None:
    """Leave so many inches at both sides of the axes, in a wider figure if these get too narrow."""
    width = max(size[0], left + _NARROWEST + right)
    figure.set_size_inches(width, size[1])
    figure.subplots_adjust(left=left / width, right=1.0 - right / width, top=0.88, bottom=0.14)
