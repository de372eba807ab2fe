"""The proximal step of l1 |w| + l2/2 |w|^2 in the metric of Adam and its kin, in place.

Design
------
One pass over memory, where tensor operations need five and a temporary: on a processor that is the
difference between a twentieth and a third of what a training step costs. `fastreg.proximal` is the
same for every metric, group and device, and what this is tested against.

The branches are selections that vectorise, and NaN comes out as NaN.
"""

from libc.math cimport sqrt, sqrtf

ctypedef fused real:
    float
    double


cdef inline real root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef void shrink(
    real* w, const real* square, Py_ssize_t n, real add, real threshold, real more
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real scale, most, inside
    for i in range(n):
        scale = root(square[i]) + add
        most = threshold / scale
        inside = w[i] if w[i] < most else most
        inside = inside if inside > -most else -most
        w[i] = w[i] - inside if more == 0.0 else (w[i] - inside) * (scale / (scale + more))


def proximal_step(
    real[::1] w, const real[::1] square, double add, double lr, double l1, double l2
):
    """Minimise ``sum_i scale_i (x_i - w_i)^2 / (2 lr) + l1 |x| + l2/2 |x|^2``; x replaces w.

    The scale is ``sqrt(square) + add``.
    """
    if square.shape[0] != w.shape[0]:
        raise ValueError(f"square has {square.shape[0]} numbers, w has {w.shape[0]}")
    if w.shape[0] == 0:
        return
    with nogil:
        shrink(
            &w[0], &square[0], w.shape[0], <real> add, <real> (lr * l1), <real> (lr * l2)
        )
