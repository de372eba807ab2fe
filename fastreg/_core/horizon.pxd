# What a path need not look at for a while. Where a residual r0 is known to leave the correlation of
# a feature so far below its threshold that
#     |z_j'(weight * r0)| + norm_j D <= l1_j     at the L1 strength of the horizon,
# no residual within D of r0 lets it enter before that strength. All others are near. And while the
# point is known by the Gram matrix of the working set alone, so is what the span asks about it:
#     q_k'(weight * r) = q_k'(weight * y) - sum_j C_jk w_j,
# so that a strength costs as much as there are near features, and neither rows nor X are read.

from cython cimport final

from fastreg._core.objective cimport LeastSquares
from fastreg._core.quadratic cimport Quadratic
from fastreg._core.span cimport Span


@final
cdef class Horizon:
    cdef LeastSquares problem
    cdef Quadratic quadratic       # of the working set, which holds the support
    cdef Span span
    cdef double[::1] _level        # q_k'(weight * y)
    cdef double[::1] _share        # q_k'(weight * r)
    cdef bint _is_drawn
    cdef Py_ssize_t _n_near
    cdef double _reach             # D
    cdef double _far
    cdef Py_ssize_t _n_wide        # looks at all features that are left
    cdef double _strength          # of the horizon
    cdef double _drawn_at          # the strength and the point where it was drawn
    cdef double[::1] _u
    cdef double[::1] _c
    cdef Py_ssize_t _size
    cdef double _pace              # by how much the residual moves, over the change of the strength

    # the basis of the span has changed; the residual of the problem is that of its w
    cdef void anchor(self) noexcept
    # estimates c and slack of the near features, for the point of the quadratic; they are told
    # apart again where the point or `strength` is beyond the horizon, `radius` included. Where too
    # many are near, of all features
    cdef int look(self, double strength, double radius) except -1
    # the same for all features
    cdef int look_everywhere(self) except -1
    # whether features are known to be far that may be at another strength
    cdef bint is_beyond(self, double strength) noexcept

    cdef int _draw(self, double strength, double radius) except -1
    cdef double _project(self, double* margin) noexcept
    cdef double _distance(self) except -1.0
