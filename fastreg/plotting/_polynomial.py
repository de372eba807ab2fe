"""A polynomial over its data, beside one that fits too little and one that fits too much."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from fastreg.plotting._drawing import (
    FONT,
    Display,
    Floats,
    Style,
    Theme,
    draw_subtitle,
    draw_title,
    drawable,
    dress,
    number,
    text_width,
    theme_of,
)

#: Points of a curve.
N_POINTS = 600


class PolynomialFitDisplay(Display):
    """Fits in one input over their data, a panel each, with the error on rows that none has seen.

    Make one with `from_estimator` or `from_result`.

    Parameters
    ----------
    x, y : ndarray of shape (n_samples,)
        The rows that the fits have seen.
    grid : ndarray of shape (n_points,)
    curves : dict of str to ndarray of shape (n_points,)
        Predictions along `grid`.
    errors : dict of str to (float, float or None)
        Root mean squared error on these rows, and on those held out.
    held_out : (ndarray, ndarray), optional
        Rows that none has seen.
    truth : ndarray of shape (n_points,), optional
    names : (str, str)
        Of the input and the target.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    axes_ : list of matplotlib.axes.Axes
    lines_ : dict of str to matplotlib.lines.Line2D
    """

    def __init__(
        self,
        *,
        x: Floats,
        y: Floats,
        grid: Floats,
        curves: dict[str, Floats],
        errors: dict[str, tuple[float, float | None]],
        held_out: tuple[Floats, Floats] | None,
        truth: Floats | None,
        names: tuple[str, str],
    ) -> None:
        self.x = x
        self.y = y
        self.grid = grid
        self.curves = curves
        self.errors = errors
        self.held_out = held_out
        self.truth = truth
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        **options: Any,
    ) -> Self:
        """Draw a `PolynomialRegression` that has chosen its degree or alpha, between two extremes.

        To its left the smallest degree that it chose from, if it chose a larger one; to its right
        the largest one, if it chose a smaller one or a penalty. Both are fitted by least squares.

        Parameters
        ----------
        estimator : fastreg.PolynomialRegression
            Fitted.
        X, y : array of shape (n_samples, 1), array of shape (n_samples,)
            The rows it was fitted to.
        sample_weight : array of shape (n_samples,), optional
            Their weights, if it was fitted with such.
        **options
            See `from_result`.
        """
        if not hasattr(estimator, "degree_"):
            raise ValueError("estimator must be a fitted PolynomialRegression")
        tried, chosen = np.unique(estimator.degree).tolist(), estimator.degree_

        def least_squares(degree: int) -> Any:
            plain = {"degree": degree, "penalty": None, "alpha": None}
            model = type(estimator)(**{**estimator.get_params(), **plain})
            return model.fit(X, y, sample_weight)

        penalty = f"alpha = {estimator.alpha_:.2g}" if estimator.alpha_ else "least squares"
        fits = {}
        if tried[0] < chosen:
            fits[f"Too stiff: degree {tried[0]}"] = least_squares(tried[0])
        fits[f"Chosen: degree {chosen}, {penalty}"] = estimator
        if tried[-1] > chosen or estimator.alpha_:
            fits[f"Too flexible: degree {tried[-1]}"] = least_squares(tried[-1])
        return cls.from_result(fits, X, y, **options)

    @classmethod
    def from_result(
        cls,
        fits: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        X_held_out: ArrayLike | None = None,
        y_held_out: ArrayLike | None = None,
        truth: Callable[[Floats], ArrayLike] | None = None,
        input_name: str = "x",
        target_name: str = "y",
        **plot_options: Any,
    ) -> Self:
        """Draw fits.

        Parameters
        ----------
        fits : mapping of str to object with a method predict
            A panel each, with the name as its title; predict takes inputs of shape (n, 1).
        X, y : array of shape (n_samples,) or (n_samples, 1), array of shape (n_samples,)
            The rows that they were fitted to.
        X_held_out, y_held_out : arrays, optional
            Rows that they have not seen.
        truth : callable, optional
            The mean of y given x, an array of shape (n,), where that is known.
        input_name, target_name : str
        **plot_options
            See `plot`.

        Raises
        ------
        TypeError, ValueError
            If there are several inputs, no fits, or shapes do not fit.
        """
        if not isinstance(fits, Mapping):
            kind = type(fits).__name__
            raise TypeError(f"fits must map names to fitted models, got {kind}")
        if not fits:
            raise ValueError("fits must map at least one name to a fitted model")
        x, targets = _rows("X", X, "y", y)
        held_out = None
        if X_held_out is not None or y_held_out is not None:
            held_out = _rows("X_held_out", X_held_out, "y_held_out", y_held_out)
        everywhere = x if held_out is None else np.concatenate([x, held_out[0]])
        grid = np.linspace(everywhere.min(), everywhere.max(), N_POINTS)
        curves, errors = {}, {}
        for name, fit in fits.items():
            curves[name] = _predict(fit, grid)
            unseen = None if held_out is None else _rmse(fit, *held_out)
            errors[name] = (_rmse(fit, x, targets), unseen)
        return cls(
            x=x,
            y=targets,
            grid=grid,
            curves=curves,
            errors=errors,
            held_out=held_out,
            truth=None if truth is None else np.asarray(truth(grid), dtype=np.float64),
            names=(input_name, target_name),
        ).plot(**plot_options)

    def plot(self, axes: Any = None, *, style: Style = "light", title: str | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        axes : sequence of matplotlib.axes.Axes, optional
            One for each fit; a figure of its own by default.
        style : {"light", "dark"}
        title : str, optional
            Of a figure of its own.
        """
        theme = theme_of(style)
        own = axes is None
        axes = self._own_axes(theme, title) if own else list(np.ravel(axes))
        if len(axes) != len(self.curves):
            raise ValueError(f"axes has {len(axes)} entries for {len(self.curves)} fits")
        self.axes_, self.figure_ = axes, axes[0].figure
        low, high = self._limits()
        errors = [unseen for _, unseen in self.errors.values() if unseen is not None]
        self.lines_ = {}
        for k, (ax, (name, curve)) in enumerate(zip(axes, self.curves.items(), strict=True)):
            dress(ax, theme)
            self._draw_rows(ax, theme)
            if self.truth is not None:
                ax.plot(
                    self.grid,
                    self.truth,
                    color=theme.muted,
                    linewidth=1.2,
                    linestyle=(0, (4, 3)),
                    zorder=2,
                    label="the truth",
                )
            color = theme.colors[k % len(theme.colors)]
            (self.lines_[name],) = ax.plot(self.grid, curve, color=color, linewidth=2.2, zorder=4)
            ax.set_ylim(low, high)
            room = 0.02 * float(self.grid[-1] - self.grid[0]) or 0.5
            ax.set_xlim(self.grid[0] - room, self.grid[-1] + room)
            draw_title(ax, name, theme)
            seen, unseen = self.errors[name]
            text = f"error {number(seen)}"
            if unseen is not None:
                text += f", on new rows {number(unseen)}"
            words = draw_subtitle(ax, text, theme)
            if errors and unseen == min(errors):
                words.set(color=theme.ink, fontweight="bold")
            ax.set_xlabel(drawable(self.names[0]), color=theme.ink, fontsize=FONT, parse_math=False)
        axes[0].set_ylabel(
            drawable(self.names[1]), color=theme.ink, fontsize=FONT, parse_math=False
        )
        for ax in axes[1:]:
            ax.tick_params(labelleft=False)
        if own:
            self._explain(theme)
        return self

    def _own_axes(self, theme: Theme, title: str | None) -> list[Any]:
        n = len(self.curves)
        figure = Figure(figsize=(4.4 * n + 0.6, 4.4), facecolor=theme.paper)
        axes = np.ravel(figure.subplots(1, n, squeeze=False))
        longest = max(text_width(f"-{abs(limit):.4g}", FONT - 1.0) for limit in self._limits())
        left = (38.0 + longest) / 72.0 / (4.4 * n + 0.6)
        figure.subplots_adjust(left=left, right=0.985, top=0.78, bottom=0.12, wspace=0.07)
        if title is not None:
            figure.text(
                left,
                0.94,
                drawable(title),
                color=theme.ink,
                fontsize=FONT + 5.0,
                fontweight="bold",
                parse_math=False,
            )
        return list(axes)

    def _explain(self, theme: Theme) -> None:
        """Say what the marks are, above the panels at the right."""
        self.figure_.legend(
            *self.axes_[0].get_legend_handles_labels(),
            loc="upper right",
            bbox_to_anchor=(0.99, 0.995),
            ncols=3,
            frameon=False,
            fontsize=FONT - 0.5,
            labelcolor=theme.muted,
            handletextpad=0.4,
        )

    def _limits(self) -> tuple[float, float]:
        """Show all rows; a curve that leaves them leaves the picture."""
        values = self.y if self.held_out is None else np.concatenate([self.y, self.held_out[1]])
        room = 0.1 * float(np.ptp(values)) or 1.0
        return float(values.min()) - room, float(values.max()) + room

    def _draw_rows(self, ax: Any, theme: Theme) -> None:
        many = len(self.x) > 400
        size, opacity = (9.0, 0.45) if many else (24.0, 0.9)
        if self.held_out is not None:
            ax.scatter(
                *self.held_out,
                s=size,
                marker="o",
                facecolors="none" if not many else theme.faint,
                edgecolors=theme.muted,
                linewidths=0.7,
                alpha=opacity,
                zorder=2.5,
                rasterized=many,
                label="new rows",
            )
        ax.scatter(
            self.x,
            self.y,
            s=size,
            color=theme.ink,
            linewidths=0,
            alpha=opacity,
            zorder=3,
            rasterized=many,
            label="rows of the fit",
        )


def _rows(name_x: str, x: Any, name_y: str, y: Any) -> tuple[Floats, Floats]:
    if x is None or y is None:
        raise TypeError(f"{name_x} and {name_y} belong together: give both or none")
    inputs = np.asarray(x, dtype=np.float64)
    if inputs.ndim == 2 and inputs.shape[1] == 1:
        inputs = inputs[:, 0]
    if inputs.ndim != 1:
        raise ValueError(f"{name_x} has shape {inputs.shape}; one input is drawn: (n,) or (n, 1)")
    targets = np.asarray(y, dtype=np.float64)
    if targets.shape != inputs.shape:
        raise ValueError(f"{name_y} has shape {targets.shape}; {inputs.shape} is needed")
    return inputs, targets


def _predict(fit: Any, x: Floats) -> Floats:
    predicted: Floats = np.asarray(fit.predict(x[:, None]), dtype=np.float64)
    if predicted.shape != x.shape:
        raise ValueError(f"a fit predicts shape {predicted.shape}; {x.shape} is needed")
    return predicted


def _rmse(fit: Any, x: Floats, y: Floats) -> float:
    return float(np.sqrt(np.mean((y - _predict(fit, x)) ** 2)))
