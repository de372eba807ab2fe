# Design: methods that only ever read X by columns times a vector: for problems whose Gram matrix
# fits nowhere or costs more than X, as the textbook's method, and as an independent check of the
# working set. A method is its step; the loop around it, which certifies, keeps the best point and
# stops, is shared. The answer stays in the LeastSquares that they were given.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, sqrt

from fastreg._core.active_set cimport synchronise
from fastreg._core.design cimport check_interrupt
from fastreg._core.objective cimport Correction, Outcome
from fastreg._core.penalty cimport prox
from fastreg._core.quadratic_state cimport load, set_penalty

cdef enum:
    LOOK = 10                  # steps between two certificates
    TRUE_RESIDUAL_EVERY = 50   # conjugate gradients drift from the residual that they update
    PATIENCE = 1000            # certificates without a better gap
    FEW = 100                  # features whose Gram matrix costs nothing

cdef double SMALLER = 1e-8
cdef double VANISHING = 1e-12  # penalty, relative to the curvature, that only breaks ties


cdef class FirstOrder:
    """The loop around the steps of a method."""

    def __init__(self, LeastSquares problem, double gram_memory):
        self.problem = problem
        self.is_near = False
        self.flat = without_l1(problem, gram_memory)
        if self.flat is not None:
            self.dependence = Dependence(problem, self.flat)
        problem.need_residual()

    cdef bint step(self) except -1:
        """Move w; return False where rounding allows no further step."""
        return False

    cdef _prove(self, double target, bint anew):
        cdef Correction doubtful = Correction(0.0, 0.0)
        if anew:
            if self.is_known:
                return
            self.problem.update_residual()
            self.problem.update_correlation()
            self.is_known = True
        if self.flat is not None:
            load(&self.flat.state, &self.problem.w[0], &self.problem.c[0], self.problem.square)
            synchronise(&self.flat.state)
            self.dependence.refresh()
            doubtful = self.dependence.correction()
        self.proof = self.problem.certify(
            NULL if self.flat is None else &self.flat.state, doubtful, target, &self.radius)

    cdef tuple run(self, double target, double tolerance, Py_ssize_t max_iter, double deadline):
        """Return (status, gap, kappa, radius, iterations, sweeps)."""
        cdef Py_ssize_t n_steps = 0, stale = 0
        cdef double best
        cdef int status = Outcome.STALLED
        cdef double[::1] best_w = np.array(self.problem.w)
        self.target = target
        best = self.proof.gap
        while self.proof.gap > target and stale <= PATIENCE:
            if n_steps >= max_iter:
                status = Outcome.MAX_ITER
                break
            if check_interrupt(deadline):
                status = Outcome.TIME_LIMIT
                break
            if not self.step():
                break
            n_steps += 1
            self.is_known = False
            if n_steps % self.certify_every and not self.is_near:
                continue
            self._prove(target, n_steps % self.renew_every == 0)
            if self.proof.gap <= target:
                self._prove(target, True)
            stale = 0 if self.proof.gap < 0.99 * best else stale + 1
            if self.proof.gap < best:
                best = self.proof.gap
                best_w[:] = self.problem.w
        if not self.proof.gap <= best:
            self.problem.w[:] = best_w
            self.is_known = False
        self._prove(target, True)
        if self.proof.gap <= tolerance:
            many = self.flat is not None and self.dependence.n_null > 0
            status = Outcome.RANK_DEFICIENT if many else Outcome.CONVERGED
        return status, self.proof.gap, self.proof.kappa, self.radius, n_steps, 0

    cdef _start(self, double target):
        """Certify the first point; where many are optimal, only zero leads to the smallest one."""
        cdef Py_ssize_t j
        for j in range(self.problem.design.n_features):
            if self.smallest_norm and self.problem.is_movable(j):
                self.problem.w[j] = 0.0
        self.is_known = False
        if self.smallest_norm or not self.problem.is_settled:
            self._prove(target, True)
            return
        self.problem.find_support(NULL, self.problem.design.n_features)
        self._prove(target, False)
        self.is_known = True


@final
cdef class ProximalGradient(FirstOrder):
    """w = prox(v + c(v) / curvature) from the extrapolated point v (Beck and Teboulle, 2009)."""

    cdef double[::1] point
    cdef double[::1] point_residual
    cdef double[::1] correlation
    cdef double[::1] old_w
    cdef double[::1] old_residual
    cdef double[::1] scratch
    cdef double lipschitz
    cdef double steepest
    cdef double momentum

    def __init__(self, LeastSquares problem, double gram_memory):
        super().__init__(problem, gram_memory)
        self.certify_every = LOOK
        self.renew_every = 1
        self.metric = smallest_norm_metric(problem)
        self.smallest_norm = self.metric is not None
        if not self.smallest_norm:
            self.metric = np.asarray(problem.norm) ** 2
        # The largest eigenvalue is at most the trace: no step needs more.
        self.steepest = 0.0
        for j in range(problem.design.n_features):
            if problem.is_movable(j):
                self.steepest += problem.norm[j] * problem.norm[j] / self.metric[j]
        self.lipschitz = 1.0
        self.momentum = 1.0

    cdef begin(self, double target):
        self._start(target)
        self.point = np.array(self.problem.w)
        self.point_residual = np.array(self.problem.residual)
        self.correlation = np.array(self.problem.c)
        self.old_w = np.array(self.problem.w)
        self.old_residual = np.array(self.problem.residual)
        self.scratch = np.empty(self.problem.design.n_samples)

    cdef bint step(self) except -1:
        cdef Py_ssize_t i
        self._descend()
        self._extrapolate()
        for i in range(self.problem.design.n_samples):
            self.scratch[i] = self.problem.weight[i] * self.point_residual[i]
        self.problem.design.correlate(&self.scratch[0], &self.correlation[0])
        self.problem.n_passes += 2
        return True

    cdef _descend(self):
        """Backtrack to a curvature at which the quadratic model lies above the loss."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t i, j
        cdef double length, curve, difference, curvature, noise = problem.noise()
        while True:
            length = 0.0
            for j in range(problem.design.n_features):
                if problem.is_movable(j):
                    curvature = self.lipschitz * self.metric[j]
                    problem.w[j] = prox(
                        problem.penalty, j, curvature * self.point[j] + self.correlation[j],
                        curvature)
                    difference = problem.w[j] - self.point[j]
                    length += self.metric[j] * difference * difference
            problem.update_residual()
            for i in range(problem.design.n_samples):
                self.scratch[i] = problem.residual[i] - self.point_residual[i]
            curve = weighted_square(problem, self.scratch)
            # A difference of residuals within their rounding says nothing about the curvature.
            if not sqrt(curve) > sqrt(self.lipschitz * length) * (1.0 + 1e-10) + noise:
                return
            if self.lipschitz >= self.steepest:
                return
            self.lipschitz = min(max(2.0 * self.lipschitz, curve / length), self.steepest)

    cdef _extrapolate(self):
        """Add momentum, or begin anew where it points uphill (O'Donoghue and Candes, 2015)."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t i, j
        cdef double turn = 0.0, following, blend
        for j in range(problem.design.n_features):
            turn += self.metric[j] * (self.point[j] - problem.w[j]) * (problem.w[j] - self.old_w[j])
        if turn > 0.0:
            self.momentum = 1.0
        following = 0.5 * (1.0 + sqrt(1.0 + 4.0 * self.momentum * self.momentum))
        blend = (self.momentum - 1.0) / following
        self.momentum = following
        for j in range(problem.design.n_features):
            self.point[j] = problem.w[j] + blend * (problem.w[j] - self.old_w[j])
            self.old_w[j] = problem.w[j]
        for i in range(problem.design.n_samples):
            self.point_residual[i] = problem.residual[i] + blend * (
                problem.residual[i] - self.old_residual[i])
            self.old_residual[i] = problem.residual[i]


@final
cdef class ConjugateGradient(FirstOrder):
    """Preconditioned conjugate gradients on the least-squares form (CGLS; Bjorck, 1996, 7.4)."""

    cdef double[::1] direction
    cdef double[::1] image
    cdef int[::1] every
    cdef double descent

    def __init__(self, LeastSquares problem, double gram_memory, bint input_scale):
        cdef Py_ssize_t p = problem.design.n_features
        super().__init__(problem, gram_memory)
        self.certify_every = LOOK
        self.renew_every = TRUE_RESIDUAL_EVERY
        self.metric = smallest_norm_metric(problem) if input_scale else None
        self.smallest_norm = self.metric is not None
        if self.metric is None and p > problem.design.n_samples:
            # The many directions that only the penalty sees keep one common eigenvalue.
            self.metric = penalty_metric(problem)
        if self.metric is None:
            self.metric = np.asarray(problem.norm) ** 2 + np.asarray(problem.l2)
        self.direction = np.zeros(p)
        self.image = np.empty(problem.design.n_samples)
        self.every = np.arange(p, dtype=np.int32)
        self.descent = 0.0

    cdef bint step(self) except -1:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t i, j, p = problem.design.n_features
        cdef double descent = 0.0, floor = 0.0, noise = problem.noise(), curve, length, gradient
        for j in range(p):
            if problem.is_movable(j):
                gradient = problem.c[j] - problem.l2[j] * problem.w[j]
                descent += gradient * gradient / self.metric[j]
                floor += problem.norm[j] * problem.norm[j] / self.metric[j]
        if descent <= 0.01 * noise * noise * floor:
            return False
        for j in range(p):
            if problem.is_movable(j):
                gradient = problem.c[j] - problem.l2[j] * problem.w[j]
                self.direction[j] = gradient / self.metric[j] + (
                    descent / self.descent * self.direction[j] if self.descent > 0.0 else 0.0)
        self.descent = descent
        self.image[:] = 0.0
        problem.design.add_columns(&self.every[0], p, &self.direction[0], &self.image[0])
        curve = weighted_square(problem, self.image)
        for j in range(p):
            curve += problem.l2[j] * self.direction[j] * self.direction[j]
        length = descent / curve
        if not length < INFINITY:
            return False
        for j in range(p):
            problem.w[j] += length * self.direction[j]
        for i in range(problem.design.n_samples):
            problem.residual[i] -= length * self.image[i]
        problem.square = weighted_square(problem, problem.residual)
        problem.update_correlation()
        problem.n_passes += 1
        self.is_near = self.flat is None and self._plain_gap() <= self.target
        return True

    cdef double _plain_gap(self) noexcept:
        """The gap where every feature has an L2 penalty: that of the residual as dual point."""
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t j
        cdef double gap = 0.0, gradient
        for j in range(problem.design.n_features):
            gradient = problem.c[j] - problem.l2[j] * problem.w[j]
            if gradient != 0.0 and problem.is_movable(j):
                gap += 0.5 * gradient * gradient / problem.l2[j]
        return gap


def proximal_gradient(LeastSquares problem, double l1, double l2, double tolerance,
                      Py_ssize_t max_iter, double deadline, double gram_memory):
    """Accelerated proximal gradient with backtracking and restarts, for every problem.

    Returns (status, gap, kappa, radius, iterations, sweeps).
    """
    problem.set_strength(l1, l2)
    cdef ProximalGradient method = ProximalGradient(problem, gram_memory)
    method.begin(tolerance)
    return method.run(tolerance, tolerance, max_iter, deadline)


def conjugate_gradient(LeastSquares problem, double tolerance, Py_ssize_t max_iter,
                       double deadline, double gram_memory, bint input_scale):
    """Conjugate gradients, for an L2 penalty or none, without bounds.

    `input_scale` asks for the smallest norm on the input scale where nothing is penalised, at the
    price of the preconditioner. Returns (status, gap, kappa, radius, iterations, sweeps).
    """
    cdef ConjugateGradient method = ConjugateGradient(problem, gram_memory, input_scale)
    cdef double target = tolerance
    if method.smallest_norm and not np.any(problem.l2):
        # Without a penalty the gap says little about the coefficients.
        target = SMALLER * tolerance
    method._start(target)
    return method.run(target, tolerance, max_iter, deadline)


cdef Quadratic without_l1(LeastSquares problem, double gram_memory):
    """The features whose stationarity is certified by a factor of their Gram matrix.

    Those without any penalty need it; where there are few, all without L1 strength gain by it.
    """
    smooth = np.flatnonzero(problem.movable() & (np.asarray(problem.l1) == 0.0))
    flat = smooth
    if len(smooth) > FEW:
        flat = smooth[np.asarray(problem.l2)[smooth] == 0.0]
    if len(flat) == 0 or 12.0 * len(flat) ** 2 > gram_memory:
        return None
    quadratic = Quadratic()
    quadratic.extend(problem.selection, flat.astype(np.int32), problem.weight)
    set_penalty(&quadratic.state, problem.penalty)
    return quadratic


cdef double weighted_square(LeastSquares problem, const double[::1] v) noexcept nogil:
    cdef double square = 0.0
    cdef Py_ssize_t i
    for i in range(v.shape[0]):
        square += problem.weight[i] * v[i] * v[i]
    return square


cdef double[::1] smallest_norm_metric(LeastSquares problem):
    """Curvatures in which the nearest point to zero is nearest on the input scale, or None.

    Where nothing is penalised (beyond rounding) or bounded, a method that starts from zero and
    moves along gradients in this metric ends at the solution with the smallest norm.
    """
    l1, l2 = np.asarray(problem.l1), np.asarray(problem.l2)
    movable = problem.movable()
    bounded = np.isfinite(problem.lower) | np.isfinite(problem.upper)
    if not movable.any() or np.any(movable & ((l1 > 0.0) | bounded)):
        return None
    if not l2[movable].any():
        metric = np.asarray(problem.design.scale) ** 2
    elif np.all(l2[movable] <= VANISHING * np.asarray(problem.norm)[movable] ** 2):
        metric = l2
    else:
        return None
    return np.maximum(metric / metric[movable].max(), 1e-300)


cdef double[::1] penalty_metric(LeastSquares problem):
    """The ridge penalty as a metric, or None where it leaves something out."""
    l2 = np.asarray(problem.l2)
    used = l2[problem.movable()]
    return l2 / np.max(used) if len(used) and np.min(used) > 0.0 else None
