# Nothing in this module is visible from Python.
# Design: with A the centred rows times the roots of the weights and t the same of y, w = A'theta
# where (A A' + alpha) theta = t: the Gram matrix of rows is the smaller one. It is made from rows
# that are not centred, and centred afterwards; what that costs of its digits, steps on the true
# residual bring back. The objective is convex by alpha at least, so its distance from the minimum
# is at most  |A'(t - A w) - alpha w|^2 / (2 alpha),  and that is measured.

from libc.math cimport INFINITY, fabs, isfinite, sqrt
from libc.stdint cimport uintptr_t

from fastreg._core.embedded cimport Ending, Found
from fastreg._core.factor cimport FactorState, attach, factor_size, rebuild, room_of_rebuild, solve
from fastreg._core.gram cimport ROW_BLOCK, average, mirror, products_at_once
from fastreg._core.kernels cimport Matrix, dot, is_constant, simd, total as sum_of
from fastreg._core.record cimport accurate_difference

cdef enum:
    STEPS = 4  # on the true residual, at most

cdef double FAR = 1e4         # squares of the means, over those of the deviations
cdef double EXACT = 1e-20     # gap, over the objective at zero, that no step makes smaller
cdef double CERTAIN = 1e-6    # deviation, relative to the mean
cdef double SMALL = 1e-100    # lengths whose squares neither underflow nor overflow
cdef double LARGE = 1e100


cdef struct Rows:
    Matrix X
    double* share     # weights over their sum
    double* root
    double* mean      # of the columns
    double* target    # y less its mean, times the roots
    double* theta
    double* error     # of theta
    double* residual
    double* strength  # alpha, for each of them
    double* zeros     # one more than rows
    int* member       # the rows
    double* minus     # the coefficients with the other sign
    double* c         # correlations
    double* square    # of the columns
    double* change
    double* ones
    double* gram
    FactorState factor


cdef Py_ssize_t block_size(Py_ssize_t n) noexcept nogil:
    return (n + 1 + simd.wide.panel) * ROW_BLOCK + 8


cdef Py_ssize_t room_of_wide(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    return (9 * n + 2 + 6 * p + (n + 1) * (n + 1) + factor_size(n) + room_of_rebuild(n)
            + block_size(n))


cdef double* next_line(double* memory) noexcept nogil:
    return <double*>((<uintptr_t>memory + 63) // 64 * 64)


cdef double* lay_out(Rows* rows, const Matrix* X, double* memory) noexcept nogil:
    """Return the memory that is left for a packed block."""
    cdef Py_ssize_t n = X.n_rows, p = X.n_columns, j
    cdef double* at = memory
    rows.X = X[0]
    rows.share, rows.root, rows.target = at, at + n, at + 2 * n
    rows.theta, rows.residual, rows.strength = at + 3 * n, at + 4 * n, at + 5 * n
    rows.error, rows.zeros = at + 6 * n, at + 7 * n
    rows.member = <int*>(at + 8 * n + 1)
    at += 9 * n + 2
    rows.mean, rows.minus, rows.c = at, at + p, at + 2 * p
    rows.square, rows.change, rows.ones = at + 3 * p, at + 4 * p, at + 5 * p
    at += 6 * p
    rows.gram = at
    at += (n + 1) * (n + 1)
    attach(&rows.factor, n, at, at + factor_size(n))
    for j in range(p):
        rows.ones[j] = 1.0
        rows.minus[j] = 0.0
    for j in range(n):
        rows.member[j] = <int>j
    return next_line(at + factor_size(n) + room_of_rebuild(n))


cdef Py_ssize_t fit_wide(
    const Matrix* X, const double* y, const double* weight, bint centred, double alpha, double tol,
    double* memory, double* coef, double* intercept, double* total, Found* found) noexcept nogil:
    cdef Rows rows
    cdef double* block = lay_out(&rows, X, memory)
    cdef Py_ssize_t n_reads, j
    cdef double y_mean
    total[0] = sum_of(weight, X.n_rows) if weight != NULL else X.n_rows
    y_mean = take_rows(&rows, y, weight, centred, total[0])
    found.null_objective = 0.5 * dot(rows.target, rows.target, X.n_rows)
    found.tolerance = tol * found.null_objective
    if not is_certain(sqrt(2.0 * found.null_objective), y_mean):
        return 0
    if not make_factor(&rows, centred, alpha, block):
        return 0
    n_reads = 1 + centred + descend(&rows, y, y_mean, alpha, found)
    if not (found.gap <= found.tolerance and measures(&rows, alpha, centred, found)):
        return 0
    found.n_active = 0
    for j in range(X.n_columns):
        coef[j] = -rows.minus[j]
        found.n_active += coef[j] != 0.0
    intercept[0] = accurate_difference(y_mean, rows.mean, coef, X.n_columns) if centred else 0.0
    found.status = Ending.CONVERGED
    return n_reads if isfinite(found.objective) and isfinite(intercept[0]) else 0


cdef inline bint is_certain(double size, double mean) noexcept nogil:
    return SMALL < size < LARGE and size > CERTAIN * fabs(mean)


cdef double take_rows(
    Rows* rows, const double* y, const double* weight, bint centred, double total) noexcept nogil:
    """Take weights, means and y; return its mean."""
    cdef Py_ssize_t i, n = rows.X.n_rows
    cdef double mean = 0.0
    for i in range(n):
        rows.share[i] = (weight[i] if weight != NULL else 1.0) / total
        rows.root[i] = sqrt(rows.share[i])
        rows.theta[i] = 0.0
    for i in range(rows.X.n_columns):
        rows.mean[i] = 0.0
    if centred:
        average(&rows.X, rows.share, 1.0, rows.change, rows.mean)
        for i in range(n):
            mean += rows.share[i] * (y[i] - y[0])
        mean += y[0]
    for i in range(n):
        rows.target[i] = rows.root[i] * (y[i] - mean)
        rows.error[i] = rows.target[i]
    return mean


cdef bint make_factor(Rows* rows, bint centred, double alpha, double* block) noexcept nogil:
    """Factor A A' + alpha; False where that is too far from what it should be."""
    cdef Py_ssize_t i, k, n = rows.X.n_rows, p = rows.X.n_columns, stride = n + 1
    cdef Matrix columns = Matrix(
        rows.X.data, rows.X.column_stride, rows.X.row_stride, p, n, rows.X.narrow)
    cdef Matrix means = Matrix(rows.mean, 1, p, p, 1, 0)
    cdef double* gram = rows.gram
    cdef double* row
    cdef double* cross = gram + n * stride  # of the means, and their square behind
    cdef double trace = 0.0
    products_at_once(&columns, &means, False, rows.ones, rows.ones, 1.0, rows.ones, rows.change,
                     block, rows.zeros, gram, stride)
    for i in range(n):
        row = gram + i * stride
        for k in range(i + 1):
            row[k] = (row[k] - cross[i] - cross[k] + cross[n]) * (rows.root[i] * rows.root[k])
        trace += row[i]
        rows.strength[i] = alpha
    if centred and not cross[n] <= FAR * trace:
        return False
    mirror(0, n, gram, stride)
    return rebuild(&rows.factor, rows.member, n, gram, stride, rows.strength)


cdef Py_ssize_t descend(
    Rows* rows, const double* y, double y_mean, double alpha, Found* found) noexcept nogil:
    """Step on the true residual until that is of no more use; return how often X was read."""
    cdef Py_ssize_t steps = 0, i, j, n = rows.X.n_rows, p = rows.X.n_columns
    cdef double previous = INFINITY, slope
    while steps < STEPS:
        steps += 1
        solve(&rows.factor, rows.error)
        for i in range(n):
            rows.theta[i] += rows.error[i]
            rows.error[i] *= rows.root[i]
            rows.residual[i] = y[i] - y_mean
        simd.column_dots(&rows.X, NULL, p, rows.mean, rows.error, rows.change)
        for j in range(p):
            rows.minus[j] -= rows.change[j]
        simd.add_columns(&rows.X, NULL, p, rows.mean, rows.minus, rows.residual)
        for i in range(n):
            rows.residual[i] *= rows.root[i]
            rows.error[i] = rows.residual[i] - alpha * rows.theta[i]
            rows.zeros[i] = rows.root[i] * rows.residual[i]
        # the squares of the columns come along
        simd.column_sums(&rows.X, rows.share, rows.zeros, 1, n, -1, rows.mean, rows.change,
                         rows.square, rows.c, p)
        found.gap = 0.0
        for j in range(p):
            slope = rows.c[j] + alpha * rows.minus[j]
            found.gap += slope * slope / (2.0 * alpha)
        if found.gap <= EXACT * found.null_objective or found.gap >= 0.1 * previous:
            break
        previous = found.gap
    return 3 * steps


cdef bint measures(Rows* rows, double alpha, bint centred, Found* found) noexcept nogil:
    """Write what else is told of the answer; False where a column could cost digits."""
    cdef Py_ssize_t j, p = rows.X.n_columns
    cdef double size, worst = 0.0
    for j in range(p):
        size = sqrt(rows.square[j])
        if size == 0.0 and is_constant(&rows.X, j):
            continue
        if not is_certain(size, rows.mean[j]):
            return False
        worst = max(worst, fabs(rows.c[j] + alpha * rows.minus[j]) / size)
    found.violation = worst / sqrt(2.0 * found.null_objective)
    found.square = dot(rows.residual, rows.residual, rows.X.n_rows)
    found.objective = 0.5 * (found.square + alpha * dot(rows.minus, rows.minus, p))
    return True
