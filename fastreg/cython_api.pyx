"""The C-level API: penalised least squares on the caller's memory, without Python or the GIL.

For Cython there is cython_api.pxd, which says what the functions do; for C include/fastreg.h, in
the folder that `fastreg.get_include` names; for everybody else the capsules in ``__pyx_capi__``.
"""

# Design: each public function writes down its problem, and one function, `run`, solves every
# problem at every strength. Nothing here computes; _core/embedded.pyx does. Python sees a table of
# the functions for C (`C_API`), and the capsules that Cython makes of everything in the .pxd.

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastreg._core.embedded cimport (
    Fit,
    Found,
    lay_out,
    solve_at,
    tell_nothing,
    workspace_size as size_of_workspace,
    write_point,
)
from fastreg._core.intake cimport take_columns, take_moments, take_penalty, take_rows
from fastreg._core.kernels cimport Matrix, matrix_of

cdef extern from "include/fastreg.h":
    ctypedef struct ApiOptions "fastreg_options":
        pass
    ctypedef struct ApiResult "fastreg_result":
        pass
    ctypedef struct Api "fastreg_api":
        int version
        void* api_version
        void* status_message
        void* default_options
        void* gram_workspace
        void* gram_solve
        void* gram_path
        void* gram_ridge
        void* dense_workspace
        void* dense_solve
        void* dense_path
        void* dense_ridge
        void* csc_workspace
        void* csc_solve
        void* csc_path
        void* csc_ridge


cdef struct Task:
    Fit fit
    Options options
    void* memory          # that was allocated, or NULL
    int status
    Py_ssize_t p
    Py_ssize_t n_points
    const double* l1
    const double* l2
    double* coef
    double* intercept
    Result* result


cdef int api_version() noexcept nogil:
    return API_VERSION


cdef const char* status_message(int status) noexcept nogil:
    if status == Status.CONVERGED:
        return b"Converged: the duality gap is within the tolerance."
    if status == Status.MAX_SWEEPS:
        return b"Stopped at the limit of sweeps; raise max_sweeps, or tol."
    if status == Status.STALLED:
        return b"Stopped because the duality gap got no smaller: tol is below the rounding."
    if status == Status.NUMERICAL_ERROR:
        return b"Stopped because numbers overflowed, or squares underflowed; rescale X or y."
    if status == Status.NOT_FINITE:
        return b"The data hold NaN or infinity, or their squares overflow."
    if status == Status.NOT_A_GRAM:
        return b"The Gram matrix, correlations and y_square are those of no data."
    if status == Status.BAD_PENALTY:
        return b"A strength or penalty factor is negative or NaN, or bounds cross or forbid zero."
    if status == Status.BAD_WEIGHT:
        return b"A sample weight is negative or not finite, or all are zero."
    if status == Status.BAD_WORKSPACE:
        return b"The workspace is smaller than its function says, or not aligned as a double."
    if status == Status.NO_MEMORY:
        return b"Memory for a workspace could not be had."
    if status == Status.BAD_ARGUMENT:
        return b"A pointer is null, or a size, stride, index or option lies outside its range."
    return b"Unknown status."


cdef void default_options(Options* options) noexcept nogil:
    options.size = sizeof(Options)
    options.tol = 1e-8
    options.max_sweeps = 100_000
    options.fit_intercept = 1
    options.reserved = 0


cdef void begin(
    Task* task, Py_ssize_t n, Py_ssize_t p, Py_ssize_t n_points, const double* l1,
    const double* l2, const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    """Check what all functions have in common, and divide the workspace."""
    cdef size_t needed = size_of_workspace(n, p)
    task.memory = NULL
    task.fit.p = p if needed > 0 else 0  # nobody has as many coefficients
    task.p, task.n_points = p, n_points
    task.l1, task.l2 = l1, l2
    task.coef, task.intercept, task.result = coef, intercept, result
    task.status = Status.BAD_ARGUMENT
    default_options(&task.options)
    if options != NULL:
        if not sizeof(size_t) <= options.size <= 1 << 16:
            return
        memcpy(&task.options, options, min(options.size, sizeof(Options)))
    if not (p >= 0 and n_points >= 0 and needed > 0 and 0.0 < task.options.tol < INFINITY
            and task.options.max_sweeps > 0):
        return
    if (coef == NULL and p > 0 or l2 == NULL) and n_points > 0:
        return
    if workspace == NULL:
        workspace = task.memory = malloc(needed)
        workspace_size = needed
    if workspace == NULL or workspace_size < needed or <size_t>workspace % sizeof(double):
        task.status = Status.NO_MEMORY if workspace == NULL else Status.BAD_WORKSPACE
        return
    lay_out(&task.fit, n, p, workspace)
    task.status = Status.CONVERGED


cdef int run(
    Task* task, const double* factor, const double* lower, const double* upper) noexcept nogil:
    """Solve at all strengths, once the data are there; return the worst status."""
    cdef Py_ssize_t k
    cdef int worst
    if task.status > 0:
        task.status = take_penalty(&task.fit, factor, lower, upper)
    worst = task.status
    for k in range(task.n_points):
        worst = min(worst, run_point(task, k))
    free(task.memory)
    return worst


cdef int run_point(Task* task, Py_ssize_t k) noexcept nogil:
    cdef double* coef = NULL
    cdef double intercept
    cdef Found found
    if task.coef != NULL:
        coef = task.coef + k * task.p
    tell_nothing(task.status, &found)
    if task.status > 0:
        solve_at(&task.fit, task.l1[k] if task.l1 != NULL else 0.0, task.l2[k], task.options.tol,
                 task.options.max_sweeps, &found)
    write_point(&task.fit, coef, &intercept, &found)
    if task.intercept != NULL:
        task.intercept[k] = intercept
    if task.result != NULL:
        write_result(&found, task.result + k)
    return found.status


cdef void write_result(const Found* found, Result* result) noexcept nogil:
    cdef int i
    result.status, result.reserved_status = found.status, 0
    result.n_active, result.n_sweeps = found.n_active, found.n_sweeps
    result.objective, result.null_objective = found.objective, found.null_objective
    result.duality_gap, result.tolerance = found.gap, found.tolerance
    result.kkt_violation = found.violation
    for i in range(5):
        result.reserved[i] = 0.0


cdef size_t gram_workspace(Py_ssize_t p) noexcept nogil:
    return size_of_workspace(0, p)


cdef int gram_path(
    Py_ssize_t p, const double* gram, Py_ssize_t stride, const double* c, double y_square,
    Py_ssize_t n_points, const double* l1_reg, const double* l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    cdef Task task
    begin(&task, 0, p, n_points, l1_reg, l2_reg, options, coef, NULL, result, workspace,
          workspace_size)
    if task.status > 0 and p > 0 and (gram == NULL or c == NULL or stride < p):
        task.status = Status.BAD_ARGUMENT
    if task.status > 0:
        task.status = take_moments(&task.fit, gram, stride, c, y_square, 1.0)
    return run(&task, penalty_factor, lower, upper)


cdef int gram_solve(
    Py_ssize_t p, const double* gram, Py_ssize_t stride, const double* c, double y_square,
    double l1_reg, double l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    return gram_path(p, gram, stride, c, y_square, 1, &l1_reg, &l2_reg, penalty_factor, lower,
                     upper, options, coef, result, workspace, workspace_size)


cdef int gram_ridge(
    Py_ssize_t p, const double* gram, Py_ssize_t stride, const double* c, double y_square,
    Py_ssize_t n_points, const double* l2_reg, const double* penalty_factor,
    const Options* options, double* coef, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    return gram_path(p, gram, stride, c, y_square, n_points, NULL, l2_reg, penalty_factor, NULL,
                     NULL, options, coef, result, workspace, workspace_size)


cdef size_t dense_workspace(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    return size_of_workspace(n, p) if n > 0 else 0


cdef int dense_path(
    Py_ssize_t n, Py_ssize_t p, const double* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l1_reg, const double* l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    cdef Task task
    cdef Matrix matrix
    begin(&task, n, p, n_points, l1_reg, l2_reg, options, coef, intercept, result, workspace,
          workspace_size)
    if task.status > 0 and not (
            n > 0 and y != NULL and (X != NULL or p == 0)
            and has_unit_stride(n, p, row_stride, column_stride)):
        task.status = Status.BAD_ARGUMENT
    if task.status > 0:
        matrix = matrix_of(X, row_stride, column_stride, n, p, False)
        task.status = take_rows(
            &task.fit, &matrix, y, sample_weight, task.options.fit_intercept != 0)
    return run(&task, penalty_factor, lower, upper)


cdef bint has_unit_stride(
    Py_ssize_t n, Py_ssize_t p, Py_ssize_t row_stride, Py_ssize_t column_stride) noexcept nogil:
    """Are rows or columns contiguous, and apart from each other?"""
    if p <= 1 or n == 1:
        return p == 0 or (row_stride >= 1 or n == 1) and (column_stride >= 1 or p == 1)
    return (row_stride == 1 and column_stride >= n) or (column_stride == 1 and row_stride >= p)


cdef int dense_solve(
    Py_ssize_t n, Py_ssize_t p, const double* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    const double* y, const double* sample_weight,
    double l1_reg, double l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    return dense_path(n, p, X, row_stride, column_stride, y, sample_weight, 1, &l1_reg, &l2_reg,
                      penalty_factor, lower, upper, options, coef, intercept, result, workspace,
                      workspace_size)


cdef int dense_ridge(
    Py_ssize_t n, Py_ssize_t p, const double* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l2_reg, const double* penalty_factor,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    return dense_path(n, p, X, row_stride, column_stride, y, sample_weight, n_points, NULL, l2_reg,
                      penalty_factor, NULL, NULL, options, coef, intercept, result, workspace,
                      workspace_size)


cdef size_t csc_workspace(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    return size_of_workspace(n, p) if n > 0 else 0


cdef int csc_path(
    Py_ssize_t n, Py_ssize_t p, const int* start, const int* row, const double* x,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l1_reg, const double* l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    cdef Task task
    begin(&task, n, p, n_points, l1_reg, l2_reg, options, coef, intercept, result, workspace,
          workspace_size)
    if task.status > 0 and not (n > 0 and y != NULL and start != NULL):
        task.status = Status.BAD_ARGUMENT
    if task.status > 0:
        task.status = take_columns(
            &task.fit, n, start, row, x, y, sample_weight, task.options.fit_intercept != 0)
    return run(&task, penalty_factor, lower, upper)


cdef int csc_solve(
    Py_ssize_t n, Py_ssize_t p, const int* start, const int* row, const double* x,
    const double* y, const double* sample_weight,
    double l1_reg, double l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    return csc_path(n, p, start, row, x, y, sample_weight, 1, &l1_reg, &l2_reg, penalty_factor,
                    lower, upper, options, coef, intercept, result, workspace, workspace_size)


cdef int csc_ridge(
    Py_ssize_t n, Py_ssize_t p, const int* start, const int* row, const double* x,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l2_reg, const double* penalty_factor,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil:
    return csc_path(n, p, start, row, x, y, sample_weight, n_points, NULL, l2_reg, penalty_factor,
                    NULL, NULL, options, coef, intercept, result, workspace, workspace_size)


cdef Api table
table.version = API_VERSION
table.api_version = <void*>api_version
table.status_message = <void*>status_message
table.default_options = <void*>default_options
table.gram_workspace = <void*>gram_workspace
table.gram_solve = <void*>gram_solve
table.gram_path = <void*>gram_path
table.gram_ridge = <void*>gram_ridge
table.dense_workspace = <void*>dense_workspace
table.dense_solve = <void*>dense_solve
table.dense_path = <void*>dense_path
table.dense_ridge = <void*>dense_ridge
table.csc_workspace = <void*>csc_workspace
table.csc_solve = <void*>csc_solve
table.csc_path = <void*>csc_path
table.csc_ridge = <void*>csc_ridge

if sizeof(ApiOptions) != sizeof(Options) or sizeof(ApiResult) != sizeof(Result):
    raise ImportError("fastreg.h does not belong to fastreg.cython_api")

C_API = PyCapsule_New(&table, "fastreg.cython_api.C_API", NULL)
