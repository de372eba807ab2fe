# Design: the last step of leave-one-out errors for a block of rows and a grid of strengths. Fused,
# because each of the n_alphas x n results would otherwise be moved through memory several times.
# Four partial sums in a fixed order hide the latency of an addition.

from libc.math cimport INFINITY


def leave_out(
    const double[:, ::1] residual, const double[:, ::1] hat, const double[::1] free,
    const double[::1] weight, double least, double unit, double[:, :] errors, double[:, ::1] sums,
):
    """Write unit * residual / rest into errors; rest = free - hat is nothing up to `least`.

    residual, hat and errors have a row for each strength, of contiguous entries; free is what all
    but the penalised columns leave of one. Add to the columns of sums the weighted squares of
    errors and of residuals, both without the unit, and the rests.
    """
    cdef Py_ssize_t k, m = residual.shape[0], n = residual.shape[1]
    if errors.strides[1] != sizeof(double) or errors.shape[0] != m or errors.shape[1] != n:
        raise ValueError("errors must be n_alphas rows of contiguous entries")
    if n == 0:
        return
    with nogil:
        for k in range(m):
            leave_out_row(&residual[k, 0], &hat[k, 0], &free[0], &weight[0], n, least,
                          unit, &errors[k, 0], &sums[k, 0])


cdef void leave_out_row(
    const double* residual, const double* hat, const double* free, const double* weight,
    Py_ssize_t n, double least, double unit, double* errors, double* sums,
) noexcept nogil:
    cdef double score[4]
    cdef double square[4]
    cdef double room[4]
    cdef double rest
    cdef Py_ssize_t i, lane, whole = n - n % 4, nothing_left = 0
    for lane in range(4):
        score[lane] = square[lane] = room[lane] = 0.0
    # No branch in these loops, or they would not be vectorised.
    for i in range(n):
        errors[i] = residual[i] / (free[i] - hat[i])
    for i in range(0, whole, 4):
        for lane in range(4):
            rest = free[i + lane] - hat[i + lane]
            nothing_left += not rest > least
            score[lane] += weight[i + lane] * errors[i + lane] * errors[i + lane]
            square[lane] += weight[i + lane] * residual[i + lane] * residual[i + lane]
            room[lane] += rest
    for i in range(whole, n):
        rest = free[i] - hat[i]
        nothing_left += not rest > least
        score[0] += weight[i] * errors[i] * errors[i]
        square[0] += weight[i] * residual[i] * residual[i]
        room[0] += rest
    sums[1] += (square[0] + square[2]) + (square[1] + square[3])
    if nothing_left:
        leave_out_with_care(residual, hat, free, weight, n, least, errors, sums)
    else:
        sums[0] += (score[0] + score[2]) + (score[1] + score[3])
        sums[2] += (room[0] + room[2]) + (room[1] + room[3])
    if unit != 1.0:
        for i in range(n):
            errors[i] *= unit


cdef void leave_out_with_care(
    const double* residual, const double* hat, const double* free, const double* weight,
    Py_ssize_t n, double least, double* errors, double* sums,
) noexcept nogil:
    """The same where nothing may be left of one; without weight that does not count."""
    cdef double rest
    cdef Py_ssize_t i
    for i in range(n):
        rest = free[i] - hat[i]
        if not rest > least:
            errors[i] = INFINITY
            rest = 0.0
        if weight[i] > 0.0:
            sums[0] += weight[i] * errors[i] * errors[i]
        sums[2] += rest
