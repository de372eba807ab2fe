/* Design: most columns are short, so what counts is that their ends cost no mispredicted branch:
 * the last entries of a column go through a vector of which some lanes are masked. The lanes that
 * are read are those of the column alone, so nothing that a neighbour holds can show.
 *
 * Gathers are used where the processor is new enough for AVX-512; older ones have slow gathers, or
 * gathers that were made slow, and fetch entry by entry.
 */
#include "level.h"
#include "sparse.h"

#include <stdint.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)

#define W 8
typedef __m512d vec;
typedef __mmask8 some;

INLINE vec zero(void) { return _mm512_setzero_pd(); }
INLINE vec all(double a) { return _mm512_set1_pd(a); }
INLINE vec minus(vec a, vec b) { return _mm512_sub_pd(a, b); }
INLINE vec plus(vec a, vec b) { return _mm512_add_pd(a, b); }
INLINE vec plus_times(vec s, vec a, vec b) { return _mm512_fmadd_pd(a, b, s); }
INLINE double sum(vec a) { return _mm512_reduce_add_pd(a); }

INLINE vec pick(const double *v, const int *rows)
{
    return _mm512_i32gather_pd(_mm256_loadu_si256((const void *)rows), v, 8);
}

INLINE vec values(const void *x, ptrdiff_t k, int narrow)
{
    if (narrow)
        return _mm512_cvtps_pd(_mm256_loadu_ps((const float *)x + k));
    return _mm512_loadu_pd((const double *)x + k);
}

INLINE some first_lanes(ptrdiff_t n) { return (some)(n >= W ? 0xff : (1u << n) - 1u); }

INLINE vec pick_some(const double *v, const int *rows, some lanes)
{
    __m256i row = _mm256_maskz_loadu_epi32(lanes, rows);
    return _mm512_mask_i32gather_pd(zero(), lanes, row, v, 8);
}

INLINE vec some_values(const void *x, ptrdiff_t k, int narrow, some lanes)
{
    if (narrow)
        return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(lanes, (const float *)x + k));
    return _mm512_maskz_loadu_pd(lanes, (const double *)x + k);
}

#elif defined(__AVX2__)

#define W 4
typedef __m256d vec;
typedef __m128i some;

INLINE vec zero(void) { return _mm256_setzero_pd(); }
INLINE vec all(double a) { return _mm256_set1_pd(a); }
INLINE vec minus(vec a, vec b) { return _mm256_sub_pd(a, b); }
INLINE vec plus(vec a, vec b) { return _mm256_add_pd(a, b); }
INLINE vec plus_times(vec s, vec a, vec b) { return _mm256_fmadd_pd(a, b, s); }
INLINE double sum(vec a) { return (a[0] + a[2]) + (a[1] + a[3]); }

INLINE vec pick(const double *v, const int *rows)
{
    return _mm256_setr_pd(v[rows[0]], v[rows[1]], v[rows[2]], v[rows[3]]);
}

INLINE vec values(const void *x, ptrdiff_t k, int narrow)
{
    if (narrow)
        return _mm256_cvtps_pd(_mm_loadu_ps((const float *)x + k));
    return _mm256_loadu_pd((const double *)x + k);
}

INLINE some first_lanes(ptrdiff_t n)
{
    static const int lanes[2 * W] = {-1, -1, -1, -1, 0, 0, 0, 0};
    return _mm_loadu_si128((const void *)(lanes + W - (n < W ? n : W)));
}

INLINE vec pick_some(const double *v, const int *rows, some lanes)
{
    __m128i row = _mm_maskload_epi32(rows, lanes); /* row 0 in the other lanes */
    vec a = _mm256_setr_pd(v[_mm_extract_epi32(row, 0)], v[_mm_extract_epi32(row, 1)],
                           v[_mm_extract_epi32(row, 2)], v[_mm_extract_epi32(row, 3)]);
    return _mm256_and_pd(a, _mm256_castsi256_pd(_mm256_cvtepi32_epi64(lanes)));
}

INLINE vec some_values(const void *x, ptrdiff_t k, int narrow, some lanes)
{
    if (narrow)
        return _mm256_cvtps_pd(_mm_maskload_ps((const float *)x + k, lanes));
    return _mm256_maskload_pd((const double *)x + k, _mm256_cvtepi32_epi64(lanes));
}

#else

#define W 1
typedef double vec;
typedef int some;

INLINE vec zero(void) { return 0.0; }
INLINE vec all(double a) { return a; }
INLINE vec minus(vec a, vec b) { return a - b; }
INLINE vec plus(vec a, vec b) { return a + b; }
INLINE vec plus_times(vec s, vec a, vec b) { return s + a * b; }
INLINE double sum(vec a) { return a; }
INLINE vec pick(const double *v, const int *rows) { return v[rows[0]]; }

INLINE vec values(const void *x, ptrdiff_t k, int narrow)
{
    return narrow ? (double)((const float *)x)[k] : ((const double *)x)[k];
}

INLINE some first_lanes(ptrdiff_t n) { return (some)n; }
INLINE vec pick_some(const double *v, const int *rows, some lanes) { return pick(v, rows); }

INLINE vec some_values(const void *x, ptrdiff_t k, int narrow, some lanes)
{
    return values(x, k, narrow);
}

#endif

/* sum over the entries a..b of v[row] (x - shift) */
INLINE double dot(const void *x, int narrow, const int *rows, ptrdiff_t a, ptrdiff_t b,
                  int shifted, double shift, const double *v)
{
    vec s = zero(), t = zero(), by = all(shift);
    ptrdiff_t k = a;
    for (; k + 2 * W <= b; k += 2 * W) {
        vec y = values(x, k, narrow), z = values(x, k + W, narrow);
        s = plus_times(s, pick(v, rows + k), shifted ? minus(y, by) : y);
        t = plus_times(t, pick(v, rows + k + W), shifted ? minus(z, by) : z);
    }
    for (; k < b; k += W) {
        some lanes = first_lanes(b - k);
        vec y = some_values(x, k, narrow, lanes);
        s = plus_times(s, pick_some(v, rows + k, lanes), shifted ? minus(y, by) : y);
    }
    return sum(plus(s, t));
}

INLINE void dots_of(const fastreg_sparse *X, const void *x, int narrow, const int *columns,
                    ptrdiff_t first, ptrdiff_t m, const double *shift, const double *scale,
                    const double *v, double v_sum, double *out)
{
    for (ptrdiff_t k = 0; k < m; k++) {
        ptrdiff_t j = columns ? columns[k] : first + k, a = X->start[j], b = X->start[j + 1];
        double s;
        if (b - a == X->n_rows) /* the implicit form would lose digits */
            s = dot(x, narrow, X->rows, a, b, 1, shift[j], v);
        else
            s = dot(x, narrow, X->rows, a, b, 0, 0.0, v) - shift[j] * v_sum;
        out[k] = scale[j] * s;
    }
}

static void dots(const fastreg_sparse *X, const int *columns, ptrdiff_t first, ptrdiff_t m,
                 const double *shift, const double *scale, const double *v, double v_sum,
                 double *out)
{
    if (X->narrow)
        dots_of(X, X->narrow, 1, columns, first, m, shift, scale, v, v_sum, out);
    else
        dots_of(X, X->wide, 0, columns, first, m, shift, scale, v, v_sum, out);
}

INLINE void sums_of(const fastreg_sparse *X, const void *x, int narrow, ptrdiff_t first,
                    ptrdiff_t last, const double *v, double *total, double *square, double *cross)
{
    for (ptrdiff_t j = first; j < last; j++) {
        vec s0 = zero(), s1 = zero(), q0 = zero(), q1 = zero(), c0 = zero(), c1 = zero();
        ptrdiff_t k = X->start[j], b = X->start[j + 1];
        for (; k + 2 * W <= b; k += 2 * W) {
            vec y = values(x, k, narrow), z = values(x, k + W, narrow);
            s0 = plus(s0, y);
            s1 = plus(s1, z);
            q0 = plus_times(q0, y, y);
            q1 = plus_times(q1, z, z);
            c0 = plus_times(c0, pick(v, X->rows + k), y);
            c1 = plus_times(c1, pick(v, X->rows + k + W), z);
        }
        for (; k < b; k += W) {
            some lanes = first_lanes(b - k);
            vec y = some_values(x, k, narrow, lanes);
            s0 = plus(s0, y);
            q0 = plus_times(q0, y, y);
            c0 = plus_times(c0, pick_some(v, X->rows + k, lanes), y);
        }
        total[j] = sum(plus(s0, s1));
        square[j] = sum(plus(q0, q1));
        cross[j] = sum(plus(c0, c1));
    }
}

static void sums(const fastreg_sparse *X, ptrdiff_t first, ptrdiff_t last, const double *v,
                 double *total, double *square, double *cross)
{
    if (X->narrow)
        sums_of(X, X->narrow, 1, first, last, v, total, square, cross);
    else
        sums_of(X, X->wide, 0, first, last, v, total, square, cross);
}

const fastreg_sparse_kernels LEVEL_NAMED(fastreg_sparse_) = {dots, sums};
