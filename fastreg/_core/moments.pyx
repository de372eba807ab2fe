# Design: the moments of some rows are one vector of numbers, so that those of many folds are the
# rows of one array, and a merge is one loop. Means, not sums: a weight may be of any size. Merging
# adds what is not negative, so no digit of a column is lost to its mean (T. F. Chan, G. H. Golub,
# R. J. LeVeque, "Algorithms for computing the sample variance", Am. Stat. 37(3), 1983); nothing is
# ever taken off again.

import numpy as np

from libc.math cimport INFINITY, fabs, sqrt
from fastreg._core.gram cimport ROW_BLOCK, packed_block, products_at_once
from fastreg._core.kernels cimport Matrix, dot, matrix_of, rows_from

ctypedef fused real:
    float
    double

cdef double SMALLEST = 1e-280  # variance of which every product is a normal number
cdef double EPSILON = 2.220446049250313e-16
cdef double CONSTANT = 8.0 * EPSILON  # deviation over mean up to which a column does not vary
cdef double CERTAIN = 1e-9   # relative error of a held-out error from moments


def length(Py_ssize_t p, Py_ssize_t m):
    """Return how many numbers the moments of p columns and m responses are."""
    return HEAD + 2 * (p + m) + (p + m) * p + m


def write(double[::1] out, double weight, double rows, double rounding, mean, y_mean, gram, cross,
          square):
    """Write the moments of some rows; weights of the given products sum to one."""
    place = np.asarray(out)
    place[:HEAD] = weight, rows, rounding
    means = np.concatenate([mean, y_mean])
    size = np.sqrt(np.concatenate([gram.diagonal(), square]))
    at = HEAD
    for part in (means, gram, cross, square, EPSILON * np.abs(means) + rounding * size):
        place[at:at + part.size] = part.ravel()
        at += part.size


def survey_runs(const real[:, :] X, const double[:, :] Y, const double[::1] weight,
                const Py_ssize_t[::1] edges, double rounding):
    """Return the moments of each run of rows, in one go; None where the general way is needed.

    That is where a column does not vary, or its square is no number. `edges` has the first row of
    each run, and the number of rows.
    """
    cdef Py_ssize_t p = X.shape[1], m = Y.shape[1], q = p + m, k, n_runs = edges.shape[0] - 1
    cdef double[:, ::1] out = np.zeros((n_runs, HEAD + 2 * q + q * p + m))
    cdef double[:, ::1] gram = np.empty((q, q))
    cdef double[::1] ones = np.ones(q)
    cdef double[::1] room = np.empty(q)
    cdef double[::1] root = np.sqrt(weight)
    cdef double[::1] block = packed_block(min(ROW_BLOCK, X.shape[0]), q)
    cdef Matrix rows, targets
    cdef Py_ssize_t size = sizeof(real), wide = sizeof(double)
    cdef Matrix all_rows = matrix_of(
        &X[0, 0], X.strides[0] // size, X.strides[1] // size, X.shape[0], p, size < wide)
    cdef Matrix all_targets = matrix_of(
        &Y[0, 0], Y.strides[0] // wide, Y.strides[1] // wide, Y.shape[0], m, False)
    cdef double total
    cdef Py_ssize_t i
    cdef bint plain = True
    with nogil:
        for k in range(n_runs):
            total = 0.0
            for i in range(edges[k], edges[k + 1]):
                total += weight[i]
            if not weight[edges[k]] > 0.0:
                plain = False
                break
            rows, targets = rows_from(all_rows, edges[k]), rows_from(all_targets, edges[k])
            rows.n_rows = targets.n_rows = edges[k + 1] - edges[k]
            products_at_once(&rows, &targets, True, &weight[edges[k]], &root[edges[k]], total,
                             &ones[0], &room[0], &block[0], &out[k, HEAD], &gram[0, 0], q)
            plain = write_products(&out[k, 0], p, m, total, rows.n_rows, rounding, &gram[0, 0])
            if not plain:
                break
    return np.asarray(out) if plain else None


cdef bint write_products(
    double* out, Py_ssize_t p, Py_ssize_t m, double total, double n_rows, double rounding,
    const double* products) noexcept nogil:
    """Complete moments of which the means are there; return whether their squares are numbers."""
    cdef Py_ssize_t i, j, q = p + m
    cdef double* gram = out + HEAD + q
    cdef double* square = gram + q * p
    cdef double* error = square + m
    cdef double own
    out[WEIGHT], out[ROWS], out[ROUNDING] = total, n_rows, rounding
    for i in range(q):
        own = products[i * q + i] / total
        if not SMALLEST < own < INFINITY:
            return False
        error[i] = EPSILON * fabs(out[HEAD + i]) + rounding * sqrt(own)
        for j in range(min(i, p)):
            gram[i * p + j] = products[i * q + j] / total
            if i < p:
                gram[j * p + i] = gram[i * p + j]
        if i < p:
            gram[i * p + i] = own
        else:
            square[i - p] = own
    return True


def parts(state, Py_ssize_t p, Py_ssize_t m):
    """Return views of the parts of the moments: those that `write` takes, and the last one."""
    first = [HEAD, p, m, p * p, m * p, m, p + m]
    ends = np.cumsum(first).tolist()
    mean, y_mean, gram, cross, square, error = (
        state[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True))
    return mean, y_mean, gram.reshape(p, p), cross.reshape(m, p), square, error


def first_columns(state, Py_ssize_t p, Py_ssize_t m, Py_ssize_t size):
    """Return the moments of the first columns, and of all responses."""
    mean, y_mean, gram, cross, square, error = parts(state, p, m)
    return np.concatenate([
        state[:HEAD], mean[:size], y_mean, gram[:size, :size].ravel(), cross[:, :size].ravel(),
        square, error[:size], error[p:]])


cdef void merge_into(
    const double* a, const double* b, Py_ssize_t p, Py_ssize_t m, double* step, double* out,
) noexcept nogil:
    """The moments of the rows of both; `out` may be one of them, `step` has room for p + m."""
    cdef Py_ssize_t i, j, k, q = p + m, error = HEAD + q + q * p + m
    cdef double weight = a[WEIGHT] + b[WEIGHT], rows = a[ROWS] + b[ROWS]
    cdef double share, other, root, rounding, deviation, doubt, farthest = 0.0, doubtful = 0.0
    cdef const double* only = b if a[WEIGHT] == 0.0 else a  # `out` may be `a`
    if a[WEIGHT] == 0.0 or b[WEIGHT] == 0.0:
        for k in range(WEIGHT, error + q):
            out[k] = only[k]
        out[ROWS] = rows
        return
    share, other = a[WEIGHT] / weight, b[WEIGHT] / weight
    root = sqrt(share * other)
    rounding = max(a[ROUNDING], b[ROUNDING])
    for k in range(q):
        step[k] = root * (b[HEAD + k] - a[HEAD + k])
    for k in range(q):
        i = HEAD + q + ((p + 1) * k if k < p else q * p + k - p)
        deviation = sqrt(share * a[i] + other * b[i] + step[k] * step[k])
        doubt = root * (a[error + k] + b[error + k]) + 2.0 * EPSILON * fabs(step[k])
        out[error + k] = share * a[error + k] + other * b[error + k] + 3.0 * EPSILON * (
            share * fabs(a[HEAD + k]) + other * fabs(b[HEAD + k]))
        out[HEAD + k] = share * a[HEAD + k] + other * b[HEAD + k]
        if deviation > CONSTANT * fabs(out[HEAD + k]):
            farthest = max(farthest, fabs(step[k]) / deviation)
            doubtful = max(doubtful, doubt / deviation)
    k = HEAD + q
    for i in range(q):
        for j in range(p):
            out[k + j] = share * a[k + j] + other * b[k + j] + step[i] * step[j]
        k += p
    for i in range(m):
        out[k + i] = share * a[k + i] + other * b[k + i] + step[p + i] * step[p + i]
    out[WEIGHT], out[ROWS] = weight, rows
    # two steps are multiplied, one of which may be off by as much as a mean
    out[ROUNDING] = rounding + 4.0 * EPSILON + (2.0 * farthest + doubtful) * doubtful


cdef _require(Py_ssize_t size, Py_ssize_t p, Py_ssize_t m):
    if size != length(p, m):
        raise ValueError("these are no moments of so many columns and responses")


def merge(const double[::1] a, const double[::1] b, Py_ssize_t p, Py_ssize_t m):
    """Return the moments of the rows of both."""
    cdef double[::1] out = np.empty(a.shape[0])
    cdef double[::1] step = np.empty(p + m)
    _require(a.shape[0], p, m)
    _require(b.shape[0], p, m)
    with nogil:
        merge_into(&a[0], &b[0], p, m, &step[0], &out[0])
    return np.asarray(out)


def merge_others(const double[:, ::1] folds, Py_ssize_t p, Py_ssize_t m):
    """Return, for each fold, the moments of all others: sums from both ends, never a difference."""
    cdef Py_ssize_t k, count = folds.shape[0], size = folds.shape[1]
    cdef double[:, ::1] out = np.zeros((count, size))
    cdef double[::1] first = np.zeros(size)
    cdef double[::1] step = np.empty(p + m)
    _require(size, p, m)
    with nogil:
        for k in range(count - 2, -1, -1):
            merge_into(&folds[k + 1, 0], &out[k + 1, 0], p, m, &step[0], &out[k, 0])
        for k in range(1, count):
            merge_into(&first[0], &folds[k - 1, 0], p, m, &step[0], &first[0])
            merge_into(&first[0], &out[k, 0], p, m, &step[0], &out[k, 0])
    return np.asarray(out)


def heldout(const double[::1] state, Py_ssize_t p, Py_ssize_t m, Py_ssize_t response,
            const double[:, :] coef, const double[:] intercept):
    """Return the mean squared errors of some models on the rows of these moments.

        1/S sum_i s_i (y_i - b - x_i'w)^2 = yy - 2 c'w + w'G w + (mean y - b - mean x'w)^2

    and whether each is certain, or has lost digits to cancellation.
    """
    cdef Py_ssize_t a, j, n_models = coef.shape[0]
    cdef double[::1] error = np.empty(n_models)
    cdef char[::1] certain = np.empty(n_models, dtype=np.int8)
    cdef double[::1] w = np.empty(p)
    cdef double[::1] norm = np.empty(p)
    cdef const double* gram
    _require(state.shape[0], p, m)
    if coef.shape[1] != p or intercept.shape[0] != n_models or not 0 <= response < m:
        raise ValueError("shapes do not fit")
    gram = &state[HEAD + p + m]
    with nogil:
        for j in range(p):
            norm[j] = sqrt(gram[j * p + j])
        for a in range(n_models):
            for j in range(p):
                w[j] = coef[a, j]
            certain[a] = heldout_error(
                &state[0], p, m, response, &norm[0], &w[0], intercept[a], &error[a])
    return np.asarray(error), np.asarray(certain).view(np.bool_)


cdef bint heldout_error(
    const double* state, Py_ssize_t p, Py_ssize_t m, Py_ssize_t response, const double* norm,
    const double* w, double intercept, double* error) noexcept nogil:
    cdef Py_ssize_t j, count = 0, q = p + m
    cdef const double* mean = state + HEAD
    cdef const double* gram = mean + q
    cdef const double* cross = gram + (p + response) * p
    cdef const double* mean_error = gram + q * p + m
    cdef double yy = gram[q * p + response], inner = 0.0, size = sqrt(yy)
    cdef double off = mean[p + response] - intercept
    cdef double level = fabs(mean[p + response]) + fabs(intercept)
    cdef double doubt = mean_error[p + response]
    for j in range(p):
        if w[j] != 0.0:
            count += 1
            size += norm[j] * fabs(w[j])
            off -= mean[j] * w[j]
            level += fabs(mean[j] * w[j])
            doubt += mean_error[j] * fabs(w[j])
            inner += w[j] * (
                2.0 * (dot(gram + j * p, w, j) - cross[j]) + gram[j * p + j] * w[j])
    error[0] = yy + inner + off * off
    doubt += (count + 8) * EPSILON * level
    doubt = 2.0 * fabs(off) * doubt + doubt * doubt
    doubt += (state[ROUNDING] + (count + 8) * EPSILON) * size * size
    return doubt <= CERTAIN * error[0] and error[0] < INFINITY
