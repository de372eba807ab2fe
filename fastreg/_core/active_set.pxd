# Newton steps of a quadratic on its active set: the free coordinates, of which the maintained
# Cholesky factor holds those that do not depend on each other.

from fastreg._core.quadratic_state cimport QuadraticState

cdef enum:
    WORK_A_LOOK = 1 << 27   # multiplications between two looks at signals and the clock


# move the free coordinates into the factor without a step (those that depend on it may slide)
cdef void synchronise(QuadraticState* q) noexcept nogil
# go to the minimum over the free coordinates, leaving out those that meet a boundary; returns
# whether it was reached
cdef bint newton(QuadraticState* q) noexcept nogil
# virtual Newton step: writes it to `step`, returns its squared length in the metric of the Hessian,
# or infinity where it would leave the face of the current support. What doubtful directions add to
# the square is estimated, or given as measured on X
cdef double decrement(QuadraticState* q, double measured=*) noexcept nogil
