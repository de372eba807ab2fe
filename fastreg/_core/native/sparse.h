/* The hot loops on sparse columns, compiled once for every instruction-set level.
 *
 * The contract is that of kernels.h; kernels.pyx holds the level "plain" of these loops, too.
 */
#ifndef FASTREG_SPARSE_H
#define FASTREG_SPARSE_H

#include <stddef.h>

/* Compressed columns (CSC): column j is what lies between start[j] and start[j + 1]. */
typedef struct {
    const ptrdiff_t *start;
    const int *rows;
    const double *wide;
    const float *narrow; /* instead of `wide`, or NULL */
    ptrdiff_t n_rows;
} fastreg_sparse;

typedef struct {
    /* out[k] = scale_j sum_i v[i] (x_ij - shift_j) for j = columns[k], or first + k where `columns`
     * is NULL; v_sum = sum_i v[i]. */
    void (*dots)(const fastreg_sparse *X, const int *columns, ptrdiff_t first, ptrdiff_t m,
                 const double *shift, const double *scale, const double *v, double v_sum,
                 double *out);
    /* of columns first..last: total_j = sum_i x_ij, square_j = sum_i x_ij^2,
     * cross_j = sum_i v[i] x_ij */
    void (*sums)(const fastreg_sparse *X, ptrdiff_t first, ptrdiff_t last, const double *v,
                 double *total, double *square, double *cross);
} fastreg_sparse_kernels;

/* Level k of those that this build and this processor have, the best one last; NULL behind it. */
const fastreg_sparse_kernels *fastreg_sparse_level(int k);

#endif
