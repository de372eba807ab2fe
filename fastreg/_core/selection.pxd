# The columns of a design that a working set reads again and again. Where rows are contiguous, a
# column lies scattered over all of X: there the selected ones are copied side by side, as long as
# they are few against X. Verbs are those of `Design`, and so are the answers, up to rounding.

from cython cimport final

from fastreg._core.design cimport Design


@final
cdef class Selection:
    cdef readonly Design design
    cdef Design _packed             # None where columns are read in place
    cdef readonly Py_ssize_t size   # packed columns
    cdef readonly double scatter    # what reading a column of `design` costs, in contiguous ones
    cdef double memory              # bytes that copies may take in any case
    cdef bint _packing              # are columns copied (still)?
    cdef object _array              # n_samples x capacity, by columns
    cdef object _features           # of the packed columns
    cdef int[::1] _place            # of each feature among the packed ones, or -1
    cdef int[::1] _mapped

    cdef _begin(self)
    # let copies take so many bytes
    cdef grant(self, double memory)
    cdef extend(self, const int[::1] columns)
    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil
    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil
    # the halves of a step of coordinate descent, as in `Design`
    cdef double meet(self, Py_ssize_t j, const double* v, double rest) noexcept nogil
    cdef double move(self, Py_ssize_t j, double length, const double* weight, double equal,
                     double* v) noexcept nogil
    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1
    # the share of X that reading so many of the columns costs
    cdef double share(self, Py_ssize_t m) noexcept nogil
    # is there memory for so many copies?
    cdef bint _fits(self, Py_ssize_t m) noexcept nogil
    cdef bint _map(self, const int* columns, Py_ssize_t m) noexcept nogil
