# The problems of a batch, one after the other, without Python. `many` owns the memory.

from fastreg._core.embedded cimport Fit
from fastreg._core.kernels cimport Matrix
from fastreg._core.resample cimport Draw, Sample, Screen

cdef enum:  # numbers of a point
    INTERCEPT
    OBJECTIVE
    NULL_OBJECTIVE
    GAP
    TOLERANCE
    VIOLATION
    N_NUMBERS


cdef enum:  # counts of a point
    STATUS
    N_SWEEPS
    N_ACTIVE
    INDEX         # of the point that was selected
    N_COUNTS


cdef enum Selection:
    NOTHING
    AIC
    BIC
    CROSS_VALIDATION


cdef struct Job:
    Matrix X                      # a table that all problems are rows of, or all share; but where
    const double* const* columns  # columns lie on their own, or rows in another order (else NULL):
    Py_ssize_t step               # from one row to the next
    const Py_ssize_t* order       # rows of the problems, one after the other; NULL: as they are
    const Py_ssize_t* edges       # the first row of each problem and the end; NULL: all share X
    Py_ssize_t n_points           # strengths of a problem
    const double* y
    Py_ssize_t y_stride           # from one problem to the next, where they share X
    const double* weight          # or NULL
    Py_ssize_t weight_stride
    const double* l1              # one row a problem
    const double* l2
    const double* factor          # these may be NULL
    const double* lower
    const double* upper
    bint centred
    double tol
    Py_ssize_t max_sweeps
    Fit* fits                     # one a thread
    const Sample* sample          # X that all share, each with weights of its own; or NULL
    Draw* draws                   # one a thread
    const Screen* screen          # features that are tried alone; or NULL
    Fit* few                      # one a thread
    const double* few_factor      # or NULL
    Fit* whole                    # the rows that all share, with their weights; or NULL
    Py_ssize_t first              # problem of this round
    Py_ssize_t last
    Py_ssize_t a_task             # problems
    Selection selection           # of the one point of each problem that is written
    const int* fold               # of each row; the same ones for all problems that share X
    int n_folds
    double* scratch               # numbers of each thread: weights, coefficients, rows
    Py_ssize_t a_scratch
    Py_ssize_t n_rows             # at most, of one problem
    double* criterion             # problem, point
    double* coef
    double* number                # number (as above), problem, point
    long long* count
    Py_ssize_t size               # problems times points that are written


# the k-th task of a round; `context` is a Job, `who` the thread
cdef void do_task(void* context, Py_ssize_t k, int who) noexcept nogil
