/* Design: GCC and clang vector extensions, so that one text serves every processor; meson.build
 * compiles it once a level with the matching -m flags. `narrow` and the number of columns are
 * constants wherever a function is inlined: the branches on them cost nothing.
 *
 * What a lane or a column computes does not depend on its neighbours: the last columns of a row go
 * through a vector that starts earlier, and computes some of them twice, with the same result.
 */
#include "kernels.h"
#include "level.h"

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define W 8  /* doubles in a vector */
#define MR 8 /* a register tile of the Gram product is MR columns x NV vectors */
#define NV 2
#elif defined(__AVX2__)
#define W 4
#define MR 4
#define NV 3
#else
#define W 2
#define MR 4
#if defined(__aarch64__)
#define NV 4
#else
#define NV 2
#endif
#endif

#define ROW_BLOCK 2048     /* rows of a few columns that stay in the first-level cache */
#define COLUMN_BLOCK 512   /* columns of GROUP rows that do */
#define GROUP 8            /* rows that are added up in registers */
#define HEAD 128           /* rows whose mean is a first shift */
#define PAGE 4096          /* bytes */
#define GATHER 16          /* columns of a row that are better gathered than summed over lanes */
#define FILL 4             /* columns to read instead of the one that is wanted */
#define LIST 256           /* columns whose coefficients are gathered once */

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef double vec __attribute__((vector_size(8 * W)));
typedef int64_t mask __attribute__((vector_size(8 * W)));
typedef double vec_u __attribute__((vector_size(8 * W), aligned(8), may_alias));
typedef float half __attribute__((vector_size(4 * W)));
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

/* The lines of two vectors from entry i on. */
INLINE void fetch_ahead(const void *x, ptrdiff_t i, int narrow)
{
    const char *line = move_x(x, i, narrow);
    ptrdiff_t bytes = 2 * W * (narrow ? 4 : 8);
    if (bytes < 64 && i % (narrow ? 16 : 8) != 0)
        return;
    __builtin_prefetch(line, 0, 2);
    if (bytes > 64)
        __builtin_prefetch(line + 64, 0, 2);
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

/* Where lines are fetched while column j is read, entry by entry: in `next`, the column that is
 * read after it, or further down in a long one. What the processor fetches by itself ends at a
 * page. */
INLINE const void *lead(const fastreg_matrix *X, ptrdiff_t j, ptrdiff_t next)
{
    ptrdiff_t size = X->narrow ? 4 : 8;
    ptrdiff_t ahead = X->n_rows * size < 4 * PAGE ? next * X->column_stride * size
                                                  : j * X->column_stride * size + PAGE;
    return (const char *)X->data + ahead;
}

/* out[c] += sum_i v[i] (x_c[i] - shift[c]) for `count` contiguous columns. */
INLINE void contiguous_dots(int count, int narrow, const void *const *x, const double *shift,
                            const double *v, ptrdiff_t n, const void *const *ahead, double *out)
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
            if (ahead != NULL)
                fetch_ahead(ahead[c], i, narrow);
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
    contiguous_dots(4, 0, x, zero, v, n, NULL, out);
}

/* The lines of vector j of some rows; where rows are long the processor does better alone. */
INLINE void fetch_rows(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t j)
{
    ptrdiff_t in_a_line = narrow ? 16 : 8;
    if (stride <= COLUMN_BLOCK && (W >= in_a_line || j % in_a_line == 0))
        UNROLL for (int g = 0; g < count; g++)
            __builtin_prefetch(move_x(x, g * stride + j, narrow), 0, 2);
}

/* The last lanes, and zero before them. */
INLINE vec last_lanes(vec a, ptrdiff_t count)
{
    mask keep;
    UNROLL for (int k = 0; k < W; k++) keep[k] = k >= W - count ? -1 : 0;
    return (vec)((mask)a & keep);
}

/* Rows that are contiguous: GROUP of them at a time, column by column. */

/* s[j] += sum_g v[g] (x_g[j] - shift[j]) for the columns of one vector. */
INLINE vec row_group(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t j,
                     vec center, const vec *v)
{
    vec s = {0}, t = {0};
    if (count == GROUP)
        fetch_rows(count, narrow, move_x(x, GROUP * stride, narrow), stride, j);
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
    if (j < p && p >= W) {
        vec s = row_group(count, narrow, x, stride, p - W, load(shift + p - W), factor);
        store(out + p - W, load(out + p - W) + last_lanes(s, p - j));
        j = p;
    }
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
    const void *x[4], *ahead[4];
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
            ptrdiff_t next = k + c + 4 < m ? k + c + 4 : k + c;
            x[c] = move_x(X->data, j * X->column_stride, narrow);
            ahead[c] = lead(X, j, columns == NULL ? next : columns[next]);
            center[c] = shift[j];
        }
        if (count == 4)
            contiguous_dots(4, narrow, x, center, v, X->n_rows, ahead, out + k);
        else
            for (int c = 0; c < count; c++)
                contiguous_dots(1, narrow, x + c, center + c, v, X->n_rows, NULL, out + k + c);
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
                                const double *v, const double *u, ptrdiff_t n,
                                const void *const *ahead, double *out, double *other)
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
            if (ahead != NULL)
                fetch_ahead(ahead[c], i, narrow);
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
        const void *x[4], *ahead[4];
        for (int c = 0; c < count; c++) {
            ptrdiff_t next = j + c + count < p ? j + c + count : j + c;
            x[c] = move_x(X->data, (j + c) * X->column_stride, narrow);
            ahead[c] = lead(X, j + c, next);
        }
        contiguous_dots_two(count, narrow, x, shift + j, v, u, n, ahead, out + j, other + j);
    }
    for (; j < p; j++) {
        const void *x = move_x(X->data, j * X->column_stride, narrow);
        contiguous_dots_two(1, narrow, &x, shift + j, v, u, n, NULL, out + j, other + j);
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
        if (count == 4)
            fetch_rows(count, narrow, move_x(x, 2 * count * stride, narrow), stride, k);
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

/* Of increasing columns: the width of what lies between the first and the last, if that is so
 * little that reading all of it is cheaper; else 0. */
static ptrdiff_t filled_width(const int *columns, ptrdiff_t m)
{
    ptrdiff_t width = (ptrdiff_t)columns[m - 1] - columns[0] + 1;
    for (ptrdiff_t k = 1; k < m; k++)
        if (columns[k] <= columns[k - 1])
            return 0;
    return m >= GATHER && width <= LIST && width <= FILL * m ? width : 0;
}

INLINE void add_rows(int narrow, const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                     const double *shift, const double *coef, double *out)
{
    double center[LIST], filled[LIST];
    ptrdiff_t n = X->n_rows, stride = X->row_stride;
    int dense = columns == NULL || are_consecutive(columns, m);
    ptrdiff_t first = columns == NULL || m == 0 ? 0 : columns[0];
    ptrdiff_t width = dense ? 0 : filled_width(columns, m);
    if (width > 0) {
        memset(filled, 0, (size_t)width * sizeof(double));
        for (ptrdiff_t k = 0; k < m; k++)
            filled[columns[k] - first] = coef[k];
        coef = filled;
        m = width;
        dense = 1;
    }
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

/* The sums of one contiguous column; `v` may be NULL. */
INLINE void contiguous_sums(int narrow, const void *x, double shift, const double *weight,
                            const double *v, ptrdiff_t n, const void *ahead, double *first,
                            double *second, double *cross)
{
    vec center = all(shift), a[2] = {{0}}, b[2] = {{0}}, s[2] = {{0}};
    double a_rest = 0.0, b_rest = 0.0, s_rest = 0.0;
    ptrdiff_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        fetch_ahead(ahead, i, narrow);
        UNROLL for (int k = 0; k < 2; k++) {
            vec d = load_x(x, i + k * W, narrow) - center, e = load(weight + i + k * W) * d;
            a[k] += e;
            b[k] += e * d;
            if (v != NULL)
                s[k] += load(v + i + k * W) * d;
        }
    }
    for (; i < n; i++) {
        double d = at_x(x, i, narrow) - shift, e = weight[i] * d;
        a_rest += e;
        b_rest += e * d;
        if (v != NULL)
            s_rest += v[i] * d;
    }
    *first += sum(a[0] + a[1]) + a_rest;
    *second += sum(b[0] + b[1]) + b_rest;
    if (v != NULL)
        *cross += sum(s[0] + s[1]) + s_rest;
}

/* First and second moments of some rows for the columns of one vector. */
INLINE void row_group_pair(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t j,
                           vec center, const vec *weight, vec *first, vec *second)
{
    vec a = {0}, b = {0};
    if (count == GROUP)
        fetch_rows(count, narrow, move_x(x, GROUP * stride, narrow), stride, j);
    UNROLL for (int g = 0; g < count; g++) {
        vec d = load_x(x, g * stride + j, narrow) - center, e = weight[g] * d;
        a += e;
        b += e * d;
    }
    *first = a;
    *second = b;
}

INLINE void row_group_moments(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t p,
                              const double *shift, const double *weight, double *first,
                              double *second)
{
    vec w[GROUP], a, b;
    ptrdiff_t j = 0;
    UNROLL for (int g = 0; g < count; g++) w[g] = all(weight[g]);
    for (; j + W <= p; j += W) {
        row_group_pair(count, narrow, x, stride, j, load(shift + j), w, &a, &b);
        store(first + j, load(first + j) + a);
        store(second + j, load(second + j) + b);
    }
    if (j < p && p >= W) {
        ptrdiff_t k = p - W;
        row_group_pair(count, narrow, x, stride, k, load(shift + k), w, &a, &b);
        store(first + k, load(first + k) + last_lanes(a, p - j));
        store(second + k, load(second + k) + last_lanes(b, p - j));
        j = p;
    }
    for (; j < p; j++) {
        double s = 0.0, t = 0.0;
        for (int g = 0; g < count; g++) {
            double d = at_x(x, g * stride + j, narrow) - shift[j], e = weight[g] * d;
            s += e;
            t += e * d;
        }
        first[j] += s;
        second[j] += t;
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
            const void *next = lead(X, j, j + 1 < p ? j + 1 : j);
            if (head >= 0)
                shift[j] = head_mean(narrow, x, weight, head, n - head < HEAD ? n : head + HEAD);
            for (ptrdiff_t i = 0; i < n; i += ROW_BLOCK) {
                ptrdiff_t rows = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
                const void *block = move_x(x, i, narrow), *ahead = move_x(next, i, narrow);
                if (m > 0)
                    contiguous_sums(narrow, block, shift[j], weight + i, V + i, rows, ahead,
                                    first + j, second + j, cross + j);
                else
                    contiguous_sums(narrow, block, shift[j], weight + i, NULL, rows, ahead,
                                    first + j, second + j, NULL);
                for (ptrdiff_t k = 1; k < m; k++)
                    contiguous_dots(1, narrow, &block, shift + j, V + k * V_stride + i, rows, NULL,
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

/* The packed Gram product, in double and, for X in float, in float. */

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE
#endif
#endif

#define LINE 64           /* bytes */
#define LINES 64          /* of them that are fetched during a tile, at most */
#define FETCH (1 << 18)   /* bytes that are worth fetching: they must stay in a cache */

/* Where the next lines of memory lie: a number of runs of as many bytes each. */
typedef struct {
    const char *data, *run;
    ptrdiff_t bytes, stride, at;
    const int *columns;
    ptrdiff_t k, n_runs;
} fetcher;

/* The rows of `next`, if it is not NULL. */
INLINE fetcher fetch_from(const fastreg_matrix *next, const int *columns, ptrdiff_t m)
{
    fetcher f = {NULL, NULL, 0, 0, 0, NULL, 0, 0};
    ptrdiff_t size = next == NULL ? 0 : next->narrow ? 4 : 8;
    if (next == NULL || next->n_rows * m * size > FETCH)
        return f;
    if (next->row_stride == 1) {
        f.bytes = next->n_rows * size;
        f.stride = next->column_stride * size;
        f.n_runs = m;
        f.columns = columns;
    } else if (m == next->n_columns) {
        f.bytes = m * size;
        f.stride = next->row_stride * size;
        f.n_runs = next->n_rows;
        if (f.bytes == f.stride) {
            f.bytes *= f.n_runs;
            f.n_runs = 1;
        }
    } else
        return f;
    f.data = next->data;
    f.run = f.data + (f.columns == NULL ? 0 : f.columns[0]) * f.stride;
    return f;
}

/* The addresses of the next lines; those before, where there is none. */
INLINE void fetch_lines(fetcher *f, const char **lines)
{
    for (int k = 0; k < LINES && f->k < f->n_runs;) {
        const char *line = f->run + f->at;
        ptrdiff_t count = (f->bytes - f->at + LINE - 1) / LINE;
        count = count < LINES - k ? count : LINES - k;
        for (ptrdiff_t i = 0; i < count; i++)
            lines[k + i] = line + i * LINE;
        k += (int)count;
        f->at += count * LINE;
        if (f->at >= f->bytes) {
            f->at = 0;
            if (++f->k < f->n_runs)
                f->run = f->data + (f->columns == NULL ? f->k : f->columns[f->k]) * f->stride;
        }
    }
}

#define REAL double
#define L W
#define NARROW 0
#define NAMED(name) name##_wide
#include "product.h"
#undef REAL
#undef L
#undef NARROW
#undef NAMED

#define REAL float
#define L (2 * W)
#define NARROW 1
#define NAMED(name) name##_narrow
#include "product.h"

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

/* The lanes of a mask that are not set, as numbers from j on. No branch that would be mispredicted:
 * what does not count is overwritten. */
INLINE ptrdiff_t list_lanes(mask skipped, ptrdiff_t j, int *list, ptrdiff_t count)
{
    int64_t keep[W];
    memcpy(keep, &skipped, sizeof keep);
    UNROLL for (int k = 0; k < W; k++) {
        list[count] = (int)j + k;
        count += keep[k] + 1;
    }
    return count;
}

static ptrdiff_t list_urgent(const double *c, const double *w, const double *level, double factor,
                             ptrdiff_t n, int *list)
{
    vec zero = {0}, part = all(factor);
    ptrdiff_t j = 0, count = 0;
    for (; j + 2 * W <= n; j += 2 * W) {
        mask a = (absolute(load(c + j)) < part * load(level + j)) & (load(w + j) == zero);
        mask b = (absolute(load(c + j + W)) < part * load(level + j + W)) &
                 (load(w + j + W) == zero);
        if (any(~a | ~b)) {
            count = list_lanes(a, j, list, count);
            count = list_lanes(b, j + W, list, count);
        }
    }
    for (; j < n; j++) {
        list[count] = (int)j;
        count += !((__builtin_fabs(c[j]) < factor * level[j]) & (w[j] == 0.0));
    }
    return count;
}

/* sum_j norm[j] |w[j]| */
static double size(const double *norm, const double *w, ptrdiff_t n)
{
    vec s = {0}, t = {0};
    ptrdiff_t j = 0;
    double rest = 0.0;
    for (; j + 2 * W <= n; j += 2 * W) {
        s += load(norm + j) * absolute(load(w + j));
        t += load(norm + j + W) * absolute(load(w + j + W));
    }
    if (j + W <= n) {
        s += load(norm + j) * absolute(load(w + j));
        j += W;
    }
    for (; j < n; j++)
        rest += norm[j] * __builtin_fabs(w[j]);
    return sum(s + t) + rest;
}

static void prove_below(const double *c, const double *slack, const double *norm, double kappa,
                        double reach, const double *level, ptrdiff_t n, unsigned char *below)
{
    for (ptrdiff_t j = 0; j < n; j++)
        below[j] =
            kappa * (__builtin_fabs(c[j]) + slack[j]) + norm[j] * reach < level[j];
}

const fastreg_kernels LEVEL_NAMED(fastreg_kernels_) = {
    LEVEL_NAME, dot, axpy, dot4, axpy4, column_dots, column_dots_two, add_columns, column_sums,
    {NV * W, sizeof(double), pack_wide, tiles_wide},
    {NV * 2 * W, sizeof(float), pack_narrow, tiles_narrow},
    bounds, list_undecided, list_urgent, prove_below, size,
};
