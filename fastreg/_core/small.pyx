# Design: a fit of a thousand numbers takes the solver a few microseconds, and the objects that a
# general fit is made of a hundred times that. This lane has none: arrays are read through the
# buffer protocol, and a fit in memory that is used again (`embedded`) does the rest.
#
# The lane decides nothing that is open to doubt: arguments that are not plain, numbers that are not
# finite, scales or fits that could cost digits, and whatever is not proven from the Gram matrix to
# the tolerance are left to the general lane, which also words all the errors.
#
# Workspaces wait in a list whose `pop` and `append` are atomic, with and without a GIL: two threads
# never hold the same one. There are as many as there were fits at once, of eight megabytes at most.
#
# Several responses are one fit after the other on one Gram matrix, which lies in a second
# workspace: of few responses that is less than what the general lane has to prepare.

import numpy as np

from cpython.buffer cimport (
    PyBUF_STRIDES,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cython cimport final
from libc.math cimport INFINITY, NAN, fabs, isinf, isnan, sqrt

from fastreg._core.embedded cimport Fit, Found, lay_out, set_strengths, workspace_size
from fastreg._core.intake cimport take_other_response, take_penalty, take_rows
from fastreg._core.kernels cimport Matrix, is_constant
from fastreg._core.moment_path cimport Fit as MomentFit
from fastreg._core.moment_path cimport fit_moments
from fastreg._core.quadratic_state cimport QuadraticState
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
from fastreg._core.wide_ridge cimport fit_wide, room_of_wide

cdef enum:  # what is given for each feature
    FACTOR
    LOWER
    UPPER
    N_SIDES

cdef enum:
    MOST_FEATURES = 384
    MOST_RANK = 512        # features or rows, whichever are fewer, if the objective is smooth
    MOST_ROWS = 1 << 20
    # multiplications that make the Gram matrix: one millisecond, beyond which a working set does
    # with less of it; nothing smooth does
    MOST_WORK = 1 << 25
    MOST_SMOOTH_WORK = 1 << 29
    LONG_WORK = 1 << 17    # what is worth letting other threads run
    MOST_TURNS = 1 << 20   # entries of X that several responses may read, each of them as many as X
    A_TURN = 10_000        # has and as many more as are read while a response is fitted otherwise

cdef double CERTAIN = 1e-6   # deviation, relative to the mean, of a centred column
cdef double INTERPOLATING = 1e-3  # strength, over alpha_max, that leaves no residual at p = n
cdef double WELL = 1e-3      # pivots, as shares of their diagonals, that cost ridge no digits
cdef double LIGHT = 1e-50    # and weights of rows
cdef double HEAVY = 1e50
cdef double SMALL = 1e-100   # lengths of columns whose squares neither underflow nor overflow
cdef double LARGE = 1e100
cdef double BEYOND = 1e299   # strengths that are cut

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

cdef tuple MANY = (
    "coef", "intercept", "objective", "null_objective", "duality_gap", "tolerance",
    "kkt_violation", "certified_zero", "prediction_error_bound", "n_iter", "n_sweeps", "n_active")

cdef list idle = [], borrowers = []  # the Gram matrix of the latter lies in one of the former
cdef object take = idle.pop, put_back = idle.append


cdef struct Model:
    double alpha
    double l1_ratio
    bint centred
    bint standardize
    const double* side[N_SIDES]  # numbers for each feature, or NULL


@final
cdef class Workspace:
    """Memory for one fit at a time, and what the fit has found."""

    cdef Fit fit
    cdef Py_ssize_t n_rows     # that it is laid out for; so are all of n_features
    cdef Py_ssize_t n_features
    cdef Py_ssize_t _size      # of the workspace in use
    cdef Record record
    cdef object coef           # a view of it; so is `_coef`
    cdef object certified_zero
    cdef double[::1] _coef
    cdef double[::1] _memory
    cdef double[::1] _response  # in double
    cdef double[:, ::1] _side

    def __init__(self):
        self.n_rows = self.n_features = self._size = 0
        self._memory = self._response = np.empty(1)
        self._side = np.empty((N_SIDES, MOST_FEATURES))

    cdef reserve(self, Py_ssize_t n, Py_ssize_t p):
        # it also depends on the level of the kernels
        cdef Py_ssize_t size = workspace_size(n, p) // sizeof(double) + 1
        cdef double* scale = self.fit.scale
        if self.n_rows == n and self.n_features == p and self._size == size:
            return
        if self._memory.shape[0] < size:
            self._memory = np.empty(size)
        if self._response.shape[0] < n:
            self._response = np.empty(n)
        lay_out(&self.fit, n, p, &self._memory[0])
        self.fit.quadratic.is_unattended = False
        self.n_rows, self._size = n, size
        if self.n_features != p or self.fit.scale != scale:
            self.n_features = p
            self.record = Record(
                1, 1, <double[:p]>self.fit.scale, <double[:p]>self.fit.mean, 1.0, True, False)
            self.coef = self.record.coef[0, 0]
            self.certified_zero = self.record.certified_zero[0, 0]
            self._coef = self.coef

    cdef bint take_sides(self, tuple given, bint positive, Model* model):
        """Take factors and bounds; return whether they are plain."""
        cdef Py_ssize_t j, k, p = self.n_features
        for k in range(N_SIDES):
            if given[k] is not None:
                if not (is_vector(given[k], p)
                        or k != FACTOR and not isnan(number(given[k]))):
                    return False
                spread(given[k], p, &self._side[k, 0])
                model.side[k] = &self._side[k, 0]
        if positive:
            for j in range(p):
                self._side[LOWER, j] = (
                    0.0 if given[LOWER] is None else max(self._side[LOWER, j], 0.0))
            model.side[LOWER] = &self._side[LOWER, 0]
        return True

    cdef bint solve(
        self, const Matrix* X, const Matrix* y, const double* weight, const Model* model,
        double tol, Py_ssize_t max_sweeps) except -1 nogil:
        """Fit, prove and record; return whether that was beyond doubt."""
        cdef Py_ssize_t j
        if take_rows(&self.fit, X, self.response_of(y), weight, model.centred) < 0:
            return False
        for j in range(X.n_columns):
            self._coef[j] = 0.0
        return self.solve_taken(self.record, 0, model, tol, max_sweeps)

    cdef bint solve_several(
        self, Record record, Workspace whole, const Matrix* X, const Matrix* y,
        const double* weight, const Model* model, double tol, Py_ssize_t max_sweeps,
    ) except -1 nogil:
        """Fit all columns of y, with the Gram matrix in the other workspace."""
        cdef Py_ssize_t k
        if take_rows(&whole.fit, X, whole.column(y, 0), weight, model.centred) < 0:
            return False
        for k in range(y.n_columns):
            if take_other_response(&self.fit, &whole.fit, self.column(y, k)) < 0:
                return False
            if not self.solve_taken(record, k, model, tol, max_sweeps):
                return False
        return True

    cdef bint solve_taken(
        self, Record record, Py_ssize_t k, const Model* model, double tol, Py_ssize_t max_sweeps,
    ) except -1 nogil:
        """Fit the data that were taken, and record that as response k."""
        cdef Fit* fit = &self.fit
        cdef QuadraticState* quadratic = &fit.quadratic
        cdef double null, l1 = model.alpha * model.l1_ratio
        cdef double l2 = model.alpha * (1.0 - model.l1_ratio)
        cdef MomentFit moments
        fit.standardize = model.standardize
        if take_penalty(
                fit, model.side[FACTOR], model.side[LOWER], model.side[UPPER]) < 0:
            return False
        set_strengths(fit, l1, l2)
        if self._is_doubtful(l1):
            return False
        null = 0.5 * fit.square
        if not fit_moments(quadratic, l1 > 0.0, null, tol, max_sweeps, INFINITY, &moments):
            return False
        if l1 == 0.0 and not quadratic.factor.weakest > WELL:
            return False
        record.set_rows(fit.total * fit.weight_unit, fit.centred)
        record.begin_response(fit.unit, fit.mean[fit.p], sqrt(fit.square))
        return record.put_quadratic(
            quadratic, quadratic.column, 0, k, moments.square, moments.proof, null, tol,
            model.side[LOWER] != NULL or model.side[UPPER] != NULL)

    cdef bint _is_doubtful(self, double l1) noexcept nogil:
        """Are scales or strengths such that digits could be lost?"""
        cdef const Fit* fit = &self.fit
        cdef const QuadraticState* quadratic = &fit.quadratic
        cdef double size = sqrt(fit.square) * fit.unit, ridge = 0.0, reach = 0.0
        cdef Py_ssize_t j, p = fit.p
        if not (SMALL < size < LARGE and size > CERTAIN * fabs(fit.mean[p])):
            return True
        for j in range(p):
            size = quadratic.norm[j] / fit.scale[j]
            if not (SMALL < size < LARGE and size > CERTAIN * fabs(fit.mean[j])) and not (
                    size == 0.0 and is_constant(&fit.X, j)):
                return True
            if not (fit.start[j] == 0.0 and quadratic.l1[j] + quadratic.l2[j] > 0.0
                    and (quadratic.l1[j] > 0.0) == (l1 > 0.0)
                    and quadratic.l1[j] < BEYOND and quadratic.l2[j] < BEYOND):
                return True
            ridge = max(ridge, quadratic.l2[j])
            if l1 > 0.0:
                reach = max(reach, fabs(fit.q[j]) / quadratic.l1[j])
        return p >= fit.n and ridge < INTERPOLATING and INTERPOLATING * p * reach > fit.n

    cdef bint is_bounded(self) noexcept:
        cdef const QuadraticState* quadratic = &self.fit.quadratic
        cdef Py_ssize_t j
        for j in range(self.n_features):
            if not (isinf(quadratic.lower[j]) and isinf(quadratic.upper[j])):
                return True
        return False

    cdef dict fields(self, const Model* model):
        """What was recorded, under the names of a result."""
        cdef Record record = self.record
        cdef Found found
        found.objective = record._number[OBJECTIVE, 0, 0]
        found.null_objective = record._number[NULL_OBJECTIVE, 0, 0]
        found.gap = record._number[GAP, 0, 0]
        found.tolerance = record._number[TOLERANCE, 0, 0]
        found.violation = record._number[VIOLATION, 0, 0]
        found.n_sweeps = self.fit.quadratic.n_sweeps
        found.n_active = record._count[N_ACTIVE, 0, 0]
        fields = fields_of(model, &found, self.coef.copy(), self.certified_zero.copy())
        fields["intercept"] = record._number[INTERCEPT, 0, 0]
        fields["prediction_error_bound"] = record._number[PREDICTION, 0, 0]
        fields["n_passes"] = 2 if model.centred else 1
        if model.l1_ratio == 0.0 and not self.is_bounded():
            fields["method"] = "cholesky"
        return fields

    cdef dict solve_wide(
        self, const Matrix* X, const Matrix* y, const double* weight, const Model* model,
        double tol):
        """The fields of ridge regression on few rows; None if in doubt."""
        cdef Py_ssize_t size = room_of_wide(X.n_rows, X.n_columns), n_passes
        cdef double intercept, total
        cdef double[::1] coef
        cdef Found found
        if self._memory.shape[0] < size:
            self._memory = np.empty(size)
        if self._response.shape[0] < X.n_rows:
            self._response = np.empty(X.n_rows)
        out = np.empty(X.n_columns)
        coef = out
        self.n_rows = 0  # nothing else is laid out in that memory any more
        with nogil:
            n_passes = fit_wide(X, self.response_of(y), weight, model.centred, model.alpha, tol,
                                &self._memory[0], &coef[0], &intercept, &total, &found)
        if n_passes == 0:
            return None
        found.n_sweeps = 0
        fields = fields_of(model, &found, out, np.zeros(X.n_columns, np.bool_))
        fields["intercept"] = intercept
        fields["prediction_error_bound"] = 2.0 * total * found.gap
        fields["n_passes"] = n_passes
        fields["method"] = "cholesky"
        return fields

    cdef const double* response_of(self, const Matrix* y) noexcept nogil:
        """The numbers of a vector y in double."""
        return self.column(y, 0) if y.narrow else <const double*>y.data

    cdef const double* column(self, const Matrix* y, Py_ssize_t k) noexcept nogil:
        """A column of y as contiguous doubles."""
        cdef Py_ssize_t i, at = k * y.column_stride
        if y.narrow:
            for i in range(y.n_rows):
                self._response[i] = (<const float*>y.data)[at + i * y.row_stride]
        else:
            for i in range(y.n_rows):
                self._response[i] = (<const double*>y.data)[at + i * y.row_stride]
        return &self._response[0]


cdef dict fields_of(const Model* model, const Found* found, coef, certified_zero):
    """Most fields of a result."""
    cdef dict fields = blank.copy()  # its keys are there: half of what a new one costs
    fields["coef"] = coef
    fields["certified_zero"] = certified_zero
    fields["alpha"] = model.alpha
    fields["l1_ratio"] = model.l1_ratio
    fields["objective"] = found.objective
    fields["null_objective"] = found.null_objective
    fields["duality_gap"] = found.gap
    fields["tolerance"] = found.tolerance
    fields["kkt_violation"] = found.violation
    fields["n_sweeps"] = found.n_sweeps
    fields["n_active"] = found.n_active
    fields["n_features"] = len(coef)
    return fields


cdef dict fields_of_several(Workspace work, Record record, const Model* model):
    """The same for several responses."""
    cdef dict fields = blank.copy()
    fields["alpha"], fields["l1_ratio"] = model.alpha, model.l1_ratio
    for name in MANY:
        fields[name] = getattr(record, name)[0]
    fields["n_passes"] = 2 if model.centred else 1
    fields["n_features"] = work.n_features
    if model.l1_ratio == 0.0 and not work.is_bounded():
        fields["method"] = "cholesky"
    return fields


cdef bint is_plain(array) noexcept:
    return type(array) is ndarray and (array.dtype is wide or array.dtype is narrow)


cdef double number(given) noexcept:
    """The value of what is a number beyond doubt; NaN for everything else."""
    if type(given) is float or type(given) is float64:
        return given
    if type(given) is int and -(1 << 53) <= given <= 1 << 53:
        return given
    return NAN


cdef bint is_vector(given, Py_ssize_t size) noexcept:
    """Is it a plain one of doubles?"""
    return (type(given) is ndarray and given.dtype is wide and given.ndim == 1
            and given.shape[0] == size > 0 and given.flags.c_contiguous and given.flags.aligned)


cdef spread(given, Py_ssize_t p, double* out):
    """Write what is given, a number or a vector, for each feature."""
    cdef const double[::1] vector
    cdef double value
    cdef Py_ssize_t j
    if type(given) is ndarray:
        vector = given
        for j in range(p):
            out[j] = vector[j]
    else:
        value = given
        for j in range(p):
            out[j] = value


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


cdef bint are_usual(const double* weight, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not LIGHT <= weight[i] <= HEAVY:
            return False
    return True


cdef bint is_small(Py_ssize_t n, Py_ssize_t p, bint smooth) noexcept nogil:
    """Is a Gram matrix of all features, or of all rows if smooth, the fastest way in any case?"""
    if not (0 < n <= MOST_ROWS and 0 < p <= MOST_ROWS):
        return False
    if smooth:
        return min(n, p) <= MOST_RANK and n * p * min(n, p) <= MOST_SMOOTH_WORK
    return p <= MOST_FEATURES and n * p * p <= MOST_WORK


def takes(n_samples, n_features, l1_ratio):
    """Whether the lane is for fits of that size, if nothing is in doubt."""
    return is_small(n_samples, n_features, number(l1_ratio) == 0.0)


def fit(X, y, alpha, l1_ratio, fit_intercept, settings, sample_weight=None, penalty_factor=None,
        lower=None, upper=None, positive=False, standardize=False):
    """Return the fields of a converged result, without status and seconds; None if in doubt.

    All other arguments of `fastreg.solve` have their defaults.
    """
    cdef Py_buffer rows, response
    cdef const double[::1] weight = None
    cdef Model model = Model(number(alpha), number(l1_ratio), fit_intercept is True,
                             standardize is True, [NULL, NULL, NULL])
    cdef tuple sides = None
    if not (is_plain(X) and is_plain(y)
            and 0.0 < model.alpha < INFINITY and 0.0 <= model.l1_ratio <= 1.0
            and (model.centred or fit_intercept is False)
            and (positive is True or positive is False)
            and (standardize is False or (model.standardize and model.centred))
            and settings.method == "auto" and settings.time_limit == INFINITY
            and settings.gram_memory >= 12.0 * MOST_RANK * MOST_RANK):
        return None
    if sample_weight is not None:
        if not is_vector(sample_weight, len(X) if X.ndim else 0):
            return None
        weight = sample_weight
    if positive or penalty_factor is not None or lower is not None or upper is not None:
        sides = (penalty_factor, lower, upper)
    PyObject_GetBuffer(X, &rows, PyBUF_STRIDES)
    try:
        PyObject_GetBuffer(y, &response, PyBUF_STRIDES)
        try:
            return fit_buffers(&rows, &response, weight, &model, sides, positive,
                               settings.tol, settings.max_sweeps)
        finally:
            PyBuffer_Release(&response)
    finally:
        PyBuffer_Release(&rows)


cdef fit_buffers(
    const Py_buffer* rows, const Py_buffer* response, const double[::1] weight, Model* model,
    tuple sides, bint positive, double tol, Py_ssize_t max_sweeps):
    cdef Matrix X, y
    cdef Workspace work
    cdef Py_ssize_t n, p
    cdef bint done, smooth
    cdef const double* weights = NULL
    if rows.ndim != 2 or not 1 <= response.ndim <= 2:
        return None
    if not (describe(rows, &X) and describe(response, &y)):
        return None
    n, p = X.n_rows, X.n_columns
    smooth = response.ndim == 1 and (
        model.l1_ratio == 0.0 and sides is None and not model.standardize)
    if y.n_rows != n or not is_small(n, p, smooth):
        return None
    if response.ndim == 2 and not 0 < y.n_columns <= MOST_TURNS // (n * p + A_TURN):
        return None
    if weight is not None:
        if not are_usual(&weight[0], n):
            return None
        weights = &weight[0]
    try:
        work = take()
    except IndexError:
        work = Workspace()
    if smooth and n < p:
        found = work.solve_wide(&X, &y, weights, model, tol)
        put_back(work)
        return found
    work.reserve(n, p)
    if sides is not None and not work.take_sides(sides, positive, model):
        done = False
    elif response.ndim == 2:
        found = fit_several(work, &X, &y, weights, model, tol, max_sweeps)
        put_back(work)
        return found
    elif n * p * p > LONG_WORK:
        with nogil:
            done = work.solve(&X, &y, weights, model, tol, max_sweeps)
    else:
        done = work.solve(&X, &y, weights, model, tol, max_sweeps)
    found = work.fields(model) if done else None
    put_back(work)
    return found


cdef fit_several(
    Workspace whole, const Matrix* X, const Matrix* y, const double* weight, const Model* model,
    double tol, Py_ssize_t max_sweeps):
    cdef Workspace work
    cdef Py_ssize_t p = X.n_columns
    cdef Record record
    cdef bint done
    try:
        work = borrowers.pop()
    except IndexError:
        work = Workspace()
    work.reserve(X.n_rows, p)
    record = Record(1, y.n_columns, <double[:p]>work.fit.scale, <double[:p]>work.fit.mean, 1.0,
                    model.centred, False)
    with nogil:
        done = work.solve_several(record, whole, X, y, weight, model, tol, max_sweeps)
    found = fields_of_several(work, record, model) if done else None
    borrowers.append(work)
    return found
