# Design: one fused function per loop, over the element type. Columns are
# shifted while they are read: (x - shift) costs nothing in a loop that waits for memory, and
# x'v - shift * sum(v) would lose all digits of a column whose mean is far from zero.

cdef enum:
    COLUMN_BLOCK = 2048  # two blocks of doubles stay in the first-level cache


cdef void dense_correlate(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    Py_ssize_t n, Py_ssize_t p, const double* shift, const double* v, double* out,
) noexcept nogil:
    """out[j] = sum_i v[i] (X[i, j] - shift[j])."""
    cdef Py_ssize_t i, j, j0, j1
    cdef double v0, v1, v2, v3
    cdef const real* x0
    cdef const real* x1
    cdef const real* x2
    cdef const real* x3
    if row_stride == 1:
        for j in range(p):
            out[j] = dense_column_dot(X + j * column_stride, 1, n, shift[j], v)
        return
    j0 = 0
    while j0 < p:
        j1 = min(p, j0 + COLUMN_BLOCK)
        for j in range(j0, j1):
            out[j] = 0.0
        i = 0
        while i + 4 <= n:
            x0 = X + i * row_stride
            x1 = x0 + row_stride
            x2 = x1 + row_stride
            x3 = x2 + row_stride
            v0 = v[i]
            v1 = v[i + 1]
            v2 = v[i + 2]
            v3 = v[i + 3]
            for j in range(j0, j1):
                out[j] += (v0 * (x0[j] - shift[j]) + v1 * (x1[j] - shift[j])) + (
                    v2 * (x2[j] - shift[j]) + v3 * (x3[j] - shift[j]))
            i += 4
        while i < n:
            x0 = X + i * row_stride
            v0 = v[i]
            for j in range(j0, j1):
                out[j] += v0 * (x0[j] - shift[j])
            i += 1
        j0 = j1


cdef double dense_column_dot(
    const real* x, Py_ssize_t stride, Py_ssize_t n, double shift, const double* v,
) noexcept nogil:
    """sum_i v[i] (x[i] - shift)."""
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    cdef double s4 = 0.0, s5 = 0.0, s6 = 0.0, s7 = 0.0
    cdef Py_ssize_t i = 0
    if stride == 1:
        while i + 8 <= n:
            s0 += v[i] * (x[i] - shift)
            s1 += v[i + 1] * (x[i + 1] - shift)
            s2 += v[i + 2] * (x[i + 2] - shift)
            s3 += v[i + 3] * (x[i + 3] - shift)
            s4 += v[i + 4] * (x[i + 4] - shift)
            s5 += v[i + 5] * (x[i + 5] - shift)
            s6 += v[i + 6] * (x[i + 6] - shift)
            s7 += v[i + 7] * (x[i + 7] - shift)
            i += 8
    while i < n:
        s0 += v[i] * (x[i * stride] - shift)
        i += 1
    return ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


cdef void dense_column_axpy(
    const real* x, Py_ssize_t stride, Py_ssize_t n, double shift, double a, double* out,
) noexcept nogil:
    """out[i] += a (x[i] - shift)."""
    cdef Py_ssize_t i
    if stride == 1:
        for i in range(n):
            out[i] += a * (x[i] - shift)
    else:
        for i in range(n):
            out[i] += a * (x[i * stride] - shift)


cdef void dense_rows_dot(
    const real* X, Py_ssize_t row_stride, Py_ssize_t n, const int* columns, Py_ssize_t m,
    const double* shift, const double* scale, const double* coef, double* out,
) noexcept nogil:
    """out[i] += sum_k coef[k] scale[j] (X[i, j] - shift[j]), j = columns[k], rows contiguous."""
    cdef Py_ssize_t i, k, j
    cdef double s0, s1
    cdef const real* x
    for i in range(n):
        x = X + i * row_stride
        s0 = 0.0
        s1 = 0.0
        k = 0
        while k + 2 <= m:
            j = columns[k]
            s0 += (coef[k] * scale[j]) * (x[j] - shift[j])
            j = columns[k + 1]
            s1 += (coef[k + 1] * scale[j]) * (x[j] - shift[j])
            k += 2
        if k < m:
            j = columns[k]
            s0 += (coef[k] * scale[j]) * (x[j] - shift[j])
        out[i] += s0 + s1


cdef void dense_pack(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    Py_ssize_t first, Py_ssize_t last, const int* columns, Py_ssize_t m,
    const double* shift, const double* scale, const double* root_weight, double* out,
) noexcept nogil:
    """Rows first..last of columns, shifted, scaled and weighted, into a column-major block."""
    cdef Py_ssize_t i, k, j, rows = last - first
    cdef const real* x
    cdef double* target
    cdef double a, b
    if row_stride == 1:
        for k in range(m):
            j = columns[k]
            x = X + j * column_stride + first
            a = scale[j]
            b = shift[j]
            target = out + k * rows
            if root_weight == NULL:
                for i in range(rows):
                    target[i] = a * (x[i] - b)
            else:
                for i in range(rows):
                    target[i] = root_weight[first + i] * (a * (x[i] - b))
    else:
        for i in range(rows):
            x = X + (first + i) * row_stride
            a = 1.0 if root_weight == NULL else root_weight[first + i]
            for k in range(m):
                j = columns[k]
                out[k * rows + i] = a * (scale[j] * (x[j] - shift[j]))


cdef void dense_moments(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    Py_ssize_t n, Py_ssize_t p, const double* origin, const double* weight,
    double* first, double* second,
) noexcept nogil:
    """first[j] = sum_i weight[i] d, second[j] = sum_i weight[i] d^2; d = X[i, j] - origin[j]."""
    cdef Py_ssize_t i, j
    cdef double d, a0, a1, b0, b1, e
    cdef const real* x
    if row_stride == 1:
        for j in range(p):
            x = X + j * column_stride
            a0 = a1 = b0 = b1 = 0.0
            i = 0
            while i + 2 <= n:
                d = x[i] - origin[j]
                e = x[i + 1] - origin[j]
                a0 += weight[i] * d
                a1 += weight[i + 1] * e
                b0 += weight[i] * d * d
                b1 += weight[i + 1] * e * e
                i += 2
            if i < n:
                d = x[i] - origin[j]
                a0 += weight[i] * d
                b0 += weight[i] * d * d
            first[j] = a0 + a1
            second[j] = b0 + b1
        return
    for j in range(p):
        first[j] = 0.0
        second[j] = 0.0
    for i in range(n):
        x = X + i * row_stride
        a0 = weight[i]
        for j in range(p):
            d = x[j] - origin[j]
            first[j] += a0 * d
            second[j] += a0 * d * d


cdef double sparse_column_dot(
    const real* values, const int* rows, Py_ssize_t nnz, double shift, const double* v,
) noexcept nogil:
    """sum over the stored entries of v[row] (value - shift)."""
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    cdef Py_ssize_t k = 0
    while k + 4 <= nnz:
        s0 += v[rows[k]] * (values[k] - shift)
        s1 += v[rows[k + 1]] * (values[k + 1] - shift)
        s2 += v[rows[k + 2]] * (values[k + 2] - shift)
        s3 += v[rows[k + 3]] * (values[k + 3] - shift)
        k += 4
    while k < nnz:
        s0 += v[rows[k]] * (values[k] - shift)
        k += 1
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
    second[0] = max(0.0, b - left * left)
