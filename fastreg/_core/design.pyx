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
from scipy.linalg.cython_blas cimport dgemm, dsyrk

from fastreg._core cimport kernels
from fastreg._core.kernels cimport real

cdef enum:
    ROW_BLOCK = 256
    CHUNK = 1 << 24  # elements between two looks at pending signals: some 10 ms
    WORK_A_CHECK = 1 << 28  # multiplications of a Gram product between two of them


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

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        return 0

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
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

    def product(self, const double[::1] coef):
        """Return sum_j z_ij coef_j for every row i."""
        out = np.zeros(self.n_samples)
        cdef double[::1] view = out
        cdef int[::1] columns = np.arange(self.n_features, dtype=np.int32)
        with nogil:
            self.add_columns(&columns[0], self.n_features, &coef[0], &view[0])
        return out

    def gram_matrix(self, const int[::1] columns, const double[::1] weight):
        """Return sum_i weight_i z_ia z_ib for the given columns."""
        out = np.empty((columns.shape[0], columns.shape[0]))
        self.gram(columns, 0, weight, out)
        return out


@final
cdef class DenseDesign(Design):
    """Dense X, float64 or float32, whose rows or columns are contiguous."""

    cdef const double[:, :] _wide
    cdef const float[:, :] _narrow
    cdef bint _is_narrow
    cdef Py_ssize_t _row_stride
    cdef Py_ssize_t _column_stride

    def __init__(self, X):
        super().__init__(X.shape[0], X.shape[1])
        self.n_stored = float(X.size)
        self._is_narrow = X.dtype == np.float32
        if self._is_narrow:
            self._narrow = X
        else:
            self._wide = X
        self._row_stride = X.strides[0] // X.itemsize
        self._column_stride = X.strides[1] // X.itemsize
        if self.n_features == 1:
            self._column_stride = 1 if self._row_stride != 1 else self.n_samples
        elif self.n_samples == 1:
            self._row_stride = 1 if self._column_stride != 1 else self.n_features

    def moments(self, const double[::1] weight):
        first = np.empty(self.n_features)
        second = np.empty(self.n_features)
        # A row that counts: one without weight may hold anything.
        cdef Py_ssize_t row = np.argmax(weight)
        if self._is_narrow:
            origin = np.array(self._narrow[row], dtype=np.float64)
        else:
            origin = np.array(self._wide[row], dtype=np.float64)
        self._moments(weight, origin, first, second)
        # Where that row lies far from the mean, its square would swallow the variance.
        poor = ~(first * first < 0.99 * second) & (second > 0)
        if poor.any():
            origin[poor] += first[poor]
            again, square = np.empty(self.n_features), np.empty(self.n_features)
            self._moments(weight, origin, again, square)
            first = np.where(poor, again, first)
            second = np.where(poor, square, second)
        return origin + first, np.maximum(second - first * first, 0.0)

    cdef _moments(self, const double[::1] weight, const double[::1] origin,
                  double[::1] first, double[::1] second):
        with nogil:
            if self._is_narrow:
                moments_in_chunks(
                    &self._narrow[0, 0], self._row_stride, self._column_stride, self.n_samples,
                    self.n_features, &origin[0], &weight[0], &first[0], &second[0])
            else:
                moments_in_chunks(
                    &self._wide[0, 0], self._row_stride, self._column_stride, self.n_samples,
                    self.n_features, &origin[0], &weight[0], &first[0], &second[0])

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        if self._is_narrow:
            correlate_in_chunks(&self._narrow[0, 0], self._row_stride, self._column_stride,
                                self.n_samples, self.n_features, &self._shift[0], v, out)
        else:
            correlate_in_chunks(&self._wide[0, 0], self._row_stride, self._column_stride,
                                self.n_samples, self.n_features, &self._shift[0], v, out)
        cdef Py_ssize_t j
        for j in range(self.n_features):
            out[j] *= self._scale[j]
        return 0

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        if self._is_narrow:
            add_dense_columns(
                &self._narrow[0, 0], self._row_stride, self._column_stride, self.n_samples,
                columns, m, &self._shift[0], &self._scale[0], coef, out)
        else:
            add_dense_columns(
                &self._wide[0, 0], self._row_stride, self._column_stride, self.n_samples,
                columns, m, &self._shift[0], &self._scale[0], coef, out)
        return 0

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        cdef Py_ssize_t k, j
        for k in range(m):
            j = columns[k]
            if self._is_narrow:
                out[k] = self._scale[j] * kernels.dense_column_dot(
                    &self._narrow[0, 0] + j * self._column_stride, self._row_stride,
                    self.n_samples, self._shift[j], v)
            else:
                out[k] = self._scale[j] * kernels.dense_column_dot(
                    &self._wide[0, 0] + j * self._column_stride, self._row_stride,
                    self.n_samples, self._shift[j], v)
        return 0

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        cdef double[::1] root_weight = np.sqrt(weight)
        cdef Py_ssize_t m = columns.shape[0]
        if m == first_new:
            return 0
        cdef double[::1] block = np.empty(m * min(ROW_BLOCK, self.n_samples))
        cdef Py_ssize_t first = 0, last, a, b, work = 0
        with nogil:
            for a in range(first_new, m):
                for b in range(m):
                    out[a, b] = 0.0
            while first < self.n_samples:
                last = min(self.n_samples, first + ROW_BLOCK)
                if self._is_narrow:
                    kernels.dense_pack(
                        &self._narrow[0, 0], self._row_stride, self._column_stride, first, last,
                        &columns[0], m, &self._shift[0], &self._scale[0], &root_weight[0],
                        &block[0])
                else:
                    kernels.dense_pack(
                        &self._wide[0, 0], self._row_stride, self._column_stride, first, last,
                        &columns[0], m, &self._shift[0], &self._scale[0], &root_weight[0],
                        &block[0])
                add_block_products(&block[0], last - first, m, first_new, out)
                work += m * (m - first_new) * (last - first)
                if work > WORK_A_CHECK:
                    check_interrupt()
                    work = 0
                first = last
            mirror(first_new, m, out)
        return 0


cdef Py_ssize_t columns_a_chunk(Py_ssize_t row_stride, Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    """Columns between two looks at pending signals; of rows, a stretch that is worth reading."""
    if n * p <= CHUNK:
        return p
    return max(CHUNK // n, 1 if row_stride == 1 else 512)


cdef int moments_in_chunks(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t n, Py_ssize_t p,
    const double* origin, const double* weight, double* first, double* second,
) except -1 nogil:
    cdef Py_ssize_t step = columns_a_chunk(row_stride, n, p), j = 0
    while j < p:
        kernels.dense_moments(X + j * column_stride, row_stride, column_stride, n,
                              min(step, p - j), origin + j, weight, first + j, second + j)
        if step < p:
            check_interrupt()
        j += step
    return 0


cdef int correlate_in_chunks(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t n, Py_ssize_t p,
    const double* shift, const double* v, double* out,
) except -1 nogil:
    cdef Py_ssize_t step = columns_a_chunk(row_stride, n, p), j = 0
    while j < p:
        kernels.dense_correlate(X + j * column_stride, row_stride, column_stride, n,
                                min(step, p - j), shift + j, v, out + j)
        if step < p:
            check_interrupt()
        j += step
    return 0


cdef void add_dense_columns(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t n,
    const int* columns, Py_ssize_t m, const double* shift, const double* scale,
    const double* coef, double* out,
) noexcept nogil:
    cdef Py_ssize_t k
    if row_stride != 1:
        kernels.dense_rows_dot(X, row_stride, n, columns, m, shift, scale, coef, out)
        return
    for k in range(m):
        if coef[k] != 0.0:
            kernels.dense_column_axpy(X + columns[k] * column_stride, row_stride, n,
                                      shift[columns[k]], coef[k] * scale[columns[k]], out)


cdef void add_block_products(
    double* block, Py_ssize_t rows, Py_ssize_t m, Py_ssize_t first_new, double[:, ::1] out,
) noexcept nogil:
    """Add B'B for the new rows of the symmetric `out`; B is rows x m, column-major."""
    cdef int k = <int>rows, new = <int>(m - first_new), old = <int>first_new
    cdef int stride = <int>out.shape[1]
    cdef double one = 1.0
    if old > 0:  # row-major out[new, old] is column-major (old x new)
        dgemm("T", "N", &old, &new, &k, &one, block, &k, block + first_new * rows, &k,
              &one, &out[first_new, 0], &stride)
    dsyrk("U", "T", &new, &k, &one, block + first_new * rows, &k, &one,
          &out[first_new, first_new], &stride)


cdef void mirror(Py_ssize_t first_new, Py_ssize_t m, double[:, ::1] out) noexcept nogil:
    """Complete the symmetric matrix from the lower triangle (row-major) of its new rows."""
    cdef Py_ssize_t a, b
    for a in range(first_new, m):
        for b in range(a):
            out[b, a] = out[a, b]


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

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        cdef double v_sum = kernels.total(v, self.n_samples)
        cdef Py_ssize_t k
        for k in range(m):
            out[k] = self._scale[columns[k]] * self._dot(columns[k], v, v_sum)
        return 0

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        # One standardised column at a time plays the vector of `correlate` for all the others.
        cdef double[::1] scattered = np.empty(self.n_samples)
        cdef Py_ssize_t a, b, i, m = columns.shape[0]
        cdef double constant, v_sum
        with nogil:
            for a in range(first_new, m):
                for i in range(self.n_samples):
                    scattered[i] = 0.0
                constant = self._axpy(columns[a], self._scale[columns[a]], &scattered[0])
                for i in range(self.n_samples):
                    scattered[i] = weight[i] * (scattered[i] - constant)
                v_sum = kernels.total(&scattered[0], self.n_samples)
                for b in range(a + 1):
                    out[a, b] = self._scale[columns[b]] * self._dot(
                        columns[b], &scattered[0], v_sum)
                if a % 64 == 0:
                    check_interrupt()
            mirror(first_new, m, out)
        return 0
