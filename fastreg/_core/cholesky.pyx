# Design: right-looking, a band of rows at a time, from the last row to the first. In that order the
# rows of the factor are contiguous, a finished band is packed as it stands, and what it takes from
# the rows above is the lower triangle of a product, which is what the tiles of the Gram product
# add. They can only add, so the matrix is held negated.

from libc.math cimport fabs, sqrt

from fastreg._core.kernels cimport Matrix, axpy, dot, simd

cdef enum:
    BAND = 32  # rows: long enough sums for the tiles, and little to do one row after the other


cdef double ROUNDING = 4 * 2.220446049250313e-16
cdef double EXACT = 1e-2


cdef Py_ssize_t scratch_size(Py_ssize_t m) noexcept nogil:
    return 3 * m + BAND + BAND * (m + simd.wide.panel) + 8


cdef bint cholesky(double* matrix, Py_ssize_t m, double clear, double* scratch) noexcept nogil:
    cdef double* diagonal = scratch
    cdef double* zeros = scratch + m
    cdef double* ones = zeros + m       # as many as rows, or columns, are packed
    cdef double* block = ones + m + BAND
    cdef Py_ssize_t a, last = m, first
    cdef Matrix band
    block += (8 - <Py_ssize_t>(<size_t>block % 64) // 8) % 8  # aligned to 64 bytes
    for a in range(m):
        diagonal[a] = -matrix[a * m + a]
    if m > BAND:
        for a in range(m):
            zeros[a] = 0.0
        for a in range(m + BAND):
            ones[a] = 1.0
    while last > 0:
        first = max(0, last - BAND)
        if not finish(matrix, m, first, last, diagonal, clear):
            return False
        if first > 0:
            band = Matrix(matrix + first * m, m, 1, last - first, m, 0)
            simd.wide.pack(&band, 0, last - first, NULL, first, zeros, ones, ones, block, 0)
            simd.wide.tiles(block, last - first, first, 0, matrix, m, NULL, NULL, 0)
        last = first
    return stands(matrix, m, diagonal, scratch + m)


cdef bint stands(
    const double* matrix, Py_ssize_t m, const double* diagonal, double* weight) noexcept nogil:
    """Are all pivots far above their rounding?"""
    cdef Py_ssize_t a, p
    cdef double largest = 0.0, weakest = 1.0, size
    cdef const double* row
    for a in range(m):
        largest = max(largest, diagonal[a])
        weakest = min(weakest, matrix[a * m + a] * matrix[a * m + a] / diagonal[a])
    for p in range(m):
        row = matrix + p * m
        if not is_suspect(row[p] * row[p], diagonal[p], largest, weakest):
            continue
        size = sqrt(diagonal[p])
        for a in range(p + 1, m):
            row = matrix + a * m
            weight[a] = (row[p] - dot(row + p + 1, weight + p + 1, a - p - 1)) / row[a]
            size += fabs(weight[a]) * sqrt(diagonal[a])
        if not matrix[p * m + p] * matrix[p * m + p] > ROUNDING / EXACT * size * size:
            return False
    return True


cdef bint finish(double* matrix, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
                 const double* diagonal, double clear) noexcept nogil:
    """The rows of a band one after the other, once all behind the band are done."""
    cdef double share[4]
    cdef double* row
    cdef double* done
    cdef double pivot
    cdef Py_ssize_t a, b, k
    for a in range(last - 1, first - 1, -1):
        row = matrix + a * m
        b = last - 1
        while b - 3 > a:
            done = matrix + b * m
            for k in range(4):
                share[k] = done[a - k * m]
            simd.axpy4(share, done, done - m, done - 2 * m, done - 3 * m, row, a + 1)
            b -= 4
        while b > a:
            done = matrix + b * m
            axpy(done[a], done, row, a + 1)
            b -= 1
        pivot = -row[a]
        if not pivot > clear * diagonal[a]:
            return False
        row[a] = sqrt(pivot)
        pivot = -1.0 / row[a]
        for k in range(a):
            row[k] *= pivot
    return True
