# Design: the level "plain" is written here, one function a loop, as simple as it can be said; the C
# levels of native/ are tested against it, and it serves where no C level was built. Columns are
# shifted while they are read: (x - shift) costs nothing in a loop that waits for memory, and
# x'v - shift * sum(v) would lose all digits of a column whose mean is far from zero.

import os

import numpy as np

from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport fabs, sqrt, sqrtf


cdef extern from "native/lockstep.h" nogil:
    const void* lockstep_level "fastreg_lockstep_level" (int k)

cdef extern from "native/resample.h" nogil:
    const void* resample_level "fastreg_resample_level" (int k)

cdef extern from "native/pool.h" nogil:
    void fastreg_run(Task task, void* context, Py_ssize_t n_tasks, int n_threads)


cdef void run(Task task, void* context, Py_ssize_t n_tasks, int n_threads) noexcept nogil:
    fastreg_run(task, context, n_tasks, n_threads)


cdef double plain_dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        i += 4
    while i < n:
        s0 += a[i] * b[i]
        i += 1
    return (s0 + s2) + (s1 + s3)


cdef void plain_axpy(double a, const double* x, double* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] += a * x[i]


cdef void plain_dot4(
    const double* x0, const double* x1, const double* x2, const double* x3,
    const double* v, Py_ssize_t n, double* out,
) noexcept nogil:
    out[0] = plain_dot(x0, v, n)
    out[1] = plain_dot(x1, v, n)
    out[2] = plain_dot(x2, v, n)
    out[3] = plain_dot(x3, v, n)


cdef void plain_axpy4(
    const double* a, const double* x0, const double* x1, const double* x2, const double* x3,
    double* y, Py_ssize_t n,
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] += (a[0] * x0[i] + a[1] * x1[i]) + (a[2] * x2[i] + a[3] * x3[i])


cdef inline double entry(const Matrix* X, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t k = i * X.row_stride + j * X.column_stride
    return (<const float*>X.data)[k] if X.narrow else (<const double*>X.data)[k]


cdef inline Py_ssize_t feature(const int* columns, Py_ssize_t k) noexcept nogil:
    return k if columns == NULL else columns[k]


cdef void plain_column_dots(
    const Matrix* X, const int* columns, Py_ssize_t m, const double* shift, const double* v,
    double* out,
) noexcept nogil:
    cdef Py_ssize_t i, j, k
    for k in range(m):
        out[k] = 0.0
    if X.row_stride == 1:
        for k in range(m):
            j = feature(columns, k)
            for i in range(X.n_rows):
                out[k] += v[i] * (entry(X, i, j) - shift[j])
    else:
        for i in range(X.n_rows):
            for k in range(m):
                j = feature(columns, k)
                out[k] += v[i] * (entry(X, i, j) - shift[j])


cdef void plain_column_dots_two(
    const Matrix* X, const double* shift, const double* v, const double* u, double* out,
    double* other,
) noexcept nogil:
    plain_column_dots(X, NULL, X.n_columns, shift, v, out)
    plain_column_dots(X, NULL, X.n_columns, shift, u, other)


cdef void plain_add_columns(
    const Matrix* X, const int* columns, Py_ssize_t m, const double* shift, const double* coef,
    double* out,
) noexcept nogil:
    cdef Py_ssize_t i, j, k
    if X.row_stride == 1:
        for k in range(m):
            j = feature(columns, k)
            for i in range(X.n_rows):
                out[i] += coef[k] * (entry(X, i, j) - shift[j])
    else:
        for i in range(X.n_rows):
            for k in range(m):
                j = feature(columns, k)
                out[i] += coef[k] * (entry(X, i, j) - shift[j])


cdef void plain_column_sums(
    const Matrix* X, const double* weight, const double* V, Py_ssize_t m, Py_ssize_t V_stride,
    Py_ssize_t head, double* shift, double* first, double* second, double* cross,
    Py_ssize_t stride,
) noexcept nogil:
    cdef Py_ssize_t i, j, k
    cdef double d
    for j in range(X.n_columns):
        first[j] = 0.0
        second[j] = 0.0
        for k in range(m):
            cross[k * stride + j] = 0.0
        if head >= 0 and X.row_stride == 1:
            shift[j] = entry(X, head, j)
    for i in range(X.n_rows):
        for j in range(X.n_columns):
            d = entry(X, i, j) - shift[j]
            first[j] += weight[i] * d
            second[j] += weight[i] * d * d
            for k in range(m):
                cross[k * stride + j] += V[k * V_stride + i] * d


# A panel is one column wide: the block is column-major.

cdef void pack_plain(
    real* block, const Matrix* X, Py_ssize_t first, Py_ssize_t rows, const int* columns,
    Py_ssize_t m, const double* shift, const double* scale, const double* root_weight,
) noexcept nogil:
    cdef Py_ssize_t i, j, k
    for k in range(m):
        j = feature(columns, k)
        for i in range(rows):
            block[k * rows + i] = <real>(
                (entry(X, first + i, j) - shift[j]) * root_weight[first + i] * scale[j])


cdef void plain_pack(
    const Matrix* X, Py_ssize_t first, Py_ssize_t rows, const int* columns, Py_ssize_t m,
    const double* shift, const double* scale, const double* root_weight, void* block,
    Py_ssize_t at,
) noexcept nogil:
    pack_plain(
        <double*>block + at * rows, X, first, rows, columns, m, shift, scale, root_weight)


cdef void plain_pack_narrow(
    const Matrix* X, Py_ssize_t first, Py_ssize_t rows, const int* columns, Py_ssize_t m,
    const double* shift, const double* scale, const double* root_weight, void* block,
    Py_ssize_t at,
) noexcept nogil:
    pack_plain(<float*>block + at * rows, X, first, rows, columns, m, shift, scale, root_weight)


cdef void plain_tiles(
    const void* memory, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t first_new,
    double* out, Py_ssize_t stride, const Matrix* next_rows, const int* columns, Py_ssize_t m,
) noexcept nogil:
    cdef const double* block = <const double*>memory
    cdef Py_ssize_t a, b
    for a in range(first_new, width):
        for b in range(a + 1):
            out[(a - first_new) * stride + b] += plain_dot(block + a * rows, block + b * rows, rows)


cdef void plain_tiles_narrow(
    const void* memory, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t first_new,
    double* out, Py_ssize_t stride, const Matrix* next_rows, const int* columns, Py_ssize_t m,
) noexcept nogil:
    cdef const float* block = <const float*>memory
    cdef Py_ssize_t a, b, i
    cdef float s
    for a in range(first_new, width):
        for b in range(a + 1):
            s = 0.0
            for i in range(rows):
                s += block[a * rows + i] * block[b * rows + i]
            out[(a - first_new) * stride + b] += s


cdef void plain_bounds(
    const double* image, Py_ssize_t stride, const double* share, Py_ssize_t m, const double* rest,
    double length, const double* norm, double margin, Py_ssize_t n, double* c, double* slack,
) noexcept nogil:
    cdef Py_ssize_t j, k
    for j in range(n):
        c[j] = 0.0
        slack[j] = length * rest[j] + margin * norm[j]
    for k in range(m):
        for j in range(n):
            c[j] += share[k] * image[k * stride + j]


cdef Py_ssize_t plain_list_undecided(
    const double* c, const double* slack, const double* norm, double radius, const double* level,
    Py_ssize_t first, Py_ssize_t n, int* out,
) noexcept nogil:
    cdef Py_ssize_t j, count = 0
    for j in range(first, n):
        if not fabs(c[j]) + (slack[j] + radius * norm[j]) <= level[j]:
            out[count] = <int>j
            count += 1
    return count


cdef Py_ssize_t plain_list_urgent(
    const double* c, const double* w, const double* level, double factor, Py_ssize_t n, int* out,
) noexcept nogil:
    cdef Py_ssize_t j, count = 0
    for j in range(n):
        if not (fabs(c[j]) < factor * level[j] and w[j] == 0.0):
            out[count] = <int>j
            count += 1
    return count


cdef void plain_prove_below(
    const double* c, const double* slack, const double* norm, double kappa, double reach,
    const double* level, Py_ssize_t n, unsigned char* below,
) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        below[j] = kappa * (fabs(c[j]) + slack[j]) + norm[j] * reach < level[j]


cdef double plain_size(const double* norm, const double* w, Py_ssize_t n) noexcept nogil:
    cdef double size = 0.0
    cdef Py_ssize_t j
    for j in range(n):
        size += norm[j] * fabs(w[j])
    return size


cdef inline real root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef inline void soften_each(
    real* w, const real* square, Py_ssize_t n, real add, real threshold, real more
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real scale, x, most, inside
    cdef real largest = FLT_MAX if real is float else <real>DBL_MAX
    for i in range(n):
        # an average of squares may have overflowed
        scale = root(square[i] if not square[i] > largest else largest) + add
        x = w[i] if more == 0.0 else w[i] * scale
        most = threshold / scale if more == 0.0 else threshold
        inside = x if x < most else most  # in this order NaN stays NaN
        inside = inside if inside > -most else -most
        w[i] = x - inside if more == 0.0 else (x - inside) / (scale + more)


cdef void plain_soften(
    float* w, const float* square, Py_ssize_t n, float add, float threshold, float more
) noexcept nogil:
    soften_each(w, square, n, add, threshold, more)


cdef void soften(
    real* w, const real* square, Py_ssize_t n, real add, real threshold, real more
) noexcept nogil:
    if real is float:
        simd.soften(w, square, n, add, threshold, more)
    else:
        soften_each(w, square, n, add, threshold, more)


cdef Kernels plain
plain.name = "plain"
plain.dot = plain_dot
plain.axpy = plain_axpy
plain.dot4 = plain_dot4
plain.axpy4 = plain_axpy4
plain.column_dots = plain_column_dots
plain.column_dots_two = plain_column_dots_two
plain.add_columns = plain_add_columns
plain.column_sums = plain_column_sums
plain.wide = Product(1, sizeof(double), plain_pack, plain_tiles)
plain.narrow = Product(1, sizeof(float), plain_pack_narrow, plain_tiles_narrow)
plain.bounds = plain_bounds
plain.list_undecided = plain_list_undecided
plain.list_urgent = plain_list_urgent
plain.prove_below = plain_prove_below
plain.size = plain_size
plain.soften = plain_soften


cdef inline double stored(const Sparse* X, Py_ssize_t k) noexcept nogil:
    return X.narrow[k] if X.narrow != NULL else X.wide[k]


cdef void plain_sparse_dots(
    const Sparse* X, const int* columns, Py_ssize_t first, Py_ssize_t m, const double* shift,
    const double* scale, const double* v, double v_sum, double* out,
) noexcept nogil:
    cdef Py_ssize_t j, k, i
    cdef double s, by
    cdef bint full
    for k in range(m):
        j = first + k if columns == NULL else columns[k]
        # the implicit form would lose digits of a column whose mean is far from zero
        full = X.start[j + 1] - X.start[j] == X.n_rows
        by = shift[j] if full else 0.0
        s = 0.0
        for i in range(X.start[j], X.start[j + 1]):
            s += v[X.rows[i]] * (stored(X, i) - by)
        out[k] = scale[j] * (s if full else s - shift[j] * v_sum)


cdef void plain_sparse_sums(
    const Sparse* X, Py_ssize_t first, Py_ssize_t last, const double* v, double* total,
    double* square, double* cross,
) noexcept nogil:
    cdef Py_ssize_t j, i
    cdef double x
    for j in range(first, last):
        total[j] = square[j] = cross[j] = 0.0
        for i in range(X.start[j], X.start[j + 1]):
            x = stored(X, i)
            total[j] += x
            square[j] += x * x
            cross[j] += v[X.rows[i]] * x


cdef SparseKernels plain_sparse
plain_sparse.dots = plain_sparse_dots
plain_sparse.sums = plain_sparse_sums


cdef const Kernels* level_number(int k) noexcept nogil:
    """All levels of this build and processor, the best last; NULL behind it."""
    if k == 0:
        return &plain
    return kernels_level(k - 1)


def levels():
    """Return the names of the levels that this build and this processor have, the best last."""
    names = []
    while level_number(<int>len(names)) != NULL:
        names.append(level_number(<int>len(names)).name.decode())
    return names


def level():
    """Return the name of the level in use."""
    return simd.name.decode()


def use(name):
    """Use another level in the whole process, while nothing is being solved: tests, benchmarks."""
    global simd, sparse_simd, lockstep_simd, resample_simd
    if name not in levels():
        raise ValueError(f"FASTREG_SIMD is {name!r}; this processor has {', '.join(levels())}")
    cdef int k = <int>levels().index(name)
    simd = level_number(k)
    sparse_simd = &plain_sparse if k == 0 else sparse_level(k - 1)
    lockstep_simd = lockstep_level(k)
    resample_simd = resample_level(k)


def combine(const double[::1] a, const double[:, ::1] X, double[::1] y):
    """Return X'y for X of one or four columns, given as rows, then add X a to y."""
    out = np.empty(X.shape[0])
    cdef double[::1] view = out
    cdef Py_ssize_t n = y.shape[0]
    if X.shape[0] == 1:
        view[0] = dot(&X[0, 0], &y[0], n)
        axpy(a[0], &X[0, 0], &y[0], n)
    else:
        simd.dot4(&X[0, 0], &X[1, 0], &X[2, 0], &X[3, 0], &y[0], n, &view[0])
        simd.axpy4(&a[0], &X[0, 0], &X[1, 0], &X[2, 0], &X[3, 0], &y[0], n)
    return out


def over_features(const double[:, ::1] image, const double[::1] share, const double[::1] rest,
                  const double[::1] norm, const double[::1] w, const double[::1] level,
                  double length, double margin, double radius, double factor):
    """Return what the loops over all features compute, one after the other."""
    cdef Py_ssize_t n = norm.shape[0], m = share.shape[0]
    c, slack, below = np.empty(n), np.empty(n), np.empty(n, dtype=np.uint8)
    undecided, urgent = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    cdef double[::1] c_view = c, slack_view = slack
    cdef unsigned char[::1] below_view = below
    cdef int[::1] undecided_view = undecided, urgent_view = urgent
    simd.bounds(&image[0, 0], image.shape[1], &share[0], m, &rest[0], length, &norm[0], margin, n,
                &c_view[0], &slack_view[0])
    undecided = undecided[:simd.list_undecided(
        &c_view[0], &slack_view[0], &norm[0], radius, &level[0], 0, n, &undecided_view[0])]
    urgent = urgent[:simd.list_urgent(
        &c_view[0], &w[0], &level[0], factor, n, &urgent_view[0])]
    simd.prove_below(&c_view[0], &slack_view[0], &norm[0], factor, radius, &level[0], n,
                     &below_view[0])
    return c, slack, undecided, urgent, below, simd.size(&norm[0], &w[0], n)


use(os.environ.get("FASTREG_SIMD") or levels().pop())


cdef void add_rows(
    const double* M, Py_ssize_t stride, const int* rows, const double* a, Py_ssize_t m,
    double* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k = 0
    while k + 4 <= m:
        simd.axpy4(a + k, M + rows[k] * stride, M + rows[k + 1] * stride,
                   M + rows[k + 2] * stride, M + rows[k + 3] * stride, y, n)
        k += 4
    while k < m:
        axpy(a[k], M + rows[k] * stride, y, n)
        k += 1


cdef double total(const double* v, Py_ssize_t n) noexcept nogil:
    """The sum of a vector."""
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        s0 += v[i]
        s1 += v[i + 1]
        s2 += v[i + 2]
        s3 += v[i + 3]
        i += 4
    while i < n:
        s0 += v[i]
        i += 1
    return (s0 + s2) + (s1 + s3)


cdef void sparse_column_axpy(
    const real* values, const int* rows, Py_ssize_t nnz, double shift, double a, double* out,
) noexcept nogil:
    """out[row] += a (value - shift) over the stored entries."""
    cdef Py_ssize_t k
    for k in range(nnz):
        out[rows[k]] += a * (values[k] - shift)


cdef double weight_between(
    const int* rows, Py_ssize_t nnz, Py_ssize_t n, const double* weight) noexcept nogil:
    """Sum of the weights of all rows but the given (increasing) ones."""
    cdef double left = 0.0
    cdef Py_ssize_t i, k = 0
    for i in range(n):
        if k < nnz and rows[k] == i:
            k += 1
        else:
            left += weight[i]
    return left


cdef void sparse_column_moments(
    const real* values, const int* rows, Py_ssize_t nnz, Py_ssize_t n, const double* weight,
    double* mean, double* second,
) noexcept nogil:
    """Weighted mean and variance of a column of n rows; weights sum to one."""
    cdef Py_ssize_t k
    cdef double a = 0.0, b = 0.0, stored = 0.0, left = 0.0, d
    for k in range(nnz):
        a += weight[rows[k]] * values[k]
        stored += weight[rows[k]]
    for k in range(nnz):
        d = values[k] - a
        left += weight[rows[k]] * d
        b += weight[rows[k]] * d * d
    if nnz < n:
        # The weight of the zeros; summed itself where the difference would be mostly rounding.
        d = 1.0 - stored if stored < 0.5 else weight_between(rows, nnz, n, weight)
        left -= d * a
        b += d * a * a
    mean[0] = a + left  # the rounding of the first sum
    b -= left * left
    second[0] = 0.0 if b < 0.0 else b  # and NaN stays what it is
