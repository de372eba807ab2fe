# Design: rows of L are packed one behind the other, so that both triangular solves and the append
# read contiguous memory, and growing never moves a number. Deleting a row shifts the later ones up
# and rotates the superdiagonal away.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memmove

from fastreg._core.cholesky cimport EXACT, ROUNDING, cholesky, is_suspect, scratch_size
from fastreg._core.kernels cimport axpy, dot, simd

cdef enum:
    SQUARE = 16  # of a matrix that is transposed

# A pivot below this share of its diagonal is rounding noise: the column depends on the others.
cdef double DEPENDENT = 1e-12
cdef double CLEAR = 1e-10  # share that leaves no doubt


@final
cdef class Factor:
    """Cholesky factor of a symmetric positive definite matrix whose members come and go."""

    def __init__(self):
        self.size = 0
        self.noise = self.doubt = self._largest = 0.0
        self.weakest = 1.0
        self.reserve(1)

    cdef reserve(self, Py_ssize_t capacity):
        cdef Py_ssize_t used = self.size * (self.size + 1) // 2
        if self.member is not None and self.member.shape[0] >= capacity:
            return
        rows = np.empty(capacity * (capacity + 1) // 2)
        member, inverse = np.empty(capacity, dtype=np.int32), np.empty(capacity)
        if self.size:
            rows[:used] = self._rows[:used]
            member[:self.size] = self.member[:self.size]
            inverse[:self.size] = self._inverse[:self.size]
        self._rows = rows
        self._inverse = inverse
        self.member = member
        self._row = np.empty(capacity)
        self._cosine = np.empty(capacity)

    cdef void clear(self) noexcept nogil:
        self.size = 0
        self._largest = 0.0
        self.weakest = 1.0
        self.n_changes += 1

    cdef bint rebuild(
        self, const int* members, Py_ssize_t m, const double* matrix, Py_ssize_t stride,
        const double* ridge) noexcept nogil:
        cdef Py_ssize_t a, b, i
        cdef double pivot, diagonal, least = INFINITY
        cdef double* work
        cdef double[::1] memory
        with gil:
            try:
                memory = np.empty(m * m + scratch_size(m))
            except MemoryError:
                return False  # row by row needs no room
        work = &memory[0]
        for a in range(m):
            i = members[m - 1 - a]
            for b in range(a + 1):
                work[a * m + b] = -matrix[i * stride + members[m - 1 - b]]
            work[a * m + a] -= ridge[i]
        if not cholesky(work, m, CLEAR, work + m * m):
            return False
        self._take(members, m, work)
        self.weakest = 1.0
        self.doubt = 0.0
        for a in range(m):
            i = members[a]
            diagonal = matrix[i * stride + i] + ridge[i]
            self._inverse[a] = 1.0 / self._rows[a * (a + 3) // 2]
            pivot = self._rows[a * (a + 3) // 2] ** 2
            least = min(least, pivot)
            self._largest = max(self._largest, diagonal)
            self.weakest = min(self.weakest, pivot / diagonal)
        if is_suspect(least, least / self.weakest, self._largest, self.weakest):
            self.doubt = EXACT  # at most
        return True

    cdef void _take(self, const int* members, Py_ssize_t m, const double* work) noexcept nogil:
        """Copy the factor from where it stands transposed, and backwards."""
        cdef Py_ssize_t a, b, a0 = 0, b0
        cdef double* row
        while a0 < m:
            b0 = 0
            while b0 < min(a0 + SQUARE, m):
                for a in range(a0, min(a0 + SQUARE, m)):
                    row = &self._rows[a * (a + 1) // 2]
                    for b in range(b0, min(b0 + SQUARE, a + 1)):
                        row[b] = work[(m - 1 - b) * m + m - 1 - a]
                b0 += SQUARE
            a0 += SQUARE
        for a in range(m):
            self.member[a] = members[a]
        self.size = m
        self.n_changes += 1

    cdef bint append(self, int coordinate, double* column, double diagonal) noexcept nogil:
        cdef Py_ssize_t a = self.size, i
        cdef double* row = &self._row[0]
        cdef double pivot
        for i in range(a):
            row[i] = column[i]
        self.solve_half(row)
        pivot = self.pivot(diagonal)
        self.noise = self.doubt = 0.0
        if pivot > DEPENDENT * diagonal and not is_suspect(
                pivot, diagonal, self._largest, self.weakest):
            self._push(coordinate, pivot, diagonal)
            return True
        for i in range(a):
            column[i] = row[i]
        self._solve_other_half(column)
        self.noise = self._noise(column, diagonal)
        if pivot > max(DEPENDENT * diagonal, self.noise):
            self.doubt = self.noise / pivot
            self._push(coordinate, pivot, diagonal)
            return True
        return False

    cdef double _noise(self, const double* weight, double diagonal) noexcept nogil:
        """What rounding of the matrix can do to the pivot of a column with these weights."""
        cdef Py_ssize_t i
        cdef double size = sqrt(diagonal)
        cdef double* row = &self._rows[0]
        for i in range(self.size):
            size += fabs(weight[i]) * sqrt(dot(row, row, i + 1))
            row += i + 1
        return ROUNDING * size * size

    cdef double pivot(self, double diagonal) noexcept nogil:
        return diagonal - dot(&self._row[0], &self._row[0], self.size)

    cdef double force(self, int coordinate, double diagonal) noexcept nogil:
        cdef double least = max(DEPENDENT * diagonal, self.noise), excess
        excess = least - self.pivot(diagonal)
        self._push(coordinate, least, diagonal)
        return excess

    cdef void _push(self, int coordinate, double pivot, double diagonal) noexcept nogil:
        cdef Py_ssize_t i, a = self.size
        cdef double* target = &self._rows[a * (a + 1) // 2]
        for i in range(a):
            target[i] = self._row[i]
        target[a] = sqrt(pivot)
        self._inverse[a] = 1.0 / target[a]
        self.member[a] = coordinate
        self.size = a + 1
        self._largest = max(self._largest, diagonal)
        self.weakest = min(self.weakest, pivot / diagonal)
        self.n_changes += 1

    cdef void delete(self, Py_ssize_t k) noexcept nogil:
        cdef double* sine = &self._row[0]
        cdef double* cosine = &self._cosine[0]
        cdef double* x
        cdef double r, left, right
        cdef Py_ssize_t i, j
        for i in range(k, self.size - 1):
            x = &self._rows[(i + 1) * (i + 2) // 2]  # row i + 1 becomes row i
            right = x[k]
            for j in range(k, i):
                left = right
                right = x[j + 1]
                x[j] = cosine[j] * left + sine[j] * right
                right = cosine[j] * right - sine[j] * left
            r = sqrt(right * right + x[i + 1] * x[i + 1])
            self._inverse[i] = 1.0 / r
            cosine[i] = right * self._inverse[i]
            sine[i] = x[i + 1] * self._inverse[i]
            x[i] = r
            memmove(&self._rows[i * (i + 1) // 2], x, (i + 1) * sizeof(double))
            self.member[i] = self.member[i + 1]
        self.size -= 1
        self.n_changes += 1

    cdef void solve(self, double* x) noexcept nogil:
        self.solve_half(x)
        self._solve_other_half(x)

    # Both triangular solves take four rows at a time: x is read and written a quarter as often.

    cdef void solve_half(self, double* x) noexcept nogil:
        cdef Py_ssize_t i = 0
        cdef const double* inverse = &self._inverse[0]
        cdef double done[4]
        cdef double* row
        cdef double* a
        cdef double* b
        cdef double* c
        while i + 4 <= self.size:
            row = &self._rows[i * (i + 1) // 2]
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
        while i < self.size:
            row = &self._rows[i * (i + 1) // 2]
            x[i] = (x[i] - dot(row, x, i)) * inverse[i]
            i += 1

    cdef void _solve_other_half(self, double* x) noexcept nogil:
        cdef Py_ssize_t i = self.size
        cdef const double* inverse = &self._inverse[0]
        cdef double minus[4]
        cdef double* row
        cdef double* a
        cdef double* b
        cdef double* c
        while i >= 4:
            i -= 4
            row = &self._rows[i * (i + 1) // 2]
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
            row = &self._rows[i * (i + 1) // 2]
            x[i] *= inverse[i]
            axpy(-x[i], row, x, i)

    # The same verbs on arrays, for whoever holds the factor against a fresh one.

    def make_room(self, Py_ssize_t capacity):
        """Make room for so many members."""
        self.reserve(capacity)

    def rebuild_from(self, const int[::1] members, const double[:, ::1] matrix,
                     const double[::1] ridge):
        """Factorise the matrix of the given members, with a ridge, at once, or refuse to."""
        return bool(self.rebuild(
            &members[0], members.shape[0], &matrix[0, 0], matrix.shape[1], &ridge[0]))

    def append_row(self, int coordinate, double[::1] column, double diagonal):
        """Append a row, or refuse to: then `column` becomes the weights that express it."""
        return bool(self.append(coordinate, &column[0] if self.size else NULL, diagonal))

    def force_row(self, int coordinate, double diagonal):
        """Append the row that was just refused; return by how much its pivot was raised."""
        return self.force(coordinate, diagonal)

    def delete_row(self, Py_ssize_t k):
        """Delete the row of member k."""
        self.delete(k)

    def solved(self, const double[::1] right):
        """Return L^-1 x and (L L')^-1 x."""
        cdef double[::1] half = np.array(right), whole = np.array(right)
        self.solve_half(&half[0])
        self.solve(&whole[0])
        return np.asarray(half), np.asarray(whole)

    def arrays(self):
        """Return copies of the members and of L."""
        lower = np.zeros((self.size, self.size))
        lower[np.tril_indices(self.size)] = self._rows[:self.size * (self.size + 1) // 2]
        return np.array(self.member[:self.size]), lower
