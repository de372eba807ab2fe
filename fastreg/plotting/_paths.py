"""Coefficients along a path."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from fastreg.plotting._axes import alpha_positions, count_on_top, mark_alpha, set_alpha_axis
from fastreg.plotting._drawing import (
    FONT,
    Display,
    Floats,
    Style,
    Theme,
    as_scale,
    aside,
    draw_grey_lines,
    draw_title,
    drawable,
    dress,
    known_features,
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

#: At most this many of the unnamed paths are drawn: more cannot be told apart.
MAX_GREY_PATHS = 2000


class CoefficientPathDisplay(Display):
    """Coefficients against the strength of the penalty, with the features that matter named.

    Make one with `from_result`.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    coef : ndarray of shape (n_alphas, n_columns)
    feature_names : sequence of str
        Of all features.
    columns : ndarray of int of shape (n_columns,), optional
        The features that `coef` has, increasing; the others are zero. All by default.
    validation_error : ndarray of shape (n_alphas,), optional
    chosen : int, optional
        The index of the alpha that was chosen.
    n_kept : ndarray of shape (n_alphas,), optional
        How many coefficients are not zero; counted in `coef` by default.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_, error_ax_ : matplotlib.axes.Axes or None
    lines_ : list of matplotlib.lines.Line2D
        The named paths, the largest coefficient first.
    features_ : list of int
        Which these are.
    rest_ : matplotlib.collections.LineCollection or None
        All the others.
    texts_ : list of matplotlib.text.Text
        Their labels.

    Examples
    --------
    >>> path = fastreg.solve_path(X, y)  # doctest: +SKIP
    >>> CoefficientPathDisplay.from_result(path).save("path.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        alphas: Floats,
        coef: Floats,
        feature_names: Sequence[str],
        columns: NDArray[np.intp] | None = None,
        validation_error: Floats | None = None,
        chosen: int | None = None,
        n_kept: NDArray[np.intp] | None = None,
    ) -> None:
        self.alphas = alphas
        self._x = alpha_positions(alphas)
        self.coef = coef
        self.feature_names = list(feature_names)
        self.columns = np.arange(coef.shape[1]) if columns is None else columns
        self.validation_error = validation_error
        self.chosen = chosen
        self.n_kept = np.count_nonzero(coef, axis=1) if n_kept is None else n_kept

    @classmethod
    def from_result(
        cls,
        path: "fastreg.PathResult | fastreg.ValidationResult",
        *,
        feature_names: Sequence[str] | None = None,
        scale: ArrayLike | None = None,
        validation_error: ArrayLike | None = None,
        chosen: int | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a path.

        Parameters
        ----------
        path, feature_names, scale, validation_error, chosen
            See `prepare`.
        **plot_options
            See `plot`.
        """
        return cls.prepare(
            path,
            feature_names=feature_names,
            scale=scale,
            validation_error=validation_error,
            chosen=chosen,
        ).plot(**plot_options)

    @classmethod
    def prepare(
        cls,
        path: Any,
        *,
        feature_names: Sequence[str] | None = None,
        scale: ArrayLike | None = None,
        validation_error: ArrayLike | None = None,
        chosen: int | None = None,
    ) -> Self:
        """Take what is to be drawn from a path of one response, without drawing it.

        Parameters
        ----------
        path : fastreg.PathResult or fastreg.ValidationResult
            With a ValidationResult the errors of held-out rows are drawn, too, and the alpha that
            was chosen is marked.
        feature_names : sequence of str, optional
            Default: those of the data frame, else ``x0``, ``x1``, ...
        scale : array_like of shape (n_features,), optional
            Multiplies the coefficients: with the standard deviations of the columns the picture
            shows effects that can be compared.
        validation_error : array_like of shape (n_alphas,), optional
            Drawn below the coefficients.
        chosen : int, optional
            The index of the chosen alpha; where `validation_error` is least by default.

        Raises
        ------
        TypeError
            If path is something else.
        ValueError
            If the path has several responses, shapes do not fit, or numbers are not finite.
        """
        if not (hasattr(path, "alphas") and (hasattr(path, "coef") or hasattr(path, "index_min"))):
            kind = type(path).__name__
            raise TypeError(f"path must be a PathResult or a ValidationResult, got {kind}")
        if hasattr(path, "index_min"):
            path, validation_error, chosen = _of_validation(path, validation_error, chosen)
        alphas = np.asarray(path.alphas, dtype=np.float64)
        stored: Any = path.coef
        if isinstance(stored, tuple) or stored.ndim != 2:
            raise ValueError("path must have one response; draw those of several one by one")
        n_features = stored.shape[1]
        names = names_of(n_features, feature_names, getattr(path, "feature_names", None))
        factors = as_scale(scale, n_features)
        columns = np.arange(n_features)
        if hasattr(stored, "tocsc"):  # only the features that ever enter
            stored = stored.tocsc()
            columns = np.flatnonzero(np.diff(stored.indptr))
            coef = stored[:, columns].toarray()
        else:
            coef = np.asarray(stored, dtype=np.float64)
        errors = None if validation_error is None else np.asarray(validation_error, np.float64)
        if errors is not None and errors.shape != alphas.shape:
            raise ValueError(f"validation_error has shape {errors.shape}; {alphas.shape} is needed")
        if errors is not None and np.isnan(errors).all():
            raise ValueError("validation_error must have a number")
        if chosen is None and errors is not None:
            chosen = int(np.nanargmin(errors))
        if chosen is not None and not 0 <= chosen < len(alphas):
            raise ValueError(f"chosen must be an index from 0 to {len(alphas) - 1}, got {chosen}")
        return cls(
            alphas=alphas,
            coef=coef * factors[columns],
            feature_names=names,
            columns=columns,
            validation_error=errors,
            chosen=chosen,
            n_kept=np.count_nonzero(coef, axis=1),
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        error_ax: "Axes | None" = None,
        style: Style = "light",
        max_labels: int = 10,
        features: Sequence[int] | None = None,
        baselines: Mapping[str, float] | None = None,
        title: str | None = None,
        ylabel: str = "coefficient",
        error_label: str = "validation error",
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax, error_ax : matplotlib.axes.Axes, optional
            Where to; a figure of its own by default.
        style : {"light", "dark"}
        max_labels : int
            How many features get a colour and a name.
        features : sequence of int, optional
            Which; see `ranking` for the default.
        baselines : mapping of str to float, optional
            Errors to compare with, drawn as lines.
        title, ylabel, error_label : str
        """
        theme = theme_of(style)
        if ax is None and error_ax is not None:
            raise ValueError("error_ax needs ax, too")
        if max_labels < 0:
            raise ValueError(f"max_labels must be at least 0, got {max_labels}")
        own = ax is None
        if ax is None:
            ax, error_ax = self._own_axes(theme, max_labels, features, title is not None)
        self.ax_, self.error_ax_ = ax, error_ax
        self.figure_: Any = ax.figure
        self._theme = theme
        self._draw_paths(ax, self._features(ax, max_labels, features))
        for axes in (ax, *((error_ax,) if error_ax is not None else ())):
            dress(axes, theme)
            set_alpha_axis(axes, self.alphas[: self._last_shown() + 1])
        if ylabel:
            ax.set_ylabel(drawable(ylabel), color=theme.ink, fontsize=FONT, parse_math=False)
        if np.ptp(self.n_kept) > 0:  # L2 keeps all features all the way
            shown = slice(self._last_shown() + 1)
            self.top_ax_ = count_on_top(ax, self._x[shown], self.n_kept[shown], theme)
        if title is not None:
            draw_title(ax, title, theme)
        if error_ax is not None and self._has_errors:
            self._draw_errors(error_ax, baselines or {}, error_label)
            if own:
                ax.tick_params(labelbottom=False)
        lowest = ax if error_ax is None else error_ax
        lowest.set_xlabel("alpha (a weaker penalty →)", color=theme.ink, fontsize=FONT)
        self._label_lines(ax)
        return self

    def _own_axes(
        self, theme: Theme, max_labels: int, features: Sequence[int] | None, titled: bool
    ) -> "tuple[Axes, Axes | None]":
        """Make a figure with room for the labels."""
        figure = Figure(figsize=(9.0, 7.2 if self._has_errors else 5.4), facecolor=theme.paper)
        error_ax: Axes | None = None
        if self._has_errors:
            ax, error_ax = figure.subplots(
                2, 1, sharex=True, gridspec_kw={"height_ratios": (2.4, 1.0), "hspace": 0.08}
            )
        else:
            ax = figure.subplots()
        names = [shorten(self.feature_names[j]) for j in self._features(ax, max_labels, features)]
        if self._has_errors:
            names.append("0000000 at alpha = 0.00e+00")
        right = 1.0 - (label_width(names) + 10.0) / (72.0 * 9.0)
        above = (0.8 if titled else 0.5) / float(figure.get_size_inches()[1])
        figure.subplots_adjust(left=0.09, right=right, top=1.0 - above, bottom=0.1)
        return ax, error_ax

    @property
    def _has_errors(self) -> bool:
        return self.validation_error is not None

    def ranking(self, n_features: int) -> list[int]:
        """List the features with the largest coefficients up to the chosen (or else last) alpha.

        What counts is the largest on the way and the one at the end, in equal parts.
        """
        end = len(self.alphas) - 1 if self.chosen is None else self.chosen
        size = np.abs(self.coef[: end + 1])
        weight = np.max(size, axis=0, initial=0.0) + size[-1]
        order = np.argsort(-weight, kind="stable")[:n_features]
        return [int(self.columns[k]) for k in order if weight[k] > 0.0]

    def curve(self, feature: int) -> Floats:
        """Return the coefficients of a feature along the path."""
        k = int(np.searchsorted(self.columns, feature))
        inside = k < len(self.columns) and self.columns[k] == feature
        return np.asarray(self.coef[:, k]) if inside else np.zeros(len(self.alphas))

    def limits(self) -> tuple[float, float]:
        """Find the smallest and the largest coefficient to draw."""
        coef = self.coef[: self._last_shown() + 1]
        return float(np.min(coef, initial=0.0)), float(np.max(coef, initial=0.0))

    def _features(self, ax: "Axes", max_labels: int, features: Sequence[int] | None) -> list[int]:
        room = room_for(ax)
        if features is None:
            return self.ranking(min(max_labels, room))
        return known_features(features, len(self.feature_names))[:room]

    def _last_shown(self) -> int:
        """Find the last alpha to draw: half a decade behind the chosen, at least half of all."""
        last = len(self.alphas) - 1
        if self.chosen is None:
            return last
        behind = np.flatnonzero(self.alphas >= self.alphas[self.chosen] * 10.0**-0.5)
        return min(last, max(int(behind[-1]), self.chosen + 1, (last + 1) // 2))

    def _draw_paths(self, ax: "Axes", features: list[int]) -> None:
        theme = self._theme
        stop = self._last_shown() + 1
        x, coef = self._x[:stop], self.coef[:stop]
        largest = np.max(np.abs(coef), axis=0, initial=0.0)
        largest[np.isin(self.columns, features)] = 0.0
        others = np.argsort(-largest, kind="stable")[:MAX_GREY_PATHS]
        others = others[largest[others] > 0.0]
        self.rest_ = draw_grey_lines(ax, x, coef[:, others].T, theme)
        ax.axhline(0.0, color=theme.muted, linewidth=0.8, zorder=1.5)
        self.features_ = features
        self.lines_ = []
        for k, j in enumerate(features):
            (line,) = ax.plot(
                x,
                self.curve(j)[:stop],
                color=theme.colors[k % len(theme.colors)],
                linestyle="-" if k < len(theme.colors) else (0, (5.0, 1.2)),
                linewidth=1.9,
                marker="o" if stop == 1 else "",
                zorder=3,
            )
            self.lines_.append(line)
        if self.chosen is not None:
            mark_alpha(ax, float(self._x[self.chosen]), theme)
        low, high = self.limits()
        margin = 0.05 * (high - low) or 1.0
        ax.set_ylim(low - margin, high + margin)

    def _draw_errors(self, ax: "Axes", baselines: Mapping[str, float], label: str) -> None:
        theme = self._theme
        stop = self._last_shown() + 1
        errors: Any = self.validation_error
        ax.plot(self._x[:stop], errors[:stop], color=theme.ink, linewidth=1.7)
        ax.set_ylabel(drawable(label), color=theme.ink, fontsize=FONT, parse_math=False)
        low, high = float(np.nanmin(errors[:stop])), float(np.nanmax(errors[:stop]))
        room = 0.12 * (high - low) or abs(high) or 1.0
        ax.set_ylim(low - 1.6 * room, high + room)
        if self.chosen is not None:
            x, y = float(self._x[self.chosen]), float(errors[self.chosen])
            mark_alpha(ax, x, theme)
            ax.plot([x], [y], "o", color=theme.colors[1], markersize=6.5, zorder=4)
            aside(ax, f"{number(y)} at alpha = {self.alphas[self.chosen]:.3g}", y, theme.colors[1])
        for name, value in baselines.items():
            inside = low - 1.6 * room < value < high + room
            if inside:
                ax.axhline(value, color=theme.muted, linewidth=1.0, linestyle=":")
            aside(ax, f"{name} {number(value)}{'' if inside else ' ↑'}", value, theme.muted)
        spread_asides(ax)

    def _label_lines(self, ax: "Axes") -> None:
        self.texts_ = []
        for line, j in zip(self.lines_, self.features_, strict=True):
            end = float(np.asarray(line.get_ydata())[-1])
            name = shorten(self.feature_names[j])
            self.texts_.append(aside(ax, name, end, str(line.get_color()), self._theme.ink))
        spread_asides(ax)

    def set_ylim(self, low: float, high: float) -> None:
        """Set the limits of the coefficients, and put the labels right."""
        self.ax_.set_ylim(low, high)
        spread_asides(self.ax_)


def _of_validation(
    validation: Any, error: ArrayLike | None, chosen: int | None
) -> tuple["fastreg.PathResult", ArrayLike, int]:
    """Return the path over all rows, its held-out scores, and the point that was chosen."""
    if validation.path is None:
        raise ValueError("path has no fit to all rows: validate with refit=True")
    *curve, place = validation.index
    scores = validation.mean[tuple(curve)] if error is None else error
    return validation.path, scores, place if chosen is None else chosen
