# Design: the state of a fit (w, residual, correlations) lives here and nowhere else, so that a
# method can take over where another one stopped, and the certificate is the same for all.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, NAN, fabs, sqrt

from fastreg._core cimport certificate
from fastreg._core.active_set cimport decrement
from fastreg._core.certificate cimport Certificate
from fastreg._core.design cimport Design
from fastreg._core.kernels cimport dot
from fastreg._core.penalty cimport violation
from fastreg._core.quadratic_state cimport Membership, QuadraticState, load
from fastreg._core.selection cimport Selection

cdef double EPSILON = 2.220446049250313e-16
cdef double HUGE = 1e300  # strength that holds every coefficient at zero


@final
cdef class LeastSquares:
    """A penalised least-squares problem in standardised units, and the state of its solution."""

    def __init__(self, Design design, weight, bint centred, norm):
        cdef Py_ssize_t p = design.n_features
        self.design = design
        self.selection = Selection(design)
        self.weight = weight
        self.centred = centred
        self.n_passes = 0
        self.norm = norm
        self._l1_factor = np.zeros(p)
        self._l2_factor = np.zeros(p)
        self.lower = np.full(p, -np.inf)
        self.upper = np.full(p, np.inf)
        self.l1 = np.zeros(p)
        self.l2 = np.zeros(p)
        self.l1_strength = self._l2_strength = 0.0
        self.n_near = -1
        self.near = np.empty(0, dtype=np.int32)
        self.far = np.empty(0, dtype=np.uint8)
        self.y = np.zeros(1)
        self.w = np.zeros(p)
        self.c = np.zeros(p)
        self.residual = self.weighted = None  # until there is a response
        self.slack = np.zeros(p)
        self._exact = np.zeros(p, dtype=np.int8)
        self._listed = np.empty(p, dtype=np.int32)
        self.support = np.empty(p, dtype=np.int32)
        self.n_active = 0
        self._coef = np.empty(p)
        self.penalty.l1 = &self.l1[0]
        self.penalty.l2 = &self.l2[0]
        self.penalty.lower = &self.lower[0]
        self.penalty.upper = &self.upper[0]

    def set_penalty(self, l1_factor, l2_factor, lower, upper):
        """Take the factors of the strengths and the bounds, one a feature."""
        np.asarray(self._l1_factor)[:] = l1_factor
        np.asarray(self._l2_factor)[:] = l2_factor
        if self._l2_strength != 0.0:
            self._l2_strength = NAN
        np.asarray(self.lower)[:] = lower
        np.asarray(self.upper)[:] = upper
        self.has_bounds = bool(np.max(lower) > -np.inf or np.min(upper) < np.inf)

    def take(self, const double[:] y, double shift, double scale):
        """Take a response; inside it is (y - shift) * scale. `start` or `start_at_zero` follows."""
        if self.residual is None:  # a fit from moments alone needs no vectors over the rows
            self.residual = np.zeros(self.design.n_samples)
            self.weighted = np.empty(self.design.n_samples)
        self.y = y
        self.y_shift = shift
        self.y_scale = scale

    def start(self, w):
        """Move to a first w; compute residual and correlations."""
        self.place(np.clip(w, self.lower, self.upper))

    def start_at_zero(self, const double[::1] correlation, double square):
        """Move to w = 0, where the correlations and the square of the residual are known."""
        self.begin_at_zero(&correlation[0], square)

    cdef void begin_at_zero(self, const double* correlation, double square) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.design.n_features):
            self.w[j] = 0.0
            self.c[j] = correlation[j]
            self.slack[j] = 0.0
        self.n_active = 0
        self.n_near = -1
        self.square = square
        self.residual_mean = 0.0
        self.is_true = self.is_settled = True
        self._has_residual = False

    def place(self, w):
        """Move to w; recompute residual and correlations."""
        np.asarray(self.w)[:] = w
        self.update_residual()
        self.update_correlation()

    def residual_array(self):
        """Return a copy of the residual."""
        self.need_residual()
        return np.array(self.residual)

    def response_array(self):
        """Return the response in standardised units."""
        response = (np.asarray(self.y) - self.y_shift) * self.y_scale
        return response - np.asarray(self.weight) @ response if self.centred else response

    def certify_plain(self):
        """Return (gap, kappa) of the current point."""
        cdef double radius
        self.settle()
        proof = self.certify(NULL, Correction(0.0, 0.0), 0.0, &radius)
        return proof.gap, proof.kappa

    def strengthen(self, double l1, double l2):
        """Set the strengths of both parts of the penalty."""
        self.set_strength(l1, l2)

    def state(self):
        """Return copies of w and the correlations, and the weighted square of the residual."""
        self.settle()
        return np.array(self.w), np.array(self.c), self.square

    def penalty_of(self, w, double l1, double l2):
        """Return the penalty of another point at other strengths."""
        return float(
            l1 * (np.asarray(self._l1_factor) @ np.abs(w))
            + 0.5 * l2 * (np.asarray(self._l2_factor) @ (w * w)))

    def violation(self):
        """Return the largest distance of a correlation to the subdifferential, over norm_j."""
        cdef double largest = 0.0
        cdef Py_ssize_t j
        for j in range(self.design.n_features):
            if self.is_movable(j):
                largest = max(
                    largest, violation(self.penalty, j, self.w[j], self.c[j]) / self.norm[j])
        return largest

    def certified_zero(self, double gap, double kappa, double radius):
        """Return which features are zero at every optimum (gap-safe sphere)."""
        c, norm = np.asarray(self.c), np.asarray(self.norm)
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        slack = norm * (kappa * radius + sqrt(2.0 * max(gap, 0.0)))
        cannot_rise = (upper <= 0.0) | (kappa * c + slack < self.l1)
        cannot_fall = (lower >= 0.0) | (-kappa * c + slack < self.l1)
        return cannot_rise & cannot_fall & (lower <= 0.0) & (upper >= 0.0)

    def movable(self):
        """Return which features may move."""
        return (np.asarray(self.lower) < np.asarray(self.upper)) & (np.asarray(self.norm) > 0.0)

    cdef bint is_movable(self, Py_ssize_t j) noexcept nogil:
        return self.lower[j] < self.upper[j] and self.norm[j] > 0.0

    cdef void set_strength(self, double l1, double l2) noexcept nogil:
        cdef Py_ssize_t j
        self.l1_strength = l1
        for j in range(self.design.n_features):
            self.l1[j] = min(l1 * self._l1_factor[j], HUGE)
        if l2 != self._l2_strength:  # it is mostly zero, and stays that
            self._l2_strength = l2
            for j in range(self.design.n_features):
                self.l2[j] = min(l2 * self._l2_factor[j], HUGE)

    cdef void find_support(
        self, const int* features, Py_ssize_t m, Py_ssize_t found=0) noexcept nogil:
        cdef Py_ssize_t k, j
        for k in range(m):
            j = k if features == NULL else features[k]
            if self.w[j] != 0.0:
                self.support[found] = <int>j
                found += 1
        self.n_active = found

    cdef int need_residual(self) except -1 nogil:
        if not self._has_residual:
            self.update_residual()
        return 0

    cdef int update_residual(self) except -1 nogil:
        self.find_support(NULL, self.design.n_features)
        return self.update_residual_of_support()

    cdef int update_residual_of_support(self) except -1 nogil:
        cdef Py_ssize_t k
        self._take_response()
        for k in range(self.n_active):
            self._coef[k] = -self.w[self.support[k]]
        if self.n_active:
            self.selection.add_columns(
                &self.support[0], self.n_active, &self._coef[0], &self.residual[0])
        self._centre()
        return 0

    cdef int update_both(self) except -1 nogil:
        cdef Py_ssize_t k
        self._take_response()
        for k in range(self.n_active):
            self._coef[k] = -self.w[self.support[k]]
        self.design.add_and_correlate(&self.support[0], self.n_active, &self._coef[0],
                                      &self.weight[0], &self.residual[0], &self.c[0])
        self._centre()
        self.slack[:] = 0.0
        self.n_near = -1
        self.n_passes += 1
        self.is_true = self.is_settled = True
        return 0

    cdef void _take_response(self) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.design.n_samples):
            self.residual[i] = (self.y[i] - self.y_shift) * self.y_scale

    cdef void _centre(self) noexcept nogil:
        """Take the mean from the residual; compute its weighted form and square."""
        cdef Py_ssize_t i, n = self.design.n_samples
        cdef double* r = &self.residual[0]
        cdef double mean = 0.0
        if self.centred:
            mean = dot(&self.weight[0], r, n)
            for i in range(n):
                r[i] -= mean
        for i in range(n):
            self.weighted[i] = self.weight[i] * r[i]
        self.residual_mean = mean
        self.square = dot(&self.weighted[0], r, n)
        self._has_residual = True

    cdef int update_correlation(self) except -1 nogil:
        cdef Py_ssize_t i, j
        for i in range(self.design.n_samples):
            self.weighted[i] = self.weight[i] * self.residual[i]
        self.n_passes += 1
        self.n_near = -1
        self.is_true = self.is_settled = True
        for j in range(self.design.n_features):
            self.slack[j] = 0.0
        return self.design.correlate(&self.weighted[0], &self.c[0])

    cdef int settle(self) except -1 nogil:
        if not self.is_settled:
            self.update_residual()
            self.update_correlation()
        return 0

    cdef Certificate certify(
        self, QuadraticState* quadratic, Correction doubtful, double target,
        double* radius) noexcept:
        cdef Py_ssize_t k, p = self.design.n_features
        cdef int feature
        cdef double extra, noise
        cdef Certificate plain, corrected
        radius[0] = 0.0
        noise = self.noise()
        # Only what no quadratic can correct is excused.
        plain = certificate.certify(
            self.penalty, p, &self.w[0], &self.c[0], &self.norm[0], 0.0,
            noise if quadratic == NULL else 0.0, NULL, self.square, &self._listed[0])
        if quadratic == NULL or plain.gap <= target:
            return plain
        if self.is_true:
            load(quadratic, &self.w[0], &self.c[0], self.square)
        extra = decrement(quadratic, doubtful.square)
        if extra == INFINITY:
            return plain
        for k in range(quadratic.factor.size):
            feature = quadratic.column[quadratic.factor.member[k]]
            self._exact[feature] = 1
            self.w[feature] += quadratic.step[k]
        self._flag_dependent(quadratic, 1)
        corrected = certificate.certify(
            self.penalty, p, &self.w[0], &self.c[0], &self.norm[0], sqrt(extra), noise,
            &self._exact[0], self.square, &self._listed[0])
        self._flag_dependent(quadratic, 0)
        for k in range(quadratic.factor.size):
            feature = quadratic.column[quadratic.factor.member[k]]
            self._exact[feature] = 0
            self.w[feature] = quadratic.u[quadratic.factor.member[k]]
        corrected.gap += 0.5 * extra + (1.0 - corrected.kappa) * doubtful.drift
        if corrected.gap < plain.gap:
            radius[0] = sqrt(extra)
            return corrected
        return plain

    cdef void _flag_dependent(self, QuadraticState* quadratic, char flag) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(quadratic.size):
            if quadratic.is_member[j] == Membership.DEPENDENT:
                self._exact[quadratic.column[j]] = flag

    cdef double noise(self) noexcept nogil:
        cdef double size = sqrt(self.square)
        cdef Py_ssize_t j
        for j in range(self.design.n_features):
            size += self.norm[j] * fabs(self.w[j])
        return 16.0 * EPSILON * size
