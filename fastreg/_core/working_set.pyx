# Design: solve the quadratic of the working set, certify it over all features, let the worst of
# the others in, repeat. Once the working set holds every feature that can move, its Gram matrix
# knows all correlations and X need not be read again, except to prove the answer at the end.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, sqrt

from fastreg._core.certificate cimport Certificate
from fastreg._core.dependence cimport Dependence
from fastreg._core.design cimport check_interrupt
from fastreg._core.objective cimport LeastSquares, Outcome
from fastreg._core.penalty cimport violation
from fastreg._core.quadratic cimport Quadratic

cdef enum:
    FIRST_BATCH = 64    # features that enter a cold working set
    PATIENCE = 4        # iterations without a better gap or a new feature


# A residual square computed from moments must keep this many digits, or X is read again.
cdef double CANCELLED = 1e-9


@final
cdef class WorkingSet:
    """Working-set solver of a LeastSquares problem; keeps its Gram matrix between calls."""

    cdef readonly LeastSquares problem
    cdef readonly Quadratic quadratic
    cdef Dependence _dependence
    cdef readonly bint complete
    cdef readonly Py_ssize_t n_movable
    cdef readonly double gap
    cdef readonly double kappa
    cdef readonly double radius
    cdef readonly Py_ssize_t n_iter
    cdef readonly Py_ssize_t n_sweeps
    cdef Py_ssize_t _limit
    cdef char[::1] _inside
    cdef double[::1] _score
    cdef double[::1] _old_l1
    cdef double[::1] _best_w
    cdef double _best_gap

    def __init__(self, LeastSquares problem, double gram_memory):
        cdef Py_ssize_t p = problem.design.n_features
        self.problem = problem
        self.quadratic = Quadratic()
        self._dependence = Dependence(problem, self.quadratic)
        # G and the packed factor: 12 bytes for each pair of features
        self._limit = <Py_ssize_t>min(sqrt(gram_memory / 12.0), <double>p)
        self._inside = np.zeros(p, dtype=np.int8)
        self._score = np.empty(p)
        self._old_l1 = np.full(p, np.inf)
        self._best_w = np.zeros(p)
        self.n_movable = 0
        for j in range(p):
            self.n_movable += problem.is_movable(j)
        self.complete = self.n_movable == 0

    def include_all(self):
        """Let every feature in: one Gram pass, after which X is not needed to solve."""
        if self.n_movable > self._limit:
            return False
        movable = (np.asarray(self.problem.lower) < self.problem.upper) & (
            np.asarray(self.problem.norm) > 0)
        self._enter(np.flatnonzero(movable & (np.asarray(self._inside) == 0)))
        return True

    cdef _enter(self, features):
        cdef int[::1] columns = features.astype(np.int32)
        cdef Py_ssize_t k
        if columns.shape[0] == 0:
            return
        self.quadratic.extend(self.problem.design, columns, self.problem.weight)
        self.quadratic.set_penalty(self.problem.penalty)
        for k in range(columns.shape[0]):
            self._inside[columns[k]] = 1
        self.complete = self.quadratic.size == self.n_movable
        if self.complete:
            self.problem.n_passes += 1

    cdef Py_ssize_t _grow(self, bint strong, Py_ssize_t batch) except -1:
        """Let in what violates optimality, or (strong) what may do so at the new strength."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t j, count = 0, p = problem.design.n_features
        cdef double level
        if self.complete:
            return 0
        for j in range(p):
            self._score[j] = 0.0
            if self._inside[j] or not problem.is_movable(j):
                continue
            self._score[j] = violation(problem.penalty, j, problem.w[j], problem.c[j])
            if strong and self._score[j] == 0.0 and self._old_l1[j] < INFINITY:
                # sequential strong rule; one-sided where a bound lies at zero
                level = max(0.0, problem.l1[j] - max(0.0, self._old_l1[j] - problem.l1[j]))
                if (problem.c[j] > level and problem.upper[j] > 0.0) or (
                        -problem.c[j] > level and problem.lower[j] < 0.0):
                    self._score[j] = 1e-300
            if problem.l1[j] == 0.0 or problem.w[j] != 0.0:
                self._score[j] = max(self._score[j], 1e-300)
            self._score[j] /= problem.norm[j]
            count += self._score[j] > 0.0
        if count == 0:
            return 0
        score = np.asarray(self._score)
        if count > batch:
            features = np.argpartition(-score, batch)[:batch]
            forced = (score > 0) & (np.asarray(problem.w) != 0)
            features = np.union1d(features, np.flatnonzero(forced))
        else:
            features = np.flatnonzero(score)
        count = len(features)
        if problem.design.n_samples > self.n_movable and (
                self.quadratic.size + count > self.n_movable // 3) and self.include_all():
            return count
        if self.quadratic.size + count > self._limit:
            return -2
        self._enter(np.sort(features))
        return count

    def solve(self, double l1, double l2, double tolerance, *, bint trust_gram, bint warm,
              Py_ssize_t max_iter, Py_ssize_t max_sweeps, double deadline):
        """Solve at one strength from the current w; return an Outcome."""
        cdef int outcome = self._iterate(
            l1, l2, tolerance, trust_gram, warm, max_iter, max_sweeps, deadline)
        if outcome < 0 and outcome != Outcome.GRAM_LIMIT:
            self.problem.place(self._best_w)
            self.quadratic.load(&self.problem.w[0], &self.problem.c[0], self.problem.square)
            self.quadratic.synchronise()
            self._certify(0.0)
        return outcome

    cdef _keep_best(self):
        """Remember the point with the smallest gap: rounding may lead away from it again."""
        if self.gap < self._best_gap or self._best_gap == INFINITY:
            self._best_gap = self.gap
            self._best_w[:] = self.problem.w

    cdef int _iterate(self, double l1, double l2, double tolerance, bint trust_gram, bint warm,
                      Py_ssize_t max_iter, Py_ssize_t max_sweeps, double deadline) except -99:
        cdef LeastSquares problem = self.problem
        cdef Quadratic quadratic = self.quadratic
        cdef Py_ssize_t j, grown, stale = 0
        cdef double best = INFINITY, rounding, square
        cdef bint from_gram, timed_out
        for j in range(problem.design.n_features):
            self._old_l1[j] = problem.l1[j] if warm else INFINITY
        problem.set_strength(l1, l2)
        quadratic.set_penalty(problem.penalty)
        self.n_iter = 0
        self.n_sweeps = 0
        self._certify(tolerance)
        self._best_gap = INFINITY
        self._keep_best()
        if self.gap <= tolerance:
            return Outcome.CONVERGED
        grown = self._grow(True, max(FIRST_BATCH, quadratic.size))
        while True:
            if grown == -2:
                return Outcome.GRAM_LIMIT
            if problem.is_true:
                quadratic.load(&problem.w[0], &problem.c[0], problem.square)
            with nogil:
                timed_out = quadratic.minimise(0.1 * tolerance, max_sweeps, deadline)
                quadratic.store(&problem.w[0], &problem.c[0])
                rounding = quadratic.rounding()
                square = quadratic.residual_square()
                from_gram = (
                    self.complete and trust_gram and rounding < 0.1 * tolerance
                    and rounding < CANCELLED * square)
            if self._dependence.refresh():
                from_gram = False
            with nogil:
                if from_gram:
                    problem.square = square
                    problem.residual_mean = 0.0
                    problem.is_true = False
                else:
                    problem.update_residual()
                    problem.update_correlation()
            self.n_iter += 1
            self.n_sweeps += quadratic.n_sweeps
            self._dependence.improve(0.1 * tolerance)
            self._certify(tolerance)
            if from_gram:
                self.gap += rounding
            if self.gap <= tolerance:
                many = self._dependence.n_null > 0
                return Outcome.RANK_DEFICIENT if many else Outcome.CONVERGED
            if not self.gap < INFINITY:
                return Outcome.NUMERICAL_ERROR
            self._keep_best()
            if timed_out or check_interrupt(deadline):
                return Outcome.TIME_LIMIT
            if self.n_iter >= max_iter or quadratic.n_sweeps >= max_sweeps:
                return Outcome.MAX_ITER
            grown = self._grow(False, max(FIRST_BATCH, quadratic.size))
            stale = 0 if self.gap < 0.5 * best or grown > 0 else stale + 1
            best = min(best, self.gap)
            if stale >= PATIENCE:
                return Outcome.STALLED

    cdef _certify(self, double target):
        cdef double radius = 0.0
        cdef Certificate proof = self.problem.certify(
            self.quadratic, self._dependence.correction(), target, &radius)
        self.gap = proof.gap
        self.kappa = proof.kappa
        self.radius = radius
