# Design: CSC, read where it lies. A column is centred implicitly, through the sum of the vector
# that it meets, except where every entry is stored: there the shift is applied entry by entry,
# because the implicit form loses the digits of a column whose mean is large against its deviation.
# A Gram matrix is made in whichever of three ways costs least: by columns, by rows, by blocks of
# rows that are made dense.

import numpy as np

from cython cimport final
from fastreg._core cimport kernels
from fastreg._core.compressed cimport RowBlock, column_value
from fastreg._core.design cimport (
    CHUNK, WORK_A_CHECK, WORTH_A_THREAD, Design, add_means, check_interrupt, weighted_rows,
)
from fastreg._core.gram cimport ROW_BLOCK, mirror, packed_block
from fastreg._core.kernels cimport Sparse, simd, sparse_simd

cdef enum:
    COLUMN = 8           # entries that cost as much as the beginning of a sparse column
    PART = 1 << 18       # entries of a part of a pass

cdef double ALMOST_FULL = 0.75  # share of stored entries above which a column counts as dense
cdef double KEPT = 0.1          # share of a mean square that must be variance, or digits are lost


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


cdef void column_moments(
    const Sparse* X, Py_ssize_t j, const double* weight, double* mean, double* second,
) noexcept nogil:
    """Weighted mean and variance of a column."""
    cdef Py_ssize_t a = X.start[j], nnz = X.start[j + 1] - a
    if X.narrow != NULL:
        kernels.sparse_column_moments(
            X.narrow + a, X.rows + a, nnz, X.n_rows, weight, mean, second)
    else:
        kernels.sparse_column_moments(X.wide + a, X.rows + a, nnz, X.n_rows, weight, mean, second)


# A pass over sparse columns, in parts with about the same number of entries.

cdef struct Pass:
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


cdef void dots_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t first = job.part[job.base + k], last = job.part[job.base + k + 1]
    sparse_simd.dots(&job.X, NULL, first, last - first, job.shift, job.scale, job.V, job.V_sum[0],
                     job.out + first)


cdef void sums_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i, j, first = job.part[job.base + k], last = job.part[job.base + k + 1]
    cdef double mean, square
    cdef bint one_read = job.equal_weight > 0.0 and job.m == 1
    if one_read:
        sparse_simd.sums(&job.X, first, last, job.V, job.shift, job.second, job.out)
    for j in range(first, last):
        if one_read:
            mean = job.equal_weight * job.shift[j]
            square = job.equal_weight * job.second[j]
            if square - mean * mean >= KEPT * square:
                job.shift[j] = mean
                job.second[j] = square - mean * mean
                job.out[j] -= mean * job.V_sum[0]
                continue
        column_moments(&job.X, j, job.weight, &job.shift[j], &job.second[j])
        for i in range(job.m):
            sparse_simd.dots(
                &job.X, NULL, j, 1, job.shift, job.scale, job.V + i * job.X.n_rows, job.V_sum[i],
                &job.out[i * job.n_columns + j])
            job.out[i * job.n_columns + j] /= job.scale[j]  # X as it is, whatever the units


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
        """Cut the columns into parts of about PART entries."""
        cdef Py_ssize_t j, size = 0, count = 0
        cdef Py_ssize_t entries = self._start[self.n_features] + self.n_features
        self._part = np.empty(entries // PART + 2, dtype=np.intp)
        self._part[0] = 0
        for j in range(self.n_features):
            size += self._nnz(j) + 1
            if size >= PART or j == self.n_features - 1:
                count += 1
                self._part[count] = j + 1
                size = 0
        self._n_parts = count

    cdef int _run(self, kernels.Task task, Pass* job) except -1 nogil:
        cdef Py_ssize_t count
        cdef bint large = self._n_parts > WORTH_A_THREAD // PART // 4
        cdef int n_threads = self._n_threads if large else 1
        job.X = self._matrix
        job.part = &self._part[0]
        job.n_columns = self.n_features
        job.base = 0
        count = <Py_ssize_t>n_threads * CHUNK // PART // max(1, job.m)
        count = max(1, count)
        while job.base < self._n_parts:
            kernels.run(task, job, min(count, self._n_parts - job.base), n_threads)
            job.base += count
            if count < self._n_parts:
                check_interrupt()
        return 0

    cdef double share_of(self, const int* columns, Py_ssize_t m) noexcept nogil:
        cdef Py_ssize_t k, size = 0
        for k in range(m):
            size += self._nnz(columns[k]) + COLUMN
        return size / (self.n_stored + COLUMN * self.n_features)

    cdef double _axpy(self, Py_ssize_t j, double factor, double* out) noexcept nogil:
        return column_axpy(&self._matrix, j, self._shift[j], factor, out)

    cdef double meet(self, Py_ssize_t j, const double* v, double rest) noexcept nogil:
        # The weighted residuals sum to zero, and the mean of a column is its shift, if there is an
        # intercept; without one there is neither shift nor rest.
        cdef double product
        sparse_simd.dots(
            &self._matrix, NULL, j, 1, &self._shift[0], &self._scale[0], v, -rest, &product)
        return product

    cdef double move(self, Py_ssize_t j, double length, const double* weight, double equal,
                     double* v) noexcept nogil:
        cdef Py_ssize_t k
        cdef double shift = self._shift[j]
        length *= self._scale[j]
        if equal > 0.0:
            return -column_axpy(&self._matrix, j, shift, -length * equal, v) / equal
        cdef bint full = self._nnz(j) == self.n_samples
        for k in range(self._start[j], self._start[j + 1]):
            v[self._rows[k]] -= length * weight[self._rows[k]] * (
                column_value(&self._matrix, k) - (shift if full else 0.0))
        return 0.0 if full else length * shift

    def moments(self, const double[::1] weight):
        mean, variance = np.zeros(self.n_features), np.zeros(self.n_features)
        self._sums(weight, None, mean, variance, None)
        return mean, variance

    cdef _sums(self, const double[::1] weight, const double[:, ::1] V, double[::1] mean,
               double[::1] variance, double[:, ::1] cross):
        cdef Pass job
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
        job.scale = &self._scale[0]
        job.second = &variance[0]
        with nogil:
            self._run(sums_part, &job)

    def survey(self, const double[::1] weight, Design responses, const int[::1] columns,
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
        cdef Pass job
        cdef double v_sum = kernels.total(v, self.n_samples)
        job.m = 1
        job.V = v
        job.V_sum = &v_sum
        job.shift = &self._shift[0]
        job.scale = &self._scale[0]
        job.out = out
        return self._run(dots_part, &job)

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        sparse_simd.dots(&self._matrix, columns, 0, m, &self._shift[0], &self._scale[0], v,
                         kernels.total(v, self.n_samples), out)
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
        mirror(first_new, m, &out[0, 0], out.shape[1])
        return 0

    cdef Py_ssize_t _nnz(self, Py_ssize_t j) noexcept nogil:
        return self._start[j + 1] - self._start[j]

    cdef double _pairs(self, const int[::1] columns, Py_ssize_t first_new, const char[::1] skip):
        """How many products of two entries of a row the new rows of a Gram matrix have."""
        cdef int[::1] count = np.zeros(self.n_samples, dtype=np.int32)
        cdef int[::1] count_new = count  # where all are new
        if first_new:
            count_new = np.zeros(self.n_samples, dtype=np.int32)
        cdef Py_ssize_t a, k
        cdef double pairs = 0.0
        with nogil:
            for a in range(columns.shape[0]):
                if not skip[a]:
                    for k in range(self._start[columns[a]], self._start[columns[a] + 1]):
                        count[self._rows[k]] += 1
                if first_new and a >= first_new and not skip[a]:
                    for k in range(self._start[columns[a]], self._start[columns[a] + 1]):
                        count_new[self._rows[k]] += 1
            for k in range(self.n_samples):
                pairs += count_new[k] * (count[k] - 0.5 * count_new[k])
        return pairs

    cdef _gram_by_rows(self, const int[::1] columns, Py_ssize_t first_new,
                       const double[::1] weight, const char[::1] skip, double[:, ::1] out):
        """Products of the entries of each row; what the shift adds follows in closed form.

        Raw moments may stand here: in a column with zeros they cancel by a bounded factor only.
        """
        cdef Py_ssize_t n = self.n_samples, m = columns.shape[0], a, b, e, f, i, first = 0, work = 0
        cdef double[::1] total = np.zeros(m)
        cdef double[::1] shift = np.zeros(m)
        cdef double factor, weight_sum = kernels.total(&weight[0], n)
        cdef double* target
        cdef RowBlock block = RowBlock(self._scale, columns, skip)
        block.begin(&self._matrix)
        with nogil:
            for a in range(m):
                shift[a] = 0.0 if skip[a] else self._shift[columns[a]] * self._scale[columns[a]]
            for a in range(first_new, m):
                for b in range(a + 1):
                    out[a, b] = 0.0
            while first < n:
                block.sort(first)
                for i in range(block.n_rows):
                    e = block.start[i + 1] - 1
                    while e >= block.start[i] and block.place[e] >= first_new:
                        factor = weight[first + i] * block.value[e]
                        target = &out[block.place[e], 0]
                        for f in range(block.start[i], e + 1):
                            target[block.place[f]] += factor * block.value[f]
                        work += e - block.start[i] + 1
                        e -= 1
                    for f in range(block.start[i], block.start[i + 1]):
                        total[block.place[f]] += weight[first + i] * block.value[f]
                first += block.n_rows
                if work > CHUNK:
                    check_interrupt()
                    work = 0
            for a in range(first_new, m):
                for b in range(a + 1):
                    out[a, b] += (
                        shift[a] * shift[b] * weight_sum
                        - shift[a] * total[b] - shift[b] * total[a])

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
                    sparse_simd.dots(&self._matrix, &columns[b], 0, 1, &self._shift[0],
                                     &self._scale[0], &scattered[0], v_sum, &value)
                    out[max(a, b), min(a, b)] = value
                    work += self._nnz(columns[b])
                if work > CHUNK:
                    check_interrupt()
                    work = 0

    cdef _gram_by_blocks(self, const int[::1] columns, Py_ssize_t first_new,
                         const double[::1] weight, double[:, ::1] out):
        """Blocks of rows are made dense, shifted and weighted."""
        cdef Py_ssize_t n = self.n_samples, m = columns.shape[0], panel = simd.wide.panel
        cdef Py_ssize_t a, b, i, j, k, rows, first = 0, work = 0
        cdef double[::1] root_weight = np.sqrt(weight)
        cdef double[::1] block = packed_block(min(ROW_BLOCK, n), m)
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
                simd.wide.tiles(&block[0], rows, m, first_new, &out[first_new, 0], out.shape[1],
                                NULL, NULL, 0)
                work += m * (m - first_new) * rows
                if work > WORK_A_CHECK:
                    check_interrupt()
                    work = 0
                first += rows
