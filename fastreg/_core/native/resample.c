/* Design: the rows are centred and laid out in panels once, so that all that a sample of them costs
 * before its Gram product is a multiplication while they are copied. A panel has 1 to 4 vectors;
 * that number is a constant wherever a function is inlined. */
#include "resample.h"
#include "level.h"

#include <stdint.h>

#ifdef FASTREG_PLAIN
#define W 1
#define INLINE static inline
#define UNROLL
typedef double vec;
INLINE vec load(const double *x) { return *x; }
INLINE void store(double *x, vec a) { *x = a; }
INLINE vec all(double a) { return a; }
INLINE double sum(vec a) { return a; }
#else
#include "vectors.h"
#endif

#define GROUP 64 /* rows that stay in the first-level cache from one loop to the next */
#define MOST 4   /* vectors of a panel */

INLINE void take_rows(int nv, const fastreg_table *Z, const int *rows, const double *factor,
                      ptrdiff_t m, double *block)
{
    for (ptrdiff_t q = 0; q < Z->n_panels; q++) {
        const double *panel = Z->panels + q * Z->n * nv * W;
        for (ptrdiff_t k = 0; k < m; k++, block += nv * W) {
            const double *z = panel + (ptrdiff_t)rows[k] * nv * W;
            vec by = all(factor[k]);
            UNROLL for (int v = 0; v < nv; v++) store(block + v * W, by * load(z + v * W));
        }
    }
}

static void take(const fastreg_table *Z, const int *rows, const double *factor, ptrdiff_t m,
                 double *block)
{
    switch (Z->panel / W) {
    case 1: take_rows(1, Z, rows, factor, m, block); break;
    case 2: take_rows(2, Z, rows, factor, m, block); break;
    case 3: take_rows(3, Z, rows, factor, m, block); break;
    default: take_rows(4, Z, rows, factor, m, block);
    }
}

/* residual[k] = weight[k] z_i'coef */
INLINE void predict(int nv, const fastreg_table *Z, const int *rows, const double *weight,
                    ptrdiff_t m, const double *coef, double *residual)
{
    for (ptrdiff_t k = 0; k < m; k++) {
        const double *z = Z->panels + (ptrdiff_t)rows[k] * nv * W;
        vec total = all(0.0);
        vec s[MOST];
        UNROLL for (int v = 0; v < nv; v++) s[v] = all(0.0);
        for (ptrdiff_t q = 0; q < Z->n_panels; q++, z += Z->n * nv * W)
            UNROLL for (int v = 0; v < nv; v++)
                s[v] += load(z + v * W) * load(coef + (q * nv + v) * W);
        UNROLL for (int v = 0; v < nv; v++) total += s[v];
        residual[k] = weight[k] * sum(total);
    }
}

INLINE void correlate(int nv, const fastreg_table *Z, const int *rows, const double *residual,
                      ptrdiff_t m, double *out)
{
    for (ptrdiff_t q = 0; q < Z->n_panels; q++, out += nv * W) {
        const double *panel = Z->panels + q * Z->n * nv * W;
        vec s[MOST];
        UNROLL for (int v = 0; v < nv; v++) s[v] = load(out + v * W);
        for (ptrdiff_t k = 0; k < m; k++) {
            const double *z = panel + (ptrdiff_t)rows[k] * nv * W;
            vec by = all(residual[k]);
            UNROLL for (int v = 0; v < nv; v++) s[v] += by * load(z + v * W);
        }
        UNROLL for (int v = 0; v < nv; v++) store(out + v * W, s[v]);
    }
}

INLINE void image_of(int nv, const fastreg_table *Z, const int *rows, const double *weight,
                     ptrdiff_t m, const double *coef, double *out)
{
    double residual[GROUP];
    for (ptrdiff_t j = 0; j < Z->n_panels * nv * W; j++)
        out[j] = 0.0;
    for (ptrdiff_t k = 0; k < m; k += GROUP) {
        ptrdiff_t count = m - k < GROUP ? m - k : GROUP;
        predict(nv, Z, rows + k, weight + k, count, coef, residual);
        correlate(nv, Z, rows + k, residual, count, out);
    }
}

static void image(const fastreg_table *Z, const int *rows, const double *weight, ptrdiff_t m,
                  const double *coef, double *out)
{
    switch (Z->panel / W) {
    case 1: image_of(1, Z, rows, weight, m, coef, out); break;
    case 2: image_of(2, Z, rows, weight, m, coef, out); break;
    case 3: image_of(3, Z, rows, weight, m, coef, out); break;
    default: image_of(4, Z, rows, weight, m, coef, out);
    }
}

const fastreg_resample_kernels LEVEL_NAMED(fastreg_resample_) = {take, image};
