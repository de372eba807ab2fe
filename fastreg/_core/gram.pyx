# Design: weighted products of standardised columns. A few rows at a time are packed into panels
# (shifted, scaled, multiplied by the root of their weight), and the kernels add the products of a
# packed block to the lower triangle, tile by tile. So the memory beside X is one block a thread,
# however tall X is. Rows are cut into slices whose sums are added in order, or the result into
# ranges of its rows, by a rule that threads enter only where they change no sum.

import numpy as np

from libc.math cimport sqrt
from libc.string cimport memset
from fastreg._core cimport kernels
from fastreg._core.design cimport WORK_A_CHECK, check_interrupt
from fastreg._core.kernels cimport Matrix, Product, rows_from, simd

cdef enum:
    SQUARE = 16          # of a matrix that is transposed
    SLICE = 4096         # rows that are worth a partial sum
    MAX_SLICES = 16
    MOST_OF_A_SLICE = 1 << 18      # entries of a partial Gram matrix
    WORTH_A_THREAD_GRAM = 1 << 27  # multiplications


cdef double zero = 0.0, one = 1.0
cdef double[::1] all_ones = np.ones(ROW_BLOCK)
cdef Matrix unit_column = Matrix(&all_ones[0], 1, ROW_BLOCK, ROW_BLOCK, 1, 0)


cdef struct GramJob:
    const Product* product
    Columns main
    Columns extra            # none: m is zero
    Py_ssize_t n_ones        # at the end: one or none
    const double* weight
    Py_ssize_t width
    Py_ssize_t first_new
    Py_ssize_t n_slices      # of rows
    Py_ssize_t n_ranges      # of rows of the result
    Py_ssize_t rows          # of a slice
    Py_ssize_t first         # which of them are to be added, from here on
    Py_ssize_t rows_a_call
    double* out              # one result a slice, from row first_new on
    Py_ssize_t stride
    Py_ssize_t slice_stride
    char* blocks             # one for each thread
    Py_ssize_t block_size    # in bytes


cdef Py_ssize_t border(const GramJob* job, Py_ssize_t k) noexcept nogil:
    """First row of range k: all ranges of a triangle have the same area."""
    cdef double low = <double>job.first_new * job.first_new
    cdef double high = <double>job.width * job.width
    if k == job.n_ranges:
        return job.width
    return max(job.first_new, <Py_ssize_t>sqrt(low + k * (high - low) / job.n_ranges))


cdef void pack(const Product* product, const Columns* part, Py_ssize_t i, Py_ssize_t rows,
               Py_ssize_t end, const double* root_weight, void* block) noexcept nogil:
    """Rows from i on of those columns whose place lies in front of `end`."""
    cdef Matrix X
    if part.m and end > part.at:
        X = rows_from(part.X, i)
        product.pack(&X, 0, rows, part.columns, min(part.m, end - part.at), part.shift,
                     part.scale, root_weight, block, part.at)


cdef void gram_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const GramJob* job = <const GramJob*>context
    cdef const Product* product = job.product
    cdef Py_ssize_t r = k // job.n_ranges
    cdef Py_ssize_t begin = border(job, k % job.n_ranges), end = border(job, k % job.n_ranges + 1)
    cdef char* block = job.blocks + who * job.block_size
    cdef double* out = (
        job.out + r * job.slice_stride + (begin - job.first_new) * job.stride)
    cdef Py_ssize_t i = r * job.rows + job.first, rows
    cdef Py_ssize_t last = min(i + job.rows_a_call, job.main.X.n_rows, (r + 1) * job.rows), b
    cdef double root_weight[ROW_BLOCK]
    cdef double weight = 0.0, root = 0.0
    cdef Py_ssize_t at = job.main.at
    cdef Matrix ahead
    while i < last:
        rows = min(ROW_BLOCK, last - i)
        for b in range(rows):
            if job.weight[i + b] != weight:  # most are equal
                weight = job.weight[i + b]
                root = sqrt(weight)
            root_weight[b] = root
        # From left to right, because a pack may overwrite what lies behind it in its last panel.
        if at:
            pack(product, &job.extra, i, rows, end, root_weight, block)
        pack(product, &job.main, i, rows, end, root_weight, block)
        if not at:
            pack(product, &job.extra, i, rows, end, root_weight, block)
        if job.n_ones and end == job.width:
            product.pack(&unit_column, 0, rows, NULL, 1, &zero, &one, root_weight, block, end - 1)
        i += rows
        ahead = rows_from(job.main.X, i)
        ahead.n_rows = min(ROW_BLOCK, last - i)
        product.tiles(block, rows, end, begin, out, job.stride, &ahead if i < last else NULL,
                      job.main.columns, max(0, min(job.main.m, end - at)))


cdef int gram_product(
    const Product* product, const Columns* main, const Columns* extra, bint ones,
    const double* weight, Py_ssize_t first_new, int n_threads, double* out,
    Py_ssize_t stride) except -1:
    cdef GramJob job
    cdef Py_ssize_t n = main.X.n_rows, new, r, a, b
    cdef double[::1] memory
    cdef double[:, :, ::1] partial
    cdef double work
    job.product = product
    job.main = main[0]
    job.extra.m = job.extra.at = 0
    if extra != NULL:
        job.extra = extra[0]
    job.weight = weight
    job.n_ones = ones
    job.width = max(main.at + main.m, job.extra.at + job.extra.m) + ones
    job.first_new = first_new
    new = job.width - first_new
    work = <double>n * job.width * new
    n_threads = n_threads if work > WORTH_A_THREAD_GRAM else 1
    # Slices of rows, whose sums are added in order, or ranges of rows of the result, which do
    # not change any sum.
    job.n_slices = max(1, min(MAX_SLICES, n // SLICE))
    if job.width * new > MOST_OF_A_SLICE:
        job.n_slices = 1
    job.rows = (n + job.n_slices - 1) // job.n_slices
    job.rows = (job.rows + ROW_BLOCK - 1) // ROW_BLOCK * ROW_BLOCK
    job.n_slices = (n + job.rows - 1) // job.rows
    job.n_ranges = 1
    if job.n_slices == 1:
        job.n_ranges = min(2 * n_threads if n_threads > 1 else 1, new // 64 + 1)
    job.rows_a_call = max(ROW_BLOCK, <Py_ssize_t>(
        <double>n_threads * WORK_A_CHECK / (<double>job.width * new * job.n_slices * ROW_BLOCK))
        * ROW_BLOCK)
    job.stride = stride
    job.slice_stride = 0
    job.out = out
    if job.n_slices > 1:
        partial = np.empty((job.n_slices, new, job.width))
        job.stride = job.width
        job.slice_stride = new * job.width
        job.out = &partial[0, 0, 0]
    job.block_size = packed_size(product, min(ROW_BLOCK, n), job.width)
    memory = aligned(job.block_size * n_threads)
    job.blocks = <char*>&memory[0]
    with nogil:
        for r in range(job.n_slices):
            for a in range(new):
                memset(job.out + r * job.slice_stride + a * job.stride, 0,
                       job.width * sizeof(double))
        job.first = 0
        while job.first < job.rows:
            kernels.run(gram_part, &job, job.n_slices * job.n_ranges, n_threads)
            job.first += job.rows_a_call
            if work > WORK_A_CHECK:
                check_interrupt()
        if job.n_slices > 1:
            for a in range(new):
                for b in range(first_new + a + 1):
                    out[a * stride + b] = partial[0, a, b]
                for r in range(1, job.n_slices):
                    for b in range(first_new + a + 1):
                        out[a * stride + b] += partial[r, a, b]
    return 0


cdef void products_at_once(
    const Matrix* X, const Matrix* Y, bint centred, const double* weight,
    const double* root_weight, double total, const double* ones, double* room, double* block,
    double* mean, double* out, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t p = X.n_columns, width = p + Y.n_columns, panel = simd.wide.panel
    cdef Py_ssize_t first = 0, rows, a, b
    for a in range(width):
        mean[a] = 0.0
        for b in range(a + 1):
            out[a * stride + b] = 0.0
    if centred:
        average(X, weight, total, room, mean)
        average(Y, weight, total, room, mean + p)
    while first < X.n_rows:
        rows = min(ROW_BLOCK, X.n_rows - first)
        if width % panel:  # `tiles` reads what lies behind the last column
            memset(block + width // panel * panel * rows, 0, panel * rows * sizeof(double))
        simd.wide.pack(X, first, rows, NULL, p, mean, ones, root_weight, block, 0)
        simd.wide.pack(Y, first, rows, NULL, Y.n_columns, mean + p, ones, root_weight,
                       block, p)
        simd.wide.tiles(block, rows, width, 0, out, stride, NULL, NULL, 0)
        first += rows


cdef void average(
    const Matrix* X, const double* weight, double total, double* distance, double* mean,
) noexcept nogil:
    """Means of columns, by their distances from the first row."""
    cdef Py_ssize_t j, k
    for j in range(X.n_columns):
        k = j * X.column_stride
        mean[j] = (<const float*>X.data)[k] if X.narrow else (<const double*>X.data)[k]
    simd.column_dots(X, NULL, X.n_columns, mean, weight, distance)
    for j in range(X.n_columns):
        mean[j] += distance[j] / total


cdef Py_ssize_t packed_size(
    const Product* product, Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """Bytes of a packed block: a multiple of what it is aligned to."""
    cdef Py_ssize_t size = (width + product.panel - 1) // product.panel * product.panel * rows
    return (size * product.size + 63) // 64 * 64


cdef packed_block(Py_ssize_t rows, Py_ssize_t width):
    return aligned(packed_size(&simd.wide, rows, width))


cdef aligned(Py_ssize_t size):
    """Memory for packed blocks, aligned to 64 bytes; all numbers, as `tiles` wants it."""
    memory = np.zeros(size // 8 + 8)
    cdef double[::1] view = memory
    cdef Py_ssize_t first = 8 - <Py_ssize_t>(<size_t>&view[0] % 64) // 8
    return memory[first:first + size // 8]


cdef void mirror(
    Py_ssize_t first_new, Py_ssize_t m, double* out, Py_ssize_t stride) noexcept nogil:
    """Complete the symmetric matrix from the lower triangle (row-major) of its new rows."""
    cdef Py_ssize_t a, b, b0, a0 = first_new
    while a0 < m:
        b0 = 0
        while b0 < min(a0 + SQUARE, m):
            for a in range(a0, min(a0 + SQUARE, m)):
                for b in range(b0, min(b0 + SQUARE, a)):
                    out[b * stride + a] = out[a * stride + b]
            b0 += SQUARE
        a0 += SQUARE
