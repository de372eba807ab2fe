# Design: the factor holds the free coordinates: nonzero (or unpenalised) and strictly between their
# bounds. A Newton step stops at the first boundary, where a coordinate leaves. A coordinate that
# depends on the members is moved along the null direction until something reaches zero or a bound,
# so the support never outgrows the rank.

from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memmove

from fastreg._core cimport factor
from fastreg._core.certificate cimport NEGLIGIBLE
from fastreg._core.cholesky cimport EXACT
from fastreg._core.kernels cimport simd
from fastreg._core.quadratic_state cimport (
    Membership,
    QuadraticState,
    boundary_ahead,
    is_free,
    move,
    noise_at,
    refresh,
    room_ahead,
    size_of,
    slope_of,
)

cdef enum:
    FEW = 16    # changes of the factor that come one by one in any case, ...
    MANY = 48   # ... and that a new one is cheaper than, however large it is

cdef double FAR = 1e3  # steps along a null direction, in units of the prediction
cdef double TOO_FAR = 1e8  # the same for a Newton step
cdef double TIE = 1e-9  # part of a Newton step that is no reason to stop again: copies of a column


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
        if work > WORK_A_LOOK:  # the others next time: a part of the face is one, too
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


cdef bint newton(QuadraticState* q) noexcept nogil:
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
        enough = work[0] > WORK_A_LOOK
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
            else:  # rounding of a long step may be longer than what is left
                q.u[j] = max(q.lower[j], min(q.u[j] + length * d[k], q.upper[j]))
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
