"""The proximal steps of penalties in the metric of Adam and its kin, in place.

Design
------
One pass over memory, where tensor operations need five and a temporary: on a processor that is the
difference between a twentieth and a third of what a training step costs. `fastreg.proximal` is the
same for every metric and device, and what this is tested against.

The branches are selections that vectorise, and NaN comes out as NaN. Large tensors are cut into
tasks whose bounds depend on the shape alone, and nothing is added up across tasks.
"""

import numpy as np

from libc.math cimport fabs, sqrt, sqrtf

from fastreg._core.kernels cimport real, run, soften

cdef enum:
    SLICE = 1 << 16       # elements of a task
    LANES = 64            # elements beside each other that are gone through together
    MAX_ITER = 50         # of Newton's method, which takes three

cdef double TINY = 1e-30  # keeps 0/0 away, and is nothing beside any other number


cdef struct Job:
    void* w
    const void* square    # NULL where the scale is `add`
    Py_ssize_t n
    double add
    double threshold
    double more
    # of a group step: w is n_outer x n_groups x n_inner
    Py_ssize_t n_outer
    Py_ssize_t n_groups
    Py_ssize_t n_inner
    Py_ssize_t n_block    # groups that are done together, each in a lane: 1 if n_inner > 1
    void* scratch         # n_outer x n_block x n_inner for each thread


cdef inline void each(Job* job, Py_ssize_t k, real* w) noexcept nogil:
    cdef Py_ssize_t i, first = k * SLICE, n = min(job.n - first, <Py_ssize_t>SLICE)
    cdef real most, kept
    w += first
    if job.square != NULL:
        soften(
            w, <const real*>job.square + first, n, <real>job.add, <real>job.threshold,
            <real>job.more,
        )
        return
    most = <real>(job.threshold / job.add)
    kept = <real>(job.add / (job.add + job.more))
    for i in range(n):
        w[i] = (w[i] - clamped(w[i], most)) * kept


cdef inline real clamped(real x, real most) noexcept nogil:
    x = x if x < most else most
    return x if x > -most else -most


cdef void each_wide(void* job, Py_ssize_t k, int who) noexcept nogil:
    each(<Job*>job, k, <double*>(<Job*>job).w)


cdef void each_narrow(void* job, Py_ssize_t k, int who) noexcept nogil:
    each(<Job*>job, k, <float*>(<Job*>job).w)


def proximal_step(
    real[::1] w, const real[::1] square, double add, double lr, double l1, double l2,
    int n_threads=1,
):
    """Minimise ``sum_i scale_i (x_i - w_i)^2 / (2 lr) + l1 |x| + l2/2 |x|^2``; x replaces w.

    The scale is ``sqrt(square) + add``, and `add` where `square` is None.
    """
    cdef Job job
    job.n = w.shape[0]
    if square is not None and square.shape[0] != job.n:
        raise ValueError(f"square has {square.shape[0]} numbers, w has {job.n}")
    if job.n == 0 or lr == 0.0:
        return
    job.w = &w[0]
    job.square = NULL if square is None else &square[0]
    job.add, job.threshold, job.more = add, lr * l1, lr * l2
    with nogil:
        run(
            each_narrow if real is float else each_wide, &job, (job.n + SLICE - 1) // SLICE,
            n_threads,
        )


cdef inline real root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef inline void start(
    real* w, const real* square, real* t, Py_ssize_t n, real add, real threshold, real more,
    real* squares, real* slopes, real* largest
) noexcept nogil:
    """Do the step for l2, put thresholds into t, and add up w^2 and w^2 t."""
    cdef real scale
    cdef Py_ssize_t k
    for k in range(n):
        scale = add if square == NULL else root(square[k]) + add
        w[k] = w[k] if more == 0.0 else w[k] / (1 + more / scale)  # the scale may be infinite
        t[k] = threshold / (scale + more)
    for k in range(n):
        squares[k] += w[k] * w[k]
        slopes[k] += w[k] * w[k] * t[k]
        largest[k] = t[k] if t[k] > largest[k] else largest[k]


cdef inline void add_up(
    const real* w, const real* t, const real* norms, Py_ssize_t n, real* totals, real* slopes
) noexcept nogil:
    """Add up r^2 and r^2 / (norm + t), with r = w / (norm + t)."""
    cdef real part, r
    cdef Py_ssize_t k
    for k in range(n):
        part = 1 / (norms[k] + t[k] + <real>TINY)
        r = w[k] * part
        totals[k] += r * r
        slopes[k] += r * r * part


cdef inline void shorten(real* w, const real* t, const real* norms, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        w[k] *= norms[k] / (norms[k] + t[k] + <real>TINY)


cdef inline real total(const real* lanes) noexcept nogil:
    cdef real s = 0.0
    cdef Py_ssize_t k
    for k in range(LANES):
        s += lanes[k]
    return s


cdef inline void join(real* sums, real* slopes, real* largest) noexcept nogil:
    """Add up lanes that belong to one group, for each of them."""
    cdef real s = total(sums), slope = total(slopes), most = 0.0
    cdef Py_ssize_t k
    for k in range(LANES):
        most = largest[k] if largest[k] > most else most
    for k in range(LANES):
        sums[k], slopes[k], largest[k] = s, slope, most


cdef inline bint guess(
    const real* sums, const real* slopes, const real* largest, real tol, real* norms
) noexcept nogil:
    """Norms to first order in the thresholds; whether that is enough."""
    cdef bint enough = True
    cdef Py_ssize_t k
    for k in range(LANES):
        norms[k] = 0.0 if sums[k] == 0.0 else root(sums[k]) - slopes[k] / sums[k]
        enough = enough and (sums[k] == 0.0 or largest[k] <= tol * norms[k])
        norms[k] = 0.0 if norms[k] < 0.0 else norms[k]
    return enough


cdef inline bint improve(
    const real* sums, const real* slopes, real tol, real* norms
) noexcept nogil:
    """A step of Newton's method for the norms; whether it was the last one."""
    cdef bint done = True
    cdef real change
    cdef Py_ssize_t k
    for k in range(LANES):
        change = sums[k] * (root(sums[k]) - 1) / (slopes[k] + <real>TINY)
        change = change if change > -norms[k] else -norms[k]
        norms[k] += change
        done = done and not fabs(change) > tol * norms[k]
    return done


cdef inline void groups(Job* job, Py_ssize_t task, int who, real* w) noexcept nogil:
    """Shorten the groups of a task, each of which has the norm n that solves

        sum_i (w_i / (n + t_i))^2 = 1,

    or is zero, if nothing does. One over the root of the sum is concave in n, so that a step of
    Newton's method ends below the root from wherever it starts, and from below it only moves up.
    The start is exact where thresholds t are equal, and else to first order in them.
    """
    cdef Py_ssize_t first = task * job.n_block, stride = job.n_groups * job.n_inner, i, k, _step
    cdef Py_ssize_t width = min(job.n_block, job.n_groups - first) * job.n_inner
    cdef bint alone = job.n_inner > 1  # all lanes belong to one group
    cdef bint done
    cdef real tol = <real>(3e-4 if real is float else 1e-8)  # the root of what is rounded
    cdef real[LANES] sums, slopes, largest, norms
    cdef real* t = <real*>job.scratch + who * job.n_outer * job.n_block * job.n_inner
    cdef const real* square = <const real*>job.square
    w += first * job.n_inner
    square = NULL if square == NULL else square + first * job.n_inner
    for k in range(LANES):
        sums[k] = slopes[k] = largest[k] = 0.0
    for i in range(job.n_outer):
        for k in range(0, width, 64):  # LANES, which Cython's range wants as a number
            start(
                w + i * stride + k, NULL if square == NULL else square + i * stride + k,
                t + i * width + k, min(width - k, <Py_ssize_t>LANES), <real>job.add,
                <real>job.threshold, <real>job.more, sums, slopes, largest,
            )
    if alone:
        join(sums, slopes, largest)
    done = guess(sums, slopes, largest, tol, norms) or square == NULL
    for _step in range(0 if done else MAX_ITER):
        for k in range(LANES):
            sums[k] = slopes[k] = 0.0
        for i in range(job.n_outer):
            for k in range(0, width, 64):
                add_up(
                    w + i * stride + k, t + i * width + k, norms,
                    min(width - k, <Py_ssize_t>LANES), sums, slopes,
                )
        if alone:
            join(sums, slopes, largest)
        if improve(sums, slopes, tol, norms):
            break
    for i in range(job.n_outer):
        for k in range(0, width, 64):
            shorten(
                w + i * stride + k, t + i * width + k, norms, min(width - k, <Py_ssize_t>LANES)
            )


cdef void groups_wide(void* job, Py_ssize_t k, int who) noexcept nogil:
    groups(<Job*>job, k, who, <double*>(<Job*>job).w)


cdef void groups_narrow(void* job, Py_ssize_t k, int who) noexcept nogil:
    groups(<Job*>job, k, who, <float*>(<Job*>job).w)


def group_step(
    real[:, :, ::1] w, const real[:, :, ::1] square, double add, double lr, double l1, double l2,
    int n_threads=1,
):
    """Do what `proximal_step` does, with the norms of the slices along the middle axis."""
    cdef Job job
    cdef real[::1] scratch
    job.n_outer, job.n_groups, job.n_inner = w.shape[0], w.shape[1], w.shape[2]
    cdef Py_ssize_t n = job.n_outer * job.n_groups * job.n_inner
    if square is not None and square.size != n:
        raise ValueError(f"square has {square.size} numbers, w has {n}")
    if n == 0 or lr == 0.0:
        return
    job.w = &w[0, 0, 0]
    job.square = NULL if square is None else &square[0, 0, 0]
    job.add, job.threshold, job.more = add, lr * l1, lr * l2
    job.n_block = LANES if job.n_inner == 1 else 1
    scratch = np.empty(
        max(n_threads, 1) * job.n_block * job.n_outer * job.n_inner,
        np.float32 if real is float else np.float64,
    )
    job.scratch = &scratch[0]
    with nogil:
        run(
            groups_narrow if real is float else groups_wide, &job,
            (job.n_groups + job.n_block - 1) // job.n_block, n_threads,
        )
