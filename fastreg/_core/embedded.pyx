# Design: one fit is one struct of pointers into one piece of memory, so that the same few functions
# serve a caller in C, who owns that memory, and a batch, in which every thread has a piece of its
# own. Everything is brought to unit size by powers of two, as in `fastreg.problem`, and solved from
# its Gram matrix by the one solver, `quadratic`. What is not beyond doubt then is measured on the
# rows, if there are any, and solved again from there; the gap is that of the point as measured.
# Without rows, what rounding of the moments may hide is added to the gap.

from libc.math cimport INFINITY, NAN, fabs, frexp, isfinite, isnan, ldexp, sqrt
from libc.stdint cimport uintptr_t

from fastreg._core.active_set cimport decrement
from fastreg._core.factor cimport room_of_rebuild, solve
from fastreg._core.gram cimport ROW_BLOCK
from fastreg._core.kernels cimport Sparse, simd, sparse_simd, total
from fastreg._core.moment_path cimport Fit as MomentFit
from fastreg._core.moment_path cimport fit_moments
from fastreg._core.penalty cimport value, violation
from fastreg._core.quadratic cimport minimise, prove, prove_corrected
from fastreg._core.quadratic_state cimport (
    Membership,
    QuadraticState,
    attach,
    begin,
    expect_all,
    load,
    quadratic_size,
    raw_square,
    residual_square,
    size_of,
    strengthen,
)
from fastreg._core.record cimport accurate_difference

cdef enum:
    MEASUREMENTS = 8  # of the residual of one point, before it is given up

cdef double ROUNDING = 8 * 2.220446049250313e-16
cdef double INNER = 0.1   # share of the tolerance that the solver is asked for
cdef double HUGE = 1e300


cdef size_t workspace_size(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    cdef double numbers, limit = 1e17
    if not (0 <= n < limit and 0 <= p < 1 << 30):
        return 0
    numbers = 3.0 * (p + 1) * (p + 1) + 200.0 * (p + 1) + 3.0 * n + ROW_BLOCK * (p + 65.0)
    if numbers * sizeof(double) > limit:
        return 0
    return sizeof(double) * (
        (p + 1) * (p + 1) + quadratic_size(p) + room_of_rebuild(p) + 9 * p + (p + 1) + (p + 1) // 2
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
    fit.size = at + 8 * p
    fit.mean = at + 9 * p
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
    if found.status in (Ending.NUMERICAL_ERROR, Ending.NOT_A_GRAM):  # the next one begins anew
        fit.is_new = True
        begin(quadratic)
    return found.status


cdef void set_strengths(Fit* fit, double l1, double l2) noexcept nogil:
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j
    cdef double given
    fit.residual_mean = 0.0
    strengthen(quadratic, l1, fit.l1_factor, l2, fit.l2_factor)
    if l1 == 0.0:
        expect_all(quadratic)
    if not (max(l1, l2) * fit.most <= HUGE and fit.most <= HUGE and fit.faintest * HUGE >= 1.0):
        for j in range(fit.p):
            quadratic.l1[j] = quadratic.l2[j] = 0.0
            if fit.l1_factor[j] > 0.0 or fit.l2_factor[j] > 0.0:
                given = 1.0 if fit.factor == NULL else fit.factor[j]
                quadratic.l1[j] = product(l1, given, fit.size[j], 1.0 / fit.unit)
                quadratic.l2[j] = product(l2, given, fit.size[j], fit.size[j])
    if fit.is_new:
        fit.is_new = False
        load(quadratic, fit.start, fit.start_c, fit.start_square)


cdef double product(double a, double b, double c, double d) noexcept nogil:
    """Of four numbers > 0, of which two alone may leave the range; at most what is huge."""
    cdef int i, j, k, m
    cdef double head = frexp(a, &i) * frexp(b, &j) * frexp(c, &k) * frexp(d, &m)
    return min(ldexp(head, i + j + k + m), HUGE)


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
        add_sparse(&fit.columns, n, fit.p, fit.mean, fit.coef, r)
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
    const Sparse* X, Py_ssize_t n, Py_ssize_t p, const double* shift, const double* coef,
    double* out) noexcept nogil:
    """out_i += sum_j coef_j (x_ij - shift_j)"""
    cdef Py_ssize_t i, j, k
    cdef double constant = 0.0
    for j in range(p):
        constant -= coef[j] * shift[j]
        for k in range(X.start[j], X.start[j + 1]):
            out[X.rows[k]] += coef[j] * X.wide[k]
    for i in range(n):
        out[i] += constant


cdef void describe(
    Fit* fit, double null, double gap, double tol, Found* found) noexcept nogil:
    """Write all numbers of a point, in the user's units."""
    cdef QuadraticState* quadratic = &fit.quadratic
    cdef Py_ssize_t j
    cdef double square = residual_square(quadratic), objective = 0.5 * square, worst = 0.0, off
    cdef double noise = 0.0
    cdef bint sound = True
    if fit.storage == Storage.MOMENTS:
        noise = sqrt(quadratic.base_square) + quadratic.base_size + size_of(quadratic)
        noise *= ROUNDING * noise
        sound = not raw_square(quadratic) < -noise
    for j in range(fit.p):
        objective += value(quadratic.penalty, j, quadratic.u[j])
        if quadratic.norm[j] > 0.0:
            off = violation(quadratic.penalty, j, quadratic.u[j], quadratic.c[j])
            worst = max(worst, off / quadratic.norm[j])
            if fit.storage == Storage.MOMENTS and not allows(quadratic, j, off, gap + noise):
                sound = False
    found.square = square * fit.unit * fit.unit
    found.objective = objective * fit.unit * fit.unit
    found.null_objective = null * fit.unit * fit.unit
    found.gap = gap * fit.unit * fit.unit
    found.tolerance = tol * null * fit.unit * fit.unit
    found.violation = worst / sqrt(fit.square) if fit.square > 0.0 else worst
    if not (isfinite(found.objective) and isfinite(found.gap)):
        found.status = Ending.NUMERICAL_ERROR
    elif not sound and gap < INFINITY:
        tell_nothing(Ending.NOT_A_GRAM, found)


cdef bint allows(const QuadraticState* q, Py_ssize_t j, double off, double gap) noexcept nogil:
    """Can the objective be that near to its minimum, with such a slope along a coordinate?

    Not if a step along it alone, between its bounds and kinks, would gain more: then the moments
    are those of no data.
    """
    cdef double step = off / (q.gram[j * q.stride + j] + q.l2[j])
    if not q.lower[j] <= q.u[j] - step or not q.u[j] + step <= q.upper[j]:
        return True
    if q.l1[j] > 0.0 and q.u[j] != 0.0 and step > fabs(q.u[j]):
        return True
    return off * step <= 4.0 * gap


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
    cdef double freedom = 0.0
    for k in range(m):  # the others depend on these
        freedom += quadratic.is_member[quadratic.factor.member[k]] == Membership.MEMBER
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
    if found.status <= Ending.BAD_ARGUMENT or isnan(found.null_objective):  # nothing was solved
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
