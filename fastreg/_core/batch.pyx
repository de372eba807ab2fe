# Design: a task is some problems in a row, of a number that depends on their shape alone; each
# thread has one workspace, which holds nothing of the problem before. So memory stays flat, and no
# bit depends on the number of threads.

from libc.math cimport INFINITY, NAN, log, sqrt
from libc.string cimport memcpy, memset

from fastreg._core.embedded cimport (
    Ending,
    Fit,
    Found,
    freedom_of,
    solve_at,
    tell_nothing,
    write_point,
)
from fastreg._core.intake cimport take_other_response, take_penalty, take_rows
from fastreg._core.kernels cimport Matrix, matrix_of, rows_from
from fastreg._core.resample cimport Draw, is_zero_outside, take_draw

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
    NEAR = 1 << 14    # bytes of rows that the cache holds beside a small problem
    BLOCK = 256       # rows that are gathered at a time

cdef double PI = 3.141592653589793
cdef double ROUNDING = 1e-10  # of a correlation, at most, over norms


cdef void do_task(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Job* job = <const Job*>context
    cdef Py_ssize_t b = job.first + k * job.a_task
    cdef Py_ssize_t last = min(b + job.a_task, job.last)
    while b < last:
        if job.selection == Selection.NOTHING:
            if job.screen == NULL or not do_few(job, b, who):
                do_problem(job, b, who)
        else:
            select_point(job, b, who)
        b += 1


cdef struct Rows:   # of one problem
    Matrix X
    const double* y
    const double* weight
    const int* fold


cdef void gather(
    const Job* job, Py_ssize_t first, Py_ssize_t n, double* out) noexcept nogil:
    """Copy rows of a problem to columns of `n` numbers."""
    cdef Py_ssize_t i, j, begin = 0, end
    cdef const double* x
    cdef const Py_ssize_t* order
    while begin < n:
        end = min(begin + BLOCK, n)
        for j in range(job.X.n_columns):
            x = job.columns[j]
            if job.order == NULL:  # then it is a column on its own
                memcpy(out + j * n + begin, x + first + begin, (end - begin) * sizeof(double))
            else:
                order = job.order + first
                for i in range(begin, end):
                    out[j * n + i] = x[order[i] * job.step]
        begin = end


cdef Rows rows_of(const Job* job, Py_ssize_t b, int who) noexcept nogil:
    cdef Rows rows = Rows(job.X, job.y + b * job.y_stride, job.weight, job.fold)
    cdef Py_ssize_t first = 0
    cdef double* room
    if job.edges != NULL:
        first = job.edges[b]
        rows.X = rows_from(job.X, first)
        rows.X.n_rows = job.edges[b + 1] - first
        if job.columns != NULL:
            room = job.scratch + who * job.a_scratch + job.n_rows + job.X.n_columns
            gather(job, first, rows.X.n_rows, room)
            rows.X = matrix_of(
                room, 1, rows.X.n_rows, rows.X.n_rows, job.X.n_columns, False)
        rows.y += first
        rows.fold += first
    if job.weight != NULL:
        rows.weight += first + b * job.weight_stride
    return rows


cdef int take_weighted(
    const Job* job, const Rows* rows, const double* weight, int who) noexcept nogil:
    cdef int ending = 0
    if job.sample != NULL:
        ending = take_draw(job.fits + who, job.sample, rows.y, weight, job.draws + who)
    if ending == 0:
        ending = take_rows(job.fits + who, &rows.X, rows.y, weight, job.centred)
    if ending > 0:
        ending = take_penalty(job.fits + who, job.factor, job.lower, job.upper)
    return ending


cdef int take_problem(const Job* job, Py_ssize_t b, int who) noexcept nogil:
    cdef Rows rows = rows_of(job, b, who)
    cdef Fit* fit = job.fits + who
    cdef int ending
    if rows.X.n_rows == 0:
        return Ending.BAD_WEIGHT
    if job.whole == NULL:
        return take_weighted(job, &rows, rows.weight, who)
    ending = take_other_response(fit, job.whole, rows.y)
    return take_penalty(fit, job.factor, job.lower, job.upper) if ending > 0 else ending


cdef void fetch_next(const Job* job, Py_ssize_t b) noexcept nogil:
    """Let the rows of the next problem come from memory while this one is solved."""
    cdef Py_ssize_t size, i
    cdef const char* rows
    if job.edges == NULL or b + 1 >= job.last or job.X.column_stride != 1 or job.columns != NULL:
        return
    rows = <const char*>(<const double*>job.X.data + job.edges[b + 1] * job.X.row_stride)
    size = min((job.edges[b + 2] - job.edges[b + 1]) * job.X.row_stride * sizeof(double), NEAR)
    for i in range(0, size, 64):
        fastreg_fetch(rows + i)


cdef void do_problem(const Job* job, Py_ssize_t b, int who) noexcept nogil:
    cdef Fit* fit = job.fits + who
    cdef int ending = take_problem(job, b, who)
    cdef Py_ssize_t k, at
    cdef Found found
    fetch_next(job, b)
    for k in range(job.n_points):
        at = b * job.n_points + k
        tell_nothing(ending, &found)
        if ending > 0:
            solve_at(fit, job.l1[at], job.l2[at], job.tol, job.max_sweeps, &found)
        put(job, fit, at, &found)


cdef bint do_few(const Job* job, Py_ssize_t b, int who) noexcept nogil:
    """Solve a problem with the features that are likely, if these are proven to be all it needs."""
    cdef Fit* fit = job.few + who
    cdef Draw* draw = job.draws + who
    cdef double* coef = job.scratch + who * job.a_scratch
    cdef double* out = job.coef + b * job.X.n_columns
    cdef double intercept, radius
    cdef Py_ssize_t j
    cdef Found found
    if take_draw(fit, &job.screen.few, job.y, job.weight + b * job.weight_stride, draw) <= 0:
        return False
    if take_penalty(fit, job.few_factor, NULL, NULL) < 0:
        return False
    if solve_at(fit, job.l1[b], job.l2[b], job.tol, job.max_sweeps, &found) < 0:
        return False
    write_point(fit, coef, &intercept, &found)
    # The dual point is a multiple of this residual or of that after a Newton step, which gains no
    # more than the gap: half the square of what it changes.
    radius = sqrt(2.0 * found.gap) + ROUNDING * sqrt(2.0 * found.null_objective)
    if found.status < 0 or not is_zero_outside(
            job.sample, job.screen, fit, draw, coef, job.l1[b], radius):
        return False
    memset(out, 0, job.X.n_columns * sizeof(double))
    for j in range(fit.p):
        out[job.screen.feature[j]] = coef[j]
    job.number[INTERCEPT * job.size + b] = intercept
    put_numbers(job, b, &found)
    return True


cdef void put(const Job* job, Fit* fit, Py_ssize_t at, Found* found) noexcept nogil:
    """Write what is told of the point at hand."""
    write_point(fit, job.coef + at * job.X.n_columns, job.number + INTERCEPT * job.size + at, found)
    put_numbers(job, at, found)


cdef void put_numbers(const Job* job, Py_ssize_t at, const Found* found) noexcept nogil:
    job.number[OBJECTIVE * job.size + at] = found.objective
    job.number[NULL_OBJECTIVE * job.size + at] = found.null_objective
    job.number[GAP * job.size + at] = found.gap
    job.number[TOLERANCE * job.size + at] = found.tolerance
    job.number[VIOLATION * job.size + at] = found.violation
    job.count[STATUS * job.size + at] = found.status
    job.count[N_SWEEPS * job.size + at] = found.n_sweeps
    job.count[N_ACTIVE * job.size + at] = found.n_active


cdef void select_point(const Job* job, Py_ssize_t b, int who) noexcept nogil:
    """Solve a path; write the point where the criterion is smallest: of equal ones the first."""
    cdef double* criterion = job.criterion + b * job.n_points
    cdef Fit* fit = job.fits + who
    cdef Py_ssize_t k, best = 0
    cdef Found found
    cdef int ending = Ending.CONVERGED
    if job.selection == Selection.CROSS_VALIDATION:
        ending = cross_validate(job, b, who, criterion)
    if ending > 0:
        ending = take_problem(job, b, who)
    tell_nothing(ending, &found)
    if ending > 0 and job.selection != Selection.CROSS_VALIDATION:
        for k in range(job.n_points):
            solve_point(job, b, k, fit, &found)
            criterion[k] = information(job, fit, &found)
        ending = take_problem(job, b, who)
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
    const Job* job, Py_ssize_t b, int who, double* error) noexcept nogil:
    """Weighted mean of the squared errors on rows that a fit has not seen, at each strength."""
    cdef Rows rows = rows_of(job, b, who)
    cdef Fit* fit = job.fits + who
    cdef double* weight = job.scratch + who * job.a_scratch
    cdef double* coef = weight + job.n_rows
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
        ending = take_weighted(job, &rows, weight, who)
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
