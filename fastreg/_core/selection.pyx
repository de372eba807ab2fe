# Design: a copy is made once for each column that enters; where the copies would need more than a
# tenth of X and the Gram matrix of as many columns, and more than was granted, they are given up,
# and columns are read in place again.

import numpy as np

from cython cimport final

from fastreg._core.design cimport Design

cdef enum:
    LINE = 64         # bytes that are read for one entry of a scattered column
    FEWEST = 64       # columns from which X is too wide to be read by rows

cdef double MOST = 0.1  # share of X that may be copied in any case


@final
cdef class Selection:
    """Columns of a design that are read often."""

    def __init__(self, Design design):
        self.design = design
        self.memory = 0.0
        self.scatter = 1.0
        X = design.by_rows()
        if X is not None:
            self.scatter = LINE / X.itemsize
        self._begin()

    cdef _begin(self):
        cdef Design design = self.design
        X = design.by_rows()
        self.size = 0
        self._packed = None
        self._packing = X is not None and design.n_features >= FEWEST
        if self._packing:
            self._array = np.empty((design.n_samples, 0), dtype=X.dtype, order="F")
            self._features = np.empty(0, dtype=np.int32)
            self._place = np.full(design.n_features, -1, dtype=np.int32)
            self._mapped = np.empty(design.n_features, dtype=np.int32)

    cdef grant(self, double memory):
        """Let copies take so many bytes; those that were given up before are begun anew."""
        self.memory = memory
        if not self._packing:
            self._begin()

    cdef extend(self, const int[::1] columns):
        cdef Py_ssize_t k, new
        if not self._packing:
            return
        columns = np.asarray(columns)[np.asarray(self._place)[columns] < 0]
        new = columns.shape[0]
        if new == 0:
            return
        if not self._fits(self.size + new):
            self._packing = False
            self._packed = self._array = None
            return
        if self.size + new > self._array.shape[1]:
            capacity = min(self.design.n_features, max(self.size + new, 2 * self.size))
            array = np.empty((self.design.n_samples, capacity), self._array.dtype, order="F")
            array[:, :self.size] = self._array[:, :self.size]
            self._array = array
        self._array[:, self.size:self.size + new] = self.design.by_rows()[:, columns]
        for k in range(new):
            self._place[columns[k]] = <int>(self.size + k)
        self.size += new
        order = self._features = np.concatenate([self._features, columns])
        self._packed = type(self.design)(self._array[:, :self.size])
        self._packed.set_units(self.design.shift[order], self.design.scale[order])
        self._packed.set_threads(self.design._n_threads)

    cdef bint _fits(self, Py_ssize_t m) noexcept nogil:
        cdef double n = self.design.n_samples
        return 8.0 * n * m <= self.memory or (
            n * m <= MOST * n * self.design.n_features + <double>m * m)

    cdef double share(self, Py_ssize_t m) noexcept nogil:
        cdef double cost = 1.0 if self._packing else self.scatter
        return cost * m / self.design.n_features

    cdef bint _map(self, const int* columns, Py_ssize_t m) noexcept nogil:
        """Are all of the columns packed? Writes where they are."""
        cdef Py_ssize_t k
        if not self._packing or self.size == 0:
            return False
        for k in range(m):
            self._mapped[k] = self._place[columns[k]]
            if self._mapped[k] < 0:
                return False
        return True

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        if self._map(columns, m):
            return self._packed.correlate_columns(&self._mapped[0], m, v, out)
        return self.design.correlate_columns(columns, m, v, out)

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        if self._map(columns, m):
            return self._packed.add_columns(&self._mapped[0], m, coef, out)
        return self.design.add_columns(columns, m, coef, out)

    cdef double meet(self, Py_ssize_t j, const double* v, double rest) noexcept nogil:
        if self._packing and self.size > 0 and self._place[j] >= 0:
            return self._packed.meet(self._place[j], v, rest)
        return self.design.meet(j, v, rest)

    cdef double move(self, Py_ssize_t j, double length, const double* weight, double equal,
                     double* v) noexcept nogil:
        if self._packing and self.size > 0 and self._place[j] >= 0:
            return self._packed.move(self._place[j], length, weight, equal, v)
        return self.design.move(j, length, weight, equal, v)

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        if columns.shape[0] and self._map(&columns[0], columns.shape[0]):
            return self._packed.gram(self._mapped[:columns.shape[0]], first_new, weight, out)
        return self.design.gram(columns, first_new, weight, out)
