# Design: a fit of a thousand numbers takes the solver a few microseconds, and the objects that a
# general fit is made of a hundred times that. This lane has none: arrays are read through the
# buffer protocol, all intermediates lie in a workspace that is used again, and the Gram matrix of X
# with y as its last column holds all that the one solver, `Quadratic`, and its certificate need.
# Units are those of `fastreg.problem`: columns and response have unit size by powers of two, which
# are applied to the finished Gram matrix.
#
# The lane decides nothing that is open to doubt: arguments that are not plain, numbers that are not
# finite, scales or fits that could cost digits, and whatever is not proven from the Gram matrix to
# the tolerance are left to the general lane, which also words all the errors.
#
# Workspaces wait in a list whose `pop` and `append` are atomic, with and without a GIL: two threads
# never hold the same one. There are as many as there were fits at once, of a megabyte at most.

import numpy as np

from cpython.buffer cimport (
    PyBUF_STRIDES,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cython cimport final
from libc.math cimport INFINITY, NAN, fabs, frexp, isfinite, ldexp, sqrt

from fastreg._core.gram cimport ROW_BLOCK, mirror, packed_block, products_at_once
from fastreg._core.kernels cimport Matrix, simd
from fastreg._core.moment_path cimport Fit, fit_moments
from fastreg._core.penalty cimport Penalty
from fastreg._core.quadratic cimport Quadratic, QuadraticState, adopt, load, set_penalty
from fastreg._core.record cimport (
    GAP,
    INTERCEPT,
    N_ACTIVE,
    NULL_OBJECTIVE,
    OBJECTIVE,
    PREDICTION,
    TOLERANCE,
    VIOLATION,
    Record,
)

cdef enum:
    MOST_FEATURES = 256
    MOST_ROWS = 1 << 14
    MOST_WORK = 1 << 24    # multiplications of the Gram product: half a millisecond
    LONG_WORK = 1 << 17    # of those, what is worth letting other threads run

cdef double CERTAIN = 1e-12  # variance, relative to the square of the mean, of a centred column
cdef double INTERPOLATING = 1e-3  # strength, over alpha_max, that leaves no residual at p = n
cdef double SMALL = 1e-200   # squares of columns that neither underflow nor overflow
cdef double LARGE = 1e200

cdef object ndarray = np.ndarray, float64 = np.float64
cdef object wide = np.dtype(np.float64), narrow = np.dtype(np.float32)

# The fields of a result; those that differ are written over.
cdef dict blank = dict.fromkeys((
    "coef", "intercept", "l1_ratio", "status", "objective", "null_objective", "duality_gap",
    "tolerance", "kkt_violation", "certified_zero", "prediction_error_bound", "n_iter",
    "n_passes", "n_sweeps", "n_active", "seconds", "method", "n_features", "feature_names",
    "alpha"))
blank["n_iter"] = 1
blank["method"] = "gram"

cdef list idle = []
cdef object take = idle.pop, put_back = idle.append


@final
cdef class Workspace:
    """Memory for one fit at a time, and what the fit has found."""

    cdef Quadratic quadratic
    cdef Py_ssize_t n_features
    cdef Record record         # of one fit of exactly n_features
    cdef object coef           # a view of it; so is `_coef`
    cdef object certified_zero
    cdef double[::1] _coef
    cdef double[::1] _ones     # as many as rows or features
    cdef double[::1] _nothing  # zeros, as many as features
    cdef double[::1] _block
    cdef double[::1] _mean
    cdef double[::1] _scale
    cdef double[::1] _q
    cdef double[::1] _l1
    cdef double[::1] _l2
    cdef double[::1] _lower
    cdef double[::1] _upper
    cdef Penalty _penalty

    def __init__(self):
        self.quadratic = Quadratic()
        self._ones = np.ones(1)
        self._block = np.empty(1)
        self._nothing = np.empty(0)
        self.n_features = 0

    cdef reserve(self, Py_ssize_t n, Py_ssize_t p):
        cdef Py_ssize_t panel = simd.wide.panel
        cdef Py_ssize_t room = (p + panel) // panel * panel * min(n, ROW_BLOCK)
        if self._ones.shape[0] < max(n, p):
            self._ones = np.ones(max(n, p))
        if self._block.shape[0] < room:
            self._block = packed_block(min(n, ROW_BLOCK), p + 1)
        if self._nothing.shape[0] < p:
            self.n_features = 0
            self.quadratic.reserve(p + 1)
            self._nothing, self._q = np.zeros(p), np.empty(p)
            self._mean, self._scale = np.empty(p + 1), np.empty(p)
            self._l1, self._l2 = np.empty(p), np.empty(p)
            self._lower, self._upper = np.full(p, -np.inf), np.full(p, np.inf)
            self._penalty = Penalty(&self._l1[0], &self._l2[0], &self._lower[0], &self._upper[0])
        if self.n_features != p:
            scale, mean = np.asarray(self._scale)[:p], np.asarray(self._mean)[:p]
            self.record = Record(1, 1, scale, mean, 1.0, True, False)
            self.coef = self.record.coef[0, 0]
            self.certified_zero = self.record.certified_zero[0, 0]
            self._coef = self.coef
            self.n_features = p

    cdef bint solve(
        self, const Matrix* X, const Matrix* y, double l1, double l2, bint centred, double tol,
        Py_ssize_t max_sweeps) except -1 nogil:
        """Fit, prove and record; return whether that was beyond doubt."""
        cdef QuadraticState* quadratic = &self.quadratic.state
        cdef double null, unit
        cdef Fit fit
        cdef Py_ssize_t j
        products_at_once(X, y, centred, &self._ones[0], &self._ones[0], X.n_rows, &self._ones[0],
                         &self._coef[0], &self._block[0], &self._mean[0],
                         quadratic.gram, quadratic.stride)
        unit = self._bring_to_size(X.n_rows, X.n_columns, l1, l2, &null)
        if not (unit > 0.0):
            return False
        adopt(quadratic, X.n_columns)
        set_penalty(quadratic, self._penalty)
        load(quadratic, &self._nothing[0], &self._q[0], 2.0 * null)
        if not fit_moments(quadratic, True, null, tol, max_sweeps, INFINITY, &fit):
            return False
        for j in range(X.n_columns):
            self._coef[j] = 0.0
        self.record.set_rows(X.n_rows, centred)
        self.record.begin_response(unit, self._mean[X.n_columns], sqrt(2.0 * null))
        return self.record.put_quadratic(
            quadratic, quadratic.column, 0, 0, fit.square, fit.proof, null, tol)

    cdef dict fields(self, double l1_ratio, double alpha, bint centred):
        """What was recorded, under the names of a result."""
        cdef Record record = self.record
        cdef dict found = blank.copy()  # its keys are there: half of what a new one costs
        found["coef"] = self.coef.copy()
        found["intercept"] = record._number[INTERCEPT, 0, 0]
        found["l1_ratio"] = l1_ratio
        found["objective"] = record._number[OBJECTIVE, 0, 0]
        found["null_objective"] = record._number[NULL_OBJECTIVE, 0, 0]
        found["duality_gap"] = record._number[GAP, 0, 0]
        found["tolerance"] = record._number[TOLERANCE, 0, 0]
        found["kkt_violation"] = record._number[VIOLATION, 0, 0]
        found["certified_zero"] = self.certified_zero.copy()
        found["prediction_error_bound"] = record._number[PREDICTION, 0, 0]
        found["n_passes"] = 2 if centred else 1
        found["n_sweeps"] = self.quadratic.state.n_sweeps
        found["n_active"] = record._count[N_ACTIVE, 0, 0]
        found["n_features"] = self.n_features
        found["alpha"] = alpha
        return found

    cdef double _bring_to_size(
        self, Py_ssize_t n, Py_ssize_t p, double l1, double l2, double* null) noexcept nogil:
        """Scale the Gram matrix and the strengths; return the unit of y, or zero if in doubt."""
        cdef double[:, ::1] gram = self.quadratic.gram
        cdef double share = 1.0 / n, size, unit, ridge = 0.0, reach = 0.0
        cdef Py_ssize_t j, k
        cdef int exponent
        for j in range(p + 1):
            size = gram[j, j] * share
            if not (SMALL < size < LARGE and size > CERTAIN * self._mean[j] * self._mean[j]):
                return 0.0
        frexp(sqrt(gram[p, p] * share), &exponent)
        unit = ldexp(1.0, exponent)
        null[0] = 0.5 * gram[p, p] * share / unit / unit
        for j in range(p):
            frexp(sqrt(gram[j, j] * share), &exponent)
            size = ldexp(1.0, -exponent)
            self._scale[j] = size
            self._q[j] = gram[p, j] * share * size / unit
            self._l1[j] = l1 * size / unit
            self._l2[j] = l2 * size * size
            if not (self._l1[j] > 0.0 and isfinite(self._l1[j]) and isfinite(self._l2[j])):
                return 0.0
            ridge = max(ridge, self._l2[j])
            reach = max(reach, fabs(self._q[j]) / self._l1[j])
            for k in range(j + 1):
                gram[j, k] *= share * size * self._scale[k]
        if p >= n and ridge < INTERPOLATING and INTERPOLATING * p * reach > n:
            return 0.0
        mirror(0, p, gram)
        return unit


cdef bint is_plain(array) noexcept:
    return type(array) is ndarray and (array.dtype is wide or array.dtype is narrow)


cdef double number(given) noexcept:
    """The value of what is a number beyond doubt; NaN for everything else."""
    if type(given) is float or type(given) is float64:
        return given
    if type(given) is int and 0 <= given <= 1 << 53:
        return given
    return NAN


cdef bint describe(const Py_buffer* view, Matrix* X) noexcept:
    """Write X as a matrix; return whether it is aligned and without gaps, in C or F order."""
    X.data = view.buf
    X.narrow = view.itemsize == sizeof(float)
    X.n_rows = view.shape[0]
    X.n_columns = view.shape[1] if view.ndim == 2 else 1
    X.row_stride = 1
    X.column_stride = 1
    if X.n_columns > 1 and PyBuffer_IsContiguous(view, b"C"):
        X.row_stride = X.n_columns
    elif PyBuffer_IsContiguous(view, b"F"):
        X.column_stride = X.n_rows
    else:
        return False
    return <size_t>view.buf % view.itemsize == 0


def fit(X, y, alpha, l1_ratio, fit_intercept, settings):
    """Return the fields of a converged result, without status and seconds; None if in doubt.

    All other arguments of `fastreg.solve` have their defaults.
    """
    cdef Py_buffer rows, response
    cdef double strength = number(alpha), ratio = number(l1_ratio)
    if not (is_plain(X) and is_plain(y) and 0.0 < strength < INFINITY and 0.0 < ratio <= 1.0
            and (fit_intercept is True or fit_intercept is False)
            and settings.method == "auto" and settings.time_limit == INFINITY
            and settings.gram_memory >= 12.0 * MOST_FEATURES * MOST_FEATURES):
        return None
    PyObject_GetBuffer(X, &rows, PyBUF_STRIDES)
    try:
        PyObject_GetBuffer(y, &response, PyBUF_STRIDES)
        try:
            return fit_buffers(&rows, &response, strength, ratio, fit_intercept is True,
                               settings.tol, settings.max_sweeps)
        finally:
            PyBuffer_Release(&response)
    finally:
        PyBuffer_Release(&rows)


cdef fit_buffers(
    const Py_buffer* rows, const Py_buffer* response, double alpha, double l1_ratio, bint centred,
    double tol, Py_ssize_t max_sweeps):
    cdef Matrix X, y
    cdef Workspace work
    cdef Py_ssize_t n, p
    cdef bint done
    cdef double l1 = alpha * l1_ratio, l2 = alpha * (1.0 - l1_ratio)
    if rows.ndim != 2 or response.ndim != 1:
        return None
    if not (describe(rows, &X) and describe(response, &y)):
        return None
    n, p = X.n_rows, X.n_columns
    if y.n_rows != n or not (0 < p <= MOST_FEATURES and 0 < n <= MOST_ROWS
                             and n * p * p <= MOST_WORK):
        return None
    try:
        work = take()
    except IndexError:
        work = Workspace()
    work.reserve(n, p)
    if n * p * p > LONG_WORK:
        with nogil:
            done = work.solve(&X, &y, l1, l2, centred, tol, max_sweeps)
    else:
        done = work.solve(&X, &y, l1, l2, centred, tol, max_sweeps)
    found = work.fields(l1_ratio, alpha, centred) if done else None
    put_back(work)
    return found
