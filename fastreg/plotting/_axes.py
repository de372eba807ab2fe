"""Axes of strengths: ticks, counts along the upper edge, marks of chosen points."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastreg.plotting._drawing import FONT, Floats, Theme, size_of, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 3  # powers of ten on an axis below which other round numbers have ticks, too


def alpha_positions(alphas: ArrayLike) -> Floats:
    """Return where strengths stand on a logarithmic axis: zero a step behind the smallest."""
    values = np.asarray(alphas, dtype=np.float64)
    positive = values[values > 0.0]
    if positive.size == values.size:
        return values
    if positive.size == 0:
        return np.ones_like(values)
    low, high = float(positive.min()), float(positive.max())
    step = float(np.clip((high / low) ** 0.15, 1.5, 10.0))
    return np.where(values > 0.0, values, low / step)


def set_alpha_axis(ax: "Axes", alphas: ArrayLike) -> None:
    """Make the x axis one of these strengths, on a logarithmic scale, from large to small."""
    values = np.asarray(alphas, dtype=np.float64)
    positions = alpha_positions(values)
    high, low = float(positions.max()), float(positions.min())
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xlim(*((high, low) if high > low else (high * 2.0, low / 2.0)))
    positive = values[values > 0.0]
    ticks: dict[float, str] = {}
    if positive.size:
        room = max(2, int(size_of(ax)[0] / 55.0))
        ticks = log_ticks(float(positive.min()), float(positive.max()), room)
    if positive.size < values.size:
        ticks[low] = "0"
    ax.set_xticks(list(ticks), list(ticks.values()))


def log_ticks(low: float, high: float, most: int) -> dict[float, str]:
    """Return round numbers in [low, high], at most about so many, and how they are written."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    slack = 1.0 + 1e-9
    inside = [k for k in range(first, last + 1) if low <= 10.0**k * slack <= high * slack**2]
    if len(inside) >= _FEW:
        step = -(-len(inside) // most)
        return {10.0**k: f"$10^{{{k}}}$" for k in inside[::-step]}
    round_ones = [m * 10.0**k for k in range(first, last + 1) for m in (1.0, 2.0, 5.0)]
    inside_ones = [v for v in round_ones if low <= v * slack <= high * slack**2]
    if len(inside_ones) < 2:
        inside_ones = [low] if low == high else [low, float(np.sqrt(low * high)), high]
    step = -(-len(inside_ones) // most)
    return {v: f"{v:.0f}" if 1e3 <= v < 1e6 else f"{v:.3g}" for v in inside_ones[::-step]}


def count_on_top(ax: "Axes", x: Floats, counts: ArrayLike, theme: Theme, most: int = 6) -> Any:
    """Write along the upper edge how many features are kept; return the axis of these numbers."""
    values = np.asarray(counts, dtype=np.float64)
    texts = [_count(value) for value in values]
    top = ax.secondary_xaxis("top")
    kept = _apart(ax, x, texts, most)
    top.set_xticks([float(x[i]) for i in kept], [texts[i] for i in kept])
    top.tick_params(which="both", length=0, pad=2, labelsize=FONT - 1.5, labelcolor=theme.muted)
    top.minorticks_off()
    top.spines["top"].set_visible(False)
    top.set_xlabel("features kept", fontsize=FONT - 1.5, color=theme.muted, labelpad=2)
    return top


def _count(value: float) -> str:
    if not np.isfinite(value):
        return ""
    return f"{value:.1f}" if value < 10.0 and value != round(value) else f"{value:.0f}"


def _apart(ax: "Axes", x: Floats, texts: Sequence[str], most: int) -> list[int]:
    """Choose points, evenly in their order, whose texts keep apart along the x axis."""
    last = len(x) - 1
    wanted = np.unique(np.linspace(0, last, min(most, last + 1)).round().astype(int))
    low = ax.get_ylim()[0]  # zero is no place on a logarithmic axis
    at = ax.transData.transform(np.column_stack([x, np.full(last + 1, low)]))[:, 0]
    figure: Any = ax.figure
    at = at * 72.0 / figure.dpi
    kept: list[int] = []
    for i in [last, *wanted[:-1]]:  # the last one in any case
        need = [0.5 * (_wide(texts[i]) + _wide(texts[k])) + 4.0 for k in kept]
        if all(abs(at[i] - at[k]) >= room for k, room in zip(kept, need, strict=True)):
            kept.append(int(i))
    return sorted(kept)


def _wide(text: str) -> float:
    return text_width(text, FONT - 1.5)


def mark_alpha(ax: "Axes", x: float, theme: Theme, *, strong: bool = True) -> None:
    """Draw a vertical line at a point of the x axis."""
    color, dash = (theme.ink, (4, 3)) if strong else (theme.muted, (1, 2))
    ax.axvline(x, color=color, linewidth=1.0, linestyle=(0, dash), zorder=2)
