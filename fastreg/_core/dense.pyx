# Design: dense columns of either float type are read where they lie, in C or F order; shift and
# scale are applied on the way. Sums of squares are taken about a first guess of the mean, and
# repaired where the guess was poor: raw moments would lose the digits of a column whose mean is
# large against its deviation.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, frexp, ldexp
from fastreg._core cimport kernels, passes
from fastreg._core.design cimport Design, add_means, weighted_rows
from fastreg._core.gram cimport ROW_BLOCK, Columns, gram_product, mirror
from fastreg._core.kernels cimport Matrix, Product, matrix_of, real, simd

cdef enum:
    LIST = 256
    WIDEST = 1024        # columns up to which a block of rows stays in the cache
    _ONE_READ = 512
    FEW_RESPONSES = 8
    N_FIRST = 16         # rows whose mean is the first shift
    REPAIR = 1 << 20     # entries that are copied to repair columns
    MOST = 120           # exponent of a scale that is a number in float

# Squared distance of a shift from the mean, in units of the second moment about the shift
cdef double FAR = 0.99  # beyond which digits are lost: in double,
cdef double NEAR = 0.75  # and in float
cdef double LEAST = 1e-10  # variance that float can tell from zero, in units of the first rows

# Error of a sum from `rough_survey`: three roundings of each factor and one a row of a block, in
# the product and twice in what the mean takes from it, all relative to moments about the shift,
# which are at most four times those about the mean; without centring the mean comes back once more.
ROUGH = 16 * (ROW_BLOCK + 8) * 2.0**-24

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
        cdef const void* data
        if X.dtype == np.float32:
            narrow = X
            data = &narrow[0, 0]
        else:
            wide = X
            data = &wide[0, 0]
        self._matrix = matrix_of(
            data, X.strides[0] // X.itemsize, X.strides[1] // X.itemsize, self.n_samples,
            self.n_features, X.dtype == np.float32)

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

    cdef void _first_shift(
        self, const double[::1] weight, double* shift, double* scale=NULL) noexcept nogil:
        """The mean of a few rows that count (one without weight may hold anything).

        Where a scale is asked for, too, it is a power of two that brings their distances from it
        near to one, and the shift is a number in float.
        """
        cdef Py_ssize_t rows[N_FIRST]
        cdef Py_ssize_t i, j, k, count = 0
        cdef double origin, largest
        cdef int exponent
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
        for j in range(self.n_features if scale != NULL else 0):
            shift[j] = <float>shift[j]
            largest = 0.0
            for k in range(count):
                largest = max(largest, fabs(entry(&self._matrix, rows[k], j) - shift[j]))
            exponent = 0
            if 0.0 < largest < INFINITY:
                frexp(largest, &exponent)
            scale[j] = ldexp(1.0, max(-MOST, min(MOST, -exponent)))

    cdef _sums(self, const double[::1] weight, const double[:, ::1] V, double[::1] mean,
               double[::1] variance, double[:, ::1] cross):
        """Means, variances and centred products with weighted vectors, in one pass."""
        cdef Py_ssize_t j, k, p = self.n_features, m = V.shape[0], n = self.n_samples
        cdef double[::1] first = np.empty(p)
        cdef double[::1] V_sum = np.empty(m)
        cdef double d
        cdef Py_ssize_t head = -1
        if self._matrix.row_stride == 1:
            head = 0
            while head < n - 1 and weight[head] == 0.0:
                head += 1
        else:
            self._first_shift(weight, &mean[0])
        for k in range(m):
            V_sum[k] = kernels.total(&V[k, 0], n)
        passes.sums(self._matrix, weight, V, head, mean, first, variance, cross, self._n_threads)
        poor = []
        for j in range(p):
            d = first[j]
            # Where the shift lies far from the mean, its square would swallow the variance.
            if not d * d < FAR * variance[j] and variance[j] > 0.0:
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

    cdef _sums_with_gram(
        self, const double[::1] weight, DenseDesign responses, double[::1] mean,
        double[::1] variance, double[::1] y_mean, double[:, ::1] cross, double[:, ::1] gram):
        """All sums of `survey` as one Gram product."""
        cdef Py_ssize_t p = self.n_features
        cdef double[::1] shift = np.empty(p)
        cdef double[::1] scale = np.ones(p)
        self._first_shift(weight, &shift[0])
        for _ in range(2):
            if self._products(&simd.wide, weight, responses, shift, scale, FAR, mean, variance,
                              y_mean, cross, gram):
                return
            # Where the shift lies far from the mean, its square would swallow the variance.
            shift[:] = mean

    def rough_survey(self, const double[::1] weight, DenseDesign responses, bint centre=True):
        """Return the survey of all columns up to the rounding of float, or None.

        Of at most ONE_READ columns. Of a sum of products the error is at most ROUGH times the
        product of both norms. None: the range of float, or the digits that it leaves of a column
        whose first rows are far from its mean, may not suffice.
        """
        cdef Py_ssize_t p = self.n_features, j, m = responses.n_features
        cdef double[::1] mean = np.empty(p)
        cdef double[::1] variance = np.empty(p)
        cdef double[::1] y_mean = np.empty(m)
        cdef double[::1] shift = np.empty(p)
        cdef double[::1] scale = np.empty(p)
        cdef double[:, ::1] cross = np.empty((m, p))
        cdef double[:, ::1] gram = np.empty((p, p))
        self._first_shift(weight, &shift[0], &scale[0])
        if not self._products(&simd.narrow, weight, responses, shift, scale, NEAR, mean, variance,
                              y_mean, cross, gram):
            return None
        for j in range(p):
            if not LEAST < variance[j] * scale[j] * scale[j] < 1.0 / LEAST:
                return None
        if not centre:
            add_means(np.arange(p, dtype=np.int32), mean, y_mean, cross, gram)
        return np.asarray(mean), np.asarray(variance), np.asarray(cross), np.asarray(gram)

    cdef bint _products(
        self, const Product* product, const double[::1] weight, DenseDesign responses,
        const double[::1] shift, const double[::1] scale, double limit, double[::1] mean,
        double[::1] variance, double[::1] y_mean, double[:, ::1] cross, double[:, ::1] gram,
    ) except -1:
        """The product of the columns in these units, the responses and ones with each other.

        Return whether every shift lay as near to its mean as the limit on the square of the
        distance, in units of the second moment about the shift. Many responses stand in front of
        the columns: of their products with each other none is needed. Few stand behind them, where
        the columns begin with a panel.
        """
        cdef Py_ssize_t p = self.n_features, m = y_mean.shape[0], a, b, k
        cdef Py_ssize_t at = m if m > FEW_RESPONSES else 0, y_at = 0 if at else p
        at = (at + product.panel - 1) // product.panel * product.panel
        cdef Py_ssize_t last = p if at else p + m  # row of the ones
        cdef double[:, ::1] full = np.empty((last + 1, at + last + 1))
        cdef Columns main = self._columns(None, shift, scale)
        cdef Columns extra
        cdef const double* d
        cdef double square
        cdef bint near = True
        main.at = at
        if m:
            extra = responses._columns(None, responses._shift, responses._scale)
            extra.at = y_at
        gram_product(product, &main, &extra if m else NULL, True, &weight[0], at, self._n_threads,
                     &full[0, 0], full.shape[1])
        d = &full[last, at]
        with nogil:
            for k in range(m):
                y_mean[k] = full[last, y_at + k]
            for a in range(p):
                square = full[a, at + a]
                near = near and (d[a] * d[a] < limit * square or not square > 0.0)
                mean[a] = shift[a] + d[a] / scale[a]
                for b in range(a + 1):
                    gram[a, b] = (full[a, at + b] - d[a] * d[b]) / (scale[a] * scale[b])
                variance[a] = at_least_zero(gram[a, a])
                for k in range(m):
                    cross[k, a] = full[a, k] if at else full[p + k, a]
                    cross[k, a] = (cross[k, a] - d[a] * y_mean[k]) / scale[a]
            mirror(0, p, &gram[0, 0], gram.shape[1])
        return near

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        return self.correlate_two(v, NULL, out, NULL)

    cdef int correlate_two(
        self, const double* v, const double* u, double* out, double* other) except -1 nogil:
        cdef Py_ssize_t j
        passes.dots(self._matrix, &self._shift[0], v, u, out, other, self._n_threads)
        for j in range(self.n_features):
            out[j] *= self._scale[j]
            if u != NULL:
                other[j] *= self._scale[j]
        return 0

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        cdef Py_ssize_t k
        passes.dots_of(self._matrix, columns, m, &self._shift[0], v, out, self._n_threads)
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
            passes.add(self._matrix, chosen, count, &self._shift[0], factor, out, self._n_threads)
        return 0

    cdef int add_and_correlate(
        self, const int* columns, Py_ssize_t m, const double* coef, const double* weight,
        double* r, double* out) except -1 nogil:
        cdef Py_ssize_t j, k
        cdef double[::1] factor
        if self.n_features > WIDEST:  # rows do not stay in the cache
            return Design.add_and_correlate(self, columns, m, coef, weight, r, out)
        with gil:
            factor = np.empty(m + 1)
        for k in range(m):
            factor[k] = coef[k] * self._scale[columns[k]]
        passes.add_and_dot(self._matrix, columns, m, &self._shift[0], &factor[0], weight, r, out,
                           self._n_threads)
        for j in range(self.n_features):
            out[j] *= self._scale[j]
        return 0

    cdef double meet(self, Py_ssize_t j, const double* v, double rest) noexcept nogil:
        cdef int column = <int>j
        cdef double product
        simd.column_dots(&self._matrix, &column, 1, &self._shift[0], v, &product)
        return product * self._scale[j]

    cdef double move(self, Py_ssize_t j, double length, const double* weight, double equal,
                     double* v) noexcept nogil:
        cdef int column = <int>j
        length *= self._scale[j]
        if equal > 0.0:
            length *= -equal
            simd.add_columns(&self._matrix, &column, 1, &self._shift[0], &length, v)
            return 0.0
        if self._matrix.narrow:
            take_column(<const float*>self._matrix.data + j * self._matrix.column_stride,
                        self._matrix.row_stride, self.n_samples, self._shift[j], length, weight, v)
        else:
            take_column(<const double*>self._matrix.data + j * self._matrix.column_stride,
                        self._matrix.row_stride, self.n_samples, self._shift[j], length, weight, v)
        return 0.0

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
            gram_product(&simd.wide, &main, NULL, False, &weight[0], first_new, self._n_threads,
                         &out[first_new, 0], out.shape[1])
            mirror(first_new, m, &out[0, 0], out.shape[1])
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


cdef void take_column(
    const real* x, Py_ssize_t stride, Py_ssize_t n, double shift, double length,
    const double* weight, double* v) noexcept nogil:
    """v[i] -= length weight[i] (x_i - shift)."""
    cdef Py_ssize_t i
    if stride == 1:  # a loop of its own, which the compiler can turn into vectors
        for i in range(n):
            v[i] -= length * weight[i] * (x[i] - shift)
        return
    for i in range(n):
        v[i] -= length * weight[i] * (x[i * stride] - shift)


cdef bint are_all(const int[::1] columns) noexcept nogil:
    """Whether the columns are 0, 1, 2, ..."""
    cdef Py_ssize_t k
    for k in range(columns.shape[0]):
        if columns[k] != k:
            return False
    return True


cdef double at_least_zero(double a) noexcept nogil:
    return 0.0 if a < 0.0 else a  # and NaN stays what it is
