# Passes over a dense matrix of either float type and order, on several threads. Designs cimport
# them; columns are shifted while they are read, and nothing here knows of scales.

from fastreg._core.kernels cimport Matrix

# out[j] = sum_i v[i] (x_ij - shift_j); the same of u, if it is given, into other
cdef int dots(Matrix X, const double* shift, const double* v, const double* u, double* out,
              double* other, int n_threads) except -1 nogil

# out[k] = sum_i v[i] (x_ij - shift_j) with j = columns[k]
cdef void dots_of(Matrix X, const int* columns, Py_ssize_t m, const double* shift,
                  const double* v, double* out, int n_threads) noexcept nogil

# With d = x_ij - shift_j: first[j] = sum_i weight[i] d, second[j] = sum_i weight[i] d^2 and
# cross[k, j] = sum_i V[k, i] d. Where head >= 0 and columns are contiguous, shift is written first:
# the mean of some rows from `head` on.
cdef int sums(Matrix X, const double[::1] weight, const double[:, ::1] V, Py_ssize_t head,
              double[::1] shift, double[::1] first, double[::1] second, double[:, ::1] cross,
              int n_threads) except -1

# out[i] += sum_k coef[k] (x_ij - shift_j) with j = columns[k]
cdef int add(Matrix X, const int* columns, Py_ssize_t m, const double* shift, const double* coef,
             double* out, int n_threads) except -1 nogil

# both from one read: r[i] += as above, then out[j] = sum_i weight[i] r[i] (x_ij - shift_j)
cdef int add_and_dot(
    Matrix X, const int* columns, Py_ssize_t m, const double* shift, const double* coef,
    const double* weight, double* r, double* out, int n_threads) except -1 nogil
