# Design: G is kept complete and symmetric, so that moving one coordinate is one contiguous axpy on
# the correlations c. Both moves (a sweep, a Newton step stopped at the first boundary) lower the
# objective, so they may follow each other in any order. The factor holds the free coordinates:
# nonzero (or unpenalised) and strictly between their bounds. A coordinate that depends on the
# members is moved along the null direction until something reaches zero or a bound, so the support
# never outgrows the rank. A multiple of an earlier column (its twin) rests at zero as long as it
# violates optimality no more than that one, whose moves serve both. Correlations are recomputed
# from the last exactly known point before they are trusted: rounding does not accumulate.
#
# The solver is a plain struct and free functions, which take memory as it is given to them: that
# of the owner below, which grows with a working set, or anybody's.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy, memmove, memset

from fastreg._core cimport factor
from fastreg._core.certificate cimport NEGLIGIBLE, Certificate, certify
from fastreg._core.cholesky cimport EXACT
from fastreg._core.design cimport check_interrupt
from fastreg._core.kernels cimport add_rows, axpy, simd
from fastreg._core.penalty cimport Penalty, prox
from fastreg._core.penalty cimport violation as violation_of
from fastreg._core.selection cimport Selection

cdef enum:
    VECTORS = 13                 # of numbers, each as long as the problem may be large
    SWEEPS_A_LOOK = 5            # sweeps before a Newton step is tried on a moving support
    SOON = 2                     # the same where a step costs no more than some sweeps: ...
    SMALL = 32                   # ... up to so many coordinates
    FEW = 16                     # changes of the factor that come one by one in any case, ...
    MANY = 48                    # ... and that a new one is cheaper than, however large it is
    PATIENCE = 20                # looks without progress before giving up
    WORK_A_CHECK = 1 << 27       # multiplications between two looks at signals and the clock

cdef double TWIN = 1e-12    # 1 - correlation^2 from which the Gram matrix sees one column
cdef double FAR_BASE = 8.0  # size of a base that costs no digits, in units of the response
cdef double FAR = 1e3  # steps along a null direction, in units of the prediction
cdef double TOO_FAR = 1e8  # the same for a Newton step
cdef double TIE = 1e-9  # part of a Newton step that is no reason to stop again: copies of a column
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
    """Let all arrays but those of the factor lie in that memory."""
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


cdef bint rests(QuadraticState* q, Py_ssize_t j) noexcept nogil:
    """Should it stay at zero if it is there? With a ridge part twins would share the weight."""
    return q.twin[j] >= 0 and q.l1[j] > 0.0 and q.l2[j] == 0.0


cdef bint wake(QuadraticState* q) noexcept nogil:
    """Let twins move that violate optimality more than the coordinates that they rest on.

    Then they are cheaper, or a bound stops the other, or they only look like twins. Return
    whether there were any.
    """
    cdef Py_ssize_t j, k
    cdef double noise, own, other
    cdef bint woken = False
    if q.n_twins == 0:
        return False
    noise = 0.25 * noise_at(q, q.base_square)
    for j in range(q.size):
        if q.u[j] != 0.0 or not rests(q, j):
            continue
        k = q.twin[j]
        own = violation_of(q.penalty, j, 0.0, q.c[j]) / q.norm[j]
        other = violation_of(q.penalty, k, q.u[k], q.c[k]) / q.norm[k]
        if own > other + noise:
            q.twin[j] = -1
            q.n_twins -= 1
            woken = True
    return woken


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
    cdef double change = 0.0
    cdef Py_ssize_t j
    for j in range(q.size):
        if q.u[j] != q.base_u[j]:
            change += (q.base_c[j] + q.c[j]) * (q.u[j] - q.base_u[j])
    return max(0.0, q.base_square - change)


cdef double distance_moved(QuadraticState* q) noexcept nogil:
    cdef double length = 0.0
    cdef Py_ssize_t j
    for j in range(q.size):
        length += q.norm[j] * fabs(q.u[j] - q.base_u[j])
    return length


cdef double size_of(QuadraticState* q) noexcept nogil:
    """Sum of norm_j |u_j|: what may cancel in a prediction."""
    return simd.size(q.norm, q.u, q.size)


cdef double rounding_of(QuadraticState* q) noexcept nogil:
    cdef double size = size_of(q)
    if q.base_size + sqrt(q.base_square) > FAR_BASE * (size + 1.0):
        return INFINITY
    return ROUNDING * size * size


cdef double noise_at(QuadraticState* q, double square) noexcept nogil:
    return 2.0 * ROUNDING * (sqrt(square) + size_of(q))


cdef void refresh(QuadraticState* q) noexcept nogil:
    """Recompute the correlations from the base point, unless that has just been done."""
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


cdef bint is_free(QuadraticState* q, Py_ssize_t j) noexcept nogil:
    return (
        (q.u[j] != 0.0 or q.l1[j] == 0.0)
        and q.lower[j] < q.u[j] < q.upper[j]
        and q.gram[j * q.stride + j] > 0.0
    )


cdef double slope_of(QuadraticState* q, Py_ssize_t j) noexcept nogil:
    """Minus the derivative of the objective along a free coordinate."""
    cdef double sign = 1.0 if q.u[j] > 0.0 else (-1.0 if q.u[j] < 0.0 else 0.0)
    return q.c[j] - q.l1[j] * sign - q.l2[j] * q.u[j]


cdef double boundary_ahead(QuadraticState* q, Py_ssize_t j, double velocity) noexcept nogil:
    """Where coordinate j must stop: at zero, if that is a kink ahead of it, or at a bound."""
    if velocity > 0.0:
        return 0.0 if q.l1[j] > 0.0 and q.u[j] < 0.0 < q.upper[j] else q.upper[j]
    return 0.0 if q.l1[j] > 0.0 and q.u[j] > 0.0 > q.lower[j] else q.lower[j]


cdef double room_ahead(QuadraticState* q, Py_ssize_t j, double velocity) noexcept nogil:
    if velocity == 0.0:
        return INFINITY
    return (boundary_ahead(q, j, velocity) - q.u[j]) / velocity


cdef Py_ssize_t sweep(QuadraticState* q, bint outside, double noise) noexcept nogil:
    """One round of coordinate descent, over all or (outside) those that are no members.

    Violations below the noise are left: where columns depend on each other there are ties, and
    rounding would let the same ones in again and again. Return how many coordinates changed
    their face.
    """
    cdef Py_ssize_t j, changed = 0
    cdef double old, new, diagonal
    for j in range(first_to_move(q, outside), q.size):
        diagonal = q.gram[j * q.stride + j]
        old = q.u[j]
        if not diagonal > 0.0 or (outside and q.is_member[j]):
            continue
        if old == 0.0 and (
                fabs(q.c[j]) <= q.l1[j] * (1.0 + 1e-14) + noise * q.norm[j]
                or rests(q, j)):
            continue
        new = prox(q.penalty, j, q.c[j] + diagonal * old, diagonal)
        if new != old:
            axpy(old - new, q.gram + j * q.stride, q.c, q.size)
            q.u[j] = new
            q.is_fresh = False
            changed += is_free(q, j) != (q.is_member[j] != Membership.OUTSIDE)
    return changed


cdef Py_ssize_t first_to_move(QuadraticState* q, bint outside) noexcept nogil:
    """The first coordinate that a sweep may move; the size if there is none."""
    cdef Py_ssize_t k
    cdef int* row = q.row
    cdef Py_ssize_t count = simd.list_urgent(q.c, q.u, q.l1, 1.0, q.size, row)
    for k in range(count):
        if not (outside and q.is_member[row[k]]):
            return row[k]
    return q.size


cdef void synchronise(QuadraticState* q) noexcept nogil:
    cdef Py_ssize_t k, j, work = 0, kept = 0, new
    for j in range(q.size if q.n_doubtful else 0):
        if q.is_member[j] == Membership.DEPENDENT:
            q.is_member[j] = Membership.OUTSIDE
            q.n_doubtful -= 1
    for k in range(q.factor.size):
        kept += is_free(q, q.factor.member[k])
    new = list_new(q, kept)
    if renew(q, kept, new):
        return
    for k in range(q.factor.size - 1 if kept < q.factor.size else -1, -1, -1):
        if not is_free(q, q.factor.member[k]):
            expel(q, k)
    for k in range(kept, kept + new):
        admit(q, q.row[k])
        work += q.factor.size * q.factor.size
        if work > WORK_A_CHECK:  # the others next time: a part of the face is one, too
            return


cdef Py_ssize_t list_new(QuadraticState* q, Py_ssize_t room) noexcept nogil:
    """List the free coordinates outside of the factor, in `row` behind some room.

    Return how many there are.
    """
    cdef int* row = q.row
    cdef Py_ssize_t j, k, count = 0
    for k in range(simd.list_urgent(q.c, q.u, q.l1, 1.0, q.size, row)):
        j = row[k]
        row[count] = <int>j
        count += q.is_member[j] == Membership.OUTSIDE and is_free(q, j)
    memmove(row + room, row, count * sizeof(int))
    return count


cdef bint renew(QuadraticState* q, Py_ssize_t kept, Py_ssize_t new) noexcept nogil:
    """Make a new factor of all free coordinates where that is cheaper, and they allow it.

    `kept` of them are members; the `new` ones are listed in `row` behind room for those.
    """
    cdef Py_ssize_t j, k, count = 0, gone = q.factor.size - kept
    cdef int* row = q.row
    if q.n_doubtful or new + 2 * gone < max(FEW, min((kept + new) // 8, MANY)):
        return False
    if kept + new == 0:
        return False
    for k in range(q.factor.size):
        if is_free(q, q.factor.member[k]):
            row[count] = q.factor.member[k]
            count += 1
    count += new
    if not factor.rebuild(&q.factor, row, count, q.gram, q.stride, q.l2):
        return False
    for j in range(q.size):
        q.is_member[j] = Membership.OUTSIDE
    for k in range(count):
        q.is_member[row[k]] = Membership.MEMBER
        q.excess[row[k]] = 0.0
    q.inexact = q.factor.doubt
    return True


cdef void expel(QuadraticState* q, Py_ssize_t k) noexcept nogil:
    q.n_doubtful -= q.is_member[q.factor.member[k]] == Membership.FORCED
    q.is_member[q.factor.member[k]] = Membership.OUTSIDE
    factor.delete(&q.factor, k)


cdef void admit(QuadraticState* q, Py_ssize_t j) noexcept nogil:
    """Make a free coordinate a member, or move it until it need not be one."""
    cdef Py_ssize_t k
    cdef double level, pivot, diagonal = q.gram[j * q.stride + j] + q.l2[j]
    while is_free(q, j):
        level = q.l1[j]
        for k in range(q.factor.size):
            q.step[k] = q.gram[j * q.stride + q.factor.member[k]]
        if factor.append(&q.factor, <int>j, q.step, diagonal):
            q.excess[j] = 0.0
            if q.factor.doubt > EXACT:
                q.is_member[j] = Membership.FORCED
                q.n_doubtful += 1
            else:
                q.is_member[j] = Membership.MEMBER
                q.inexact = max(q.inexact, q.factor.doubt)
            return
        for k in range(q.factor.size):
            level += fabs(q.step[k]) * q.l1[q.factor.member[k]]
        pivot = factor.pivot_of(&q.factor, diagonal)
        if level == 0.0 and pivot <= max(  # its value is a choice
                NEGLIGIBLE * diagonal, q.factor.noise):
            q.is_member[j] = Membership.DEPENDENT
            q.n_doubtful += 1
            return
        if not slide(q, j, q.step, level):
            q.excess[j] = factor.force(&q.factor, <int>j, diagonal)
            q.is_member[j] = Membership.FORCED
            q.n_doubtful += 1
            return


cdef bint slide(QuadraticState* q, Py_ssize_t j, const double* weight, double level) noexcept nogil:
    """Move along the null direction e_j - sum_k weight_k e_member(k) until a boundary.

    Return whether a coordinate went to its boundary (a member then leaves the factor); without
    a boundary within reach nothing moves. `level` is the size of the slopes along the way.
    """
    cdef Py_ssize_t k, i, blocking = -2
    cdef double slope = slope_of(q, j), curvature = q.gram[j * q.stride + j] + q.l2[j]
    cdef double direction, room, length, reach, boundary
    for k in range(q.factor.size):
        i = q.factor.member[k]
        slope -= weight[k] * slope_of(q, i)
        curvature -= weight[k] * q.gram[j * q.stride + i]
    curvature = max(curvature, NEGLIGIBLE * (q.gram[j * q.stride + j] + q.l2[j]))
    if fabs(slope) <= 1e-10 * level:
        direction = -1.0 if q.u[j] > 0.0 else 1.0
        length = INFINITY
    else:
        direction = 1.0 if slope > 0.0 else -1.0
        length = fabs(slope) / curvature
    room = room_ahead(q, j, direction)
    if room < length:
        length = room
        blocking = -1
    for k in range(q.factor.size):
        room = room_ahead(q, q.factor.member[k], -direction * weight[k])
        if room < length:
            length = room
            blocking = k
    reach = q.norm[j]
    for k in range(q.factor.size):
        reach = max(reach, fabs(weight[k]) * q.norm[q.factor.member[k]])
    # So far the direction is null only up to rounding.
    if blocking == -2 or not length * reach <= FAR * size_of(q):
        return False
    i = j if blocking == -1 else q.factor.member[blocking]
    boundary = boundary_ahead(q, i, direction if i == j else -direction * weight[blocking])
    move(q, j, direction * length)
    for k in range(q.factor.size):
        move(q, q.factor.member[k], -direction * length * weight[k])
    q.u[i] = boundary
    q.is_fresh = False
    if blocking >= 0:
        expel(q, blocking)
    return True


cdef void move(QuadraticState* q, Py_ssize_t j, double distance) noexcept nogil:
    if distance != 0.0:
        q.u[j] += distance
        q.is_fresh = False
        axpy(-distance, q.gram + j * q.stride, q.c, q.size)


cdef bint newton(QuadraticState* q) noexcept nogil:
    """Go to the minimum over the free coordinates, leaving out those that meet a boundary.

    Return whether it was reached.
    """
    cdef Py_ssize_t rounds, work = 0
    synchronise(q)
    for rounds in range(2):  # the second one refines the first against rounding
        if q.factor.size == 0 or (rounds == 1 and is_stationary(q)):
            break
        if not newton_round(q, &work):
            return False
    return True


cdef bint newton_round(QuadraticState* q, Py_ssize_t* work) noexcept nogil:
    """One Newton step, with as many stops at a boundary as it takes."""
    cdef Py_ssize_t k, j, count = q.factor.size
    cdef double length = 0.0, size = size_of(q) + sqrt(q.base_square)
    cdef double* d = q.step
    cdef double* slope = q.corrected  # by coordinate; so is the point before
    cdef bint enough = False
    for k in range(count):
        j = q.factor.member[k]
        q.row[k] = <int>j
        q.before[j] = q.u[j]
        slope[j] = slope_of(q, j)
    while q.factor.size > 0 and length < 1.0 and not enough:
        work[0] += q.factor.size * (q.factor.size + 1)
        enough = work[0] > WORK_A_CHECK
        for k in range(q.factor.size):
            d[k] = slope[q.factor.member[k]]
        factor.solve(&q.factor, d)
        length = 1.0
        for k in range(q.factor.size):
            length = min(length, room_ahead(q, q.factor.member[k], d[k]))
        # Part of a Newton step takes the same part of every slope.
        for k in range(q.factor.size):
            j = q.factor.member[k]
            slope[j] *= 1.0 - length
            if length < 1.0 and room_ahead(q, j, d[k]) <= length * (1.0 + TIE):
                q.u[j] = boundary_ahead(q, j, d[k])
            else:
                q.u[j] += length * d[k]
        if length < 1.0:
            for k in range(q.factor.size - 1, -1, -1):
                if not is_free(q, q.factor.member[k]):
                    expel(q, k)
    if not size_of(q) <= TOO_FAR * size:  # rounding of an ill-conditioned factor
        for k in range(count):
            q.u[q.row[k]] = q.before[q.row[k]]
        return False
    q.is_fresh = False
    refresh(q)
    return not enough


cdef bint is_stationary(QuadraticState* q) noexcept nogil:
    """Are the slopes along all members rounding?"""
    cdef Py_ssize_t k, j
    cdef double noise = 0.25 * noise_at(q, q.base_square)
    for k in range(q.factor.size):
        j = q.factor.member[k]
        if fabs(slope_of(q, j)) > noise * q.norm[j]:
            return False
    return True


cdef double decrement(QuadraticState* q, double measured=-1.0) noexcept nogil:
    cdef Py_ssize_t k, j
    cdef double square = 0.0, slope
    cdef double* d = q.step
    for k in range(q.factor.size):
        if not is_free(q, q.factor.member[k]):
            return INFINITY
        d[k] = slope_of(q, q.factor.member[k])
    factor.solve_half(&q.factor, d)
    for k in range(q.factor.size):
        square += d[k] * d[k]
    square *= 1.0 + 2.0 * q.inexact
    factor.solve_other_half(&q.factor, d)
    for k in range(q.factor.size):
        if room_ahead(q, q.factor.member[k], d[k]) <= 1.0:
            return INFINITY
    if measured >= 0.0:
        return square + measured
    # What the step leaves behind in directions of negligible curvature.
    for j in range(q.size):
        if q.is_member[j] == Membership.DEPENDENT:
            slope = slope_of(q, j)
            for k in range(q.factor.size):
                slope -= d[k] * q.gram[j * q.stride + q.factor.member[k]]
            square += slope * slope / (NEGLIGIBLE * q.gram[j * q.stride + j])
    for k in range(q.factor.size):
        j = q.factor.member[k]
        if q.is_member[j] == Membership.FORCED:
            slope = q.excess[j] * d[k]
            square += slope * slope / (NEGLIGIBLE * q.gram[j * q.stride + j])
    return square


cdef Proof prove(
    QuadraticState* q, double square, double noise, double cap, double radius=0.0) noexcept nogil:
    cdef Certificate plain = certify(
        q.penalty, q.size, q.u, q.c, q.norm, radius, noise, NULL, square, q.row, cap)
    return Proof(plain.gap, plain.kappa, radius)


cdef Proof prove_corrected(
    QuadraticState* q, double square, double extra, double drift, double cap) noexcept nogil:
    cdef Py_ssize_t k
    cdef Certificate proof
    if extra == INFINITY:
        return Proof(INFINITY, 0.0, 0.0)
    for k in range(q.size):
        q.corrected[k] = q.u[k]
    for k in range(q.factor.size):
        q.corrected[q.factor.member[k]] += q.step[k]
    proof = certify(q.penalty, q.size, q.corrected, q.c, q.norm, sqrt(extra), noise_at(q, square),
                    q.is_member, square, q.row, cap)
    return Proof(
        proof.gap + 0.5 * extra + (1.0 - proof.kappa) * drift, proof.kappa, sqrt(extra))


cdef double restricted_gap(QuadraticState* q, double target) noexcept nogil:
    cdef double square = residual_square(q)
    cdef Proof corrected
    q.last_proof = prove(q, square, noise_at(q, square), 1.0)
    if q.last_proof.gap > target:
        corrected = prove_corrected(q, square, decrement(q), 0.0, 1.0)
        if corrected.gap < q.last_proof.gap:
            q.last_proof = corrected
    return q.last_proof.gap


cdef bint minimise(
    QuadraticState* q, double target, Py_ssize_t max_sweeps, double deadline) except -1 nogil:
    cdef Py_ssize_t changed, looks = 0, since_check = 0
    cdef double gap, noise, best = INFINITY
    cdef Py_ssize_t a_look = SOON if q.size <= SMALL else SWEEPS_A_LOOK
    cdef bint stationary = False  # has a Newton step just gone to the minimum over its face?
    q.n_sweeps = 0
    if q.factor.size > 0 or q.is_warm:
        # between two supports a path is linear
        q.is_warm = False
        stationary = newton(q)
    while q.n_sweeps < max_sweeps:
        # without progress every violation counts
        noise = 0.25 * noise_at(q, q.base_square) if looks == 0 else 0.0
        q.last_proof.gap = INFINITY
        changed = sweep(q, stationary, noise)
        q.n_sweeps += 1
        since_check += q.size * q.size + 1
        if since_check > WORK_A_CHECK:
            since_check = 0
            if not q.is_unattended and check_interrupt(deadline):
                return True
        if changed and not stationary and q.n_sweeps % a_look:
            continue
        if changed or not stationary:
            since_check += WORK_A_CHECK // 2
            stationary = newton(q)
            # Rounding may let a dependent coordinate in again and again: look now and then.
            if changed and stationary and q.n_sweeps % a_look:
                continue
        refresh(q)
        gap = restricted_gap(q, target)
        if gap <= target:
            break
        # Without progress over several looks only the true residual can help further.
        looks = 0 if wake(q) or gap < 0.5 * best else looks + 1
        best = min(best, gap)
        if looks > PATIENCE and (not changed or looks > 10 * PATIENCE):
            break
        stationary = False
    return False


@final
cdef class Quadratic:
    """A quadratic that owns its memory and grows with the working set."""

    def __init__(self):
        self.column = np.empty(0, dtype=np.int32)
        self._memory = np.empty(quadratic_size(1))
        self.gram = np.empty((1, 1))
        attach(&self.state, 1, &self.gram[0, 0], 1, &self._memory[0], NULL)
        self._capacity = 1

    cdef _reserve(self, Py_ssize_t capacity):
        cdef QuadraticState old = self.state
        cdef QuadraticState* q = &self.state
        cdef Py_ssize_t k, m = old.size
        cdef double[:, ::1] gram = np.empty((capacity, capacity))
        cdef double[::1] memory = np.empty(quadratic_size(capacity))
        if m:
            gram[:m, :m] = self.gram[:m, :m]
        self.gram = gram
        divide(q, capacity, &gram[0, 0], capacity, &memory[0])
        memset(q.u, 0, vectors_size(capacity) * sizeof(double))
        for k in range(VECTORS if m else 0):
            memcpy(q.u + k * capacity, old.u + k * self._capacity, m * sizeof(double))
        if m:
            memcpy(q.twin, old.twin, m * sizeof(int))
            memcpy(q.is_member, old.is_member, m)
        factor.move_to(&q.factor, capacity, q.u + vectors_size(capacity))
        self._memory = memory
        self._capacity = capacity

    cdef reserve(self, Py_ssize_t capacity):
        adopt(&self.state, 0)
        self._reserve(capacity)
        self._set_columns(np.arange(capacity, dtype=np.int32))

    cdef _set_columns(self, int[::1] columns):
        self.column = columns
        self.state.column = &columns[0]

    cdef extend(self, Selection selection, int[::1] columns, const double[::1] weight):
        cdef Py_ssize_t old = self.state.size, new = columns.shape[0]
        if new == 0:
            return
        self._set_columns(np.concatenate([self.column, columns]))
        if old + new > self._capacity:
            self._reserve(min(max(old + new, 2 * old), selection.design.n_features))
        selection.extend(columns)
        selection.gram(self.column, old, weight, self.gram)
        count_new(&self.state, new)

    cdef extend_known(self, int[::1] columns, const double[:, ::1] gram):
        cdef Py_ssize_t new = columns.shape[0]
        self._set_columns(columns)
        if new > self._capacity:
            self._reserve(new)
        self.gram[:new, :new] = gram
        count_new(&self.state, new)

    cdef list doubtful(self):
        cdef Py_ssize_t j
        if self.state.n_doubtful == 0:
            return []
        return [j for j in range(self.state.size)
                if self.state.is_member[j] in (Membership.DEPENDENT, Membership.FORCED)]

    cdef express(self, Py_ssize_t j, double[::1] out):
        out[:] = 0.0
        out[j] = 1.0
        self.refine(j, self.gram[j, :self.state.size], out)

    cdef refine(self, Py_ssize_t j, const double[::1] products, double[::1] out):
        cdef QuadraticState* q = &self.state
        cdef Py_ssize_t k, count = q.factor.size
        cdef double[::1] weight = np.empty(count + 1)
        for k in range(count):
            weight[k] = products[q.factor.member[k]]
        factor.solve(&q.factor, &weight[0])
        if q.is_member[j] == Membership.FORCED:
            self._leave_out(j, np.asarray(weight)[:count])
        for k in range(count):
            out[q.factor.member[k]] -= weight[k]

    cdef _leave_out(self, Py_ssize_t j, weight):
        """Let weights express by the plain members, and the forced ones before j, alone.

        Another product with j, or with a forced member behind it, would change the weights by a
        multiple of its column of the inverse: as much as takes their own to zero.
        """
        cdef QuadraticState* q = &self.state
        cdef Py_ssize_t k
        cdef double[::1] unit
        cdef list out = [], inverse = []
        for k in range(q.factor.size):
            if q.factor.member[k] == j or (
                    out and q.is_member[q.factor.member[k]] == Membership.FORCED):
                out.append(k)
                unit = np.zeros(q.factor.size)
                unit[k] = 1.0
                factor.solve(&q.factor, &unit[0])
                inverse.append(np.asarray(unit))
        rows = np.array(inverse)
        weight -= np.linalg.lstsq(rows[:, out], weight[out], rcond=None)[0] @ rows
        weight[out] = 0.0
