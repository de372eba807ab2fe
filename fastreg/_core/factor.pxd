# The maintained Cholesky factor L L' of a growing and shrinking symmetric matrix: append or delete
# one row in O(size^2). Used by `quadratic` for its active set; holds no Python objects but buffers.

from cython cimport final


@final
cdef class Factor:
    cdef readonly Py_ssize_t size
    cdef double[::1] _rows       # lower triangle, packed row by row
    cdef double[::1] _inverse    # of the diagonal
    cdef double[::1] _row        # the row that is being appended, or a rotation's sines
    cdef double[::1] _cosine
    cdef int[::1] member         # which coordinate each row stands for
    cdef double noise            # below what the pivot that was just tried may be all rounding
    # share of the pivot just appended, or of any that was just rebuilt, that may be rounding
    cdef double doubt
    cdef double _largest         # diagonal of the matrix since the last `clear`
    cdef double weakest         # smallest pivot since then, as a share of its diagonal
    cdef Py_ssize_t n_changes    # how often members came or went

    cdef reserve(self, Py_ssize_t capacity)
    cdef void clear(self) noexcept nogil
    # the factor of m members at once, from the symmetric matrix of all coordinates (rows of
    # `stride`) and what is added to its diagonal; False, and nothing done, where they are not
    # clearly independent
    cdef bint rebuild(
        self, const int* members, Py_ssize_t m, const double* matrix, Py_ssize_t stride,
        const double* ridge) noexcept nogil
    cdef void _take(self, const int* members, Py_ssize_t m, const double* work) noexcept nogil
    # append a row; `column` is the new column of the matrix against the members in order.
    # False: the coordinate depends on the members; then `column` holds the weights that express it
    cdef bint append(self, int coordinate, double* column, double diagonal) noexcept nogil
    # pivot of the row that `append` has just tried
    cdef double pivot(self, double diagonal) noexcept nogil
    # append the row that `append` has just refused, its pivot raised to the smallest accepted one;
    # returns by how much
    cdef double force(self, int coordinate, double diagonal) noexcept nogil
    cdef void delete(self, Py_ssize_t k) noexcept nogil
    cdef void solve(self, double* x) noexcept nogil
    # x becomes L^-1 x: its squared length is x'(LL')^-1 x
    cdef void solve_half(self, double* x) noexcept nogil
    cdef void _solve_other_half(self, double* x) noexcept nogil
    cdef double _noise(self, const double* weight, double diagonal) noexcept nogil
    cdef void _push(self, int coordinate, double pivot, double diagonal) noexcept nogil
