# A quadratic problem of which the moments are all that is known: solved and proven from them, or
# left to somebody who reads X.

from fastreg._core.quadratic_state cimport Proof, QuadraticState


cdef struct Fit:
    double square   # of the residual
    Proof proof


# go from the point at hand to the minimum at the strengths that the quadratic has; return whether
# that is proven beyond doubt, to `tol` times the null objective. `penalised`: has every coordinate
# an L1 strength?
cdef bint fit_moments(
    QuadraticState* quadratic, bint penalised, double null, double tol, Py_ssize_t max_sweeps,
    double deadline, Fit* fit) except -1 nogil


# add to the gap of a point what rounding of the moments, `rho` of both norms, may hide. `reach` is
# the largest norm over the L1 strength of any coordinate. Return whether that is next to nothing
cdef bint count_rounding(
    QuadraticState* quadratic, double rho, double reach, double y_square, double tol, Fit* fit,
) noexcept nogil
