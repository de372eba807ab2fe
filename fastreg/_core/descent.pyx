# Design: moving one coordinate after the other on the residual needs neither a Gram matrix nor a
# factor, however large the support is: on sparse X, of which a column is read in no time, and on
# dense X where a few digits suffice. How many rounds it takes nobody knows beforehand: whoever
# calls is asked after every certificate. Where columns depend on each other, rounds gain next to
# nothing; then conjugate gradients, which read as much as rounds, go towards the minimum over the
# support first.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs

from fastreg._core.design cimport check_interrupt
from fastreg._core.first_order cimport FirstOrder, weighted_square
from fastreg._core.objective cimport LeastSquares
from fastreg._core.penalty cimport prox

cdef double FAIR = 0.5         # reads of X that a step takes, because its certificate takes one,
cdef double MOST = 10.0        # and at most
cdef double LESS = 0.1         # share of the decrease of an early round that ends a step
cdef double NEGLIGIBLE = 1e-9  # share of the tolerance that is not worth a round
cdef double LONGEST = 1000.0   # reads of X that conjugate gradients may take in a step


@final
cdef class CoordinateDescent(FirstOrder):
    """Coordinate descent on the residual, over those features that matter.

    A step begins with all features that the last certificate finds in the support or in violation
    of optimality, and goes on with those that are nonzero after the first round.
    """
    cdef int[::1] face             # of those, the ones that conjugate gradients move
    cdef double[::1] along         # their direction
    cdef double[::1] slope         # minus the derivatives of the objective along them
    cdef double[::1] image         # Z along
    cdef bint is_slow              # did rounds gain little in the last step?
    cdef double patience           # reads for conjugate gradients

    cdef double[::1] v             # weight * residual, but for `rest` * weight
    cdef double rest
    cdef double equal              # the weight of every row, or zero
    cdef int[::1] feature          # those that move
    cdef Py_ssize_t size
    cdef Py_ssize_t n_rounds
    cdef double work               # entries that the rounds have read
    cdef double enough             # decrease of the objective that is not worth a round
    cdef object goes_on            # asked after every certificate, or None

    def __init__(self, LeastSquares problem, double gram_memory, double tolerance, goes_on):
        cdef const double[::1] weight = problem.weight
        super().__init__(problem, gram_memory)
        self.certify_every = self.renew_every = 1
        self.metric = np.asarray(problem.norm) ** 2
        self.smallest_norm = False
        self.v = np.empty(problem.design.n_samples)
        self.feature = np.empty(problem.design.n_features, dtype=np.int32)
        self.equal = weight[0] if np.ptp(weight) == 0.0 else 0.0
        self.face = np.empty(problem.design.n_features, dtype=np.int32)
        self.along = np.empty(problem.design.n_features)
        self.slope = np.empty(problem.design.n_features)
        self.image = np.empty(problem.design.n_samples)
        self.is_slow = False
        self.patience = MOST
        self.n_rounds = 0
        self.work = 0.0
        self.enough = NEGLIGIBLE * tolerance
        self.goes_on = goes_on
        problem.selection.grant(gram_memory)

    cdef bint step(self) except -1:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t j, rounds = 0, moved = self.problem.n_active
        cdef double decrease, second = 0.0, spent = 0.0
        if self.goes_on is not None and not self.goes_on(self.work, self.proof.gap, moved):
            return False
        self.size = 0
        for j in range(problem.design.n_features):
            if (problem.w[j] != 0.0 or fabs(problem.c[j]) > problem.l1[j]) and (
                    problem.is_movable(j)):
                self.feature[self.size] = <int>j
                self.size += 1
        problem.selection.extend(self.feature[:self.size])
        if self.is_slow:
            self.work += self._follow_face()
        self.v[:] = problem.weighted
        self.rest = 0.0
        while True:
            spent += problem.design.share_of(&self.feature[0], self.size)
            with nogil:
                decrease = self._round(problem)
            rounds += 1
            second = decrease if rounds == 2 else second
            if decrease <= self.enough or (
                    rounds > 1 and decrease <= LESS * second and spent > FAIR) or spent > MOST:
                break
            check_interrupt()
        self.is_slow = spent > MOST or rounds == 1
        if rounds == 1:  # if that is no proof, it takes less
            self.enough *= LESS
        self.work += 2.0 * spent + 1.0
        self.n_rounds += rounds
        return True

    cdef double _follow_face(self) except -1.0:
        """Conjugate gradients over the nonzero features, until rounds may help again.

        One that meets zero or a bound stays there. Returns the reads of X.
        """
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t i, k, blocking, m = self._list_face()
        cdef double descent, before = 0.0, length, room, boundary = 0.0, spent = 0.0
        while m > 0:
            descent = 0.0
            for k in range(m):
                descent += self.slope[k] ** 2 / self._curvature(self.face[k])
            for k in range(m):
                self.along[k] = self.slope[k] / self._curvature(self.face[k]) + (
                    descent / before * self.along[k] if before > 0.0 else 0.0)
            length = descent / self._curve(m)
            if not 0.0 < length < INFINITY:
                break
            blocking = -1
            for k in range(m):
                room = self._room(self.face[k], self.along[k])
                if room < length:
                    length = room
                    blocking = k
            if blocking >= 0:
                boundary = self._boundary(self.face[blocking], self.along[blocking])
            for k in range(m):
                problem.w[self.face[k]] += length * self.along[k]
            for i in range(problem.design.n_samples):
                problem.residual[i] -= length * self.image[i]
                problem.weighted[i] = problem.weight[i] * problem.residual[i]
            spent += 2.0 * problem.design.share_of(&self.face[0], m)
            before = descent
            if blocking >= 0:
                problem.w[self.face[blocking]] = boundary
                m -= 1
                self.face[blocking] = self.face[m]
                before = 0.0
            elif 0.5 * length * descent <= self.enough:
                break
            if spent > self.patience:
                self.patience = min(2.0 * self.patience, LONGEST)
                break
            problem.selection.correlate_columns(
                &self.face[0], m, &problem.weighted[0], &self.slope[0])
            self._subtract_penalty(m)
            check_interrupt()
        problem.update_residual()
        return spent

    cdef Py_ssize_t _list_face(self) noexcept:
        """List the features that may move either way, and their slopes; return how many."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, j, m = 0
        for k in range(self.size):
            j = self.feature[k]
            if (problem.w[j] != 0.0 or problem.l1[j] == 0.0) and (
                    problem.lower[j] < problem.w[j] < problem.upper[j]):
                self.face[m] = <int>j
                self.slope[m] = problem.c[j]
                m += 1
        self._subtract_penalty(m)
        return m

    cdef void _subtract_penalty(self, Py_ssize_t m) noexcept:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, j
        for k in range(m):
            j = self.face[k]
            self.slope[k] -= problem.l2[j] * problem.w[j] + (
                problem.l1[j] if problem.w[j] > 0.0 else -problem.l1[j])

    cdef double _curvature(self, Py_ssize_t j) noexcept:
        return self.metric[j] + self.problem.l2[j]

    cdef double _curve(self, Py_ssize_t m) except -1.0:
        """The curvature of the objective along the direction."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k
        cdef double curve
        self.image[:] = 0.0
        problem.selection.add_columns(&self.face[0], m, &self.along[0], &self.image[0])
        curve = weighted_square(problem, self.image)
        for k in range(m):
            curve += problem.l2[self.face[k]] * self.along[k] ** 2
        return curve

    cdef double _boundary(self, Py_ssize_t j, double velocity) noexcept:
        """Where a feature must stop: at zero, if that is a kink ahead of it, or at a bound."""
        cdef LeastSquares problem = self.problem
        cdef double w = problem.w[j]
        cdef bint kink = problem.l1[j] > 0.0 and (w > 0.0) == (velocity < 0.0)
        if velocity > 0.0:
            return min(0.0, problem.upper[j]) if kink else problem.upper[j]
        return max(0.0, problem.lower[j]) if kink else problem.lower[j]

    cdef double _room(self, Py_ssize_t j, double velocity) noexcept:
        if velocity == 0.0:
            return INFINITY
        return (self._boundary(j, velocity) - self.problem.w[j]) / velocity

    cdef double _round(self, LeastSquares problem) noexcept nogil:
        """Move every listed feature to its minimum; unlist those at zero; return the decrease."""
        cdef Py_ssize_t k, j, left = 0
        cdef double c, new, change, decrease = 0.0
        for k in range(self.size):
            j = self.feature[k]
            c = problem.selection.meet(j, &self.v[0], self.rest)
            new = prox(problem.penalty, j, c + self.metric[j] * problem.w[j], self.metric[j])
            change = new - problem.w[j]
            if change != 0.0:
                self.rest += problem.selection.move(
                    j, change, &problem.weight[0], self.equal, &self.v[0])
                decrease += 0.5 * (self.metric[j] + problem.l2[j]) * change * change
                problem.w[j] = new
            if new != 0.0 or problem.l1[j] == 0.0:
                self.feature[left] = <int>j
                left += 1
        self.size = left
        return decrease


def coordinate_descent(LeastSquares problem, double l1, double l2, double tolerance,
                       Py_ssize_t max_iter, double deadline, double gram_memory, goes_on=None):
    """Coordinate descent on the residual.

    Columns of X that are scattered are copied, up to `gram_memory` bytes. `goes_on(work, gap,
    n_active)` says before every step whether to take it; work is in reads of X. Returns (status,
    gap, kappa, radius, iterations, sweeps).
    """
    problem.set_strength(l1, l2)
    cdef CoordinateDescent method = CoordinateDescent(problem, gram_memory, tolerance, goes_on)
    if problem.is_settled:  # no need to know how far from optimal the start is
        method.proof.gap = INFINITY
    else:
        method._start(tolerance)
    status, gap, kappa, radius, n_iter, _ = method.run(tolerance, tolerance, max_iter, deadline)
    return status, gap, kappa, radius, n_iter, method.n_rounds
