# The proof of optimality: for a point w with residual r and correlations c_j = z_j'r, the residual
# scaled by kappa <= 1 is a dual point, and
#     gap = 1/2 (1 - kappa)^2 |r|^2 + sum_j [ h_j(w_j) + h_j*(kappa c_j) - kappa w_j c_j ]
# bounds how far the objective is from its minimum. Every term is >= 0, so nothing cancels and the
# bound stays exact far below the rounding error of the objective itself. Used by every solver.

from fastreg._core.penalty cimport Penalty

cdef struct Certificate:
    double gap      # upper bound on objective(w) - minimum
    double kappa    # dual point = kappa * residual

# `radius` widens c_j to the interval c_j +- norm_j radius, for a residual known only up to that
# distance. Coordinates flagged in `exact` (may be NULL) are stationary: c_j = l1 sign + l2 w_j.
# No kappa above `cap` is tried: what else may limit it, for features that are not among the p.
# A violation below norm_j noise is the rounding of c_j: no scaling of the residual could repair it,
# so it is paid for as what a step along a direction of curvature NEGLIGIBLE norm_j^2 could gain.
# w lies within its bounds, or is a Newton step away where `exact` says so; `room` is for p numbers.

cdef double NEGLIGIBLE  # share of a diagonal that is lost in its rounding
cdef Certificate certify(
    Penalty h, Py_ssize_t p, const double* w, const double* c, const double* norm, double radius,
    double noise, const char* exact, double residual_square, int* room, double cap=*,
) noexcept nogil
