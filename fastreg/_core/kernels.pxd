# The innermost loops: pointers in, numbers out, no Python objects, no allocation.
# Everything else in fastreg._core may cimport this file; nothing outside of it should.
#
# Loops exist at several instruction-set levels behind tables of functions, for dense data, sparse
# data and responses in lockstep, chosen at import; the headers in native/ are their contracts. Sums
# keep several partial results in an order that depends on the shape alone, so the same input always
# gives the same bits at one level.

ctypedef fused real:
    float
    double


cdef extern from "native/kernels.h" nogil:
    ctypedef struct Matrix "fastreg_matrix":
        const void* data
        Py_ssize_t row_stride
        Py_ssize_t column_stride
        Py_ssize_t n_rows
        Py_ssize_t n_columns
        int narrow

    ctypedef struct Product "fastreg_product":
        Py_ssize_t panel
        Py_ssize_t size
        void (*pack)(
            const Matrix* X, Py_ssize_t first, Py_ssize_t rows, const int* columns, Py_ssize_t m,
            const double* shift, const double* scale, const double* root_weight, void* block,
            Py_ssize_t at) noexcept nogil
        void (*tiles)(
            const void* block, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t first_new,
            double* out, Py_ssize_t stride, const Matrix* next, const int* columns,
            Py_ssize_t m) noexcept nogil

    ctypedef struct Kernels "fastreg_kernels":
        const char* name
        double (*dot)(const double* a, const double* b, Py_ssize_t n) noexcept nogil
        void (*axpy)(double a, const double* x, double* y, Py_ssize_t n) noexcept nogil
        void (*dot4)(
            const double* x0, const double* x1, const double* x2, const double* x3,
            const double* v, Py_ssize_t n, double* out) noexcept nogil
        void (*axpy4)(
            const double* a, const double* x0, const double* x1, const double* x2,
            const double* x3, double* y, Py_ssize_t n) noexcept nogil
        void (*column_dots)(
            const Matrix* X, const int* columns, Py_ssize_t m, const double* shift,
            const double* v, double* out) noexcept nogil
        void (*column_dots_two)(
            const Matrix* X, const double* shift, const double* v, const double* u, double* out,
            double* other) noexcept nogil
        void (*add_columns)(
            const Matrix* X, const int* columns, Py_ssize_t m, const double* shift,
            const double* coef, double* out) noexcept nogil
        void (*column_sums)(
            const Matrix* X, const double* weight, const double* V, Py_ssize_t m,
            Py_ssize_t V_stride, Py_ssize_t head, double* shift, double* first, double* second,
            double* cross, Py_ssize_t stride,
        ) noexcept nogil
        Product wide
        Product narrow
        void (*bounds)(
            const double* image, Py_ssize_t stride, const double* share, Py_ssize_t m,
            const double* rest, double length, const double* norm, double margin, Py_ssize_t n,
            double* c, double* slack) noexcept nogil
        Py_ssize_t (*list_undecided)(
            const double* c, const double* slack, const double* norm, double radius,
            const double* level, Py_ssize_t first, Py_ssize_t n, int* list) noexcept nogil
        Py_ssize_t (*list_urgent)(
            const double* c, const double* w, const double* level, double factor, Py_ssize_t n,
            int* list) noexcept nogil
        void (*prove_below)(
            const double* c, const double* slack, const double* norm, double kappa, double reach,
            const double* level, Py_ssize_t n, unsigned char* below) noexcept nogil
        double (*size)(const double* norm, const double* w, Py_ssize_t n) noexcept nogil
        void (*soften)(
            float* w, const float* square, Py_ssize_t n, float add, float threshold, float more,
        ) noexcept nogil

    const Kernels* kernels_level "fastreg_kernels_level" (int k)

cdef extern from "native/sparse.h" nogil:
    ctypedef struct Sparse "fastreg_sparse":
        const Py_ssize_t* start
        const int* rows
        const double* wide
        const float* narrow
        Py_ssize_t n_rows

    ctypedef struct SparseKernels "fastreg_sparse_kernels":
        void (*dots)(
            const Sparse* X, const int* columns, Py_ssize_t first, Py_ssize_t m,
            const double* shift, const double* scale, const double* v, double v_sum, double* out,
        ) noexcept nogil
        void (*sums)(
            const Sparse* X, Py_ssize_t first, Py_ssize_t last, const double* v, double* total,
            double* square, double* cross) noexcept nogil

    const SparseKernels* sparse_level "fastreg_sparse_level" (int k)

cdef extern from "native/pool.h" nogil:
    ctypedef void (*Task "fastreg_task")(void* context, Py_ssize_t k, int who) noexcept nogil


# Calls task(context, k, who) for every k < n_tasks on up to n_threads threads; native/pool.h.
cdef void run(Task task, void* context, Py_ssize_t n_tasks, int n_threads) noexcept nogil


cdef inline Matrix matrix_of(
    const void* data, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t n_rows,
    Py_ssize_t n_columns, bint narrow) noexcept nogil:
    """A matrix whose rows or columns are contiguous; strides are in elements."""
    # What a stride is where there is one row or column only, is not defined.
    if n_columns == 1:
        column_stride = n_rows if row_stride == 1 else 1
    elif n_rows == 1:
        row_stride = n_columns if column_stride == 1 else 1
    return Matrix(data, row_stride, column_stride, n_rows, n_columns, narrow)


cdef inline Matrix rows_from(Matrix X, Py_ssize_t i) noexcept nogil:
    """The rows of a matrix from one on."""
    cdef Py_ssize_t size = sizeof(float) if X.narrow else sizeof(double)
    X.data = <const char*>X.data + i * X.row_stride * size
    X.n_rows -= i
    return X


cdef inline bint is_constant(const Matrix* X, Py_ssize_t j) noexcept nogil:
    """Does a column hold one value only? (NaN is none.)"""
    cdef Py_ssize_t i, at = j * X.column_stride
    for i in range(X.n_rows):
        if X.narrow:
            if not (<const float*>X.data)[at + i * X.row_stride] == (<const float*>X.data)[at]:
                return False
        elif not (<const double*>X.data)[at + i * X.row_stride] == (<const double*>X.data)[at]:
            return False
    return True


# the tables in use
cdef const Kernels* simd
cdef const SparseKernels* sparse_simd
cdef const void* lockstep_simd  # what it is knows `lockstep`
cdef const void* resample_simd  # and `resample`


cdef inline double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    cdef double s = 0.0
    cdef Py_ssize_t i
    if n >= 8:
        return simd.dot(a, b, n)
    for i in range(n):  # a call costs as much
        s += a[i] * b[i]
    return s


cdef inline void axpy(double a, const double* x, double* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if n >= 8:
        simd.axpy(a, x, y, n)
        return
    for i in range(n):
        y[i] += a * x[i]


# y += sum_k a[k] M[rows[k], :n], in the order of k; M has rows of `stride`
cdef void add_rows(
    const double* M, Py_ssize_t stride, const int* rows, const double* a, Py_ssize_t m,
    double* y, Py_ssize_t n) noexcept nogil


cdef double total(const double* v, Py_ssize_t n) noexcept nogil


# w[i] becomes the x that minimises s/2 (x - w[i])^2 + threshold |x| + more/2 x^2 with
# s = sqrt(square[i]) + add > 0
cdef void soften(
    real* w, const real* square, Py_ssize_t n, real add, real threshold, real more) noexcept nogil


# Single sparse columns: values at rows.

cdef void sparse_column_axpy(
    const real* values, const int* rows, Py_ssize_t nnz, double shift, double a, double* out,
) noexcept nogil

cdef void sparse_column_moments(
    const real* values, const int* rows, Py_ssize_t nnz, Py_ssize_t n, const double* weight,
    double* mean, double* second,
) noexcept nogil
