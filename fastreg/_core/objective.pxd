# Penalised least squares over a whole design, in standardised units:
#     1/2 sum_i weight_i (y_i - z_i'w)^2 + sum_j l1_j |w_j| + l2_j/2 w_j^2,   lower <= w <= upper
# with the weights summing to one and, with an intercept, the residual centred. Every method holds
# one and speaks to the design only through it.

from cython cimport final

from fastreg._core.certificate cimport Certificate
from fastreg._core.design cimport Design
from fastreg._core.penalty cimport Penalty
from fastreg._core.quadratic_state cimport QuadraticState
from fastreg._core.selection cimport Selection

cpdef enum Outcome:
    CONVERGED = 1
    RANK_DEFICIENT = 2
    MAX_ITER = -1
    TIME_LIMIT = -2
    STALLED = -3
    NUMERICAL_ERROR = -4
    GRAM_LIMIT = -100  # the working set outgrew its memory: another method takes over
    ALL_WANTED = -101  # the working set had better hold all features, in an order of its owner's
    DESCENT_WANTED = -102  # the support will be so large that descent on the residual is cheaper


cdef struct Correction:
    double square   # of its length in the metric of the Hessian; infinity if not known
    double drift    # sum of |change of the L1 penalty|


@final
cdef class LeastSquares:
    cdef readonly Design design
    cdef readonly Selection selection   # the columns that are read often
    cdef readonly bint centred
    cdef readonly Py_ssize_t n_passes
    cdef const double[::1] weight
    cdef const double[:] y          # as the user gave it: inside it is (y - y_shift) * y_scale
    cdef double y_shift
    cdef double y_scale
    cdef double[::1] w
    cdef double[::1] c              # correlations z_j'(weight * residual)
    cdef double[::1] slack          # by how much c_j may be off, where X was not asked
    cdef Py_ssize_t n_near          # features whose c and slack are known, or -1: all of them
    cdef int[::1] near              # these
    cdef unsigned char[::1] far     # the others, where |c_j| + norm_j spare < l1_j is known
    cdef double spare
    cdef double[::1] residual
    cdef double[::1] norm           # sqrt of sum_i weight_i z_ij^2
    cdef double square              # sum_i weight_i residual_i^2
    cdef bint is_true               # do c and square come from X (not from a Gram matrix)?
    cdef bint is_settled            # are all of c true ones?
    cdef bint _has_residual         # at w = 0 only those who need it compute it
    cdef readonly double residual_mean  # what the intercept took from the residual
    cdef double[::1] _l1_factor
    cdef double[::1] _l2_factor
    cdef double l1_strength
    cdef double _l2_strength        # that l2 was made for
    cdef double[::1] l1
    cdef double[::1] l2
    cdef double[::1] lower
    cdef double[::1] upper
    cdef readonly bint has_bounds   # of features that may move; excluded ones are fixed at zero
    cdef Penalty penalty
    cdef double[::1] weighted       # weight * residual, of the last look at X
    cdef char[::1] _exact
    cdef int[::1] _listed
    cdef int[::1] support           # features with w_j != 0, when the residual was computed
    cdef Py_ssize_t n_active
    cdef double[::1] _coef

    cdef void set_strength(self, double l1, double l2) noexcept nogil
    # list the support: sought among the given features (or the first m); `found` are listed already
    cdef void find_support(
        self, const int* features, Py_ssize_t m, Py_ssize_t found=*) noexcept nogil
    # w = 0, of which c and square are known
    cdef void begin_at_zero(self, const double* correlation, double square) noexcept nogil
    # a residual that somebody is about to read
    cdef int need_residual(self) except -1 nogil
    # residual of the current w, from the columns of its support
    cdef int update_residual(self) except -1 nogil
    cdef int update_residual_of_support(self) except -1 nogil
    # residual and c of the support, from one read of X
    cdef int update_both(self) except -1 nogil
    cdef void _take_response(self) noexcept nogil
    cdef void _centre(self) noexcept nogil
    # c of the current residual: one pass over X
    cdef int update_correlation(self) except -1 nogil
    # know every correlation from X
    cdef int settle(self) except -1 nogil
    # gap of the current w; members of the (synchronised) quadratic may be corrected by a Newton
    # step first; None where there is none. `doubtful` is what a `Dependence` has measured: the
    # square of its own correction and by how much that moves the L1 penalty. radius returns the
    # size of both corrections
    cdef Certificate certify(
        self, QuadraticState* quadratic, Correction doubtful, double target,
        double* radius) noexcept
    cdef bint is_movable(self, Py_ssize_t j) noexcept nogil
    cdef void _flag_dependent(self, QuadraticState* quadratic, char flag) noexcept nogil
    # rounding of a correlation, in units of its norm
    cdef double noise(self) noexcept nogil
