# The one exact solver:  minimise  1/2 u'G u - q'u + sum_j h_j(u_j)  over the working set.
# Coordinate descent with soft-thresholding finds the support and the signs; a Newton step on the
# maintained Cholesky factor of G over the support finishes to machine precision.
#
# `QuadraticState` is a problem, its solver and its state, in memory that somebody else owns;
# `Quadratic` owns such memory and lets it grow. Everything that takes a state runs without Python.

from cython cimport final

from fastreg._core.quadratic_state cimport Proof, QuadraticState
from fastreg._core.selection cimport Selection


@final
cdef class Quadratic:
    cdef QuadraticState state
    cdef int[::1] column         # those of the state, as arrays
    cdef double[:, ::1] gram
    cdef double[::1] _memory
    cdef Py_ssize_t _capacity

    cdef extend(self, Selection selection, int[::1] columns, const double[::1] weight)
    # the same with a Gram matrix that is known already, into an empty working set
    cdef extend_known(self, int[::1] columns, const double[:, ::1] gram)
    # instead of `extend`: room for a matrix that the caller writes to the head of `gram`, to be
    # adopted; each coordinate is its own feature
    cdef reserve(self, Py_ssize_t capacity)
    # coordinates whose direction the Gram matrix cannot tell from a null one
    cdef list doubtful(self)
    # the combination of coordinates that this is: e_j - sum_k weight_k e_member(k)
    cdef express(self, Py_ssize_t j, double[::1] out)
    # the same, once more: with the products of what `out` is so far, it is made orthogonal to them
    cdef refine(self, Py_ssize_t j, const double[::1] products, double[::1] out)

    cdef _reserve(self, Py_ssize_t capacity)
    cdef _set_columns(self, int[::1] columns)
    cdef _leave_out(self, Py_ssize_t j, weight)


cdef Py_ssize_t sweep(QuadraticState* q, bint outside, double noise) noexcept nogil
# the certificate over the working set of the point at hand; `cap` is the largest kappa that the
# features outside allow, `radius` by how much each c may be off, in units of its norm
cdef Proof prove(
    QuadraticState* q, double square, double noise, double cap, double radius=*) noexcept nogil
# the same with its virtual Newton step: `extra` is what `decrement` has just returned, `drift` what
# measured directions add to the L1 penalty
cdef Proof prove_corrected(
    QuadraticState* q, double square, double extra, double drift, double cap) noexcept nogil
# solve to the target gap (restricted to the working set); writes n_sweeps of this call; returns
# whether the deadline stopped it
cdef bint minimise(
    QuadraticState* q, double target, Py_ssize_t max_sweeps, double deadline) except -1 nogil
