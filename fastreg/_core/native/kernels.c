/* Design: GCC and clang vector extensions, so that one text serves every processor; meson.build
 * compiles it once a level with the matching -m flags. `narrow` and the number of columns are
 * constants wherever a function is inlined: the branches on them cost nothing.
 *
 * What a lane or a column computes does not depend on its neighbours: the last columns of a row go
 * through a vector that starts earlier, and computes some of them twice, with the same result.
 */
#include "kernels.h"

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define W 8  /* doubles in a vector */
#define MR 8 /* a register tile is MR x (NV * W) */
#define NV 2
#define TABLE fastreg_kernels_avx512
#define NAME "avx512"
#elif defined(__AVX2__)
#define W 4
#define MR 4
#define NV 3
#define TABLE fastreg_kernels_avx2
#define NAME "avx2"
#else
#define W 2
#define MR 4
#if defined(__aarch64__)
#define NV 4
#else
#define NV 2
#endif
#define TABLE fastreg_kernels_baseline
#define NAME "baseline"
#endif

#define PANEL (NV * W)
#define UNIT (MR > W ? MR : W) /* what `tiles` reads at once: padding goes up to a multiple */
#define ROW_BLOCK 2048     /* rows of a few columns that stay in the first-level cache */
#define COLUMN_BLOCK 512   /* columns of GROUP rows that do */
#define GROUP 8            /* rows that are added up in registers */
#define HEAD 1024          /* rows whose mean is a first shift */
#define LIST 256           /* columns whose coefficients are gathered once */

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef double vec __attribute__((vector_size(8 * W)));
typedef int64_t mask __attribute__((vector_size(8 * W)));
typedef double vec_u __attribute__((vector_size(8 * W), aligned(8), may_alias));
typedef float half_u __attribute__((vector_size(4 * W), aligned(4), may_alias));

INLINE vec load(const double *x) { return *(const vec_u *)x; }

INLINE void store(double *x, vec a) { *(vec_u *)x = a; }

INLINE vec all(double a) { return a - (vec){0}; }

INLINE vec load_x(const void *x, ptrdiff_t i, int narrow)
{
    if (narrow)
        return __builtin_convertvector(*(const half_u *)((const float *)x + i), vec);
    return load((const double *)x + i);
}

INLINE double at_x(const void *x, ptrdiff_t i, int narrow)
{
    return narrow ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

INLINE const void *move_x(const void *x, ptrdiff_t i, int narrow)
{
    return narrow ? (const void *)((const float *)x + i) : (const void *)((const double *)x + i);
}

INLINE double sum(vec a)
{
#if W == 8
    return ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7]));
#elif W == 4
    return (a[0] + a[2]) + (a[1] + a[3]);
#else
    return a[0] + a[1];
#endif
}

/* Vectors of doubles. */

static double dot(const double *a, const double *b, ptrdiff_t n)
{
    vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    ptrdiff_t i = 0;
    double rest = 0.0;
    for (; i + 4 * W <= n; i += 4 * W) {
        s0 += load(a + i) * load(b + i);
        s1 += load(a + i + W) * load(b + i + W);
        s2 += load(a + i + 2 * W) * load(b + i + 2 * W);
        s3 += load(a + i + 3 * W) * load(b + i + 3 * W);
    }
    for (; i + W <= n; i += W)
        s0 += load(a + i) * load(b + i);
    for (; i < n; i++)
        rest += a[i] * b[i];
    return sum((s0 + s1) + (s2 + s3)) + rest;
}

static void axpy(double a, const double *x, double *y, ptrdiff_t n)
{
    vec factor = all(a);
    ptrdiff_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
        vec y0 = load(y + i), y1 = load(y + i + W), y2 = load(y + i + 2 * W),
            y3 = load(y + i + 3 * W);
        store(y + i, y0 + factor * load(x + i));
        store(y + i + W, y1 + factor * load(x + i + W));
        store(y + i + 2 * W, y2 + factor * load(x + i + 2 * W));
        store(y + i + 3 * W, y3 + factor * load(x + i + 3 * W));
    }
    for (; i + W <= n; i += W)
        store(y + i, load(y + i) + factor * load(x + i));
    for (; i < n; i++)
        y[i] += a * x[i];
}

static void axpy4(const double *a, const double *x0, const double *x1, const double *x2,
                  const double *x3, double *y, ptrdiff_t n)
{
    vec a0 = all(a[0]), a1 = all(a[1]), a2 = all(a[2]), a3 = all(a[3]);
    ptrdiff_t i = 0;
    for (; i + W <= n; i += W)
        store(y + i, load(y + i) + ((a0 * load(x0 + i) + a1 * load(x1 + i)) +
                                    (a2 * load(x2 + i) + a3 * load(x3 + i))));
    for (; i < n; i++)
        y[i] += (a[0] * x0[i] + a[1] * x1[i]) + (a[2] * x2[i] + a[3] * x3[i]);
}

/* out[c] += sum_i v[i] (x_c[i] - shift[c]) for `count` contiguous columns. */
INLINE void contiguous_dots(int count, int narrow, const void *const *x, const double *shift,
                            const double *v, ptrdiff_t n, double *out)
{
    vec s[4][2], center[4];
    double rest[4];
    ptrdiff_t i = 0;
    UNROLL for (int c = 0; c < count; c++) {
        s[c][0] = s[c][1] = (vec){0};
        center[c] = all(shift[c]);
        rest[c] = 0.0;
    }
    for (; i + 2 * W <= n; i += 2 * W) {
        vec v0 = load(v + i), v1 = load(v + i + W);
        UNROLL for (int c = 0; c < count; c++) {
            s[c][0] += v0 * (load_x(x[c], i, narrow) - center[c]);
            s[c][1] += v1 * (load_x(x[c], i + W, narrow) - center[c]);
        }
    }
    for (; i < n; i++)
        UNROLL for (int c = 0; c < count; c++)
            rest[c] += v[i] * (at_x(x[c], i, narrow) - shift[c]);
    UNROLL for (int c = 0; c < count; c++)
        out[c] += sum(s[c][0] + s[c][1]) + rest[c];
}

static void dot4(const double *x0, const double *x1, const double *x2, const double *x3,
                 const double *v, ptrdiff_t n, double *out)
{
    const void *x[4] = {x0, x1, x2, x3};
    const double zero[4] = {0.0, 0.0, 0.0, 0.0};
    out[0] = out[1] = out[2] = out[3] = 0.0;
    contiguous_dots(4, 0, x, zero, v, n, out);
}

/* Rows that are contiguous: GROUP of them at a time, column by column. */

/* s[j] += sum_g v[g] (x_g[j] - shift[j]) for the columns of one vector. */
INLINE vec row_group(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t j,
                     vec center, const vec *v)
{
    vec s = {0}, t = {0};
    UNROLL for (int g = 0; g + 1 < count; g += 2) {
        s += v[g] * (load_x(x, g * stride + j, narrow) - center);
        t += v[g + 1] * (load_x(x, (g + 1) * stride + j, narrow) - center);
    }
    if (count % 2)
        s += v[count - 1] * (load_x(x, (count - 1) * stride + j, narrow) - center);
    return s + t;
}

INLINE void row_group_dots(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t p,
                           const double *shift, const double *v, double *out)
{
    vec factor[GROUP];
    ptrdiff_t j = 0;
    UNROLL for (int g = 0; g < count; g++) factor[g] = all(v[g]);
    for (; j + W <= p; j += W)
        store(out + j, load(out + j) + row_group(count, narrow, x, stride, j, load(shift + j),
                                                 factor));
    for (; j < p; j++) {
        double s = 0.0;
        for (int g = 0; g < count; g++)
            s += v[g] * (at_x(x, g * stride + j, narrow) - shift[j]);
        out[j] += s;
    }
}

INLINE void row_dots(int narrow, const void *x, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t p,
                     const double *shift, const double *v, double *out)
{
    for (ptrdiff_t j = 0; j < p; j += COLUMN_BLOCK) {
        ptrdiff_t width = p - j < COLUMN_BLOCK ? p - j : COLUMN_BLOCK, i = 0;
        const void *block = move_x(x, j, narrow);
        memset(out + j, 0, (size_t)width * sizeof(double));
        for (; i + GROUP <= n; i += GROUP)
            row_group_dots(GROUP, narrow, move_x(block, i * stride, narrow), stride, width,
                           shift + j, v + i, out + j);
        for (; i < n; i++)
            row_group_dots(1, narrow, move_x(block, i * stride, narrow), stride, width, shift + j,
                           v + i, out + j);
    }
}

/* Of listed columns. */
INLINE void row_list_dots(int narrow, const void *x, ptrdiff_t stride, ptrdiff_t n,
                          const int *columns, ptrdiff_t m, const double *shift, const double *v,
                          double *out)
{
    double center[LIST], s[LIST];
    for (ptrdiff_t k0 = 0; k0 < m; k0 += LIST) {
        ptrdiff_t count = m - k0 < LIST ? m - k0 : LIST, i = 0;
        const int *list = columns + k0;
        for (ptrdiff_t k = 0; k < count; k++) {
            center[k] = shift[list[k]];
            s[k] = 0.0;
        }
        for (; i + 4 <= n; i += 4) {
            const void *x0 = move_x(x, i * stride, narrow);
            const void *x1 = move_x(x0, stride, narrow), *x2 = move_x(x1, stride, narrow),
                       *x3 = move_x(x2, stride, narrow);
            for (ptrdiff_t k = 0; k < count; k++)
                s[k] += (v[i] * (at_x(x0, list[k], narrow) - center[k]) +
                         v[i + 1] * (at_x(x1, list[k], narrow) - center[k])) +
                        (v[i + 2] * (at_x(x2, list[k], narrow) - center[k]) +
                         v[i + 3] * (at_x(x3, list[k], narrow) - center[k]));
        }
        for (; i < n; i++)
            for (ptrdiff_t k = 0; k < count; k++)
                s[k] += v[i] * (at_x(x, i * stride + list[k], narrow) - center[k]);
        for (ptrdiff_t k = 0; k < count; k++)
            out[k0 + k] = s[k];
    }
}

INLINE void column_dots_of(int narrow, const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                           const double *shift, const double *v, double *out)
{
    const void *x[4];
    double center[4];
    ptrdiff_t k = 0;
    if (X->row_stride != 1) {
        if (columns == NULL)
            row_dots(narrow, X->data, X->row_stride, X->n_rows, m, shift, v, out);
        else
            row_list_dots(narrow, X->data, X->row_stride, X->n_rows, columns, m, shift, v, out);
        return;
    }
    for (ptrdiff_t j = 0; j < m; j++)
        out[j] = 0.0;
    for (; k < m; k += 4) {
        int count = m - k < 4 ? (int)(m - k) : 4;
        for (int c = 0; c < count; c++) {
            ptrdiff_t j = columns == NULL ? k + c : columns[k + c];
            x[c] = move_x(X->data, j * X->column_stride, narrow);
            center[c] = shift[j];
        }
        if (count == 4)
            contiguous_dots(4, narrow, x, center, v, X->n_rows, out + k);
        else
            for (int c = 0; c < count; c++)
                contiguous_dots(1, narrow, x + c, center + c, v, X->n_rows, out + k + c);
    }
}

static void column_dots(const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                        const double *shift, const double *v, double *out)
{
    if (X->narrow)
        column_dots_of(1, X, columns, m, shift, v, out);
    else
        column_dots_of(0, X, columns, m, shift, v, out);
}

/* The same with two vectors: each sum in the same order, each entry read from memory once. */

INLINE void contiguous_dots_two(int count, int narrow, const void *const *x, const double *shift,
                                const double *v, const double *u, ptrdiff_t n, double *out,
                                double *other)
{
    vec s[4][2], t[4][2], center[4];
    double rest[4], rest_other[4];
    ptrdiff_t i = 0;
    UNROLL for (int c = 0; c < count; c++) {
        s[c][0] = s[c][1] = t[c][0] = t[c][1] = (vec){0};
        center[c] = all(shift[c]);
        rest[c] = rest_other[c] = 0.0;
    }
    for (; i + 2 * W <= n; i += 2 * W) {
        vec v0 = load(v + i), v1 = load(v + i + W), u0 = load(u + i), u1 = load(u + i + W);
        UNROLL for (int c = 0; c < count; c++) {
            vec x0 = load_x(x[c], i, narrow) - center[c];
            vec x1 = load_x(x[c], i + W, narrow) - center[c];
            s[c][0] += v0 * x0;
            s[c][1] += v1 * x1;
            t[c][0] += u0 * x0;
            t[c][1] += u1 * x1;
        }
    }
    for (; i < n; i++)
        UNROLL for (int c = 0; c < count; c++) {
            double d = at_x(x[c], i, narrow) - shift[c];
            rest[c] += v[i] * d;
            rest_other[c] += u[i] * d;
        }
    UNROLL for (int c = 0; c < count; c++) {
        out[c] = sum(s[c][0] + s[c][1]) + rest[c];
        other[c] = sum(t[c][0] + t[c][1]) + rest_other[c];
    }
}

INLINE void row_dots_two(int narrow, const void *x, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t p,
                         const double *shift, const double *v, const double *u, double *out,
                         double *other)
{
    for (ptrdiff_t j = 0; j < p; j += COLUMN_BLOCK) {
        ptrdiff_t width = p - j < COLUMN_BLOCK ? p - j : COLUMN_BLOCK, i = 0;
        memset(out + j, 0, (size_t)width * sizeof(double));
        memset(other + j, 0, (size_t)width * sizeof(double));
        for (; i + GROUP <= n; i += GROUP) {
            const void *rows = move_x(x, i * stride + j, narrow);
            row_group_dots(GROUP, narrow, rows, stride, width, shift + j, v + i, out + j);
            row_group_dots(GROUP, narrow, rows, stride, width, shift + j, u + i, other + j);
        }
        for (; i < n; i++) {
            const void *row = move_x(x, i * stride + j, narrow);
            row_group_dots(1, narrow, row, stride, width, shift + j, v + i, out + j);
            row_group_dots(1, narrow, row, stride, width, shift + j, u + i, other + j);
        }
    }
}

INLINE void column_dots_two_of(int narrow, const fastreg_matrix *X, const double *shift,
                               const double *v, const double *u, double *out, double *other)
{
    const int count = W == 8 ? 4 : 2; /* columns whose sums fit into the registers */
    ptrdiff_t n = X->n_rows, p = X->n_columns, j = 0;
    if (X->row_stride != 1) {
        row_dots_two(narrow, X->data, X->row_stride, n, p, shift, v, u, out, other);
        return;
    }
    for (; j + count <= p; j += count) {
        const void *x[4];
        for (int c = 0; c < count; c++)
            x[c] = move_x(X->data, (j + c) * X->column_stride, narrow);
        contiguous_dots_two(count, narrow, x, shift + j, v, u, n, out + j, other + j);
    }
    for (; j < p; j++) {
        const void *x = move_x(X->data, j * X->column_stride, narrow);
        contiguous_dots_two(1, narrow, &x, shift + j, v, u, n, out + j, other + j);
    }
}

static void column_dots_two(const fastreg_matrix *X, const double *shift, const double *v,
                            const double *u, double *out, double *other)
{
    if (X->narrow)
        column_dots_two_of(1, X, shift, v, u, out, other);
    else
        column_dots_two_of(0, X, shift, v, u, out, other);
}

/* Products with a vector over the columns. */

INLINE void contiguous_axpys(int count, int narrow, const void *const *x, const double *shift,
                             const double *a, ptrdiff_t first, ptrdiff_t last, double *out)
{
    vec factor[4], center[4];
    ptrdiff_t i = first;
    UNROLL for (int c = 0; c < count; c++) {
        factor[c] = all(a[c]);
        center[c] = all(shift[c]);
    }
    for (; i + W <= last; i += W) {
        vec s = load(out + i);
        UNROLL for (int c = 0; c < count; c++)
            s += factor[c] * (load_x(x[c], i, narrow) - center[c]);
        store(out + i, s);
    }
    for (; i < last; i++) {
        double s = out[i];
        UNROLL for (int c = 0; c < count; c++)
            s += a[c] * (at_x(x[c], i, narrow) - shift[c]);
        out[i] = s;
    }
}

/* s[g] = sum_k a[k] (x_g[columns[k]] - center[k]) for `count` rows. */
INLINE void row_list_products(int count, int narrow, const void *x, ptrdiff_t stride,
                              const int *columns, ptrdiff_t m, const double *center,
                              const double *a, double *out)
{
    double s[4] = {0}, t[4] = {0};
    ptrdiff_t k = 0;
    for (; k + 2 <= m; k += 2)
        UNROLL for (int g = 0; g < count; g++) {
            s[g] += a[k] * (at_x(x, g * stride + columns[k], narrow) - center[k]);
            t[g] += a[k + 1] * (at_x(x, g * stride + columns[k + 1], narrow) - center[k + 1]);
        }
    if (k < m)
        UNROLL for (int g = 0; g < count; g++)
            s[g] += a[k] * (at_x(x, g * stride + columns[k], narrow) - center[k]);
    UNROLL for (int g = 0; g < count; g++) out[g] += s[g] + t[g];
}

INLINE void row_products(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t m,
                         const double *center, const double *a, double *out)
{
    vec s[4];
    double rest[4] = {0};
    ptrdiff_t k = 0;
    UNROLL for (int g = 0; g < count; g++) s[g] = (vec){0};
    for (; k + W <= m; k += W) {
        vec factor = load(a + k), c = load(center + k);
        UNROLL for (int g = 0; g < count; g++)
            s[g] += factor * (load_x(x, g * stride + k, narrow) - c);
    }
    for (; k < m; k++)
        UNROLL for (int g = 0; g < count; g++)
            rest[g] += a[k] * (at_x(x, g * stride + k, narrow) - center[k]);
    UNROLL for (int g = 0; g < count; g++) out[g] += sum(s[g]) + rest[g];
}

static int are_consecutive(const int *columns, ptrdiff_t m)
{
    for (ptrdiff_t k = 1; k < m; k++)
        if (columns[k] != columns[0] + k)
            return 0;
    return 1;
}

INLINE void add_rows(int narrow, const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                     const double *shift, const double *coef, double *out)
{
    double center[LIST];
    ptrdiff_t n = X->n_rows, stride = X->row_stride;
    int dense = columns == NULL || are_consecutive(columns, m);
    ptrdiff_t first = columns == NULL || m == 0 ? 0 : columns[0];
    for (ptrdiff_t k0 = 0; k0 < m; k0 += LIST) {
        ptrdiff_t count = m - k0 < LIST ? m - k0 : LIST, i = 0;
        for (ptrdiff_t k = 0; k < count; k++)
            center[k] = shift[dense ? first + k0 + k : columns[k0 + k]];
        if (dense) {
            const void *x = move_x(X->data, first + k0, narrow);
            for (; i + 4 <= n; i += 4)
                row_products(4, narrow, move_x(x, i * stride, narrow), stride, count, center,
                             coef + k0, out + i);
            for (; i < n; i++)
                row_products(1, narrow, move_x(x, i * stride, narrow), stride, count, center,
                             coef + k0, out + i);
        } else {
            for (; i + 4 <= n; i += 4)
                row_list_products(4, narrow, move_x(X->data, i * stride, narrow), stride,
                                  columns + k0, count, center, coef + k0, out + i);
            for (; i < n; i++)
                row_list_products(1, narrow, move_x(X->data, i * stride, narrow), stride,
                                  columns + k0, count, center, coef + k0, out + i);
        }
    }
}

INLINE void add_columns_of(int narrow, const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                           const double *shift, const double *coef, double *out)
{
    const void *x[4];
    double center[4];
    if (X->row_stride != 1) {
        add_rows(narrow, X, columns, m, shift, coef, out);
        return;
    }
    for (ptrdiff_t i = 0; i < X->n_rows; i += ROW_BLOCK) {
        ptrdiff_t last = X->n_rows - i < ROW_BLOCK ? X->n_rows : i + ROW_BLOCK;
        for (ptrdiff_t k = 0; k < m; k += 4) {
            int count = m - k < 4 ? (int)(m - k) : 4;
            for (int c = 0; c < count; c++) {
                ptrdiff_t j = columns == NULL ? k + c : columns[k + c];
                x[c] = move_x(X->data, j * X->column_stride, narrow);
                center[c] = shift[j];
            }
            if (count == 4)
                contiguous_axpys(4, narrow, x, center, coef + k, i, last, out);
            else
                for (int c = 0; c < count; c++)
                    contiguous_axpys(1, narrow, x + c, center + c, coef + k + c, i, last, out);
        }
    }
}

static void add_columns(const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                        const double *shift, const double *coef, double *out)
{
    if (X->narrow)
        add_columns_of(1, X, columns, m, shift, coef, out);
    else
        add_columns_of(0, X, columns, m, shift, coef, out);
}

/* First and second moments, and products with several vectors, in one read. */

INLINE double head_mean(int narrow, const void *x, const double *weight, ptrdiff_t first,
                        ptrdiff_t last)
{
    double origin = at_x(x, first, narrow), total = 0.0;
    vec center = all(origin), s = {0}, t = {0};
    ptrdiff_t i = first;
    double rest = 0.0;
    for (; i + W <= last; i += W) {
        vec w = load(weight + i);
        s += w * (load_x(x, i, narrow) - center);
        t += w;
    }
    for (; i < last; i++) {
        rest += weight[i] * (at_x(x, i, narrow) - origin);
        total += weight[i];
    }
    return origin + (sum(s) + rest) / (sum(t) + total);
}

INLINE void contiguous_moments(int narrow, const void *x, double shift, const double *weight,
                               ptrdiff_t n, double *first, double *second)
{
    vec center = all(shift), a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
    double a = 0.0, b = 0.0;
    ptrdiff_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        vec d0 = load_x(x, i, narrow) - center, d1 = load_x(x, i + W, narrow) - center;
        vec w0 = load(weight + i) * d0, w1 = load(weight + i + W) * d1;
        a0 += w0;
        a1 += w1;
        b0 += w0 * d0;
        b1 += w1 * d1;
    }
    for (; i < n; i++) {
        double d = at_x(x, i, narrow) - shift, w = weight[i] * d;
        a += w;
        b += w * d;
    }
    *first += sum(a0 + a1) + a;
    *second += sum(b0 + b1) + b;
}

INLINE void row_group_moments(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t p,
                              const double *shift, const double *weight, double *first,
                              double *second)
{
    vec w[GROUP];
    ptrdiff_t j = 0;
    UNROLL for (int g = 0; g < count; g++) w[g] = all(weight[g]);
    for (; j + W <= p; j += W) {
        vec center = load(shift + j), a = {0}, b = {0};
        UNROLL for (int g = 0; g < count; g++) {
            vec d = load_x(x, g * stride + j, narrow) - center, e = w[g] * d;
            a += e;
            b += e * d;
        }
        store(first + j, load(first + j) + a);
        store(second + j, load(second + j) + b);
    }
    for (; j < p; j++) {
        double a = 0.0, b = 0.0;
        for (int g = 0; g < count; g++) {
            double d = at_x(x, g * stride + j, narrow) - shift[j], e = weight[g] * d;
            a += e;
            b += e * d;
        }
        first[j] += a;
        second[j] += b;
    }
}

INLINE void column_sums_of(int narrow, const fastreg_matrix *X, const double *weight,
                           const double *V, ptrdiff_t m, ptrdiff_t V_stride, ptrdiff_t head,
                           double *shift, double *first, double *second, double *cross, ptrdiff_t cross_stride)
{
    ptrdiff_t n = X->n_rows, p = X->n_columns, stride = X->row_stride;
    memset(first, 0, (size_t)p * sizeof(double));
    memset(second, 0, (size_t)p * sizeof(double));
    for (ptrdiff_t k = 0; k < m; k++)
        memset(cross + k * cross_stride, 0, (size_t)p * sizeof(double));
    if (stride == 1) {
        for (ptrdiff_t j = 0; j < p; j++) {
            const void *x = move_x(X->data, j * X->column_stride, narrow);
            if (head >= 0)
                shift[j] = head_mean(narrow, x, weight, head, n - head < HEAD ? n : head + HEAD);
            for (ptrdiff_t i = 0; i < n; i += ROW_BLOCK) {
                ptrdiff_t rows = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
                const void *block = move_x(x, i, narrow);
                contiguous_moments(narrow, block, shift[j], weight + i, rows, first + j, second + j);
                for (ptrdiff_t k = 0; k < m; k++)
                    contiguous_dots(1, narrow, &block, shift + j, V + k * V_stride + i, rows,
                                    cross + k * cross_stride + j);
            }
        }
        return;
    }
    for (ptrdiff_t j = 0; j < p; j += COLUMN_BLOCK) {
        ptrdiff_t width = p - j < COLUMN_BLOCK ? p - j : COLUMN_BLOCK, i = 0;
        for (; i + GROUP <= n; i += GROUP) {
            const void *x = move_x(X->data, i * stride + j, narrow);
            row_group_moments(GROUP, narrow, x, stride, width, shift + j, weight + i, first + j,
                              second + j);
            for (ptrdiff_t k = 0; k < m; k++)
                row_group_dots(GROUP, narrow, x, stride, width, shift + j, V + k * V_stride + i,
                               cross + k * cross_stride + j);
        }
        for (; i < n; i++) {
            const void *x = move_x(X->data, i * stride + j, narrow);
            row_group_moments(1, narrow, x, stride, width, shift + j, weight + i, first + j,
                              second + j);
            for (ptrdiff_t k = 0; k < m; k++)
                row_group_dots(1, narrow, x, stride, width, shift + j, V + k * V_stride + i,
                               cross + k * cross_stride + j);
        }
    }
}

static void column_sums(const fastreg_matrix *X, const double *weight, const double *V,
                        ptrdiff_t m, ptrdiff_t V_stride, ptrdiff_t head, double *shift, double *first, double *second,
                        double *cross, ptrdiff_t stride)
{
    if (X->narrow)
        column_sums_of(1, X, weight, V, m, V_stride, head, shift, first, second, cross, stride);
    else
        column_sums_of(0, X, weight, V, m, V_stride, head, shift, first, second, cross, stride);
}

/* The packed Gram product. */

INLINE double *place(double *block, ptrdiff_t rows, ptrdiff_t column)
{
    return block + column / PANEL * PANEL * rows + column % PANEL;
}

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE
#endif
#endif

#ifdef HAS_SHUFFLE
#define SWAP(a, b, low, high)                                                                      \
    do {                                                                                           \
        vec first_ = a, second_ = b;                                                               \
        a = low(first_, second_);                                                                  \
        b = high(first_, second_);                                                                 \
    } while (0)
#define MIX __builtin_shufflevector
#if W == 8
#define LOW1(a, b) MIX(a, b, 0, 8, 2, 10, 4, 12, 6, 14)
#define HIGH1(a, b) MIX(a, b, 1, 9, 3, 11, 5, 13, 7, 15)
#define LOW2(a, b) MIX(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH2(a, b) MIX(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW4(a, b) MIX(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH4(a, b) MIX(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#elif W == 4
#define LOW1(a, b) MIX(a, b, 0, 4, 2, 6)
#define HIGH1(a, b) MIX(a, b, 1, 5, 3, 7)
#define LOW2(a, b) MIX(a, b, 0, 1, 4, 5)
#define HIGH2(a, b) MIX(a, b, 2, 3, 6, 7)
#else
#define LOW1(a, b) MIX(a, b, 0, 2)
#define HIGH1(a, b) MIX(a, b, 1, 3)
#endif

INLINE void transpose(vec *t)
{
    UNROLL for (int k = 0; k < W; k += 2) SWAP(t[k], t[k + 1], LOW1, HIGH1);
#if W >= 4
    UNROLL for (int k = 0; k < W; k++) if (!(k & 2)) SWAP(t[k], t[k + 2], LOW2, HIGH2);
#endif
#if W == 8
    UNROLL for (int k = 0; k < 4; k++) SWAP(t[k], t[k + 4], LOW4, HIGH4);
#endif
}
#endif

INLINE void pack_column(int narrow, const void *x, ptrdiff_t rows, double shift, double scale,
                        const double *root_weight, ptrdiff_t i, double *target)
{
    for (; i < rows; i++)
        target[i * PANEL] = (at_x(x, i, narrow) - shift) * root_weight[i] * scale;
}

/* Columns that are contiguous: W of them at a time are transposed in registers. */
INLINE void pack_columns(int narrow, const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows,
                         const int *columns, ptrdiff_t m, const double *shift,
                         const double *scale, const double *root_weight, double *block,
                         ptrdiff_t at)
{
    const void *x[W];
    double center[W], unit[W];
    ptrdiff_t k = 0;
    while (k < m) {
        int count = W - (int)((at + k) % W);
        double *target = place(block, rows, at + k);
        ptrdiff_t i = 0;
        if (count > m - k)
            count = (int)(m - k);
        for (int c = 0; c < count; c++) {
            ptrdiff_t j = columns == NULL ? k + c : columns[k + c];
            x[c] = move_x(X->data, j * X->column_stride + first, narrow);
            center[c] = shift[j];
            unit[c] = scale[j];
        }
#ifdef HAS_SHUFFLE
        if (count == W)
            for (; i + W <= rows; i += W) {
                vec t[W], root = load(root_weight + i);
                UNROLL for (int c = 0; c < W; c++)
                    t[c] = (load_x(x[c], i, narrow) - all(center[c])) * root * all(unit[c]);
                transpose(t);
                UNROLL for (int c = 0; c < W; c++) store(target + (i + c) * PANEL, t[c]);
            }
#endif
        for (int c = 0; c < count; c++)
            pack_column(narrow, x[c], rows, center[c], unit[c], root_weight, i, target + c);
        k += count;
    }
}

INLINE void pack_narrow_panel(int nv, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t rows,
                              const vec *center, const vec *unit, const mask *keep,
                              const double *root_weight, double *target)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        vec root = all(root_weight[i]);
        UNROLL for (int q = 0; q < nv; q++) {
            vec z = (load_x(x, i * stride + q * W, narrow) - center[q]) * root * unit[q];
            store(target + i * PANEL + q * W, (vec)((mask)z & keep[q]));
        }
    }
}

/* Rows that are contiguous: a panel's width of them at a time. */
INLINE void pack_rows(int narrow, const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows,
                      const int *columns, ptrdiff_t m, const double *shift, const double *scale,
                      const double *root_weight, double *block, ptrdiff_t at)
{
    ptrdiff_t stride = X->row_stride, k = 0;
    ptrdiff_t end = (X->n_rows - 1) * stride + X->n_columns;
    int dense = columns == NULL || are_consecutive(columns, m);
    while (k < m) {
        double center[PANEL] = {0}, unit[PANEL] = {0};
        int64_t used[PANEL] = {0};
        ptrdiff_t j = columns == NULL ? k : columns[k], width = PANEL - (at + k) % PANEL, i = 0;
        double *target = place(block, rows, at + k);
        if (width > m - k)
            width = m - k;
        for (ptrdiff_t c = 0; c < width; c++) {
            ptrdiff_t column = columns == NULL ? k + c : columns[k + c];
            center[c] = shift[column];
            unit[c] = scale[column];
            used[c] = -1;
        }
        if (dense && (at + k) % PANEL == 0) {
            /* Whole vectors, also where the panel has fewer columns: what was read too much is
             * masked. The last rows, which may end too early for that, follow one by one. */
            vec c[NV], u[NV];
            mask keep[NV];
            ptrdiff_t safe = end - j - PANEL - first * stride;
            safe = safe < 0 ? 0 : safe / stride + 1;
            if (safe > rows)
                safe = rows;
            UNROLL for (int q = 0; q < NV; q++) {
                c[q] = load(center + q * W);
                u[q] = load(unit + q * W);
                memcpy(&keep[q], used + q * W, sizeof(mask));
            }
            if (width == PANEL)
                for (; i < safe; i++) {
                    const void *x = move_x(X->data, (first + i) * stride + j, narrow);
                    vec root = all(root_weight[i]);
                    UNROLL for (int q = 0; q < NV; q++)
                        store(target + i * PANEL + q * W,
                              (load_x(x, q * W, narrow) - c[q]) * root * u[q]);
                }
            else if (width <= UNIT)
                pack_narrow_panel(UNIT / W, narrow, move_x(X->data, first * stride + j, narrow),
                                  stride, safe, c, u, keep, root_weight, target);
            else
                pack_narrow_panel(NV, narrow, move_x(X->data, first * stride + j, narrow), stride,
                                  safe, c, u, keep, root_weight, target);
            i = safe;
        }
        for (; i < rows; i++) {
            const void *x = move_x(X->data, (first + i) * stride, narrow);
            for (ptrdiff_t c = 0; c < width; c++) {
                ptrdiff_t column = columns == NULL ? k + c : columns[k + c];
                target[i * PANEL + c] =
                    (at_x(x, column, narrow) - center[c]) * root_weight[i] * unit[c];
            }
        }
        k += width;
    }
}

static void pack(const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows, const int *columns,
                 ptrdiff_t m, const double *shift, const double *scale, const double *root_weight,
                 double *block, ptrdiff_t at, ptrdiff_t width)
{
    const double *root = root_weight + first;
    ptrdiff_t end = at + m;
    if (X->row_stride == 1) {
        if (X->narrow)
            pack_columns(1, X, first, rows, columns, m, shift, scale, root, block, at);
        else
            pack_columns(0, X, first, rows, columns, m, shift, scale, root, block, at);
    } else {
        if (X->narrow)
            pack_rows(1, X, first, rows, columns, m, shift, scale, root, block, at);
        else
            pack_rows(0, X, first, rows, columns, m, shift, scale, root, block, at);
    }
    for (; end >= width && end % UNIT; end++) {
        double *target = place(block, rows, end);
        for (ptrdiff_t i = 0; i < rows; i++)
            target[i * PANEL] = 0.0;
    }
}

/* MR columns of a panel times the first nv * W columns of a panel. */
INLINE void tile(int nv, const double *a, const double *b, ptrdiff_t rows, double *out)
{
    vec s[MR][NV];
    UNROLL for (int r = 0; r < MR; r++) UNROLL for (int q = 0; q < nv; q++) s[r][q] = (vec){0};
    for (ptrdiff_t i = 0; i < rows; i++, a += PANEL, b += PANEL) {
        vec right[NV];
        UNROLL for (int q = 0; q < nv; q++) right[q] = load(b + q * W);
        UNROLL for (int r = 0; r < MR; r++) {
            vec left = all(a[r]);
            UNROLL for (int q = 0; q < nv; q++) s[r][q] += left * right[q];
        }
    }
    UNROLL for (int r = 0; r < MR; r++) UNROLL for (int q = 0; q < nv; q++)
        store(out + r * PANEL + q * W, s[r][q]);
}

static void tiles(const double *block, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t first_new,
                  double *out, ptrdiff_t stride)
{
    double result[MR * PANEL];
    for (ptrdiff_t b = 0; b < width; b += PANEL) {
        const double *right = block + b * rows;
        ptrdiff_t count = width - b < PANEL ? width - b : PANEL;
        ptrdiff_t a = first_new > b ? first_new : b;
        for (a = a / MR * MR; a < width; a += MR) {
            const double *left = block + a / PANEL * PANEL * rows + a % PANEL;
            ptrdiff_t first = a < first_new ? first_new : a;
            ptrdiff_t last = a + MR < width ? a + MR : width;
            /* On the diagonal only what lies at or below it. */
            ptrdiff_t needed = last - b < count ? last - b : count;
            ptrdiff_t vectors = (needed + W - 1) / W;
            switch (vectors) {
#if NV >= 4
            case 4: tile(4, left, right, rows, result); break;
#endif
#if NV >= 3
            case 3: tile(3, left, right, rows, result); break;
#endif
            case 2: tile(2, left, right, rows, result); break;
            default: tile(1, left, right, rows, result); break;
            }
            for (; first < last; first++) {
                const double *source = result + (first - a) * PANEL;
                double *target = out + (first - first_new) * stride + b;
                if (needed == PANEL)
                    UNROLL for (int q = 0; q < NV; q++)
                        store(target + q * W, load(target + q * W) + load(source + q * W));
                else
                    for (ptrdiff_t c = 0; c < needed; c++)
                        target[c] += source[c];
            }
        }
    }
}

/* Loops over all features. */

static void bounds(const double *image, ptrdiff_t stride, const double *share, ptrdiff_t m,
                   const double *rest, double length, const double *norm, double margin,
                   ptrdiff_t n, double *c, double *slack)
{
    vec own = all(length), rounding = all(margin);
    ptrdiff_t j = 0;
    for (; j + 2 * W <= n; j += 2 * W) {
        vec s = {0}, t = {0};
        for (ptrdiff_t k = 0; k < m; k++) {
            vec a = all(share[k]);
            s += a * load(image + k * stride + j);
            t += a * load(image + k * stride + j + W);
        }
        store(c + j, s);
        store(c + j + W, t);
        store(slack + j, own * load(rest + j) + rounding * load(norm + j));
        store(slack + j + W, own * load(rest + j + W) + rounding * load(norm + j + W));
    }
    for (; j < n; j++) {
        double s = 0.0;
        for (ptrdiff_t k = 0; k < m; k++)
            s += share[k] * image[k * stride + j];
        c[j] = s;
        slack[j] = length * rest[j] + margin * norm[j];
    }
}

INLINE vec absolute(vec a) { return (vec)((mask)a & INT64_MAX); }

INLINE int any(mask m)
{
    int64_t s = 0;
    UNROLL for (int k = 0; k < W; k++) s |= m[k];
    return s != 0;
}

static ptrdiff_t list_undecided(const double *c, const double *slack, const double *norm,
                                double radius, const double *level, ptrdiff_t first, ptrdiff_t n,
                                int *list)
{
    vec reach = all(radius);
    ptrdiff_t j = first, count = 0;
    for (; j < n; j++) {
        if (j + 2 * W <= n) {
            vec a = absolute(load(c + j)) + (load(slack + j) + reach * load(norm + j));
            vec b = absolute(load(c + j + W)) + (load(slack + j + W) + reach * load(norm + j + W));
            if (!any(~(a <= load(level + j)) | ~(b <= load(level + j + W)))) {
                j += 2 * W - 1;
                continue;
            }
            for (ptrdiff_t last = j + 2 * W; j < last; j++)
                if (!(__builtin_fabs(c[j]) + (slack[j] + radius * norm[j]) <= level[j]))
                    list[count++] = (int)j;
            j--;
        } else if (!(__builtin_fabs(c[j]) + (slack[j] + radius * norm[j]) <= level[j]))
            list[count++] = (int)j;
    }
    return count;
}

static ptrdiff_t list_urgent(const double *c, const double *w, const double *level, double factor,
                             ptrdiff_t n, int *list)
{
    vec zero = {0}, part = all(factor);
    ptrdiff_t j = 0, count = 0;
    for (; j < n; j++) {
        if (j + 2 * W <= n) {
            mask a = (absolute(load(c + j)) < part * load(level + j)) & (load(w + j) == zero);
            mask b = (absolute(load(c + j + W)) < part * load(level + j + W)) &
                     (load(w + j + W) == zero);
            if (!any(~a | ~b)) {
                j += 2 * W - 1;
                continue;
            }
            for (ptrdiff_t last = j + 2 * W; j < last; j++)
                if (!(__builtin_fabs(c[j]) < factor * level[j] && w[j] == 0.0))
                    list[count++] = (int)j;
            j--;
        } else if (!(__builtin_fabs(c[j]) < factor * level[j] && w[j] == 0.0))
            list[count++] = (int)j;
    }
    return count;
}

static void prove_below(const double *c, const double *slack, const double *norm, double kappa,
                        double reach, const double *level, ptrdiff_t n, unsigned char *below)
{
    for (ptrdiff_t j = 0; j < n; j++)
        below[j] =
            kappa * (__builtin_fabs(c[j]) + slack[j]) + norm[j] * reach < level[j];
}

const fastreg_kernels TABLE = {
    NAME, dot, axpy, dot4, axpy4, column_dots, column_dots_two, add_columns, column_sums, PANEL, pack, tiles,
    bounds, list_undecided, list_urgent, prove_below,
};
