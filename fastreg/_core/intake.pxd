# How a fit in memory of the caller (`embedded`) gets its data and its penalty.

from fastreg._core.embedded cimport Fit
from fastreg._core.kernels cimport Matrix

# What follows returns an Ending: CONVERGED, or what is wrong.
# only gram[j * stride + k], k <= j, is read; everything is multiplied by `share`
cdef int take_moments(
    Fit* fit, const double* gram, Py_ssize_t stride, const double* correlation, double square,
    double share) noexcept nogil
# X and y stay where they are until the last strength is solved; `weight` may be NULL
cdef int take_rows(
    Fit* fit, const Matrix* X, const double* y, const double* weight, bint centred) noexcept nogil
# the same with compressed columns
cdef int take_columns(
    Fit* fit, Py_ssize_t n, const int* start, const int* row, const double* x, const double* y,
    const double* weight, bint centred) noexcept nogil
# another response of the same rows and weights, which lie, as their Gram matrix does, in a fit that
# has taken them; it stays as it is, and may lend to many at once
cdef int take_other_response(Fit* fit, const Fit* whole, const double* y) noexcept nogil
# factors (NULL: ones) and bounds (NULL: none)
cdef int take_penalty(
    Fit* fit, const double* factor, const double* lower, const double* upper) noexcept nogil
# the lower triangle of the Gram matrix lies in its place already, centred; with it go the products
# with y; means and weights are those in `fit`. What does not vary becomes zero
cdef int take_products(Fit* fit, double* correlation, double square) noexcept nogil
