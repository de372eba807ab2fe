# Design: G is kept complete and symmetric, so that moving one coordinate is one contiguous axpy on
# the correlations c. Both moves (a sweep, a Newton step stopped at the first boundary) lower the
# objective, so they may follow each other in any order. The factor holds the free coordinates:
# nonzero (or unpenalised) and strictly between their bounds. A coordinate that depends on the
# members is moved along the null direction until something reaches zero or a bound, so the support
# never outgrows the rank. A multiple of an earlier column (its twin) rests at zero as long as it
# violates optimality no more than that one, whose moves serve both. Correlations are recomputed
# from the last exactly known point before they are trusted: rounding does not accumulate.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memmove

from fastreg._core.certificate cimport NEGLIGIBLE, Certificate, certify
from fastreg._core.cholesky cimport EXACT
from fastreg._core.design cimport check_interrupt
from fastreg._core.factor cimport Factor
from fastreg._core.kernels cimport add_rows, axpy, simd
from fastreg._core.penalty cimport Penalty, prox
from fastreg._core.penalty cimport violation as violation_of
from fastreg._core.selection cimport Selection

cdef enum:
    SWEEPS_A_LOOK = 5            # sweeps before a Newton step is tried on a moving support
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


@final
cdef class Quadratic:
    """The quadratic problem of a working set, its solver and its state."""

    def __init__(self):
        self.size = 0
        self._n_twins = 0
        self._inexact = 0.0
        self.column = np.empty(0, dtype=np.int32)
        self.factor = Factor()
        self._reserve(1)

    cdef _reserve(self, Py_ssize_t capacity):
        cdef Py_ssize_t m = self.size
        gram = np.empty((capacity, capacity))
        if m:
            gram[:m, :m] = self.gram[:m, :m]
        self.gram = gram
        self.u = _grown(self.u, m, capacity)
        self.c = _grown(self.c, m, capacity)
        self.norm = _grown(self.norm, m, capacity)
        self._base_u = _grown(self._base_u, m, capacity)
        self._base_c = _grown(self._base_c, m, capacity)
        self._l1 = _grown(self._l1, m, capacity)
        self._l2 = _grown(self._l2, m, capacity)
        self._lower = _grown(self._lower, m, capacity)
        self._upper = _grown(self._upper, m, capacity)
        self._step = np.empty(capacity)
        self._before = np.empty(capacity)
        self._row = np.empty(capacity, dtype=np.int32)
        self._excess = _grown(self._excess, m, capacity)
        self._corrected = np.empty(capacity)
        is_member = np.zeros(capacity, dtype=np.int8)
        twin = np.empty(capacity, dtype=np.int32)
        if m:
            is_member[:m] = self.is_member[:m]
            twin[:m] = self._twin[:m]
        self.is_member = is_member
        self._twin = twin
        self._penalty.l1 = &self._l1[0]
        self._penalty.l2 = &self._l2[0]
        self._penalty.lower = &self._lower[0]
        self._penalty.upper = &self._upper[0]
        self.factor.reserve(capacity)

    cdef extend(self, Selection selection, int[::1] columns, const double[::1] weight):
        cdef Py_ssize_t old = self.size, new = columns.shape[0], capacity = self.u.shape[0]
        if new == 0:
            return
        self.column = np.concatenate([self.column, columns])
        if old + new > capacity:
            self._reserve(min(max(old + new, 2 * old), selection.design.n_features))
        selection.extend(columns)
        selection.gram(self.column, old, weight, self.gram)
        self._count_new(new)

    cdef extend_known(self, int[::1] columns, const double[:, ::1] gram):
        cdef Py_ssize_t new = columns.shape[0]
        self.column = columns
        if new > self.u.shape[0]:
            self._reserve(new)
        self.gram[:new, :new] = gram
        self._count_new(new)

    cdef void _count_new(self, Py_ssize_t new) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.size, self.size + new):
            self.norm[j] = sqrt(self.gram[j, j])
            self.is_member[j] = Membership.OUTSIDE
        self.size += new
        self._is_fresh = False
        self._find_twins(self.size - new)

    cdef void _find_twins(self, Py_ssize_t first) noexcept nogil:
        """Find, for each new coordinate, an earlier one whose column is a multiple of its own."""
        cdef Py_ssize_t j, k
        cdef double least
        for j in range(first, self.size):
            self._twin[j] = -1
            least = (1.0 - TWIN) * self.gram[j, j]
            if not least > 0.0:
                continue
            for k in range(j):
                if self.gram[j, k] * self.gram[j, k] >= least * self.gram[k, k] > 0.0 and (
                        self._twin[k] < 0):
                    self._twin[j] = <int>k
                    self._n_twins += 1
                    break

    cdef bint _rests(self, Py_ssize_t j) noexcept nogil:
        """Should it stay at zero if it is there? With a ridge part twins would share the weight."""
        return self._twin[j] >= 0 and self._l1[j] > 0.0 and self._l2[j] == 0.0

    cdef bint _wake(self) noexcept nogil:
        """Let twins move that violate optimality more than the coordinates that they rest on.

        Then they are cheaper, or a bound stops the other, or they only look like twins. Return
        whether there were any.
        """
        cdef Py_ssize_t j, k
        cdef double noise, own, other
        cdef bint woken = False
        if self._n_twins == 0:
            return False
        noise = 0.25 * self.noise(self._base_square)
        for j in range(self.size):
            if self.u[j] != 0.0 or not self._rests(j):
                continue
            k = self._twin[j]
            own = violation_of(self._penalty, j, 0.0, self.c[j]) / self.norm[j]
            other = violation_of(self._penalty, k, self.u[k], self.c[k]) / self.norm[k]
            if own > other + noise:
                self._twin[j] = -1
                self._n_twins -= 1
                woken = True
        return woken

    cdef reserve(self, Py_ssize_t capacity):
        self.adopt(0)
        self._reserve(capacity)
        self.column = np.arange(capacity, dtype=np.int32)

    cdef void begin(self) noexcept nogil:
        self._forget_factor()
        self._is_warm = False

    cdef void expect_all(self) noexcept nogil:
        self._is_warm = True  # so that a Newton step comes first

    cdef void adopt(self, Py_ssize_t size) noexcept nogil:
        self.begin()
        self._n_twins = 0
        self.size = 0
        self._count_new(size)

    cdef void set_penalty(self, Penalty h) noexcept nogil:
        cdef Py_ssize_t j
        cdef int feature
        cdef bint same_ridge = True
        for j in range(self.size):
            feature = self.column[j]
            same_ridge = same_ridge and self._l2[j] == h.l2[feature]
            self._l1[j] = h.l1[feature]
            self._l2[j] = h.l2[feature]
            self._lower[j] = h.lower[feature]
            self._upper[j] = h.upper[feature]
        self._ridge = -1.0
        if not same_ridge:
            self._forget_factor()

    cdef void strengthen(
        self, double l1, const double* l1_factor, double l2, const double* l2_factor,
    ) noexcept nogil:
        cdef Py_ssize_t j
        cdef double* strength = &self._l1[0]
        for j in range(self.size):
            strength[j] = l1 * l1_factor[j]
        if l2 == self._ridge:
            return
        self._ridge = l2
        strength = &self._l2[0]
        for j in range(self.size):
            strength[j] = l2 * l2_factor[j]
        self._forget_factor()

    cdef void _forget_factor(self) noexcept nogil:
        cdef Py_ssize_t k
        self._is_warm = self.factor.size > 0
        for k in range(self.size):
            self.is_member[k] = Membership.OUTSIDE
        self.n_doubtful = 0
        self._inexact = 0.0
        self.factor.clear()

    cdef void load(self, const double* u, const double* c, double residual_square) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.size):
            self._base_u[j] = self.u[j] = u[self.column[j]]
            self._base_c[j] = self.c[j] = c[self.column[j]]
        self._base_square = residual_square
        self._base_size = self._size()
        self._is_fresh = True

    cdef void place(self, const double* u, const double* c) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.size):
            self.u[j] = u[self.column[j]]
            self.c[j] = c[self.column[j]]

    cdef void load_new(self, Py_ssize_t first, const double* c) noexcept nogil:
        cdef Py_ssize_t j, k
        for j in range(first, self.size):
            self.u[j] = self._base_u[j] = 0.0
            self.c[j] = self._base_c[j] = c[self.column[j]]
        for k in range(first):
            if self.u[k] != self._base_u[k]:
                axpy(self.u[k] - self._base_u[k], &self.gram[k, first], &self._base_c[first],
                     self.size - first)

    cdef void store(self, double* u, double* c) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.size):
            u[self.column[j]] = self.u[j]
            c[self.column[j]] = self.c[j]

    cdef double residual_square(self) noexcept nogil:
        cdef double change = 0.0
        cdef Py_ssize_t j
        for j in range(self.size):
            if self.u[j] != self._base_u[j]:
                change += (self._base_c[j] + self.c[j]) * (self.u[j] - self._base_u[j])
        return max(0.0, self._base_square - change)

    cdef double distance(self) noexcept nogil:
        cdef double length = 0.0
        cdef Py_ssize_t j
        for j in range(self.size):
            length += self.norm[j] * fabs(self.u[j] - self._base_u[j])
        return length

    cdef double _size(self) noexcept nogil:
        """Sum of norm_j |u_j|: what may cancel in a prediction."""
        return simd.size(&self.norm[0], &self.u[0], self.size)

    cdef double rounding(self) noexcept nogil:
        cdef double size = self._size()
        if self._base_size + sqrt(self._base_square) > FAR_BASE * (size + 1.0):
            return INFINITY
        return ROUNDING * size * size

    cdef double noise(self, double square) noexcept nogil:
        return 2.0 * ROUNDING * (sqrt(square) + self._size())

    cdef void _refresh(self) noexcept nogil:
        """Recompute the correlations from the base point, unless that has just been done."""
        cdef Py_ssize_t j, count = 0
        if self._is_fresh:
            return
        self._is_fresh = True
        for j in range(self.size):
            self.c[j] = self._base_c[j]
        for j in range(self.size):
            if self.u[j] != self._base_u[j]:
                self._row[count] = <int>j
                self._corrected[count] = self._base_u[j] - self.u[j]
                count += 1
        add_rows(&self.gram[0, 0], self.gram.shape[1], &self._row[0], &self._corrected[0], count,
                 &self.c[0], self.size)

    cdef bint _is_free(self, Py_ssize_t j) noexcept nogil:
        return (
            (self.u[j] != 0.0 or self._l1[j] == 0.0)
            and self._lower[j] < self.u[j] < self._upper[j]
            and self.gram[j, j] > 0.0
        )

    cdef double _slope(self, Py_ssize_t j) noexcept nogil:
        """Minus the derivative of the objective along a free coordinate."""
        cdef double sign = 1.0 if self.u[j] > 0.0 else (-1.0 if self.u[j] < 0.0 else 0.0)
        return self.c[j] - self._l1[j] * sign - self._l2[j] * self.u[j]

    cdef double _boundary(self, Py_ssize_t j, double velocity) noexcept nogil:
        """Where coordinate j must stop: at zero, if that is a kink ahead of it, or at a bound."""
        if velocity > 0.0:
            return 0.0 if self._l1[j] > 0.0 and self.u[j] < 0.0 < self._upper[j] else self._upper[j]
        return 0.0 if self._l1[j] > 0.0 and self.u[j] > 0.0 > self._lower[j] else self._lower[j]

    cdef double _room(self, Py_ssize_t j, double velocity) noexcept nogil:
        if velocity == 0.0:
            return INFINITY
        return (self._boundary(j, velocity) - self.u[j]) / velocity

    cdef Py_ssize_t _sweep(self, bint outside, double noise) noexcept nogil:
        """One round of coordinate descent, over all or (outside) those that are no members.

        Violations below the noise are left: where columns depend on each other there are ties, and
        rounding would let the same ones in again and again. Return how many coordinates changed
        their face.
        """
        cdef Py_ssize_t j, changed = 0
        cdef double old, new, diagonal
        for j in range(self._first_to_move(outside), self.size):
            diagonal = self.gram[j, j]
            old = self.u[j]
            if not diagonal > 0.0 or (outside and self.is_member[j]):
                continue
            if old == 0.0 and (
                    fabs(self.c[j]) <= self._l1[j] * (1.0 + 1e-14) + noise * self.norm[j]
                    or self._rests(j)):
                continue
            new = prox(self._penalty, j, self.c[j] + diagonal * old, diagonal)
            if new != old:
                axpy(old - new, &self.gram[j, 0], &self.c[0], self.size)
                self.u[j] = new
                self._is_fresh = False
                changed += self._is_free(j) != (self.is_member[j] != Membership.OUTSIDE)
        return changed

    cdef Py_ssize_t _first_to_move(self, bint outside) noexcept nogil:
        """The first coordinate that a sweep may move; the size if there is none."""
        cdef Py_ssize_t k
        cdef int* row = &self._row[0]
        cdef Py_ssize_t count = simd.list_urgent(
            &self.c[0], &self.u[0], &self._l1[0], 1.0, self.size, row)
        for k in range(count):
            if not (outside and self.is_member[row[k]]):
                return row[k]
        return self.size

    cdef void synchronise(self) noexcept nogil:
        cdef Py_ssize_t k, j, work = 0, kept = 0, new
        for j in range(self.size if self.n_doubtful else 0):
            if self.is_member[j] == Membership.DEPENDENT:
                self.is_member[j] = Membership.OUTSIDE
                self.n_doubtful -= 1
        for k in range(self.factor.size):
            kept += self._is_free(self.factor.member[k])
        new = self._list_new(kept)
        if self._renew(kept, new):
            return
        for k in range(self.factor.size - 1 if kept < self.factor.size else -1, -1, -1):
            if not self._is_free(self.factor.member[k]):
                self._expel(k)
        for k in range(kept, kept + new):
            self._admit(self._row[k])
            work += self.factor.size * self.factor.size
            if work > WORK_A_CHECK:  # the others next time: a part of the face is one, too
                return

    cdef Py_ssize_t _list_new(self, Py_ssize_t room) noexcept nogil:
        """List the free coordinates outside of the factor, in `_row` behind some room.

        Return how many there are.
        """
        cdef int* row = &self._row[0]
        cdef Py_ssize_t j, k, count = 0
        for k in range(simd.list_urgent(
                &self.c[0], &self.u[0], &self._l1[0], 1.0, self.size, row)):
            j = row[k]
            row[count] = <int>j
            count += self.is_member[j] == Membership.OUTSIDE and self._is_free(j)
        memmove(row + room, row, count * sizeof(int))
        return count

    cdef bint _renew(self, Py_ssize_t kept, Py_ssize_t new) noexcept nogil:
        """Make a new factor of all free coordinates where that is cheaper, and they allow it.

        `kept` of them are members; the `new` ones are listed in `_row` behind room for those.
        """
        cdef Py_ssize_t j, k, count = 0, gone = self.factor.size - kept
        cdef int* row = &self._row[0]
        if self.n_doubtful or new + 2 * gone < max(FEW, min((kept + new) // 8, MANY)):
            return False
        if kept + new == 0:
            return False
        for k in range(self.factor.size):
            if self._is_free(self.factor.member[k]):
                row[count] = self.factor.member[k]
                count += 1
        count += new
        if not self.factor.rebuild(
                row, count, &self.gram[0, 0], self.gram.shape[1], &self._l2[0]):
            return False
        for j in range(self.size):
            self.is_member[j] = Membership.OUTSIDE
        for k in range(count):
            self.is_member[row[k]] = Membership.MEMBER
            self._excess[row[k]] = 0.0
        self._inexact = self.factor.doubt
        return True

    cdef list doubtful(self):
        cdef Py_ssize_t j
        if self.n_doubtful == 0:
            return []
        return [j for j in range(self.size)
                if self.is_member[j] in (Membership.DEPENDENT, Membership.FORCED)]

    cdef express(self, Py_ssize_t j, double[::1] out):
        out[:] = 0.0
        out[j] = 1.0
        self.refine(j, self.gram[j, :self.size], out)

    cdef refine(self, Py_ssize_t j, const double[::1] products, double[::1] out):
        cdef Py_ssize_t k, count = self.factor.size
        cdef double[::1] weight = np.empty(count + 1)
        for k in range(count):
            weight[k] = products[self.factor.member[k]]
        self.factor.solve(&weight[0])
        if self.is_member[j] == Membership.FORCED:
            self._leave_out(j, np.asarray(weight)[:count])
        for k in range(count):
            out[self.factor.member[k]] -= weight[k]

    cdef _leave_out(self, Py_ssize_t j, weight):
        """Let weights express by the plain members, and the forced ones before j, alone.

        Another product with j, or with a forced member behind it, would change the weights by a
        multiple of its column of the inverse: as much as takes their own to zero.
        """
        cdef Py_ssize_t k
        cdef double[::1] unit
        cdef list out = [], inverse = []
        for k in range(self.factor.size):
            if self.factor.member[k] == j or (
                    out and self.is_member[self.factor.member[k]] == Membership.FORCED):
                out.append(k)
                unit = np.zeros(self.factor.size)
                unit[k] = 1.0
                self.factor.solve(&unit[0])
                inverse.append(np.asarray(unit))
        rows = np.array(inverse)
        weight -= np.linalg.lstsq(rows[:, out], weight[out], rcond=None)[0] @ rows
        weight[out] = 0.0

    cdef void _expel(self, Py_ssize_t k) noexcept nogil:
        self.n_doubtful -= self.is_member[self.factor.member[k]] == Membership.FORCED
        self.is_member[self.factor.member[k]] = Membership.OUTSIDE
        self.factor.delete(k)

    cdef void _admit(self, Py_ssize_t j) noexcept nogil:
        """Make a free coordinate a member, or move it until it need not be one."""
        cdef Py_ssize_t k
        cdef double level, pivot, diagonal = self.gram[j, j] + self._l2[j]
        while self._is_free(j):
            level = self._l1[j]
            for k in range(self.factor.size):
                self._step[k] = self.gram[j, self.factor.member[k]]
            if self.factor.append(<int>j, &self._step[0], diagonal):
                self._excess[j] = 0.0
                if self.factor.doubt > EXACT:
                    self.is_member[j] = Membership.FORCED
                    self.n_doubtful += 1
                else:
                    self.is_member[j] = Membership.MEMBER
                    self._inexact = max(self._inexact, self.factor.doubt)
                return
            for k in range(self.factor.size):
                level += fabs(self._step[k]) * self._l1[self.factor.member[k]]
            pivot = self.factor.pivot(diagonal)
            if level == 0.0 and pivot <= max(  # its value is a choice
                    NEGLIGIBLE * diagonal, self.factor.noise):
                self.is_member[j] = Membership.DEPENDENT
                self.n_doubtful += 1
                return
            if not self._slide(j, &self._step[0], level):
                self._excess[j] = self.factor.force(<int>j, diagonal)
                self.is_member[j] = Membership.FORCED
                self.n_doubtful += 1
                return

    cdef bint _slide(self, Py_ssize_t j, const double* weight, double level) noexcept nogil:
        """Move along the null direction e_j - sum_k weight_k e_member(k) until a boundary.

        Return whether a coordinate went to its boundary (a member then leaves the factor); without
        a boundary within reach nothing moves. `level` is the size of the slopes along the way.
        """
        cdef Py_ssize_t k, i, blocking = -2
        cdef double slope = self._slope(j), curvature = self.gram[j, j] + self._l2[j]
        cdef double direction, room, length, reach, boundary
        for k in range(self.factor.size):
            i = self.factor.member[k]
            slope -= weight[k] * self._slope(i)
            curvature -= weight[k] * self.gram[j, i]
        curvature = max(curvature, NEGLIGIBLE * (self.gram[j, j] + self._l2[j]))
        if fabs(slope) <= 1e-10 * level:
            direction = -1.0 if self.u[j] > 0.0 else 1.0
            length = INFINITY
        else:
            direction = 1.0 if slope > 0.0 else -1.0
            length = fabs(slope) / curvature
        room = self._room(j, direction)
        if room < length:
            length = room
            blocking = -1
        for k in range(self.factor.size):
            room = self._room(self.factor.member[k], -direction * weight[k])
            if room < length:
                length = room
                blocking = k
        reach = self.norm[j]
        for k in range(self.factor.size):
            reach = max(reach, fabs(weight[k]) * self.norm[self.factor.member[k]])
        # So far the direction is null only up to rounding.
        if blocking == -2 or not length * reach <= FAR * self._size():
            return False
        i = j if blocking == -1 else self.factor.member[blocking]
        boundary = self._boundary(i, direction if i == j else -direction * weight[blocking])
        self._move(j, direction * length)
        for k in range(self.factor.size):
            self._move(self.factor.member[k], -direction * length * weight[k])
        self.u[i] = boundary
        self._is_fresh = False
        if blocking >= 0:
            self._expel(blocking)
        return True

    cdef void _move(self, Py_ssize_t j, double distance) noexcept nogil:
        if distance != 0.0:
            self.u[j] += distance
            self._is_fresh = False
            axpy(-distance, &self.gram[j, 0], &self.c[0], self.size)

    cdef bint _newton(self) noexcept nogil:
        """Go to the minimum over the free coordinates, leaving out those that meet a boundary.

        Return whether it was reached.
        """
        cdef Py_ssize_t rounds, work = 0
        self.synchronise()
        for rounds in range(2):  # the second one refines the first against rounding
            if self.factor.size == 0 or (rounds == 1 and self._is_stationary()):
                break
            if not self._newton_round(&work):
                return False
        return True

    cdef bint _newton_round(self, Py_ssize_t* work) noexcept nogil:
        """One Newton step, with as many stops at a boundary as it takes."""
        cdef Py_ssize_t k, j, count = self.factor.size
        cdef double length = 0.0, size = self._size() + sqrt(self._base_square)
        cdef double* d = &self._step[0]
        cdef double* slope = &self._corrected[0]  # by coordinate; so is the point before
        cdef bint enough = False
        for k in range(count):
            j = self.factor.member[k]
            self._row[k] = <int>j
            self._before[j] = self.u[j]
            slope[j] = self._slope(j)
        while self.factor.size > 0 and length < 1.0 and not enough:
            work[0] += self.factor.size * (self.factor.size + 1)
            enough = work[0] > WORK_A_CHECK
            for k in range(self.factor.size):
                d[k] = slope[self.factor.member[k]]
            self.factor.solve(d)
            length = 1.0
            for k in range(self.factor.size):
                length = min(length, self._room(self.factor.member[k], d[k]))
            # Part of a Newton step takes the same part of every slope.
            for k in range(self.factor.size):
                j = self.factor.member[k]
                slope[j] *= 1.0 - length
                if length < 1.0 and self._room(j, d[k]) <= length * (1.0 + TIE):
                    self.u[j] = self._boundary(j, d[k])
                else:
                    self.u[j] += length * d[k]
            if length < 1.0:
                for k in range(self.factor.size - 1, -1, -1):
                    if not self._is_free(self.factor.member[k]):
                        self._expel(k)
        if not self._size() <= TOO_FAR * size:  # rounding of an ill-conditioned factor
            for k in range(count):
                self.u[self._row[k]] = self._before[self._row[k]]
            return False
        self._is_fresh = False
        self._refresh()
        return not enough

    cdef bint _is_stationary(self) noexcept nogil:
        """Are the slopes along all members rounding?"""
        cdef Py_ssize_t k, j
        cdef double noise = 0.25 * self.noise(self._base_square)
        for k in range(self.factor.size):
            j = self.factor.member[k]
            if fabs(self._slope(j)) > noise * self.norm[j]:
                return False
        return True

    cdef double decrement(self, double measured=-1.0) noexcept nogil:
        cdef Py_ssize_t k, j
        cdef double square = 0.0, slope
        cdef double* d = &self._step[0]
        for k in range(self.factor.size):
            if not self._is_free(self.factor.member[k]):
                return INFINITY
            d[k] = self._slope(self.factor.member[k])
        self.factor.solve_half(d)
        for k in range(self.factor.size):
            square += d[k] * d[k]
        square *= 1.0 + 2.0 * self._inexact
        self.factor._solve_other_half(d)
        for k in range(self.factor.size):
            if self._room(self.factor.member[k], d[k]) <= 1.0:
                return INFINITY
        if measured >= 0.0:
            return square + measured
        # What the step leaves behind in directions of negligible curvature.
        for j in range(self.size):
            if self.is_member[j] == Membership.DEPENDENT:
                slope = self._slope(j)
                for k in range(self.factor.size):
                    slope -= d[k] * self.gram[j, self.factor.member[k]]
                square += slope * slope / (NEGLIGIBLE * self.gram[j, j])
        for k in range(self.factor.size):
            j = self.factor.member[k]
            if self.is_member[j] == Membership.FORCED:
                slope = self._excess[j] * d[k]
                square += slope * slope / (NEGLIGIBLE * self.gram[j, j])
        return square

    cdef Proof prove(
        self, double square, double noise, double cap, double radius=0.0) noexcept nogil:
        cdef Certificate plain = certify(
            self._penalty, self.size, &self.u[0], &self.c[0], &self.norm[0], radius,
            noise, NULL, square, &self._row[0], cap)
        return Proof(plain.gap, plain.kappa, radius)

    cdef Proof prove_corrected(
        self, double square, double extra, double drift, double cap) noexcept nogil:
        cdef Py_ssize_t k
        cdef Certificate proof
        if extra == INFINITY:
            return Proof(INFINITY, 0.0, 0.0)
        for k in range(self.size):
            self._corrected[k] = self.u[k]
        for k in range(self.factor.size):
            self._corrected[self.factor.member[k]] += self._step[k]
        proof = certify(self._penalty, self.size, &self._corrected[0], &self.c[0],
                        &self.norm[0], sqrt(extra), self.noise(square), &self.is_member[0],
                        square, &self._row[0], cap)
        return Proof(proof.gap + 0.5 * extra + (1.0 - proof.kappa) * drift, proof.kappa,
                     sqrt(extra))

    cdef double _restricted_gap(self, double target) noexcept nogil:
        cdef double square = self.residual_square()
        cdef Proof corrected
        self.last_proof = self.prove(square, self.noise(square), 1.0)
        if self.last_proof.gap > target:
            corrected = self.prove_corrected(square, self.decrement(), 0.0, 1.0)
            if corrected.gap < self.last_proof.gap:
                self.last_proof = corrected
        return self.last_proof.gap

    cdef bint minimise(
        self, double target, Py_ssize_t max_sweeps, double deadline) except -1 nogil:
        cdef Py_ssize_t changed, looks = 0, since_check = 0
        cdef double gap, noise, best = INFINITY
        cdef bint stationary = False  # has a Newton step just gone to the minimum over its face?
        self.n_sweeps = 0
        if self.factor.size > 0 or self._is_warm:
            # between two supports a path is linear
            self._is_warm = False
            stationary = self._newton()
        while self.n_sweeps < max_sweeps:
            # without progress every violation counts
            noise = 0.25 * self.noise(self._base_square) if looks == 0 else 0.0
            self.last_proof.gap = INFINITY
            changed = self._sweep(stationary, noise)
            self.n_sweeps += 1
            since_check += self.size * self.size + 1
            if since_check > WORK_A_CHECK:
                since_check = 0
                if check_interrupt(deadline):
                    return True
            if changed and not stationary and self.n_sweeps % SWEEPS_A_LOOK:
                continue
            if changed or not stationary:
                since_check += WORK_A_CHECK // 2
                stationary = self._newton()
                # Rounding may let a dependent coordinate in again and again: look now and then.
                if changed and stationary and self.n_sweeps % SWEEPS_A_LOOK:
                    continue
            self._refresh()
            gap = self._restricted_gap(target)
            if gap <= target:
                break
            # Without progress over several looks only the true residual can help further.
            looks = 0 if self._wake() or gap < 0.5 * best else looks + 1
            best = min(best, gap)
            if looks > PATIENCE and (not changed or looks > 10 * PATIENCE):
                break
            stationary = False
        return False


cdef double[::1] _grown(double[::1] old, Py_ssize_t used, Py_ssize_t capacity):
    new = np.zeros(capacity)
    if used:
        new[:used] = old[:used]
    return new
