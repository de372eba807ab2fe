# How many features will be nonzero at a strength that is still to come. Only a working set asks.

from cython cimport final

from fastreg._core.objective cimport LeastSquares
from fastreg._core.outside cimport Outside
from fastreg._core.quadratic cimport Quadratic


@final
cdef class Foresight:
    cdef LeastSquares problem
    cdef Quadratic quadratic        # of the working set
    cdef Outside outside
    cdef object _rank               # the function that tells how many features are independent,
    cdef double _n_independent      # and what it has told,
    cdef bint _known                # if it was asked
    cdef int[::1] _listed

    # as how many independent features all of them count
    cdef double rank(self) except -1.0
    # the size of the support at that L1 strength as if no feature depended on another, or 0 if it
    # is not known to be that large
    cdef double support(self, double l1, double least) except -1.0
    cdef Py_ssize_t _count_above(self, double l1) noexcept
    cdef double _noise_square(self) except -1.0
