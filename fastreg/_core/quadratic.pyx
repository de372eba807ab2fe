# Design: both moves (a sweep of coordinate descent, a Newton step stopped at the first boundary)
# lower the objective, so they may follow each other in any order. A multiple of an earlier column
# (its twin) rests at zero as long as it violates optimality no more than that one, whose moves
# serve both.
#
# The solver is a plain struct and free functions, which take memory as it is given to them: that
# of the owner below, which grows with a working set, or anybody's.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy, memset

from fastreg._core cimport factor
from fastreg._core.active_set cimport WORK_A_LOOK, decrement, newton
from fastreg._core.certificate cimport Certificate, certify
from fastreg._core.design cimport check_interrupt
from fastreg._core.kernels cimport axpy, simd
from fastreg._core.penalty cimport prox
from fastreg._core.penalty cimport violation as violation_of
from fastreg._core.quadratic_state cimport (
    VECTORS,
    Membership,
    Proof,
    QuadraticState,
    adopt,
    attach,
    count_new,
    divide,
    is_free,
    noise_at,
    quadratic_size,
    refresh,
    residual_square,
    rests,
    vectors_size,
)
from fastreg._core.selection cimport Selection

cdef enum:
    SWEEPS_A_LOOK = 5   # sweeps before a Newton step is tried on a moving support
    SOON = 2            # the same where a step costs no more than some sweeps: ...
    SMALL = 32          # ... up to so many coordinates
    PATIENCE = 20       # looks without progress before giving up


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
        if since_check > WORK_A_LOOK:
            since_check = 0
            if not q.is_unattended and check_interrupt(deadline):
                return True
        if changed and not stationary and q.n_sweeps % a_look:
            continue
        if changed or not stationary:
            since_check += WORK_A_LOOK // 2
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
