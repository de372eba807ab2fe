# Design: bootstraps of one data set differ in which rows they have, and hardly in their means. So
# the rows are centred about the means of all of them, once; the products of a draw need no pass of
# their own for the means, which come out of the same product, from the column of ones. What the
# correction for them costs in digits is bounded: where it is more than one bit, nothing is taken.

from libc.math cimport fabs, sqrt
from libc.stdint cimport uintptr_t
from libc.string cimport memset

from fastreg._core cimport kernels
from fastreg._core.embedded cimport Fit, Storage
from fastreg._core.gram cimport ROW_BLOCK
from fastreg._core.intake cimport take_products
from fastreg._core.kernels cimport Matrix, simd, total

cdef extern from "native/resample.h" nogil:
    ctypedef struct Kernels "fastreg_resample_kernels":
        Py_ssize_t (*list)(const double* weight, Py_ssize_t n, int* rows,
                           double* kept) noexcept nogil
        void (*take)(const Table* Z, const int* rows, const double* factor, Py_ssize_t m,
                     double* block) noexcept nogil
        void (*predict)(const Table* Z, const int* rows, const double* weight, Py_ssize_t m,
                        const double* coef, double* out) noexcept nogil
        void (*correlate)(const Table* Z, const int* rows, const double* v, Py_ssize_t m,
                          double* out) noexcept nogil

cdef double LOST = 2.0      # of a square about the shift, to that about the mean
cdef double LARGEST = 1e30  # sum of weights; and one over it the smallest


cdef Py_ssize_t n_panels_of(Py_ssize_t p) noexcept nogil:
    return (p + 2 + simd.wide.panel - 1) // simd.wide.panel


cdef Py_ssize_t table_size(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    return n * n_panels_of(p) * simd.wide.panel


cdef inline const double* place(
    const Table* table, const double* memory, Py_ssize_t j) noexcept nogil:
    return memory + j // table.panel * table.panel * table.n + j % table.panel


cdef void fill_column(
    Table* table, double* memory, Py_ssize_t j, const double* x, Py_ssize_t stride, bint centred,
    double* shift, double* reach) noexcept nogil:
    cdef double* out = <double*>place(table, memory, j)
    cdef double mean = 0.0, first = x[0]
    cdef Py_ssize_t i
    shift[0] = reach[0] = 0.0
    if centred:  # by the distances from the first row: exact where nothing varies
        for i in range(table.n):
            mean += (x[i * stride] - first) / table.n
        shift[0] = first + mean
    for i in range(table.n):
        out[i * table.panel] = x[i * stride] - shift[0]
        reach[0] = max(reach[0], fabs(out[i * table.panel]))


cdef void fill_sample(
    Sample* sample, const Matrix* X, const double* y, bint centred, double* memory,
    double* vectors) noexcept nogil:
    cdef Table* table = &sample.table
    cdef Py_ssize_t i, j, p = X.n_columns
    cdef double* ones
    table.panels, table.n = memory, X.n_rows
    table.panel, table.n_panels = simd.wide.panel, n_panels_of(p)
    sample.X, sample.y, sample.centred = X[0], y, centred
    sample.shift, sample.reach = vectors, vectors + p + 1
    memset(memory, 0, table_size(X.n_rows, p) * sizeof(double))
    for j in range(p):
        fill_column(table, memory, j, <const double*>X.data + j * X.column_stride, X.row_stride,
                    centred, vectors + j, vectors + p + 1 + j)
    if y != NULL:
        fill_column(table, memory, p, y, 1, centred, vectors + p, vectors + 2 * p + 1)
    ones = <double*>place(table, memory, p + 1)
    for i in range(table.n):
        ones[i * table.panel] = 1.0


cdef Py_ssize_t room_of_draw(Py_ssize_t n, Py_ssize_t p) noexcept nogil:
    cdef Py_ssize_t columns = n_panels_of(p) * simd.wide.panel
    return columns * min(n, ROW_BLOCK) + (p + 2) * (p + 2) + 2 * columns + 2 * n + (n + 1) // 2 + 8


cdef void lay_out_draw(Draw* draw, Py_ssize_t n, Py_ssize_t p, double* memory) noexcept nogil:
    cdef Py_ssize_t columns = n_panels_of(p) * simd.wide.panel
    draw.block = <double*>((<uintptr_t>memory + 63) // 64 * 64)
    draw.coef = draw.block + columns * min(n, ROW_BLOCK)
    draw.image = draw.coef + columns
    draw.products = draw.image + columns
    draw.weight = draw.products + (p + 2) * (p + 2)
    draw.root = draw.weight + n
    draw.residual = draw.root  # of which nothing is left to do then
    draw.rows = <int*>(draw.root + n)


cdef void list_rows(Draw* draw, Py_ssize_t n, const double* weight) noexcept nogil:
    """The rows that have weight."""
    cdef const Kernels* resample_simd = <const Kernels*>kernels.resample_simd
    cdef Py_ssize_t i
    draw.m = resample_simd.list(weight, n, draw.rows, draw.weight)
    for i in range(draw.m):
        draw.root[i] = sqrt(draw.weight[i])


cdef double mean_of(const Draw* draw, const double* y, double weight) noexcept nogil:
    """The weighted mean, by the distances from the first one; the weights have this sum."""
    cdef double first = y[draw.rows[0]], mean = 0.0
    cdef Py_ssize_t i
    for i in range(draw.m):
        mean += draw.weight[i] * (y[draw.rows[i]] - first)
    return first + mean / weight


cdef void multiply(
    const Sample* sample, const double* y, double shift, Draw* draw) noexcept nogil:
    """The lower triangle of the weighted products of the columns, with y less `shift` if given."""
    cdef const Kernels* resample_simd = <const Kernels*>kernels.resample_simd
    cdef Py_ssize_t first = 0, rows, k, p = sample.X.n_columns, width = p + 2
    cdef Py_ssize_t panel = sample.table.panel
    cdef double* own
    memset(draw.products, 0, width * width * sizeof(double))
    while first < draw.m:
        rows = min(ROW_BLOCK, draw.m - first)
        resample_simd.take(&sample.table, draw.rows + first, draw.root + first, rows, draw.block)
        own = draw.block + p // panel * panel * rows + p % panel
        for k in range(rows if y != NULL else 0):
            own[k * panel] = draw.root[first + k] * (y[draw.rows[first + k]] - shift)
        simd.wide.tiles(
            draw.block, rows, width, 0, draw.products, width, NULL, NULL, 0)
        first += rows


cdef bint is_constant(const Sample* sample, const Draw* draw, Py_ssize_t j) noexcept nogil:
    """Has a column one value only in the rows that were drawn?"""
    cdef const Table* table = &sample.table
    cdef const double* z = place(table, table.panels, j)
    cdef Py_ssize_t i
    for i in range(1, draw.m):
        if z[draw.rows[i] * table.panel] != z[draw.rows[0] * table.panel]:
            return False
    return sample.centred


cdef int take_draw(
    Fit* fit, const Sample* sample, const double* y, const double* weight,
    Draw* draw) noexcept nogil:
    cdef Py_ssize_t j, k, p = fit.p, width = p + 2, stride = fit.quadratic.stride
    cdef double* gram = fit.quadratic.gram
    cdef const double* row
    cdef const double* sums = draw.products + (p + 1) * width
    cdef double share, off, y_shift = 0.0
    cdef bint is_own = sample.y == NULL
    list_rows(draw, sample.table.n, weight)
    fit.total = total(draw.weight, draw.m)
    if not 1.0 / LARGEST < fit.total < LARGEST:  # else they are taken as they are
        return 0
    if not is_own:
        y_shift = sample.shift[p]
    elif sample.centred:
        y_shift = mean_of(draw, y, fit.total)
    multiply(sample, y if is_own else NULL, y_shift, draw)
    share = 1.0 / fit.total if sample.centred else 0.0
    for j in range(p + 1):
        row = draw.products + j * width
        off = sums[j] * share
        for k in range(j + 1):
            gram[j * stride + k] = row[k] - off * sums[k]
        if not row[j] <= LOST * gram[j * stride + j]:
            if is_own and j == p or not is_constant(sample, draw, j):
                return 0
            memset(gram + j * stride, 0, (j + 1) * sizeof(double))
        fit.mean[j] = off + (sample.shift[j] if j < p else y_shift)
    for j in range(p + 1):
        for k in range(j + 1, p + 1 if gram[j * stride + j] == 0.0 else 0):
            gram[k * stride + j] = 0.0
    fit.n, fit.centred, fit.weight, fit.weight_unit = sample.table.n, sample.centred, weight, 1.0
    fit.storage, fit.first, fit.X, fit.y = Storage.DENSE, 0, sample.X, y
    for j in range(p):
        fit.coef[j] = gram[p * stride + j]
    return take_products(fit, fit.coef, gram[p * stride + p])


cdef bint is_zero_outside(
    const Sample* sample, const Screen* screen, const Fit* fit, Draw* draw, const double* coef,
    double l1, double radius) noexcept nogil:
    cdef const Kernels* resample_simd = <const Kernels*>kernels.resample_simd
    cdef Py_ssize_t j, k, p = sample.X.n_columns
    cdef double share = 1.0 / fit.total, constant = fit.mean[fit.p] - sample.shift[p]
    memset(draw.coef, 0, screen.few.table.n_panels * screen.few.table.panel * sizeof(double))
    for k in range(fit.p):
        draw.coef[k] = -coef[k]
        constant -= coef[k] * (fit.mean[k] - screen.few.shift[k])
    draw.coef[fit.p] = 1.0
    draw.coef[fit.p + 1] = -constant if sample.centred else 0.0
    resample_simd.predict(
        &screen.few.table, draw.rows, draw.weight, draw.m, draw.coef, draw.residual)
    resample_simd.correlate(&sample.table, draw.rows, draw.residual, draw.m, draw.image)
    for j in range(p):
        if not fabs(draw.image[j]) * share + sample.reach[j] * radius <= l1 * screen.limit[j]:
            return False
    return True
