# Design: a group of responses is one task, whose outcome depends on nothing but the group, and that
# of a response on nothing but itself: native/lockstep.c. Between rounds of tasks signals and the
# clock are looked at. What is not solved here is left as it was.

import numpy as np

from libc.math cimport sqrt

from fastreg._core cimport kernels
from fastreg._core.design cimport check_interrupt
from fastreg._core.kernels cimport LockstepJob, dot
from fastreg._core.record cimport (
    GAP,
    INTERCEPT,
    N_ACTIVE,
    N_ITER,
    N_SWEEPS,
    NULL_OBJECTIVE,
    OBJECTIVE,
    PREDICTION,
    STATUS,
    TOLERANCE,
    VIOLATION,
    Record,
)

cdef enum:
    WIDEST = 256       # coordinates up to which the matrices of a group stay in the cache
    ROUND = 1 << 28    # multiplications between two looks, for each thread
    LINE = 8           # numbers that a line of the cache holds

cdef double CLEAR = 1e-7  # share of a diagonal below which columns are as good as dependent


cdef struct Job:
    LockstepJob shared
    Py_ssize_t first           # group of this round
    char* room
    size_t stride              # of the room of a thread


cdef void do_group(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Job* job = <const Job*>context
    kernels.lockstep_simd.solve(
        &job.shared, (job.first + k) * kernels.lockstep_simd.lanes, job.room + who * job.stride)


cdef bint are_independent(const double[:, ::1] gram):
    """Is every pivot of the Cholesky factor a good share of its diagonal?"""
    cdef Py_ssize_t i, j, p = gram.shape[0]
    cdef double[:, ::1] factor = np.empty((p, p))
    cdef double pivot
    for i in range(p):
        for j in range(i):
            factor[i, j] = (gram[i, j] - dot(&factor[i, 0], &factor[j, 0], j)) / factor[j, j]
        pivot = gram[i, i] - dot(&factor[i, 0], &factor[i, 0], i)
        if not pivot > CLEAR * gram[i, i]:
            return False
        factor[i, i] = sqrt(pivot)
    return True


cdef unsigned char[::1] solve_in_lockstep(
    Record record, const double[:, ::1] gram, const int[::1] feature, const double[::1] l1_factor,
    const double[::1] l2_factor, const double[:, ::1] cross, const double[::1] size,
    const double[::1] unit, const double[::1] mean, const double[:, ::1] l1,
    const double[:, ::1] l2, double tol, Py_ssize_t max_sweeps, double deadline, double rounding,
    int n_threads):
    cdef Py_ssize_t m = size.shape[0], p = gram.shape[0], n_groups, a_round, k
    cdef unsigned char[::1] done = np.zeros(m, dtype=np.uint8)
    cdef double[::1] memory
    cdef const double[:, ::1] of_features
    cdef Job job
    # the exact solver has no limit of sweeps below one
    if (record._is_sparse or p > WIDEST or max_sweeps < 1 or not np.min(l1_factor) > 0.0
            or not are_independent(gram)):
        return done
    norm = np.sqrt(np.diagonal(gram))
    of_features = np.stack([
        norm, 1.0 / norm, 1.0 / np.asarray(l1_factor), 1.0 / np.asarray(l2_factor),
        np.asarray(record._scale)[np.asarray(feature)],
        np.asarray(record._column_mean)[np.asarray(feature)]])
    job.shared.p, job.shared.gram = p, &gram[0, 0]
    job.shared.norm, job.shared.norm_inverse = &of_features[0, 0], &of_features[1, 0]
    job.shared.l1_factor, job.shared.l1_inverse = &l1_factor[0], &of_features[2, 0]
    job.shared.l2_factor, job.shared.l2_inverse = &l2_factor[0], &of_features[3, 0]
    job.shared.steepest = np.max(norm / l1_factor)
    job.shared.feature = &feature[0]
    job.shared.scale, job.shared.mean = &of_features[4, 0], &of_features[5, 0]
    job.shared.centred, job.shared.weight_sum = record._fit_intercept, record._weight_sum
    job.shared.m, job.shared.cross, job.shared.cross_stride = m, &cross[0, 0], cross.shape[1]
    job.shared.size, job.shared.unit, job.shared.y_mean = &size[0], &unit[0], &mean[0]
    job.shared.n_points, job.shared.l1, job.shared.l2 = l1.shape[0], &l1[0, 0], &l2[0, 0]
    job.shared.tol, job.shared.rounding, job.shared.max_sweeps = tol, rounding, max_sweeps
    write_to(record, m, &job.shared)
    job.shared.done = &done[0]
    n_groups = (m + kernels.lockstep_simd.lanes - 1) // kernels.lockstep_simd.lanes
    n_threads = max(1, min(n_threads, n_groups))
    job.stride = (kernels.lockstep_simd.room(p) + 63) // 64 * 64
    memory = np.empty(n_threads * job.stride // sizeof(double) + LINE)
    job.room = <char*>((<size_t>&memory[0] + 63) // 64 * 64)
    a_round = (ROUND // (16 * l1.shape[0] * p * p) + 1) * n_threads
    job.first = 0
    while job.first < n_groups and not (job.first > 0 and check_interrupt(deadline)):
        with nogil:
            kernels.run(do_group, &job, min(a_round, n_groups - job.first), n_threads)
        job.first += a_round
    for k in range(m):
        if not done[k]:
            record.forget(k)
    return done


cdef void write_to(Record record, Py_ssize_t m, LockstepJob* job):
    """Let the points of a record be where the results go."""
    job.coef, job.zero = &record._coef[0, 0, 0], &record._zero[0, 0, 0]
    job.coef_response = record._coef.shape[2]
    job.coef_point = m * job.coef_response
    job.intercept = &record._number[INTERCEPT, 0, 0]
    job.objective = &record._number[OBJECTIVE, 0, 0]
    job.null_objective = &record._number[NULL_OBJECTIVE, 0, 0]
    job.gap = &record._number[GAP, 0, 0]
    job.tolerance = &record._number[TOLERANCE, 0, 0]
    job.violation = &record._number[VIOLATION, 0, 0]
    job.prediction = &record._number[PREDICTION, 0, 0]
    job.status, job.n_iter = &record._count[STATUS, 0, 0], &record._count[N_ITER, 0, 0]
    job.n_sweeps, job.n_active = &record._count[N_SWEEPS, 0, 0], &record._count[N_ACTIVE, 0, 0]
    job.number_point, job.number_response = m, 1
