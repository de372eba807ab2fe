# The one exact solver:  minimise  1/2 u'G u - q'u + sum_j h_j(u_j)  over the working set.
# Coordinate descent with soft-thresholding finds the support and the signs; a Newton step on the
# maintained Cholesky factor of G over the support finishes to machine precision.

from cython cimport final

from fastreg._core.factor cimport Factor
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


@final
cdef class Quadratic:
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t n_sweeps
    cdef int[::1] column           # the feature behind each coordinate
    cdef double[:, ::1] gram
    cdef double[::1] u
    cdef double[::1] c             # q - G u: correlations of the residual
    cdef double[::1] norm          # sqrt of the diagonal of G
    cdef char[::1] is_member       # a Membership: its place in the factor
    cdef int[::1] _twin            # the earlier coordinate that this one rests on, or -1
    cdef Py_ssize_t _n_twins
    cdef double[::1] _excess       # by how much the pivot of a forced member was raised
    cdef Factor factor
    cdef Proof last_proof           # of where `minimise` ended; its gap is infinite if not known
    cdef double _inexact            # largest share of a plain member's pivot that may be rounding
    cdef Py_ssize_t n_doubtful      # members that are forced, and dependent coordinates
    cdef double[::1] _base_u       # where c was last known exactly
    cdef double[::1] _base_c
    cdef double _base_square
    cdef double _base_size
    cdef bint _is_fresh             # have the correlations just been computed from there?
    cdef bint _is_warm              # is the support that of the last strengths, without a factor?
    cdef double _ridge              # what `strengthen` was last called with; or less than zero
    cdef double[::1] _l1
    cdef double[::1] _l2
    cdef double[::1] _lower
    cdef double[::1] _upper
    cdef double[::1] _step
    cdef double[::1] _corrected
    cdef double[::1] _before
    cdef int[::1] _row
    cdef Penalty _penalty

    cdef extend(self, Selection selection, int[::1] columns, const double[::1] weight)
    # the same with a Gram matrix that is known already, into an empty working set
    cdef extend_known(self, int[::1] columns, const double[:, ::1] gram)
    # instead of `extend`: room for a matrix that the caller writes to the head of `gram`, ...
    cdef reserve(self, Py_ssize_t capacity)
    # ... and a new problem from what is there: `size` coordinates, each its own feature
    cdef void adopt(self, Py_ssize_t size) noexcept nogil
    # penalty of the whole problem, indexed by feature; forgets the factor if the ridge part changed
    cdef void set_penalty(self, Penalty h) noexcept nogil
    # the same by coordinate, bounds being those given last: l1 and l2 multiply the factors, which
    # are always the same ones
    cdef void strengthen(
        self, double l1, const double* l1_factor, double l2, const double* l2_factor,
    ) noexcept nogil
    # forget the factor: what comes has nothing to do with what was
    cdef void begin(self) noexcept nogil
    # all coordinates will be free: no L1 strength, no bound
    cdef void expect_all(self) noexcept nogil
    # start from u with known correlations c and squared residual (all indexed by feature)
    cdef void load(self, const double* u, const double* c, double residual_square) noexcept nogil
    # the same for new coordinates at zero, the point with known correlations staying what it is
    cdef void load_new(self, Py_ssize_t first, const double* c) noexcept nogil
    # go to a point, of which the correlations need not be known exactly
    cdef void place(self, const double* u, const double* c) noexcept nogil
    cdef void store(self, double* u, double* c) noexcept nogil
    cdef double residual_square(self) noexcept nogil
    # sum of norm_j |u_j - base_u_j|: how far the point with known correlations is, at most
    cdef double distance(self) noexcept nogil
    # what rounding of G and c can add to a gap that was computed from them alone; infinite where
    # the point with known correlations lies far off
    cdef double rounding(self) noexcept nogil
    # rounding of a correlation, in units of its norm
    cdef double noise(self, double square) noexcept nogil
    # the largest distance of a correlation to the subdifferential, in units of its norm
    # move the free coordinates into the factor without a step (those that depend on it may slide)
    cdef void synchronise(self) noexcept nogil
    # coordinates whose direction the Gram matrix cannot tell from a null one
    cdef list doubtful(self)
    # the combination of coordinates that this is: e_j - sum_k weight_k e_member(k)
    cdef express(self, Py_ssize_t j, double[::1] out)
    # the same, once more: with the products of what `out` is so far, it is made orthogonal to them
    cdef refine(self, Py_ssize_t j, const double[::1] products, double[::1] out)
    cdef _leave_out(self, Py_ssize_t j, weight)
    # solve to the target gap (restricted to the working set); writes n_sweeps of this call;
    # returns whether the deadline stopped it
    cdef bint minimise(
        self, double target, Py_ssize_t max_sweeps, double deadline) except -1 nogil
    # the certificate over the working set of the point at hand; `cap` is the largest kappa that
    # the features outside allow, `radius` by how much each c may be off, in units of its norm
    cdef Proof prove(
        self, double square, double noise, double cap, double radius=*) noexcept nogil
    # the same with its virtual Newton step: `extra` is what `decrement` has just returned, `drift`
    # what measured directions add to the L1 penalty
    cdef Proof prove_corrected(
        self, double square, double extra, double drift, double cap) noexcept nogil
    # virtual Newton step: writes it to `_step`, returns its squared length in the metric of the
    # Hessian, or infinity where it would leave the face of the current support. What doubtful
    # directions add to the square is estimated, or given as measured on X
    cdef double decrement(self, double measured=*) noexcept nogil

    cdef _reserve(self, Py_ssize_t capacity)
    cdef void _count_new(self, Py_ssize_t new) noexcept nogil
    cdef void _find_twins(self, Py_ssize_t first) noexcept nogil
    cdef bint _rests(self, Py_ssize_t j) noexcept nogil
    cdef bint _wake(self) noexcept nogil
    cdef void _forget_factor(self) noexcept nogil
    cdef void _refresh(self) noexcept nogil
    cdef bint _is_free(self, Py_ssize_t j) noexcept nogil
    cdef double _slope(self, Py_ssize_t j) noexcept nogil
    cdef double _room(self, Py_ssize_t j, double velocity) noexcept nogil
    cdef double _boundary(self, Py_ssize_t j, double velocity) noexcept nogil
    cdef Py_ssize_t _sweep(self, bint outside, double noise) noexcept nogil
    cdef void _admit(self, Py_ssize_t j) noexcept nogil
    cdef Py_ssize_t _list_new(self, Py_ssize_t room) noexcept nogil
    cdef bint _renew(self, Py_ssize_t kept, Py_ssize_t new) noexcept nogil
    cdef Py_ssize_t _first_to_move(self, bint outside) noexcept nogil
    cdef bint _is_stationary(self) noexcept nogil
    cdef bint _slide(self, Py_ssize_t j, const double* weight, double level) noexcept nogil
    cdef void _expel(self, Py_ssize_t k) noexcept nogil
    cdef double _size(self) noexcept nogil
    cdef void _move(self, Py_ssize_t j, double distance) noexcept nogil
    cdef bint _newton(self) noexcept nogil
    cdef bint _newton_round(self, Py_ssize_t* work) noexcept nogil
    cdef double _restricted_gap(self, double target) noexcept nogil
