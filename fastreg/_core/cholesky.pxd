# The Cholesky factorisation of a dense matrix on the package's own kernels: one thread, no BLAS
# (whose threads would change last bits, and spin beside ours). Used by `factor`.

# numbers that `cholesky` needs beside a matrix of m rows
cdef Py_ssize_t scratch_size(Py_ssize_t m) noexcept nogil

# `matrix` (rows of m, lower triangle) holds  -A  from the last row and column to the first; it
# becomes R with R'R = A in that order, which is the transposed factor of A read backwards. False
# at the first pivot that is not above `clear` times its diagonal: then the matrix is spoilt
cdef bint cholesky(double* matrix, Py_ssize_t m, double clear, double* scratch) noexcept nogil
