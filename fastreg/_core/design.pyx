# Design: two storages behind the same verbs. Dense columns of either float type are read where
# they lie, in C or F order; sparse ones as CSC. Standardisation is applied on the fly, so X is
# never copied, centred or scaled; only blocks of a few hundred rows of the working set are packed
# to feed the Gram product. A sparse column is centred implicitly through the sum of the vector that
# it meets, except where every entry is stored: there the shift is applied entry by entry, because
# the implicit form loses the digits of a column whose mean is large against its deviation.

from time import monotonic

import numpy as np

from cython cimport final
from libc.math cimport INFINITY
from fastreg._core cimport kernels
from fastreg._core.kernels cimport Matrix, simd

cdef enum:
    ROW_BLOCK = 128  # of these rows a panel of a packed block stays in the first-level cache
    SQUARE = 16  # of a matrix that is transposed
    LIST = 256
    CHUNK = 1 << 24  # elements between two looks at pending signals: some 10 ms
    WORK_A_CHECK = 1 << 28  # multiplications of a Gram product between two of them

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

    @property
    def shift(self):
        return np.asarray(self._shift)

    @property
    def scale(self):
        return np.asarray(self._scale)

    def set_units(self, shift, scale):
        """Set z_j = (x_j - shift_j) * scale_j."""
        self._shift = np.array(shift, dtype=np.float64)
        self._scale = np.array(scale, dtype=np.float64)

    def moments(self, const double[::1] weight):
        """Return the weighted means and variances of the raw columns; weights sum to one."""
        raise NotImplementedError

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        return 0

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        return 0

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        return 0

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
        # A row that counts: one without weight may hold anything.
        cdef double[::1] origin = np.array(self._X[np.argmax(weight)], dtype=np.float64)
        first = np.empty(self.n_features)
        second = np.empty(self.n_features)
        self._moments(weight, origin, first, second)
        # Where that row lies far from the mean, its square would swallow the variance.
        poor = ~(first * first < 0.99 * second) & (second > 0)
        if poor.any():
            np.asarray(origin)[poor] += first[poor]
            again, square = np.empty(self.n_features), np.empty(self.n_features)
            self._moments(weight, origin, again, square)
            first = np.where(poor, again, first)
            second = np.where(poor, square, second)
        return origin + first, np.maximum(second - first * first, 0.0)

    cdef _moments(self, const double[::1] weight, double[::1] origin,
                  double[::1] first, double[::1] second):
        cdef Py_ssize_t j = 0, step = columns_a_chunk(self._matrix)
        cdef Matrix part
        with nogil:
            while j < self.n_features:
                part = some_columns(self._matrix, j, step)
                simd.column_sums(
                    &part, &weight[0], NULL, 0, -1, &origin[j], &first[j], &second[j], NULL, 0)
                if step < self.n_features:
                    check_interrupt()
                j += step

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        cdef Py_ssize_t j = 0, step = columns_a_chunk(self._matrix)
        cdef Matrix part
        while j < self.n_features:
            part = some_columns(self._matrix, j, step)
            simd.column_dots(&part, NULL, part.n_columns, &self._shift[j], v, out + j)
            if step < self.n_features:
                check_interrupt()
            j += step
        for j in range(self.n_features):
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
        cdef Py_ssize_t k = 0, count
        while k < m:
            count = 0
            while k < m and count < LIST:
                if coef[k] != 0.0:
                    chosen[count] = columns[k]
                    factor[count] = coef[k] * self._scale[columns[k]]
                    count += 1
                k += 1
            simd.add_columns(&self._matrix, chosen, count, &self._shift[0], factor, out)
        return 0

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        cdef double[::1] root_weight = np.sqrt(weight)
        cdef Py_ssize_t m = columns.shape[0]
        if m == first_new:
            return 0
        cdef Py_ssize_t first = 0, rows, a, b, work = 0
        cdef double[::1] block = packed_block(min(ROW_BLOCK, self.n_samples), m)
        with nogil:
            for a in range(first_new, m):
                for b in range(m):
                    out[a, b] = 0.0
            while first < self.n_samples:
                rows = min(ROW_BLOCK, self.n_samples - first)
                simd.pack(&self._matrix, first, rows, &columns[0], m, &self._shift[0],
                          &self._scale[0], &root_weight[0], &block[0], 0)
                simd.tiles(&block[0], rows, m, first_new, &out[first_new, 0], out.shape[1])
                work += m * (m - first_new) * rows
                if work > WORK_A_CHECK:
                    check_interrupt()
                    work = 0
                first += rows
            mirror(first_new, m, out)
        return 0


cdef Py_ssize_t columns_a_chunk(Matrix X) noexcept nogil:
    """Columns between two looks at pending signals; of rows, a stretch that is worth reading."""
    if X.n_rows * X.n_columns <= CHUNK:
        return X.n_columns
    return max(CHUNK // X.n_rows, 4 if X.row_stride == 1 else 512)


cdef Matrix some_columns(Matrix X, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """The columns first..first + count, as far as there are any."""
    cdef Py_ssize_t size = sizeof(float) if X.narrow else sizeof(double)
    X.data = <const char*>X.data + first * X.column_stride * size
    X.n_columns = min(count, X.n_columns - first)
    return X


cdef packed_block(Py_ssize_t rows, Py_ssize_t width):
    """Memory for a packed block, aligned to 64 bytes."""
    cdef Py_ssize_t size = (width + simd.panel - 1) // simd.panel * simd.panel * rows
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


@final
cdef class CSCDesign(Design):
    """Sparse X by columns: canonical CSC (sorted, no duplicates), float64 or float32."""

    cdef Py_ssize_t[::1] _start
    cdef const int[::1] _rows
    cdef const double[::1] _wide
    cdef const float[::1] _narrow
    cdef bint _is_narrow

    def __init__(self, X):
        super().__init__(X.shape[0], X.shape[1])
        self.n_stored = float(X.nnz)
        self._start = np.array(X.indptr, dtype=np.intp)
        self._rows = np.ascontiguousarray(X.indices, dtype=np.int32)
        self._is_narrow = X.dtype == np.float32
        # A memoryview needs one element to point at, even where nothing is stored.
        if self._is_narrow:
            self._narrow = np.ascontiguousarray(X.data) if X.nnz else np.zeros(1, dtype=np.float32)
        else:
            self._wide = np.ascontiguousarray(X.data) if X.nnz else np.zeros(1)
        if not X.nnz:
            self._rows = np.zeros(1, dtype=np.int32)

    cdef double _dot(self, Py_ssize_t j, const double* v, double v_sum) noexcept nogil:
        """sum_i v[i] (x_ij - shift_j)."""
        cdef Py_ssize_t a = self._start[j], nnz = self._start[j + 1] - a
        cdef bint full = nnz == self.n_samples
        cdef double entry_shift = self._shift[j] if full else 0.0
        cdef double value
        if nnz == 0:
            return 0.0
        if self._is_narrow:
            value = kernels.sparse_column_dot(
                &self._narrow[a], &self._rows[a], nnz, entry_shift, v)
        else:
            value = kernels.sparse_column_dot(&self._wide[a], &self._rows[a], nnz, entry_shift, v)
        return value if full else value - self._shift[j] * v_sum

    cdef double _axpy(self, Py_ssize_t j, double factor, double* out) noexcept nogil:
        """out[i] += factor x_ij; return what is still to be subtracted from every row."""
        cdef Py_ssize_t a = self._start[j], nnz = self._start[j + 1] - a
        cdef bint full = nnz == self.n_samples
        cdef double entry_shift = self._shift[j] if full else 0.0
        if nnz == 0:
            return 0.0
        if self._is_narrow:
            kernels.sparse_column_axpy(
                &self._narrow[a], &self._rows[a], nnz, entry_shift, factor, out)
        else:
            kernels.sparse_column_axpy(
                &self._wide[a], &self._rows[a], nnz, entry_shift, factor, out)
        return 0.0 if full else factor * self._shift[j]

    def moments(self, const double[::1] weight):
        mean = np.zeros(self.n_features)
        variance = np.zeros(self.n_features)
        cdef double[::1] first = mean
        cdef double[::1] second = variance
        cdef Py_ssize_t j, a, nnz, work = 0
        with nogil:
            for j in range(self.n_features):
                a = self._start[j]
                nnz = self._start[j + 1] - a
                if nnz == 0:
                    continue
                work += nnz
                if work > CHUNK:
                    check_interrupt()
                    work = 0
                if self._is_narrow:
                    kernels.sparse_column_moments(
                        &self._narrow[a], &self._rows[a], nnz, self.n_samples, &weight[0],
                        &first[j], &second[j])
                else:
                    kernels.sparse_column_moments(
                        &self._wide[a], &self._rows[a], nnz, self.n_samples, &weight[0],
                        &first[j], &second[j])
        return mean, variance

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        cdef double v_sum = kernels.total(v, self.n_samples)
        cdef Py_ssize_t j, work = 0
        for j in range(self.n_features):
            out[j] = self._scale[j] * self._dot(j, v, v_sum)
            work += self._start[j + 1] - self._start[j] + 1
            if work > CHUNK:
                check_interrupt()
                work = 0
        return 0

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

    cdef double _value(self, Py_ssize_t k) noexcept nogil:
        return self._narrow[k] if self._is_narrow else self._wide[k]

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
                    value[e] = self._value(k) * unit
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
                        shift[a] * shift[b] * weight_sum - shift[a] * first[b] - shift[b] * first[a])

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
                            (self._value(k) - shift) * unit)
                        k += 1
                    cursor[a] = k
                simd.tiles(&block[0], rows, m, first_new, &out[first_new, 0], out.shape[1])
                work += m * (m - first_new) * rows
                if work > WORK_A_CHECK:
                    check_interrupt()
                    work = 0
                first += rows
