# The design matrix as a handful of verbs. A solver cimports `Design` and never learns what the
# matrix is made of. Every verb speaks of the standardised columns
#     z_j = (x_j - shift_j) * scale_j
# where shift is zero without an intercept and scale is a power of two that brings z_j to unit size.
# A design is immutable once `set_units` has been called, and may be shared between threads.

cdef enum:
    WORTH_A_THREAD = 1 << 22  # elements of a pass: a millisecond
    CHUNK = 1 << 25           # elements between two looks at pending signals: some 10 ms
    WORK_A_CHECK = 1 << 30    # multiplications of a Gram product between two of them


# run pending signal handlers; return whether the deadline (monotonic seconds) has passed
cdef int check_interrupt(double deadline=*) except -1 nogil

cdef class Design:
    cdef readonly Py_ssize_t n_samples
    cdef readonly Py_ssize_t n_features
    cdef readonly double n_stored  # entries of X in memory
    cdef double[::1] _shift
    cdef double[::1] _scale
    cdef int _n_threads
    # out[j] = sum_i v[i] z_ij for all features: one pass over X
    cdef int correlate(self, const double* v, double* out) except -1 nogil
    # the same with two vectors; in one read of X if it `takes_two`
    cdef readonly bint takes_two
    cdef int correlate_two(
        self, const double* v, const double* u, double* out, double* other) except -1 nogil
    # out[k] = sum_i v[i] z_{i, columns[k]}, read from X
    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil
    # how much of a pass reading these columns is
    cdef double share_of(self, const int* columns, Py_ssize_t m) noexcept nogil
    # out[i] += sum_k coef[k] z_{i, columns[k]}
    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil
    # both at once, from one read of X where that is possible:
    # r[i] += sum_k coef[k] z_{i, columns[k]}, then out[j] = sum_i weight[i] r[i] z_ij
    cdef int add_and_correlate(
        self, const int* columns, Py_ssize_t m, const double* coef, const double* weight,
        double* r, double* out) except -1 nogil
    # rows and columns first_new.. of the symmetric matrix out[a, b] = sum_i weight[i] z_ia z_ib
    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1

    # The two halves of a step of coordinate descent, on sparse columns or contiguous ones. v is
    # weight * residual, of which `rest` * weight has yet to be added; `equal` is the weight of
    # every row, or zero.
    # sum_i v[i] z_ij
    cdef double meet(self, Py_ssize_t j, const double* v, double rest) noexcept nogil
    # v[i] -= length weight[i] z_ij; returns what that adds to `rest`
    cdef double move(self, Py_ssize_t j, double length, const double* weight, double equal,
                     double* v) noexcept nogil


# The pieces of a survey.

# the responses one a row, centred and multiplied by the weights; writes their means
cdef double[:, ::1] weighted_rows(
    const double[::1] weight, Design responses, double[::1] mean)

# turn centred products into those about zero
cdef add_means(
    const int[::1] columns, const double[::1] mean, const double[::1] y_mean,
    double[:, ::1] cross, double[:, ::1] gram)
