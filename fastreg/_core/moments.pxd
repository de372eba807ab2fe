# How the moments of some rows lie in memory, and what they say of a model.

# Places in the vector. Behind them: means of the p columns and of the m responses, the p x p Gram
# matrix, the m x p products of responses and columns, the m squares of the responses; all centred,
# and divided by the sum of the weights. Last come bounds on the errors of the p + m means.
cdef enum:
    WEIGHT
    ROWS
    ROUNDING     # relative error of every product, to the norms of the two that it multiplies
    HEAD

cdef double CONSTANT  # deviation over mean up to which a column does not vary


# write the mean squared error of a model on the rows of moments; return whether that is certain.
# `norm` has the roots of the squares of the columns
cdef bint heldout_error(
    const double* state, Py_ssize_t p, Py_ssize_t m, Py_ssize_t response, const double* norm,
    const double* w, double intercept, double* error) noexcept nogil
