"""What all pictures share: colours, axes, labels beside the axes that keep apart, files."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

Floats = NDArray[np.float64]
Style = Literal["light", "dark"]

FONT = 9.5
TITLE_Y = 1.075  # above what stands along the upper edge
FORMATS = ("png", "svg", "pdf")

_ASIDE = "fastreg aside"


@dataclass(frozen=True)
class Theme:
    """The colours of a picture."""

    paper: str
    ink: str
    muted: str
    faint: str
    colors: tuple[str, ...]


# Okabe and Ito's colours, told apart by all kinds of colour vision; on white without their yellow
# and their black.
THEMES = {
    "light": Theme(
        paper="#ffffff",
        ink="#1b1f24",
        muted="#667078",
        faint="#c9ced3",
        colors=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b4a9c"),
    ),
    "dark": Theme(
        paper="#14181d",
        ink="#eceff2",
        muted="#98a2ab",
        faint="#414a53",
        colors=("#56b4e9", "#f0803c", "#2cc69b", "#e39ac4", "#f0c03c", "#a9d8f7", "#b7a6f0"),
    ),
}


def dress(ax: "Axes", theme: Theme) -> None:
    """Give axes their colours, and only the two spines that are read."""
    ax.set_facecolor(theme.paper)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.muted)
    ax.minorticks_off()
    power = ax.yaxis.get_offset_text()  # "1e6": to the left, where no title stands
    power.set(x=-0.02, ha="right")
    ax.tick_params(which="both", colors=theme.muted, labelsize=FONT - 1.0)
    ax.grid(False)


def draw_title(ax: "Axes", text: str, theme: Theme) -> None:
    """Write a title at the left."""
    ax.set_title(
        drawable(text),
        loc="left",
        color=theme.ink,
        fontsize=FONT + 2.0,
        fontweight="bold",
        y=TITLE_Y,
        parse_math=False,
    )


def shorten(name: str, longest: int = 30) -> str:
    """Cut a long name in its middle."""
    name = " ".join(name.split())
    if len(name) <= longest:
        return name
    head = longest // 2
    return name[:head] + "…" + name[len(name) - (longest - 1 - head) :]


def number(value: float) -> str:
    """Format with four significant digits, in full where that is not too long."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def aside(ax: "Axes", text: str, y: float, color: str, ink: str | None = None) -> "Text":
    """Put a label to the right of axes, to be joined with the point `y` by `spread_asides`."""
    label = ax.text(
        1.0,
        0.5,
        drawable(text),
        transform=ax.transAxes,
        fontsize=FONT - 0.5,
        color=color if ink is None else ink,
        va="center",
        ha="left",
        clip_on=False,
        parse_math=False,
    )
    label.set_gid(_ASIDE)
    setattr(label, "_fastreg", (y, color))  # noqa: B010 - not an attribute of Text
    return label


def spread_asides(ax: "Axes") -> None:
    """Place the labels beside axes: near to their points, in the same order, never overlapping."""
    labels = [text for text in ax.texts if text.get_gid() == _ASIDE]
    if not labels:
        return
    figure: Any = ax.figure
    box = ax.get_position()
    width, height = figure.get_size_inches() * 72.0 * (box.width, box.height)
    wanted = []
    for label in labels:
        y = getattr(label, "_fastreg")[0]  # noqa: B009
        at = ax.transAxes.inverted().transform(ax.transData.transform((ax.get_xlim()[1], y)))[1]
        wanted.append(float(np.clip(at, 0.0, 1.0)))
    gap = (FONT - 0.5) * 1.32 / height
    placed = spread(wanted, gap, low=-0.02, high=1.02)
    for line in [line for line in ax.lines if line.get_gid() == _ASIDE]:
        line.remove()
    for label, start, stop in zip(labels, wanted, placed, strict=True):
        color = getattr(label, "_fastreg")[1]  # noqa: B009
        xs = 1.0 + np.array([2.0, 6.0, 16.0, 20.0]) / width
        leader = Line2D(xs, [start, start, stop, stop], color=color, linewidth=1.1, gid=_ASIDE)
        leader.set(transform=ax.transAxes, clip_on=False, solid_joinstyle="round")
        ax.add_artist(leader)
        label.set_position((1.0 + 23.0 / width, stop))


def spread(wanted: ArrayLike, gap: float, *, low: float, high: float) -> Floats:
    """Move points apart as little as possible.

    Minimises the sum of squared moves, with points at least `gap` apart, in the order of
    `wanted`, and between `low` and `high`; where there is no room for that, evenly spaced.
    """
    wanted = np.asarray(wanted, dtype=np.float64)
    order = np.argsort(wanted, kind="stable")
    n = len(wanted)
    gap = min(gap, (high - low) / max(n - 1, 1))
    steps = gap * np.arange(n)
    free = isotonic_regression(wanted[order] - steps).x  # p_k - k gap must not decrease
    placed = np.empty(n)
    placed[order] = np.clip(free, low, high - steps[-1]) + steps
    return placed


def label_width(names: Iterable[str]) -> float:
    """Compute the room, in points, that labels beside axes need."""
    canvas: Any = FigureCanvasAgg(Figure(dpi=72.0))
    renderer = canvas.get_renderer()
    font = FontProperties(size=FONT - 0.5)
    widths = [
        renderer.get_text_width_height_descent(drawable(name), font, ismath=False)[0]
        for name in names
    ]
    return 27.0 + 1.02 * max(widths, default=0.0)


def drawable(text: str) -> str:
    """Replace the letters that the font lacks; matplotlib would warn about each of them."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(letter if ord(letter) in known else "\ufffd" for letter in text)


def room_for(ax: "Axes") -> int:
    """Count how many labels fit beside axes."""
    figure: Any = ax.figure
    height = figure.get_size_inches()[1] * 72.0 * ax.get_position().height
    return max(1, int(1.04 * height / ((FONT - 0.5) * 1.32)) + 1)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as png (200 dots per inch), svg or pdf; the same bytes for the same figure.

    Raises
    ------
    ValueError
        If the name has another ending.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ValueError(f"{path}: a picture's name must end with .png, .svg or .pdf")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    options: dict[str, Any] = {"metadata": undated[ending]} if ending in undated else {}
    figure.savefig(path, format=ending, dpi=200, facecolor=figure.get_facecolor(), **options)


def png(figure: Figure) -> bytes:
    """Render a figure for a notebook."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, facecolor=figure.get_facecolor())
    return buffer.getvalue()
