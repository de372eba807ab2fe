# The loop around methods that only read X by columns times a vector; a method gives its step.

from fastreg._core.certificate cimport Certificate
from fastreg._core.dependence cimport Dependence
from fastreg._core.objective cimport LeastSquares
from fastreg._core.quadratic cimport Quadratic


cdef class FirstOrder:
    cdef LeastSquares problem
    cdef Quadratic flat            # certifies the features that no L1 strength pins down
    cdef Dependence dependence     # of the columns of `flat`
    cdef Certificate proof
    cdef double radius
    cdef Py_ssize_t certify_every
    cdef bint is_near              # may a certificate before that reach the target?
    cdef double target
    cdef Py_ssize_t renew_every    # steps after which the true residual replaces the updated one
    cdef double[::1] metric        # curvature of each feature in the steps
    cdef bint is_known             # is the proof that of the current w, from X?
    cdef bint smallest_norm        # does that metric lead to the smallest norm?

    cdef bint step(self) except -1
    cdef _prove(self, double target, bint anew)
    cdef tuple run(self, double target, double tolerance, Py_ssize_t max_iter, double deadline)
    cdef _start(self, double target)


# sum_i weight_i v_i^2
cdef double weighted_square(LeastSquares problem, const double[::1] v) noexcept nogil
