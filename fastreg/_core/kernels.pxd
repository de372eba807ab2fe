# The innermost loops: pointers in, numbers out, no Python objects, no allocation.
# Everything else in fastreg._core may cimport this file; nothing outside of it should.
#
# Sums keep several partial results in a fixed order, so that a compiler can vectorise them
# without -ffast-math and the same input always gives the same bits.

ctypedef fused real:
    float
    double


cdef inline double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    cdef double s4 = 0.0, s5 = 0.0, s6 = 0.0, s7 = 0.0
    cdef Py_ssize_t i = 0
    while i + 8 <= n:
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
        i += 8
    while i < n:
        s0 += a[i] * b[i]
        i += 1
    return ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


cdef inline void axpy(double a, const double* x, double* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] += a * x[i]


cdef inline double total(const double* v, Py_ssize_t n) noexcept nogil:
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


# Dense columns: element (i, j) is X[i * row_stride + j * column_stride], one of the strides is 1.

cdef void dense_correlate(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    Py_ssize_t n, Py_ssize_t p, const double* shift, const double* v, double* out,
) noexcept nogil

cdef double dense_column_dot(
    const real* x, Py_ssize_t stride, Py_ssize_t n, double shift, const double* v,
) noexcept nogil

cdef void dense_column_axpy(
    const real* x, Py_ssize_t stride, Py_ssize_t n, double shift, double a, double* out,
) noexcept nogil

cdef void dense_rows_dot(
    const real* X, Py_ssize_t row_stride, Py_ssize_t n, const int* columns, Py_ssize_t m,
    const double* shift, const double* scale, const double* coef, double* out,
) noexcept nogil

cdef void dense_pack(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    Py_ssize_t first, Py_ssize_t last, const int* columns, Py_ssize_t m,
    const double* shift, const double* scale, const double* root_weight, double* out,
) noexcept nogil

cdef void dense_moments(
    const real* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    Py_ssize_t n, Py_ssize_t p, const double* origin, const double* weight,
    double* first, double* second,
) noexcept nogil


# Sparse columns (CSC): column j is values[start[j]:start[j + 1]] at rows[start[j]:start[j + 1]].

cdef double sparse_column_dot(
    const real* values, const int* rows, Py_ssize_t nnz, double shift, const double* v,
) noexcept nogil

cdef void sparse_column_axpy(
    const real* values, const int* rows, Py_ssize_t nnz, double shift, double a, double* out,
) noexcept nogil

cdef void sparse_column_moments(
    const real* values, const int* rows, Py_ssize_t nnz, Py_ssize_t n, const double* weight,
    double* mean, double* second,
) noexcept nogil
