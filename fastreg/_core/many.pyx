# Design: a batch is one job. Its problems are cut into tasks, and signals are looked at between
# rounds of tasks. Here is the memory of a job; what is done in it is `batch`.

import numpy as np

from libc.stdint cimport uintptr_t

from fastreg._core cimport kernels
from fastreg._core.batch cimport N_COUNTS, N_NUMBERS, Job, Selection, do_task
from fastreg._core.design cimport check_interrupt
from fastreg._core.embedded cimport Fit, lay_out, workspace_size
from fastreg._core.intake cimport take_rows
from fastreg._core.kernels cimport Matrix, matrix_of
from fastreg._core.resample cimport (
    Draw,
    Sample,
    Screen,
    fill_sample,
    lay_out_draw,
    room_of_draw,
    table_size,
)

cdef enum:
    TASK = 1 << 17    # multiplications, at least, that one task is
    ROUND = 1 << 28   # and a round of tasks, for each thread


cdef const double* pointer(const double[::1] array) noexcept:
    return NULL if array is None or array.shape[0] == 0 else &array[0]


cdef run(Job* job, Py_ssize_t n_problems, double work, int n_threads):
    """Do all problems, in rounds; `work` is that of one, about, in multiplications."""
    cdef Py_ssize_t a_round
    job.a_task = <Py_ssize_t>(TASK / work) + 1
    a_round = max(<Py_ssize_t>(ROUND / work) + 1, job.a_task) * n_threads
    job.first = 0
    while job.first < n_problems:
        job.last = min(job.first + a_round, n_problems)
        with nogil:
            kernels.run(do_task, job, (job.last - job.first + job.a_task - 1) // job.a_task,
                        n_threads)
        check_interrupt()
        job.first = job.last


cdef void* address(array):
    cdef const unsigned char[::1] view = array.view(np.uint8)
    return <void*>&view[0]


cdef double* aligned(array):
    """The first of its numbers at a multiple of 64 bytes; there are 8 more than are used."""
    return <double*>((<uintptr_t>address(array) + 63) // 64 * 64)


cdef tuple fits_of(Py_ssize_t n, Py_ssize_t p, int count, bint standardize):
    """Return an array of `count` structs Fit, and the memory that they lie in."""
    cdef size_t size = workspace_size(n, p)
    cdef size_t stride = (size + 63) // 64 * 8
    cdef Fit* first
    cdef double* memory
    cdef int k
    if size == 0:
        raise MemoryError("one of the problems is larger than any memory")
    room = np.empty(count * stride)
    fits = np.zeros(count * sizeof(Fit), dtype=np.uint8)
    memory, first = <double*>address(room), <Fit*>address(fits)
    for k in range(count):
        lay_out(first + k, n, p, memory + k * stride)
        first[k].standardize = standardize
    return fits, room


cdef tuple sample_of(const Matrix* X, const double* y, bint centred):
    """Return a struct Sample, and the memory that it lies in."""
    cdef Sample* sample
    struct = np.zeros(sizeof(Sample), dtype=np.uint8)
    table = np.empty(table_size(X.n_rows, X.n_columns) + 8)
    vectors = np.empty(2 * (X.n_columns + 1))
    sample = <Sample*>address(struct)
    fill_sample(sample, X, y, centred, aligned(table), <double*>address(vectors))
    return struct, table, vectors


cdef tuple lay_out_sample(Job* job, int n_threads):
    """Prepare the rows that all problems draw from; return the memory for it."""
    cdef Py_ssize_t n = job.X.n_rows, p = job.X.n_columns, size = room_of_draw(n, p)
    cdef int k
    sample = sample_of(&job.X, NULL if job.y_stride else job.y, job.centred)
    draws = np.zeros(n_threads * sizeof(Draw), dtype=np.uint8)
    room = np.empty(n_threads * size)
    job.sample, job.draws = <Sample*>address(sample[0]), <Draw*>address(draws)
    for k in range(n_threads):
        lay_out_draw(job.draws + k, n, p, <double*>address(room) + k * size)
    return sample, draws, room


cdef tuple lay_out_screen(Job* job, X, few, factor, int n_threads):
    """Prepare the features that are tried alone; return the memory for it."""
    cdef Matrix part
    cdef Py_ssize_t m = len(few)
    columns = np.ascontiguousarray(X[:, few]).ravel()
    part = matrix_of(address(columns), m, 1, job.X.n_rows, m, False)
    sample = sample_of(&part, job.y, job.centred)
    fits = fits_of(job.X.n_rows, m, n_threads, False)
    limit = np.ones(job.X.n_columns) if factor is None else factor.copy()
    limit[few] = np.inf
    few_factor = None if factor is None else factor[few]
    screen = np.zeros(sizeof(Screen), dtype=np.uint8)
    job.screen, job.few = <Screen*>address(screen), <Fit*>address(fits[0])
    job.few_factor = NULL if factor is None else <double*>address(few_factor)
    (<Screen*>job.screen).few = (<Sample*>address(sample[0]))[0]
    (<Screen*>job.screen).feature = <int*>address(few)
    (<Screen*>job.screen).limit = <double*>address(limit)
    return columns, sample, fits, limit, few, few_factor, screen


cdef place_columns(Job* job, X, order):
    """Point at columns that lie on their own, or at those of a table; return the memory for it."""
    cdef const double[:] column
    cdef const Py_ssize_t[::1] rows = order
    cdef size_t[::1] places = np.empty(job.X.n_columns, dtype=np.uintp)
    cdef Py_ssize_t j, stride = 0
    for j in range(job.X.n_columns):
        column = X[j] if isinstance(X, list) else X[:, j]
        stride = column.strides[0]
        if column.shape[0] != job.X.n_rows or isinstance(X, list) and stride != sizeof(double):
            raise ValueError("shapes do not fit")
        places[j] = <size_t>&column[0]
    job.step = stride // <Py_ssize_t>sizeof(double)
    job.columns, job.order = <const double* const*>&places[0], NULL
    if rows is not None:
        job.order = &rows[0]
    return places


cdef check_rows(Py_ssize_t n, Py_ssize_t n_problems, const double[:, ::1] y,
                const double[:, ::1] weight, const int[::1] fold, bint resampled):
    """Have y, weights and folds as many rows as X, for one problem or for all?"""
    if not (n > 0 and y.shape[1] == n and y.shape[0] in (1, n_problems)
            and (weight is None or weight.shape[1] == n and weight.shape[0] in (1, n_problems))
            and (not resampled or weight is not None and weight.shape[0] == n_problems)
            and (fold is None or fold.shape[0] == n)):
        raise ValueError("shapes do not fit")


cdef check_runs(Py_ssize_t n, Py_ssize_t n_problems, const double[:, ::1] y,
                const Py_ssize_t[::1] edges, bint has_columns, order):
    """Are there edges where there have to be?"""
    if edges is None:
        if has_columns or order is not None:
            raise ValueError("shapes do not fit")
    elif edges.shape[0] != n_problems + 1 or y.shape[0] != 1 or not (
            order is None or order.shape[0] == n):
        raise ValueError("shapes do not fit")


cdef take_whole(Job* job, Fit* fit):
    """Take the rows that all problems share, with their weights."""
    cdef const double[::1] nothing = np.zeros(job.X.n_rows)
    cdef int ending
    with nogil:
        ending = take_rows(fit, &job.X, &nothing[0], job.weight, job.centred)
    job.whole = fit if ending > 0 else NULL  # each problem is to tell why
    return nothing


def solve_batch(X, order, const double[:, ::1] y, const Py_ssize_t[::1] edges,
                const double[:, ::1] weight, const double[:, ::1] l1, const double[:, ::1] l2,
                factor, lower, upper, *, bint centred, bint standardize, double tol,
                Py_ssize_t max_sweeps, int n_threads, str selection, const int[::1] fold,
                bint resampled, few):
    """Solve many problems: runs of the rows of X, or (edges None) those that share X.

    X may be a list of contiguous columns. With `order` the runs are of X[order]; y, weight and fold
    are in that order already.

    y and weight (may be None) have one row for all runs, or one or as many as problems share X.
    `resampled` says that X and y are finite and that each problem has weights of its own; features
    `few` (int32, or None) are then tried alone, with an L1 strength and without bounds, selections
    and paths, before all of them. With a selection ("aic", "bic" or "cv", then by the fold of each
    row) K is 1 in what is returned, whatever the number of strengths. Returns coefficients
    (B, K, p), numbers (6, B, K) and counts (4, B, K) in the order of the enums of `batch`, and the
    criterion of all strengths.
    """
    cdef const double[:, :] table = X[0][:, None] if isinstance(X, list) else X
    cdef Py_ssize_t p = len(X) if isinstance(X, list) else table.shape[1]
    cdef Py_ssize_t n_problems = l1.shape[0], n_points = l1.shape[1]
    cdef Py_ssize_t n = table.shape[0], step = sizeof(double)
    cdef Py_ssize_t n_written = 1 if selection else n_points
    cdef double[:, :, ::1] coef = np.empty((n_problems, n_written, p))
    cdef double[:, :, ::1] number = np.empty((N_NUMBERS, n_problems, n_written))
    cdef long long[:, :, ::1] count = np.zeros((N_COUNTS, n_problems, n_written), dtype=np.int64)
    cdef double[:, ::1] criterion = np.empty((n_problems, n_points if selection else 1))
    cdef double[:, ::1] scratch
    cdef Job job
    check_rows(n, n_problems, y, weight, fold, resampled)
    check_runs(n, n_problems, y, edges, isinstance(X, list), order)
    if not (p > 0 and n_points > 0 and l2.shape[0] == n_problems and l2.shape[1] == n_points
            and (selection != "cv" or fold is not None)):
        raise ValueError("shapes do not fit")
    job.X = matrix_of(&table[0, 0], table.strides[0] // step, table.strides[1] // step, n, p, False)
    job.columns = NULL
    if order is not None or isinstance(X, list):
        _places = place_columns(&job, X, order)
    job.edges = NULL
    if edges is not None:
        job.edges = &edges[0]
        n = np.diff(edges).max(initial=1)
    job.y, job.y_stride = &y[0, 0], y.shape[1] if y.shape[0] > 1 else 0
    job.weight, job.weight_stride = NULL, 0
    if weight is not None:
        job.weight, job.weight_stride = &weight[0, 0], weight.shape[1] if weight.shape[0] > 1 else 0
    job.l1, job.l2, job.n_points = &l1[0, 0], &l2[0, 0], n_points
    job.factor, job.lower, job.upper = pointer(factor), pointer(lower), pointer(upper)
    job.centred, job.tol, job.max_sweeps = centred, tol, max_sweeps
    job.coef, job.number, job.count = &coef[0, 0, 0], &number[0, 0, 0], &count[0, 0, 0]
    job.size, job.whole = n_problems * n_written, NULL
    job.selection = {"": Selection.NOTHING, "aic": Selection.AIC, "bic": Selection.BIC,
                     "cv": Selection.CROSS_VALIDATION}[selection]
    job.criterion, job.fold, job.n_folds, job.n_rows = &criterion[0, 0], NULL, 0, n
    if selection == "cv":
        job.fold, job.n_folds = &fold[0], max(fold) + 1
    # What is called _something is memory that the job points to.
    n_threads = max(1, min(n_threads, n_problems))
    job.a_scratch = n + p + (0 if job.columns == NULL else n * p)
    scratch = np.empty((n_threads, job.a_scratch))
    job.scratch = &scratch[0, 0]
    fits = fits_of(n, p, n_threads + 1, standardize)
    job.fits = <Fit*>address(fits[0])
    job.sample, job.screen = NULL, NULL
    if resampled:
        _sample = lay_out_sample(&job, n_threads)
        if few is not None and len(few) and job.y_stride == 0:
            _screen = lay_out_screen(&job, X, few, factor, n_threads)
    # folds have Gram matrices of their own, for which the place of a borrowed one is none
    if edges is None and job.weight_stride == 0 and n_problems > 1 and selection != "cv":
        _nothing = take_whole(&job, job.fits + n_threads)
    work = <double>n * p * (p if job.whole == NULL else 1) + 50.0 * p * p * n_points + 1000.0
    run(&job, n_problems, work * (1 + job.n_folds), n_threads)
    return np.asarray(coef), np.asarray(number), np.asarray(count), np.asarray(criterion)
