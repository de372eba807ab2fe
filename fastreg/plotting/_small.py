"""Small pictures, for a page that is also read on a phone."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from fastreg.plotting._drawing import Style, label_width, png, spread_asides, theme_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: In inches: the room at the left of the axes, and the least width of these.
_LEFT, _NARROWEST = 0.6, 1.6


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
    width = max(size[0], _LEFT + _NARROWEST + beside)
    figure.set_size_inches(width, size[1])
    figure.subplots_adjust(left=_LEFT / width, right=1.0 - beside / width, top=0.88, bottom=0.14)
    spread_asides(ax)
    return png(figure, dpi)
