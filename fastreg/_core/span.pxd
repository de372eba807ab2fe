# What residuals that X has already met say about the correlations of another one. With q_k an
# orthonormal basis of theirs (in the metric of the weights) and C_jk = z_j'(weight * q_k) known,
#     r = sum_k a_k q_k + e    gives    | z_j'(weight * r) - sum_k a_k C_jk |
#                                           <= sqrt(norm_j^2 - sum_k C_jk^2) |e|,
# by Cauchy and Schwarz on what is orthogonal to the basis: p K multiplications in place of a pass
# over X. A working set asks it which features need no closer look.

from cython cimport final

from fastreg._core.design cimport Design


@final
cdef class Span:
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t capacity
    cdef Design _design
    cdef const double[::1] _weight
    cdef const double[::1] _norm
    cdef double[:, ::1] _basis
    cdef double[:, ::1] _image      # C, one row a basis vector
    cdef double[::1] _rest          # sqrt(norm_j^2 - sum_k C_jk^2), widened by its rounding
    cdef double[::1] _square        # norm_j^2 - sum_k C_jk^2
    cdef double[::1] _share         # a
    cdef double[::1] _remainder     # e
    cdef double[::1] _weighted      # weight * e
    cdef double[::1] _direction     # the same of a remainder before
    cdef double length              # |e| in the metric of the weights

    cdef void _project(self, const double* r) noexcept nogil
    # estimates c of the correlations of r, each wrong by at most slack_j
    cdef void estimate(
        self, const double* r, double square, double* c, double* slack) noexcept nogil
    # the pass over X that makes the estimates of r, the last ones, exact; e joins the basis, and so
    # does another vector that `ahead` points to (or NULL)
    cdef int complete(self, const double* r, double square, const double* ahead, double* c,
                      double* slack) except -1 nogil
    # a residual whose correlations c are known joins the basis
    cdef void learn(self, const double* r, double square, const double* c) noexcept nogil
    cdef double _margin(self, double square) noexcept nogil
    cdef void _clear(self) noexcept nogil
    cdef void _append(self) noexcept nogil
    cdef void _know(self, const double* correlation, double length) noexcept nogil
