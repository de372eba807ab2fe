# Design: whatever a problem is given as (moments, dense rows, sparse columns, another response of
# rows that are known), it ends as one Gram matrix and one vector of correlations, brought to unit
# size by powers of two. Numbers that cannot be those of any data are refused here.

from libc.math cimport INFINITY, fabs, frexp, isfinite, ldexp, sqrt
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from fastreg._core.embedded cimport HUGE, Ending, Fit, Storage
from fastreg._core.gram cimport mirror, products_at_once
from fastreg._core.kernels cimport Matrix, Sparse, dot, rows_from, simd, sparse_simd, total
from fastreg._core.quadratic_state cimport QuadraticState, adopt, begin

cdef double CONSTANT = 8 * 2.220446049250313e-16  # deviation over mean of what does not vary
cdef double SLACK = 1.0 + 1e-6  # of the Cauchy-Schwarz inequality
cdef double TINY = 1e-300       # a length that is as good as zero; no square has one
cdef double FAINT = 1e-306      # of less than that a sum of squares has lost digits


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
    cdef double size
    cdef double* norm = quadratic.norm
    cdef double* row
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
        for k in range(j + 1):
            row[k] = gram[j * stride + k] * size * fit.scale[k]
    if fit.storage == Storage.MOMENTS and not is_sound(quadratic, p):
        return what_is_wrong(quadratic, p)
    mirror(0, p, quadratic.gram, quadratic.stride)
    adopt(quadratic, p)
    return Ending.CONVERGED


cdef bint is_sound(const QuadraticState* quadratic, Py_ssize_t p) noexcept nogil:
    """Does it satisfy the Cauchy-Schwarz inequality, as products of columns do?"""
    cdef Py_ssize_t j, k, n_wrong = 0
    cdef const double* row
    for j in range(p):
        row = quadratic.gram + j * quadratic.stride
        for k in range(j + 1):
            n_wrong += not fabs(row[k]) <= quadratic.norm[j] * quadratic.norm[k]
    return n_wrong == 0


cdef int what_is_wrong(const QuadraticState* quadratic, Py_ssize_t p) noexcept nogil:
    cdef Py_ssize_t j, k
    for j in range(p):
        for k in range(j + 1):
            if not isfinite(quadratic.gram[j * quadratic.stride + k]):
                return Ending.NOT_FINITE
    return Ending.NOT_A_GRAM


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
    if sound:
        return Ending.CONVERGED
    return Ending.NOT_A_GRAM if fit.storage == Storage.MOMENTS else Ending.NUMERICAL_ERROR


cdef int take_weight(
    Fit* fit, Py_ssize_t n, const double* weight, bint centred) noexcept nogil:
    cdef Py_ssize_t i
    cdef double largest = 0.0, scale
    fit.n, fit.centred, fit.total, fit.weight, fit.weight_unit = n, centred, n, fit.ones, 1.0
    if weight == NULL:
        return Ending.CONVERGED
    for i in range(n):
        if not 0.0 <= weight[i] < INFINITY:
            return Ending.BAD_WEIGHT
        largest = max(largest, weight[i])
    if largest == 0.0:
        return Ending.BAD_WEIGHT
    fit.weight_unit = unit_of(largest)
    scale = 1.0 / fit.weight_unit
    for i in range(n):
        fit.weights[i] = scale * weight[i]
        fit.roots[i] = sqrt(fit.weights[i])
    fit.total = total(fit.weights, n)
    fit.weight = fit.weights
    return Ending.CONVERGED


cdef double unit_of(double size) noexcept nogil:
    """A power of two about as large, whose reciprocal is a normal number, too."""
    cdef int exponent
    frexp(size, &exponent)
    return ldexp(1.0, max(-1000, min(exponent, 1000)))


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
        if not is_finite_row(X, first, y):
            return Ending.NOT_FINITE
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


cdef bint is_finite_row(const Matrix* X, Py_ssize_t i, const double* y) noexcept nogil:
    cdef const double* row = <const double*>X.data + i * X.row_stride
    cdef Py_ssize_t j
    for j in range(X.n_columns):
        if not isfinite(row[j * X.column_stride]):
            return False
    return isfinite(y[i])


cdef int take_other_response(Fit* fit, const Fit* whole, const double* y) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t i, j, p = fit.p
    cdef double square
    cdef double* distance = fit.residual
    cdef double* v = fit.roots  # of which `whole` has the ones in use
    fit.storage, fit.X, fit.n, fit.centred = Storage.DENSE, whole.X, whole.n, whole.centred
    fit.weight, fit.total, fit.first = whole.weight, whole.total, whole.first
    fit.weight_unit = whole.weight_unit
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
    if 0.0 < square < FAINT:
        return Ending.NUMERICAL_ERROR
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
    cdef double* seen = fit.residual  # the last column with an entry in this row, counted from 1
    cdef bint repeats = False
    if start[0] < 0 or start[p] > start[0] and (row == NULL or x == NULL):
        return False
    for j in range(p + 1):
        if j and start[j] < start[j - 1]:
            return False
        fit.starts[j] = start[j]
    for k in range(start[0], start[p]):
        if not 0 <= row[k] < fit.n:
            return False
    for k in range(fit.n):
        seen[k] = 0.0
    for j in range(p):
        for k in range(start[j], start[j + 1]):
            repeats = repeats or seen[row[k]] == j + 1
            seen[row[k]] = j + 1
    # With entries of the same row a column may have n of them without being full: none is, then.
    fit.columns = Sparse(fit.starts, row, x, NULL, -1 if repeats else fit.n)
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
            if 0.0 < gram[j * stride + j] < FAINT:
                return Ending.NUMERICAL_ERROR
            continue
        correlation[j] = 0.0
        for k in range(j + 1):
            gram[j * stride + k] = 0.0
        for k in range(j, p):
            gram[k * stride + j] = 0.0
    if does_not_vary(fit, square, p):
        square = 0.0
        memcpy(correlation, fit.zeros, p * sizeof(double))
    if 0.0 < square < FAINT:
        return Ending.NUMERICAL_ERROR
    return take_moments(fit, gram, stride, correlation, square, 1.0 / fit.total)


cdef int take_penalty(
    Fit* fit, const double* factor, const double* lower, const double* upper) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j, p = fit.p
    cdef double given, low, high, size, least = INFINITY, a_unit = 1.0 / fit.unit
    cdef bint starts_at_zero = True
    fit.factor, fit.most, fit.faintest = factor, 0.0, INFINITY
    if fit.standardize and not fit.centred:
        write_deviations(fit, fit.coef)
    for j in range(p):
        given = 1.0 if factor == NULL else factor[j]
        low = -INFINITY if lower == NULL else lower[j]
        high = INFINITY if upper == NULL else upper[j]
        if not (given >= 0.0 and low <= high and low < INFINITY and high > -INFINITY):
            return Ending.BAD_PENALTY
        if given == INFINITY:  # excluded
            if not low <= 0.0 <= high:
                return Ending.BAD_PENALTY
            given = low = high = 0.0
        quadratic.lower[j], quadratic.upper[j] = low, high
        if low > -INFINITY or high < INFINITY:
            quadratic.lower[j] = low / (fit.scale[j] * fit.unit)
            quadratic.upper[j] = high / (fit.scale[j] * fit.unit)
        size = fit.scale[j]
        if fit.standardize:  # as if columns had unit deviation
            size = quadratic.norm[j] if fit.centred else size * fit.coef[j]
        fit.size[j] = size
        fit.l1_factor[j] = note(fit, given, size * a_unit * given)
        fit.l2_factor[j] = note(fit, given, given * size * size)
        fit.start[j] = max(quadratic.lower[j], min(0.0, quadratic.upper[j]))
        if not isfinite(fit.start[j]):
            return Ending.NOT_FINITE
        starts_at_zero = starts_at_zero and fit.start[j] == 0.0
        if low < high and quadratic.gram[j * quadratic.stride + j] > 0.0:
            least = min(least, fit.l1_factor[j])
    fit.least = least
    fit.is_new = True
    quadratic.ridge = -1.0
    fit.start_square = fit.square
    for j in range(p):
        fit.start_c[j] = fit.q[j]
    if not starts_at_zero:
        move_start(fit)
    return Ending.CONVERGED


cdef double note(Fit* fit, double given, double factor) noexcept nogil:
    """The factor within the range of numbers; whether it had left that is remembered."""
    if given > 0.0:
        fit.most = max(fit.most, factor)
        fit.faintest = min(fit.faintest, factor)
    return min(factor, HUGE)


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
