# Design: a single function for all penalties, bounds and solvers. Two dual points are tried: the
# largest multiple of the residual at which every conjugate is finite, and the multiple at which
# |c_j| <= l1_j holds for every feature; a ridge part makes the first finite but not always better.
# Most features are zero and within their threshold: they limit no multiple and add nothing to the
# gap, so the others are listed first.

from libc.math cimport fabs, sqrt

from fastreg._core.kernels cimport simd
from fastreg._core.penalty cimport Penalty, feasible_scale, fenchel_gap, violation


cdef inline double stationary(Penalty h, Py_ssize_t j, double w) noexcept nogil:
    if w > 0.0:
        return h.l1[j] + h.l2[j] * w
    if w < 0.0:
        return h.l2[j] * w - h.l1[j]
    return 0.0


cdef double NEGLIGIBLE = 1e-14


cdef struct Point:
    Penalty h
    const int* listed
    Py_ssize_t n_listed
    const double* w
    const double* c
    const double* norm
    double radius
    double noise
    const char* exact
    double residual_square


cdef inline double slack_of(Point* at, Py_ssize_t j) noexcept nogil:
    return at.norm[j] * at.radius if at.radius > 0.0 else 0.0


cdef inline double excused(Point* at, Py_ssize_t j) noexcept nogil:
    """The largest possible violation of an unpenalised coordinate within rounding; else zero.

    With an L1 strength a slightly smaller residual repairs a violation; here none would.
    """
    cdef double slack = slack_of(at, j)
    if at.noise == 0.0 or at.h.l1[j] > 0.0 or at.h.l2[j] > 0.0:
        return 0.0
    if violation(at.h, j, at.w[j], at.c[j]) > at.noise * at.norm[j]:
        return 0.0
    return max(violation(at.h, j, at.w[j], at.c[j] + slack),
               violation(at.h, j, at.w[j], at.c[j] - slack))


cdef double gap_at(Point* at, double kappa) noexcept nogil:
    cdef double missing = (1.0 - kappa) * (sqrt(at.residual_square) + at.radius)
    cdef double gap = 0.5 * missing * missing
    cdef double slack, low, high, excess
    cdef Py_ssize_t j, k
    for k in range(at.n_listed):
        j = at.listed[k]
        if at.norm[j] == 0.0:  # nothing moves it
            continue
        if at.exact != NULL and at.exact[j]:
            if kappa < 1.0 or at.h.l2[j] > 0.0:
                gap += fenchel_gap(
                    at.h, j, at.w[j], kappa * stationary(at.h, j, at.w[j]))
            continue
        excess = excused(at, j)
        if excess > 0.0:
            gap += 0.5 * excess * excess / (NEGLIGIBLE * at.norm[j] * at.norm[j])
            continue
        slack = slack_of(at, j)
        low = fenchel_gap(at.h, j, at.w[j], kappa * (at.c[j] - slack))
        high = fenchel_gap(at.h, j, at.w[j], kappa * (at.c[j] + slack)) if slack > 0.0 else low
        gap += max(low, high)
    return gap


cdef Py_ssize_t list_relevant(
    const double* w, const double* c, const double* l1, const double* norm, double radius,
    Py_ssize_t p, int* listed) noexcept nogil:
    """List the features that are not zero or whose correlation may exceed its threshold."""
    cdef Py_ssize_t j, count = 0
    if radius == 0.0:
        return simd.list_urgent(c, w, l1, 1.0, p, listed)
    for j in range(p):
        if not (fabs(c[j]) + norm[j] * radius < l1[j] and w[j] == 0.0):
            listed[count] = <int>j
            count += 1
    return count


cdef Certificate certify(
    Penalty h, Py_ssize_t p, const double* w, const double* c, const double* norm, double radius,
    double noise, const char* exact, double residual_square, int* room, double cap=1.0,
) noexcept nogil:
    cdef Point at = Point(
        h, room, list_relevant(w, c, h.l1, norm, radius, p, room), w, c, norm, radius, noise,
        exact, residual_square)
    cdef double finite = cap, below = cap, slack, size
    cdef Py_ssize_t j, k
    cdef Certificate best, other
    for k in range(at.n_listed):
        j = room[k]
        if exact != NULL and exact[j] or h.lower[j] == h.upper[j] or norm[j] == 0.0:
            continue
        slack = slack_of(&at, j)
        size = fabs(c[j]) + slack
        if size <= h.l1[j] or excused(&at, j) > 0.0:
            continue
        below = min(below, h.l1[j] / size)
        finite = min(finite, feasible_scale(h, j, c[j] + slack))
        if slack > 0.0:
            finite = min(finite, feasible_scale(h, j, c[j] - slack))
    best.kappa = finite
    best.gap = gap_at(&at, finite)
    if below < finite:
        other.kappa = below
        other.gap = gap_at(&at, below)
        if other.gap < best.gap:
            best = other
    return best
