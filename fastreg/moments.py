"""Moments: all that squared loss needs of X and y, added up chunk by chunk, merged, kept in files.

The moments of some rows are their weight, and the weighted means, centred Gram matrix, centred
products with the responses and squares of the responses. See `fastreg._core.moments` for how they
lie in memory and are merged.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import Any, BinaryIO, cast

import numpy as np

from fastreg._core import moments as core
from fastreg.grid import check_grid
from fastreg.inputs import (
    Array,
    as_alphas,
    as_matrix,
    as_response,
    as_strength,
    known_model,
    require_square,
)
from fastreg.moment_model import MomentModel
from fastreg.moment_problem import Sums, problem_of
from fastreg.result import PathResult, Result
from fastreg.settings import Settings, resolve_settings
from fastreg.survey import as_chunk_weight, refuse, survey

_VERSION = 1  # of the files
_KIND = "fastreg.Moments"


class Moments:
    """Weights, means and centred products of the rows added so far: sums that a fit needs.

    With s the sample weights, S their sum, m and k the weighted means of the columns and responses,

        gram = 1/S sum_i s_i (x_i - m)(x_i - m)',   cross = 1/S sum_i s_i (y_i - k)(x_i - m)'.

    Rows are added in chunks of any size, and moments of different rows (of other files, folds or
    machines) are merged. Whatever was added, `solve` and `path` return what `fastreg.solve` and
    `fastreg.solve_path` return for all rows at once, up to rounding, without reading a row again.

    Attributes
    ----------
    n_features, n_responses : int
        Zero before the first chunk.
    n_rows : int
        Rows added.
    weight_sum : float
        Sum of their weights.
    mean : ndarray of shape (n_features,)
        Weighted means of the columns.
    y_mean : ndarray of shape (n_responses,)
        Weighted means of the responses.
    gram : ndarray of shape (n_features, n_features)
        Weighted covariances of the columns (population).
    cross : ndarray of shape (n_responses, n_features)
        Weighted covariances of responses and columns.
    y_variance : ndarray of shape (n_responses,)
        Weighted variances of the responses.
    rounding : float
        Bound on the relative error of each covariance, in units of both deviations. It supposes
        that the first rows of a chunk lie within a few deviations of its means.

    Examples
    --------
    A file larger than memory is read in chunks (here by `numpy.fromfile`; rows of a CSV or Parquet
    file do as well), each of which goes to one of five folds:

    >>> import numpy as np, tempfile, fastreg
    >>> rng = np.random.default_rng(0)
    >>> folds = [fastreg.Moments() for _ in range(5)]
    >>> with tempfile.TemporaryFile() as file:
    ...     for _ in range(10):
    ...         rows = rng.standard_normal((1000, 6))
    ...         rows[:, 5] += 2 * rows[:, 0] - rows[:, 3]
    ...         rows.tofile(file)
    ...     _ = file.seek(0)
    ...     for chunk in range(10):
    ...         rows = np.fromfile(file, count=1000 * 6).reshape(-1, 6)
    ...         _ = folds[chunk % 5].add(rows[:, :5], rows[:, 5])
    >>> moments = sum(folds, fastreg.Moments())
    >>> moments.solve(0.1).coef.round(1)
    array([ 1.9,  0. ,  0. , -0.9,  0. ])
    >>> moments.path(alphas=[1.5, 0.1]).n_active
    array([1, 2])
    >>> int(fastreg.validate_moments(folds, selection="1se").result.n_active)
    2
    """

    def __init__(self) -> None:
        self._state = np.zeros(0)
        self.n_features = 0
        self.n_responses = 0
        self._many = False
        self.feature_names: tuple[str, ...] | None = None

    # ---- what there is ---------------------------------------------------------------------------

    @property
    def n_rows(self) -> int:
        """Rows added, whatever their weight."""
        return int(self._state[1]) if len(self._state) else 0

    @property
    def weight_sum(self) -> float:
        """Sum of the weights of all rows."""
        return float(self._state[0]) if len(self._state) else 0.0

    @property
    def rounding(self) -> float:
        """Bound on the relative error of each covariance."""
        return float(self._state[2]) if len(self._state) else 0.0

    @property
    def mean(self) -> Array:
        """Weighted means of the columns."""
        return self._parts()[0]

    @property
    def y_mean(self) -> Array:
        """Weighted means of the responses."""
        return self._parts()[1]

    @property
    def gram(self) -> Array:
        """Weighted covariances of the columns."""
        return self._parts()[2]

    @property
    def cross(self) -> Array:
        """Weighted covariances of responses and columns."""
        return self._parts()[3]

    @property
    def y_variance(self) -> Array:
        """Weighted variances of the responses."""
        return self._parts()[4]

    def _parts(self) -> tuple[Array, Array, Array, Array, Array, Array]:
        """Return means, products and squares, and the errors of the means: read-only views."""
        if not len(self._state):
            raise ValueError("no rows were added yet")
        state = self._state.view()
        state.flags.writeable = False
        return core.parts(state, self.n_features, self.n_responses)

    def __repr__(self) -> str:
        """Return the sizes in one line."""
        return (
            f"Moments: {self.n_rows} rows of weight {self.weight_sum:g}, "
            f"{self.n_features} features, "
            f"{self.n_responses} response{'s' if self.n_responses != 1 else ''}"
        )

    # ---- more rows -------------------------------------------------------------------------------

    def add(self, X: Any, y: Any, sample_weight: Any = None, *, n_threads: int = 1) -> Moments:
        """Add rows; they are read once and not kept.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_rows, n_features)
            As in `fastreg.solve`. Every chunk must have the same columns in the same order.
        y : array of shape (n_rows,) or (n_rows, n_responses)
        sample_weight : array of shape (n_rows,), optional
            Weights >= 0; a weight of k equals k copies of the row.
        n_threads : int, default 1
            Threads for the products; they change no bit of the result.

        Returns
        -------
        Moments
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not acceptable or does not fit the earlier chunks; nothing is added.
        """
        threads = resolve_settings(None, {"n_threads": n_threads}).n_threads
        matrix, names = as_matrix(X)
        targets, many = as_response(y, matrix.shape[0])
        weight, total = as_chunk_weight(sample_weight, matrix.shape[0])
        require_square("y", targets)
        state = survey(matrix, targets, weight, total, threads)
        if not np.isfinite(state).all():
            refuse(matrix)
        return self.merge(moments_from(state, matrix.shape[1], targets.shape[1], many, names))

    def merge(self, other: Moments) -> Moments:
        """Add the rows of other moments; return itself.

        Raises
        ------
        TypeError, ValueError
            If `other` is no `Moments`, or of other columns or responses.
        """
        if not isinstance(other, Moments):
            raise TypeError(f"other must be a Moments, got {type(other).__name__}")
        if not len(other._state):
            return self
        if not len(self._state):
            self._state = other._state.copy()
            self._take_shape(other)
            return self
        self._require_like(other)
        self.feature_names = self.feature_names or other.feature_names
        self._state = core.merge(self._state, other._state, self.n_features, self.n_responses)
        return self

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of the rows of both."""
        if not isinstance(other, Moments):
            return NotImplemented
        return Moments().merge(self).merge(other)

    def _take_shape(self, other: Moments) -> None:
        self.n_features, self.n_responses = other.n_features, other.n_responses
        self._many, self.feature_names = other._many, other.feature_names

    def _require_like(self, other: Moments) -> None:
        if other.n_features != self.n_features:
            raise ValueError(
                f"X has {other.n_features} features, but earlier rows have {self.n_features}"
            )
        if (other.n_responses, other._many) != (self.n_responses, self._many):
            shapes = [f"(n, {one.n_responses})" if one._many else "(n,)" for one in (other, self)]
            raise ValueError(f"y has shape {shapes[0]}, but that of earlier rows is {shapes[1]}")
        ours, theirs = self.feature_names, other.feature_names
        if ours is not None and theirs is not None and ours != theirs:
            j = next(j for j, pair in enumerate(zip(ours, theirs, strict=True)) if len({*pair}) > 1)
            raise ValueError(
                f"column {j} of X is {theirs[j]!r}, but that of earlier rows is {ours[j]!r}"
            )

    # ---- files -----------------------------------------------------------------------------------

    def save(self, file: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the moments to a file (.npz without pickle, of a version that `load` checks)."""
        names = np.array([] if self.feature_names is None else self.feature_names, dtype=np.str_)
        parts: dict[str, Any] = {
            "kind": np.array(_KIND),
            "version": np.array(_VERSION),
            "shape": np.array([self.n_features, self.n_responses, self._many]),
            "named": np.array(self.feature_names is not None),
            "feature_names": names,
            "state": self._state,
        }
        if hasattr(file, "write"):
            np.savez(cast(BinaryIO, file), **parts)
        else:
            with open(file, "wb") as opened:  # np.savez would change the name
                np.savez(opened, **parts)

    @classmethod
    def load(cls, file: str | os.PathLike[str] | BinaryIO) -> Moments:
        """Read moments that `save` has written.

        Raises
        ------
        ValueError
            If the file holds no moments, is damaged, or was written by a newer version.
        """
        try:
            with np.load(cast(Any, file), allow_pickle=False) as archive:
                parts = {name: archive[name] for name in archive.files}
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{file!r} holds no moments: {error}") from None
        if "kind" not in parts or str(parts["kind"]) != _KIND or "version" not in parts:
            raise ValueError(f"{file!r} holds no moments that Moments.save has written")
        if parts["version"].dtype.kind not in "iu" or int(parts["version"]) != _VERSION:
            raise ValueError(
                f"{file!r} is of version {parts['version']}; this fastreg reads {_VERSION}"
            )
        found = cls()
        try:
            p, m, many = (int(number) for number in parts["shape"])
            state = np.ascontiguousarray(parts["state"], dtype=np.float64)
            names = tuple(str(name) for name in parts["feature_names"])
            named = bool(parts["named"])
            expected = core.length(p, m) if p else 0
            whole = state.shape == (expected,) and bool(np.isfinite(state).all())
            whole = whole and (not named or len(names) == p) and (p > 0) == (m > 0)
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise ValueError(f"{file!r} is damaged: its parts do not fit each other")
        found._state, found.n_features, found.n_responses = state, p, m
        found._many, found.feature_names = bool(many), names if named else None
        return found

    # ---- fits ------------------------------------------------------------------------------------

    def solve(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        penalty_factor: Any = None,
        lower: Any = None,
        upper: Any = None,
        positive: bool = False,
        standardize: bool = False,
        warm_start: Any = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> Result:
        """Minimise the objective of `fastreg.solve` over all rows added.

        Parameters
        ----------
        alpha, l1_ratio, fit_intercept, penalty_factor, lower, upper, positive, standardize, \
warm_start, settings, **options
            As in `fastreg.solve`.

        Returns
        -------
        Result
            `n_passes` is zero. The duality gap holds for the rows themselves: what rounding has
            done to the moments is bounded and counted in. Where that is more than the tolerance
            (columns without a penalty that depend on each other up to rounding; strengths at which
            the fit is all but exact) the status is ``STALLED``.

        Raises
        ------
        TypeError, ValueError
            If an argument is not acceptable, or no rows of positive weight were added.
        """
        started = monotonic()
        chosen = resolve_settings(settings, options)
        ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
        strength = as_strength("alpha", alpha)
        model = self._model(
            fit_intercept=fit_intercept,
            penalty_factor=penalty_factor,
            lower=lower,
            upper=upper,
            positive=positive,
            standardize=standardize,
        )
        return model.solve(strength, ratio, chosen, started, warm_start)

    def path(
        self,
        *,
        alphas: Any = None,
        n_alphas: int = 100,
        eps: float = 1e-3,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        penalty_factor: Any = None,
        lower: Any = None,
        upper: Any = None,
        positive: bool = False,
        standardize: bool = False,
        warm_start: Any = None,
        sparse_coef: bool = False,
        settings: Settings | None = None,
        **options: Any,
    ) -> PathResult:
        """Minimise the objective of `fastreg.solve` for every alpha of a decreasing grid.

        Parameters
        ----------
        alphas, n_alphas, eps, sparse_coef
            As in `fastreg.solve_path`.
        l1_ratio, fit_intercept, penalty_factor, lower, upper, positive, standardize, warm_start, \
settings, **options
            As in `fastreg.solve`.

        Returns
        -------
        PathResult
            As `solve` says.

        Raises
        ------
        TypeError, ValueError
            If an argument is not acceptable, or no rows of positive weight were added.
        """
        started = monotonic()
        chosen = resolve_settings(settings, options)
        ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
        if not isinstance(sparse_coef, (bool, np.bool_)):
            raise TypeError(f"sparse_coef must be True or False, got {sparse_coef!r}")
        grid = None if alphas is None else as_alphas(alphas)
        check_grid(n_alphas, eps)
        model = self._model(
            fit_intercept=fit_intercept,
            penalty_factor=penalty_factor,
            lower=lower,
            upper=upper,
            positive=positive,
            standardize=standardize,
        )
        grid = model.grid(ratio, n_alphas, eps) if grid is None else grid
        return model.path(grid, ratio, chosen, started, warm_start, sparse=bool(sparse_coef))

    def alpha_max(self, *, l1_ratio: float = 1.0, **model: Any) -> float | Array:
        """Return the smallest alpha at which every penalised coefficient is zero.

        Parameters
        ----------
        l1_ratio, **model
            As in `fastreg.alpha_max`.

        Returns
        -------
        float, or ndarray of shape (n_responses,) for two-dimensional y

        Raises
        ------
        TypeError, ValueError
            If an argument is not acceptable, or no rows of positive weight were added.
        """
        ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
        largest = self._model(**known_model(model)).largest_alphas(ratio)
        return largest if self._many else float(largest[0])

    def alpha_grid(
        self, *, n_alphas: int = 100, eps: float = 1e-3, l1_ratio: float = 1.0, **model: Any
    ) -> Array:
        """Return the grid that `path` takes by default.

        Parameters
        ----------
        n_alphas, eps, l1_ratio, **model
            As in `fastreg.alpha_grid`.

        Returns
        -------
        ndarray of shape (n_alphas,)
            Decreasing.

        Raises
        ------
        TypeError, ValueError
            If an argument is not acceptable, or no rows of positive weight were added.
        """
        ratio = as_strength("l1_ratio", l1_ratio, high=1.0)
        check_grid(n_alphas, eps)
        return self._model(**known_model(model)).grid(ratio, n_alphas, eps)

    def _model(self, **model: Any) -> MomentModel:
        """Return what the arguments of a model make of the moments."""
        if self.weight_sum == 0.0:
            raise ValueError("no rows of positive weight were added yet")
        sums = Sums(*self._parts(), self.weight_sum, self.rounding)
        for name in ("sample_weight", "offset"):
            if model.pop(name, None) is not None:
                raise TypeError(
                    f"{name} belongs to the rows: give it to `add` (an offset is taken off y)"
                )
        names = self.feature_names
        return MomentModel(sums, problem_of(sums, many=self._many, feature_names=names, **model))


def moments_from(
    state: Array, p: int, m: int, many: bool, names: tuple[str, ...] | None
) -> Moments:
    """Return moments that are known, without copying them."""
    found = Moments()
    found._state, found.n_features, found.n_responses = state, p, m
    found._many, found.feature_names = many, names
    return found
