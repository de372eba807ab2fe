"""High-accuracy solutions of small problems, by a textbook primal active-set method in long double.

`solution` is no solver for users: it is slow, dense and for a few dozen columns. It shares no code
with the package, and it checks itself by the duality gap of `oracle`.
"""

from __future__ import annotations

import numpy as np
import oracle
from oracle import LONG, LONG_EPS


def solve_proximal(M, rhs):
    """Solve M x = rhs for a positive semi-definite M, shifted by 1e-12 of its diagonal.

    The shift makes a singular face a long step along its null space, which ends at a wall, and
    costs a repeated step on a regular one.
    """
    size = len(rhs)
    scale = np.sqrt(np.diag(M))
    work = M / scale / scale[:, None] + LONG(1e-12) * np.eye(size, dtype=LONG)
    L = np.zeros((size, size), LONG)
    for k in range(size):
        L[k:, k] = work[k:, k] - L[k:, :k] @ L[k, :k]
        L[k:, k] /= np.sqrt(L[k, k])
    x = rhs / scale
    for k in range(size):
        x[k] = (x[k] - L[k, :k] @ x[:k]) / L[k, k]
    for k in reversed(range(size)):
        x[k] = (x[k] - L[k + 1 :, k] @ x[k + 1 :]) / L[k, k]
    return x / scale


def sweep(problem, G, q, w):
    """One round of coordinate descent, in place."""
    for j in range(len(w)):
        curvature = G[j, j] + problem.b[j]
        pull = q[j] - G[j] @ w + G[j, j] * w[j]
        soft = np.sign(pull) * max(abs(pull) - problem.a[j], 0)
        if curvature > 0:
            w[j] = soft / curvature
        elif soft != 0:
            w[j] = np.sign(soft) * np.inf
        else:
            w[j] = 0
        w[j] = min(max(w[j], problem.lo[j]), problem.hi[j])


def face_step(problem, G, q, w):
    """Minimise over the face of w (signs and bounds held), stopping where a coefficient leaves it.

    Returns True when the minimiser of the face was reached.
    """
    face = (w > problem.lo) & (w < problem.hi) & ((w != 0) | (problem.a == 0))
    face &= np.diag(G) + problem.b > 0
    free = np.flatnonzero(face)
    if not free.size:
        return True
    slope = problem.a[free] * np.sign(w[free])
    gradient = q[free] - G[free] @ w - problem.b[free] * w[free] - slope
    M = G[np.ix_(free, free)] + np.diag(problem.b[free])
    step = solve_proximal(M, gradient)
    signed = problem.a[free] > 0
    floor = np.where(signed & (w[free] > 0), np.maximum(problem.lo[free], 0), problem.lo[free])
    roof = np.where(signed & (w[free] < 0), np.minimum(problem.hi[free], 0), problem.hi[free])
    wall = np.where(step > 0, roof, floor)
    room = np.where(step != 0, (wall - w[free]) / np.where(step != 0, step, 1), np.inf)
    length = min(room.min(), LONG(1))
    w[free] += length * step
    w[free[room <= length]] = wall[room <= length]
    return length == 1


def solution(problem, *, target=1e3 * LONG_EPS, rounds=400):
    """(coef, intercept) in long double, with a proven relative gap of at most `target`."""
    G, q = problem.A.T @ problem.A, problem.A.T @ problem.t
    w = np.clip(np.zeros(len(q), LONG), problem.lo, problem.hi)
    scale = oracle.null_objective(problem) + np.finfo(np.float64).tiny
    for _ in range(rounds):
        for _ in range(8):
            sweep(problem, G, q, w)
        while not face_step(problem, G, q, w):
            pass
        face_step(problem, G, q, w)  # once more, against the shift
        intercept = problem.y_mean - problem.x_mean @ w if problem.fit_intercept else LONG(0)
        if oracle.duality_gap(problem, w, intercept) <= target * scale:
            return w, intercept
    raise AssertionError("the reference solution did not reach its own gap")


def suboptimality(problem, coef, intercept):
    """How far the objective is above the minimum; infinite if that stays unknown."""
    try:
        best = solution(problem)
    except AssertionError:
        return LONG(np.inf)
    minimum = oracle.objective(problem, *best) - oracle.duality_gap(problem, *best)
    return oracle.objective(problem, coef, intercept) - minimum
