# Design: two storages behind the same verbs. Dense columns of either float type are read where
# they lie, in C or F order; sparse ones as CSC. Standardisation is applied on the fly, so X is
# never copied, centred or scaled; only blocks of a few hundred rows of the working set are packed
# to feed the Gram product. A sparse column is centred implicitly through the sum of the vector that
# it meets, except where every entry is stored: there the shift is applied entry by entry, because
# the implicit form loses the digits of a column whose mean is large against its deviation.

from time import monotonic

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, sqrt
from libc.string cimport memset
from fastreg._core cimport kernels
from fastreg._core.kernels cimport Matrix, simd

cdef enum:
    ROW_BLOCK = 128  # of these rows a panel of a packed block stays in the first-level cache
    SQUARE = 16  # of a matrix that is transposed
    LIST = 256
    COLUMN = 8           # entries that cost as much as the beginning of a sparse column
    SPARSE_PART = 1 << 18
    PART = 1 << 20       # elements of a part of a pass: some 0.3 ms
    BLOCK_ROWS = 256     # rows that are read twice, the second time from the cache
    WIDEST = 1024        # columns up to which they stay there
    SLICE = 4096         # rows that are worth a partial sum
    MAX_SLICES = 16
    MOST_OF_A_SLICE = 1 << 18  # entries of a partial Gram matrix
    WORTH_A_THREAD = 1 << 22   # elements of a pass: a millisecond
    WORTH_A_THREAD_GRAM = 1 << 27  # the same in multiplications
    _ONE_READ = 512
    FEW_RESPONSES = 8
    N_FIRST = 8          # rows whose mean is the first shift
    REPAIR = 1 << 20     # entries that are copied to repair columns
    CHUNK = 1 << 25  # elements between two looks at pending signals: some 10 ms
    WORK_A_CHECK = 1 << 30  # multiplications of a Gram product between two of them

ONE_READ = _ONE_READ  # columns up to which a survey with all of them is one Gram product

cdef double ALMOST_FULL = 0.75  # share of stored entries above which a column counts as dense


cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef int check_interrupt(double deadline=INFINITY) except -1 nogil:
    with gil:
        PyErr_CheckSignals()
        return deadline < INFINITY and monotonic() > deadline


cdef class Design:
    """A design matrix behind verbs; `moments` and `set_units` come first, then it is read only."""

    def __init__(self, Py_ssize_t n_samples, Py_ssize_t n_features):
        self.n_samples = n_samples
        self.n_features = n_features
        self._shift = np.zeros(n_features)
        self._scale = np.ones(n_features)
        self._n_threads = 1

    @property
    def shift(self):
        return np.asarray(self._shift)

    @property
    def scale(self):
        return np.asarray(self._scale)

    def set_units(self, shift, scale):
        """Set z_j = (x_j - shift_j) * scale_j."""
        self._shift = np.ascontiguousarray(shift, dtype=np.float64)
        self._scale = np.ascontiguousarray(scale, dtype=np.float64)

    def moments(self, const double[::1] weight):
        """Return the weighted means and variances of the raw columns; weights sum to one."""
        raise NotImplementedError

    def survey(self, const double[::1] weight, responses, const int[::1] columns,
               bint centre=True):
        """Return all that least squares needs of X, from one read of it where that is possible.

        Weights sum to one; `responses` is a DenseDesign of one response a column, in its units, or
        None; where they are to be centred, their shifts must be about their means. Returned are
        the weighted means and variances of the raw columns, sum_i weight_i x_ij y_ik for every
        response k and column j, and sum_i weight_i x_ia x_ib for the given columns; columns and
        responses are centred in both, or in none. Variances are not finite where a column is not,
        or where its squares overflow.
        """
        raise NotImplementedError

    def by_rows(self):
        """Return dense X if its rows are contiguous and its columns are not, else None."""
        return None

    def set_threads(self, int n_threads):
        """Let passes and Gram products use so many threads; that changes no bit of a result."""
        self._n_threads = max(1, n_threads)

    cdef double share_of(self, const int* columns, Py_ssize_t m) noexcept nogil:
        return <double>m / self.n_features

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        return 0

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        return 0

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        return 0

    cdef int add_and_correlate(
        self, const int* columns, Py_ssize_t m, const double* coef, const double* weight,
        double* r, double* out) except -1 nogil:
        cdef double[::1] weighted
        cdef Py_ssize_t i
        with gil:
            weighted = np.empty(self.n_samples)
        self.add_columns(columns, m, coef, r)
        for i in range(self.n_samples):
            weighted[i] = weight[i] * r[i]
        return self.correlate(&weighted[0], out)

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        return 0

    # The verbs for Python: tests, benchmarks, closed forms.

    def correlation(self, const double[::1] v):
        """Return sum_i v_i z_ij for every feature j."""
        out = np.empty(self.n_features)
        cdef double[::1] view = out
        with nogil:
            self.correlate(&v[0], &view[0])
        return out

    def correlation_of(self, const int[::1] columns, const double[::1] v):
        """Return sum_i v_i z_ij for the given columns j."""
        out = np.empty(columns.shape[0])
        cdef double[::1] view = out
        if columns.shape[0]:
            with nogil:
                self.correlate_columns(&columns[0], columns.shape[0], &v[0], &view[0])
        return out

    def product(self, const double[::1] coef):
        """Return sum_j z_ij coef_j for every row i."""
        out = np.zeros(self.n_samples)
        cdef double[::1] view = out
        cdef int[::1] columns = np.arange(self.n_features, dtype=np.int32)
        with nogil:
            self.add_columns(&columns[0], self.n_features, &coef[0], &view[0])
        return out

    def product_and_correlation(self, const double[::1] coef, const double[::1] weight):
        """Return `product` and the `correlation` of weight times it, from one read."""
        r, out = np.zeros(self.n_samples), np.empty(self.n_features)
        cdef double[::1] r_view = r
        cdef double[::1] out_view = out
        cdef int[::1] columns = np.arange(self.n_features, dtype=np.int32)
        with nogil:
            self.add_and_correlate(&columns[0], self.n_features, &coef[0], &weight[0],
                                   &r_view[0], &out_view[0])
        return r, out

    def gram_matrix(self, const int[::1] columns, const double[::1] weight, known=None):
        """Return sum_i weight_i z_ia z_ib for the given columns; of the first ones it is known."""
        out = np.empty((columns.shape[0], columns.shape[0]))
        cdef Py_ssize_t old = 0 if known is None else len(known)
        if old:
            out[:old, :old] = known
        self.gram(columns, old, weight, out)
        return out


@final
cdef class DenseDesign(Design):
    """Dense X, float64 or float32, whose rows or columns are contiguous."""

    cdef object _X  # keeps the memory alive
    cdef Matrix _matrix

    def __init__(self, X):
        super().__init__(X.shape[0], X.shape[1])
        cdef const double[:, :] wide
        cdef const float[:, :] narrow
        self.n_stored = float(X.size)
        self._X = X
        self._matrix.narrow = X.dtype == np.float32
        if self._matrix.narrow:
            narrow = X
            self._matrix.data = &narrow[0, 0]
        else:
            wide = X
            self._matrix.data = &wide[0, 0]
        self._matrix.n_rows = self.n_samples
        self._matrix.n_columns = self.n_features
        self._matrix.row_stride = X.strides[0] // X.itemsize
        self._matrix.column_stride = X.strides[1] // X.itemsize
        # What a stride is where there is one row or column only, is not defined.
        if self.n_features == 1:
            if self._matrix.row_stride == 1:
                self._matrix.column_stride = self.n_samples
            else:
                self._matrix.column_stride = 1
        elif self.n_samples == 1:
            if self._matrix.column_stride == 1:
                self._matrix.row_stride = self.n_features
            else:
                self._matrix.row_stride = 1

    def moments(self, const double[::1] weight):
        mean = np.empty(self.n_features)
        variance = np.empty(self.n_features)
        self._sums(weight, np.empty((0, self.n_samples)), mean, variance,
                   np.empty((0, self.n_features)))
        return mean, variance

    def by_rows(self):
        return None if self._matrix.row_stride == 1 else self._X

    def rows(self):
        """Return the standardised columns, one a row: a new array."""
        out = np.empty((self.n_features, self.n_samples))
        np.subtract(self._X.T, self.shift[:, None], out=out)
        out *= self.scale[:, None]
        return out

    def survey(self, const double[::1] weight, DenseDesign responses, const int[::1] columns,
               bint centre=True):
        cdef Py_ssize_t p = self.n_features, m = columns.shape[0]
        cdef Py_ssize_t n_responses = 0 if responses is None else responses.n_features
        cdef double[::1] mean = np.empty(p)
        cdef double[::1] variance = np.empty(p)
        cdef double[:, ::1] cross = np.empty((n_responses, p))
        cdef double[:, ::1] gram = np.empty((m, m))
        cdef double[::1] y_mean = np.empty(n_responses)
        if m == p <= _ONE_READ and are_all(columns):
            self._sums_with_gram(weight, responses, mean, variance, y_mean, cross, gram)
        else:
            self._sums(weight, weighted_rows(weight, responses, y_mean), mean, variance, cross)
            if m:
                self._gram(columns, 0, weight, mean, np.ones(p), gram)
        if not centre:
            add_means(columns, mean, y_mean, cross, gram)
        return np.asarray(mean), np.asarray(variance), np.asarray(cross), np.asarray(gram)

    cdef void _first_shift(self, const double[::1] weight, double* shift) noexcept nogil:
        """The mean of a few rows that count (one without weight may hold anything)."""
        cdef Py_ssize_t rows[N_FIRST]
        cdef Py_ssize_t i, j, k, count = 0
        cdef double origin
        for k in range(N_FIRST):
            i = k * self.n_samples // N_FIRST
            while i < self.n_samples and weight[i] == 0.0:
                i += 1
            if i < self.n_samples:
                rows[count] = i
                count += 1
        for j in range(self.n_features):
            shift[j] = 0.0
        for k in range(1, count):
            for j in range(self.n_features):
                shift[j] += entry(&self._matrix, rows[k], j) - entry(&self._matrix, rows[0], j)
        for j in range(self.n_features):
            origin = entry(&self._matrix, rows[0], j)
            shift[j] = origin + shift[j] / count

    cdef _sums(self, const double[::1] weight, const double[:, ::1] V, double[::1] mean,
               double[::1] variance, double[:, ::1] cross):
        """Means, variances and centred products with weighted vectors, in one pass."""
        cdef Py_ssize_t j, k, p = self.n_features, m = V.shape[0], n = self.n_samples
        cdef double[::1] first = np.empty(p)
        cdef double[::1] V_sum = np.empty(m)
        cdef double d
        cdef Pass job
        job.head = -1
        if self._matrix.row_stride == 1:
            job.head = 0
            while job.head < n - 1 and weight[job.head] == 0.0:
                job.head += 1
        else:
            self._first_shift(weight, &mean[0])
        job.weight = &weight[0]
        job.V = &V[0, 0] if m else NULL
        job.m = m
        for k in range(m):
            V_sum[k] = kernels.total(&V[k, 0], n)
        self._run_sums(&job, mean, first, variance, cross)
        poor = []
        for j in range(p):
            d = first[j]
            # Where the shift lies far from the mean, its square would swallow the variance.
            if not d * d < 0.99 * variance[j] and variance[j] > 0.0:
                poor.append(j)
            mean[j] += d
            variance[j] = at_least_zero(variance[j] - d * d)
            for k in range(m):
                cross[k, j] -= d * V_sum[k]
        self._repair(poor, weight, V, mean, variance, cross)

    cdef _repair(self, list poor, const double[::1] weight, const double[:, ::1] V,
                 double[::1] mean, double[::1] variance, double[:, ::1] cross):
        """The same of columns whose mean is now known roughly, a bounded number at a time."""
        step = max(1, REPAIR // self.n_samples)
        w, v = np.asarray(weight), np.asarray(V)
        for k in range(0, len(poor), step):
            part = poor[k:k + step]
            center = np.asarray(mean)[part]
            some = self._X[:, part].astype(np.float64) - center
            d = w @ some
            np.asarray(mean)[part] = center + d
            np.asarray(variance)[part] = np.maximum(w @ (some * some) - d * d, 0.0)
            if V.shape[0]:
                np.asarray(cross)[:, part] = v @ some - np.outer(v.sum(axis=1), d)

    cdef int _run_sums(self, Pass* job, double[::1] shift, double[::1] first,
                       double[::1] second, double[:, ::1] cross) except -1:
        cdef Py_ssize_t p = self.n_features, r, k, j
        cdef double[:, :, ::1] partial
        lay_out(job, self._matrix)
        job.shift = &shift[0]
        job.stride = p
        if job.n_slices == 1:
            job.first = &first[0]
            job.second = &second[0]
            job.cross = &cross[0, 0] if job.m else NULL
        else:
            partial = np.empty((job.n_slices, 2 + job.m, p))
            job.first = &partial[0, 0, 0]
            job.second = job.first + p
            job.cross = job.second + p
            job.slice_stride = (2 + job.m) * p
        with nogil:
            run_pass(sums_part, job, self._n_threads)
            if job.n_slices > 1:
                for r in range(1, job.n_slices):
                    for k in range(2 + job.m):
                        for j in range(p):
                            partial[0, k, j] += partial[r, k, j]
                for j in range(p):
                    first[j] = partial[0, 0, j]
                    second[j] = partial[0, 1, j]
                    for k in range(job.m):
                        cross[k, j] = partial[0, 2 + k, j]
        return 0

    cdef _sums_with_gram(
        self, const double[::1] weight, DenseDesign responses, double[::1] mean,
        double[::1] variance, double[::1] y_mean, double[:, ::1] cross, double[:, ::1] gram):
        """All sums of `survey` as one Gram product: of the columns, the responses and ones.

        Many responses stand in front of the columns: of their products with each other none is
        needed. Few stand behind them, where the columns begin with a panel.
        """
        cdef Py_ssize_t p = self.n_features, m = y_mean.shape[0], a, b, k
        cdef Py_ssize_t at = m if m > FEW_RESPONSES else 0, y_at = 0 if at else p
        at = (at + simd.panel - 1) // simd.panel * simd.panel
        cdef Py_ssize_t last = p if at else p + m  # row of the ones
        cdef double[:, ::1] full = np.empty((last + 1, at + last + 1))
        cdef double[::1] shift = np.empty(p)
        cdef double[::1] scale = np.ones(p)
        cdef const double* d
        cdef double* x
        cdef bint poor = True
        self._first_shift(weight, &shift[0])
        for _ in range(2):
            self._run_gram(None, at, at, weight, shift, scale, responses, y_at, True,
                           &full[0, 0], full.shape[1])
            d = &full[last, at]
            poor = False
            with nogil:
                for a in range(p):
                    x = &full[a, at]
                    mean[a] = shift[a] + d[a]
                    poor = poor or (not d[a] * d[a] < 0.99 * x[a] and x[a] > 0.0)
            if not poor:
                break
            # Where the shift lies far from the mean, its square would swallow the variance.
            shift[:] = mean
        with nogil:
            for k in range(m):
                y_mean[k] = full[last, y_at + k]
            for a in range(p):
                for b in range(a + 1):
                    gram[a, b] = full[a, at + b] - d[a] * d[b]
                variance[a] = at_least_zero(gram[a, a])
                for k in range(m):
                    cross[k, a] = full[a, k] if at else full[p + k, a]
                    cross[k, a] -= d[a] * y_mean[k]
            mirror(0, p, gram)

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        cdef Py_ssize_t r, j, p = self.n_features
        cdef double[:, ::1] partial
        cdef Pass job
        lay_out(&job, self._matrix)
        job.shift = &self._shift[0]
        job.weight = v
        job.first = out
        if job.n_slices > 1:
            with gil:
                partial = np.empty((job.n_slices, p))
            job.first = &partial[0, 0]
            job.slice_stride = p
        run_pass(dots_part, &job, self._n_threads)
        if job.n_slices > 1:
            for j in range(p):
                out[j] = partial[0, j]
            for r in range(1, job.n_slices):
                for j in range(p):
                    out[j] += partial[r, j]
        for j in range(p):
            out[j] *= self._scale[j]
        return 0

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        cdef Py_ssize_t k
        simd.column_dots(&self._matrix, columns, m, &self._shift[0], v, out)
        for k in range(m):
            out[k] *= self._scale[columns[k]]
        return 0

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        cdef int chosen[LIST]
        cdef double factor[LIST]
        cdef Py_ssize_t k = 0
        cdef Pass job
        job.X = self._matrix
        job.base = 0
        job.columns = chosen
        job.weight = factor
        job.shift = &self._shift[0]
        job.first = out
        while k < m:
            job.m = 0
            while k < m and job.m < LIST:
                if coef[k] != 0.0:
                    chosen[job.m] = columns[k]
                    factor[job.m] = coef[k] * self._scale[columns[k]]
                    job.m += 1
                k += 1
            job.rows = max(PART // (job.m + 1), SLICE)
            job.n_slices = (self.n_samples + job.rows - 1) // job.rows
            kernels.run(axpys_part, &job, job.n_slices,
                        self._n_threads if job.m * self.n_samples > WORTH_A_THREAD else 1)
        return 0

    cdef int add_and_correlate(
        self, const int* columns, Py_ssize_t m, const double* coef, const double* weight,
        double* r, double* out) except -1 nogil:
        cdef Py_ssize_t j, k, p = self.n_features, n = self.n_samples
        cdef Both job
        cdef double[:, ::1] partial
        cdef double[::1] scratch
        cdef double* factor
        if p > WIDEST:  # rows do not stay in the cache
            return Design.add_and_correlate(self, columns, m, coef, weight, r, out)
        job.X = self._matrix
        job.rows = max(n // MAX_SLICES + 1, SLICE)
        job.n_slices = (n + job.rows - 1) // job.rows
        with gil:
            partial = np.zeros((job.n_slices, p))
            scratch = np.empty(m + job.n_slices * (p + BLOCK_ROWS))
        factor = &scratch[0]
        for k in range(m):
            factor[k] = coef[k] * self._scale[columns[k]]
        job.columns = columns
        job.m = m
        job.coef = factor
        job.shift = &self._shift[0]
        job.weight = weight
        job.r = r
        job.out = &partial[0, 0]
        job.scratch = factor + m
        kernels.run(
            both_part, &job, job.n_slices, self._n_threads if n * p > WORTH_A_THREAD else 1)
        check_interrupt()
        for j in range(p):
            out[j] = 0.0
        for k in range(job.n_slices):
            for j in range(p):
                out[j] += partial[k, j]
        for j in range(p):
            out[j] *= self._scale[j]
        return 0

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        return self._gram(columns, first_new, weight, self._shift, self._scale, out)

    cdef int _gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        const double[::1] shift, const double[::1] scale, double[:, ::1] out) except -1:
        cdef Py_ssize_t m = columns.shape[0]
        if m > first_new:
            self._run_gram(columns, 0, first_new, weight, shift, scale, None, 0, False,
                           &out[first_new, 0], out.shape[1])
            mirror(first_new, m, out)
        return 0

    cdef int _run_gram(
        self, const int[::1] columns, Py_ssize_t at, Py_ssize_t first_new,
        const double[::1] weight, const double[::1] shift, const double[::1] scale,
        DenseDesign extra, Py_ssize_t extra_at, bint ones, double* out,
        Py_ssize_t stride) except -1:
        """Lower triangle of the Gram matrix of some columns, in its rows from first_new on.

        The columns begin at `at`, those of another design at `extra_at`; ones may be the last.
        """
        cdef GramJob job
        cdef Py_ssize_t n = self.n_samples, new, r, a, b
        cdef double[::1] memory
        cdef double[:, :, ::1] partial
        cdef double work
        cdef int n_threads
        job.X = self._matrix
        job.columns = NULL if columns is None else &columns[0]
        job.m = self.n_features if columns is None else columns.shape[0]
        job.shift = &shift[0]
        job.scale = &scale[0]
        job.weight = &weight[0]
        job.at = at
        job.n_extra = 0
        job.extra_at = extra_at
        if extra is not None:
            job.n_extra = extra.n_features
            job.extra = extra._matrix
            job.extra_shift = &extra._shift[0]
            job.extra_scale = &extra._scale[0]
        job.n_ones = ones
        job.width = max(at + job.m, extra_at + job.n_extra) + ones
        job.first_new = first_new
        new = job.width - first_new
        work = <double>n * job.width * new
        n_threads = self._n_threads if work > WORTH_A_THREAD_GRAM else 1
        # Slices of rows, whose sums are added in order, or ranges of rows of the result, which do
        # not change any sum.
        job.n_slices = max(1, min(MAX_SLICES, n // SLICE))
        if job.width * new > MOST_OF_A_SLICE:
            job.n_slices = 1
        job.rows = (n + job.n_slices - 1) // job.n_slices
        job.rows = (job.rows + ROW_BLOCK - 1) // ROW_BLOCK * ROW_BLOCK
        job.n_slices = (n + job.rows - 1) // job.rows
        job.n_ranges = 1
        if job.n_slices == 1:
            job.n_ranges = min(2 * n_threads if n_threads > 1 else 1, new // 64 + 1)
        job.rows_a_call = max(ROW_BLOCK, <Py_ssize_t>(
            n_threads * WORK_A_CHECK / (<double>job.width * new * job.n_slices * ROW_BLOCK))
            * ROW_BLOCK)
        job.stride = stride
        job.slice_stride = 0
        job.out = out
        if job.n_slices > 1:
            partial = np.empty((job.n_slices, new, job.width))
            job.stride = job.width
            job.slice_stride = new * job.width
            job.out = &partial[0, 0, 0]
        job.block_size = packed_size(min(ROW_BLOCK, n), job.width)
        memory = aligned(job.block_size * n_threads)
        job.blocks = &memory[0]
        with nogil:
            for r in range(job.n_slices):
                for a in range(new):
                    memset(job.out + r * job.slice_stride + a * job.stride, 0,
                           job.width * sizeof(double))
            job.first = 0
            while job.first < job.rows:
                kernels.run(gram_part, &job, job.n_slices * job.n_ranges, n_threads)
                job.first += job.rows_a_call
                if work > WORK_A_CHECK:
                    check_interrupt()
            if job.n_slices > 1:
                for a in range(new):
                    for b in range(first_new + a + 1):
                        out[a * stride + b] = partial[0, a, b]
                    for r in range(1, job.n_slices):
                        for b in range(first_new + a + 1):
                            out[a * stride + b] += partial[r, a, b]
        return 0


cdef double entry(const Matrix* X, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t k = i * X.row_stride + j * X.column_stride
    return (<const float*>X.data)[k] if X.narrow else (<const double*>X.data)[k]


cdef bint are_all(const int[::1] columns) noexcept nogil:
    """Whether the columns are 0, 1, 2, ..."""
    cdef Py_ssize_t k
    for k in range(columns.shape[0]):
        if columns[k] != k:
            return False
    return True


cdef double at_least_zero(double a) noexcept nogil:
    return 0.0 if a < 0.0 else a  # and NaN stays what it is


cdef double[:, ::1] weighted_rows(
    const double[::1] weight, DenseDesign responses, double[::1] mean):
    """The responses one a row, centred and multiplied by the weights; writes their means."""
    cdef Py_ssize_t i, k
    cdef double[:, ::1] V
    if responses is None:
        return np.empty((0, weight.shape[0]))
    V = responses.rows()
    for k in range(V.shape[0]):
        mean[k] = kernels.dot(&weight[0], &V[k, 0], V.shape[1])
        for i in range(V.shape[1]):
            V[k, i] = (V[k, i] - mean[k]) * weight[i]
    return V


cdef add_means(const int[::1] columns, const double[::1] mean, const double[::1] y_mean,
               double[:, ::1] cross, double[:, ::1] gram):
    """Turn centred products into those about zero; nothing cancels on this way."""
    cdef Py_ssize_t a, b
    for a in range(cross.shape[0]):
        for b in range(cross.shape[1]):
            cross[a, b] += y_mean[a] * mean[b]
    for a in range(columns.shape[0]):
        for b in range(columns.shape[0]):
            gram[a, b] += mean[columns[a]] * mean[columns[b]]


# A pass is cut into parts, by a rule that knows the shape alone. Tall matrices stored by rows are
# cut into slices of rows, whose partial sums are added in order; all others into columns.

cdef struct Pass:
    Matrix X
    Py_ssize_t n_slices
    Py_ssize_t n_ranges      # of columns
    Py_ssize_t rows          # of a slice
    Py_ssize_t width         # of a range
    Py_ssize_t base          # part that task 0 stands for
    const int* columns
    Py_ssize_t m
    const double* weight
    const double* V
    Py_ssize_t head
    double* shift
    double* first            # results, by slices
    double* second
    double* cross
    Py_ssize_t stride        # between two rows of cross
    Py_ssize_t slice_stride


cdef void lay_out(Pass* job, Matrix X) noexcept nogil:
    cdef Py_ssize_t least
    job.X = X
    job.base = 0
    job.n_slices = 1
    job.slice_stride = 0
    job.rows = X.n_rows
    if X.row_stride == 1:
        job.width = max(PART // X.n_rows, 4)
    else:
        least = max(PART // X.n_columns, SLICE // 4)
        job.n_slices = max(1, X.n_rows // least)
        job.rows = (X.n_rows + job.n_slices - 1) // job.n_slices
        job.rows = (job.rows + 7) // 8 * 8
        job.n_slices = (X.n_rows + job.rows - 1) // job.rows
        job.width = X.n_columns
        if job.n_slices == 1:
            job.width = max(PART // X.n_rows // 512, 1) * 512
    job.n_ranges = (X.n_columns + job.width - 1) // job.width


cdef int run_pass(kernels.Task task, Pass* job, int n_threads) except -1 nogil:
    cdef Py_ssize_t n_parts = job.n_slices * job.n_ranges, count
    cdef Py_ssize_t size = min(job.rows, job.X.n_rows) * min(job.width, job.X.n_columns)
    if job.X.n_rows * job.X.n_columns < WORTH_A_THREAD:
        n_threads = 1
    count = max(1, n_threads * CHUNK // size)
    while job.base < n_parts:
        kernels.run(task, job, min(count, n_parts - job.base), n_threads)
        job.base += count
        if count < n_parts:
            check_interrupt()
    return 0


cdef Matrix part_of(const Pass* job, Py_ssize_t k, Py_ssize_t* i, Py_ssize_t* j) noexcept nogil:
    """Part k of a pass, and the place where it begins."""
    cdef Matrix X = job.X
    cdef Py_ssize_t size = sizeof(float) if X.narrow else sizeof(double)
    i[0] = k // job.n_ranges * job.rows
    j[0] = k % job.n_ranges * job.width
    X.data = <const char*>X.data + (i[0] * X.row_stride + j[0] * X.column_stride) * size
    X.n_rows = min(job.rows, X.n_rows - i[0])
    X.n_columns = min(job.width, X.n_columns - j[0])
    return X


cdef void dots_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i, j
    cdef Matrix X = part_of(job, job.base + k, &i, &j)
    simd.column_dots(&X, NULL, X.n_columns, job.shift + j, job.weight + i,
                     job.first + i // job.rows * job.slice_stride + j)


cdef void sums_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i, j
    cdef Matrix X = part_of(job, job.base + k, &i, &j)
    cdef Py_ssize_t offset = i // job.rows * job.slice_stride + j
    simd.column_sums(&X, job.weight + i, job.V + i, job.m, job.X.n_rows, job.head,
                     job.shift + j, job.first + offset, job.second + offset,
                     job.cross + offset, job.stride)


cdef Matrix rows_from(Matrix X, Py_ssize_t i) noexcept nogil:
    """The rows of a matrix from one on."""
    cdef Py_ssize_t size = sizeof(float) if X.narrow else sizeof(double)
    X.data = <const char*>X.data + i * X.row_stride * size
    X.n_rows -= i
    return X


cdef struct Both:
    Matrix X
    Py_ssize_t rows          # of a slice
    Py_ssize_t n_slices
    const int* columns
    Py_ssize_t m
    const double* coef
    const double* shift
    const double* weight
    double* r
    double* out              # n_slices x p
    double* scratch          # n_slices x (p + BLOCK_ROWS)


cdef void both_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    """Residuals of a slice of rows and its share of the correlations, block by block."""
    cdef const Both* job = <const Both*>context
    cdef Matrix X = job.X
    cdef Py_ssize_t p = X.n_columns, first = k * job.rows, last = min(first + job.rows, X.n_rows)
    cdef Py_ssize_t i, j, size = sizeof(float) if X.narrow else sizeof(double)
    cdef double* out = job.out + k * p
    cdef double* part = job.scratch + k * (p + BLOCK_ROWS)
    cdef double* weighted = part + p
    while first < last:
        X.data = <const char*>job.X.data + first * X.row_stride * size
        X.n_rows = min(last - first, <Py_ssize_t>BLOCK_ROWS)
        if job.m:
            simd.add_columns(&X, job.columns, job.m, job.shift, job.coef, job.r + first)
        for i in range(X.n_rows):
            weighted[i] = job.weight[first + i] * job.r[first + i]
        simd.column_dots(&X, NULL, p, job.shift, weighted, part)
        for j in range(p):
            out[j] += part[j]
        first += X.n_rows


cdef void axpys_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i = k * job.rows
    cdef Matrix X = rows_from(job.X, i)
    X.n_rows = min(job.rows, X.n_rows)
    simd.add_columns(&X, job.columns, job.m, job.shift, job.weight, job.first + i)


cdef double zero = 0.0, one = 1.0
cdef Matrix unit_column = Matrix(&one, 0, 1, 1, 1, 0)


cdef struct GramJob:
    Matrix X
    const int* columns
    Py_ssize_t m
    const double* shift
    const double* scale
    Py_ssize_t at            # place of the first of them
    Matrix extra             # other columns
    Py_ssize_t n_extra
    Py_ssize_t extra_at
    Py_ssize_t n_ones        # at the end: one or none
    const double* extra_shift
    const double* extra_scale
    const double* weight
    Py_ssize_t width
    Py_ssize_t first_new
    Py_ssize_t n_slices      # of rows
    Py_ssize_t n_ranges      # of rows of the result
    Py_ssize_t rows          # of a slice
    Py_ssize_t first         # which of them are to be added, from here on
    Py_ssize_t rows_a_call
    double* out              # one result a slice, from row first_new on
    Py_ssize_t stride
    Py_ssize_t slice_stride
    double* blocks           # one for each thread
    Py_ssize_t block_size


cdef Py_ssize_t border(const GramJob* job, Py_ssize_t k) noexcept nogil:
    """First row of range k: all ranges of a triangle have the same area."""
    cdef double low = <double>job.first_new * job.first_new
    cdef double high = <double>job.width * job.width
    if k == job.n_ranges:
        return job.width
    return max(job.first_new, <Py_ssize_t>sqrt(low + k * (high - low) / job.n_ranges))


cdef void pack_extra(const GramJob* job, Py_ssize_t i, Py_ssize_t rows, Py_ssize_t end,
                     const double* root_weight, double* block) noexcept nogil:
    cdef Matrix X
    if job.n_extra and end > job.extra_at:
        X = rows_from(job.extra, i)
        simd.pack(&X, 0, rows, NULL, min(job.n_extra, end - job.extra_at),
                  job.extra_shift, job.extra_scale, root_weight, block, job.extra_at, end)


cdef void gram_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const GramJob* job = <const GramJob*>context
    cdef Py_ssize_t r = k // job.n_ranges
    cdef Py_ssize_t begin = border(job, k % job.n_ranges), end = border(job, k % job.n_ranges + 1)
    cdef double* block = job.blocks + who * job.block_size
    cdef double* out = (
        job.out + r * job.slice_stride + (begin - job.first_new) * job.stride)
    cdef Py_ssize_t i = r * job.rows + job.first, rows
    cdef Py_ssize_t last = min(i + job.rows_a_call, job.X.n_rows, (r + 1) * job.rows), b
    cdef double root_weight[ROW_BLOCK]
    cdef Matrix X
    while i < last:
        rows = min(ROW_BLOCK, last - i)
        for b in range(rows):
            root_weight[b] = sqrt(job.weight[i + b])
        X = rows_from(job.X, i)
        # From left to right, because a pack may overwrite what lies behind it in its last panel.
        if job.at:
            memset(block + (job.at - simd.panel) * rows, 0, simd.panel * rows * sizeof(double))
            pack_extra(job, i, rows, end, root_weight, block)
        if end > job.at:
            simd.pack(&X, 0, rows, job.columns, min(job.m, end - job.at), job.shift, job.scale,
                      root_weight, block, job.at, end)
        if not job.at:
            pack_extra(job, i, rows, end, root_weight, block)
        if job.n_ones and end == job.width:
            simd.pack(&unit_column, 0, rows, NULL, 1, &zero, &one, root_weight, block, end - 1,
                      end)
        simd.tiles(block, rows, end, begin, out, job.stride)
        i += rows


cdef Py_ssize_t packed_size(Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    return (width + simd.panel - 1) // simd.panel * simd.panel * rows


cdef packed_block(Py_ssize_t rows, Py_ssize_t width):
    return aligned(packed_size(rows, width))


cdef aligned(Py_ssize_t size):
    """Memory for packed blocks, aligned to 64 bytes."""
    memory = np.empty(size + 8)
    cdef double[::1] view = memory
    cdef Py_ssize_t first = 8 - <Py_ssize_t>(<size_t>&view[0] % 64) // 8
    return memory[first:first + size]


cdef void mirror(Py_ssize_t first_new, Py_ssize_t m, double[:, ::1] out) noexcept nogil:
    """Complete the symmetric matrix from the lower triangle (row-major) of its new rows."""
    cdef Py_ssize_t a, b, b0, a0 = first_new
    while a0 < m:
        b0 = 0
        while b0 < min(a0 + SQUARE, m):
            for a in range(a0, min(a0 + SQUARE, m)):
                for b in range(b0, min(b0 + SQUARE, a)):
                    out[b, a] = out[a, b]
            b0 += SQUARE
        a0 += SQUARE


# Sparse columns: column j is what lies between start[j] and start[j + 1].

cdef struct Sparse:
    const Py_ssize_t* start
    const int* rows
    const double* wide
    const float* narrow      # instead of `wide`, or NULL
    Py_ssize_t n_rows


cdef double column_dot(
    const Sparse* X, Py_ssize_t j, double shift, const double* v, double v_sum) noexcept nogil:
    """sum_i v[i] (x_ij - shift)."""
    cdef Py_ssize_t a = X.start[j], nnz = X.start[j + 1] - a
    cdef bint full = nnz == X.n_rows
    cdef double value, entry_shift = shift if full else 0.0
    if X.narrow != NULL:
        value = kernels.sparse_column_dot(X.narrow + a, X.rows + a, nnz, entry_shift, v)
    else:
        value = kernels.sparse_column_dot(X.wide + a, X.rows + a, nnz, entry_shift, v)
    return value if full else value - shift * v_sum


cdef double column_axpy(
    const Sparse* X, Py_ssize_t j, double shift, double factor, double* out) noexcept nogil:
    """out[i] += factor x_ij; return what is still to be subtracted from every row."""
    cdef Py_ssize_t a = X.start[j], nnz = X.start[j + 1] - a
    cdef bint full = nnz == X.n_rows
    cdef double entry_shift = shift if full else 0.0
    if X.narrow != NULL:
        kernels.sparse_column_axpy(X.narrow + a, X.rows + a, nnz, entry_shift, factor, out)
    else:
        kernels.sparse_column_axpy(X.wide + a, X.rows + a, nnz, entry_shift, factor, out)
    return 0.0 if full else factor * shift


cdef double column_value(const Sparse* X, Py_ssize_t k) noexcept nogil:
    return X.narrow[k] if X.narrow != NULL else X.wide[k]


# A pass over sparse columns, in parts with about the same number of entries.

cdef struct SparsePass:
    Sparse X
    const Py_ssize_t* part   # the first column of each part
    Py_ssize_t base          # part that task 0 stands for
    const double* weight
    double equal_weight      # or zero, if they differ
    const double* V
    const double* V_sum
    Py_ssize_t m
    double* shift
    const double* scale
    double* second
    double* out              # one row of n_columns for each row of V
    Py_ssize_t n_columns


cdef void sparse_dots_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const SparsePass* job = <const SparsePass*>context
    cdef Py_ssize_t j
    for j in range(job.part[job.base + k], job.part[job.base + k + 1]):
        job.out[j] = job.scale[j] * column_dot(&job.X, j, job.shift[j], job.V, job.V_sum[0])


cdef void sparse_sums_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const SparsePass* job = <const SparsePass*>context
    cdef const Sparse* X = &job.X
    cdef Py_ssize_t a, i, j, nnz
    cdef double first, second, cross
    for j in range(job.part[job.base + k], job.part[job.base + k + 1]):
        a = X.start[j]
        nnz = X.start[j + 1] - a
        # With equal weights, and zeros in half of the rows, the square of the mean is at most half
        # of the mean square: nothing cancels.
        if job.equal_weight > 0.0 and job.m == 1 and 2 * nnz < X.n_rows:
            if X.narrow != NULL:
                kernels.sparse_column_sums(
                    X.narrow + a, X.rows + a, nnz, job.V, &first, &second, &cross)
            else:
                kernels.sparse_column_sums(
                    X.wide + a, X.rows + a, nnz, job.V, &first, &second, &cross)
            job.shift[j] = job.equal_weight * first
            job.second[j] = job.equal_weight * second - job.shift[j] * job.shift[j]
            job.out[j] = cross - job.shift[j] * job.V_sum[0]
            continue
        if X.narrow != NULL:
            kernels.sparse_column_moments(X.narrow + a, X.rows + a, nnz, X.n_rows, job.weight,
                                          &job.shift[j], &job.second[j])
        else:
            kernels.sparse_column_moments(X.wide + a, X.rows + a, nnz, X.n_rows, job.weight,
                                          &job.shift[j], &job.second[j])
        for i in range(job.m):
            job.out[i * job.n_columns + j] = column_dot(
                X, j, job.shift[j], job.V + i * X.n_rows, job.V_sum[i])


def order_of(const int[::1] start, const int[::1] index, Py_ssize_t size):
    """Say of the indices of a compressed matrix whether they fit its minor axis of that size.

    0: they do not; 1: they do, unless they are unsorted or repeated; 2: they increase.
    """
    cdef Py_ssize_t m = start.shape[0] - 1, last = index.shape[0], j, k
    cdef Py_ssize_t between = 0, falls = 0
    if m < 0 or start[0] != 0 or start[m] != last:
        return 0
    with nogil:
        for j in range(m):
            falls += start[j] > start[j + 1]
        if falls:
            with gil:
                return 0
        # Steps that do not go up are fine between two columns, and nowhere else.
        for k in range(last - 1):
            falls += index[k] >= index[k + 1]
        for j in range(m):
            k = start[j]
            if k < start[j + 1]:
                between += k > 0 and index[k - 1] >= index[k]
                if index[k] < 0 or index[start[j + 1] - 1] >= size:
                    falls = -1
                    break
    return 2 if falls == between else 1


@final
cdef class CSCDesign(Design):
    """Sparse X by columns: canonical CSC (sorted, no duplicates), float64 or float32."""

    cdef object _X
    cdef Py_ssize_t[::1] _start
    cdef const int[::1] _rows
    cdef const double[::1] _wide
    cdef const float[::1] _narrow
    cdef Sparse _matrix
    cdef Py_ssize_t[::1] _part
    cdef Py_ssize_t _n_parts

    def __init__(self, X):
        super().__init__(X.shape[0], X.shape[1])
        self._X = X
        self.n_stored = float(X.nnz)
        self._start = np.array(X.indptr, dtype=np.intp)
        self._rows = np.ascontiguousarray(X.indices, dtype=np.int32)
        self._matrix.start = &self._start[0]
        self._matrix.n_rows = self.n_samples
        self._matrix.wide = NULL
        self._matrix.narrow = NULL
        # A memoryview needs one element to point at, even where nothing is stored.
        if X.dtype == np.float32:
            self._narrow = np.ascontiguousarray(X.data) if X.nnz else np.zeros(1, dtype=np.float32)
            self._matrix.narrow = &self._narrow[0]
        else:
            self._wide = np.ascontiguousarray(X.data) if X.nnz else np.zeros(1)
            self._matrix.wide = &self._wide[0]
        if not X.nnz:
            self._rows = np.zeros(1, dtype=np.int32)
        self._matrix.rows = &self._rows[0]
        self._cut()

    cdef _cut(self):
        """Cut the columns into parts of about SPARSE_PART entries."""
        cdef Py_ssize_t j, size = 0, count = 0
        cdef Py_ssize_t entries = self._start[self.n_features] + self.n_features
        self._part = np.empty(entries // SPARSE_PART + 2, dtype=np.intp)
        self._part[0] = 0
        for j in range(self.n_features):
            size += self._nnz(j) + 1
            if size >= SPARSE_PART or j == self.n_features - 1:
                count += 1
                self._part[count] = j + 1
                size = 0
        self._n_parts = count

    cdef int _run(self, kernels.Task task, SparsePass* job) except -1 nogil:
        cdef Py_ssize_t count
        cdef bint large = self._n_parts > WORTH_A_THREAD // SPARSE_PART // 4
        cdef int n_threads = self._n_threads if large else 1
        job.X = self._matrix
        job.part = &self._part[0]
        job.n_columns = self.n_features
        job.base = 0
        count = n_threads * CHUNK // SPARSE_PART // max(1, job.m)
        count = max(1, count)
        while job.base < self._n_parts:
            kernels.run(task, job, min(count, self._n_parts - job.base), n_threads)
            job.base += count
            if count < self._n_parts:
                check_interrupt()
        return 0

    cdef double _dot(self, Py_ssize_t j, const double* v, double v_sum) noexcept nogil:
        return column_dot(&self._matrix, j, self._shift[j], v, v_sum)

    cdef double share_of(self, const int* columns, Py_ssize_t m) noexcept nogil:
        cdef Py_ssize_t k, size = 0
        for k in range(m):
            size += self._nnz(columns[k]) + COLUMN
        return size / (self.n_stored + COLUMN * self.n_features)

    cdef double _axpy(self, Py_ssize_t j, double factor, double* out) noexcept nogil:
        return column_axpy(&self._matrix, j, self._shift[j], factor, out)

    def moments(self, const double[::1] weight):
        mean, variance = np.zeros(self.n_features), np.zeros(self.n_features)
        self._sums(weight, None, mean, variance, None)
        return mean, variance

    cdef _sums(self, const double[::1] weight, const double[:, ::1] V, double[::1] mean,
               double[::1] variance, double[:, ::1] cross):
        cdef SparsePass job
        cdef Py_ssize_t k
        cdef double[::1] V_sum
        job.m = 0
        if V is not None and V.shape[0]:
            V_sum = np.sum(V, axis=1)
            job.m = V.shape[0]
            job.V = &V[0, 0]
            job.V_sum = &V_sum[0]
            job.out = &cross[0, 0]
        job.weight = &weight[0]
        job.equal_weight = weight[0]
        for k in range(self.n_samples):
            if weight[k] != weight[0]:
                job.equal_weight = 0.0
                break
        job.shift = &mean[0]
        job.second = &variance[0]
        with nogil:
            self._run(sparse_sums_part, &job)

    def survey(self, const double[::1] weight, DenseDesign responses, const int[::1] columns,
               bint centre=True):
        cdef Py_ssize_t n_responses = 0 if responses is None else responses.n_features
        mean, variance = np.zeros(self.n_features), np.zeros(self.n_features)
        cross = np.zeros((n_responses, self.n_features))
        gram = np.empty((columns.shape[0], columns.shape[0]))
        cdef double[::1] y_mean = np.empty(n_responses)
        self._sums(weight, weighted_rows(weight, responses, y_mean), mean, variance, cross)
        cdef CSCDesign centred
        if columns.shape[0]:
            centred = CSCDesign(self._X)
            centred.set_units(mean, np.ones(self.n_features))
            centred.gram(columns, 0, weight, gram)
        if not centre:
            add_means(columns, mean, y_mean, cross, gram)
        return mean, variance, cross, gram

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        cdef SparsePass job
        cdef double v_sum = kernels.total(v, self.n_samples)
        job.m = 1
        job.V = v
        job.V_sum = &v_sum
        job.shift = &self._shift[0]
        job.scale = &self._scale[0]
        job.out = out
        return self._run(sparse_dots_part, &job)

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        cdef double v_sum = kernels.total(v, self.n_samples)
        cdef Py_ssize_t k
        for k in range(m):
            out[k] = self._scale[columns[k]] * self._dot(columns[k], v, v_sum)
        return 0

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        cdef double constant = 0.0
        cdef Py_ssize_t k
        for k in range(m):
            if coef[k] != 0.0:
                constant += self._axpy(columns[k], coef[k] * self._scale[columns[k]], out)
        if constant != 0.0:
            for k in range(self.n_samples):
                out[k] -= constant
        return 0

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        # Three ways, in nanoseconds each: a column as the dense vector that meets the others (few
        # columns, or all entries stored); pairs of entries row by row; dense blocks.
        cdef Py_ssize_t a, k, m = columns.shape[0], n = self.n_samples, new = m - first_new
        cdef Py_ssize_t nnz = 0, nnz_new = 0, dense = 0
        cdef double by_columns, by_rows, by_blocks, pairs
        if new == 0:
            return 0
        cdef char[::1] is_dense = np.zeros(m, dtype=np.int8)
        for k in range(m):
            a = self._nnz(columns[k])
            nnz += a
            nnz_new += a if k >= first_new else 0
            is_dense[k] = a > ALMOST_FULL * n
            dense += is_dense[k]
        by_columns = new * (0.7 * nnz + 0.7 * n)
        by_blocks = n * m * (0.3 + 0.02 * new) + 3.0 * nnz
        by_rows = 4.0 * nnz + 3.5 * n
        if by_columns > by_rows:
            by_rows += dense * (0.7 * nnz + 0.7 * n)
            pairs = self._pairs(columns, first_new, is_dense) if nnz_new > n else nnz_new
            by_rows += 1.2 * pairs
        if by_blocks < min(by_rows, by_columns):
            self._gram_by_blocks(columns, first_new, weight, out)
        elif by_columns <= by_rows:
            is_dense[first_new:] = 1
            is_dense[:first_new] = 0
            self._gram_of_dense(columns, first_new, weight, is_dense, out)
        else:
            self._gram_by_rows(columns, first_new, weight, is_dense, out)
            self._gram_of_dense(columns, first_new, weight, is_dense, out)
        mirror(first_new, m, out)
        return 0

    cdef Py_ssize_t _nnz(self, Py_ssize_t j) noexcept nogil:
        return self._start[j + 1] - self._start[j]

    cdef double _pairs(self, const int[::1] columns, Py_ssize_t first_new, const char[::1] skip):
        """How many products of two entries of a row the new rows of a Gram matrix have."""
        cdef int[::1] count = np.zeros(self.n_samples, dtype=np.int32)
        cdef int[::1] count_new = np.zeros(self.n_samples, dtype=np.int32)
        cdef Py_ssize_t a, k
        cdef double pairs = 0.0
        with nogil:
            for a in range(columns.shape[0]):
                if not skip[a]:
                    for k in range(self._start[columns[a]], self._start[columns[a] + 1]):
                        count[self._rows[k]] += 1
                        count_new[self._rows[k]] += a >= first_new
            for k in range(self.n_samples):
                pairs += count_new[k] * (count[k] - 0.5 * count_new[k])
        return pairs

    cdef _gram_by_rows(self, const int[::1] columns, Py_ssize_t first_new,
                       const double[::1] weight, const char[::1] skip, double[:, ::1] out):
        """Products of the entries of each row; what the shift adds follows in closed form.

        Raw moments may stand here: in a column with zeros they cancel by a bounded factor only.
        """
        cdef Py_ssize_t n = self.n_samples, m = columns.shape[0], nnz = 0, a, b, e, f, i, j, k
        for a in range(m):
            nnz += 0 if skip[a] else self._nnz(columns[a])
        cdef Py_ssize_t[::1] start = np.zeros(n + 2, dtype=np.intp)
        cdef int[::1] place = np.empty(nnz + 1, dtype=np.int32)
        cdef double[::1] value = np.empty(nnz + 1)
        cdef double[::1] first = np.zeros(m)
        cdef double[::1] shift = np.zeros(m)
        cdef double factor, unit, weight_sum = kernels.total(&weight[0], n)
        cdef double* target
        cdef Py_ssize_t work = 0
        with nogil:
            for a in range(m):
                if not skip[a]:
                    for k in range(self._start[columns[a]], self._start[columns[a] + 1]):
                        start[self._rows[k] + 2] += 1
            for i in range(n):
                start[i + 2] += start[i + 1]
            for a in range(m):
                if skip[a]:
                    continue
                j = columns[a]
                unit = self._scale[j]
                shift[a] = self._shift[j] * unit
                for k in range(self._start[j], self._start[j + 1]):
                    i = self._rows[k]
                    e = start[i + 1]
                    start[i + 1] = e + 1
                    place[e] = <int>a
                    value[e] = column_value(&self._matrix, k) * unit
                    first[a] += weight[i] * value[e]
            for a in range(first_new, m):
                for b in range(a + 1):
                    out[a, b] = 0.0
            for i in range(n):
                e = start[i + 1] - 1
                while e >= start[i] and place[e] >= first_new:
                    factor = weight[i] * value[e]
                    target = &out[place[e], 0]
                    for f in range(start[i], e + 1):
                        target[place[f]] += factor * value[f]
                    work += e - start[i] + 1
                    e -= 1
                if work > CHUNK:
                    check_interrupt()
                    work = 0
            for a in range(first_new, m):
                for b in range(a + 1):
                    out[a, b] += (
                        shift[a] * shift[b] * weight_sum
                        - shift[a] * first[b] - shift[b] * first[a])

    cdef _gram_of_dense(self, const int[::1] columns, Py_ssize_t first_new,
                        const double[::1] weight, const char[::1] chosen, double[:, ::1] out):
        """One standardised column at a time plays the vector of `correlate` for the others."""
        cdef double[::1] scattered = np.empty(self.n_samples)
        cdef Py_ssize_t a, b, i, work = 0, m = columns.shape[0]
        cdef double constant, v_sum, value
        with nogil:
            for a in range(m):
                if not chosen[a]:
                    continue
                for i in range(self.n_samples):
                    scattered[i] = 0.0
                constant = self._axpy(columns[a], self._scale[columns[a]], &scattered[0])
                for i in range(self.n_samples):
                    scattered[i] = weight[i] * (scattered[i] - constant)
                v_sum = kernels.total(&scattered[0], self.n_samples)
                for b in range(0 if a >= first_new else first_new, m):
                    if chosen[b] and b > a:  # its own turn comes
                        continue
                    value = self._scale[columns[b]] * self._dot(columns[b], &scattered[0], v_sum)
                    out[max(a, b), min(a, b)] = value
                    work += self._nnz(columns[b])
                if work > CHUNK:
                    check_interrupt()
                    work = 0

    cdef _gram_by_blocks(self, const int[::1] columns, Py_ssize_t first_new,
                         const double[::1] weight, double[:, ::1] out):
        """Blocks of rows are made dense, shifted and weighted."""
        cdef Py_ssize_t n = self.n_samples, m = columns.shape[0], panel = simd.panel
        cdef Py_ssize_t a, b, i, j, k, rows, first = 0, work = 0
        cdef double[::1] root_weight = np.sqrt(weight)
        cdef double[::1] block = aligned(packed_size(min(ROW_BLOCK, n), m))
        cdef Py_ssize_t[::1] cursor = np.empty(m, dtype=np.intp)
        cdef Py_ssize_t padded = (m + panel - 1) // panel * panel
        cdef double[::1] zero = np.zeros(padded)  # what an entry that is not stored becomes
        cdef double* target
        cdef double shift, unit
        with nogil:
            for a in range(m):
                cursor[a] = self._start[columns[a]]
                zero[a] = -self._shift[columns[a]] * self._scale[columns[a]]
            for a in range(first_new, m):
                for b in range(m):
                    out[a, b] = 0.0
            while first < n:
                rows = min(ROW_BLOCK, n - first)
                target = &block[0]
                a = 0
                while a < padded:
                    for i in range(rows):
                        for b in range(panel):
                            target[b] = root_weight[first + i] * zero[a + b]
                        target += panel
                    a += panel
                for a in range(m):
                    j = columns[a]
                    shift = self._shift[j]
                    unit = self._scale[j]
                    target = &block[a // panel * panel * rows + a % panel]
                    k = cursor[a]
                    while k < self._start[j + 1] and self._rows[k] < first + rows:
                        i = self._rows[k]
                        target[(i - first) * panel] = root_weight[i] * (
                            (column_value(&self._matrix, k) - shift) * unit)
                        k += 1
                    cursor[a] = k
                simd.tiles(&block[0], rows, m, first_new, &out[first_new, 0], out.shape[1])
                work += m * (m - first_new) * rows
                if work > WORK_A_CHECK:
                    check_interrupt()
                    work = 0
                first += rows
