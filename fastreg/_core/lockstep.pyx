# Design: a group of responses is one task, whose outcome depends on nothing but the group, and that
# of a response on nothing but itself: native/lockstep.c. Between rounds of groups signals and the
# clock are looked at. What is not solved here is left as it was.

import numpy as np

from libc.math cimport sqrt

from fastreg._core cimport kernels
from fastreg._core.design cimport check_interrupt
from fastreg._core.kernels cimport dot
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


cdef extern from "native/lockstep.h" nogil:
    ctypedef struct Shared "fastreg_lockstep":
        Py_ssize_t p
        const double* gram
        const double* norm
        const double* l1_factor
        const double* l2_factor
        const double* norm_inverse
        const double* l1_inverse
        const double* l2_inverse
        double steepest
        const int* feature
        const double* scale
        const double* mean
        int centred
        Py_ssize_t m
        const double* cross
        Py_ssize_t cross_stride
        const double* size
        const double* unit
        const double* y_mean
        Py_ssize_t n_points
        Py_ssize_t strength_stride
        const double* l1
        const double* l2
        double tol
        double rounding
        Py_ssize_t max_sweeps
        double weight_sum
        double* coef
        Py_ssize_t coef_point
        Py_ssize_t coef_response
        unsigned char* zero
        Py_ssize_t zero_point
        Py_ssize_t zero_response
        double* intercept
        double* objective
        double* null_objective
        double* gap
        double* tolerance
        double* violation
        double* prediction
        long long* status
        long long* n_iter
        long long* n_sweeps
        long long* n_active
        Py_ssize_t number_point
        Py_ssize_t number_response
        unsigned char* done

    ctypedef struct Kernel "fastreg_lockstep_kernel":
        Py_ssize_t lanes
        size_t (*room)(Py_ssize_t p) noexcept nogil
        void (*solve)(const Shared* job, Py_ssize_t first, void* room) noexcept nogil

cdef enum:
    WIDEST = 256       # coordinates up to which the matrices of a group stay in the cache
    ROUND = 1 << 28    # multiplications between two looks, for each thread
    ALIGNMENT = 64     # bytes

cdef double CLEAR = 1e-7  # share of a diagonal below which columns are as good as dependent


cdef struct Job:
    Shared shared              # the responses of this round
    const Kernel* kernel
    char* room
    size_t stride              # of the room of a thread


cdef void do_group(void* context, Py_ssize_t k, int who) noexcept nogil:
    cdef const Job* job = <const Job*>context
    job.kernel.solve(&job.shared, k * job.kernel.lanes, job.room + who * job.stride)


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
    cdef Py_ssize_t m = size.shape[0], p = gram.shape[0], first = 0, n_groups, a_round, k
    cdef unsigned char[::1] done = np.zeros(m, dtype=np.uint8)
    cdef double[::1] memory
    cdef double[:, :, ::1] thin
    cdef const double[:, ::1] known
    cdef Job job
    cdef Shared* shared = &job.shared
    if p > WIDEST or not np.min(l1_factor) > 0.0 or not are_independent(gram):
        return done
    norm, place = np.sqrt(np.diagonal(gram)), np.asarray(feature)
    known = np.stack([
        norm, 1.0 / norm, 1.0 / np.asarray(l1_factor), 1.0 / np.asarray(l2_factor),
        np.asarray(record._scale)[place], np.asarray(record._column_mean)[place]])
    shared.p, shared.gram, shared.feature = p, &gram[0, 0], &feature[0]
    shared.norm, shared.norm_inverse = &known[0, 0], &known[1, 0]
    shared.l1_factor, shared.l1_inverse = &l1_factor[0], &known[2, 0]
    shared.l2_factor, shared.l2_inverse = &l2_factor[0], &known[3, 0]
    shared.scale, shared.mean = &known[4, 0], &known[5, 0]
    shared.steepest = np.max(norm / l1_factor)
    shared.centred, shared.weight_sum = record._fit_intercept, record._weight_sum
    shared.n_points, shared.strength_stride, shared.cross_stride = l1.shape[0], m, cross.shape[1]
    shared.tol, shared.rounding, shared.max_sweeps = tol, rounding, max_sweeps
    job.kernel = <const Kernel*>kernels.lockstep_simd
    n_groups = (m + job.kernel.lanes - 1) // job.kernel.lanes
    n_threads = max(1, min(n_threads, n_groups))
    job.stride = (job.kernel.room(p) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    memory = np.empty((n_threads * job.stride + ALIGNMENT) // sizeof(double))
    job.room = <char*>((<size_t>&memory[0] + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)
    a_round = (ROUND // (job.kernel.lanes * l1.shape[0] * p * p) + 1) * n_threads
    a_round = min(a_round, n_groups) * job.kernel.lanes
    if record._is_sparse:
        thin = np.zeros((l1.shape[0], a_round, record._scale.shape[0]))
    while first < m and not check_interrupt(deadline):
        shared.m = min(a_round, m - first)
        shared.cross, shared.size, shared.unit = &cross[first, 0], &size[first], &unit[first]
        shared.y_mean, shared.l1, shared.l2 = &mean[first], &l1[0, first], &l2[0, first]
        shared.done = &done[first]
        write_to(record, thin, first, shared)
        with nogil:
            kernels.run(do_group, &job, (shared.m + job.kernel.lanes - 1) // job.kernel.lanes,
                        n_threads)
        for k in range(first, first + shared.m):
            if not done[k]:
                record.forget(k)
            elif record._is_sparse:
                put_sparse(record, thin, k, first)
        first += a_round
    return done


cdef void write_to(Record record, double[:, :, ::1] thin, Py_ssize_t first, Shared* shared):
    """Let the results go to the points of a record from some response on."""
    cdef Py_ssize_t p = record._scale.shape[0]
    shared.coef = &thin[0, 0, 0] if record._is_sparse else &record._coef[0, first, 0]
    shared.coef_point = (thin.shape[1] if record._is_sparse else record._coef.shape[1]) * p
    shared.zero, shared.zero_point = &record._zero[0, first, 0], record._zero.shape[1] * p
    shared.coef_response = shared.zero_response = p
    shared.intercept = &record._number[INTERCEPT, 0, first]
    shared.objective = &record._number[OBJECTIVE, 0, first]
    shared.null_objective = &record._number[NULL_OBJECTIVE, 0, first]
    shared.gap = &record._number[GAP, 0, first]
    shared.tolerance = &record._number[TOLERANCE, 0, first]
    shared.violation = &record._number[VIOLATION, 0, first]
    shared.prediction = &record._number[PREDICTION, 0, first]
    shared.status = &record._count[STATUS, 0, first]
    shared.n_iter = &record._count[N_ITER, 0, first]
    shared.n_sweeps = &record._count[N_SWEEPS, 0, first]
    shared.n_active = &record._count[N_ACTIVE, 0, first]
    shared.number_point, shared.number_response = record._count.shape[2], 1


cdef put_sparse(Record record, double[:, :, ::1] thin, Py_ssize_t k, Py_ssize_t first):
    """Keep the nonzero coefficients of a response."""
    cdef Py_ssize_t i
    for i in range(thin.shape[0]):
        row = np.asarray(thin[i, k - first])
        support = np.flatnonzero(row)
        record.sparse[i, k] = support.astype(np.int32), row[support]
