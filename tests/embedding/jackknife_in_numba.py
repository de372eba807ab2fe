"""How code that numba compiles calls the solver: a jackknife of a lasso, from its moments."""

import ctypes

import numba
import numpy as np
from numba.extending import get_cython_function_address

POINTER, SIZE, REAL, INTEGER = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_double, ctypes.c_int


def function(name, restype, *types):
    """A function of the C-level API; its signature is that in `cython_api.pxd`."""
    return ctypes.CFUNCTYPE(restype, *types)(
        get_cython_function_address("fastreg.cython_api", name)
    )


gram_workspace = function("gram_workspace", ctypes.c_size_t, SIZE)
gram_solve = function(
    "gram_solve", INTEGER, SIZE, POINTER, SIZE, POINTER, REAL, REAL, REAL, POINTER, POINTER,
    POINTER, POINTER, POINTER, POINTER, POINTER, ctypes.c_size_t,
)  # fmt: skip
RESULT = np.dtype(
    [
        ("status", np.int32), ("reserved_status", np.int32), ("n_active", np.intp),
        ("n_sweeps", np.intp), ("objective", float), ("null_objective", float),
        ("duality_gap", float), ("tolerance", float), ("kkt_violation", float),
        ("reserved", float, 5),
    ]
)  # fmt: skip


@numba.njit
def jackknife(X, y, l1_reg, result):
    """Leave out each row in turn; return the (n, p) coefficients and the worst gap."""
    n, p = X.shape
    G, c, square = X.T @ X, X.T @ y, y @ y
    size = gram_workspace(p)
    workspace = np.empty(size // 8 + 1)
    coef, worst = np.empty((n, p)), 0.0
    for i in range(n):
        Gi = (G - np.outer(X[i], X[i])) / (n - 1)
        ci = (c - X[i] * y[i]) / (n - 1)
        gram_solve(
            p, Gi.ctypes.data, p, ci.ctypes.data, (square - y[i] ** 2) / (n - 1), l1_reg, 0.0,
            0, 0, 0, 0, coef[i].ctypes.data, result.ctypes.data, workspace.ctypes.data, size,
        )  # fmt: skip
        worst = max(worst, result[0].duality_gap)
    return coef, worst
