# Design: a batch is one job. Its problems are cut into tasks of a size that depends on their shape
# alone; each thread has one workspace, which holds nothing of the problem before. So memory stays
# flat, and no bit depends on the number of threads. Between rounds of tasks signals are looked at.

import numpy as np

from libc.math cimport INFINITY, NAN, log
from libc.string cimport memcpy

from fastreg._core cimport kernels
from fastreg._core.design cimport check_interrupt
from fastreg._core.embedded cimport (
    Ending,
    Fit,
    Found,
    freedom_of,
    lay_out,
    solve_at,
    tell_nothing,
    workspace_size,
    write_point,
)
from fastreg._core.intake cimport take_other_response, take_penalty, take_rows
from fastreg._core.kernels cimport Matrix, matrix_of, rows_from

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define fastreg_fetch(place) __builtin_prefetch(place)
    #else
    #define fastreg_fetch(place) ((void)(place))
    #endif
    """
    void fastreg_fetch(const char* place) noexcept nogil

cdef enum:
    TASK = 1 << 17    # multiplications, at least, that one task is
    ROUND = 1 << 28   # and a round of tasks, for each thread
    NEAR = 1 << 14    # bytes of rows that the cache holds beside a small problem

cdef double PI = 3.141592653589793


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
    Matrix X                      # a table that all problems are rows of, or all share
    const Py_ssize_t* edges       # the first row of each problem and the end; NULL: all share X
    Py_ssize_t n_points           # strengths of a problem
    const double* y
    Py_ssize_t y_stride           # from one problem to the next, where they share X
    const double* weight          # or NULL
    Py_ssize_t weight_stride
    bint gathers                  # are rows without weight left out before anything is computed?
    const double* l1              # one row a problem
    const double* l2
    const double* factor          # these may be NULL
    const double* lower
    const double* upper
    bint centred
    double tol
    Py_ssize_t max_sweeps
    Fit* fits                     # one a thread
    Fit* whole                    # the rows that all share, with their weights; or NULL
    Py_ssize_t first              # problem of this round
    Py_ssize_t last
    Py_ssize_t a_task             # problems
    Selection selection           # of the one point of each problem that is written
    const int* fold               # of each row; the same ones for all problems that share X
    int n_folds
    double* scratch               # numbers of each thread: weights and coefficients, or rows
    Py_ssize_t a_scratch
    Py_ssize_t n_rows             # at most, of one problem
    double* criterion             # problem, point
    double* coef
    double* number                # number (as above), problem, point
    long long* count
    Py_ssize_t size               # problems times points that are written


cdef void do_task(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Job* job = <const Job*>context
    cdef Py_ssize_t b = job.first + k * job.a_task
    cdef Py_ssize_t last = min(b + job.a_task, job.last)
    while b < last:
        if job.selection == Selection.NOTHING:
            do_problem(job, b, job.fits + who, job.scratch + who * job.a_scratch)
        else:
            select_point(job, b, job.fits + who, job.scratch + who * job.a_scratch)
        b += 1


cdef struct Rows:   # of one problem
    Matrix X
    const double* y
    const double* weight
    const int* fold


cdef Rows rows_of(const Job* job, Py_ssize_t b) noexcept nogil:
    cdef Rows rows = Rows(job.X, job.y + b * job.y_stride, job.weight, job.fold)
    cdef Py_ssize_t first = 0
    if job.edges != NULL:
        first = job.edges[b]
        rows.X = rows_from(job.X, first)
        rows.X.n_rows = job.edges[b + 1] - first
        rows.y += first
        rows.fold += first
    if job.weight != NULL:
        rows.weight += first + b * job.weight_stride
    return rows


cdef void gather(Rows* rows, double* scratch) noexcept nogil:
    """Copy the rows that have weight, one after the other."""
    cdef Py_ssize_t n = rows.X.n_rows, p = rows.X.n_columns, i, m = 0
    cdef double* X = scratch
    cdef double* y = X + n * p
    cdef double* weight = y + n
    for i in range(n):
        if rows.weight[i] != 0.0:  # a NaN or a negative one is told of later
            memcpy(X + m * p, <const double*>rows.X.data + i * rows.X.row_stride,
                   p * sizeof(double))
            y[m], weight[m] = rows.y[i], rows.weight[i]
            m += 1
    rows.X = Matrix(X, p, 1, m, p, False)
    rows.y, rows.weight = y, weight


cdef int take_problem(const Job* job, Py_ssize_t b, Fit* fit, double* scratch) noexcept nogil:
    cdef Rows rows = rows_of(job, b)
    cdef int ending
    if job.gathers:
        gather(&rows, scratch)
    if rows.X.n_rows == 0:
        return Ending.BAD_WEIGHT
    if job.whole != NULL:
        ending = take_other_response(fit, job.whole, rows.y)
    else:
        ending = take_rows(fit, &rows.X, rows.y, rows.weight, job.centred)
    return take_penalty(fit, job.factor, job.lower, job.upper) if ending > 0 else ending


cdef void fetch_next(const Job* job, Py_ssize_t b) noexcept nogil:
    """Let the rows of the next problem come from memory while this one is solved."""
    cdef Py_ssize_t size, i
    cdef const char* rows
    if job.edges == NULL or b + 1 >= job.last or job.X.column_stride != 1:
        return
    rows = <const char*>(<const double*>job.X.data + job.edges[b + 1] * job.X.row_stride)
    size = min((job.edges[b + 2] - job.edges[b + 1]) * job.X.row_stride * sizeof(double), NEAR)
    for i in range(0, size, 64):
        fastreg_fetch(rows + i)


cdef void do_problem(const Job* job, Py_ssize_t b, Fit* fit, double* scratch) noexcept nogil:
    cdef int ending = take_problem(job, b, fit, scratch)
    cdef Py_ssize_t k, at
    cdef Found found
    fetch_next(job, b)
    for k in range(job.n_points):
        at = b * job.n_points + k
        tell_nothing(ending, &found)
        if ending > 0:
            solve_at(fit, job.l1[at], job.l2[at], job.tol, job.max_sweeps, &found)
        put(job, fit, at, &found)


cdef void put(const Job* job, Fit* fit, Py_ssize_t at, Found* found) noexcept nogil:
    """Write what is told of the point at hand."""
    write_point(fit, job.coef + at * job.X.n_columns, job.number + INTERCEPT * job.size + at, found)
    job.number[OBJECTIVE * job.size + at] = found.objective
    job.number[NULL_OBJECTIVE * job.size + at] = found.null_objective
    job.number[GAP * job.size + at] = found.gap
    job.number[TOLERANCE * job.size + at] = found.tolerance
    job.number[VIOLATION * job.size + at] = found.violation
    job.count[STATUS * job.size + at] = found.status
    job.count[N_SWEEPS * job.size + at] = found.n_sweeps
    job.count[N_ACTIVE * job.size + at] = found.n_active


cdef void select_point(const Job* job, Py_ssize_t b, Fit* fit, double* scratch) noexcept nogil:
    """Solve a path; write the point where the criterion is smallest: of equal ones the first."""
    cdef double* criterion = job.criterion + b * job.n_points
    cdef Py_ssize_t k, best = 0
    cdef Found found
    cdef int ending = Ending.CONVERGED
    if job.selection == Selection.CROSS_VALIDATION:
        ending = cross_validate(job, b, fit, scratch, criterion)
    if ending > 0:
        ending = take_problem(job, b, fit, scratch)
    tell_nothing(ending, &found)
    if ending > 0 and job.selection != Selection.CROSS_VALIDATION:
        for k in range(job.n_points):
            solve_point(job, b, k, fit, &found)
            criterion[k] = information(job, fit, &found)
        ending = take_problem(job, b, fit, scratch)
    for k in range(job.n_points if ending < 0 else 0):
        criterion[k] = NAN
    for k in range(1, job.n_points):
        if criterion[k] < criterion[best]:
            best = k
    for k in range(best + 1 if ending > 0 else 0):  # as on the way there
        solve_point(job, b, k, fit, &found)
    job.count[INDEX * job.size + b] = best
    put(job, fit, b, &found)


cdef void solve_point(
    const Job* job, Py_ssize_t b, Py_ssize_t k, Fit* fit, Found* found) noexcept nogil:
    cdef Py_ssize_t at = b * job.n_points + k
    solve_at(fit, job.l1[at], job.l2[at], job.tol, job.max_sweeps, found)


cdef double information(const Job* job, Fit* fit, const Found* found) noexcept nogil:
    """n log(2 pi mse) + n + penalty on the degrees of freedom, with n the sum of the weights."""
    cdef double freedom = freedom_of(fit), n = fit.total * fit.weight_unit
    if not (found.square > 0.0 and freedom < n):
        return INFINITY
    return n * (log(2.0 * PI * found.square) + 1.0) + freedom * (
        2.0 if job.selection == Selection.AIC else log(n))


cdef int cross_validate(
    const Job* job, Py_ssize_t b, Fit* fit, double* scratch, double* error) noexcept nogil:
    """Weighted mean of the squared errors on rows that a fit has not seen, at each strength."""
    cdef Rows rows = rows_of(job, b)
    cdef double* weight = scratch
    cdef double* coef = scratch + job.n_rows
    cdef double total = 0.0, held, intercept
    cdef Py_ssize_t i, k
    cdef int f, ending
    cdef Found found
    for k in range(job.n_points):
        error[k] = 0.0
    for f in range(job.n_folds):
        held = 0.0
        for i in range(rows.X.n_rows):
            weight[i] = 1.0 if rows.weight == NULL else rows.weight[i]
            if rows.fold[i] == f:
                held += weight[i]
                weight[i] = 0.0
        if held == 0.0:
            continue
        total += held
        ending = take_rows(fit, &rows.X, rows.y, weight, job.centred)
        if ending > 0:
            ending = take_penalty(fit, job.factor, job.lower, job.upper)
        if ending < 0:
            return ending
        for k in range(job.n_points):
            solve_point(job, b, k, fit, &found)
            write_point(fit, coef, &intercept, &found)
            error[k] += heldout_square(&rows, f, coef, intercept)
    if total == 0.0:
        return Ending.BAD_WEIGHT
    for k in range(job.n_points):
        error[k] /= total
    return Ending.CONVERGED


cdef double heldout_square(
    const Rows* rows, int f, const double* coef, double intercept) noexcept nogil:
    """Weighted sum of the squared errors of a fit on the rows of a fold."""
    cdef const double* X = <const double*>rows.X.data
    cdef double square = 0.0, error
    cdef Py_ssize_t i, j
    for i in range(rows.X.n_rows):
        if rows.fold[i] != f:
            continue
        error = rows.y[i] - intercept
        for j in range(rows.X.n_columns):
            error -= X[i * rows.X.row_stride + j * rows.X.column_stride] * coef[j]
        square += error * error * (1.0 if rows.weight == NULL else rows.weight[i])
    return square


cdef const double* pointer(const double[::1] array) noexcept:
    return NULL if array is None or array.shape[0] == 0 else &array[0]


cdef run(Job* job, Py_ssize_t n_problems, double work, int n_threads):
    """Do all problems, in rounds; `work` is that of one, about, in multiplications."""
    cdef Py_ssize_t a_round
    job.a_task = <Py_ssize_t>(TASK / work) + 1
    a_round = max(<Py_ssize_t>(ROUND / work) + 1, job.a_task) * n_threads
    job.first = 0
    while job.first < n_problems:
        job.last = min(job.first + a_round, n_problems)
        with nogil:
            kernels.run(do_task, job, (job.last - job.first + job.a_task - 1) // job.a_task,
                        n_threads)
        check_interrupt()
        job.first = job.last


def solve_batch(const double[:, :] X, const double[:, ::1] y, const Py_ssize_t[::1] edges,
                const double[:, ::1] weight, const double[:, ::1] l1, const double[:, ::1] l2,
                factor, lower, upper, *, bint centred, bint standardize, double tol,
                Py_ssize_t max_sweeps, int n_threads, str selection, const int[::1] fold,
                bint gathers):
    """Solve many problems: runs of the rows of X, or (edges None) those that share X.

    y and weight (may be None) have one row for all runs, or one or as many as problems share X.
    `gathers` (where rows are contiguous, and each problem has weights) leaves out rows without
    weight at once. With a selection ("aic", "bic" or "cv", then by the fold of each row) K is 1 in
    what is returned, whatever the number of strengths. Returns coefficients (B, K, p), numbers
    (6, B, K) and counts (4, B, K) in the order of the enums, and the criterion of all strengths.
    """
    cdef Py_ssize_t n_problems = l1.shape[0], n_points = l1.shape[1], p = X.shape[1]
    cdef Py_ssize_t n = X.shape[0], k, step = sizeof(double)
    cdef size_t size, stride
    cdef Py_ssize_t n_written = 1 if selection else n_points
    cdef double[:, :, ::1] coef = np.empty((n_problems, n_written, p))
    cdef double[:, :, ::1] number = np.empty((N_NUMBERS, n_problems, n_written))
    cdef long long[:, :, ::1] count = np.zeros((N_COUNTS, n_problems, n_written), dtype=np.int64)
    cdef double[:, ::1] criterion = np.empty((n_problems, n_points if selection else 1))
    cdef double[:, ::1] scratch
    cdef double[::1] memory
    cdef double[::1] nothing
    cdef unsigned char[::1] fits
    cdef Job job
    cdef int ending
    if not (y.shape[1] == n and y.shape[0] in (1, n_problems) and n > 0 and p > 0
            and n_points > 0 and l2.shape[0] == n_problems and l2.shape[1] == n_points
            and (weight is None or weight.shape[1] == n and weight.shape[0] in (1, n_problems))
            and (not gathers or X.shape[1] == 1 or X.strides[1] == step)
            and (fold is None or fold.shape[0] == n) and (selection != "cv" or fold is not None)
            and (edges is None or edges.shape[0] == n_problems + 1 and y.shape[0] == 1)):
        raise ValueError("shapes do not fit")
    job.X = matrix_of(&X[0, 0], X.strides[0] // step, X.strides[1] // step, n, p, False)
    job.edges = NULL
    if edges is not None:
        job.edges = &edges[0]
        n = np.diff(edges).max(initial=1)
    job.y, job.y_stride = &y[0, 0], y.shape[1] if y.shape[0] > 1 else 0
    job.weight, job.weight_stride = NULL, 0
    if weight is not None:
        job.weight, job.weight_stride = &weight[0, 0], weight.shape[1] if weight.shape[0] > 1 else 0
    job.l1, job.l2, job.n_points = &l1[0, 0], &l2[0, 0], n_points
    job.factor, job.lower, job.upper = pointer(factor), pointer(lower), pointer(upper)
    job.centred, job.tol, job.max_sweeps = centred, tol, max_sweeps
    job.coef, job.number, job.count = &coef[0, 0, 0], &number[0, 0, 0], &count[0, 0, 0]
    job.size, job.whole = n_problems * n_written, NULL
    job.selection = {"": Selection.NOTHING, "aic": Selection.AIC, "bic": Selection.BIC,
                     "cv": Selection.CROSS_VALIDATION}[selection]
    job.criterion, job.fold, job.n_folds, job.n_rows = &criterion[0, 0], NULL, 0, n
    if selection == "cv":
        job.fold, job.n_folds = &fold[0], max(fold) + 1
    size = workspace_size(n, p)
    if size == 0:
        raise MemoryError("one of the problems is larger than any memory")
    stride = (size + 63) // 64 * 8
    n_threads = max(1, min(n_threads, n_problems))
    # held-out rows lose their weight in a copy of the weights
    job.gathers = gathers and selection != "cv" and edges is None and job.weight_stride > 0
    job.a_scratch = n * (p + 2) if job.gathers else n + p
    scratch = np.empty((n_threads, job.a_scratch))
    job.scratch = &scratch[0, 0]
    memory = np.empty((n_threads + 1) * stride)
    fits = np.zeros((n_threads + 1) * sizeof(Fit), dtype=np.uint8)
    job.fits = <Fit*>&fits[0]
    for k in range(n_threads + 1):
        lay_out(job.fits + k, n, p, &memory[k * stride])
        job.fits[k].standardize = standardize
    # folds have Gram matrices of their own, for which the place of a borrowed one is none
    if edges is None and job.weight_stride == 0 and n_problems > 1 and selection != "cv":
        job.whole = job.fits + n_threads
        nothing = np.zeros(n)
        with nogil:
            ending = take_rows(job.whole, &job.X, &nothing[0], job.weight, centred)
        if ending < 0:  # each problem is to tell why
            job.whole = NULL
    work = <double>n * p * (p if job.whole == NULL else 1) + 50.0 * p * p * n_points + 1000.0
    run(&job, n_problems, work * (1 + job.n_folds), n_threads)
    return np.asarray(coef), np.asarray(number), np.asarray(count), np.asarray(criterion)
