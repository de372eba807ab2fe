# Design: how far a path will move is guessed from how far it came since the horizon was drawn. A
# guess that is wrong costs one more look at all features, never an answer. Rounding is a part of
# every bound: what is computed from the Gram matrix is off by that of a whole prediction.

import numpy as np

from cython cimport final
from libc.math cimport fabs, sqrt

from fastreg._core.kernels cimport dot, simd
from fastreg._core.quadratic_state cimport QuadraticState

cdef double EPSILON = 2.220446049250313e-16
cdef double FAR = 0.75          # strength of a horizon, over the present one, ...
cdef double NOT_SO_FAR = 0.86   # and where that leaves more than MANY near
cdef double MANY = 0.05         # of all features
cdef double WIDE = 0.12         # share of near ones from which loops over all are faster

cdef enum:
    RETRY = 8                   # looks at all before it is tried again to tell them apart
cdef double FIRST = 0.05        # of the residual: how far it may move where no pace is known
cdef double SPARE = 1.5         # times the distance that is expected


@final
cdef class Horizon:
    """Features that may matter soon, and estimates of their correlations."""

    def __init__(self, LeastSquares problem, Quadratic quadratic, Span span):
        self.problem = problem
        self.quadratic = quadratic
        self.span = span
        self._level = np.zeros(span.capacity)
        self._share = np.zeros(span.capacity)
        self._u = self._c = np.empty(0)
        self._is_drawn = False
        self._pace = 0.0
        self._far = FAR
        self._n_wide = 0

    cdef void anchor(self) noexcept:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, a, n = problem.design.n_samples
        for k in range(self.span.size):
            self._level[k] = dot(&problem.weighted[0], &self.span._basis[k, 0], n)
            for a in range(problem.n_active):
                self._level[k] += (
                    self.span._image[k, problem.support[a]] * problem.w[problem.support[a]])
        self._is_drawn = False

    cdef bint is_beyond(self, double strength) noexcept:
        return strength < self._strength

    cdef int look(self, double strength, double radius) except -1:
        cdef LeastSquares problem = self.problem
        cdef Span span = self.span
        cdef Py_ssize_t a, j, k
        cdef double c, length, margin, distance = self._distance() if self._is_drawn else 0.0
        if self._is_drawn and strength < self._drawn_at:
            self._pace = distance / (self._drawn_at - strength)
        if not (self._is_drawn and distance + radius <= self._reach
                and strength >= self._strength):
            if self._n_wide > 0:
                self._n_wide -= 1
                return self.look_everywhere()
            return self._draw(strength, radius)
        problem.n_near = self._n_near
        problem.spare = self._reach - distance
        length = self._project(&margin)
        for a in range(problem.n_near):
            j = problem.near[a]
            c = 0.0
            for k in range(span.size):
                c += self._share[k] * span._image[k, j]
            problem.c[j] = c
            problem.slack[j] = length * span._rest[j] + margin * problem.norm[j]
        return 0

    cdef double _project(self, double* margin) noexcept:
        """Split the residual into the span and a remainder; return the length of that.

        `margin` is what rounding may add to a correlation, over the norm.
        """
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, a, j
        cdef double share, square = problem.square, size = sqrt(problem.square)
        for a in range(problem.n_active):
            j = problem.support[a]
            size += problem.norm[j] * fabs(problem.w[j])
        for k in range(self.span.size):
            share = self._level[k]
            for a in range(problem.n_active):
                j = problem.support[a]
                share -= self.span._image[k, j] * problem.w[j]
            self._share[k] = share
            square -= share * share
        margin[0] = 16.0 * EPSILON * size
        return sqrt(max(square, 0.0) + 64.0 * EPSILON * size * size)

    cdef int look_everywhere(self) except -1:
        cdef LeastSquares problem = self.problem
        cdef Span span = self.span
        cdef double margin, length = self._project(&margin)
        simd.bounds(&span._image[0, 0], span._image.shape[1], &self._share[0], span.size,
                    &span._rest[0], length, &problem.norm[0], margin,
                    problem.design.n_features, &problem.c[0], &problem.slack[0])
        problem.n_near = -1
        return 0

    cdef int _draw(self, double strength, double radius) except -1:
        """Tell near and far features apart, at the point of the quadratic."""
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t j, count = 0, m = quadratic.size
        cdef double level
        cdef bint near
        if problem.far.shape[0] == 0:
            problem.near = np.empty(problem.design.n_features, dtype=np.int32)
            problem.far = np.empty(problem.design.n_features, dtype=np.uint8)
        if self._u.shape[0] < m:
            self._u = np.empty(2 * m)
            self._c = np.empty(2 * m)
        self.look_everywhere()
        self._strength = self._far * strength
        self._reach = radius + (
            SPARE * self._pace * (strength - self._strength) if self._pace > 0.0
            else FIRST * sqrt(problem.square))
        with nogil:
            for j in range(problem.design.n_features):
                level = self._strength * problem._l1_factor[j]
                near = not (fabs(problem.c[j]) + problem.slack[j]
                            + self._reach * problem.norm[j] < level)
                problem.near[count] = <int>j
                count += near
                problem.far[j] = not near
            for j in range(m):
                self._u[j] = quadratic.u[j]
                self._c[j] = quadratic.c[j]
        self._n_near = problem.n_near = count
        self._far = NOT_SO_FAR if count > MANY * problem.design.n_features else FAR
        problem.spare = self._reach
        self._size = m
        self._drawn_at = strength
        self._is_drawn = count <= WIDE * problem.design.n_features
        if not self._is_drawn:
            problem.n_near = -1
            self._n_wide = RETRY
        return 0

    cdef double _distance(self) except -1.0:
        """How far the residual may be from where the horizon was drawn."""
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t j, k
        cdef double square = 0.0, size = sqrt(quadratic.base_square), change
        if self._u.shape[0] < quadratic.size:
            self._u = np.append(self._u, np.empty(2 * quadratic.size))
            self._c = np.append(self._c, np.empty(2 * quadratic.size))
        for j in range(self._size, quadratic.size):  # they were zero when it was drawn
            self._u[j] = 0.0
            self._c[j] = quadratic.c[j]
            for k in range(quadratic.size):
                change = quadratic.u[k] - (self._u[k] if k < self._size else 0.0)
                self._c[j] += quadratic.gram[j * quadratic.stride + k] * change
        self._size = quadratic.size
        for j in range(quadratic.size):
            square += (self._c[j] - quadratic.c[j]) * (quadratic.u[j] - self._u[j])
            size += quadratic.norm[j] * (fabs(quadratic.u[j]) + fabs(self._u[j]))
        return sqrt(max(square, 0.0) + 64.0 * EPSILON * size * size)
