# Design: the basis is orthogonalised twice, so that it is orthonormal to rounding. What rounding
# may add to a bound is part of the bound: a share of norm_j^2 under the root, and of |r| beside it.
# A full basis starts anew from the latest residual, whose correlations a pass has just made known.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, sqrt

from fastreg._core.design cimport Design
from fastreg._core.kernels cimport add_rows, axpy, dot, simd

cdef double EPSILON = 2.220446049250313e-16


@final
cdef class Span:
    """Orthonormal basis of residuals, and the correlations of all features with it."""

    def __init__(self, Design design, weight, norm, Py_ssize_t capacity):
        cdef Py_ssize_t n = design.n_samples, p = design.n_features
        self.size = 0
        self.capacity = capacity
        self._design = design
        self._weight = weight
        self._norm = norm
        self._basis = np.empty((capacity, n))
        self._image = np.empty((capacity, p))
        self._rest = np.array(norm, dtype=np.float64)
        self._square = np.square(self._rest)
        self._share = np.zeros(capacity)
        self._remainder = np.empty(n)
        self._weighted = np.empty(n)
        self._direction = np.empty(n)
        self.length = 0.0

    cdef double _margin(self, double square) noexcept nogil:
        """What rounding may add to a correlation, over norm_j."""
        return 8.0 * EPSILON * sqrt(square)

    cdef void _project(self, const double* r) noexcept nogil:
        """Split r into the basis and a remainder."""
        cdef Py_ssize_t i, k, n = self._design.n_samples
        cdef double* e = &self._remainder[0]
        cdef double* weighted = &self._weighted[0]
        cdef double* basis = &self._basis[0, 0]
        cdef double part[4]
        cdef int row[4]
        cdef Py_ssize_t count
        for i in range(n):
            e[i] = r[i]
        for k in range(self.size):
            self._share[k] = 0.0
        for _ in range(2):
            for i in range(n):
                weighted[i] = self._weight[i] * e[i]
            k = 0
            while k < self.size:
                count = min(self.size - k, <Py_ssize_t>4)
                if count == 4:
                    simd.dot4(basis + k * n, basis + (k + 1) * n, basis + (k + 2) * n,
                              basis + (k + 3) * n, weighted, n, part)
                else:
                    for i in range(count):
                        part[i] = dot(weighted, basis + (k + i) * n, n)
                for i in range(count):
                    self._share[k + i] += part[i]
                    part[i] = -part[i]
                    row[i] = <int>(k + i)
                add_rows(basis, n, row, part, count, e, n)
                k += 4
        for i in range(n):
            weighted[i] = self._weight[i] * e[i]
        self.length = sqrt(dot(weighted, e, n))

    cdef void estimate(
        self, const double* r, double square, double* c, double* slack) noexcept nogil:
        self._project(r)
        simd.bounds(&self._image[0, 0], self._image.shape[1], &self._share[0], self.size,
                    &self._rest[0], self.length, &self._norm[0], self._margin(square),
                    self._design.n_features, c, slack)

    cdef int complete(self, const double* r, double square, const double* ahead, double* c,
                      double* slack) except -1 nogil:
        cdef Py_ssize_t i, j, p = self._design.n_features
        cdef double margin = self._margin(square), length, other = 0.0
        cdef bint full = self.size + 2 > self.capacity
        if self.length <= margin:  # nothing left to learn
            return 0
        for i in range(self._design.n_samples):
            self._direction[i] = self._weighted[i]
        if full:
            self._clear()
            self._project(r)
        length = self.length
        self._append()
        if ahead != NULL:
            self._project(ahead)
            other = self.length if margin < self.length < INFINITY else 0.0
        if other > 0.0:
            self._design.correlate_two(
                &self._direction[0], &self._weighted[0], slack, &self._image[self.size, 0])
        else:
            self._design.correlate(&self._direction[0], slack)
        for j in range(p):
            c[j] += slack[j]
        self._know(c if full else slack, length)
        if other > 0.0:
            self._append()
            self._know(&self._image[self.size - 1, 0], other)
        for j in range(p):
            slack[j] = margin * self._norm[j]
        self.length = 0.0
        return 1

    cdef void learn(self, const double* r, double square, const double* c) noexcept nogil:
        cdef Py_ssize_t j, k, p = self._design.n_features
        cdef double* image
        if self.size == self.capacity:
            self._clear()
        self._project(r)
        if self.length <= self._margin(square):
            return
        image = &self._image[self.size, 0]
        for j in range(p):
            image[j] = c[j]
        for k in range(self.size):
            axpy(-self._share[k], &self._image[k, 0], image, p)
        self._append()
        self._know(image, self.length)

    cdef void _clear(self) noexcept nogil:
        cdef Py_ssize_t j
        self.size = 0
        for j in range(self._design.n_features):
            self._square[j] = self._norm[j] * self._norm[j]

    cdef void _append(self) noexcept nogil:
        """Let the remainder into the basis; `_know` follows."""
        cdef Py_ssize_t i
        for i in range(self._design.n_samples):
            self._basis[self.size, i] = self._remainder[i] / self.length
        self.size += 1

    cdef void _know(self, const double* correlation, double length) noexcept nogil:
        """Take the correlations of the last vector of the basis, times its length before."""
        cdef Py_ssize_t j
        cdef double share = 1.0 / length, allowance = 8.0 * self.size * EPSILON
        cdef double* image = &self._image[self.size - 1, 0]
        cdef double* square = &self._square[0]
        cdef double* rest = &self._rest[0]
        cdef const double* norm = &self._norm[0]
        for j in range(self._design.n_features):
            image[j] = correlation[j] * share
            square[j] -= image[j] * image[j]
            rest[j] = sqrt((square[j] if square[j] > 0.0 else 0.0) + allowance * norm[j] * norm[j])
