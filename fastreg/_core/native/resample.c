/* Design: the rows are centred and laid out in panels once, so that all that a sample of them costs
 * before its Gram product is a multiplication while they are copied. A panel has 1 to 4 vectors;
 * that number is a constant wherever a function is inlined. */
#include "resample.h"
#include "level.h"

#include <stdint.h>
#include <string.h>

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

#define MOST 4 /* vectors of a panel */

/* f with the number of vectors of a panel as a constant */
#define BY_VECTORS(f, Z, ...)                                                                      \
    switch ((Z)->panel / W) {                                                                      \
    case 1: f(1, Z, __VA_ARGS__); break;                                                           \
    case 2: f(2, Z, __VA_ARGS__); break;                                                           \
    case 3: f(3, Z, __VA_ARGS__); break;                                                           \
    default: f(4, Z, __VA_ARGS__);                                                                 \
    }

static ptrdiff_t list(const double *weight, ptrdiff_t n, int *rows, double *kept)
{
    ptrdiff_t m = 0;
    for (ptrdiff_t i = 0; i < n; i++) { /* without a branch, and without a comparison of doubles */
        uint64_t bits;
        memcpy(&bits, weight + i, sizeof bits);
        rows[m] = (int)i;
        kept[m] = weight[i];
        m += bits << 1 != 0;
    }
    return m;
}

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
    BY_VECTORS(take_rows, Z, rows, factor, m, block)
}

INLINE void predict_rows(int nv, const fastreg_table *Z, const int *rows, const double *weight,
                         ptrdiff_t m, const double *coef, double *out)
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
        out[k] = weight[k] * sum(total);
    }
}

static void predict(const fastreg_table *Z, const int *rows, const double *weight, ptrdiff_t m,
                    const double *coef, double *out)
{
    BY_VECTORS(predict_rows, Z, rows, weight, m, coef, out)
}

INLINE void correlate_rows(int nv, const fastreg_table *Z, const int *rows, const double *by,
                           ptrdiff_t m, double *out)
{
    for (ptrdiff_t q = 0; q < Z->n_panels; q++, out += nv * W) {
        const double *panel = Z->panels + q * Z->n * nv * W;
        vec even[MOST], odd[MOST]; /* two sums, which do not wait for each other */
        ptrdiff_t k = 0;
        UNROLL for (int v = 0; v < nv; v++) even[v] = odd[v] = all(0.0);
        for (; k + 2 <= m; k += 2) {
            const double *z0 = panel + (ptrdiff_t)rows[k] * nv * W;
            const double *z1 = panel + (ptrdiff_t)rows[k + 1] * nv * W;
            vec by0 = all(by[k]), by1 = all(by[k + 1]);
            UNROLL for (int v = 0; v < nv; v++) even[v] += by0 * load(z0 + v * W);
            UNROLL for (int v = 0; v < nv; v++) odd[v] += by1 * load(z1 + v * W);
        }
        if (k < m) {
            const double *z = panel + (ptrdiff_t)rows[k] * nv * W;
            vec by0 = all(by[k]);
            UNROLL for (int v = 0; v < nv; v++) even[v] += by0 * load(z + v * W);
        }
        UNROLL for (int v = 0; v < nv; v++) store(out + v * W, even[v] + odd[v]);
    }
}

static void correlate(const fastreg_table *Z, const int *rows, const double *v, ptrdiff_t m,
                      double *out)
{
    BY_VECTORS(correlate_rows, Z, rows, v, m, out)
}

const fastreg_resample_kernels LEVEL_NAMED(fastreg_resample_) = {list, take, predict, correlate};
