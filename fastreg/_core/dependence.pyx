# Design: for a coordinate j that the factor refused or forced, v = e_j - sum_k weight_k e_member(k)
# is, up to rounding of the weights, orthogonal to all plain members, before it in the factor or
# behind, so that those and doubtful directions may be corrected one after the other: raising a
# pivot does not change the Hessian over the plain members, nor does the square of a step over more
# members than these fall short of theirs. Z v is computed from X: its length has an error
# of EPSILON |v|, where a pivot of the Gram matrix has one of EPSILON^(1/2). The ridge
# part counts as rows  sqrt(l2_j) v_j  below X, with a response of zero. All this is rare and small,
# and therefore NumPy. The weights are as good as the factor, which may be ill-conditioned; so what
# is left of Z v along the members is taken out of v again, before it is called a length.

import numpy as np

from cython cimport final
from libc.math cimport INFINITY

from fastreg._core.objective cimport Correction, LeastSquares
from fastreg._core.quadratic cimport Quadratic
from fastreg._core.quadratic_state cimport QuadraticState, boundary_ahead, room_ahead

cdef enum:
    REFINEMENTS = 3  # of weights against the rounding of a factor

cdef double ROUNDING = 64 * 2.220446049250313e-16


@final
cdef class Dependence:
    """The doubtful directions of a quadratic."""

    def __init__(self, LeastSquares problem, Quadratic quadratic):
        self._problem = problem
        self._quadratic = quadratic
        self._key = None
        self._directions = None

    cdef bint refresh(self) except -1:
        cdef list doubtful
        if self._quadratic.state.n_doubtful == 0:
            self._key = None
            self.n_null = 0
            self._directions = None
            return False
        doubtful = self._quadratic.doubtful()
        key = (self._quadratic.state.factor.n_changes, self._quadratic.state.size, tuple(doubtful))
        if key != self._key:
            self._key = key
            self.n_null = 0
            self._directions = None
            if doubtful:
                self._measure(doubtful)
        return bool(doubtful)

    cdef _measure(self, list doubtful):
        cdef QuadraticState* quadratic = &self._quadratic.state
        cdef LeastSquares problem = self._problem
        cdef Py_ssize_t m = quadratic.size
        cdef double[::1] v = np.empty(m)
        norm = np.asarray(<double[:m]>quadratic.norm)
        penalty = (np.asarray(problem.l1) + np.asarray(problem.l2))[self._quadratic.column]
        directions, images, sizes = [], [], []
        for j in doubtful:
            self._quadratic.express(j, v)
            weighted = self._image(v)
            size = np.abs(v) @ norm
            for _ in range(REFINEMENTS):
                if np.linalg.norm(weighted) <= ROUNDING * size:
                    break
                self._quadratic.refine(j, self._products(weighted), v)
                weighted = self._image(v)
            direction = np.array(v)
            if np.linalg.norm(weighted) > ROUNDING * size:
                directions.append(direction)
                images.append(weighted)
                sizes.append(size)
            elif not penalty[np.abs(direction) * norm > 1e-7 * norm[j]].any():
                self.n_null += 1
        if directions:
            self._directions = np.array(directions)
            self._length = np.linalg.norm(images, axis=1)
            self._slack = 1.0 + np.max(ROUNDING * np.array(sizes) / self._length)
            unit = np.array(images) / self._length[:, None]
            left, spread, self._right = np.linalg.svd(unit, full_matrices=False)
            kept = spread > ROUNDING * spread[0]
            self._left, self._spread, self._right = left[:, kept], spread[kept], self._right[kept]

    cdef _image(self, const double[::1] v):
        """Z v, its rows weighted, with those of the ridge part below."""
        cdef QuadraticState* quadratic = &self._quadratic.state
        cdef LeastSquares problem = self._problem
        cdef double[::1] image = np.zeros(problem.design.n_samples)
        problem.design.add_columns(quadratic.column, quadratic.size, &v[0], &image[0])
        weighted = np.asarray(image)
        if problem.centred:
            weighted -= np.asarray(problem.weight) @ weighted
        weighted *= np.sqrt(problem.weight)
        return np.append(weighted, self._root_ridge() * v)

    cdef _products(self, weighted):
        """The products of all coordinates with such an image."""
        cdef QuadraticState* quadratic = &self._quadratic.state
        cdef LeastSquares problem = self._problem
        cdef Py_ssize_t n = problem.design.n_samples
        cdef double[::1] rows = weighted[:n] * np.sqrt(problem.weight)
        cdef double[::1] c = np.empty(quadratic.size)
        problem.design.correlate_columns(
            quadratic.column, quadratic.size, &rows[0], &c[0])
        return np.asarray(c) + self._root_ridge() * weighted[n:]

    cdef _root_ridge(self):
        return np.sqrt(np.asarray(self._problem.l2)[self._quadratic.column])

    cdef _step(self):
        """The step on the coordinates, and its length times the spread."""
        cdef LeastSquares problem = self._problem
        column = self._quadratic.column
        w, l1 = np.asarray(problem.w)[column], np.asarray(problem.l1)[column]
        weighted = np.append(
            np.sqrt(problem.weight) * np.asarray(problem.residual), -self._root_ridge() * w)
        slope = self._left.T @ (self._directions @ (l1 * np.sign(w)) / self._length)
        length = self._right @ weighted - slope / self._spread
        return (self._left @ (length / self._spread) / self._length) @ self._directions, length

    cdef Correction correction(self):
        cdef Correction found = Correction(0.0, 0.0)
        if not self.refresh():
            return found
        if not self._problem.is_true:
            found.square = INFINITY
        elif self._directions is not None:
            step, length = self._step()
            found.square = self._slack**2 * (length @ length)
            penalty = np.asarray(self._problem.l1) + np.asarray(self._problem.l2) * np.abs(
                self._problem.w)
            found.drift = penalty[self._quadratic.column] @ np.abs(step)
        return found

    cdef improve(self, double target):
        cdef Correction found = self.correction()
        cdef LeastSquares problem = self._problem
        cdef QuadraticState* quadratic = &self._quadratic.state
        cdef Py_ssize_t j, blocking = -1
        cdef double share = 1.0, room
        if not target < 0.5 * found.square < INFINITY:
            return
        step, _ = self._step()
        w = np.array(problem.w)
        for j in range(quadratic.size):
            quadratic.u[j] = w[quadratic.column[j]]
            room = room_ahead(quadratic, j, step[j])
            if room < share:
                share = max(room, 0.0)
                blocking = j
        w[self._quadratic.column] += share * step
        if blocking >= 0:
            w[quadratic.column[blocking]] = boundary_ahead(quadratic, blocking, step[blocking])
        problem.place(w)
