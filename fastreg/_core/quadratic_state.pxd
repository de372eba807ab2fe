# The state of a quadratic:  1/2 u'G u - q'u + sum_j h_j(u_j)  over the working set, in memory that
# somebody else owns, with its penalty, a point, and what is known of it. Everything here runs
# without Python.

from libc.math cimport INFINITY

from fastreg._core.factor cimport FactorState
from fastreg._core.penalty cimport Penalty

cdef enum:
    VECTORS = 13    # of numbers, each as long as the problem may be large


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


# numbers that a state of up to so many coordinates takes beside its matrix; without the factor
cdef Py_ssize_t quadratic_size(Py_ssize_t capacity) noexcept nogil
cdef Py_ssize_t vectors_size(Py_ssize_t capacity) noexcept nogil
# an empty state in such memory; `column` is left to the caller. `room` is what `factor.rebuild`
# works in, or NULL
cdef void attach(
    QuadraticState* q, Py_ssize_t capacity, double* gram, Py_ssize_t stride, double* memory,
    double* room) noexcept nogil
# let all arrays but those of the factor lie in that memory
cdef void divide(
    QuadraticState* q, Py_ssize_t capacity, double* gram, Py_ssize_t stride, double* memory,
) noexcept nogil
# take the diagonal of coordinates that are new in the matrix, and find their twins
cdef void count_new(QuadraticState* q, Py_ssize_t new) noexcept nogil
# forget the factor: what comes has nothing to do with what was
cdef void begin(QuadraticState* q) noexcept nogil
# all coordinates will be free: no L1 strength, no bound
cdef void expect_all(QuadraticState* q) noexcept nogil
# a new problem from the matrix that is there
cdef void adopt(QuadraticState* q, Py_ssize_t size) noexcept nogil
# penalty of the whole problem, indexed by feature; forgets the factor if the ridge part changed
cdef void set_penalty(QuadraticState* q, Penalty h) noexcept nogil
# the same by coordinate, bounds being those given last: l1 and l2 multiply the factors, which are
# always the same ones
cdef void strengthen(
    QuadraticState* q, double l1, const double* l1_factor, double l2, const double* l2_factor,
) noexcept nogil
# start from u with known correlations c and squared residual (all indexed by feature)
cdef void load(
    QuadraticState* q, const double* u, const double* c, double square) noexcept nogil
# go to a point, of which the correlations need not be known exactly
cdef void place(QuadraticState* q, const double* u, const double* c) noexcept nogil
# the same for new coordinates at zero, the point with known correlations staying what it is
cdef void load_new(QuadraticState* q, Py_ssize_t first, const double* c) noexcept nogil
cdef void store(QuadraticState* q, double* u, double* c) noexcept nogil
cdef double residual_square(QuadraticState* q) noexcept nogil
# the same before it is kept from being negative
cdef double raw_square(QuadraticState* q) noexcept nogil
# sum of norm_j |u_j - base_u_j|: how far the point with known correlations is, at most
cdef double distance_moved(QuadraticState* q) noexcept nogil
# sum of norm_j |u_j|: what may cancel in a prediction
cdef double size_of(QuadraticState* q) noexcept nogil
# what rounding of G and c can add to a gap that was computed from them alone; infinite where the
# point with known correlations lies far off
cdef double rounding_of(QuadraticState* q) noexcept nogil
# a length of the residual, less than which is rounding of the correlations
cdef double noise_at(QuadraticState* q, double square) noexcept nogil
# recompute the correlations from the base point, unless that has just been done
cdef void refresh(QuadraticState* q) noexcept nogil
cdef void move(QuadraticState* q, Py_ssize_t j, double distance) noexcept nogil


cdef inline bint rests(QuadraticState* q, Py_ssize_t j) noexcept nogil:
    """Should it stay at zero if it is there? With a ridge part twins would share the weight."""
    return q.twin[j] >= 0 and q.l1[j] > 0.0 and q.l2[j] == 0.0


cdef inline bint is_free(QuadraticState* q, Py_ssize_t j) noexcept nogil:
    return (
        (q.u[j] != 0.0 or q.l1[j] == 0.0)
        and q.lower[j] < q.u[j] < q.upper[j]
        and q.gram[j * q.stride + j] > 0.0
    )


cdef inline double slope_of(QuadraticState* q, Py_ssize_t j) noexcept nogil:
    """Minus the derivative of the objective along a free coordinate."""
    cdef double sign = 1.0 if q.u[j] > 0.0 else (-1.0 if q.u[j] < 0.0 else 0.0)
    return q.c[j] - q.l1[j] * sign - q.l2[j] * q.u[j]


cdef inline double boundary_ahead(QuadraticState* q, Py_ssize_t j, double velocity) noexcept nogil:
    """Where coordinate j must stop: at zero, if that is a kink ahead of it, or at a bound."""
    if velocity > 0.0:
        return 0.0 if q.l1[j] > 0.0 and q.u[j] < 0.0 < q.upper[j] else q.upper[j]
    return 0.0 if q.l1[j] > 0.0 and q.u[j] > 0.0 > q.lower[j] else q.lower[j]


cdef inline double room_ahead(QuadraticState* q, Py_ssize_t j, double velocity) noexcept nogil:
    """How far that is, in units of the velocity."""
    if velocity == 0.0:
        return INFINITY
    return (boundary_ahead(q, j, velocity) - q.u[j]) / velocity
