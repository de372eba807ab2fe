# Whole fits in memory of the caller, without Python: what the public C-level API and batches of
# small problems are made of. The order of calls: `lay_out`; one of the `take_...` that give the
# data; `take_penalty`; then `solve_at` for each strength of a path, and `write_point` after it.

from fastreg._core.kernels cimport Matrix, Sparse
from fastreg._core.quadratic_state cimport QuadraticState

cdef enum Ending:         # numbers are those of the public API, and of `Outcome` where it has them
    CONVERGED = 1
    MAX_SWEEPS = -1
    STALLED = -3
    NUMERICAL_ERROR = -4
    BAD_ARGUMENT = -10    # a null pointer, a negative size, strides or options that cannot be
    NOT_FINITE = -11      # NaN or infinity in the data, or their squares overflow
    NOT_A_GRAM = -12      # the moments are those of no data
    BAD_PENALTY = -13     # a negative or NaN strength or factor, crossing bounds
    BAD_WEIGHT = -14      # a negative or infinite weight, or a sum of zero
    BAD_WORKSPACE = -15   # too small
    NO_MEMORY = -16


cdef enum Storage:
    MOMENTS    # nothing but the Gram matrix is known
    DENSE
    CSC


cdef struct Found:        # of one strength, in the user's units
    int status
    double objective
    double null_objective
    double gap
    double tolerance
    double violation
    double square           # weighted mean of the squared residuals
    Py_ssize_t n_active
    Py_ssize_t n_sweeps


cdef struct Fit:
    QuadraticState quadratic
    Py_ssize_t p
    Py_ssize_t n            # rows, of which `lay_out` made room for so many; later those in use
    double* scale           # z_j = x_j scale_j, a power of two
    double unit             # and that of the response
    double* q               # z_j'y
    double square           # y'y
    double* start           # the feasible point nearest to zero; NULL where that is zero
    double* start_c
    double start_square
    double* zeros
    double* l1_factor
    double* l2_factor
    double* coef
    double least            # of the factors of the L1 strength of what may move
    double most             # of all factors that are not zero
    double faintest
    const double* factor    # as they were given, or NULL
    double* size            # what they are multiplied by for the columns as they are solved
    bint standardize        # are columns penalised as if they had unit deviation?
    bint is_new             # has no strength been solved yet?
    # rows, where there are any
    Storage storage
    Matrix X
    Sparse columns
    const double* y
    const double* weight
    Py_ssize_t first        # row that has weight
    double total            # of the weights, which are multiples of a power of two:
    double weight_unit
    bint centred
    double* mean            # of the columns, then of the response
    double residual_mean    # of the last residual that was made
    double* ones
    double* weights
    double* roots
    double* residual
    double* room            # as many numbers as columns
    Py_ssize_t* starts
    double* block


cdef double HUGE  # a strength beyond which it makes no difference
# bytes of a workspace for n rows (0: moments) and p features; 0 where no machine has as many
cdef size_t workspace_size(Py_ssize_t n, Py_ssize_t p) noexcept nogil
cdef void lay_out(Fit* fit, Py_ssize_t n, Py_ssize_t p, void* memory) noexcept nogil
# solve at these strengths, from the last ones; returns an Ending
cdef int solve_at(
    Fit* fit, double l1, double l2, double tol, Py_ssize_t max_sweeps, Found* found) noexcept nogil
# the strengths alone, for whoever solves what `quadratic` then is
cdef void set_strengths(Fit* fit, double l1, double l2) noexcept nogil
# what `found` is told of: coefficients (of p features; may be NULL where nothing was solved) and
# intercept in the user's units, or NaN; counts those that are not zero
cdef void write_point(
    const Fit* fit, double* coef, double* intercept, Found* found) noexcept nogil
# trace of the hat matrix given the support, intercept included; coefficients at bounds are fixed
cdef double freedom_of(Fit* fit) noexcept nogil
# what is told of a fit that ended before it began
cdef void tell_nothing(int status, Found* found) noexcept nogil
