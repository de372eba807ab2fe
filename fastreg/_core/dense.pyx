# Design: dense columns of either float type are read where they lie, in C or F order; shift and
# scale are applied on the way. A pass is cut into parts by a rule that knows the shape alone, so
# threads change no bit. Sums of squares are taken about a first guess of the mean, and repaired
# where the guess was poor: raw moments would lose the digits of a column whose mean is large
# against its deviation.

import numpy as np

from cython cimport final
from fastreg._core cimport kernels
from fastreg._core.design cimport (
    CHUNK, WORTH_A_THREAD, Design, add_means, check_interrupt, weighted_rows,
)
from fastreg._core.gram cimport Columns, gram_product, mirror
from fastreg._core.kernels cimport Matrix, rows_from, simd

cdef enum:
    LIST = 256
    PART = 1 << 20       # elements of a part of a pass: some 0.3 ms
    BLOCK_ROWS = 256     # rows that are read twice, the second time from the cache
    WIDEST = 1024        # columns up to which they stay there
    SLICE = 4096         # rows that are worth a partial sum
    MAX_SLICES = 16
    _ONE_READ = 512
    FEW_RESPONSES = 8
    N_FIRST = 8          # rows whose mean is the first shift
    REPAIR = 1 << 20     # entries that are copied to repair columns

ONE_READ = _ONE_READ  # columns up to which a survey with all of them is one Gram product


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
        self.takes_two = True
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
        cdef Columns main = self._columns(None, shift, scale)
        cdef Columns extra
        cdef const double* d
        cdef double* x
        cdef bint poor = True
        main.at = at
        if m:
            extra = responses._columns(None, responses._shift, responses._scale)
            extra.at = y_at
        self._first_shift(weight, &shift[0])
        for _ in range(2):
            gram_product(&main, &extra if m else NULL, True, &weight[0], at, self._n_threads,
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
        return self.correlate_two(v, NULL, out, NULL)

    cdef int correlate_two(
        self, const double* v, const double* u, double* out, double* other) except -1 nogil:
        cdef Py_ssize_t p = self.n_features
        cdef double[:, ::1] partial
        cdef Pass job
        lay_out(&job, self._matrix)
        job.shift = &self._shift[0]
        job.weight = v
        job.V = u
        job.first = out
        job.second = other
        if job.n_slices > 1:
            with gil:
                partial = np.empty((job.n_slices, p if u == NULL else 2 * p))
            job.first = &partial[0, 0]
            job.second = job.first + p
            job.slice_stride = partial.shape[1]
        run_pass(dots_part, &job, self._n_threads)
        self._collect(&job, job.first, out)
        if u != NULL:
            self._collect(&job, job.second, other)
        return 0

    cdef void _collect(self, const Pass* job, double* part, double* out) noexcept nogil:
        """Add up what the slices of rows have given, and scale it."""
        cdef Py_ssize_t r, j, p = self.n_features
        for r in range(1, job.n_slices):
            for j in range(p):
                part[j] += part[r * job.slice_stride + j]
        for j in range(p):
            out[j] = part[j] * self._scale[j]

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
        cdef Columns main
        if m > first_new:
            main = self._columns(columns, shift, scale)
            gram_product(&main, NULL, False, &weight[0], first_new, self._n_threads,
                         &out[first_new, 0], out.shape[1])
            mirror(first_new, m, out)
        return 0

    cdef Columns _columns(
        self, const int[::1] columns, const double[::1] shift, const double[::1] scale):
        """Some columns (None: all) as `gram_product` wants them, in the given units."""
        cdef Columns part
        part.X = self._matrix
        part.columns = NULL if columns is None else &columns[0]
        part.m = self.n_features if columns is None else columns.shape[0]
        part.shift = &shift[0]
        part.scale = &scale[0]
        part.at = 0
        return part


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
    count = max(1, <Py_ssize_t>n_threads * CHUNK // size)
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
    cdef Py_ssize_t offset = i // job.rows * job.slice_stride + j
    if job.V == NULL:
        simd.column_dots(&X, NULL, X.n_columns, job.shift + j, job.weight + i, job.first + offset)
    else:
        simd.column_dots_two(&X, job.shift + j, job.weight + i, job.V + i, job.first + offset,
                             job.second + offset)


cdef void sums_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i, j
    cdef Matrix X = part_of(job, job.base + k, &i, &j)
    cdef Py_ssize_t offset = i // job.rows * job.slice_stride + j
    simd.column_sums(&X, job.weight + i, job.V + i, job.m, job.X.n_rows, job.head,
                     job.shift + j, job.first + offset, job.second + offset,
                     job.cross + offset, job.stride)


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
    cdef Py_ssize_t i, j
    cdef double* out = job.out + k * p
    cdef double* part = job.scratch + k * (p + BLOCK_ROWS)
    cdef double* weighted = part + p
    while first < last:
        X = rows_from(job.X, first)
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
