# Ridge regression on fewer rows than features, in memory of the caller, without Python.

from fastreg._core.embedded cimport Found
from fastreg._core.kernels cimport Matrix

# numbers that a fit of n rows and p features works on
cdef Py_ssize_t room_of_wide(Py_ssize_t n, Py_ssize_t p) noexcept nogil
# Minimise 1/2 sum_i s_i (y_i - b - x_i'w)^2 + alpha/2 |w|^2 with s the weights (NULL: ones) over
# their sum `total`, and measure the gap of the answer on X. Returns how often X was read; 0 where
# digits could be lost, or the gap is above tol times the objective at w = 0.
cdef Py_ssize_t fit_wide(
    const Matrix* X, const double* y, const double* weight, bint centred, double alpha, double tol,
    double* memory, double* coef, double* intercept, double* total, Found* found) noexcept nogil
