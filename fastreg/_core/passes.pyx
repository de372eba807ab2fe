# Design: a pass is cut into parts by a rule that knows the shape alone, so threads change no bit.
# Tall matrices stored by rows are cut into slices of rows, whose partial sums are added in order;
# all others into ranges of columns.

import numpy as np

from fastreg._core cimport kernels
from fastreg._core.design cimport CHUNK, WORTH_A_THREAD, check_interrupt
from fastreg._core.kernels cimport Matrix, rows_from, simd

cdef enum:
    PART = 1 << 20       # elements of a part of a pass: some 0.3 ms
    BLOCK_ROWS = 256     # rows that are read twice, the second time from the cache
    GROUP = 4            # listed columns that are read together
    SLICE = 4096         # rows that are worth a partial sum
    MAX_SLICES = 16


cdef struct Pass:
    Matrix X
    Py_ssize_t n_slices
    Py_ssize_t n_ranges      # of columns
    Py_ssize_t rows          # of a slice
    Py_ssize_t width         # of a range
    Py_ssize_t base          # part that task 0 stands for
    const int* columns
    Py_ssize_t m
    const double* weight
    const double* V
    Py_ssize_t head
    double* shift
    double* first            # results, by slices
    double* second
    double* cross
    Py_ssize_t stride        # between two rows of cross
    Py_ssize_t slice_stride


cdef void lay_out(Pass* job, Matrix X) noexcept nogil:
    cdef Py_ssize_t least
    job.X = X
    job.base = 0
    job.n_slices = 1
    job.slice_stride = 0
    job.rows = X.n_rows
    if X.row_stride == 1:
        job.width = max(PART // X.n_rows, 4)
    else:
        least = max(PART // X.n_columns, SLICE // 4)
        job.n_slices = max(1, X.n_rows // least)
        job.rows = (X.n_rows + job.n_slices - 1) // job.n_slices
        job.rows = (job.rows + 7) // 8 * 8
        job.n_slices = (X.n_rows + job.rows - 1) // job.rows
        job.width = X.n_columns
        if job.n_slices == 1:
            job.width = max(PART // X.n_rows // 512, 1) * 512
    job.n_ranges = (X.n_columns + job.width - 1) // job.width


cdef int run_pass(kernels.Task task, Pass* job, int n_threads) except -1 nogil:
    cdef Py_ssize_t n_parts = job.n_slices * job.n_ranges, count
    cdef Py_ssize_t size = min(job.rows, job.X.n_rows) * min(job.width, job.X.n_columns)
    if job.X.n_rows * job.X.n_columns < WORTH_A_THREAD:
        n_threads = 1
    count = max(1, <Py_ssize_t>n_threads * CHUNK // size)
    while job.base < n_parts:
        kernels.run(task, job, min(count, n_parts - job.base), n_threads)
        job.base += count
        if count < n_parts:
            check_interrupt()
    return 0


cdef Matrix part_of(const Pass* job, Py_ssize_t k, Py_ssize_t* i, Py_ssize_t* j) noexcept nogil:
    """Part k of a pass, and the place where it begins."""
    cdef Matrix X = job.X
    cdef Py_ssize_t size = sizeof(float) if X.narrow else sizeof(double)
    i[0] = k // job.n_ranges * job.rows
    j[0] = k % job.n_ranges * job.width
    X.data = <const char*>X.data + (i[0] * X.row_stride + j[0] * X.column_stride) * size
    X.n_rows = min(job.rows, X.n_rows - i[0])
    X.n_columns = min(job.width, X.n_columns - j[0])
    return X


cdef void dots_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i, j
    cdef Matrix X = part_of(job, job.base + k, &i, &j)
    cdef Py_ssize_t offset = i // job.rows * job.slice_stride + j
    if job.V == NULL:
        simd.column_dots(&X, NULL, X.n_columns, job.shift + j, job.weight + i, job.first + offset)
    else:
        simd.column_dots_two(&X, job.shift + j, job.weight + i, job.V + i, job.first + offset,
                             job.second + offset)


cdef void listed_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t j = k * job.width
    simd.column_dots(&job.X, job.columns + j, min(job.width, job.m - j), job.shift, job.weight,
                     job.first + j)


cdef void sums_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i, j
    cdef Matrix X = part_of(job, job.base + k, &i, &j)
    cdef Py_ssize_t offset = i // job.rows * job.slice_stride + j
    simd.column_sums(&X, job.weight + i, job.V + i, job.m, job.X.n_rows, job.head,
                     job.shift + j, job.first + offset, job.second + offset,
                     job.cross + offset, job.stride)


cdef void axpys_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Pass* job = <const Pass*>context
    cdef Py_ssize_t i = k * job.rows
    cdef Matrix X = rows_from(job.X, i)
    X.n_rows = min(job.rows, X.n_rows)
    simd.add_columns(&X, job.columns, job.m, job.shift, job.weight, job.first + i)


cdef void add_slices(
    const Pass* job, const double* part, double* out, Py_ssize_t m) noexcept nogil:
    """Add up m numbers of each slice, the first of which are given."""
    cdef Py_ssize_t _, j
    for j in range(m):
        out[j] = part[j]
    for _ in range(1, job.n_slices):
        part += job.slice_stride
        for j in range(m):
            out[j] += part[j]


cdef int dots(Matrix X, const double* shift, const double* v, const double* u, double* out,
              double* other, int n_threads) except -1 nogil:
    cdef Py_ssize_t p = X.n_columns
    cdef double[:, ::1] partial
    cdef Pass job
    lay_out(&job, X)
    job.shift = <double*>shift
    job.weight = v
    job.V = u
    job.first = out
    job.second = other
    if job.n_slices > 1:
        with gil:
            partial = np.empty((job.n_slices, p if u == NULL else 2 * p))
        job.first = &partial[0, 0]
        job.second = job.first + p
        job.slice_stride = partial.shape[1]
    run_pass(dots_part, &job, n_threads)
    if job.n_slices > 1:
        add_slices(&job, job.first, out, p)
        if u != NULL:
            add_slices(&job, job.second, other, p)
    return 0


cdef void dots_of(Matrix X, const int* columns, Py_ssize_t m, const double* shift,
                  const double* v, double* out, int n_threads) noexcept nogil:
    cdef Pass job
    job.X = X
    job.columns = columns
    job.m = m
    job.shift = <double*>shift
    job.weight = v
    job.first = out
    job.width = max(PART // X.n_rows // GROUP, 1) * GROUP
    if m * X.n_rows < WORTH_A_THREAD:
        n_threads = 1
    kernels.run(listed_part, &job, (m + job.width - 1) // job.width, n_threads)


cdef int sums(Matrix X, const double[::1] weight, const double[:, ::1] V, Py_ssize_t head,
              double[::1] shift, double[::1] first, double[::1] second, double[:, ::1] cross,
              int n_threads) except -1:
    cdef Py_ssize_t p = X.n_columns, k, j
    cdef double[::1] total
    cdef double[:, ::1] partial
    cdef Pass job
    lay_out(&job, X)
    job.weight = &weight[0]
    job.m = V.shape[0]
    job.V = &V[0, 0] if job.m else NULL
    job.head = head
    job.shift = &shift[0]
    job.stride = p
    job.first = &first[0]
    job.second = &second[0]
    job.cross = &cross[0, 0] if job.m else NULL
    if job.n_slices > 1:
        job.slice_stride = (2 + job.m) * p
        partial = np.empty((job.n_slices, job.slice_stride))
        total = np.empty(job.slice_stride)
        job.first = &partial[0, 0]
        job.second = job.first + p
        job.cross = job.second + p
    with nogil:
        run_pass(sums_part, &job, n_threads)
        if job.n_slices > 1:
            add_slices(&job, job.first, &total[0], job.slice_stride)
            for j in range(p):
                first[j] = total[j]
                second[j] = total[p + j]
                for k in range(job.m):
                    cross[k, j] = total[(2 + k) * p + j]
    return 0


cdef int add(Matrix X, const int* columns, Py_ssize_t m, const double* shift, const double* coef,
             double* out, int n_threads) except -1 nogil:
    cdef Pass job
    job.X = X
    job.base = 0
    job.columns = columns
    job.m = m
    job.weight = coef
    job.shift = <double*>shift
    job.first = out
    job.rows = max(PART // (m + 1), SLICE)
    job.n_slices = (X.n_rows + job.rows - 1) // job.rows
    kernels.run(axpys_part, &job, job.n_slices, n_threads if m * X.n_rows > WORTH_A_THREAD else 1)
    return 0


# Both at once, block by block of rows.

cdef struct Both:
    Matrix X
    Py_ssize_t rows          # of a slice
    Py_ssize_t n_slices
    const int* columns
    Py_ssize_t m
    const double* coef
    const double* shift
    const double* weight
    double* r
    double* out              # n_slices x p
    double* scratch          # n_slices x (p + BLOCK_ROWS)


cdef void both_part(void* context, Py_ssize_t k, int who) noexcept nogil:
    """Residuals of a slice of rows and its share of the correlations, block by block."""
    cdef const Both* job = <const Both*>context
    cdef Matrix X = job.X
    cdef Py_ssize_t p = X.n_columns, first = k * job.rows, last = min(first + job.rows, X.n_rows)
    cdef Py_ssize_t i, j
    cdef double* out = job.out + k * p
    cdef double* part = job.scratch + k * (p + BLOCK_ROWS)
    cdef double* weighted = part + p
    while first < last:
        X = rows_from(job.X, first)
        X.n_rows = min(last - first, <Py_ssize_t>BLOCK_ROWS)
        if job.m:
            simd.add_columns(&X, job.columns, job.m, job.shift, job.coef, job.r + first)
        for i in range(X.n_rows):
            weighted[i] = job.weight[first + i] * job.r[first + i]
        simd.column_dots(&X, NULL, p, job.shift, weighted, part)
        for j in range(p):
            out[j] += part[j]
        first += X.n_rows


cdef int add_and_dot(
    Matrix X, const int* columns, Py_ssize_t m, const double* shift, const double* coef,
    const double* weight, double* r, double* out, int n_threads) except -1 nogil:
    cdef Py_ssize_t j, k, p = X.n_columns, n = X.n_rows
    cdef Both job
    cdef double[:, ::1] partial
    cdef double[::1] scratch
    job.X = X
    job.rows = max(n // MAX_SLICES + 1, SLICE)
    job.n_slices = (n + job.rows - 1) // job.rows
    with gil:
        partial = np.zeros((job.n_slices, p))
        scratch = np.empty(job.n_slices * (p + BLOCK_ROWS))
    job.columns = columns
    job.m = m
    job.coef = coef
    job.shift = shift
    job.weight = weight
    job.r = r
    job.out = &partial[0, 0]
    job.scratch = &scratch[0]
    kernels.run(both_part, &job, job.n_slices, n_threads if n * p > WORTH_A_THREAD else 1)
    check_interrupt()
    for j in range(p):
        out[j] = 0.0
    for k in range(job.n_slices):
        for j in range(p):
            out[j] += partial[k, j]
    return 0
