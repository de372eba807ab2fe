# Design: in cross-validation from moments a fold is one path, of which nothing is kept but how well
# each point predicts the rows that were left out. So there is no record of coefficients: a point is
# solved, proven, scored on the held-out moments and forgotten. Units are those of `fastreg.problem`
# (powers of two). Whatever is open to doubt (a column that does not vary, a fit that is not proven,
# rounding that counts) leaves the fold to the general way.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, frexp, isfinite, ldexp, sqrt

from fastreg._core.design cimport check_interrupt
from fastreg._core.moment_path cimport Fit, count_rounding, fit_moments
from fastreg._core.moments cimport CONSTANT, HEAD, ROUNDING, heldout_error
from fastreg._core.penalty cimport Penalty
from fastreg._core.quadratic cimport Quadratic
from fastreg._core.quadratic_state cimport (
    QuadraticState,
    adopt,
    begin,
    load,
    set_penalty,
    strengthen,
)
from fastreg._core.record cimport accurate_difference


@final
cdef class FoldPath:
    """Paths with an intercept on the moments of one response, scored on other moments."""

    cdef Quadratic quadratic
    cdef Py_ssize_t _p
    cdef double[::1] _factor     # of the penalty, given
    cdef bint _standardize
    cdef double[::1] _scale
    cdef double[::1] _correlation
    cdef double[::1] _l1_factor
    cdef double[::1] _l2_factor
    cdef double[::1] _zeros
    cdef double[::1] _coef
    cdef double[::1] _norm       # of the held-out rows
    cdef double _unit            # of the response
    cdef double _square
    cdef double _reach

    def __init__(self, const double[::1] factor, bint standardize):
        cdef Py_ssize_t p = factor.shape[0]
        cdef double[::1] free = np.repeat([-np.inf, np.inf], p)
        self._p = p
        self._factor = np.array(factor)
        self._standardize = standardize
        self.quadratic = Quadratic()
        self.quadratic.reserve(p)
        (self._scale, self._correlation, self._l1_factor, self._l2_factor, self._coef,
         self._norm) = np.empty((6, p))
        self._zeros = np.zeros(p)
        adopt(&self.quadratic.state, p)
        set_penalty(&self.quadratic.state,
                    Penalty(&self._zeros[0], &self._zeros[0], &free[0], &free[p]))

    def run(self, const double[::1] training, const double[::1] held, const double[::1] l1,
            const double[::1] l2, double[:, ::1] out, *, double tol, Py_ssize_t max_sweeps,
            double deadline):
        """Solve at the strengths, write errors, numbers of nonzero coefficients and relative gaps.

        `out` has a row for each of these. Return whether every point is proven, and no error may
        have been changed by rounding.
        """
        cdef bint done
        cdef Py_ssize_t size = HEAD + 2 * (self._p + 1) + (self._p + 1) * self._p + 1
        if not (training.shape[0] == held.shape[0] == size
                and out.shape[0] == 3 and out.shape[1] == l1.shape[0] == l2.shape[0]):
            raise ValueError("shapes do not fit")
        with nogil:
            done = self._load(&training[0]) and self._run(
                &training[0], &held[0], l1, l2, out, tol, max_sweeps, deadline)
        return done

    cdef bint _load(self, const double* state) noexcept nogil:
        """Take the problem of some rows in units of its own; return whether it is plain."""
        cdef Py_ssize_t i, j, p = self._p
        cdef const double* mean = state + HEAD
        cdef const double* gram = mean + p + 1
        cdef const double* cross = gram + p * p
        cdef double size = sqrt(cross[p]), deviation
        cdef double* row
        cdef int exponent
        if not (size > CONSTANT * fabs(mean[p]) and isfinite(size)):
            return False
        frexp(size, &exponent)
        self._unit = ldexp(1.0, exponent)
        self._square = size / self._unit * (size / self._unit)
        self._reach = 0.0
        for j in range(p):
            deviation = sqrt(gram[j * p + j])
            if not (deviation > CONSTANT * fabs(mean[j])):
                return False
            frexp(deviation, &exponent)
            self._scale[j] = ldexp(1.0, -exponent)
            self._l1_factor[j] = self._factor[j] * self._scale[j] / self._unit
            self._l2_factor[j] = self._factor[j] * self._scale[j] * self._scale[j]
            if self._standardize:
                self._l1_factor[j] *= deviation
                self._l2_factor[j] *= deviation * deviation
            if not (0.0 < self._l1_factor[j] < INFINITY and isfinite(self._l2_factor[j])
                    and self._scale[j] < INFINITY):
                return False
            self._reach = max(self._reach, deviation * self._scale[j] / self._l1_factor[j])
            self._correlation[j] = cross[j] * (self._scale[j] / self._unit)
            row = &self.quadratic.gram[j, 0]
            for i in range(j):
                row[i] = gram[j * p + i] * (self._scale[j] * self._scale[i])
                self.quadratic.gram[i, j] = row[i]
            row[j] = gram[j * p + j] * (self._scale[j] * self._scale[j])
        adopt(&self.quadratic.state, p)
        return True

    cdef bint _run(
        self, const double* training, const double* held, const double[::1] l1,
        const double[::1] l2, double[:, ::1] out, double tol, Py_ssize_t max_sweeps,
        double deadline) except -1 nogil:
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t i, j, active, p = self._p
        cdef const double* mean = training + HEAD
        cdef double null = 0.5 * self._square, intercept
        cdef Fit fit
        for j in range(p):
            self._norm[j] = sqrt(held[HEAD + p + 1 + j * p + j])
        strengthen(quadratic, 0.0, &self._zeros[0], -1.0, &self._zeros[0])  # forget the last
        begin(quadratic)
        load(quadratic, &self._zeros[0], &self._correlation[0], self._square)
        for i in range(l1.shape[0]):
            if not l1[i] > 0.0 or check_interrupt(deadline):
                return False
            strengthen(quadratic, l1[i], &self._l1_factor[0], l2[i], &self._l2_factor[0])
            if not fit_moments(quadratic, True, null, tol, max_sweeps, deadline, &fit):
                return False
            if not count_rounding(quadratic, training[ROUNDING], self._reach / l1[i],
                                  self._square, tol, &fit) or fit.proof.gap > tol * null:
                return False
            active = 0
            for j in range(p):
                self._coef[j] = quadratic.u[j] * self._scale[j] * self._unit
                active += self._coef[j] != 0.0
                if not isfinite(self._coef[j]):
                    return False
            intercept = accurate_difference(mean[p], mean, &self._coef[0], p)
            if not heldout_error(held, p, 1, 0, &self._norm[0], &self._coef[0], intercept,
                                 &out[0, i]):
                return False
            out[1, i] = active
            out[2, i] = fit.proof.gap / null
        return True
