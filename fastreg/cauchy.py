"""Few functions of alpha from which all of a ridge path can be combined.

Everything that ridge regression computes for a grid of strengths is linear in the columns of the
Cauchy matrix  D_jk = 1 / (square_j + alpha_k),  whose numerical rank is far below the length of
the grid. Gaussian elimination on it has a closed form: after steps at (i_1, k_1), (i_2, k_2), ...

    E_jk = D_jk prod_l  (s_j - s_il) / (s_j + a_kl)  (a_k - a_kl) / (s_il + a_k)

remains, which loses no digit and is a product P_j Q_k relative to D_jk, so that a step costs no
more than a row and a column. (J. Demmel, "Accurate singular value decompositions of structured
matrices", SIAM J. Matrix Anal. Appl. 21, 1999; the rate is that of the alternating direction
implicit iteration: B. Beckermann, A. Townsend, "Bounds on the singular values of matrices with
displacement structure", SIAM Review 61, 2019.)
"""

from __future__ import annotations

import numpy as np

from fastreg.inputs import Array

_ROUNDING = 4 * float(np.finfo(np.float64).eps)
_GROWTH = 16.0  # of the terms, relative to their sum, that is accepted
_SHORT = 16  # strengths for which nothing would be gained


def factor(square: Array, grid: Array) -> tuple[Array, Array] | None:
    """Return L (n_squares x r) and U (r x n_alphas) with L U = D up to rounding, entry by entry.

    None where r would not be well below n_alphas, or where the terms L_jl U_lk would cancel.
    """
    if min(len(square), len(grid)) <= _SHORT or square.min() + grid.min() <= 0.0:
        return None
    P, Q = np.ones(len(square)), np.ones(len(grid))
    reach = np.sqrt(square + grid.min())
    columns: list[Array] = []
    rows: list[Array] = []
    while np.abs(P).max() * np.abs(Q).max() > _ROUNDING:
        if 3 * len(rows) >= 2 * len(grid):
            return None
        k = int(np.argmax(np.abs(Q)))
        # Far from the diagonal s = a of the matrix the terms would be larger than their sum.
        i = int(np.argmax(np.abs(P) * reach / (square + grid[k])))
        columns.append((P / P[i]) * ((square[i] + grid[k]) / (square + grid[k])))
        rows.append(P[i] * Q / (square[i] + grid))
        P = P * ((square - square[i]) / (square + grid[k]))
        Q = Q * ((grid - grid[k]) / (square[i] + grid))
    L, U = np.array(columns).T, np.array(rows)
    total = square[:, None] + grid
    growth = (np.abs(L) @ np.abs(U)) * total
    return (L, U) if growth.max() <= _GROWTH else None
