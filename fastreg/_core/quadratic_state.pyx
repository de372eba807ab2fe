# Design: G is kept complete and symmetric, so that moving one coordinate is one contiguous axpy on
# the correlations c. They are recomputed from the last exactly known point before they are trusted:
# rounding does not accumulate.

from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memset

from fastreg._core cimport factor
from fastreg._core.kernels cimport add_rows, axpy, simd
from fastreg._core.penalty cimport Penalty

cdef double TWIN = 1e-12    # 1 - correlation^2 from which the Gram matrix sees one column
cdef double FAR_BASE = 8.0  # size of a base that costs no digits, in units of the response
cdef double ROUNDING = 8 * 2.220446049250313e-16


cdef Py_ssize_t quadratic_size(Py_ssize_t capacity) noexcept nogil:
    return vectors_size(capacity) + factor.factor_size(capacity)


cdef Py_ssize_t vectors_size(Py_ssize_t capacity) noexcept nogil:
    """Those of numbers, two of integers in the room of one, and one of characters."""
    return (VECTORS + 1) * capacity + (capacity + 7) // 8


cdef void attach(
    QuadraticState* q, Py_ssize_t capacity, double* gram, Py_ssize_t stride, double* memory,
    double* room) noexcept nogil:
    memset(q, 0, sizeof(QuadraticState))
    q.ridge = -1.0
    divide(q, capacity, gram, stride, memory)
    factor.attach(&q.factor, capacity, memory + vectors_size(capacity), room)


cdef void divide(
    QuadraticState* q, Py_ssize_t capacity, double* gram, Py_ssize_t stride, double* memory,
) noexcept nogil:
    q.gram, q.stride = gram, stride
    q.u = memory
    q.c = q.u + capacity
    q.norm = q.c + capacity
    q.base_u = q.norm + capacity
    q.base_c = q.base_u + capacity
    q.l1 = q.base_c + capacity
    q.l2 = q.l1 + capacity
    q.lower = q.l2 + capacity
    q.upper = q.lower + capacity
    q.excess = q.upper + capacity
    q.step = q.excess + capacity
    q.corrected = q.step + capacity
    q.before = q.corrected + capacity
    q.twin = <int*>(memory + VECTORS * capacity)
    q.row = q.twin + capacity
    q.is_member = <char*>(q.row + capacity)
    q.penalty = Penalty(q.l1, q.l2, q.lower, q.upper)


cdef void count_new(QuadraticState* q, Py_ssize_t new) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(q.size, q.size + new):
        q.norm[j] = sqrt(q.gram[j * q.stride + j])
        q.is_member[j] = Membership.OUTSIDE
    q.size += new
    q.is_fresh = False
    find_twins(q, q.size - new)


cdef void find_twins(QuadraticState* q, Py_ssize_t first) noexcept nogil:
    """Find, for each new coordinate, an earlier one whose column is a multiple of its own."""
    cdef Py_ssize_t j, k
    cdef double least
    cdef const double* row
    for j in range(first, q.size):
        row = q.gram + j * q.stride
        q.twin[j] = -1
        least = (1.0 - TWIN) * row[j]
        if not least > 0.0:
            continue
        for k in range(j):
            if row[k] * row[k] >= least * q.gram[k * q.stride + k] > 0.0 and q.twin[k] < 0:
                q.twin[j] = <int>k
                q.n_twins += 1
                break


cdef void begin(QuadraticState* q) noexcept nogil:
    forget_factor(q)
    q.is_warm = False


cdef void expect_all(QuadraticState* q) noexcept nogil:
    q.is_warm = True  # so that a Newton step comes first


cdef void adopt(QuadraticState* q, Py_ssize_t size) noexcept nogil:
    begin(q)
    q.n_twins = 0
    q.size = 0
    count_new(q, size)


cdef void set_penalty(QuadraticState* q, Penalty h) noexcept nogil:
    cdef Py_ssize_t j
    cdef int feature
    cdef bint same_ridge = True
    for j in range(q.size):
        feature = q.column[j]
        same_ridge = same_ridge and q.l2[j] == h.l2[feature]
        q.l1[j] = h.l1[feature]
        q.l2[j] = h.l2[feature]
        q.lower[j] = h.lower[feature]
        q.upper[j] = h.upper[feature]
    q.ridge = -1.0
    if not same_ridge:
        forget_factor(q)


cdef void strengthen(
    QuadraticState* q, double l1, const double* l1_factor, double l2, const double* l2_factor,
) noexcept nogil:
    cdef Py_ssize_t j
    cdef double* strength = q.l1
    for j in range(q.size):
        strength[j] = l1 * l1_factor[j]
    if l2 == q.ridge:
        return
    q.ridge = l2
    strength = q.l2
    for j in range(q.size):
        strength[j] = l2 * l2_factor[j]
    forget_factor(q)


cdef void forget_factor(QuadraticState* q) noexcept nogil:
    cdef Py_ssize_t k
    q.is_warm = q.factor.size > 0
    for k in range(q.size):
        q.is_member[k] = Membership.OUTSIDE
    q.n_doubtful = 0
    q.inexact = 0.0
    factor.clear(&q.factor)


cdef void load(
    QuadraticState* q, const double* u, const double* c, double square) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(q.size):
        q.base_u[j] = q.u[j] = u[q.column[j]]
        q.base_c[j] = q.c[j] = c[q.column[j]]
    q.base_square = square
    q.base_size = size_of(q)
    q.is_fresh = True


cdef void place(QuadraticState* q, const double* u, const double* c) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(q.size):
        q.u[j] = u[q.column[j]]
        q.c[j] = c[q.column[j]]


cdef void load_new(QuadraticState* q, Py_ssize_t first, const double* c) noexcept nogil:
    cdef Py_ssize_t j, k
    for j in range(first, q.size):
        q.u[j] = q.base_u[j] = 0.0
        q.c[j] = q.base_c[j] = c[q.column[j]]
    for k in range(first):
        if q.u[k] != q.base_u[k]:
            axpy(q.u[k] - q.base_u[k], q.gram + k * q.stride + first, q.base_c + first,
                 q.size - first)


cdef void store(QuadraticState* q, double* u, double* c) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(q.size):
        u[q.column[j]] = q.u[j]
        c[q.column[j]] = q.c[j]


cdef double residual_square(QuadraticState* q) noexcept nogil:
    return max(0.0, raw_square(q))


cdef double raw_square(QuadraticState* q) noexcept nogil:
    cdef double change = 0.0
    cdef Py_ssize_t j
    for j in range(q.size):
        if q.u[j] != q.base_u[j]:
            change += (q.base_c[j] + q.c[j]) * (q.u[j] - q.base_u[j])
    return q.base_square - change


cdef double distance_moved(QuadraticState* q) noexcept nogil:
    cdef double length = 0.0
    cdef Py_ssize_t j
    for j in range(q.size):
        length += q.norm[j] * fabs(q.u[j] - q.base_u[j])
    return length


cdef double size_of(QuadraticState* q) noexcept nogil:
    return simd.size(q.norm, q.u, q.size)


cdef double rounding_of(QuadraticState* q) noexcept nogil:
    cdef double size = size_of(q)
    if q.base_size + sqrt(q.base_square) > FAR_BASE * (size + 1.0):
        return INFINITY
    return ROUNDING * size * size


cdef double noise_at(QuadraticState* q, double square) noexcept nogil:
    return 2.0 * ROUNDING * (sqrt(square) + size_of(q))


cdef void refresh(QuadraticState* q) noexcept nogil:
    cdef Py_ssize_t j, count = 0
    if q.is_fresh:
        return
    q.is_fresh = True
    for j in range(q.size):
        q.c[j] = q.base_c[j]
    for j in range(q.size):
        if q.u[j] != q.base_u[j]:
            q.row[count] = <int>j
            q.corrected[count] = q.base_u[j] - q.u[j]
            count += 1
    add_rows(q.gram, q.stride, q.row, q.corrected, count, q.c, q.size)


cdef void move(QuadraticState* q, Py_ssize_t j, double distance) noexcept nogil:
    if distance != 0.0:
        q.u[j] += distance
        q.is_fresh = False
        axpy(-distance, q.gram + j * q.stride, q.c, q.size)
