# Where a solver writes its answers: one point for each strength and response, in the user's units.
# Arrays are allocated once; what a path does a point is compiled.

from cython cimport final

from fastreg._core.objective cimport LeastSquares
from fastreg._core.quadratic_state cimport Proof, QuadraticState

cdef enum:  # numbers of a point
    INTERCEPT
    OBJECTIVE
    NULL_OBJECTIVE
    GAP
    TOLERANCE
    VIOLATION
    PREDICTION
    N_NUMBERS


cdef enum:  # counts of a point
    STATUS
    N_ITER
    N_SWEEPS
    N_ACTIVE
    N_COUNTS


@final
cdef class Record:
    cdef readonly object coef          # (K, m, p), or None if the points are sparse
    cdef readonly object intercept     # from here on (K, m)
    cdef readonly object status
    cdef readonly object objective
    cdef readonly object null_objective
    cdef readonly object duality_gap
    cdef readonly object tolerance
    cdef readonly object kkt_violation
    cdef readonly object prediction_error_bound
    cdef readonly object n_iter
    cdef readonly object n_sweeps
    cdef readonly object n_active
    cdef readonly object certified_zero  # (K, m, p)
    cdef readonly dict sparse          # (i, k): (indices, values)
    cdef bint _is_sparse
    cdef bint _fit_intercept
    cdef double _weight_sum
    cdef double _unit              # of the current response
    cdef double _mean
    cdef double _size
    cdef const double[::1] _scale
    cdef const double[::1] _column_mean
    cdef double[::1] _values
    cdef double[::1] _means
    cdef int[::1] _support
    cdef double[::1] _zeros
    cdef unsigned char[::1] _proven
    cdef double[:, :, ::1] _coef
    cdef unsigned char[:, :, ::1] _zero
    cdef double[:, :, ::1] _number   # number (as above), point, response
    cdef long long[:, :, ::1] _count

    # the units of the next response: its scale, its mean, and its length inside
    cdef void begin_response(self, double unit, double mean, double size) noexcept nogil
    # another problem of as many features: the sum of its weights, and whether there is an intercept
    cdef void set_rows(self, double weight_sum, bint fit_intercept) noexcept nogil
    # write point i of response k: the state of the problem, and what its certificate says
    cdef int put(
        self, LeastSquares problem, Py_ssize_t i, Py_ssize_t k, int status, double gap,
        double kappa, double radius, double violation, double null, double tol,
        Py_ssize_t n_iter, Py_ssize_t n_sweeps) except -1
    # the same for a converged quadratic: all features that may move, named in increasing order by
    # `feature`; `bounded`: some have bounds; return whether coefficients and intercept are finite
    cdef bint put_quadratic(
        self, QuadraticState* quadratic, const int* feature, Py_ssize_t i, Py_ssize_t k,
        double square, Proof proof, double null, double tol, bint bounded) except -1 nogil
    cdef void _take(self, Py_ssize_t a, Py_ssize_t j, double w) noexcept nogil
    cdef int _put_point(
        self, Py_ssize_t i, Py_ssize_t k, Py_ssize_t n_noted, double residual_mean) except -1 nogil
    cdef _put_sparse(self, Py_ssize_t i, Py_ssize_t k, Py_ssize_t n_noted)
    cdef void _put_numbers(
        self, Py_ssize_t i, Py_ssize_t k, double objective, double gap, double violation,
        double null, double tol) noexcept nogil


# first - sum_i a_i b_i, as if with twice the precision
cdef double accurate_difference(
    double first, const double* a, const double* b, Py_ssize_t n) noexcept nogil
# half the width of the interval, over norm_j, in which a correlation lies at the optimum
cdef double reach_of(
    LeastSquares problem, double gap, double kappa, double radius) noexcept nogil
# which of p features without bounds are zero at every optimum: those whose correlation, known up to
# `slack` and `norm * reach`, stays below the L1 strength
cdef void zeros_within(
    Py_ssize_t p, const double* c, const double* slack, const double* norm, const double* l1,
    double kappa, double reach, unsigned char* zero) noexcept nogil
