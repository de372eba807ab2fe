# The features outside of a working set: what is known of their correlations, which of them might
# violate optimality, and which should come in. Only the working set itself cimports this.

from cython cimport final

from fastreg._core.horizon cimport Horizon
from fastreg._core.objective cimport LeastSquares
from fastreg._core.quadratic cimport Quadratic
from fastreg._core.span cimport Span


@final
cdef class Outside:
    cdef LeastSquares problem
    cdef Quadratic quadratic        # of the working set
    cdef readonly Py_ssize_t n_movable  # features that may move, inside or outside
    cdef char[::1] is_movable
    cdef int[::1] undecided         # what `cap` could not rule out; their correlations are true
    cdef Py_ssize_t n_undecided
    cdef Span _span                 # None where no feature may move
    cdef Horizon _horizon
    cdef bint _is_hollow
    cdef double _rented             # passes' worth of products since the last pass
    cdef char[::1] is_inside
    cdef double[::1] _product
    cdef double[::1] _score
    cdef double[::1] _ahead         # the residual of `_look_ahead`

    cdef bint is_outside(self, Py_ssize_t j) noexcept nogil
    # these features have entered the working set
    cdef void remove(self, const int[::1] columns) noexcept nogil
    # a residual whose correlations are all known
    cdef learn(self)
    # may a point be certified whose residual only the Gram matrix of the working set knows?
    cdef bint takes_guess(self) noexcept
    # the residual and the correlations of the working set, from X
    cdef int measure(self) except -1
    # know enough of all features for the record of a point with that sphere
    cdef int widen(self, double reach) except -1
    # the features that should come in first: those of the last `cap` that violate optimality, or,
    # with the L1 strength before this one, all that do or may do so soon; None where there are none
    cdef choose(self, bint soon, double l1, double old_l1)
    # the largest multiple of the residual that the features outside allow as dual point, where
    # `radius` is how far the prediction may still move. The L1 strengths are going down to `end`
    # times the present ones
    cdef double cap(self, double radius, double end) except -1.0
    cdef double violation(self) noexcept

    cdef void _estimate(self) noexcept
    cdef int _decide(self, double radius, double end) except -1
    cdef int _read_all(self, double end) except -1
    cdef const double* _look_ahead(self, double ratio) except? NULL
    cdef void _restore_inside(self) noexcept
    cdef Py_ssize_t _list_undecided(self, double radius) noexcept
    cdef double _urgency(self, Py_ssize_t j, bint soon, double l1, double old_l1) noexcept
