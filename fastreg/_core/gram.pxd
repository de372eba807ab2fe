# The dense Gram product and its pieces. Designs cimport the whole of it, the lane for small fits
# the pieces.

from fastreg._core.kernels cimport Matrix, Product

cdef enum:
    ROW_BLOCK = 128  # of these rows a panel of a packed block stays in the first-level cache


# standardised columns of a matrix
cdef struct Columns:
    Matrix X
    const int* columns       # those listed, or NULL: the first m
    Py_ssize_t m
    const double* shift      # by column of X
    const double* scale
    Py_ssize_t at            # place of the first of them in the product


# out[a - first_new, b] = sum_i weight[i] z_ia z_ib for rows a >= first_new and b <= a, where z are
# the columns of `main` and of `extra` (may be NULL), each at its place, and perhaps ones at the end
cdef int gram_product(
    const Product* product, const Columns* main, const Columns* extra, bint ones,
    const double* weight, Py_ssize_t first_new, int n_threads, double* out,
    Py_ssize_t stride) except -1

# of few rows, in one go: the means of the columns of X and then of Y (or zeros), and the lower
# triangle of the weighted products of their distances from them. The weights, of which the first is
# not zero, sum to `total`; `ones` and `room` have as many places as columns of X or Y
cdef void products_at_once(
    const Matrix* X, const Matrix* Y, bint centred, const double* weight,
    const double* root_weight, double total, const double* ones, double* room, double* block,
    double* mean, double* out, Py_ssize_t stride) noexcept nogil

# means of columns, by their distances from the first row; those are left in `distance`
cdef void average(
    const Matrix* X, const double* weight, double total, double* distance, double* mean,
) noexcept nogil

# memory for a packed block of rows in double, aligned to 64 bytes
cdef packed_block(Py_ssize_t rows, Py_ssize_t width)

# the symmetric matrix completed from the lower triangle (row-major) of its new rows
cdef void mirror(
    Py_ssize_t first_new, Py_ssize_t m, double* out, Py_ssize_t stride) noexcept nogil
