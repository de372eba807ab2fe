# cython: freethreading_compatible=True
# How another package, written in Cython, solves thousands of small problems in a loop of its own.
# Nothing of fastreg is needed but what is installed: no header, no library to link with.

import numpy as np

from fastreg.cython_api cimport (
    Options,
    Result,
    Status,
    default_options,
    gram_solve,
    gram_workspace,
)


def solve_pairs(const double[:, ::1] gram, const double[::1] correlation, double y_square,
                double l1_reg, double tol=1e-10):
    """Fit a lasso to every pair of features; return the (p, p) objectives and the worst gap."""
    cdef Py_ssize_t p = gram.shape[0], i, j
    cdef double[:, ::1] objective = np.zeros((p, p))
    cdef size_t size = gram_workspace(2)
    cdef double[::1] workspace = np.empty(size // sizeof(double) + 1)
    cdef double G[4]
    cdef double c[2]
    cdef double coef[2]
    cdef double worst = 0.0
    cdef Options options
    cdef Result result
    default_options(&options)
    options.tol = tol
    with nogil:
        for i in range(p):
            for j in range(i):
                G[0], G[1], G[2], G[3] = gram[i, i], gram[i, j], gram[j, i], gram[j, j]
                c[0], c[1] = correlation[i], correlation[j]
                if gram_solve(2, G, 2, c, y_square, l1_reg, 0.0, NULL, NULL, NULL, &options, coef,
                              &result, &workspace[0], size) != Status.CONVERGED:
                    with gil:
                        raise ArithmeticError(f"features {i} and {j}: status {result.status}")
                objective[i, j] = objective[j, i] = result.objective
                worst = max(worst, result.duality_gap)
    return np.asarray(objective), worst
