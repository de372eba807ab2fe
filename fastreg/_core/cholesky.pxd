# The Cholesky factorisation of a dense matrix on the package's own kernels: one thread, no BLAS
# (whose threads would change last bits, and spin beside ours). Used by `factor`.

cdef double ROUNDING  # of an entry of a Gram matrix, in units of the norms of its two columns
cdef double EXACT     # share of a pivot that may be rounding without further notice

# could rounding have made this pivot what it is? Rounding puts an error of at most
#     ROUNDING (sum_k |v_k| norm_k)^2
# on the pivot  v'A v  of a column, v = e - (the weights that express it by the others). Where
# columns differ in size, or other pivots are small shares of their diagonals (`weakest` is the
# smallest), this can be any share of a diagonal; only suspects are worth the weights
cdef inline bint is_suspect(
        double pivot, double diagonal, double largest, double weakest) noexcept nogil:
    return pivot < 1e-6 * diagonal or pivot < 1e-9 * largest or (
        pivot * weakest < 1e-12 * diagonal)

# numbers that `cholesky` needs beside a matrix of m rows
cdef Py_ssize_t scratch_size(Py_ssize_t m) noexcept nogil

# `matrix` (rows of m, lower triangle) holds  -A  from the last row and column to the first; it
# becomes R with R'R = A in that order, which is the transposed factor of A read backwards. False
# where a pivot is not above `clear` times its diagonal, or not far above its rounding
cdef bint cholesky(double* matrix, Py_ssize_t m, double clear, double* scratch) noexcept nogil
