"""What L1, L2 and their mixture do to coefficients, and what they did."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

import fastreg
from fastreg.plotting._axes import log_ticks
from fastreg.plotting._drawing import (
    FONT,
    Display,
    Floats,
    Style,
    Theme,
    as_scale,
    aside,
    draw_subtitle,
    draw_title,
    dress,
    label_width,
    size_of,
    spread_asides,
    theme_of,
)

#: The penalties whose shapes are drawn: name, l1_ratio, what it does.
SHAPES = (
    ("L1", 1.0, "has corners: a weight is zero"),
    ("elastic net", 0.5, "rounded edges, the corners stay"),
    ("L2", 0.0, "is round: all weights stay"),
)

# Least squares of two weights, for the shapes: its curvature, and its minimum.
_HESSIAN = np.array([[1.0, -0.35], [-0.35, 0.75]])
_MINIMUM = np.array([0.45, 1.25])
_REACH = 1.75  # of the axes
_STRENGTH = 0.45


class PenaltyDisplay(Display):
    """L1 against L2 against the elastic net: the penalty, the shrinkage, and coefficients.

    Above, two weights: contours of a squared error, and the weights that cost the same penalty as
    the answer, where they touch. Below at the left, one weight of an orthonormal design: least
    squares against the penalised answer,

        soft(w, alpha l1_ratio) / (1 + alpha (1 - l1_ratio)),
        soft(w, t) = sign(w) max(|w| - t, 0).

    Below at the right, sizes of fitted coefficients in their order: a curve that ends has no other
    coefficients, the rest are exact zeros. Make one with `from_result`.

    Parameters
    ----------
    sizes : dict of str to ndarray
        The nonzero absolute coefficients of each fit, decreasing.
    n_features : int

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure or SubFigure
    shape_axes_ : list of matplotlib.axes.Axes
    shrinkage_ax_, sizes_ax_ : matplotlib.axes.Axes
    answers_ : dict of str to ndarray of shape (2,)
        Where the contours touch.
    lines_ : dict of str to matplotlib.lines.Line2D
        The sizes.
    """

    def __init__(self, sizes: dict[str, Floats], n_features: int) -> None:
        self.sizes = sizes
        self.n_features = n_features

    @classmethod
    def from_result(
        cls,
        results: "Mapping[str, fastreg.Result | ArrayLike]",
        *,
        scale: ArrayLike | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw several fits to the same features.

        Parameters
        ----------
        results : mapping of str to fastreg.Result or array of shape (n_features,)
            Fits or their coefficients; "L1", "L2", "elastic net" have the colours of the shapes.
        scale : array of shape (n_features,), optional
            Multiplies the coefficients: with the standard deviations of the columns they can be
            compared.
        **plot_options
            See `plot`.

        Raises
        ------
        TypeError
            If a fit is neither a result nor an array of numbers.
        ValueError
            If there are no fits, of several responses, not finite, of different numbers of
            features, or scale does not fit.
        """
        if not results:
            raise ValueError("results must have at least one fit")
        coefs = {name: _coefficients(name, result) for name, result in results.items()}
        shapes = {coef.shape for coef in coefs.values()}
        if len(shapes) > 1 or next(iter(coefs.values())).ndim != 1:
            raise ValueError(
                f"results have coefficients of shapes {sorted(shapes)}; one shape (n_features,) "
                "is needed"
            )
        ((n_features,),) = shapes
        factors = as_scale(scale, n_features)
        sizes = {}
        for name, coef in coefs.items():
            size = np.abs(coef * factors)
            sizes[name] = np.sort(size[size > 0.0])[::-1]
        return cls(sizes, n_features).plot(**plot_options)

    def plot(
        self,
        figure: Any = None,
        *,
        style: Style = "light",
        ylabel: str = "size of the coefficient",
    ) -> Self:
        """Draw.

        Parameters
        ----------
        figure : matplotlib.figure.Figure or SubFigure, optional
            An empty one, at least about 10 by 7 inches; one of its own by default.
        style : {"light", "dark"}
        ylabel : str
            Of the fitted coefficients.
        """
        theme = theme_of(style)
        if figure is None:
            figure = Figure(figsize=(11.4, 8.0))
        figure.set_facecolor(theme.paper)
        self.figure_ = figure
        beside = (label_width(self._texts().values()) + 8.0) / 72.0
        width, height = figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi
        edges = {"left": 1.0 / width, "bottom": 0.6 / height}
        upper = figure.add_gridspec(
            1, 3, **{**edges, "bottom": 0.55}, right=1 - 0.3 / width, top=0.88, wspace=0.16
        )
        lower = figure.add_gridspec(
            1, 2, **edges, right=1 - beside / width, top=0.41, wspace=0.5, width_ratios=(1.0, 1.5)
        )
        self.shape_axes_ = []
        self.answers_: dict[str, Floats] = {}
        for (name, l1_ratio, says), cell in zip(SHAPES, upper, strict=True):
            ax = figure.add_subplot(cell)
            self.shape_axes_.append(ax)
            self._draw_shape(ax, name, l1_ratio, says, theme)
        self.shrinkage_ax_ = figure.add_subplot(lower[0])
        self._draw_shrinkage(self.shrinkage_ax_, theme)
        self.sizes_ax_ = figure.add_subplot(lower[1])
        self._draw_sizes(self.sizes_ax_, theme, ylabel)
        return self

    def _color(self, name: str, theme: Theme) -> str:
        known = [shape[0] for shape in SHAPES]
        others = [other for other in self.sizes if other not in known]
        if name in known:
            return theme.colors[known.index(name)]
        return theme.colors[len(known) + others.index(name) % (len(theme.colors) - len(known))]

    def _draw_shape(self, ax: Any, name: str, l1_ratio: float, says: str, theme: Theme) -> None:
        """Draw the squared error of two weights, and the penalty where it stops the fit."""
        root = np.linalg.cholesky(_HESSIAN).T * np.sqrt(2.0)
        answer = fastreg.solve(
            root, root @ _MINIMUM, alpha=_STRENGTH, l1_ratio=l1_ratio, fit_intercept=False
        ).coef
        self.answers_[name] = answer
        axis = np.linspace(-0.62 * _REACH, _REACH, 301)
        w = np.stack(np.meshgrid(axis, axis))
        off = w - _MINIMUM[:, None, None]
        error = np.einsum("i...,ij,j...->...", off, _HESSIAN, off)
        touch = float((answer - _MINIMUM) @ _HESSIAN @ (answer - _MINIMUM))
        penalty = l1_ratio * np.abs(w).sum(axis=0) + (1.0 - l1_ratio) / 2.0 * (w**2).sum(axis=0)
        paid = l1_ratio * np.abs(answer).sum() + (1.0 - l1_ratio) / 2.0 * (answer**2).sum()
        color = self._color(name, theme)
        ax.contourf(axis, axis, penalty, levels=[-1.0, paid], colors=[color], alpha=0.22)
        ax.contour(axis, axis, penalty, levels=[paid], colors=[color], linewidths=2.0)
        levels = touch * np.array([0.15, 0.5, 1.0, 1.8, 2.9])
        ax.contour(axis, axis, error, levels=levels, colors=[theme.muted], linewidths=0.8)
        ax.axhline(0.0, color=theme.faint, linewidth=0.9, zorder=0)
        ax.axvline(0.0, color=theme.faint, linewidth=0.9, zorder=0)
        ax.plot(*_MINIMUM, "+", color=theme.ink, markersize=8.0, zorder=4)
        ax.annotate(
            "least squares",
            _MINIMUM,
            xytext=(7, 3),
            textcoords="offset points",
            color=theme.ink,
            fontsize=FONT - 1.0,
            zorder=4,
            bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
        )
        ax.plot(*answer, "o", color=color, markeredgecolor=theme.paper, markersize=9.0, zorder=5)
        dress(ax, theme)
        ax.set_aspect("equal")
        ax.set_xticks([0.0], ["0"])
        ax.set_yticks([0.0], ["0"])
        ax.set_xlabel("first weight", color=theme.ink, fontsize=FONT)
        ax.set_ylabel("second weight", color=theme.ink, fontsize=FONT)
        draw_title(ax, name, theme)
        draw_subtitle(ax, says, theme)

    def _draw_shrinkage(self, ax: Any, theme: Theme) -> None:
        """Draw the answer for one weight against least squares."""
        alpha, w = 1.0, np.linspace(-3.0, 3.0, 601)
        ax.plot(w, w, color=theme.muted, linewidth=1.0, linestyle=(0, (4, 3)))
        for name, l1_ratio, _ in SHAPES:
            soft = np.sign(w) * np.maximum(np.abs(w) - alpha * l1_ratio, 0.0)
            shrunk = soft / (1.0 + alpha * (1.0 - l1_ratio))
            color = self._color(name, theme)
            ax.plot(w, shrunk, color=color, linewidth=2.0)
            aside(ax, name, float(shrunk[-1]), color, theme.ink)
        ax.annotate(
            "not penalised",
            (2.2, 2.2),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            color=theme.muted,
            fontsize=FONT - 1.0,
        )
        dress(ax, theme)
        ax.set_xlim(-3.0, 3.0)
        ax.set_ylim(-3.0, 3.0)
        ticks = [-2, 0, 2], ["-2 alpha", "0", "2 alpha"]
        ax.set_xticks(*ticks)
        ax.set_yticks(*ticks)
        ax.set_xlabel("weight by least squares", color=theme.ink, fontsize=FONT)
        ax.set_ylabel("penalised weight", color=theme.ink, fontsize=FONT)
        draw_title(ax, "One weight", theme)
        draw_subtitle(ax, "L1 cuts to zero, L2 scales down", theme)
        spread_asides(ax)

    def _draw_sizes(self, ax: Any, theme: Theme, ylabel: str) -> None:
        """Draw the sizes of coefficients in their order; where a curve ends are exact zeros."""
        dress(ax, theme)
        self.lines_, texts = {}, self._texts()
        ax.set_yscale("log")
        ax.set_xscale("log")
        ax.minorticks_off()
        last = max(self.n_features, 2) * 1.05
        ax.set_xlim(0.9, last)
        ticks = log_ticks(0.9, last, max(2, int(size_of(ax)[0] / 55.0)))
        ax.set_xticks(list(ticks), list(ticks.values()))
        self._set_size_limits(ax)
        for name, size in self.sizes.items():
            color = self._color(name, theme)
            (self.lines_[name],) = ax.plot(
                np.arange(1, len(size) + 1), size, color=color, linewidth=2.0, zorder=3
            )
            if len(size):
                ends = len(size) < self.n_features
                x, y = len(size), float(size[-1])
                ax.plot([x], [y], "o", color=color, markersize=6.0 if ends else 0.0, zorder=4)
                inside = max(y, ax.get_ylim()[0])
            else:
                inside = ax.get_ylim()[0]
            aside(ax, texts[name], inside, color, theme.ink)
        ax.set_xlabel("features, the largest coefficient first", color=theme.ink, fontsize=FONT)
        ax.set_ylabel(ylabel, color=theme.ink, fontsize=FONT, parse_math=False)
        draw_title(ax, "Shrinkage against sparsity", theme)
        draw_subtitle(ax, "a curve with a dot ends there: the rest are exact zeros", theme)
        spread_asides(ax)

    def _set_size_limits(self, ax: Any) -> None:
        """Show five powers of ten at most: what is smaller is as good as nothing."""
        values = np.concatenate([np.zeros(0), *self.sizes.values()])
        high = float(values.max()) if values.size else 1.0
        low = max(float(values.min()), 1e-5 * high) if values.size else 0.1
        ax.set_ylim(low / 1.6, high * 1.6)

    def _texts(self) -> dict[str, str]:
        return {
            name: f"{name}: {len(size)} of {self.n_features} kept"
            for name, size in self.sizes.items()
        }


def _coefficients(name: str, result: Any) -> Floats:
    """Return the coefficients of a fit, checked."""
    try:
        coef = np.asarray(getattr(result, "coef", result), dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(result).__name__
        raise TypeError(f"results[{name!r}] must be a Result or coefficients, got {kind}") from None
    if not np.isfinite(coef).all():
        raise ValueError(f"results[{name!r}] must be finite")
    return coef
