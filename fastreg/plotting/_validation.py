"""Held-out scores over the grid of a validation."""

from itertools import product
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, StrMethodFormatter

from fastreg.plotting._axes import alpha_positions, count_on_top, mark_alpha, set_alpha_axis
from fastreg.plotting._drawing import (
    FONT,
    Display,
    Floats,
    Style,
    Theme,
    aside,
    draw_grey_lines,
    draw_title,
    drawable,
    dress,
    label_width,
    number,
    room_for,
    spread_asides,
    theme_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    import fastreg

#: Errors that fall to less than the inverse of this are drawn on a logarithmic scale.
_STEEP = 4.0

#: At most this many curves are coloured and named; all are drawn.
MAX_CURVES = 6


class ValidationCurveDisplay(Display):
    """Score of held-out rows against alpha, its standard error, and the points that rules choose.

    Make one with `from_result`. A curve is drawn for every degree and l1_ratio of the grid; the
    band of one standard error belongs to the curve of the chosen point.

    Parameters
    ----------
    x : ndarray of shape (n_curves, n_points)
        What varies along the curves.
    parameter : {"alpha", "degree"}
        Its name: the degree, if that is chosen without a choice of alpha.
    mean, standard_error, n_active : ndarray of shape (n_curves, n_points)
        See `fastreg.ValidationResult`.
    fold_scores : ndarray of shape (n_curves, n_points, n_folds)
    labels : list of str
        What each curve stands for.
    points : dict of str to (int, int)
        Curve and point that each rule chooses; the first one is the choice.
    scoring : str
    greater_is_better : bool

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    lines_ : dict of int to matplotlib.lines.Line2D
        The named curves.
    band_ : matplotlib.collections.PolyCollection or None
        One standard error around the curve of the choice; None with a single fold.
    rest_, folds_ : matplotlib.collections.LineCollection or None
        The other curves, and those of the folds.
    texts_ : list of matplotlib.text.Text

    Examples
    --------
    >>> chosen = fastreg.validate(X, y)  # doctest: +SKIP
    >>> ValidationCurveDisplay.from_result(chosen).save("validation.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        x: Floats,
        parameter: str,
        mean: Floats,
        standard_error: Floats,
        n_active: Floats,
        fold_scores: Floats,
        labels: list[str],
        points: dict[str, tuple[int, int]],
        scoring: str,
        greater_is_better: bool,
    ) -> None:
        self.x = alpha_positions(x) if parameter == "alpha" else x
        self.parameter = parameter
        self._values = x
        self.mean = mean
        self.standard_error = standard_error
        self.n_active = n_active
        self.fold_scores = fold_scores
        self.labels = labels
        self.points = points
        self.scoring = scoring
        self.greater_is_better = greater_is_better

    @classmethod
    def from_result(cls, result: "fastreg.ValidationResult", **plot_options: Any) -> Self:
        """Draw a validation.

        Parameters
        ----------
        result : fastreg.ValidationResult
            Also the `validation_` of LassoCV, ElasticNetCV and PolynomialRegression.
        **plot_options
            See `plot`.

        Raises
        ------
        TypeError
            If result is something else.
        """
        return cls.prepare(result).plot(**plot_options)

    @classmethod
    def prepare(cls, result: "fastreg.ValidationResult") -> Self:
        """Take what is to be drawn, without drawing it; as `from_result`."""
        if not hasattr(result, "index_1se"):
            raise TypeError(f"result must be a ValidationResult, got {type(result).__name__}")
        over_degrees = result.degrees is not None and result.alphas.shape[-1] == 1
        rules = {result.selection: result.index, "min": result.index_min}
        if np.isfinite(result.standard_error[result.index_min]):
            rules.setdefault("1se", result.index_1se)

        def curves(grid: Any) -> Any:
            """Give an array over the grid one axis over curves, and one along them."""
            grid = grid if not over_degrees else np.swapaxes(grid, 0, result.alphas.ndim - 1)
            return grid.reshape(-1, *grid.shape[result.alphas.ndim - 1 :])

        number_of = curves(np.arange(result.alphas.size).reshape(result.alphas.shape))
        points = {}
        for rule, index in rules.items():
            row, place = np.argwhere(number_of == np.ravel_multi_index(index, result.alphas.shape))[
                0
            ]
            points[rule] = (int(row), int(place))
        x = curves(result.alphas)
        if over_degrees:
            x = np.broadcast_to(np.asarray(result.degrees, dtype=np.float64), x.shape)
        return cls(
            x=x,
            parameter="degree" if over_degrees else "alpha",
            mean=curves(result.mean),
            standard_error=curves(result.standard_error),
            n_active=curves(result.n_active),
            fold_scores=curves(result.fold_scores),
            labels=_labels(result, over_degrees),
            points=points,
            scoring=result.scoring,
            greater_is_better=result.greater_is_better,
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        style: Style = "light",
        folds: bool = False,
        title: str | None = None,
        ylabel: str | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; a figure of its own by default.
        style : {"light", "dark"}
        folds : bool
            Whether to draw the curves of the folds, too, for the l1_ratio and degree of the choice.
        title, ylabel : str, optional
            Default: no title, and the name of the score.
        """
        theme = self._theme = theme_of(style)
        ax = self._own_axes(theme, title is not None) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        dress(ax, theme)
        row = next(iter(self.points.values()))[0]
        if self.parameter == "alpha":
            set_alpha_axis(ax, self._values)
            xlabel = "alpha (a weaker penalty →)"
        else:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            xlabel = self.parameter
        self._set_limits(ax, row)
        self.folds_ = self._draw_folds(ax, row) if folds else None
        self._draw_curves(ax, row)
        self._draw_points(ax)
        if (
            self.parameter == "alpha" and np.ptp(self.n_active[row]) > 0
        ):  # L2 keeps all features all the way
            self.top_ax_ = count_on_top(ax, self.x[row], self.n_active[row], theme)
        label = f"{self.scoring.replace('_', ' ')}, held out" if ylabel is None else ylabel
        ax.set_ylabel(drawable(label), color=theme.ink, fontsize=FONT, parse_math=False)
        ax.set_xlabel(xlabel, color=theme.ink, fontsize=FONT)
        if title is not None:
            draw_title(ax, title, theme)
        spread_asides(ax)
        return self

    def _own_axes(self, theme: Theme, titled: bool) -> "Axes":
        """Make a figure with room for the labels."""
        width, height = 8.4, 4.8
        figure = Figure(figsize=(width, height), facecolor=theme.paper)
        ax = figure.subplots()
        texts = [self._text_of(rule) for rule in self.points]
        texts += [self.labels[row] for row in self._named(ax)]
        right = 1.0 - (label_width(texts) * 1.08 + 10.0) / (72.0 * width)  # the choice is bold
        above = (0.85 if titled else 0.5) / height
        figure.subplots_adjust(left=0.1, right=right, top=1.0 - above, bottom=0.12)
        return ax

    def _named(self, ax: "Axes") -> list[int]:
        """List the curves that get a name: those of the points first, then the best ones."""
        if len(self.mean) == 1:
            return []
        loss = -self.mean if self.greater_is_better else self.mean
        best = np.argsort(np.min(np.where(np.isnan(loss), np.inf, loss), axis=1), kind="stable")
        rows = dict.fromkeys([*(row for row, _ in self.points.values()), *best.tolist()])
        room = max(1, room_for(ax) - len(self.points))
        return list(rows)[: min(MAX_CURVES, room)]

    def _draw_curves(self, ax: "Axes", row: int) -> None:
        theme = self._theme
        named = self._named(ax) or [row]
        others = [k for k in range(len(self.mean)) if k not in named]
        self.rest_ = draw_grey_lines(ax, self.x[others], self.mean[others], theme)
        self.lines_, self.texts_, self.band_ = {}, [], None
        for k, curve in enumerate(named):
            color = theme.colors[k % len(theme.colors)]
            x, mean = self.x[curve], self.mean[curve]
            (self.lines_[curve],) = ax.plot(
                x,
                mean,
                color=color,
                linewidth=2.2 if curve == row else 1.3,
                marker="o" if len(x) == 1 else "",
                zorder=3,
            )
            if curve == row and np.isfinite(self.standard_error[curve]).any():
                error = self.standard_error[curve]
                self.band_ = ax.fill_between(
                    x, mean - error, mean + error, color=color, alpha=0.18, lw=0, zorder=1.5
                )
            if len(self.mean) > 1:
                end = float(mean[np.flatnonzero(np.isfinite(mean))[-1]])
                self.texts_.append(aside(ax, self.labels[curve], end, color, theme.ink))

    def _draw_folds(self, ax: "Axes", row: int) -> Any:
        return draw_grey_lines(ax, self.x[row], self.fold_scores[row].T, self._theme)

    def _draw_points(self, ax: "Axes") -> None:
        theme = self._theme
        for k, (rule, (row, i)) in enumerate(self.points.items()):
            x, y = float(self.x[row, i]), float(self.mean[row, i])
            color = theme.ink if k == 0 else theme.muted
            mark_alpha(ax, x, theme, strong=k == 0)
            face = color if k == 0 else theme.paper
            (point,) = ax.plot([x], [y], "o", color=face, markeredgecolor=color, markersize=7.0)
            point.set(clip_on=False, zorder=5 if k == 0 else 4)
            label = aside(ax, self._text_of(rule), y, color)
            if k == 0:
                label.set_fontweight("bold")
            self.texts_.append(label)

    def _text_of(self, rule: str) -> str:
        place = self.points[rule]
        value, error = float(self.mean[place]), float(self.standard_error[place])
        spread = f" ± {_two_digits(error)}" if np.isfinite(error) else ""
        label = self.labels[place[0]]
        return f"{rule}{', ' if label else ''}{label}: {number(value)}{spread}"

    def _set_limits(self, ax: "Axes", row: int) -> None:
        """Show the choice up to where its curve begins: weak penalties can be far outside."""
        sign = -1.0 if self.greater_is_better else 1.0
        loss, error = sign * self.mean, np.nan_to_num(self.standard_error)
        best = np.unravel_index(int(np.nanargmin(loss)), loss.shape)
        low = best_loss = float(loss[best])
        start = float(loss[row, 0])
        high = max(start, low + 4.0 * float(error[best]))
        if high == low:
            high = float(np.nanmax(loss[row])) if np.nanmax(loss[row]) > low else low + 1.0
        room = 0.12 * (high - low)
        low = min(low, float(np.nanmin((loss - error)[row]))) - room
        if sign > 0.0 and start > _STEEP * best_loss > 0.0:
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.minorticks_off()
            low = max(low, 0.85 * best_loss) if low > 0.0 else 0.8 * best_loss
        ax.set_ylim(*sorted((sign * low, sign * (high + room))))


def _two_digits(value: float) -> str:
    """Format with two significant digits, and without an exponent where that reads well."""
    return f"{value:.0f}" if 100.0 <= value < 1e6 else f"{value:.2g}"


def _labels(result: "fastreg.ValidationResult", over_degrees: bool) -> list[str]:
    """Name the curves by what varies from one to the other."""
    several = len(result.l1_ratios) > 1
    ratios = [f"l1_ratio {ratio:g}" for ratio in result.l1_ratios.tolist()] if several else [""]
    degrees = [""]
    if result.degrees is not None and not over_degrees:
        degrees = [f"degree {degree}" for degree in result.degrees]
    blends = [""]
    if result.blends is not None and len(result.blends) > 1:
        blends = [f"relax {blend:g}" for blend in result.blends.tolist()]
    return [", ".join(filter(None, names)) for names in product(degrees, ratios, blends)]
