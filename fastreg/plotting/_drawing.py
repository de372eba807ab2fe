"""What all pictures share: colours, axes, labels beside the axes that keep apart, files."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
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


def draw_subtitle(ax: "Axes", text: str, theme: Theme) -> "Text":
    """Write a sentence between the title and the axes, at the left."""
    return ax.text(
        0.0,
        1.02,
        drawable(text),
        transform=ax.transAxes,
        color=theme.muted,
        fontsize=FONT - 0.5,
        ha="left",
        va="bottom",
        parse_math=False,
    )


def draw_grey_lines(ax: "Axes", x: Floats, curves: Floats, theme: Theme) -> LineCollection | None:
    """Draw the rows of `curves` as thin lines in the background."""
    if not len(curves):
        return None
    many = len(curves) > 200
    lines = LineCollection(
        list(np.stack(np.broadcast_arrays(x, curves), -1)),
        colors=theme.faint,
        linewidths=0.5 if many else 0.8,
        alpha=0.45 if many else 0.9,
        rasterized=many,
        zorder=1,
    )
    ax.add_collection(lines)
    return lines


def shorten(name: str, longest: int = 30) -> str:
    """Cut a long name in its middle."""
    name = " ".join(name.split())
    if len(name) <= longest:
        return name
    head = longest // 2
    return name[:head] + "…" + name[len(name) - (longest - 1 - head) :]


def theme_of(style: str) -> Theme:
    """Return the colours of a style.

    Raises
    ------
    ValueError
        If there is no such style.
    """
    if style not in THEMES:
        raise ValueError(f"style must be 'light' or 'dark', got {style!r}")
    return THEMES[style]


def names_of(
    n_features: int, given: Sequence[str] | None, known: Sequence[str] | None = None
) -> list[str]:
    """Return the names of features: those given, those of a result, or x0, x1, ...

    Raises
    ------
    TypeError, ValueError
        If the names are a single string, or more or fewer than there are features.
    """
    if isinstance(given, str):
        raise TypeError("feature_names must be a sequence of strings, got a single string")
    names = given if given is not None else known
    if names is None:
        return [f"x{j}" for j in range(n_features)]
    if len(names) != n_features:
        raise ValueError(f"feature_names has {len(names)} names for {n_features} features")
    return [str(name) for name in names]


def known_features(features: Iterable[int], n_features: int) -> list[int]:
    """Return the indices, checked.

    Raises
    ------
    ValueError
        If one is none of a feature.
    """
    found = [int(j) for j in features]
    for j in found:
        if not 0 <= j < n_features:
            raise ValueError(f"features must be indices from 0 to {n_features - 1}, got {j}")
    return found


def as_scale(scale: ArrayLike | None, n_features: int) -> Floats:
    """Return what multiplies the coefficients, checked.

    Raises
    ------
    ValueError
        If there are more or fewer numbers than features, or they are not finite.
    """
    factors = np.ones(n_features) if scale is None else np.asarray(scale, dtype=np.float64)
    if factors.shape != (n_features,):
        raise ValueError(f"scale has shape {factors.shape}; ({n_features},) is needed")
    if not np.isfinite(factors).all():
        raise ValueError("scale must be finite")
    return factors


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
    width, height = size_of(ax)
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
    return 27.0 + 1.02 * max((text_width(name, FONT - 0.5) for name in names), default=0.0)


def text_width(text: str, size: float) -> float:
    """Compute the width of a text in points."""
    font = FontProperties(size=size)
    return float(_renderer().get_text_width_height_descent(drawable(text), font, ismath=False)[0])


@cache
def _renderer() -> Any:
    canvas: Any = FigureCanvasAgg(Figure(dpi=72.0))
    return canvas.get_renderer()


def size_of(ax: "Axes") -> tuple[float, float]:
    """Return the width and height of axes in points."""
    figure: Any = ax.figure
    return ax.bbox.width * 72.0 / figure.dpi, ax.bbox.height * 72.0 / figure.dpi


def drawable(text: str) -> str:
    """Replace the letters that the font lacks; matplotlib would warn about each of them."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(letter if ord(letter) in known else "\ufffd" for letter in text)


def room_for(ax: "Axes") -> int:
    """Count how many labels fit beside axes."""
    return max(1, int(1.04 * size_of(ax)[1] / ((FONT - 0.5) * 1.32)) + 1)


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure as png (200 dots per inch), svg or pdf, or all of the one it is a part of.

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
    figure = _whole(figure)
    figure.savefig(path, format=ending, dpi=200, facecolor=figure.get_facecolor(), **options)


class Display:
    """A picture that can be saved, and that a notebook shows."""

    figure_: Any

    def save(self, path: str | Path) -> None:
        """Write the picture; see `save_figure`."""
        save_figure(self.figure_, path)

    def png(self) -> bytes:
        """Return the picture in the size of a notebook or a page."""
        return png(self.figure_)

    def _repr_png_(self) -> bytes:
        return self.png()


def png(figure: Any, dpi: float = 110.0) -> bytes:
    """Render a figure, or all of the one it is a part of."""
    figure, buffer = _whole(figure), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return buffer.getvalue()


def _whole(figure: Any) -> Figure:
    """Return the figure that a part of a figure belongs to."""
    whole: Figure = figure if isinstance(figure, Figure) else figure.figure
    return whole
