# Design: the coefficients of a point are written where the support is, everything else of them
# stays zero. The intercept cancels large means against large coefficients, so it is summed with
# twice the working precision (T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SIAM
# J. Sci. Comput. 26, 2005).

import numpy as np

from cython cimport final
from libc.math cimport fabs, fma, isfinite, sqrt
from libc.string cimport memcpy

from fastreg._core.kernels cimport simd
from fastreg._core.objective cimport LeastSquares, Outcome
from fastreg._core.penalty cimport Penalty, value
from fastreg._core.penalty cimport violation as violation_of
from fastreg._core.quadratic_state cimport Proof, QuadraticState

cdef double ROUNDING = 16 * 2.220446049250313e-16  # of a correlation, over norm_j and the sizes


cdef double accurate_difference(
    double first, const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    """first - sum_i a_i b_i."""
    cdef double high = first, low = 0.0, product, error, total, part
    cdef Py_ssize_t i
    for i in range(n):
        product = -a[i] * b[i]
        error = fma(-a[i], b[i], -product)
        total = high + product
        part = total - high
        low += ((high - (total - part)) + (product - part)) + error
        high = total
    return high + low


def accurate_differences(
        const double[::1] first, const double[::1] a, const double[:, ::1] B):
    """Return first_k - sum_i a_i B_ki, as if with twice the precision."""
    cdef double[::1] out = np.array(first)
    cdef Py_ssize_t k
    if a.shape[0] != B.shape[1] or first.shape[0] != B.shape[0]:
        raise ValueError("shapes do not fit")
    with nogil:
        for k in range(B.shape[0] if a.shape[0] else 0):
            out[k] = accurate_difference(first[k], &a[0], &B[k, 0], a.shape[0])
    return np.asarray(out)


@final
cdef class Record:
    """Points of a path for each response, in the user's units."""

    def __init__(self, Py_ssize_t n_points, Py_ssize_t n_responses, scale, mean,
                 double weight_sum, bint fit_intercept, bint sparse):
        cdef Py_ssize_t p = len(scale)
        shape = (n_points, n_responses)
        number = np.zeros((N_NUMBERS, n_points, n_responses))
        count = np.zeros((N_COUNTS, n_points, n_responses), dtype=np.int64)
        self._number = number
        self._count = count
        # in the order of the enums
        (self.intercept, self.objective, self.null_objective, self.duality_gap, self.tolerance,
         self.kkt_violation, self.prediction_error_bound) = number
        self.status, self.n_iter, self.n_sweeps, self.n_active = count
        self.certified_zero = np.zeros((*shape, p), dtype=np.bool_)
        self._zero = self.certified_zero.view(np.uint8)
        self._is_sparse = sparse
        self.sparse = {}
        if not sparse:
            self.coef = np.zeros((*shape, p))
            self._coef = self.coef
        self._scale, self._column_mean = scale, mean
        self._weight_sum, self._fit_intercept = weight_sum, fit_intercept
        self._values = np.empty(p)
        self._means = np.empty(p)
        self._support = np.empty(p, dtype=np.int32)
        self._zeros = np.zeros(p)
        self._proven = np.empty(p, dtype=np.uint8)

    def begin(self, double unit, double mean, double size):
        """Take the units of the next response: its scale, its mean, and its length inside."""
        self.begin_response(unit, mean, size)

    cdef void begin_response(self, double unit, double mean, double size) noexcept nogil:
        self._unit = unit
        self._mean = mean
        self._size = size

    cdef void set_rows(self, double weight_sum, bint fit_intercept) noexcept nogil:
        self._weight_sum = weight_sum
        self._fit_intercept = fit_intercept

    def put_state(self, LeastSquares problem, Py_ssize_t i, Py_ssize_t k, int status,
                  double gap, double kappa, double radius, double null, double tol,
                  Py_ssize_t n_iter, Py_ssize_t n_sweeps):
        """Write a point whose correlations are all known."""
        problem.settle()
        problem.find_support(NULL, problem.design.n_features)
        self.put(problem, i, k, status, gap, kappa, radius, problem.violation(), null, tol,
                 n_iter, n_sweeps)

    def forget(self, Py_ssize_t k):
        """Let the coefficients of a response be zero again."""
        if not self._is_sparse:
            self.coef[:, k] = 0.0

    cdef int put(
        self, LeastSquares problem, Py_ssize_t i, Py_ssize_t k, int status, double gap,
        double kappa, double radius, double violation, double null, double tol,
        Py_ssize_t n_iter, Py_ssize_t n_sweeps) except -1:
        cdef double penalty = 0.0
        cdef Py_ssize_t a, j
        gap = max(gap, 0.0)
        for a in range(problem.n_active):
            j = problem.support[a]
            penalty += value(problem.penalty, j, problem.w[j])
            self._take(a, j, problem.w[j])
        self._count[STATUS, i, k] = status
        self._count[N_ITER, i, k] = n_iter
        self._count[N_SWEEPS, i, k] = n_sweeps
        self._put_point(i, k, problem.n_active, problem.residual_mean)
        self._put_numbers(i, k, 0.5 * problem.square + penalty, gap, violation, null, tol)
        prove_zeros(problem, gap, kappa, radius, &self._zero[i, k, 0])
        return 0

    cdef bint put_quadratic(
        self, QuadraticState* quadratic, const int* feature, Py_ssize_t i, Py_ssize_t k,
        double square, Proof proof, double null, double tol, bint bounded) except -1 nogil:
        cdef Py_ssize_t j, a, active = 0, m = quadratic.size
        cdef double gap = max(proof.gap, 0.0), penalty = 0.0, size = sqrt(square), largest = 0.0
        cdef double excess, u, reach
        cdef bint whole = m == self._means.shape[0]
        cdef unsigned char* zero = &self._zero[i, k, 0] if whole else &self._proven[0]
        # the others are zero and within their threshold; `_take` is never ahead in the list
        for a in range(simd.list_urgent(
                quadratic.c, quadratic.u, quadratic.l1, 1.0, m, &self._support[0])):
            j = self._support[a]
            u = quadratic.u[j]
            excess = violation_of(quadratic.penalty, j, u, quadratic.c[j])
            if u != 0.0:
                penalty += value(quadratic.penalty, j, u)
                size += quadratic.norm[j] * fabs(u)
                self._take(active, feature[j], u)
                active += 1
            if excess > largest * quadratic.norm[j]:
                largest = excess / quadratic.norm[j]
        reach = proof.kappa * proof.radius + sqrt(2.0 * gap) + ROUNDING * size
        if bounded:
            zeros_within_bounds(m, quadratic.c, &self._zeros[0], quadratic.norm,
                                quadratic.penalty, proof.kappa, reach, zero)
        else:
            zeros_within(m, quadratic.c, &self._zeros[0], quadratic.norm, quadratic.l1,
                         proof.kappa, reach, zero)
        if not whole:
            for j in range(m):
                self._zero[i, k, feature[j]] = zero[j]
        self._count[STATUS, i, k] = Outcome.CONVERGED
        self._count[N_ITER, i, k] = 1
        self._count[N_SWEEPS, i, k] = quadratic.n_sweeps
        self._put_point(i, k, active, 0.0)
        self._put_numbers(i, k, 0.5 * square + penalty, gap, largest, null, tol)
        for j in range(active):
            if not isfinite(self._values[j]):
                return False
        return isfinite(self._number[INTERCEPT, i, k])

    cdef void _take(self, Py_ssize_t a, Py_ssize_t j, double w) noexcept nogil:
        """Note a nonzero coefficient of the point that is to be written."""
        self._support[a] = <int>j
        self._values[a] = w * self._scale[j] * self._unit
        self._means[a] = self._column_mean[j]

    cdef int _put_point(
        self, Py_ssize_t i, Py_ssize_t k, Py_ssize_t n_noted, double residual_mean) except -1 nogil:
        """Write the coefficients that were noted, and the intercept that belongs to them."""
        cdef Py_ssize_t a, active = 0
        for a in range(n_noted):
            active += self._values[a] != 0.0
        self._count[N_ACTIVE, i, k] = active
        if self._is_sparse:
            with gil:
                self._put_sparse(i, k, n_noted)
        else:
            for a in range(n_noted):
                self._coef[i, k, self._support[a]] = self._values[a]
        self._number[INTERCEPT, i, k] = 0.0
        if self._fit_intercept:
            self._number[INTERCEPT, i, k] = accurate_difference(
                self._mean + residual_mean * self._unit, &self._means[0], &self._values[0],
                n_noted)
        return 0

    cdef _put_sparse(self, Py_ssize_t i, Py_ssize_t k, Py_ssize_t n_noted):
        kept = np.flatnonzero(self._values[:n_noted])
        support = np.asarray(self._support)[kept]
        order = np.argsort(support)
        self.sparse[i, k] = support[order], np.asarray(self._values)[kept[order]]

    cdef void _put_numbers(
        self, Py_ssize_t i, Py_ssize_t k, double objective, double gap, double violation,
        double null, double tol) noexcept nogil:
        """Write what is said of the quality of a point, in the user's units."""
        cdef double square = self._unit * self._unit
        self._number[OBJECTIVE, i, k] = objective * square
        self._number[NULL_OBJECTIVE, i, k] = null * square
        self._number[GAP, i, k] = gap * square
        self._number[TOLERANCE, i, k] = tol * null * square
        self._number[VIOLATION, i, k] = violation / self._size if self._size > 0.0 else violation
        self._number[PREDICTION, i, k] = 2.0 * self._weight_sum * gap * square


cdef double reach_of(
    LeastSquares problem, double gap, double kappa, double radius) noexcept nogil:
    cdef Py_ssize_t a, j
    cdef double size = sqrt(problem.square)
    for a in range(problem.n_active):
        j = problem.support[a]
        size += problem.norm[j] * fabs(problem.w[j])
    return kappa * radius + sqrt(2.0 * max(gap, 0.0)) + ROUNDING * size


cdef void prove_zeros(
    LeastSquares problem, double gap, double kappa, double radius, unsigned char* zero,
) noexcept nogil:
    """Which features are zero at every optimum: the gap-safe sphere, widened by rounding."""
    cdef Py_ssize_t a, j, p = problem.design.n_features
    cdef double reach = reach_of(problem, gap, kappa, radius)
    if problem.n_near >= 0:
        memcpy(zero, &problem.far[0], p)
        for a in range(problem.n_near):
            j = problem.near[a]
            zero[j] = kappa * (fabs(problem.c[j]) + problem.slack[j]) + (
                problem.norm[j] * reach) < problem.l1[j]
        return
    if problem.has_bounds:
        zeros_within_bounds(p, &problem.c[0], &problem.slack[0], &problem.norm[0],
                            problem.penalty, kappa, reach, zero)
    else:
        zeros_within(p, &problem.c[0], &problem.slack[0], &problem.norm[0], &problem.l1[0], kappa,
                     reach, zero)


cdef void zeros_within(
    Py_ssize_t p, const double* c, const double* slack, const double* norm, const double* l1,
    double kappa, double reach, unsigned char* zero) noexcept nogil:
    simd.prove_below(c, slack, norm, kappa, reach, l1, p, zero)


cdef void zeros_within_bounds(
    Py_ssize_t p, const double* c, const double* slack, const double* norm, Penalty h,
    double kappa, double reach, unsigned char* zero) noexcept nogil:
    """The same where a bound at zero holds a coefficient from one side."""
    cdef double doubt
    cdef Py_ssize_t j
    for j in range(p):
        doubt = kappa * slack[j] + norm[j] * reach
        zero[j] = (
            (h.upper[j] <= 0.0 or kappa * c[j] + doubt < h.l1[j])
            and (h.lower[j] >= 0.0 or doubt - kappa * c[j] < h.l1[j])
            and h.lower[j] <= 0.0 <= h.upper[j])
