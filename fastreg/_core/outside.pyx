# Design: features outside of the working set are asked for only where the span of earlier residuals
# cannot tell: by true products of their columns, or by a pass over X once the products since the
# last pass would have paid for half of one. Reading X costs more than multiplying it, so a pass
# takes a second vector along: the residual some way down the path, as far as the working set can
# guess it. Between the two the span knows much of every residual that follows.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs

from fastreg._core.factor cimport solve
from fastreg._core.kernels cimport simd
from fastreg._core.penalty cimport violation as violation_of
from fastreg._core.quadratic cimport Quadratic, sweep
from fastreg._core.quadratic_state cimport QuadraticState, load, move, place, room_ahead, slope_of

cdef enum:
    FIRST_BATCH = 64    # features that enter a cold working set
    SMALLEST_SPAN = 4
    LARGEST_SPAN = 40
    SWEEPS_AHEAD = 3    # for what enters or leaves the support on the way

cdef double SPAN_MEMORY = 0.1   # of that of X
cdef double HOLLOW = 0.5         # share of stored entries below which columns cost less than rows
cdef double RENT = 0.5          # passes' worth of single products before a pass is taken
cdef double NEAR = 0.9          # share of the threshold from which a feature may enter early
cdef double AHEAD = 0.7         # of the present strength is that of the guess


@final
cdef class Outside:
    """The features outside of a working set."""

    def __init__(self, LeastSquares problem, Quadratic quadratic):
        cdef Py_ssize_t p = problem.design.n_features, n = problem.design.n_samples, j
        self.problem = problem
        self.quadratic = quadratic
        self.is_inside = np.zeros(p, dtype=np.int8)
        self.is_movable = np.zeros(p, dtype=np.int8)
        self.undecided = np.empty(p, dtype=np.int32)
        self.n_undecided = 0
        self._rented = 0.0
        self._product = np.empty(p)
        self._score = np.empty(p)
        self.n_movable = 0
        for j in range(p):
            self.is_movable[j] = problem.is_movable(j)
            self.n_movable += self.is_movable[j]
        self._span = None
        self._is_hollow = self.n_movable > 0 and (
            problem.design.n_stored < HOLLOW * n * p)
        if self.n_movable:
            room = SPAN_MEMORY * problem.design.n_stored / (n + p)
            self._span = Span(problem.design, problem.weight, problem.norm,
                              int(max(SMALLEST_SPAN, min(LARGEST_SPAN, room))))
            self._horizon = Horizon(problem, quadratic, self._span)
            self._ahead = np.empty(n)

    cdef bint is_outside(self, Py_ssize_t j) noexcept nogil:
        return self.is_movable[j] and not self.is_inside[j]

    cdef void remove(self, const int[::1] columns) noexcept nogil:
        cdef Py_ssize_t k
        for k in range(columns.shape[0]):
            self.is_inside[columns[k]] = 1

    cdef learn(self):
        cdef LeastSquares problem = self.problem
        problem.need_residual()
        self._span.learn(&problem.residual[0], problem.square, &problem.c[0])
        self._horizon.anchor()

    cdef bint takes_guess(self) noexcept:
        return self._is_hollow and not self.problem.has_bounds and self._span.size > 0

    cdef int measure(self) except -1:
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t k
        if not problem._has_residual:
            problem.update_residual_of_support()
        if problem.is_true:
            return 0
        if quadratic.size:
            problem.selection.correlate_columns(
                quadratic.column, quadratic.size, &problem.weighted[0], &self._product[0])
        for k in range(quadratic.size):
            problem.c[quadratic.column[k]] = self._product[k]
            problem.slack[quadratic.column[k]] = 0.0
        problem.is_true = True
        load(quadratic, &problem.w[0], &problem.c[0], problem.square)
        return 0

    cdef int widen(self, double reach) except -1:
        if self.problem.n_near >= 0 and not reach < self.problem.spare:
            self._horizon.look_everywhere()
            self._restore_inside()
        return 0

    cdef choose(self, bint soon, double l1, double old_l1):
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t j, k, count = 0, m = self.n_undecided
        cdef double score, least
        if soon:
            least = min(1.0, 2.0 - old_l1 / l1)
            # all but those of which `_urgency` would say nothing
            if problem.n_near >= 0 and self._horizon.is_beyond(NEAR * l1):
                self._horizon.look(l1, 0.0)
                self._restore_inside()
            if problem.n_near >= 0:
                m = 0
                for k in range(problem.n_near):
                    j = problem.near[k]
                    self.undecided[m] = <int>j
                    m += not (fabs(problem.c[j]) < least * problem.l1[j] and problem.w[j] == 0.0)
            else:
                m = simd.list_urgent(
                    &problem.c[0], &problem.w[0], &problem.l1[0], least,
                    problem.design.n_features, &self.undecided[0])
        for k in range(m):
            j = self.undecided[k]
            if not self.is_outside(j):
                continue
            score = self._urgency(j, soon, l1, old_l1)
            if score > 0.0:
                self.undecided[count] = <int>j
                self._score[count] = score / problem.norm[j]
                count += 1
        if count == 0:
            return None
        chosen = np.array(self.undecided[:count])
        batch = max(FIRST_BATCH, problem.n_active // 2)
        if count > batch:
            score_of = np.asarray(self._score)[:count]
            best = np.argpartition(-score_of, batch)[:batch]
            best = np.union1d(best, np.flatnonzero(np.asarray(problem.w)[chosen]))
            chosen = np.sort(chosen[best])
        return chosen

    cdef double _urgency(self, Py_ssize_t j, bint soon, double l1, double old_l1) noexcept:
        """How far a feature is from optimal, or a little if it is likely to enter the support."""
        cdef LeastSquares problem = self.problem
        cdef double score = 0.0, level
        cdef double c = problem.c[j], old = old_l1 * problem._l1_factor[j]
        if fabs(c) > problem.l1[j]:
            score = violation_of(problem.penalty, j, problem.w[j], c)
        if soon and score == 0.0 and old_l1 > -INFINITY:
            # sequential strong rule; one-sided where a bound lies at zero
            level = problem.l1[j] - max(0.0, old - problem.l1[j])
            level = max(level, NEAR * problem.l1[j])
            if (c > level and problem.upper[j] > 0.0) or (-c > level and problem.lower[j] < 0.0):
                score = 1e-100 * (fabs(c) - level)
        if problem.l1[j] == 0.0 or problem.w[j] != 0.0:
            score = max(score, violation_of(problem.penalty, j, problem.w[j], c), 1e-300)
        return score

    cdef double cap(self, double radius, double end) except -1.0:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, j
        cdef double size, slack, cap = 1.0
        self._decide(radius, end)
        for k in range(self.n_undecided):
            j = self.undecided[k]
            slack = problem.slack[j] + radius * problem.norm[j]
            size = 0.0
            if problem.upper[j] > 0.0:
                size = problem.c[j] + slack
            if problem.lower[j] < 0.0:
                size = max(size, slack - problem.c[j])
            if size > problem.l1[j]:
                cap = min(cap, problem.l1[j] / size)
        return cap

    cdef int _decide(self, double radius, double end) except -1:
        """List the features outside that might violate optimality, and know their correlations."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, count
        cdef double share
        cdef bint guessed = not problem._has_residual
        if problem.is_settled:  # nothing is unknown
            self.n_undecided = self._list_undecided(radius)
            return 0
        if guessed:
            self._horizon.look(problem.l1_strength, radius)
            self._restore_inside()
        elif radius == 0.0 or (problem.n_near >= 0 and radius > problem.spare):  # a new residual
            self._estimate()
            self._restore_inside()
        count = self._list_undecided(radius)
        if count == 0:
            self.n_undecided = 0
            return 0
        if guessed:
            problem.update_residual_of_support()
        share = problem.design.share_of(&self.undecided[0], count) * problem.selection.scatter
        if self._rented + share > RENT:
            if self.takes_guess():
                self.measure()
            self._read_all(end)
            self.n_undecided = self._list_undecided(radius)
            return 0
        problem.design.correlate_columns(
            &self.undecided[0], count, &problem.weighted[0], &self._product[0])
        self._rented += share
        for k in range(count):
            problem.c[self.undecided[k]] = self._product[k]
            problem.slack[self.undecided[k]] = 0.0
        self.n_undecided = count
        return 0

    cdef void _estimate(self) noexcept:
        cdef LeastSquares problem = self.problem
        self._span.estimate(
            &problem.residual[0], problem.square, &problem.c[0], &problem.slack[0])
        problem.n_near = -1

    cdef int _read_all(self, double end) except -1:
        """Make all estimates true by a pass over X."""
        cdef LeastSquares problem = self.problem
        cdef const double* ahead = NULL
        self._restore_inside()
        if end < 1.0 and problem.design.takes_two:
            ahead = self._look_ahead(max(end, AHEAD))
        self._estimate()  # products have replaced some of the estimates
        if self._span.complete(&problem.residual[0], problem.square, ahead, &problem.c[0],
                               &problem.slack[0]):
            problem.n_passes += 1
            self._rented = 0.0
            self._horizon.anchor()
        self._restore_inside()
        return 0

    cdef const double* _look_ahead(self, double ratio) except? NULL:
        """Guess the residual at that multiple of the L1 strength; the factor stays as it is.

        A Newton step, in which coordinates stop at their boundaries, and some sweeps.
        """
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef double[::1] step = np.empty(quadratic.factor.size)
        cdef double[::1] change = np.empty(quadratic.size)
        cdef int[::1] column = np.empty(quadratic.size, dtype=np.int32)
        cdef Py_ssize_t j, k, count = 0
        for j in range(quadratic.size):
            quadratic.l1[j] *= ratio
        for k in range(quadratic.factor.size):
            step[k] = slope_of(quadratic, quadratic.factor.member[k])
        if step.shape[0]:
            solve(&quadratic.factor, &step[0])
        for k in range(quadratic.factor.size):
            j = quadratic.factor.member[k]
            move(quadratic, j, min(1.0, room_ahead(quadratic, j, step[k])) * step[k])
        for _ in range(SWEEPS_AHEAD):
            sweep(quadratic, False, 0.0)
        for j in range(quadratic.size):
            k = quadratic.column[j]
            quadratic.l1[j] = problem.l1[k]
            if quadratic.u[j] != problem.w[k]:
                column[count] = <int>k
                change[count] = problem.w[k] - quadratic.u[j]
                count += 1
        place(quadratic, &problem.w[0], &problem.c[0])
        self._ahead[:] = problem.residual
        if count:
            problem.selection.add_columns(&column[0], count, &change[0], &self._ahead[0])
        return &self._ahead[0]

    cdef void _restore_inside(self) noexcept:
        """Write the correlations of the working set, which are true, over their estimates."""
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t k
        for k in range(quadratic.size):
            self.problem.c[quadratic.column[k]] = quadratic.c[k]
            self.problem.slack[quadratic.column[k]] = 0.0

    cdef Py_ssize_t _list_undecided(self, double radius) noexcept:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, j, count = 0, m
        if problem.n_near >= 0:
            for k in range(problem.n_near):
                j = problem.near[k]
                if not (fabs(problem.c[j]) + (problem.slack[j] + radius * problem.norm[j])
                        <= problem.l1[j]) and self.is_outside(j):
                    self.undecided[count] = <int>j
                    count += 1
            return count
        m = simd.list_undecided(
            &problem.c[0], &problem.slack[0], &problem.norm[0], radius, &problem.l1[0], 0,
            problem.design.n_features, &self.undecided[0])
        for k in range(m):
            if self.is_outside(self.undecided[k]):
                self.undecided[count] = self.undecided[k]
                count += 1
        return count

    cdef double violation(self) noexcept:
        """The largest distance of an undecided correlation to the subdifferential, over norm_j."""
        cdef LeastSquares problem = self.problem
        cdef double largest = 0.0
        cdef Py_ssize_t k, j
        for k in range(self.n_undecided):
            j = self.undecided[k]
            if not self.is_inside[j]:
                largest = max(largest, violation_of(
                    problem.penalty, j, problem.w[j], problem.c[j]) / problem.norm[j])
        return largest
