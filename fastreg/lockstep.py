"""Many responses on one X, each with strengths of its own, in lockstep on their Gram matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastreg._core.moment_path import MomentPath
from fastreg._core.record import Record
from fastreg.choice import Plan
from fastreg.inputs import Array
from fastreg.problem import prepare
from fastreg.settings import Settings

_DEPTH = 3.0  # decades of strengths, at a guess


def solve_together(
    X: Array, Y: Array, l1: Array, l2: Array, settings: Settings, **model: Any
) -> tuple[Record, npt.NDArray[np.bool_]] | None:
    """Solve the columns of Y at the strengths l1 and l2 (points x columns), as far as that goes.

    Returns the points and which of the columns they are proven for; None where X may not be finite,
    or the Gram matrix of all features is not what they are solved from.
    """
    weight = model.get("sample_weight")
    usable = np.isfinite(np.sum(X)) and l1.min() > 0 and (weight is None or weight.any())
    if not usable:
        return None
    m = Y.shape[1]
    problem = prepare(X, Y, **model, plan=Plan(settings, False, _DEPTH, m))
    movable = np.flatnonzero(problem.movable)
    if problem.gram is None or problem.cross is None or problem.roughness > 0:
        return None
    if problem.has_bounds or not len(movable):
        return None
    record = Record(
        len(l1),
        m,
        problem.design.scale,
        problem.mean,
        problem.weight_sum,
        problem.fit_intercept,
        False,
    )
    done = MomentPath(problem.gram, movable, *problem.factors(0)).run_together(
        record,
        problem.cross,
        problem.y_size,
        problem.y_scale,
        problem.y_mean,
        l1,
        l2,
        tol=settings.tol,
        max_sweeps=settings.max_sweeps,
        deadline=np.inf,
        n_threads=settings.n_threads,
    )
    return record, done
