/* Rows drawn from one table with weights, over and over: bootstraps, jackknife, folds.
 *
 * The contract is that of kernels.h: pointers in, numbers out; one level of the same name each.
 */
#ifndef FASTREG_RESAMPLE_H
#define FASTREG_RESAMPLE_H

#include <stddef.h>

/* n rows as panels of `panel` columns, those of a packed block of kernels.h: panel q is a row-major
 * n x panel array from number q * panel * n on. */
typedef struct {
    const double *panels;
    ptrdiff_t n, n_panels, panel;
} fastreg_table;

typedef struct {
    /* the rows that have weight, n numbers in all, and the weights; returns how many */
    ptrdiff_t (*list)(const double *weight, ptrdiff_t n, int *rows, double *kept);
    /* block[k] = factor[k] z_i with i = rows[k], k < m: a packed block of kernels.h */
    void (*take)(const fastreg_table *Z, const int *rows, const double *factor, ptrdiff_t m,
                 double *block);
    /* out[k] = weight[k] z_i'coef with i = rows[k], k < m; coef has as many entries as the panels
     * have columns */
    void (*predict)(const fastreg_table *Z, const int *rows, const double *weight, ptrdiff_t m,
                    const double *coef, double *out);
    /* out = sum_k v[k] z_i with i = rows[k], k < m; out has as many entries */
    void (*correlate)(const fastreg_table *Z, const int *rows, const double *v, ptrdiff_t m,
                      double *out);
} fastreg_resample_kernels;

/* Level k of those that this build and this processor have: "plain", then those of kernels.h. */
const fastreg_resample_kernels *fastreg_resample_level(int k);

#endif
