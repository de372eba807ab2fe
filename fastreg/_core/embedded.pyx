# Design: one fit is one struct of pointers into one piece of memory, so that the same few functions
# serve a caller in C, who owns that memory, and a batch, in which every thread has a piece of its
# own. Everything is brought to unit size by powers of two, as in `fastreg.problem`, and solved from
# its Gram matrix by the one solver, `quadratic`. What is not beyond doubt then is measured on the
# rows, if there are any, and solved again from there; the gap is that of the point as measured.
# Without rows, what rounding of the moments may hide is added to the gap.

from libc.math cimport INFINITY, NAN, fabs, isfinite, sqrt
from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memcpy

from fastreg._core.factor cimport room_of_rebuild, solve
from fastreg._core.gram cimport ROW_BLOCK, products_at_once
from fastreg._core.kernels cimport Matrix, Sparse, dot, rows_from, simd, sparse_simd, total
from fastreg._core.moment_path cimport Fit as MomentFit
from fastreg._core.moment_path cimport fit_moments
from fastreg._core.penalty cimport value, violation
from fastreg._core.quadratic cimport (
    QuadraticState,
    adopt,
    attach,
    begin,
    decrement,
    load,
    minimise,
    prove,
    prove_corrected,
    quadratic_size,
    residual_square,
    size_of,
    strengthen,
)
from fastreg._core.record cimport accurate_difference

cdef enum:
    MEASUREMENTS = 8  # of the residual of one point, before it is given up

cdef double EPSILON = 2.220446049250313e-16
cdef double ROUNDING = 8 * EPSILON
cdef double CONSTANT = 8 * EPSILON  # deviation over mean up to which a column does not vary
cdef double SLACK = 1.0 + 1e-6      # of the Cauchy-Schwarz inequality
cdef double INNER = 0.1             # share of the tolerance that the solver is asked for
cdef double HUGE = 1e300
cdef double TINY = 1e-300            # a length that is as good as zero; no square has one


cdef size_t workspace_size(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    cdef double numbers, limit = 1 << 60
    if n < 0 or p < 0:
        return 0
    numbers = 3.0 * (p + 1) * (p + 1) + 200.0 * (p + 1) + 3.0 * n + ROW_BLOCK * (p + 65.0)
    if numbers * sizeof(double) > limit or p >= 1 << 30:
        return 0
    return sizeof(double) * (
        (p + 1) * (p + 1) + quadratic_size(p) + room_of_rebuild(p) + 8 * p + (p + 1) + (p + 1) // 2
        + rows_size(n, p)) + 64


cdef Py_ssize_t rows_size(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    """Numbers that only a fit of rows needs."""
    cdef Py_ssize_t panel = simd.wide.panel
    if n == 0:
        return 0
    return 3 * n + max(n, p + 1) + 2 * (p + 1) + 8 + (
        (p + panel) // panel * panel * min(n, ROW_BLOCK))


cdef double* aligned(double* memory) noexcept nogil:
    """To the next 64 bytes."""
    return <double*>((<uintptr_t>memory + 63) // 64 * 64)


cdef void lay_out(Fit* fit, Py_ssize_t n, Py_ssize_t p, void* memory) noexcept nogil:
    cdef double* at = aligned(<double*>memory)
    cdef double* gram = at
    cdef double* room
    cdef int* column
    cdef Py_ssize_t j
    fit.n, fit.p = n, p
    at += (p + 1) * (p + 1)
    room = at + quadratic_size(p)
    attach(&fit.quadratic, p, gram, p + 1, at, room)
    at = room + room_of_rebuild(p)
    fit.scale = at
    fit.q = at + p
    fit.start = at + 2 * p
    fit.start_c = at + 3 * p
    fit.zeros = at + 4 * p
    fit.l1_factor = at + 5 * p
    fit.l2_factor = at + 6 * p
    fit.coef = at + 7 * p
    fit.mean = at + 8 * p
    at = fit.mean + p + 1
    column = <int*>at
    fit.quadratic.column = column
    fit.quadratic.is_unattended = True
    for j in range(p):
        column[j] = <int>j
        fit.zeros[j] = 0.0
    fit.residual_mean = 0.0
    fit.storage, fit.first, fit.standardize = Storage.MOMENTS, 0, False
    if n == 0:
        return
    at += (p + 1) // 2
    fit.weights = at
    fit.roots = at + n
    fit.residual = at + 2 * n
    fit.ones = at + 3 * n
    fit.room = fit.ones + max(n, p + 1)
    fit.starts = <Py_ssize_t*>(fit.room + p + 1)
    fit.block = aligned(fit.room + 2 * (p + 1))
    for j in range(max(n, p + 1)):
        fit.ones[j] = 1.0


cdef inline double power_of_two(double size) noexcept nogil:
    """The smallest one that is larger than a normal number; `frexp` is a call that takes longer."""
    cdef uint64_t bits
    memcpy(&bits, &size, sizeof(double))
    bits = (bits & 0x7FF0000000000000ULL) + 0x0010000000000000ULL
    memcpy(&size, &bits, sizeof(double))
    return size


cdef int take_moments(
    Fit* fit, const double* gram, Py_ssize_t stride, const double* correlation, double square,
    double share) noexcept nogil:
    cdef int ending = take_gram(fit, gram, stride, share)
    return take_response(fit, correlation, square, share) if ending > 0 else ending


cdef int take_gram(
    Fit* fit, const double* gram, Py_ssize_t stride, double share) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j, k, p = fit.p
    cdef double size, sum_of_row, product
    cdef double* norm = quadratic.norm
    cdef double* row
    cdef bint sound = True
    for j in range(p):
        size = gram[j * stride + j]
        if not isfinite(size):
            return Ending.NOT_FINITE
        if size < 0.0:
            return Ending.NOT_A_GRAM
        size = sqrt(size * share)
        fit.scale[j] = 1.0 / power_of_two(size) if size > TINY else 1.0
        norm[j] = SLACK * size * fit.scale[j]
    for j in range(p):
        row = quadratic.gram + j * quadratic.stride
        size = share * fit.scale[j]
        sum_of_row = 0.0
        for k in range(j + 1):
            product = gram[j * stride + k] * size * fit.scale[k]
            row[k] = product
            sound &= fabs(product) <= norm[j] * norm[k]
            sum_of_row += product
        if not isfinite(sum_of_row):
            return Ending.NOT_FINITE
    if not sound:
        return Ending.NOT_A_GRAM
    for j in range(p):
        for k in range(j):
            quadratic.gram[k * quadratic.stride + j] = quadratic.gram[j * quadratic.stride + k]
    adopt(quadratic, p)
    return Ending.CONVERGED


cdef int take_response(
    Fit* fit, const double* correlation, double square, double share) noexcept nogil:
    """Take what belongs to y, once the Gram matrix is there."""
    cdef double size = sqrt(square * share)
    cdef Py_ssize_t j
    cdef bint sound = square >= 0.0
    if not isfinite(square):
        return Ending.NOT_FINITE
    fit.unit = power_of_two(size) if size > TINY else 1.0
    fit.square = square * share / fit.unit / fit.unit
    size = SLACK * size / fit.unit
    for j in range(fit.p):
        if not isfinite(correlation[j]):
            return Ending.NOT_FINITE
        fit.q[j] = correlation[j] * share * fit.scale[j] / fit.unit
        sound &= fabs(fit.q[j]) <= fit.quadratic.norm[j] * size
    return Ending.CONVERGED if sound else Ending.NOT_A_GRAM


cdef int take_weight(
    Fit* fit, Py_ssize_t n, const double* weight, bint centred) noexcept nogil:
    cdef Py_ssize_t i
    fit.n, fit.centred, fit.total, fit.weight = n, centred, n, fit.ones
    for i in range(n if weight != NULL else 0):
        if not 0.0 <= weight[i] < INFINITY:
            return Ending.BAD_WEIGHT
        fit.weights[i] = weight[i]
        fit.roots[i] = sqrt(weight[i])
    if weight != NULL:
        fit.total = total(fit.weights, n)
        fit.weight = fit.weights
    return Ending.CONVERGED if 0.0 < fit.total < INFINITY else Ending.BAD_WEIGHT


cdef int take_rows(
    Fit* fit, const Matrix* X, const double* y, const double* weight, bint centred) noexcept nogil:
    cdef Py_ssize_t j, first = 0, p = fit.p
    cdef double* gram = fit.quadratic.gram
    cdef Py_ssize_t stride = fit.quadratic.stride
    cdef Matrix response
    cdef int ending = take_weight(fit, X.n_rows, weight, centred)
    if ending < 0:
        return ending
    while fit.weight[first] == 0.0:  # means are made by distances from the first row
        first += 1
    fit.weight += first
    fit.storage, fit.first = Storage.DENSE, first
    fit.X, fit.y, fit.n = rows_from(X[0], first), y + first, fit.n - first
    response = Matrix(fit.y, 1, fit.n, fit.n, 1, 0)
    products_at_once(&fit.X, &response, centred, fit.weight,
                     fit.ones if weight == NULL else fit.roots + first, fit.total, fit.ones,
                     fit.room, fit.block, fit.mean, gram, stride)
    for j in range(p):
        fit.coef[j] = gram[p * stride + j]
    return take_products(fit, fit.coef, gram[p * stride + p])


cdef int take_other_response(Fit* fit, const Fit* whole, const double* y) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t i, j, p = fit.p
    cdef double square
    cdef double* distance = fit.residual
    cdef double* v = fit.roots  # of which `whole` has the ones in use
    fit.storage, fit.X, fit.n, fit.centred = Storage.DENSE, whole.X, whole.n, whole.centred
    fit.weight, fit.total, fit.first = whole.weight, whole.total, whole.first
    fit.y = y + fit.first
    borrow_gram(fit, whole)
    memcpy(fit.mean, whole.mean, p * sizeof(double))
    take_mean_of_response(fit)
    for i in range(fit.n):
        distance[i] = fit.y[i] - fit.mean[p]
        v[i] = fit.weight[i] * distance[i]
    square = dot(v, distance, fit.n)
    simd.column_dots(&fit.X, NULL, p, fit.mean, v, fit.coef)
    for j in range(p):
        if quadratic.norm[j] == 0.0:
            fit.coef[j] = 0.0
    if does_not_vary(fit, square, p):
        square = 0.0
        memcpy(fit.coef, fit.zeros, p * sizeof(double))
    return take_response(fit, fit.coef, square, 1.0 / fit.total)


cdef void borrow_gram(Fit* fit, const Fit* whole) noexcept nogil:
    """Read the Gram matrix where it lies; forget everything of an earlier problem."""
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t p = fit.p
    begin(quadratic)
    quadratic.size = p
    quadratic.gram, quadratic.stride = whole.quadratic.gram, whole.quadratic.stride
    quadratic.n_twins = whole.quadratic.n_twins
    memcpy(quadratic.norm, whole.quadratic.norm, p * sizeof(double))
    memcpy(quadratic.twin, whole.quadratic.twin, p * sizeof(int))
    memcpy(quadratic.is_member, whole.quadratic.is_member, p)
    memcpy(fit.scale, whole.scale, p * sizeof(double))


cdef inline bint does_not_vary(const Fit* fit, double square, Py_ssize_t j) noexcept nogil:
    return fit.centred and sqrt(square / fit.total) <= CONSTANT * fabs(fit.mean[j])


cdef void take_mean_of_response(Fit* fit) noexcept nogil:
    """The weighted mean, by distances from the first one; needs the room of a residual."""
    cdef double first = fit.y[0]
    cdef Py_ssize_t i
    fit.mean[fit.p] = 0.0
    if not fit.centred:
        return
    for i in range(fit.n):
        fit.residual[i] = fit.y[i] - first
    fit.mean[fit.p] = first + dot(fit.weight, fit.residual, fit.n) / fit.total


cdef int take_columns(
    Fit* fit, Py_ssize_t n, const int* start, const int* row, const double* x, const double* y,
    const double* weight, bint centred) noexcept nogil:
    cdef Py_ssize_t i, j, k, p = fit.p
    cdef double square = 0.0
    cdef double* v = fit.residual
    cdef int ending = take_weight(fit, n, weight, centred)
    if ending < 0:
        return ending
    if not takes_sparse(fit, start, row, x):
        return Ending.BAD_ARGUMENT
    fit.storage, fit.y = Storage.CSC, y
    take_means(fit)
    for j in range(p):
        for i in range(n):
            v[i] = -fit.mean[j] * fit.weight[i]
        for k in range(fit.columns.start[j], fit.columns.start[j + 1]):
            v[row[k]] += fit.weight[row[k]] * x[k]
        sparse_simd.dots(&fit.columns, NULL, 0, j + 1, fit.mean, fit.ones, v, total(v, n),
                         fit.quadratic.gram + j * fit.quadratic.stride)
    for i in range(n):
        v[i] = fit.weight[i] * (y[i] - fit.mean[p])
        square += v[i] * (y[i] - fit.mean[p])
    sparse_simd.dots(
        &fit.columns, NULL, 0, p, fit.mean, fit.ones, v, total(v, n), fit.coef)
    return take_products(fit, fit.coef, square)


cdef bint takes_sparse(
    Fit* fit, const int* start, const int* row, const double* x) noexcept nogil:
    """Copy where the columns start; return whether every index lies within its range."""
    cdef Py_ssize_t j, k, p = fit.p
    if start[0] < 0 or start[p] > start[0] and (row == NULL or x == NULL):
        return False
    for j in range(p + 1):
        if j and start[j] < start[j - 1]:
            return False
        fit.starts[j] = start[j]
    for k in range(start[0], start[p]):
        if not 0 <= row[k] < fit.n:
            return False
    fit.columns = Sparse(fit.starts, row, x, NULL, fit.n)
    return True


cdef void take_means(Fit* fit) noexcept nogil:
    """The weighted means of sparse columns and of y, or zeros."""
    cdef Py_ssize_t j, k, p = fit.p
    for j in range(p + 1):
        fit.mean[j] = 0.0
    if not fit.centred:
        return
    for j in range(p):
        for k in range(fit.columns.start[j], fit.columns.start[j + 1]):
            fit.mean[j] += fit.weight[fit.columns.rows[k]] * fit.columns.wide[k]
        fit.mean[j] /= fit.total
    take_mean_of_response(fit)


cdef int take_products(Fit* fit, double* correlation, double square) noexcept nogil:
    """Take the Gram matrix that lies in its place already; what does not vary becomes zero."""
    cdef double* gram = fit.quadratic.gram
    cdef Py_ssize_t j, k, stride = fit.quadratic.stride, p = fit.p
    for j in range(p):
        if not does_not_vary(fit, gram[j * stride + j], j):
            continue
        correlation[j] = 0.0
        for k in range(j + 1):
            gram[j * stride + k] = 0.0
        for k in range(j, p):
            gram[k * stride + j] = 0.0
    if does_not_vary(fit, square, p):
        square = 0.0
        memcpy(correlation, fit.zeros, p * sizeof(double))
    return take_moments(fit, gram, stride, correlation, square, 1.0 / fit.total)


cdef int take_penalty(
    Fit* fit, const double* factor, const double* lower, const double* upper) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j, p = fit.p
    cdef double given, low, high, size, least = INFINITY, most = 0.0, a_unit = 1.0 / fit.unit
    cdef bint starts_at_zero = True
    if fit.standardize and not fit.centred:
        write_deviations(fit, fit.coef)
    for j in range(p):
        given = 1.0 if factor == NULL else factor[j]
        low = -INFINITY if lower == NULL else lower[j]
        high = INFINITY if upper == NULL else upper[j]
        if not (given >= 0.0 and low <= high and low < INFINITY and high > -INFINITY):
            return Ending.BAD_PENALTY
        if given == INFINITY:  # excluded
            given = low = high = 0.0
        quadratic.lower[j], quadratic.upper[j] = low, high
        if low > -INFINITY or high < INFINITY:
            quadratic.lower[j] = low / (fit.scale[j] * fit.unit)
            quadratic.upper[j] = high / (fit.scale[j] * fit.unit)
        size = fit.scale[j]
        if fit.standardize:  # as if columns had unit deviation
            size = quadratic.norm[j] if fit.centred else size * fit.coef[j]
        fit.l1_factor[j] = min(given * size * a_unit, HUGE)
        fit.l2_factor[j] = min(given * size * size, HUGE)
        fit.start[j] = max(quadratic.lower[j], min(0.0, quadratic.upper[j]))
        if not isfinite(fit.start[j]):
            return Ending.NOT_FINITE
        starts_at_zero = starts_at_zero and fit.start[j] == 0.0
        if low < high and quadratic.gram[j * quadratic.stride + j] > 0.0:
            least = min(least, fit.l1_factor[j])
        most = max(most, fit.l1_factor[j], fit.l2_factor[j])
    fit.least, fit.most = least, most
    fit.is_new = True
    quadratic.ridge = -1.0
    fit.start_square = fit.square
    for j in range(p):
        fit.start_c[j] = fit.q[j]
    if not starts_at_zero:
        move_start(fit)
    return Ending.CONVERGED


cdef void write_deviations(const Fit* fit, double* out) noexcept nogil:
    """The weighted standard deviations of dense columns, of which the means are not known."""
    cdef Py_ssize_t i, j, step = fit.X.row_stride
    cdef const double* column
    cdef double average, square, d
    for j in range(fit.p):
        column = <const double*>fit.X.data + j * fit.X.column_stride
        average = square = 0.0
        for i in range(fit.n):
            average += fit.weight[i] * (column[i * step] - column[0])
        average /= fit.total
        for i in range(fit.n):
            d = column[i * step] - column[0] - average
            square += fit.weight[i] * d * d
        out[j] = sqrt(square / fit.total)


cdef void move_start(Fit* fit) noexcept nogil:
    """Correlations and residual of a start that is not zero."""
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j
    for j in range(fit.p):
        if fit.start[j] != 0.0:
            simd.axpy(-fit.start[j], quadratic.gram + j * quadratic.stride, fit.start_c, fit.p)
    for j in range(fit.p):
        fit.start_square -= fit.start[j] * (fit.q[j] + fit.start_c[j])
    fit.start_square = max(fit.start_square, 0.0)


cdef int solve_at(
    Fit* fit, double l1, double l2, double tol, Py_ssize_t max_sweeps, Found* found) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j, n_sweeps
    cdef double null = 0.5 * fit.start_square, gap
    cdef MomentFit moments
    if not (0.0 <= l1 < INFINITY and 0.0 <= l2 < INFINITY):
        tell_nothing(Ending.BAD_PENALTY, found)
        return found.status
    set_strengths(fit, l1, l2)
    for j in range(fit.p):
        null += value(quadratic.penalty, j, fit.start[j])
    if fit_moments(quadratic, l1 > 0.0 and fit.least > 0.0, null, tol, max_sweeps, INFINITY,
                   &moments):
        gap, n_sweeps = moments.proof.gap, quadratic.n_sweeps
    else:
        n_sweeps = quadratic.n_sweeps
        gap = prove_doubtful(fit, tol * null, max_sweeps, &n_sweeps)
    found.n_sweeps = n_sweeps
    found.status = Ending.CONVERGED if gap <= tol * null else (
        Ending.MAX_SWEEPS if n_sweeps >= max_sweeps else Ending.STALLED)
    describe(fit, null, max(gap, 0.0), tol, found)
    if found.status == Ending.NUMERICAL_ERROR:  # the next strength begins anew
        fit.is_new = True
        begin(quadratic)
    return found.status


cdef void set_strengths(Fit* fit, double l1, double l2) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j
    fit.residual_mean = 0.0
    strengthen(quadratic, l1, fit.l1_factor, l2, fit.l2_factor)
    if max(l1, l2) * fit.most > HUGE:
        for j in range(fit.p):
            quadratic.l1[j] = min(quadratic.l1[j], HUGE)
            quadratic.l2[j] = min(quadratic.l2[j], HUGE)
    if fit.is_new:
        fit.is_new = False
        load(quadratic, fit.start, fit.start_c, fit.start_square)


cdef double prove_doubtful(
    Fit* fit, double target, Py_ssize_t max_sweeps, Py_ssize_t* n_sweeps) noexcept nogil:
    """The gap of a point that the moments do not prove beyond doubt, or of one that is better."""
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef double gap, size, best = INFINITY
    cdef Py_ssize_t k
    if fit.storage == Storage.MOMENTS:
        size = sqrt(quadratic.base_square) + quadratic.base_size + size_of(quadratic)
        return proven(quadratic) + ROUNDING * size * size
    for k in range(MEASUREMENTS):
        measure(fit)
        gap = proven(quadratic)
        if gap <= target or n_sweeps[0] >= max_sweeps or not gap < best:
            break
        best = gap
        if k < MEASUREMENTS - 1:
            minimise(quadratic, INNER * target, max_sweeps - n_sweeps[0], INFINITY)
            n_sweeps[0] += quadratic.n_sweeps
    return gap


cdef double proven(QuadraticState* quadratic) noexcept nogil:
    """The gap of the point at hand, without any excuse."""
    cdef double square = residual_square(quadratic)
    cdef double plain = prove(quadratic, square, 0.0, 1.0).gap
    cdef double corrected = prove_corrected(quadratic, square, decrement(quadratic), 0.0, 1.0).gap
    return corrected if corrected < plain else plain


cdef void measure(Fit* fit) noexcept nogil:
    """Make the residual of the point from the rows, and start from there."""
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t i, j, n = fit.n
    cdef double square = 0.0, average = 0.0
    cdef double* r = fit.residual
    coef_of(fit, fit.coef)
    for j in range(fit.p):
        fit.coef[j] = -fit.coef[j]
    for i in range(n):
        r[i] = fit.y[i] - fit.mean[fit.p]
    if fit.storage == Storage.CSC:
        add_sparse(&fit.columns, fit.p, fit.mean, fit.coef, r)
    else:
        simd.add_columns(&fit.X, NULL, fit.p, fit.mean, fit.coef, r)
    for i in range(n if fit.centred else 0):
        average += fit.weight[i] * r[i]
    average /= fit.total
    for i in range(n):
        r[i] -= average
        square += fit.weight[i] * r[i] * r[i]
        r[i] *= fit.weight[i]
    if fit.storage == Storage.CSC:
        sparse_simd.dots(
            &fit.columns, NULL, 0, fit.p, fit.mean, fit.ones, r, total(r, n), fit.room)
    else:
        simd.column_dots(&fit.X, NULL, fit.p, fit.mean, r, fit.room)
    for j in range(fit.p):
        fit.room[j] = fit.room[j] / fit.total * fit.scale[j] / fit.unit
    fit.residual_mean = average
    load(quadratic, quadratic.u, fit.room, square / fit.total / fit.unit / fit.unit)


cdef void add_sparse(
    const Sparse* X, Py_ssize_t p, const double* shift, const double* coef, double* out,
) noexcept nogil:
    """out_i += sum_j coef_j (x_ij - shift_j)"""
    cdef Py_ssize_t i, j, k
    cdef double constant = 0.0
    for j in range(p):
        constant -= coef[j] * shift[j]
        for k in range(X.start[j], X.start[j + 1]):
            out[X.rows[k]] += coef[j] * X.wide[k]
    for i in range(X.n_rows):
        out[i] += constant


cdef void describe(
    Fit* fit, double null, double gap, double tol, Found* found) noexcept nogil:
    """Write all numbers of a point, in the user's units."""
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j
    cdef double square = residual_square(quadratic), objective = 0.5 * square, worst = 0.0, off
    for j in range(fit.p):
        objective += value(quadratic.penalty, j, quadratic.u[j])
        if quadratic.norm[j] > 0.0:
            off = violation(quadratic.penalty, j, quadratic.u[j], quadratic.c[j])
            worst = max(worst, off / quadratic.norm[j])
    found.square = square * fit.unit * fit.unit
    found.objective = objective * fit.unit * fit.unit
    found.null_objective = null * fit.unit * fit.unit
    found.gap = gap * fit.unit * fit.unit
    found.tolerance = tol * null * fit.unit * fit.unit
    found.violation = worst / sqrt(fit.square) if fit.square > 0.0 else worst
    if not (isfinite(found.objective) and isfinite(found.gap)):
        found.status = Ending.NUMERICAL_ERROR


cdef void tell_nothing(int status, Found* found) noexcept nogil:
    found.status = status
    found.n_active = found.n_sweeps = 0
    found.objective = found.null_objective = found.tolerance = found.violation = NAN
    found.square = NAN
    found.gap = INFINITY


cdef double freedom_of(Fit* fit) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef double* share = quadratic.step
    cdef Py_ssize_t j, k, m = quadratic.factor.size
    cdef double freedom = m
    for k in range(m):
        if quadratic.l2[quadratic.factor.member[k]] == 0.0:
            continue
        for j in range(m):
            share[j] = 0.0
        share[k] = 1.0
        solve(&quadratic.factor, share)
        freedom -= quadratic.l2[quadratic.factor.member[k]] * share[k]
    return freedom + (fit.storage != Storage.MOMENTS and fit.centred)


cdef void write_point(
    const Fit* fit, double* coef, double* intercept, Found* found) noexcept nogil:
    cdef Py_ssize_t j, active = 0
    cdef bint finite = True
    intercept[0] = NAN
    if found.status <= Ending.BAD_ARGUMENT:
        for j in range(fit.p if coef != NULL else 0):
            coef[j] = NAN
        return
    coef_of(fit, coef)
    intercept[0] = intercept_of(fit, coef)
    for j in range(fit.p):
        active += coef[j] != 0.0
        finite = finite and isfinite(coef[j])
    found.n_active = active
    if not (finite and isfinite(intercept[0])):
        found.status = Ending.NUMERICAL_ERROR


cdef void coef_of(const Fit* fit, double* coef) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(fit.p):
        coef[j] = fit.quadratic.u[j] * (fit.scale[j] * fit.unit)


cdef double intercept_of(const Fit* fit, const double* coef) noexcept nogil:
    if fit.storage == Storage.MOMENTS or not fit.centred:
        return 0.0
    return accurate_difference(fit.mean[fit.p] + fit.residual_mean, fit.mean, coef, fit.p)
