# The public C-level API: penalised least squares on the caller's buffers, without Python.
#
#     minimise over w   1/2 w'G w - c'w + y_square/2
#                       + sum_j factor_j (l1_reg |w_j| + l2_reg/2 w_j^2),  lower_j <= w_j <= upper_j
#
# with G, c, y_square given (`gram_...`), or made from rows (`dense_...`, `csc_...`): then they are
#
#     G = X'SX / sum(s),   c = X'Sy / sum(s),   y_square = y'Sy / sum(s),   S = diag(sample_weight)
#
# of the columns of X and y less their weighted means, if an intercept is fitted. So l1_reg and
# l2_reg are `alpha * l1_ratio` and `alpha * (1 - l1_ratio)` of `fastreg.solve`.
#
# Rules. Every function may be called with or without the GIL, from many threads at once, as long as
# no two of them share a workspace or an output. Inputs are not changed. Nothing is printed, raised
# or remembered. This file is append-only: what is here keeps its name, meaning and layout; what is
# new comes at an end and raises API_VERSION. The same functions are in C under the same names, as
# members of one struct `fastreg_api` (include/fastreg.h, see `fastreg.get_include`), and as
# PyCapsules in `fastreg.cython_api.__pyx_capi__`, each named after its signature, which
# `PyCapsule_GetName` tells.
#
# Arguments that many functions have:
#   p, n            numbers of features and of rows; p may be zero, n must not
#   gram            G, of which only gram[j * stride + k], k <= j, is read
#   X               x_ij = X[i * row_stride + j * column_stride], one of the strides being 1 (any
#                   where there is one row or column only)
#   start, row, x   compressed columns (CSC): column j has x[k] in row row[k], start[j] <= k <
#                   start[j + 1]; entries of the same row are summed
#   sample_weight   n numbers >= 0, or NULL: ones
#   penalty_factor  p numbers >= 0, or NULL: ones. Infinity excludes a feature
#   lower, upper    p numbers each, or NULL: no bounds
#   l1_reg, l2_reg  numbers >= 0; for a path one of each for every point, best decreasing
#   options         or NULL: the defaults
#   coef            written: p numbers, for a path n_points rows of them
#   intercept       written: one number a point; may be NULL
#   result          written: one a point; may be NULL
#   workspace       memory of at least the bytes that `..._workspace` returns, of any alignment that
#                   suits a double. NULL: it is allocated for the call, and released
#
# What is returned is a Status: for a path the smallest one of its points. Where it tells of a bad
# argument, coef and intercept are NaN (unless p or n is out of range) and the gap is infinite.
# Outputs may overlap inputs, but for the strengths, in the functions `gram_...`, and nowhere else;
# overlapping outputs make no sense, but do no harm.

cdef enum:
    API_VERSION = 1


cdef enum Status:             # positive: usable
    CONVERGED = 1             # duality gap <= tolerance
    MAX_SWEEPS = -1           # the limit was reached first; gap and coefficients are what they are
    STALLED = -3              # tol is below the rounding of these data
    NUMERICAL_ERROR = -4      # overflow, or squares that underflow
    BAD_ARGUMENT = -10        # a null pointer, a size, a stride, an index or an option
    NOT_FINITE = -11          # NaN or infinity in the data, or their squares overflow
    NOT_A_GRAM = -12          # G, c and y_square are those of no data, as far as that shows
    BAD_PENALTY = -13         # a strength or factor < 0 or NaN; bounds that cross, or forbid zero
    BAD_WEIGHT = -14          # a weight is negative or infinite, or all are zero
    BAD_WORKSPACE = -15       # it is too small, or not aligned
    NO_MEMORY = -16


cdef struct Options:
    size_t size               # sizeof(Options) as the caller knows it; `default_options` writes it
    double tol                # 1e-8: stop when duality gap <= tol * objective at zero
    Py_ssize_t max_sweeps     # 100000, of coordinate descent, for each point
    int fit_intercept         # 1; only where there are rows
    int reserved              # 0


cdef struct Result:           # in the units of the data
    int status
    int reserved_status
    Py_ssize_t n_active       # coefficients that are not zero
    Py_ssize_t n_sweeps
    double objective
    double null_objective     # at the feasible point nearest to zero
    double duality_gap        # objective - minimum <= duality_gap, up to rounding of the data
    double tolerance          # what the gap was asked to be
    double kkt_violation      # largest distance to the subdifferential, over |x_j| |y|
    double reserved[5]


cdef int api_version() noexcept nogil
cdef const char* status_message(int status) noexcept nogil
cdef void default_options(Options* options) noexcept nogil

cdef size_t gram_workspace(Py_ssize_t p) noexcept nogil
cdef int gram_solve(
    Py_ssize_t p, const double* gram, Py_ssize_t stride, const double* c, double y_square,
    double l1_reg, double l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil
cdef int gram_path(
    Py_ssize_t p, const double* gram, Py_ssize_t stride, const double* c, double y_square,
    Py_ssize_t n_points, const double* l1_reg, const double* l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil
cdef int gram_ridge(
    Py_ssize_t p, const double* gram, Py_ssize_t stride, const double* c, double y_square,
    Py_ssize_t n_points, const double* l2_reg, const double* penalty_factor,
    const Options* options, double* coef, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil

# G is made and kept: meant for p small against n, or small altogether.
cdef size_t dense_workspace(Py_ssize_t n, Py_ssize_t p) noexcept nogil
cdef int dense_solve(
    Py_ssize_t n, Py_ssize_t p, const double* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    const double* y, const double* sample_weight,
    double l1_reg, double l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil
cdef int dense_path(
    Py_ssize_t n, Py_ssize_t p, const double* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l1_reg, const double* l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil
cdef int dense_ridge(
    Py_ssize_t n, Py_ssize_t p, const double* X, Py_ssize_t row_stride, Py_ssize_t column_stride,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l2_reg, const double* penalty_factor,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil

cdef size_t csc_workspace(Py_ssize_t n, Py_ssize_t p) noexcept nogil
cdef int csc_solve(
    Py_ssize_t n, Py_ssize_t p, const int* start, const int* row, const double* x,
    const double* y, const double* sample_weight,
    double l1_reg, double l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil
cdef int csc_path(
    Py_ssize_t n, Py_ssize_t p, const int* start, const int* row, const double* x,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l1_reg, const double* l2_reg,
    const double* penalty_factor, const double* lower, const double* upper,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil
cdef int csc_ridge(
    Py_ssize_t n, Py_ssize_t p, const int* start, const int* row, const double* x,
    const double* y, const double* sample_weight,
    Py_ssize_t n_points, const double* l2_reg, const double* penalty_factor,
    const Options* options, double* coef, double* intercept, Result* result,
    void* workspace, size_t workspace_size) noexcept nogil
