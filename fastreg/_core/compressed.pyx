# Design: a matrix by columns is read by rows a few at a time, or brought into the other order as a
# whole. Every entry then goes to a place of its own, far from that of its neighbour: what counts is
# that places stay in the cache, or are asked for early.

import numpy as np

from cython cimport final

from fastreg._core.design cimport CHUNK, check_interrupt
from fastreg._core.kernels cimport Sparse, real

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define FASTREG_PREFETCH(address) __builtin_prefetch(address, 1)
    #else
    #define FASTREG_PREFETCH(address) ((void)(address))
    #endif
    """
    void prefetch "FASTREG_PREFETCH" (const void* address) noexcept nogil

cdef enum:
    AHEAD = 16                    # entries by which memory is asked for before it is written
    FEWEST_ROWS = 16              # that are sorted together,
    ENTRIES_OF_A_BLOCK = 1 << 14  # and about how many entries they have


@final
cdef class RowBlock:
    """Rows of some columns, a few at a time, so that what is sorted stays in the cache."""

    def __init__(self, const double[::1] scale, const int[::1] columns, const char[::1] skip):
        self._scale = scale
        self._columns = columns
        self._skip = skip

    cdef begin(self, const Sparse* X):
        cdef Py_ssize_t a, j, m = self._columns.shape[0], nnz = 1
        self._X = X[0]
        self._next = np.empty(m, dtype=np.intp)
        for a in range(m):
            j = self._columns[a]
            self._next[a] = X.start[j]
            nnz += 0 if self._skip[a] else X.start[j + 1] - X.start[j]
        self.n_rows = <Py_ssize_t>(<double>ENTRIES_OF_A_BLOCK * X.n_rows / nnz)
        self.n_rows = min(X.n_rows, max(self.n_rows, <Py_ssize_t>FEWEST_ROWS))
        self.start = np.empty(self.n_rows + 2, dtype=np.int32)
        self._reserve(min(nnz, <Py_ssize_t>ENTRIES_OF_A_BLOCK))

    cdef _reserve(self, Py_ssize_t size):
        self.place = np.empty(size, dtype=np.int32)
        self.value = np.empty(size)

    cdef int sort(self, Py_ssize_t first) except -1 nogil:
        cdef const int* row = self._X.rows
        cdef Py_ssize_t a, e, i, k, end, last = min(first + self.n_rows, self._X.n_rows), count = 0
        cdef double scale
        self.n_rows = last - first
        for i in range(self.n_rows + 2):
            self.start[i] = 0
        for a in range(self._columns.shape[0]):
            k = self._next[a]
            end = k if self._skip[a] else self._X.start[self._columns[a] + 1]
            while k < end and row[k] < last:
                self.start[row[k] - first + 2] += 1
                k += 1
            count += k - self._next[a]
        if count > self.place.shape[0]:
            with gil:
                self._reserve(2 * count)
        for i in range(self.n_rows):
            self.start[i + 2] += self.start[i + 1]
        # start[i + 1] runs from the beginning of row i to its end, the beginning of the next
        for a in range(self._columns.shape[0]):
            k = self._next[a]
            end = k if self._skip[a] else self._X.start[self._columns[a] + 1]
            scale = self._scale[self._columns[a]]
            while k < end and row[k] < last:
                i = row[k] - first + 1
                e = self.start[i]
                self.start[i] = <int>(e + 1)
                self.place[e] = <int>a
                self.value[e] = column_value(&self._X, k) * scale
                k += 1
            self._next[a] = k
        return 0


def row_products(const int[::1] start, const int[::1] rows, const real[::1] values,
                 const double[::1] factor, double[:, ::1] out):
    """Add sum_j factor_j x_ij x_kj to out[i, k] for i >= k, X being given by columns."""
    cdef Py_ssize_t j, e, f, work = 0
    cdef double own
    cdef double* target
    with nogil:
        for j in range(factor.shape[0]):
            if factor[j] == 0.0:
                continue
            work += <Py_ssize_t>(start[j + 1] - start[j]) * (start[j + 1] - start[j])
            if work > CHUNK:
                check_interrupt()
                work = 0
            for e in range(start[j], start[j + 1]):
                own = factor[j] * values[e]
                target = &out[rows[e], 0]
                for f in range(start[j], e + 1):
                    target[rows[f]] += own * values[f]


def columns_of(const int[::1] start, const int[::1] index, const real[::1] values, Py_ssize_t p):
    """Return start, rows and values by columns of the matrix of p columns that is given by rows.

    Indices must lie within bounds.
    """
    cdef Py_ssize_t n = start.shape[0] - 1, last = start[n], i, j, k, at
    first, rows = np.zeros(p + 1, dtype=np.int32), np.empty(last, dtype=np.int32)
    data = np.empty(last, dtype=np.float32 if real is float else np.float64)
    cdef int[::1] place = first, row_of = rows
    cdef real[::1] value_of = data
    with nogil:
        for k in range(last):
            place[index[k] + 1] += 1
        for j in range(p):
            place[j + 1] += place[j]
        # place[j] runs from the beginning of column j to its end, the beginning of the next
        for i in range(n):
            for k in range(start[i], start[i + 1]):
                if k + AHEAD < last:
                    at = place[index[k + AHEAD]]
                    prefetch(&row_of[at])
                    prefetch(&value_of[at])
                at = place[index[k]]
                place[index[k]] += 1
                row_of[at] = <int>i
                value_of[at] = values[k]
        for j in range(p, 0, -1):
            place[j] = place[j - 1]
        place[0] = 0
    return first, rows, data


def order_of(const int[::1] start, const int[::1] index, Py_ssize_t size):
    """Say of the indices of a compressed matrix whether they fit its minor axis of that size.

    0: they do not; 1: they do, unless they are unsorted or repeated; 2: they increase.
    """
    cdef Py_ssize_t m = start.shape[0] - 1, last = index.shape[0], j, k
    cdef Py_ssize_t between = 0, falls = 0
    if m < 0 or start[0] != 0 or start[m] != last:
        return 0
    with nogil:
        for j in range(m):
            falls += start[j] > start[j + 1]
        if falls:
            with gil:
                return 0
        # Steps that do not go up are fine between two columns, and nowhere else.
        for k in range(last - 1):
            falls += index[k] >= index[k + 1]
        for j in range(m):
            k = start[j]
            if k < start[j + 1]:
                between += k > 0 and index[k - 1] >= index[k]
                if index[k] < 0 or index[start[j + 1] - 1] >= size:
                    falls = -1
                    break
    return 2 if falls == between else 1
