# Design: rows of L are packed one behind the other, so that both triangular solves and the append
# read contiguous memory, and growing never moves a number. Deleting a row shifts the later ones up
# and rotates the superdiagonal away.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy, memmove

from fastreg._core.cholesky cimport EXACT, ROUNDING, cholesky, is_suspect, scratch_size
from fastreg._core.kernels cimport axpy, dot, simd

cdef enum:
    SQUARE = 16  # of a matrix that is transposed
    ROWS = 4     # that are rotated at once

# A pivot below this share of its diagonal is rounding noise: the column depends on the others.
cdef double DEPENDENT = 1e-12
cdef double CLEAR = 1e-10  # share that leaves no doubt


cdef Py_ssize_t factor_size(Py_ssize_t capacity) noexcept nogil:
    return capacity * (capacity + 1) // 2 + 3 * capacity + (capacity + 1) // 2


cdef Py_ssize_t room_of_rebuild(Py_ssize_t m) noexcept nogil:
    return m * m + scratch_size(m)


cdef void attach(FactorState* L, Py_ssize_t capacity, double* memory, double* room) noexcept nogil:
    L.size = L.n_changes = 0
    L.noise = L.doubt = L.largest = 0.0
    L.weakest = 1.0
    L.rows = memory
    L.inverse = L.rows + capacity * (capacity + 1) // 2
    L.row = L.inverse + capacity
    L.cosine = L.row + capacity
    L.member = <int*>(L.cosine + capacity)
    L.room = room


cdef void move_to(FactorState* L, Py_ssize_t capacity, double* memory) noexcept nogil:
    cdef FactorState old = L[0]
    attach(L, capacity, memory, old.room)
    L.size, L.n_changes = old.size, old.n_changes
    L.noise, L.doubt, L.largest, L.weakest = old.noise, old.doubt, old.largest, old.weakest
    if L.size:
        memcpy(L.rows, old.rows, L.size * (L.size + 1) // 2 * sizeof(double))
        memcpy(L.inverse, old.inverse, L.size * sizeof(double))
        memcpy(L.member, old.member, L.size * sizeof(int))


cdef void clear(FactorState* L) noexcept nogil:
    L.size = 0
    L.largest = 0.0
    L.weakest = 1.0
    L.n_changes += 1


cdef bint rebuild(
    FactorState* L, const int* members, Py_ssize_t m, const double* matrix, Py_ssize_t stride,
    const double* ridge) noexcept nogil:
    if L.room != NULL:
        return rebuild_in(L, members, m, matrix, stride, ridge, L.room)
    with gil:
        return rebuild_anywhere(L, members, m, matrix, stride, ridge)


cdef bint rebuild_anywhere(
    FactorState* L, const int* members, Py_ssize_t m, const double* matrix, Py_ssize_t stride,
    const double* ridge) noexcept:
    cdef double[::1] memory
    cdef bint done
    try:
        memory = np.empty(room_of_rebuild(m))
    except MemoryError:
        return False  # row by row needs no room
    with nogil:
        done = rebuild_in(L, members, m, matrix, stride, ridge, &memory[0])
    return done


cdef bint rebuild_in(
    FactorState* L, const int* members, Py_ssize_t m, const double* matrix, Py_ssize_t stride,
    const double* ridge, double* work) noexcept nogil:
    cdef Py_ssize_t a, b, i
    cdef double pivot, diagonal, least = INFINITY
    for a in range(m):
        i = members[m - 1 - a]
        for b in range(a + 1):
            work[a * m + b] = -matrix[i * stride + members[m - 1 - b]]
        work[a * m + a] -= ridge[i]
    if not cholesky(work, m, CLEAR, work + m * m):
        return False
    take(L, members, m, work)
    L.weakest = 1.0
    L.doubt = 0.0
    for a in range(m):
        i = members[a]
        diagonal = matrix[i * stride + i] + ridge[i]
        L.inverse[a] = 1.0 / L.rows[a * (a + 3) // 2]
        pivot = L.rows[a * (a + 3) // 2] ** 2
        least = min(least, pivot)
        L.largest = max(L.largest, diagonal)
        L.weakest = min(L.weakest, pivot / diagonal)
    if is_suspect(least, least / L.weakest, L.largest, L.weakest):
        L.doubt = EXACT  # at most
    return True


cdef void take(
    FactorState* L, const int* members, Py_ssize_t m, const double* work) noexcept nogil:
    """Copy the factor from where it stands transposed, and backwards."""
    cdef Py_ssize_t a, b, a0 = 0, b0
    cdef double* row
    while a0 < m:
        b0 = 0
        while b0 < min(a0 + SQUARE, m):
            for a in range(a0, min(a0 + SQUARE, m)):
                row = L.rows + a * (a + 1) // 2
                for b in range(b0, min(b0 + SQUARE, a + 1)):
                    row[b] = work[(m - 1 - b) * m + m - 1 - a]
            b0 += SQUARE
        a0 += SQUARE
    for a in range(m):
        L.member[a] = members[a]
    L.size = m
    L.n_changes += 1


cdef bint append(FactorState* L, int coordinate, double* column, double diagonal) noexcept nogil:
    cdef Py_ssize_t a = L.size, i
    cdef double* row = L.row
    cdef double pivot
    for i in range(a):
        row[i] = column[i]
    solve_half(L, row)
    pivot = pivot_of(L, diagonal)
    L.noise = L.doubt = 0.0
    if pivot > DEPENDENT * diagonal and not is_suspect(
            pivot, diagonal, L.largest, L.weakest):
        push(L, coordinate, pivot, diagonal)
        return True
    for i in range(a):
        column[i] = row[i]
    solve_other_half(L, column)
    L.noise = noise_of(L, column, diagonal)
    if pivot > max(DEPENDENT * diagonal, L.noise):
        L.doubt = L.noise / pivot
        push(L, coordinate, pivot, diagonal)
        return True
    return False


cdef double noise_of(FactorState* L, const double* weight, double diagonal) noexcept nogil:
    """What rounding of the matrix can do to the pivot of a column with these weights."""
    cdef Py_ssize_t i
    cdef double size = sqrt(diagonal)
    cdef double* row = L.rows
    for i in range(L.size):
        size += fabs(weight[i]) * sqrt(dot(row, row, i + 1))
        row += i + 1
    return ROUNDING * size * size


cdef double pivot_of(FactorState* L, double diagonal) noexcept nogil:
    return diagonal - dot(L.row, L.row, L.size)


cdef double force(FactorState* L, int coordinate, double diagonal) noexcept nogil:
    cdef double least = max(DEPENDENT * diagonal, L.noise), excess
    excess = least - pivot_of(L, diagonal)
    push(L, coordinate, least, diagonal)
    return excess


cdef void push(FactorState* L, int coordinate, double pivot, double diagonal) noexcept nogil:
    cdef Py_ssize_t i, a = L.size
    cdef double* target = L.rows + a * (a + 1) // 2
    for i in range(a):
        target[i] = L.row[i]
    target[a] = sqrt(pivot)
    L.inverse[a] = 1.0 / target[a]
    L.member[a] = coordinate
    L.size = a + 1
    L.largest = max(L.largest, diagonal)
    L.weakest = min(L.weakest, pivot / diagonal)
    L.n_changes += 1


cdef void delete(FactorState* L, Py_ssize_t k) noexcept nogil:
    cdef double* x[ROWS]
    cdef double end[ROWS]
    cdef Py_ssize_t i = k, a, b, count
    while i < L.size - 1:
        count = min(<Py_ssize_t>ROWS, L.size - 1 - i)
        for a in range(count):
            x[a] = L.rows + (i + a + 1) * (i + a + 2) // 2  # row i + 1 becomes row i
            end[a] = x[a][k]
        if count == ROWS:
            rotate_rows(L, x, k, i, end)
        else:
            for a in range(count):
                end[a] = rotate(L, x[a], k, i, end[a])
        for a in range(count):
            end[a] = rotate(L, x[a], i, i + a, end[a])
            annihilate(L, x[a], i + a, end[a])
        for a in range(count):
            b = i + a
            memmove(L.rows + b * (b + 1) // 2, x[a], (b + 1) * sizeof(double))
            L.member[b] = L.member[b + 1]
        i += count
    L.size -= 1
    L.n_changes += 1


cdef inline double rotate(
    const FactorState* L, double* x, Py_ssize_t k, Py_ssize_t i, double right) noexcept nogil:
    """Apply the rotations k to i - 1 to a row, whose entry k is `right`; return entry i."""
    cdef double left
    cdef Py_ssize_t j
    for j in range(k, i):
        left = right
        right = x[j + 1]
        x[j] = L.cosine[j] * left + L.row[j] * right
        right = L.cosine[j] * right - L.row[j] * left
    return right


cdef inline void rotate_rows(
    const FactorState* L, double** x, Py_ssize_t k, Py_ssize_t i, double* end) noexcept nogil:
    """The same for ROWS rows at once: each is a chain in which a step waits for the one before."""
    cdef double right[ROWS]
    cdef double left
    cdef Py_ssize_t j, a
    for a in range(ROWS):
        right[a] = end[a]
    for j in range(k, i):
        for a in range(ROWS):
            left = right[a]
            right[a] = x[a][j + 1]
            x[a][j] = L.cosine[j] * left + L.row[j] * right[a]
            right[a] = L.cosine[j] * right[a] - L.row[j] * left
    for a in range(ROWS):
        end[a] = right[a]


cdef inline void annihilate(
    FactorState* L, double* x, Py_ssize_t i, double right) noexcept nogil:
    """Make the rotation that takes the superdiagonal away from a row, and its diagonal entry."""
    cdef double r = sqrt(right * right + x[i + 1] * x[i + 1])
    L.inverse[i] = 1.0 / r
    L.cosine[i] = right * L.inverse[i]
    L.row[i] = x[i + 1] * L.inverse[i]  # the sine
    x[i] = r


cdef void solve(FactorState* L, double* x) noexcept nogil:
    solve_half(L, x)
    solve_other_half(L, x)

# Both triangular solves take four rows at a time: x is read and written a quarter as often.

cdef void solve_half(FactorState* L, double* x) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef const double* inverse = L.inverse
    cdef double done[4]
    cdef double* row
    cdef double* a
    cdef double* b
    cdef double* c
    while i + 4 <= L.size:
        row = L.rows + i * (i + 1) // 2
        a = row + i + 1
        b = a + i + 2
        c = b + i + 3
        simd.dot4(row, a, b, c, x, i, done)
        x[i] = (x[i] - done[0]) * inverse[i]
        x[i + 1] = (x[i + 1] - done[1] - a[i] * x[i]) * inverse[i + 1]
        x[i + 2] = (x[i + 2] - done[2] - b[i] * x[i] - b[i + 1] * x[i + 1]) * inverse[i + 2]
        x[i + 3] = (x[i + 3] - done[3] - c[i] * x[i] - c[i + 1] * x[i + 1]
                    - c[i + 2] * x[i + 2]) * inverse[i + 3]
        i += 4
    while i < L.size:
        row = L.rows + i * (i + 1) // 2
        x[i] = (x[i] - dot(row, x, i)) * inverse[i]
        i += 1


cdef void solve_other_half(FactorState* L, double* x) noexcept nogil:
    cdef Py_ssize_t i = L.size
    cdef const double* inverse = L.inverse
    cdef double minus[4]
    cdef double* row
    cdef double* a
    cdef double* b
    cdef double* c
    while i >= 4:
        i -= 4
        row = L.rows + i * (i + 1) // 2
        a = row + i + 1
        b = a + i + 2
        c = b + i + 3
        x[i + 3] *= inverse[i + 3]
        x[i + 2] = (x[i + 2] - c[i + 2] * x[i + 3]) * inverse[i + 2]
        x[i + 1] = (x[i + 1] - c[i + 1] * x[i + 3] - b[i + 1] * x[i + 2]) * inverse[i + 1]
        x[i] = (x[i] - c[i] * x[i + 3] - b[i] * x[i + 2] - a[i] * x[i + 1]) * inverse[i]
        minus[0] = -x[i]
        minus[1] = -x[i + 1]
        minus[2] = -x[i + 2]
        minus[3] = -x[i + 3]
        simd.axpy4(minus, row, a, b, c, x, i)
    while i > 0:
        i -= 1
        row = L.rows + i * (i + 1) // 2
        x[i] *= inverse[i]
        axpy(-x[i], row, x, i)


@final
cdef class Factor:
    """A factor in memory of its own; its verbs on arrays, for whoever holds it against a fresh one.
    """

    def __init__(self):
        self._memory = np.empty(1)
        attach(&self.state, 0, &self._memory[0], NULL)

    @property
    def size(self):
        return self.state.size

    def make_room(self, Py_ssize_t capacity):
        """Make room for so many members."""
        cdef double[::1] memory = np.empty(factor_size(capacity))
        move_to(&self.state, capacity, &memory[0])
        self._memory = memory

    def rebuild_from(self, const int[::1] members, const double[:, ::1] matrix,
                     const double[::1] ridge):
        """Factorise the matrix of the given members, with a ridge, at once, or refuse to."""
        return bool(rebuild(&self.state, &members[0], members.shape[0], &matrix[0, 0],
                            matrix.shape[1], &ridge[0]))

    def append_row(self, int coordinate, double[::1] column, double diagonal):
        """Append a row, or refuse to: then `column` becomes the weights that express it."""
        return bool(append(
            &self.state, coordinate, &column[0] if self.state.size else NULL, diagonal))

    def force_row(self, int coordinate, double diagonal):
        """Append the row that was just refused; return by how much its pivot was raised."""
        return force(&self.state, coordinate, diagonal)

    def delete_row(self, Py_ssize_t k):
        """Delete the row of member k."""
        delete(&self.state, k)

    def solved(self, const double[::1] right):
        """Return L^-1 x and (L L')^-1 x."""
        cdef double[::1] half = np.array(right), whole = np.array(right)
        solve_half(&self.state, &half[0])
        solve(&self.state, &whole[0])
        return np.asarray(half), np.asarray(whole)

    def arrays(self):
        """Return copies of the members and of L."""
        cdef Py_ssize_t m = self.state.size
        lower = np.zeros((m, m))
        if m == 0:
            return np.empty(0, dtype=np.int32), lower
        lower[np.tril_indices(m)] = <double[:m * (m + 1) // 2]>self.state.rows
        return np.array(<int[:m]>self.state.member), lower
