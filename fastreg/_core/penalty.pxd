# The separable penalty  h_j(w) = l1_j |w| + l2_j/2 w^2  on  lower_j <= w <= upper_j:  its proximal
# operator, its conjugate and the distance to its subdifferential. Bodies are inline: they sit in
# the innermost loops. An excluded or fixed feature is one with lower_j = upper_j.

from libc.math cimport INFINITY, fabs

cdef struct Penalty:
    const double* l1
    const double* l2
    const double* lower
    const double* upper


cdef inline double clip(double value, double lower, double upper) noexcept nogil:
    return lower if value < lower else (upper if value > upper else value)


cdef inline double soft(double value, double threshold) noexcept nogil:
    """Soft-thresholding: the value moved towards zero by the threshold, and zero within it."""
    if value > threshold:
        return value - threshold
    if value < -threshold:
        return value + threshold
    return 0.0


cdef inline double prox(Penalty h, Py_ssize_t j, double z, double curvature) noexcept nogil:
    """argmin over w of  curvature/2 w^2 - z w + h_j(w);  needs curvature + l2_j > 0."""
    return clip(soft(z, h.l1[j]) / (curvature + h.l2[j]), h.lower[j], h.upper[j])


cdef inline double value(Penalty h, Py_ssize_t j, double w) noexcept nogil:
    if w == 0.0:
        return 0.0
    return h.l1[j] * fabs(w) + 0.5 * h.l2[j] * w * w


cdef inline double feasible_scale(Penalty h, Py_ssize_t j, double v) noexcept nogil:
    """Largest kappa <= 1 for which the conjugate of h_j is finite at kappa v."""
    if h.l2[j] > 0.0 or fabs(v) <= h.l1[j]:
        return 1.0
    if (v > 0.0 and h.upper[j] < INFINITY) or (v < 0.0 and h.lower[j] > -INFINITY):
        return 1.0
    return h.l1[j] / fabs(v)


cdef inline double fenchel_gap(Penalty h, Py_ssize_t j, double w, double v) noexcept nogil:
    """h_j(w) + h_j*(v) - w v >= 0, arranged so that nearly equal terms never cancel."""
    cdef double excess = soft(v, h.l1[j])
    cdef double best, gap
    if h.l2[j] > 0.0:
        best = clip(excess / h.l2[j], h.lower[j], h.upper[j])
    elif excess > 0.0 and h.upper[j] < INFINITY:
        best = h.upper[j]
    elif excess < 0.0 and h.lower[j] > -INFINITY:
        best = h.lower[j]
    else:  # within the threshold, or on it up to rounding
        best = clip(0.0, h.lower[j], h.upper[j])
    if w >= 0.0 and best >= 0.0:
        gap = (w - best) * (h.l1[j] - v + 0.5 * h.l2[j] * (w + best))
    elif w <= 0.0 and best <= 0.0:
        gap = (w - best) * (-h.l1[j] - v + 0.5 * h.l2[j] * (w + best))
    else:
        gap = value(h, j, w) - value(h, j, best) - (w - best) * v
    return gap if gap > 0.0 else 0.0


cdef inline double violation(Penalty h, Py_ssize_t j, double w, double v) noexcept nogil:
    """Distance of v, minus the gradient of the loss, to the subdifferential of h_j at w."""
    cdef double low, high
    if w > 0.0:
        low = high = h.l1[j] + h.l2[j] * w
    elif w < 0.0:
        low = high = -h.l1[j] + h.l2[j] * w
    else:
        low = -h.l1[j]
        high = h.l1[j]
    if w <= h.lower[j]:
        low = -INFINITY
    if w >= h.upper[j]:
        high = INFINITY
    return low - v if v < low else (v - high if v > high else 0.0)
