# Problems that share X and differ in their weights: bootstraps, jackknife, folds. A table holds X,
# y (if they share it) and a column of ones, centred once and packed for the Gram product; the
# moments of one problem are then the products of the rows that have weight, and a small correction
# of the means.

from fastreg._core.embedded cimport Fit
from fastreg._core.kernels cimport Matrix

cdef extern from "native/resample.h" nogil:
    ctypedef struct Table "fastreg_table":
        const double* panels
        Py_ssize_t n
        Py_ssize_t n_panels
        Py_ssize_t panel


cdef struct Sample:
    Table table
    Matrix X             # double; as it was given, for what is measured on the rows
    const double* y      # or NULL: each problem has its own
    bint centred
    const double* shift  # of the columns, then of y
    const double* reach  # largest |x_ij - shift_j|, of the columns, then of y


# few features, which are likely to be all that any problem needs
cdef struct Screen:
    Sample few
    const int* feature
    const double* limit  # of all features: factor of the L1 strength, or infinity for the few


# the rows of one problem that have weight, in memory of `room_of_draw` numbers
cdef struct Draw:
    Py_ssize_t m
    int* rows
    double* weight
    double* root
    double* residual
    double* block
    double* products
    double* coef         # by column of a table
    double* image


cdef Py_ssize_t table_size(Py_ssize_t n, Py_ssize_t p) noexcept nogil
# `memory` has that many numbers, aligned to 64 bytes; `vectors` 2 (p + 1). X is finite, and so is
# y, which may be NULL.
cdef void fill_sample(
    Sample* sample, const Matrix* X, const double* y, bint centred, double* memory,
    double* vectors) noexcept nogil

cdef Py_ssize_t room_of_draw(Py_ssize_t n, Py_ssize_t p) noexcept nogil
cdef void lay_out_draw(Draw* draw, Py_ssize_t n, Py_ssize_t p, double* memory) noexcept nogil
# What `take_rows` of `intake` does, for these weights: an Ending, or 0 where the means of the draw
# are so far from those of the table that digits would be lost. Writes the draw.
cdef int take_draw(
    Fit* fit, const Sample* sample, const double* y, const double* weight,
    Draw* draw) noexcept nogil
# Is every feature that was left out zero, at these coefficients of the few and with the L1 strength
# l1, even if the residual were off by `radius` (root of the weighted mean of the squares)? The draw
# is that of `few`.
cdef bint is_zero_outside(
    const Sample* sample, const Screen* screen, const Fit* fit, Draw* draw, const double* coef,
    double l1, double radius) noexcept nogil
