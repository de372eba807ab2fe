# Paths of many responses that share one Gram matrix, as many at a time as a vector has lanes: for
# `moment_path`, which solves what is left over.

from fastreg._core.record cimport Record

cdef enum:
    FEW_LANES = 4      # responses below which one after the other is faster

# Solve from the Gram matrix and the factors > 0 of its coordinates, the features behind them and
# the moments of the responses; l1 and l2 have a column a response. Write the paths that are proven
# at every point, and return which ones these are
cdef unsigned char[::1] solve_in_lockstep(
    Record record, const double[:, ::1] gram, const int[::1] feature, const double[::1] l1_factor,
    const double[::1] l2_factor, const double[:, ::1] cross, const double[::1] size,
    const double[::1] unit, const double[::1] mean, const double[:, ::1] l1,
    const double[:, ::1] l2, double tol, Py_ssize_t max_sweeps, double deadline, double rounding,
    int n_threads)
