# Design: the verbs, and what all storages share: units, the verbs for Python, the pieces of a
# survey, and the rule by which a long call looks at pending signals. Standardisation is applied on
# the fly, so X is never copied, centred or scaled. How that is done is the matter of `dense` and
# `sparse`, which nobody cimports.

from time import monotonic

import numpy as np

from libc.math cimport INFINITY
from fastreg._core cimport kernels


cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef int check_interrupt(double deadline=INFINITY) except -1 nogil:
    with gil:
        PyErr_CheckSignals()
        return deadline < INFINITY and monotonic() > deadline


cdef class Design:
    """A design matrix behind verbs; `moments` and `set_units` come first, then it is read only."""

    def __init__(self, Py_ssize_t n_samples, Py_ssize_t n_features):
        self.n_samples = n_samples
        self.n_features = n_features
        self._shift = np.zeros(n_features)
        self._scale = np.ones(n_features)
        self._n_threads = 1

    @property
    def shift(self):
        return np.asarray(self._shift)

    @property
    def scale(self):
        return np.asarray(self._scale)

    def set_units(self, shift, scale):
        """Set z_j = (x_j - shift_j) * scale_j."""
        self._shift = np.ascontiguousarray(shift, dtype=np.float64)
        self._scale = np.ascontiguousarray(scale, dtype=np.float64)

    def moments(self, const double[::1] weight):
        """Return the weighted means and variances of the raw columns; weights sum to one."""
        raise NotImplementedError

    def survey(self, const double[::1] weight, responses, const int[::1] columns,
               bint centre=True):
        """Return all that least squares needs of X, from one read of it where that is possible.

        Weights sum to one; `responses` is a DenseDesign of one response a column, in its units, or
        None; where they are to be centred, their shifts must be about their means. Returned are
        the weighted means and variances of the raw columns, sum_i weight_i x_ij y_ik for every
        response k and column j, and sum_i weight_i x_ia x_ib for the given columns; columns and
        responses are centred in both, or in none. Variances are not finite where a column is not,
        or where its squares overflow.
        """
        raise NotImplementedError

    def by_rows(self):
        """Return dense X if its rows are contiguous and its columns are not, else None."""
        return None

    def set_threads(self, int n_threads):
        """Let passes and Gram products use so many threads; that changes no bit of a result."""
        self._n_threads = max(1, n_threads)

    cdef double share_of(self, const int* columns, Py_ssize_t m) noexcept nogil:
        return <double>m / self.n_features

    cdef int correlate(self, const double* v, double* out) except -1 nogil:
        return 0

    cdef int correlate_two(
        self, const double* v, const double* u, double* out, double* other) except -1 nogil:
        self.correlate(v, out)
        return self.correlate(u, other)

    cdef int correlate_columns(
        self, const int* columns, Py_ssize_t m, const double* v, double* out) except -1 nogil:
        return 0

    cdef int add_columns(
        self, const int* columns, Py_ssize_t m, const double* coef, double* out) except -1 nogil:
        return 0

    cdef int add_and_correlate(
        self, const int* columns, Py_ssize_t m, const double* coef, const double* weight,
        double* r, double* out) except -1 nogil:
        cdef double[::1] weighted
        cdef Py_ssize_t i
        with gil:
            weighted = np.empty(self.n_samples)
        self.add_columns(columns, m, coef, r)
        for i in range(self.n_samples):
            weighted[i] = weight[i] * r[i]
        return self.correlate(&weighted[0], out)

    cdef int gram(
        self, const int[::1] columns, Py_ssize_t first_new, const double[::1] weight,
        double[:, ::1] out) except -1:
        return 0

    cdef double meet(self, Py_ssize_t j, const double* v, double rest) noexcept nogil:
        return 0.0

    cdef double move(self, Py_ssize_t j, double length, const double* weight, double equal,
                     double* v) noexcept nogil:
        return 0.0

    # The verbs for Python: tests, benchmarks, closed forms.

    def correlation(self, const double[::1] v):
        """Return sum_i v_i z_ij for every feature j."""
        out = np.empty(self.n_features)
        cdef double[::1] view = out
        with nogil:
            self.correlate(&v[0], &view[0])
        return out

    def correlations(self, const double[::1] v, const double[::1] u):
        """Return the `correlation` of both, from one read if the design `takes_two`."""
        out, other = np.empty(self.n_features), np.empty(self.n_features)
        cdef double[::1] view = out
        cdef double[::1] other_view = other
        with nogil:
            self.correlate_two(&v[0], &u[0], &view[0], &other_view[0])
        return out, other

    def correlation_of(self, const int[::1] columns, const double[::1] v):
        """Return sum_i v_i z_ij for the given columns j."""
        out = np.empty(columns.shape[0])
        cdef double[::1] view = out
        if columns.shape[0]:
            with nogil:
                self.correlate_columns(&columns[0], columns.shape[0], &v[0], &view[0])
        return out

    def product(self, const double[::1] coef):
        """Return sum_j z_ij coef_j for every row i."""
        out = np.zeros(self.n_samples)
        cdef double[::1] view = out
        cdef int[::1] columns = np.arange(self.n_features, dtype=np.int32)
        with nogil:
            self.add_columns(&columns[0], self.n_features, &coef[0], &view[0])
        return out

    def gram_matrix(self, const int[::1] columns, const double[::1] weight, known=None):
        """Return sum_i weight_i z_ia z_ib for the given columns; of the first ones it is known."""
        out = np.empty((columns.shape[0], columns.shape[0]))
        cdef Py_ssize_t old = 0 if known is None else len(known)
        if old:
            out[:old, :old] = known
        self.gram(columns, old, weight, out)
        return out


cdef double[:, ::1] weighted_rows(
    const double[::1] weight, Design responses, double[::1] mean):
    """The responses one a row, centred and multiplied by the weights; writes their means."""
    cdef Py_ssize_t i, k
    cdef double[:, ::1] V
    if responses is None:
        return np.empty((0, weight.shape[0]))
    V = responses.rows()
    for k in range(V.shape[0]):
        mean[k] = kernels.dot(&weight[0], &V[k, 0], V.shape[1])
        for i in range(V.shape[1]):
            V[k, i] = (V[k, i] - mean[k]) * weight[i]
    return V


cdef add_means(const int[::1] columns, const double[::1] mean, const double[::1] y_mean,
               double[:, ::1] cross, double[:, ::1] gram):
    """Turn centred products into those about zero; nothing cancels on this way."""
    cdef Py_ssize_t a, b
    for a in range(cross.shape[0]):
        for b in range(cross.shape[1]):
            cross[a, b] += y_mean[a] * mean[b]
    for a in range(columns.shape[0]):
        for b in range(columns.shape[0]):
            gram[a, b] += mean[columns[a]] * mean[columns[b]]
