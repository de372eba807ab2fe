# The maintained Cholesky factor L L' of a growing and shrinking symmetric matrix: append or delete
# one row in O(size^2). Used by `quadratic` for its active set; the memory is the caller's.

from cython cimport final


cdef struct FactorState:
    Py_ssize_t size
    double* rows          # lower triangle, packed row by row
    double* inverse       # of the diagonal
    double* row           # the row that is being appended, or a rotation's sines
    double* cosine
    int* member           # which coordinate each row stands for
    double noise          # below what the pivot that was just tried may be all rounding
    # share of the pivot just appended, or of any that was just rebuilt, that may be rounding
    double doubt
    double largest        # diagonal of the matrix since the last `clear`
    double weakest        # smallest pivot since then, as a share of its diagonal
    Py_ssize_t n_changes  # how often members came or went
    double* room          # where `rebuild` works; NULL: in memory that it asks Python for


@final
cdef class Factor:
    cdef FactorState state
    cdef double[::1] _memory


# numbers that a factor of up to so many members takes, and those that `rebuild` needs beside it
cdef Py_ssize_t factor_size(Py_ssize_t capacity) noexcept nogil
cdef Py_ssize_t room_of_rebuild(Py_ssize_t m) noexcept nogil
# an empty factor in such memory
cdef void attach(FactorState* L, Py_ssize_t capacity, double* memory, double* room) noexcept nogil
# go with all members to other memory
cdef void move_to(FactorState* L, Py_ssize_t capacity, double* memory) noexcept nogil
cdef void clear(FactorState* L) noexcept nogil
# the factor of m members at once, from the symmetric matrix of all coordinates (rows of `stride`)
# and what is added to its diagonal; False, and nothing done, where they are not clearly independent
cdef bint rebuild(
    FactorState* L, const int* members, Py_ssize_t m, const double* matrix, Py_ssize_t stride,
    const double* ridge) noexcept nogil
# append a row; `column` is the new column of the matrix against the members in order. False: the
# coordinate depends on the members; then `column` holds the weights that express it
cdef bint append(
    FactorState* L, int coordinate, double* column, double diagonal) noexcept nogil
# pivot of the row that `append` has just tried
cdef double pivot_of(FactorState* L, double diagonal) noexcept nogil
# append the row that `append` has just refused, its pivot raised to the smallest accepted one;
# returns by how much
cdef double force(FactorState* L, int coordinate, double diagonal) noexcept nogil
cdef void delete(FactorState* L, Py_ssize_t k) noexcept nogil
cdef void solve(FactorState* L, double* x) noexcept nogil
# x becomes L^-1 x: its squared length is x'(LL')^-1 x
cdef void solve_half(FactorState* L, double* x) noexcept nogil
# and then L'^-1 x
cdef void solve_other_half(FactorState* L, double* x) noexcept nogil
