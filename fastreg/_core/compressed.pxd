# Sparse matrices by columns and by rows.

from cython cimport final

from fastreg._core.kernels cimport Sparse


cdef inline double column_value(const Sparse* X, Py_ssize_t k) noexcept nogil:
    return X.narrow[k] if X.narrow != NULL else X.wide[k]


@final
cdef class RowBlock:
    cdef Py_ssize_t n_rows
    cdef int[::1] start          # of each row, and behind the last one
    cdef int[::1] place          # of the column among those asked for: they increase
    cdef double[::1] value       # times the scale
    cdef Sparse _X               # its owner outlives this
    cdef const double[::1] _scale
    cdef const int[::1] _columns
    cdef const char[::1] _skip
    cdef Py_ssize_t[::1] _next   # entry of each column that is still to come

    cdef begin(self, const Sparse* X)
    # go on to the rows from `first` on; of the last block there are fewer
    cdef int sort(self, Py_ssize_t first) except -1 nogil
    cdef _reserve(self, Py_ssize_t size)
