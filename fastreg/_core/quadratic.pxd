# The one exact solver:  minimise  1/2 u'G u - q'u + sum_j h_j(u_j)  over the working set.
# Coordinate descent with soft-thresholding finds the support and the signs; a Newton step on the
# maintained Cholesky factor of G over the support finishes to machine precision.
#
# `QuadraticState` is a problem, its solver and its state, in memory that somebody else owns;
# `Quadratic` owns such memory and lets it grow. Everything that takes a state runs without Python.

from cython cimport final

from fastreg._core.factor cimport FactorState
from fastreg._core.penalty cimport Penalty
from fastreg._core.selection cimport Selection

cdef struct Proof:
    double gap
    double kappa
    double radius   # by how much the corrected point's prediction may differ from the point's


cdef enum Membership:
    OUTSIDE = 0
    MEMBER = 1
    DEPENDENT = 2   # free and unpenalised, but expressed by members: left where it is
    FORCED = 3      # nearly dependent: a member with a pivot that is raised, or partly rounding


cdef struct QuadraticState:
    Py_ssize_t size
    Py_ssize_t n_sweeps
    const int* column        # the feature behind each coordinate
    double* gram             # complete and symmetric, in rows of `stride`
    Py_ssize_t stride
    double* u
    double* c                # q - G u: correlations of the residual
    double* norm             # sqrt of the diagonal of G
    char* is_member          # a Membership: its place in the factor
    int* twin                # the earlier coordinate that this one rests on, or -1
    Py_ssize_t n_twins
    double* excess           # by how much the pivot of a forced member was raised
    FactorState factor
    Proof last_proof         # of where `minimise` ended; its gap is infinite if not known
    double inexact           # largest share of a plain member's pivot that may be rounding
    Py_ssize_t n_doubtful    # members that are forced, and dependent coordinates
    double* base_u           # where c was last known exactly
    double* base_c
    double base_square
    double base_size
    bint is_fresh            # have the correlations just been computed from there?
    bint is_warm             # is the support that of the last strengths, without a factor?
    bint is_unattended       # does nobody want to look at signals or the clock?
    double ridge             # what `strengthen` was last called with; or less than zero
    double* l1
    double* l2
    double* lower
    double* upper
    Penalty penalty          # these four
    double* step
    double* corrected
    double* before
    int* row


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


# numbers that a state of up to so many coordinates takes beside its matrix
cdef Py_ssize_t quadratic_size(Py_ssize_t capacity) noexcept nogil
# an empty state in such memory; `column` is left to the caller. `room` is what `factor.rebuild`
# works in, or NULL
cdef void attach(
    QuadraticState* q, Py_ssize_t capacity, double* gram, Py_ssize_t stride, double* memory,
    double* room) noexcept nogil
# a new problem from the matrix that is there
cdef void adopt(QuadraticState* q, Py_ssize_t size) noexcept nogil
# penalty of the whole problem, indexed by feature; forgets the factor if the ridge part changed
cdef void set_penalty(QuadraticState* q, Penalty h) noexcept nogil
# the same by coordinate, bounds being those given last: l1 and l2 multiply the factors, which are
# always the same ones
cdef void strengthen(
    QuadraticState* q, double l1, const double* l1_factor, double l2, const double* l2_factor,
) noexcept nogil
# forget the factor: what comes has nothing to do with what was
cdef void begin(QuadraticState* q) noexcept nogil
# all coordinates will be free: no L1 strength, no bound
cdef void expect_all(QuadraticState* q) noexcept nogil
# start from u with known correlations c and squared residual (all indexed by feature)
cdef void load(
    QuadraticState* q, const double* u, const double* c, double square) noexcept nogil
# the same for new coordinates at zero, the point with known correlations staying what it is
cdef void load_new(QuadraticState* q, Py_ssize_t first, const double* c) noexcept nogil
# go to a point, of which the correlations need not be known exactly
cdef void place(QuadraticState* q, const double* u, const double* c) noexcept nogil
cdef void store(QuadraticState* q, double* u, double* c) noexcept nogil
cdef double residual_square(QuadraticState* q) noexcept nogil
# sum of norm_j |u_j|: what may cancel in a prediction
cdef double size_of(QuadraticState* q) noexcept nogil
# sum of norm_j |u_j - base_u_j|: how far the point with known correlations is, at most
cdef double distance_moved(QuadraticState* q) noexcept nogil
# what rounding of G and c can add to a gap that was computed from them alone; infinite where the
# point with known correlations lies far off
cdef double rounding_of(QuadraticState* q) noexcept nogil
# minus the derivative of the objective along a free coordinate
cdef double slope_of(QuadraticState* q, Py_ssize_t j) noexcept nogil
# where a coordinate that moves must stop, and how far that is, in units of its velocity
cdef double boundary_ahead(QuadraticState* q, Py_ssize_t j, double velocity) noexcept nogil
cdef double room_ahead(QuadraticState* q, Py_ssize_t j, double velocity) noexcept nogil
cdef void move(QuadraticState* q, Py_ssize_t j, double distance) noexcept nogil
cdef Py_ssize_t sweep(QuadraticState* q, bint outside, double noise) noexcept nogil
# move the free coordinates into the factor without a step (those that depend on it may slide)
cdef void synchronise(QuadraticState* q) noexcept nogil
# solve to the target gap (restricted to the working set); writes n_sweeps of this call; returns
# whether the deadline stopped it
cdef bint minimise(
    QuadraticState* q, double target, Py_ssize_t max_sweeps, double deadline) except -1 nogil
# the certificate over the working set of the point at hand; `cap` is the largest kappa that the
# features outside allow, `radius` by how much each c may be off, in units of its norm
cdef Proof prove(
    QuadraticState* q, double square, double noise, double cap, double radius=*) noexcept nogil
# the same with its virtual Newton step: `extra` is what `decrement` has just returned, `drift` what
# measured directions add to the L1 penalty
cdef Proof prove_corrected(
    QuadraticState* q, double square, double extra, double drift, double cap) noexcept nogil
# virtual Newton step: writes it to `step`, returns its squared length in the metric of the Hessian,
# or infinity where it would leave the face of the current support. What doubtful directions add to
# the square is estimated, or given as measured on X
cdef double decrement(QuadraticState* q, double measured=*) noexcept nogil
