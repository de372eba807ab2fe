# Design: solve the quadratic of the working set, certify it over all features, let the worst of
# the others in, repeat. Once the working set holds every feature that can move, its Gram matrix
# knows all correlations and X need not be read again.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, log, sqrt

from fastreg._core.active_set cimport decrement, synchronise
from fastreg._core.dependence cimport Dependence
from fastreg._core.design cimport check_interrupt
from fastreg._core.foresight cimport Foresight
from fastreg._core.objective cimport Correction, LeastSquares, Outcome
from fastreg._core.outside cimport Outside
from fastreg._core.penalty cimport violation
from fastreg._core.quadratic cimport Quadratic, minimise, prove, prove_corrected
from fastreg._core.quadratic_state cimport (
    Proof,
    QuadraticState,
    adopt,
    distance_moved,
    load,
    load_new,
    residual_square,
    rounding_of,
    set_penalty,
    store,
)
from fastreg._core.record cimport Record, reach_of

cdef enum:
    PATIENCE = 4        # iterations without a better gap or a new feature
    LARGE = 64          # support that another method may be better for
    ROUGH_SWEEPS = 50   # that a rough Gram matrix is worth, before its answer is measured

# A residual square computed from moments must keep this many digits, or X is read again.
cdef double CANCELLED = 1e-9
cdef double WHOLE = 0.5          # share of X from which one read of all of it is cheaper
cdef double STEP = 3.0          # a cold start comes down to its strength in such steps,
cdef double ROUGH = 1e-2        # each solved to this share of the null objective
cdef double LITTLE = 1e-2       # gain of a round that a rough Gram matrix must at least bring
cdef double INNER = 0.1         # share of the tolerance that the inner solver is asked for


@final
cdef class WorkingSet:
    """Working-set solver of a LeastSquares problem; keeps its Gram matrix between calls.

    `gram_memory`: bytes that it and its factor may take. `share`: of all features (where these are
    few beside the rows) from which their Gram matrix is the cheaper one.
    """

    cdef readonly LeastSquares problem
    cdef readonly Quadratic quadratic
    cdef Dependence _dependence
    cdef Outside _outside
    cdef readonly bint complete
    cdef bint _rough                # is the Gram matrix that of float products?
    cdef double _roughness          # its error, in units of the norms
    cdef double _doubt              # by how much c may be off for that, in units of the norm
    cdef double _rough_gap          # the last gap with it
    cdef readonly double gap
    cdef readonly double kappa
    cdef readonly double radius
    cdef readonly Py_ssize_t n_iter
    cdef readonly Py_ssize_t n_sweeps
    cdef Py_ssize_t _n_iter_before  # the work of `_approach`
    cdef Py_ssize_t _n_sweeps_before
    cdef Py_ssize_t _limit
    cdef double _share              # of all features, from which knowing the rest is cheaper, too
    cdef Foresight _foresight       # None where nobody wants to know
    cdef bint _takes_all            # where many features will matter,
    cdef bint _hands_over           # or ends there
    cdef object _descends           # what says whether descent is to take over, or None
    cdef double[::1] _product
    cdef double _l1                 # of the last strength
    cdef double _l2
    cdef readonly int outcome       # of the last strength
    cdef int[::1] _fixed
    cdef Py_ssize_t _n_fixed
    cdef double _old_l1             # the strength before, or -infinity
    cdef double _last_l1            # the smallest one to come
    cdef int[::1] _best_support     # the point with the smallest gap
    cdef double[::1] _best_w
    cdef Py_ssize_t _n_best
    cdef double _best_gap

    def __init__(self, LeastSquares problem, double gram_memory, double share=1.0 / 3.0):
        cdef Py_ssize_t p = problem.design.n_features
        self.problem = problem
        self.quadratic = Quadratic()
        self._outside = Outside(problem, self.quadratic)
        self._dependence = Dependence(problem, self.quadratic)
        # G and the packed factor: 12 bytes for each pair of features
        self._limit = <Py_ssize_t>min(sqrt(gram_memory / 12.0), <double>p)
        self._share = share
        self._foresight = self._descends = None
        self._takes_all = self._hands_over = False
        self._n_best = 0
        self._l1 = self._l2 = INFINITY
        self._product = np.empty(p)
        self._fixed = np.empty(p, dtype=np.int32)
        self._best_support = np.empty(p, dtype=np.int32)
        self._best_w = np.empty(p)
        self._rough = False
        self._doubt = self._roughness = 0.0
        self.complete = self._outside.n_movable == 0

    def include_all(self, gram=None, double roughness=0.0):
        """Let every feature in: one Gram pass, after which X is not needed to solve.

        `gram`: the Gram matrix of all features, if it is known and nothing has entered yet. It may
        be a rough one, with errors up to `roughness` in units of both norms: correlations are then
        measured, and by the Gram matrix at most for a small step from there. Returns whether there
        was room.
        """
        movable = np.asarray(self._outside.is_movable)
        if self._outside.n_movable > self._limit:
            return False
        if gram is not None:
            self._adopt(np.flatnonzero(movable), gram)
            self._rough = roughness > 0.0
            self._roughness = roughness
            self._rough_gap = 0.5 * self.problem.square
            if self._rough and not self.problem._has_residual:  # c is rough, too
                self.problem.is_settled = False
            return True
        self._enter(np.flatnonzero(movable > np.asarray(self._outside.is_inside)))
        return True

    def foresee(self, rank, bint takes_all, bint hands_over, descends=None):
        """Ask, on the way down to a first strength, how large the support is going to be.

        `rank()` is as how many independent features all of them count. `takes_all`: let all
        features in as soon as the end is likely to need many of them, or with `hands_over` end with
        Outcome.ALL_WANTED, at a point where all correlations are known. If `descends(support,
        rank)` says so, end with Outcome.DESCENT_WANTED there.
        """
        self._foresight = Foresight(self.problem, self.quadratic, self._outside, rank)
        self._takes_all = takes_all
        self._hands_over = hands_over
        self._descends = descends

    cdef int _foresee(self, double l1) except -99:
        """Return what the support at a strength that is to come asks for, or 0."""
        cdef double support
        if self.complete or self._foresight is None:
            return 0
        support = self._foresight.support(
            l1, LARGE if self._descends is not None else self._share * self._outside.n_movable)
        if support > 0.0 and self._descends is not None and (
                self._descends(support, self._foresight.rank())):
            return Outcome.DESCENT_WANTED
        if self._takes_all and self._has_few(support) and self._has_few(self._foresight.rank()):
            return Outcome.ALL_WANTED
        return 0

    cdef bint _has_few(self, double count) noexcept:
        """Are all features few beside the rows, and beside so many of them?"""
        cdef Py_ssize_t n_movable = self._outside.n_movable
        return n_movable <= 2 * self.problem.design.n_samples and count > self._share * n_movable

    cdef _enter(self, features):
        cdef int[::1] columns = features.astype(np.int32)
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k, old = self.quadratic.state.size
        if columns.shape[0] == 0:
            return
        if not (problem.is_settled or problem._has_residual):
            self._outside.measure()
        self.quadratic.extend(problem.selection, columns, problem.weight)
        set_penalty(&self.quadratic.state, problem.penalty)
        self._outside.remove(columns)
        if not problem.is_settled:
            problem.selection.correlate_columns(
                &columns[0], columns.shape[0], &problem.weighted[0], &self._product[0])
            for k in range(columns.shape[0]):
                problem.c[columns[k]] = self._product[k]
                problem.slack[columns[k]] = 0.0
        if not problem.is_true:
            load_new(&self.quadratic.state, old, &problem.c[0])
        self.complete = self.quadratic.state.size == self._outside.n_movable
        if self.complete:
            problem.n_near = -1
            problem.n_passes += 1

    cdef _adopt(self, features, gram):
        cdef int[::1] columns = features.astype(np.int32)
        whole = len(features) == len(gram)
        self.quadratic.extend_known(columns, gram if whole else gram[np.ix_(features, features)])
        self._outside.remove(columns)
        self.complete = True

    cdef Py_ssize_t _grow(self, bint soon) except -1:
        """Let in what violates optimality or (soon) may do so next.

        The number of features that came, -2 if their Gram matrix would be too large, or -3 if all
        of them should come otherwise.
        """
        cdef Py_ssize_t size = self.quadratic.state.size, count
        if self.complete:
            return 0
        chosen = self._outside.choose(soon, self._l1, self._old_l1)
        if chosen is None:
            return 0
        count = len(chosen)
        # A large share of features that are few beside the rows: knowing the rest, too, is cheaper
        # than reading them at every strength.
        if self._has_few(size + count):
            if self._hands_over:
                return -3
            if self.include_all():
                return count
        if size + count > self._limit:
            return -2
        self._enter(chosen)
        return count

    cdef _sharpen(self):
        """Replace a rough Gram matrix. The means that were taken from the columns stay what they
        are, so that points are measured with it, too."""
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t k
        self._rough = False
        self._doubt = 0.0
        self.problem.design.gram(self.quadratic.column, 0, self.problem.weight, self.quadratic.gram)
        self.problem.n_passes += 1
        adopt(quadratic, quadratic.size)
        for k in range(quadratic.size):
            self.problem.norm[quadratic.column[k]] = quadratic.norm[k]

    def solve(self, double l1, double l2, double tolerance, *, bint warm,
              Py_ssize_t max_iter, Py_ssize_t max_sweeps, double deadline):
        """Solve at one strength from the current w; return an Outcome."""
        self._last_l1 = INFINITY
        return self._solve(l1, l2, tolerance, warm, max_iter, max_sweeps, deadline)

    def run(self, Record record, Py_ssize_t response, const double[::1] l1,
            const double[::1] l2, const double[::1] null, double tol, *,
            Py_ssize_t max_iter, Py_ssize_t max_sweeps, double deadline):
        """Solve along a path of strengths; return how many were solved.

        It ends early where the deadline has passed, the Gram matrix would grow too large, or
        another method is wanted.
        """
        cdef Py_ssize_t i
        cdef int outcome
        for i in range(l1.shape[0]):
            if (i > 0 or response > 0) and check_interrupt(deadline):
                return i
            # On the steep way to the first strength, guesses of what comes next are poor.
            self._last_l1 = l1[l1.shape[0] - 1] if i > 0 else INFINITY
            if i > 0 and self._foresee(self._last_l1) == Outcome.ALL_WANTED:
                self.include_all()
            outcome = self._solve(l1[i], l2[i], tol * null[i], i > 0,
                                  max_iter, max_sweeps, deadline)
            if outcome <= Outcome.GRAM_LIMIT:
                return i
            self._outside.widen(reach_of(self.problem, self.gap, self.kappa, self.radius))
            record.put(self.problem, i, response, outcome, self.gap, self.kappa, self.radius,
                       self._violation(), null[i], tol, self.n_iter, self.n_sweeps)
        return l1.shape[0]

    cdef int _approach(self, double l1, double l2, double tolerance, Py_ssize_t max_iter,
                       Py_ssize_t max_sweeps, double deadline) except -99:
        """Go from the strength where features begin to enter to the one asked for, roughly.

        Return the outcome of the last step, or STALLED where there was none.
        """
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t j, i, n_steps, n_iter = 0, n_sweeps = 0
        cdef double largest = 0.0, factor, rough
        cdef int outcome = Outcome.STALLED, foreseen
        for j in range(problem.design.n_features):
            if self._outside.is_movable[j] and problem._l1_factor[j] > 0.0:
                largest = max(largest, fabs(problem.c[j]) / problem._l1_factor[j])
        if not largest > STEP * l1:
            return outcome
        n_steps = <Py_ssize_t>(log(largest / l1) / log(STEP))
        factor = (l1 / largest) ** (1.0 / (n_steps + 1))
        rough = max(tolerance, ROUGH * 0.5 * problem.square)
        for i in range(n_steps):
            largest *= factor
            outcome = self._iterate(
                largest, l2, rough, i > 0, max_iter, max_sweeps, deadline)
            n_iter += self.n_iter
            n_sweeps += self.n_sweeps
            if outcome < 0:
                break
            foreseen = self._foresee(l1)
            if foreseen == Outcome.ALL_WANTED and not self._hands_over:
                self.include_all()
            elif foreseen < 0:
                outcome = foreseen
                break
        self._n_iter_before = n_iter
        self._n_sweeps_before = n_sweeps
        self.n_iter = self.n_sweeps = 0
        return outcome

    cdef int _solve(self, double l1, double l2, double tolerance, bint warm,
                    Py_ssize_t max_iter, Py_ssize_t max_sweeps, double deadline) except -99:
        cdef int outcome = Outcome.STALLED
        self._n_iter_before = self._n_sweeps_before = 0
        if not (warm or self.complete or l1 == 0.0):
            outcome = self._approach(l1, l2, tolerance, max_iter, max_sweeps, deadline)
        if outcome > Outcome.GRAM_LIMIT:
            outcome = self._iterate(
                l1, l2, tolerance, warm or outcome > 0, max_iter, max_sweeps, deadline)
        self.n_iter += self._n_iter_before
        self.n_sweeps += self._n_sweeps_before
        if outcome <= Outcome.GRAM_LIMIT:
            self.problem.settle()
        elif outcome < 0:
            self._return_to_best()
            load(&self.quadratic.state, &self.problem.w[0], &self.problem.c[0], self.problem.square)
            synchronise(&self.quadratic.state)
            self._certify(0.0)
            if self.gap <= tolerance:  # rounding was kinder this time
                outcome = self._converged()
        self.outcome = outcome
        return outcome

    cdef int _converged(self) noexcept:
        return Outcome.RANK_DEFICIENT if self._dependence.n_null > 0 else Outcome.CONVERGED

    cdef _keep_best(self):
        """Remember the point with the smallest gap: rounding may lead away from it again."""
        if self.gap < self._best_gap or self._best_gap == INFINITY:
            self._best_gap = self.gap
            self._remember()

    cdef void _remember(self) noexcept:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k
        self._n_best = problem.n_active
        for k in range(problem.n_active):
            self._best_support[k] = problem.support[k]
            self._best_w[k] = problem.w[problem.support[k]]

    cdef int _return_to_best(self) except -1:
        cdef LeastSquares problem = self.problem
        cdef Py_ssize_t k
        problem.w[:] = 0.0
        for k in range(self._n_best):
            problem.w[self._best_support[k]] = self._best_w[k]
        problem.update_residual()
        return problem.update_correlation()

    cdef int _iterate(self, double l1, double l2, double tolerance, bint warm,
                      Py_ssize_t max_iter, Py_ssize_t max_sweeps, double deadline) except -99:
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t grown, stale = 0
        cdef double best = INFINITY, rounding
        cdef bint timed_out, rough
        if warm and l1 == self._l1 and l2 == self._l2 and self.gap <= tolerance:
            self.n_iter = self.n_sweeps = 0
            return self.outcome
        self._old_l1 = self._l1 if warm and self._l1 < INFINITY else -INFINITY
        self._l1 = l1
        self._l2 = l2
        problem.set_strength(l1, l2)
        set_penalty(quadratic, problem.penalty)
        self.n_iter = 0
        self.n_sweeps = 0
        self._best_gap = INFINITY
        self._doubt = 0.0
        self.gap = INFINITY
        self._remember()
        if not warm:
            self._find_fixed()
        if not (warm or self.complete):
            self._outside.learn()
        grown = self._grow(True)
        if not warm and grown >= 0 and self._is_optimal(tolerance):
            return Outcome.CONVERGED
        while True:
            if grown < 0:
                return Outcome.GRAM_LIMIT if grown == -2 else Outcome.ALL_WANTED
            if problem.is_true:
                load(quadratic, &problem.w[0], &problem.c[0], problem.square)
            with nogil:
                timed_out = minimise(
                    quadratic, INNER * tolerance,
                    min(max_sweeps, ROUGH_SWEEPS) if self._rough else max_sweeps, deadline)
                store(quadratic, &problem.w[0], &problem.c[0])
                problem.find_support(&self._fixed[0], self._n_fixed)
                problem.find_support(quadratic.column, quadratic.size, problem.n_active)
            rough = self._rough
            rounding = self._measure(tolerance)
            self.n_iter += 1
            self.n_sweeps += quadratic.n_sweeps
            # where small gains do not suffice, every gain counts
            self._dependence.improve(INNER * tolerance if stale == 0 else 0.0)
            self._certify(tolerance)
            self.gap += rounding
            if self.gap <= tolerance:
                return self._converged()
            if rough:
                self._judge_rough()
            if not self.gap < INFINITY:
                return Outcome.NUMERICAL_ERROR
            self._keep_best()
            if timed_out or check_interrupt(deadline):
                return Outcome.TIME_LIMIT
            if self.n_iter >= max_iter or quadratic.n_sweeps >= max_sweeps:
                return Outcome.MAX_ITER
            grown = self._grow(False)
            stale = 0 if self.gap < 0.5 * best or grown > 0 else stale + 1
            best = min(best, self.gap)
            if stale >= PATIENCE:
                return Outcome.STALLED

    cdef void _find_fixed(self) noexcept:
        """List the nonzero coefficients that cannot move."""
        cdef Py_ssize_t j
        self._n_fixed = 0
        for j in range(self.problem.design.n_features):
            if self.problem.w[j] != 0.0 and not self._outside.is_movable[j]:
                self._fixed[self._n_fixed] = <int>j
                self._n_fixed += 1

    cdef bint _is_optimal(self, double tolerance) except -1:
        """Is the point that was given as a start the answer?"""
        cdef LeastSquares problem = self.problem
        if not problem.is_settled:
            return False
        problem.find_support(NULL, problem.design.n_features)
        if problem.n_active == 0:
            return False
        load(&self.quadratic.state, &problem.w[0], &problem.c[0], problem.square)
        synchronise(&self.quadratic.state)
        self._certify(tolerance)
        return self.gap <= tolerance

    cdef double _measure(self, double tolerance) except -1.0:
        """Compute residual and correlations of the working set: from X, or if the Gram matrix
        knows them well enough, from that; return what its rounding may add to a gap.

        The residual is made anew while there are features outside, which are judged by it.
        """
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef double rounding = rounding_of(quadratic), square = residual_square(quadratic)
        cdef Py_ssize_t k
        cdef bint known
        problem.is_settled = False
        if self._rough:
            return self._measure_rough(tolerance, square)
        known = not self._dependence.refresh() and (
            self._roughness == 0.0 and rounding < 0.1 * tolerance)
        if known and rounding < CANCELLED * square and (
                self.complete or self._outside.takes_guess()):
            problem.square = square
            problem.residual_mean = 0.0
            problem.is_true = problem._has_residual = False
            return rounding
        known = known and not self.complete
        # Where means are rough, correlations must be those of a residual without one.
        if self._roughness == 0.0 and problem.selection.share(
                problem.n_active + (0 if known else quadratic.size)) >= WHOLE:
            problem.update_both()
            return 0.0
        with nogil:
            problem.update_residual_of_support()
        problem.is_true = not known
        if known:
            return rounding
        with nogil:
            problem.selection.correlate_columns(
                quadratic.column, quadratic.size, &problem.weighted[0], &self._product[0])
            for k in range(quadratic.size):
                problem.c[quadratic.column[k]] = self._product[k]
                problem.slack[quadratic.column[k]] = 0.0
        return 0.0

    cdef double _measure_rough(self, double tolerance, double square) except -1.0:
        """The same with a rough Gram matrix: once measured, it may prove a small step from there.

        The mean of the residual is then that of the point that was measured.
        """
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef double length = distance_moved(quadratic)
        # the norms themselves are rough, too
        self._doubt = self._roughness * (
            (1.0 + 3.0 * self._roughness) * length + fabs(problem.residual_mean))
        if self.n_iter > 0:
            square += self._doubt * length
            if prove(quadratic, square, 0.0, 1.0, self._doubt).gap <= tolerance:
                problem.square = square
                problem.is_true = False
                return 0.0
        problem.update_both()
        # the product of two means
        self._doubt = self._roughness * fabs(problem.residual_mean)
        if quadratic.n_doubtful > 0:
            self._sharpen()
        return 0.0

    cdef _certify(self, double target):
        """Prove the current point over all features: as it is, or with a virtual Newton step."""
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Correction doubtful = self._dependence.correction()
        cdef double extra
        cdef Proof proof, corrected
        if problem.is_true:
            load(quadratic, &problem.w[0], &problem.c[0], problem.square)
        proof = prove(quadratic, problem.square, 0.0, self._cap(0.0), self._doubt)
        if proof.gap > target and not self._rough:
            extra = decrement(quadratic, doubtful.square)
            if extra < INFINITY:
                corrected = prove_corrected(
                    quadratic, problem.square, extra, doubtful.drift, self._cap(sqrt(extra)))
                if corrected.gap < proof.gap:
                    proof = corrected
        self.gap = proof.gap
        self.kappa = proof.kappa
        self.radius = proof.radius
        if self._roughness > 0.0 and proof.kappa > 0.0:  # what the norms lack in the sphere
            self.radius += self._roughness * sqrt(2.0 * proof.gap) / proof.kappa

    cdef double _cap(self, double radius) except -1.0:
        """The largest multiple of the residual that the features outside allow as dual point."""
        if self.complete:
            return 1.0
        return self._outside.cap(radius, self._last_l1 / self._l1 if self._l1 > 0.0 else 1.0)

    cdef _judge_rough(self):
        """Give a rough Gram matrix up where it gains little; an indefinite one may lead astray."""
        if self._rough and not self.gap <= LITTLE * self._rough_gap:
            self._sharpen()
        if not self.gap < self._rough_gap:
            self._return_to_best()
            self.problem.find_support(NULL, self.problem.design.n_features)
            self.gap = self._rough_gap
        self._rough_gap = self.gap

    cdef double _violation(self) noexcept:
        """The largest distance of a correlation to the subdifferential, over norm_j."""
        cdef LeastSquares problem = self.problem
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef double largest = 0.0, excess
        cdef Py_ssize_t k, j
        for k in range(quadratic.size):
            j = quadratic.column[k]
            excess = violation(problem.penalty, j, problem.w[j], problem.c[j])
            if excess > largest * problem.norm[j]:
                largest = excess / problem.norm[j]
        return largest if self.complete else max(largest, self._outside.violation())
