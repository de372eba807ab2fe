# Design: noise that correlates with the residual beyond the strength will do so at the end, unless
# features stand for each other. What the penalty keeps from the features at hand is no noise.

import numpy as np

from cython cimport final
from libc.math cimport sqrt

from fastreg._core.factor cimport solve
from fastreg._core.kernels cimport simd
from fastreg._core.quadratic_state cimport QuadraticState


@final
cdef class Foresight:
    """How large the support will be, as far as a point on the way there can tell."""

    def __init__(self, LeastSquares problem, Quadratic quadratic, Outside outside, rank):
        self.problem = problem
        self.quadratic = quadratic
        self.outside = outside
        self._rank, self._known = rank, False
        self._listed = np.empty(problem.design.n_features, dtype=np.int32)

    cdef double rank(self) except -1.0:
        if not self._known:
            self._n_independent = self._rank()
            self._known = True
        return self._n_independent

    cdef double support(self, double l1, double least) except -1.0:
        cdef double count, noise
        if self._known and self.problem._l2_strength == 0.0 and not self._n_independent > least:
            return 0.0
        count = self._count_above(l1)
        if not count > least:
            return 0.0
        noise = self._noise_square()
        if noise > 0.0:
            count = self._count_above(l1 * sqrt(self.problem.square / noise))
        elif self.problem._l2_strength == 0.0:
            return 0.0
        return count if count > least else 0.0

    cdef Py_ssize_t _count_above(self, double l1) noexcept:
        """Count the features that are nonzero, or would violate optimality at that strength."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t j, k, count = 0, m
        cdef double ratio = l1 / problem.l1_strength if problem.l1_strength > 0.0 else 1.0
        m = simd.list_urgent(&problem.c[0], &problem.w[0], &problem.l1[0], min(ratio, 1.0),
                             problem.design.n_features, &self._listed[0])
        for k in range(m):
            j = self._listed[k]
            count += self.outside.is_movable[j] and (
                problem.w[j] != 0.0 or (problem.upper[j] if problem.c[j] > 0.0
                                        else -problem.lower[j]) > 0.0)
        return count

    cdef double _noise_square(self) except -1.0:
        """The square of the residual that least squares on the support would leave; 0 if unknown.

        It is less than that of the point at hand by s'G^-1 s, where s is the slope of the penalty.
        """
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t k, j, m = quadratic.factor.size
        cdef double square = self.problem.square
        cdef double[::1] step = np.empty(m)
        cdef double[::1] slope
        if m == 0:
            return 0.0
        for k in range(m):
            j = quadratic.factor.member[k]
            step[k] = quadratic.c[j]
        slope = np.array(step)
        solve(&quadratic.factor, &step[0])
        for k in range(m):
            square -= slope[k] * step[k]
        return max(square, 0.0)
