/* The hot loops on dense data, compiled once for every instruction-set level.
 *
 * Contract: pointers in, numbers out; nothing is allocated, raised or remembered. `fastreg_kernels`
 * is one level; all levels compute the same sums, each in an order of its own that depends on the
 * shape alone. A sum over rows keeps several partial results, so that nothing needs -ffast-math.
 * kernels.pyx holds the level "plain" in Cython, which every other one is tested against.
 */
#ifndef FASTREG_KERNELS_H
#define FASTREG_KERNELS_H

#include <stddef.h>

/* Element (i, j) is data[i * row_stride + j * column_stride]; one of the strides is 1. */
typedef struct {
    const void *data;
    ptrdiff_t row_stride, column_stride;
    ptrdiff_t n_rows, n_columns;
    int narrow; /* float instead of double */
} fastreg_matrix;

/* The pieces of a Gram product. A packed block is a row block of a matrix with `width` columns, as
 * panels of `panel` columns: panel q is a row-major rows x panel array of numbers of `size` bytes,
 * from number q * panel * rows of the block on; aligned to 64 bytes it is read faster. */
typedef struct {
    ptrdiff_t panel, size;
    /* Columns at..at + m of a block: (x_ij - shift_j) * root_weight[i] * scale_j for rows
     * first..first + rows. It may overwrite the columns behind them in their last panel. */
    void (*pack)(const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows, const int *columns,
                 ptrdiff_t m, const double *shift, const double *scale, const double *root_weight,
                 void *block, ptrdiff_t at);
    /* out[(a - first_new) * stride + b] += sum_i block[i, a] block[i, b] for a >= first_new, b <= a;
     * entries with b > a are left undefined. What lies behind the last column in its panel is read
     * and counts for nothing, but numbers that are not normal make it slow. Columns of `next` are fetched into the cache meanwhile
     * where that pays (NULL: nothing). */
    void (*tiles)(const void *block, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t first_new,
                  double *out, ptrdiff_t stride, const fastreg_matrix *next, const int *columns,
                  ptrdiff_t m);
} fastreg_product;

typedef struct {
    const char *name;

    double (*dot)(const double *a, const double *b, ptrdiff_t n);
    void (*axpy)(double a, const double *x, double *y, ptrdiff_t n);
    /* out[k] = x_k'v */
    void (*dot4)(const double *x0, const double *x1, const double *x2, const double *x3,
                 const double *v, ptrdiff_t n, double *out);
    /* y += sum_k a[k] x_k */
    void (*axpy4)(const double *a, const double *x0, const double *x1, const double *x2,
                  const double *x3, double *y, ptrdiff_t n);

    /* Columns: columns[k], or k itself where `columns` is NULL. `shift` has one entry a column of
     * X, everything else one for each of the m columns. */

    /* out[k] = sum_i v[i] (x_ij - shift_j) */
    void (*column_dots)(const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                        const double *shift, const double *v, double *out);
    /* the same with v and u, for all columns */
    void (*column_dots_two)(const fastreg_matrix *X, const double *shift, const double *v,
                            const double *u, double *out, double *other);
    /* out[i] += sum_k coef[k] (x_ij - shift_j) */
    void (*add_columns)(const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                        const double *shift, const double *coef, double *out);
    /* With d = x_ij - shift_j, for every column: first = sum_i weight[i] d,
     * second = sum_i weight[i] d^2, cross[k * stride + j] = sum_i V[k * V_stride + i] d, k < m.
     * Where head >= 0 and columns are contiguous, `shift` is written first: the weighted mean of
     * some rows from `head` on, which must have weight. */
    void (*column_sums)(const fastreg_matrix *X, const double *weight, const double *V, ptrdiff_t m,
                        ptrdiff_t V_stride, ptrdiff_t head, double *shift, double *first, double *second,
                        double *cross, ptrdiff_t stride);

    /* Gram products, in double and in float: X of either type, sums over blocks in double. */
    fastreg_product wide, narrow;

    /* Loops over all features. */

    /* c[j] = sum_k share[k] image[k * stride + j], slack[j] = length rest[j] + margin norm[j] */
    void (*bounds)(const double *image, ptrdiff_t stride, const double *share, ptrdiff_t m,
                   const double *rest, double length, const double *norm, double margin,
                   ptrdiff_t n, double *c, double *slack);
    /* list those of first..n with |c| + (slack + radius norm) > level (or NaN); return how many */
    ptrdiff_t (*list_undecided)(const double *c, const double *slack, const double *norm,
                                double radius, const double *level, ptrdiff_t first, ptrdiff_t n,
                                int *list);
    /* list those that do not have |c| < factor level and w = 0; return how many */
    ptrdiff_t (*list_urgent)(const double *c, const double *w, const double *level, double factor,
                             ptrdiff_t n, int *list);
    /* below[j] = kappa (|c| + slack) + norm reach < level */
    void (*prove_below)(const double *c, const double *slack, const double *norm, double kappa,
                        double reach, const double *level, ptrdiff_t n, unsigned char *below);
    /* sum_j norm[j] |w[j]| */
    double (*size)(const double *norm, const double *w, ptrdiff_t n);

    /* w[i] becomes the x that minimises s/2 (x - w[i])^2 + threshold |x| + more/2 x^2 with
     * s = sqrt(square[i]) + add > 0. */
    void (*soften)(float *w, const float *square, ptrdiff_t n, float add, float threshold,
                   float more);
} fastreg_kernels;

/* Level k of those that this build and this processor have, the best one last; NULL behind it. */
const fastreg_kernels *fastreg_kernels_level(int k);

#endif
