# What the Gram matrix cannot see: directions v of the working set whose curvature |Z v|^2 is lost
# in its rounding. They are measured on X itself, so that a certificate need not guess, and a
# solver can move along them. Used by every method that holds a `Quadratic`.

from cython cimport final

from fastreg._core.objective cimport Correction, LeastSquares
from fastreg._core.quadratic cimport Quadratic


@final
cdef class Dependence:
    cdef readonly Py_ssize_t n_null  # directions that are null on X too, and cost nothing to go
    cdef LeastSquares _problem
    cdef Quadratic _quadratic
    cdef object _key                 # for which members all this was measured
    cdef object _directions          # k x size: coordinates of the directions that are not null
    cdef object _length              # k: |Z v|, the ridge part included
    cdef double _slack               # by how much their rounding may have lengthened them, at most
    cdef object _left                # Z V' / length = left diag(spread) right: k x r, r, r x n
    cdef object _spread
    cdef object _right

    # measure the doubtful directions of the quadratic anew where they have changed; returns whether
    # there are any
    cdef bint refresh(self) except -1
    # the virtual Newton step along them from the current, truly known, point
    cdef Correction correction(self)
    # make that step where it gains more than the target, or as much of it as the face allows
    cdef improve(self, double target)
    cdef _measure(self, list doubtful)
    cdef _image(self, const double[::1] v)
    cdef _products(self, weighted)
    cdef _step(self)
    cdef _root_ridge(self)
