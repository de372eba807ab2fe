"""What a solver returns: the solution, its proof, and the work that it took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.objective import Outcome
from fastreg.inputs import as_matrix_of, as_shift


class Status(IntEnum):
    """How a solver ended: positive values are usable answers."""

    CONVERGED = Outcome.CONVERGED
    RANK_DEFICIENT = Outcome.RANK_DEFICIENT
    MAX_ITER = Outcome.MAX_ITER
    TIME_LIMIT = Outcome.TIME_LIMIT
    STALLED = Outcome.STALLED
    NUMERICAL_ERROR = Outcome.NUMERICAL_ERROR

    @property
    def message(self) -> str:
        """The status as a sentence."""
        return _MESSAGES[self]


_MESSAGES = {
    Status.CONVERGED: "Converged: the duality gap is within the tolerance.",
    Status.RANK_DEFICIENT: (
        "Converged to one of many optima: columns without a penalty are linearly dependent. It is "
        "the one with the smallest norm, unless there are bounds or other penalties, or method is "
        "'working_set', 'gram' or 'descent'."
    ),
    Status.MAX_ITER: "Stopped at the iteration limit; raise max_iter, or tol.",
    Status.TIME_LIMIT: "Stopped at the time limit; raise time_limit, or tol.",
    Status.STALLED: (
        "Stopped because the duality gap got no smaller: tol is below the rounding of these data, "
        "or columns are too nearly dependent for the method."
    ),
    Status.NUMERICAL_ERROR: "Stopped because numbers overflowed; rescale X or y.",
}


@dataclass(frozen=True, repr=False)
class _Common:
    """Fields of one fit, or with a leading axis over alphas those of a path."""

    # solution
    coef: Any
    intercept: Any
    l1_ratio: float

    # status
    status: Any

    # quality
    objective: Any
    null_objective: Any
    duality_gap: Any
    tolerance: Any
    kkt_violation: Any
    certified_zero: Any
    prediction_error_bound: Any

    # work
    n_iter: Any
    n_passes: int
    n_sweeps: Any
    n_active: Any
    seconds: float
    method: str

    # for predict
    n_features: int
    feature_names: tuple[str, ...] | None = field(default=None, kw_only=True)

    @property
    def relative_gap(self) -> Any:
        """duality_gap / null_objective (0 where both vanish)."""
        gap, null = np.asarray(self.duality_gap), np.asarray(self.null_objective)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(gap == 0, 0.0, gap / null)
        return ratio[()] if ratio.ndim else float(ratio)

    def _work(self) -> str:
        """Return the last line of a repr."""
        return (
            f"  work            {self.n_passes} passes over X, {np.sum(self.n_sweeps)} sweeps, "
            f"{self.seconds:.3g} s, method {self.method}"
        )

    def _design(self, X: Any) -> Any:
        return as_matrix_of(X, self.n_features, self.feature_names)


@dataclass(frozen=True, repr=False)
class Result(_Common):
    """A fit at one alpha, with the proof of its accuracy.

    Attributes
    ----------
    coef : ndarray of shape (n_features,) or (n_responses, n_features)
        Coefficients on the scale of X; exact zeros are exact.
    intercept : float or ndarray of shape (n_responses,)
        Zero without `fit_intercept`.
    alpha, l1_ratio : float
        Strength and mixing of the penalty.
    status : Status
        How the solver ended (the worst over responses); `message` says it as a sentence.
    objective : float or ndarray
        Objective at the solution.
    null_objective : float or ndarray
        Objective at the coefficients nearest to zero, with the best intercept.
    duality_gap : float or ndarray
        Proven upper bound on objective - minimum, same unit; up to the rounding of the data,
        about 1e-15 of the squares that cancel in it.
    tolerance : float or ndarray
        ``tol * null_objective``: what duality_gap had to reach, same unit.
    kkt_violation : float or ndarray
        Largest distance of minus a gradient of the loss to the subdifferential of the penalty,
        relative to rms(x_j) * rms(y), both about their means if an intercept is fitted. Where
        rms(y) is zero, a power of two replaces it: 1, unless y is extremely large or small. After
        a last step by a Gram matrix in float (dense X, one alpha) it may be 1e-11 too small.
    certified_zero : ndarray of bool, shape of coef
        Features proven to be zero at every optimum.
    prediction_error_bound : float or ndarray
        Upper bound on sum_i sample_weight_i (prediction_i - optimal prediction_i)^2.
    n_iter, n_passes, n_sweeps, n_active : int
        Outer iterations, reads of the whole of X, sweeps of coordinate descent, nonzeros.
    seconds : float
        Wall-clock time of the call.
    method : str
        The method that was used; "a, then b" where one went on from what another had reached.
    """

    alpha: float = field(kw_only=True)

    @property
    def message(self) -> str:
        """The status as a sentence."""
        return Status(self.status).message

    @property
    def converged(self) -> bool:
        """Whether the status is usable (positive)."""
        return bool(self.status > 0)

    def predict(self, X: Any, offset: Any = None) -> npt.NDArray[np.float64]:
        """Return X @ coef + intercept (+ offset), of shape (n,) or (n, n_responses).

        Columns of a data frame are taken by name where the model was fitted to a data frame.

        Raises
        ------
        TypeError, ValueError
            If X or offset has a wrong type, shape or name, or is not finite.
        """
        matrix = self._design(X)
        prediction = np.asarray(matrix @ np.asarray(self.coef).T + self.intercept)
        if offset is not None:
            prediction += as_shift(offset, prediction.shape)
        return prediction

    def __repr__(self) -> str:
        """Return the result as a short table."""
        many = np.ndim(self.coef) == 2
        size = np.shape(self.coef)
        what = f"{size[0]} responses, {size[1]} features" if many else f"{size[0]} features"
        worst = int(np.argmax(self.relative_gap)) if many else ()
        gap, tolerance = np.asarray(self.duality_gap)[worst], np.asarray(self.tolerance)[worst]
        relative = np.asarray(self.relative_gap)[worst]
        objective = float(np.sum(self.objective))
        active, proven = np.sum(self.n_active), int(np.sum(self.certified_zero))
        lines = [
            f"Result: alpha={self.alpha:.6g}, l1_ratio={self.l1_ratio:g}, {what}",
            f"  {self.message}",
            f"  objective       {objective:.10g}" + (" (sum)" if many else ""),
            f"  duality gap     {gap:.2e} (tolerance {tolerance:.2e}; relative {relative:.1e})"
            + (" (worst)" if many else ""),
            f"  nonzero         {active} of {np.size(self.coef)}, {proven} proven zero",
            self._work(),
        ]
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class PathResult(_Common):
    """Fits at decreasing alphas; ``path[i]`` is the Result at ``alphas[i]``.

    Every attribute of `Result` is there with a leading axis over alphas. `coef` has shape
    (n_alphas, n_features) or (n_alphas, n_responses, n_features); with ``sparse_coef=True`` it is
    a scipy.sparse.csr_array of shape (n_alphas, n_features), or a tuple of one for each response.
    """

    alphas: npt.NDArray[np.float64] = field(kw_only=True)

    def __len__(self) -> int:
        """Return the number of alphas."""
        return len(self.alphas)

    def __iter__(self) -> Iterator[Result]:
        """Iterate over the results, from the largest alpha."""
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Result:
        """Return the result at one alpha; its work counters are those of the whole path."""
        i = range(len(self))[index]
        if isinstance(self.coef, tuple):
            coef = np.stack([one[[i]].toarray()[0] for one in self.coef])
        elif isinstance(self.coef, np.ndarray):
            coef = self.coef[i]
        else:
            coef = self.coef[[i]].toarray()[0]
        each = {
            name: _plain(getattr(self, name)[i])
            for name in (
                "intercept",
                "objective",
                "null_objective",
                "duality_gap",
                "tolerance",
                "kkt_violation",
                "certified_zero",
                "prediction_error_bound",
                "n_iter",
                "n_sweeps",
                "n_active",
            )
        }
        return Result(
            coef=coef,
            l1_ratio=self.l1_ratio,
            status=Status(int(self.status[i])),
            n_passes=self.n_passes,
            seconds=self.seconds,
            method=self.method,
            n_features=self.n_features,
            feature_names=self.feature_names,
            alpha=float(self.alphas[i]),
            **each,
        )

    @property
    def converged(self) -> bool:
        """Whether every point has a usable (positive) status."""
        return bool(np.all(np.asarray(self.status) > 0))

    def predict(self, X: Any, offset: Any = None) -> npt.NDArray[np.float64]:
        """Return the predictions of every alpha, of shape (n, n_alphas[, n_responses]).

        X and offset are those of `Result.predict`.

        Raises
        ------
        TypeError, ValueError
            If X or offset has a wrong type, shape or name, or is not finite.
        """
        matrix = self._design(X)
        if isinstance(self.coef, tuple):
            product = np.stack([_dense(matrix @ one.T) for one in self.coef], axis=-1)
        elif isinstance(self.coef, np.ndarray):
            flat = self.coef.reshape(-1, self.n_features)
            product = np.asarray(matrix @ flat.T).reshape(-1, *self.coef.shape[:-1])
        else:
            product = _dense(matrix @ self.coef.T)
        prediction = np.asarray(product + self.intercept)
        if offset is not None:
            shape = prediction.shape[:1] + prediction.shape[2:]
            prediction += as_shift(offset, shape)[:, None]
        return prediction

    def __repr__(self) -> str:
        """Return the path as a short table."""
        active = np.asarray(self.n_active).reshape(len(self), -1).sum(axis=1)
        done = int(np.sum(np.asarray(self.status) > 0))
        size = f"{self.n_features} features"
        ends = f"{self.alphas[0]:.6g} to {self.alphas[-1]:.6g}"
        lines = [
            f"PathResult: {len(self)} alphas from {ends}, l1_ratio={self.l1_ratio:g}, {size}",
            f"  converged       {done} of {len(self)}"
            + (
                "" if self.converged else f"; the worst: {Status(int(np.min(self.status))).message}"
            ),
            f"  largest gap     {np.max(self.relative_gap):.1e} relative to the null objective",
            f"  nonzero         {active[0]} to {active[-1]}",
            self._work(),
        ]
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    """Return NumPy scalars as Python ones, arrays as they are."""
    return value.item() if isinstance(value, np.generic) else value


def _dense(product: Any) -> npt.NDArray[np.float64]:
    return np.asarray(product.toarray() if hasattr(product, "toarray") else product)
