# Design: once the Gram matrix of all features is known, a fit takes a few microseconds, as long as
# nothing but the one solver, `Quadratic`, and its own certificate are asked, and nothing goes over
# the features that need not. What rounding of the moments may add to a gap is added; a fit that is
# not beyond doubt then is left to the caller, with the response that it belongs to. Many responses
# go in lockstep first.

import numpy as np

from cython cimport final
from libc.math cimport fabs, sqrt

from fastreg._core.active_set cimport decrement
from fastreg._core.design cimport check_interrupt
from fastreg._core.lockstep cimport FEW_LANES, solve_in_lockstep
from fastreg._core.penalty cimport Penalty
from fastreg._core.quadratic cimport Quadratic, minimise, prove_corrected
from fastreg._core.quadratic_state cimport (
    QuadraticState,
    adopt,
    begin,
    load,
    residual_square,
    rounding_of,
    set_penalty,
    size_of,
    strengthen,
)
from fastreg._core.record cimport Record

cdef double CANCELLED = 1e-9  # as in `working_set`: the rest of a residual square that is certain
cdef double ALLOWED = 0.05    # share of the tolerance that is next to nothing
cdef double INNER = 0.1       # and the share of the tolerance that the solver is asked for


cdef bint fit_moments(
    QuadraticState* quadratic, bint penalised, double null, double tol, Py_ssize_t max_sweeps,
    double deadline, Fit* fit) except -1 nogil:
    cdef double rounding
    if minimise(quadratic, INNER * tol * null, max_sweeps, deadline):
        return False
    fit.square = residual_square(quadratic)
    rounding = rounding_of(quadratic)
    if quadratic.n_doubtful or not (
            rounding < INNER * tol * null and rounding < CANCELLED * fit.square):
        return False
    fit.proof = quadratic.last_proof
    if not penalised:  # what `minimise` excuses as rounding, a Newton step must correct
        fit.proof = prove_corrected(quadratic, fit.square, decrement(quadratic), 0.0, 1.0)
    fit.proof.gap += rounding
    return fit.proof.gap <= tol * null


cdef bint count_rounding(
    QuadraticState* quadratic, double rho, double reach, double y_square, double tol, Fit* fit,
) noexcept nogil:
    """As `fastreg.moment_problem` says, where every coordinate has an L1 strength."""
    cdef double fitted = size_of(quadratic), size = sqrt(y_square) + fitted, doubt = rho * size
    cdef double shrunk = doubt * reach, gap = max(fit.proof.gap, 0.0)
    cdef double penalty = 0.0, ridge = 0.0, value, root, counted, u
    cdef Py_ssize_t j
    if not (shrunk < 0.5 and fit.proof.kappa > 0.0):
        return False
    for j in range(quadratic.size):
        u = quadratic.u[j]
        penalty += quadratic.l1[j] * fabs(u)
        ridge += quadratic.l2[j] * u * u
    value = 0.5 * fit.square + penalty + 0.5 * ridge
    root = sqrt(2.0 * value)  # at least the norm of the residual
    counted = gap + shrunk * root * (sqrt(2.0 * gap) + 0.5 * shrunk * root)
    counted += doubt * (0.5 * size + fitted) + shrunk * penalty
    if not counted <= gap + ALLOWED * tol * y_square:
        return False
    fit.proof.gap = min(counted, value + 0.5 * doubt * size)  # the minimum is not negative
    # |z_j'(fit - best fit)| <= |z_j| sqrt(2 gap), and each correlation may be off by |z_j| doubt
    fit.proof.radius += doubt / fit.proof.kappa
    return True


@final
cdef class MomentPath:
    """Paths without bounds for any number of responses of one Gram matrix."""

    cdef Quadratic quadratic
    cdef int[::1] _feature      # behind each coordinate
    cdef bint _penalised        # all of them
    cdef double[::1] _l1_factor
    cdef double[::1] _l2_factor
    cdef double[::1] _correlation
    cdef double[::1] _zeros
    cdef unsigned char[::1] _done   # in lockstep

    def __init__(self, gram, movable, l1_factor, l2_factor):
        cdef Py_ssize_t m = len(movable)
        cdef double[::1] free
        self.quadratic = Quadratic()
        self.quadratic.reserve(m)
        known = np.asarray(self.quadratic.gram)[:m, :m]
        known[...] = gram if m == len(gram) else gram[np.ix_(movable, movable)]
        adopt(&self.quadratic.state, m)
        self._feature = movable.astype(np.int32)
        self._l1_factor, self._l2_factor = l1_factor[movable], l2_factor[movable]
        self._penalised = np.min(self._l1_factor) > 0.0
        self._zeros, self._correlation = np.zeros(m), np.empty(m)
        free = np.repeat([-np.inf, np.inf], m)
        set_penalty(
            &self.quadratic.state, Penalty(&self._zeros[0], &self._zeros[0], &free[0], &free[m]))

    @property
    def n_in_lockstep(self):
        """How many responses the last run solved in lockstep."""
        return int(np.sum(self._done))

    def run(self, Record record, Py_ssize_t first, const double[:, ::1] cross,
            const double[::1] size, const double[::1] unit, const double[::1] mean,
            const double[::1] l1, const double[::1] l2, *, double tol, Py_ssize_t max_sweeps,
            double deadline, double rounding=0.0, int n_threads=1):
        """Solve the paths of the responses from the first one on; return the first not solved.

        `size`, `unit` and `mean` are the length, scale and mean of each response; the strengths
        are those of response 0. The gaps count `rounding` of the moments, relative to both norms;
        where that is more than next to nothing the response is not solved.
        """
        cdef Py_ssize_t k, m = size.shape[0]
        if first == 0:
            self._done = np.zeros(m, dtype=np.uint8)
        if first == 0 and m >= FEW_LANES:
            self.run_together(
                record, cross, size, unit, mean, np.repeat(l1, m).reshape(-1, m),
                np.repeat(l2, m).reshape(-1, m), tol=tol, max_sweeps=max_sweeps,
                deadline=deadline, rounding=rounding, n_threads=n_threads)
        for k in range(first, m):
            if self._done[k]:
                continue
            record.begin(unit[k], mean[k], size[k])
            if not self._run_response(record, k, &cross[k, 0], size[k] * size[k],
                                      unit[0] / unit[k], l1, l2, tol, max_sweeps, deadline,
                                      rounding):
                record.forget(k)
                return k
        return m

    def run_together(
            self, Record record, const double[:, ::1] cross, const double[::1] size,
            const double[::1] unit, const double[::1] mean, l1, const double[:, ::1] l2, *,
            double tol, Py_ssize_t max_sweeps, double deadline, double rounding=0.0,
            int n_threads=1):
        """Solve the paths of as many responses in lockstep as can be; return which these are.

        Arguments are those of `run`, but strengths have a column for each response.
        """
        cdef Py_ssize_t m = size.shape[0], p = self.quadratic.state.size
        self._done = np.zeros(m, dtype=np.uint8)
        if m >= FEW_LANES and self._penalised and np.min(l1) > 0.0:
            self._done = solve_in_lockstep(
                record, self.quadratic.gram[:p, :p], self._feature, self._l1_factor,
                self._l2_factor, cross, size, unit, mean, l1 * (unit[0] / np.asarray(unit)), l2,
                tol, max_sweeps, deadline, rounding, n_threads)
        return np.asarray(self._done).view(np.bool_)

    cdef bint _run_response(
        self, Record record, Py_ssize_t k, const double* correlation, double square, double unit,
        const double[::1] l1, const double[::1] l2, double tol, Py_ssize_t max_sweeps,
        double deadline, double rho) except -1 nogil:
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef Py_ssize_t i, j
        cdef double null = 0.5 * square, reach = 0.0, weakest
        cdef Fit fit
        for j in range(quadratic.size):
            self._correlation[j] = correlation[self._feature[j]]
            reach = max(reach, quadratic.norm[j] / self._l1_factor[j])
        begin(quadratic)
        load(quadratic, &self._zeros[0], &self._correlation[0], square)
        for i in range(l1.shape[0]):
            if (i > 0 or k > 0) and check_interrupt(deadline):
                return False
            strengthen(
                quadratic, l1[i] * unit, &self._l1_factor[0], l2[i], &self._l2_factor[0])
            if not fit_moments(
                    quadratic, self._penalised and l1[i] > 0.0, null, tol, max_sweeps,
                    deadline, &fit):
                return False
            if rho > 0.0:
                weakest = l1[i] * unit
                if not (weakest > 0.0 and count_rounding(
                        quadratic, rho, reach / weakest, square, tol, &fit)):
                    return False
            if not record.put_quadratic(
                    quadratic, &self._feature[0], i, k, fit.square, fit.proof, null, tol,
                    False):
                return False
        return True
