"""What a validation returns: the curve, the chosen point, the fit to all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg.inputs import Array
from fastreg.relaxed import RelaxedPath
from fastreg.result import PathResult, Result
from fastreg.validation.folds import Folds


@dataclass(frozen=True, repr=False)
class ValidationResult:
    """Scores on held-out rows over a grid, the point that was chosen, and its fit to all rows.

    The arrays over the grid have an axis for each of degree, l1_ratio, relax and alpha, in this
    order; those but the last are there only where a sequence was given. Indices into the grid
    are tuples: ``mean[index]`` is a number.

    Attributes
    ----------
    alphas : ndarray
        The alpha of every point of the grid, decreasing along the last axis.
    l1_ratios : ndarray of shape (n_l1_ratios,)
        Also where a single one was given.
    degrees : tuple of int, or None
        Polynomial degrees, where these are part of the grid.
    scoring : str
        Name of the score.
    greater_is_better : bool
        Whether the score is a merit, not an error.
    fold_scores : ndarray of the shape of alphas and a last axis over folds
        Score of each fold on the rows that it holds out.
    fold_weights : ndarray of shape (n_folds,)
        Sample weight that each fold holds out.
    mean, standard_error : ndarray of the shape of alphas
        Over the folds, by weight: mean = sum_k v_k e_k and standard_error =
        sqrt(sum_k v_k (e_k - mean)^2 / (K - 1)), v_k being the shares of fold_weights. The standard
        error of a single fold is nan.
    n_active : ndarray of the shape of alphas
        Nonzero coefficients, a mean over the folds.
    selection : str
        The rule that chose `index`: "min", "1se" or the name of a callable.
    index, index_min, index_1se : tuple of int
        The point that was chosen; the one with the best mean; the one by the one-standard-error
        rule (see `validate`).
    result : Result or None
        Fit to all rows at the chosen point; None with ``refit=False``. With ``relax`` it is the
        point of the path, and the blend is in `coef` and `intercept`.
    path : PathResult or None
        Fits to all rows over the alphas at the chosen l1_ratio (and degree).
    folds : Folds or None
        The rows of each fold; None where only their moments are known.
    largest_gap : float
        Largest duality gap of all fits, the folds' included, relative to their null objectives.
    n_unconverged : int
        Fits, of all folds and of the path, that ended without a usable status.
    n_fits : int
        Number of all fits.
    n_passes : int
        Reads of the whole of X, held-out rows included.
    seconds : float
        Wall-clock time of the call.
    method : str
        How the folds were scored: "paths" or "moments".
    blends : ndarray of shape (n_blends,), or None
        The values of ``relax``, where they are part of the grid; also a single one.
    relaxed : RelaxedPath or None
        `path` beside least squares on its supports, where ``relax`` was given.
    """

    # grid
    alphas: Array
    l1_ratios: Array
    degrees: tuple[int, ...] | None

    # curve
    scoring: str
    greater_is_better: bool
    fold_scores: Array
    fold_weights: Array
    mean: Array
    standard_error: Array
    n_active: Array

    # choice
    selection: str
    index: tuple[int, ...]
    index_min: tuple[int, ...]
    index_1se: tuple[int, ...]

    # fit to all rows
    result: Result | None
    path: PathResult | None

    # quality
    folds: Folds | None
    largest_gap: float
    n_unconverged: int
    n_fits: int

    # work
    n_passes: int
    seconds: float
    method: str

    blends: Array | None = None
    relaxed: RelaxedPath | None = None

    @property
    def coef(self) -> Array:
        """Coefficients of the chosen model, fitted to all rows.

        Raises
        ------
        ValueError
            If there is no fit to all rows (``refit=False``).
        """
        if self.relaxed is not None:
            return np.asarray(self.relaxed.coef(self._blend)[self.index[-1]])
        return np.asarray(self._refit.coef)

    @property
    def intercept(self) -> Any:
        """Intercept of the chosen model, fitted to all rows.

        Raises
        ------
        ValueError
            If there is no fit to all rows (``refit=False``).
        """
        if self.relaxed is not None:
            return self.relaxed.intercept(self._blend)[self.index[-1]]
        return self._refit.intercept

    @property
    def relax(self) -> float | None:
        """The chosen blend with least squares, where that was part of the grid."""
        return None if self.blends is None else self._blend

    @property
    def _blend(self) -> float:
        return self._blend_at(self.index)

    def _blend_at(self, place: tuple[int, ...]) -> float:
        assert self.blends is not None
        return float(self.blends[place[-2] if len(self.blends) > 1 else 0])

    @property
    def _refit(self) -> Result:
        if self.result is None:
            raise ValueError("there is no fit to all rows: validate with refit=True")
        return self.result

    @property
    def alpha(self) -> float:
        """The chosen strength."""
        return float(self.alphas[self.index])

    @property
    def l1_ratio(self) -> float:
        """The chosen mixing of the penalty."""
        return self._l1_ratio_at(self.index)

    @property
    def degree(self) -> int | None:
        """The chosen polynomial degree, where there are several."""
        return None if self.degrees is None else self.degrees[self.index[0]]

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.fold_weights)

    @property
    def converged(self) -> bool:
        """Whether every fit, of the folds and of the path, has a usable status."""
        return self.n_unconverged == 0

    @property
    def message(self) -> str:
        """How the fits ended, as a sentence."""
        if self.converged:
            return f"Converged: all {self.n_fits} fits have a duality gap within the tolerance."
        return (
            f"{self.n_unconverged} of {self.n_fits} fits did not converge, the largest relative "
            f"gap is {self.largest_gap:.1e}: raise max_iter or tol, or end the grid at a larger "
            "alpha."
        )

    def predict(self, X: Any, offset: Any = None) -> npt.NDArray[np.float64]:
        """Return X @ coef + intercept (+ offset) of the chosen model; see `Result.predict`.

        Raises
        ------
        ValueError
            If there is no fit to all rows (``refit=False``).
        TypeError, ValueError
            If X or offset has a wrong type, shape or name, or is not finite.
        """
        if self.relaxed is not None:
            return self.relaxed.predict(X, self._blend, offset)[:, self.index[-1]]
        return self._refit.predict(X, offset)

    def __repr__(self) -> str:
        """Return the result as a short table."""
        lines = [
            f"ValidationResult: {self._grid()}, {self._folds()}",
            f"  {self.message}",
            f"  {'chosen by ' + self.selection:<15} {self._point(self.index)}",
        ]
        for name, place in (("min", self.index_min), ("1se", self.index_1se)):
            if name != self.selection:
                lines.append(f"  {name:<15} {self._point(place)}")
        lines.append(f"  largest gap     {self.largest_gap:.1e} relative to the null objective")
        lines.append(
            f"  work            {self.n_passes} passes over X, {self.seconds:.3g} s, "
            f"from {self.method}"
        )
        return "\n".join(lines)

    def _grid(self) -> str:
        ends = f"{self.alphas.shape[-1]} alphas from {self.alphas.max():.6g} to "
        ends += f"{self.alphas.min():.6g}"
        if len(self.l1_ratios) > 1:
            ends += f" x {len(self.l1_ratios)} l1_ratios"
        if self.blends is not None and len(self.blends) > 1:
            ends += f" x {len(self.blends)} blends"
        if self.degrees is not None:
            ends += f" x {len(self.degrees)} degrees"
        return ends

    def _folds(self) -> str:
        return "1 fold" if self.n_folds == 1 else f"{self.n_folds} folds"

    def _l1_ratio_at(self, place: tuple[int, ...]) -> float:
        behind = 1 + (self.blends is not None and len(self.blends) > 1)
        return float(self.l1_ratios[place[-1 - behind] if len(self.l1_ratios) > 1 else 0])

    def _point(self, place: tuple[int, ...]) -> str:
        text = f"alpha={self.alphas[place]:.6g}"
        if len(self.l1_ratios) > 1:
            text += f", l1_ratio={self._l1_ratio_at(place):g}"
        if self.blends is not None:
            text += f", relax={self._blend_at(place):g}"
        if self.degrees is not None:
            text += f", degree={self.degrees[place[0]]}"
        text += f": {self.scoring} {self.mean[place]:.6g}"
        error = float(self.standard_error[place])
        if np.isfinite(error):
            text += f" +- {error:.0f}" if 100.0 <= error < 1e6 else f" +- {error:.2g}"
        return text + f", {self.n_active[place]:.4g} nonzero"
