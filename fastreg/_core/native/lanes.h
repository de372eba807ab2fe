/* Vectors whose lanes are problems of their own, and masks of lanes: the same text at every level.
 *
 * W lanes; W = 1, where the compiler has no vector extensions or FASTREG_PLAIN is defined, is plain
 * C. A lane never looks at another one, so what it computes does not depend on its neighbours. */
#ifndef FASTREG_LANES_H
#define FASTREG_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#else
#define INLINE static inline
#define UNROLL
#endif

#if defined(FASTREG_PLAIN) || !defined(__GNUC__)

#define W 1
typedef double vec;
typedef int mask;

INLINE vec all(double a) { return a; }
INLINE vec multiply_add(vec a, vec b, vec c) { return a * b + c; }
INLINE vec less_product(vec a, vec b, vec c) { return c - a * b; }
INLINE vec larger(vec a, vec b) { return a > b ? a : b; }
INLINE vec smaller(vec a, vec b) { return a < b ? a : b; }
INLINE vec size_of(vec a) { return fabs(a); }
INLINE vec root(vec a) { return sqrt(a); }
INLINE vec with_sign(vec size, vec a) { return copysign(size, a); }
INLINE mask less(vec a, vec b) { return a < b; }
INLINE mask at_most(vec a, vec b) { return a <= b; }
INLINE mask is_not(vec a, vec b) { return a != b; }
INLINE mask both(mask a, mask b) { return a & b; }
INLINE mask either(mask a, mask b) { return a | b; }
INLINE mask except(mask a, mask b) { return a & !b; }
INLINE mask no_lane(void) { return 0; }
INLINE int bits_of(mask a) { return a; }
INLINE mask first_lanes(ptrdiff_t count) { return count > 0; }
INLINE vec choose(mask m, vec a, vec b) { return m ? a : b; }
INLINE vec exact_error(vec a, vec b, vec product) { return fma(a, b, -product); }

#elif defined(__AVX512F__)

#include <immintrin.h>
#define W 8
typedef __m512d vec;
typedef __mmask8 mask;

INLINE vec all(double a) { return _mm512_set1_pd(a); }
INLINE vec multiply_add(vec a, vec b, vec c) { return _mm512_fmadd_pd(a, b, c); }
INLINE vec less_product(vec a, vec b, vec c) { return _mm512_fnmadd_pd(a, b, c); }
INLINE vec larger(vec a, vec b) { return _mm512_max_pd(a, b); }
INLINE vec smaller(vec a, vec b) { return _mm512_min_pd(a, b); }
INLINE vec size_of(vec a) { return _mm512_abs_pd(a); }
INLINE vec root(vec a) { return _mm512_sqrt_pd(a); }
INLINE vec with_sign(vec size, vec a)
{
    return _mm512_or_pd(size, _mm512_and_pd(a, _mm512_set1_pd(-0.0)));
}
INLINE mask less(vec a, vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
INLINE mask at_most(vec a, vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
INLINE mask is_not(vec a, vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ); }
INLINE mask both(mask a, mask b) { return a & b; }
INLINE mask either(mask a, mask b) { return a | b; }
INLINE mask except(mask a, mask b) { return (mask)(a & ~b); }
INLINE mask no_lane(void) { return 0; }
INLINE int bits_of(mask a) { return a; }
INLINE mask first_lanes(ptrdiff_t count) { return (mask)(count >= W ? 255 : (1 << count) - 1); }
INLINE vec choose(mask m, vec a, vec b) { return _mm512_mask_blend_pd(m, b, a); }
INLINE vec exact_error(vec a, vec b, vec product) { return _mm512_fmsub_pd(a, b, product); }

#elif defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>
#define W 4
typedef __m256d vec;
typedef __m256d mask;

INLINE vec all(double a) { return _mm256_set1_pd(a); }
INLINE vec multiply_add(vec a, vec b, vec c) { return _mm256_fmadd_pd(a, b, c); }
INLINE vec less_product(vec a, vec b, vec c) { return _mm256_fnmadd_pd(a, b, c); }
INLINE vec larger(vec a, vec b) { return _mm256_max_pd(a, b); }
INLINE vec smaller(vec a, vec b) { return _mm256_min_pd(a, b); }
INLINE vec size_of(vec a) { return _mm256_andnot_pd(all(-0.0), a); }
INLINE vec root(vec a) { return _mm256_sqrt_pd(a); }
INLINE vec with_sign(vec size, vec a) { return _mm256_or_pd(size, _mm256_and_pd(a, all(-0.0))); }
INLINE mask less(vec a, vec b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
INLINE mask at_most(vec a, vec b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
INLINE mask is_not(vec a, vec b) { return _mm256_cmp_pd(a, b, _CMP_NEQ_UQ); }
INLINE mask both(mask a, mask b) { return _mm256_and_pd(a, b); }
INLINE mask either(mask a, mask b) { return _mm256_or_pd(a, b); }
INLINE mask except(mask a, mask b) { return _mm256_andnot_pd(b, a); }
INLINE mask no_lane(void) { return _mm256_setzero_pd(); }
INLINE int bits_of(mask a) { return _mm256_movemask_pd(a); }
INLINE mask first_lanes(ptrdiff_t count)
{
    return less(_mm256_set_pd(3.0, 2.0, 1.0, 0.0), all((double)count));
}
INLINE vec choose(mask m, vec a, vec b) { return _mm256_blendv_pd(b, a, m); }
INLINE vec exact_error(vec a, vec b, vec product) { return _mm256_fmsub_pd(a, b, product); }

#else

#define W 2
typedef double vec __attribute__((vector_size(16)));
typedef int64_t mask __attribute__((vector_size(16)));

INLINE vec all(double a) { return (vec){a, a}; }
INLINE vec multiply_add(vec a, vec b, vec c) { return a * b + c; }
INLINE vec less_product(vec a, vec b, vec c) { return c - a * b; }
INLINE vec choose(mask m, vec a, vec b) { return (vec)(((mask)a & m) | ((mask)b & ~m)); }
INLINE vec larger(vec a, vec b) { return choose(a > b, a, b); }
INLINE vec smaller(vec a, vec b) { return choose(a < b, a, b); }
INLINE vec size_of(vec a) { return (vec)((mask)a & INT64_MAX); }
INLINE vec root(vec a) { return (vec){sqrt(a[0]), sqrt(a[1])}; }
INLINE vec with_sign(vec size, vec a) { return (vec)((mask)size | ((mask)a & INT64_MIN)); }
INLINE mask less(vec a, vec b) { return a < b; }
INLINE mask at_most(vec a, vec b) { return a <= b; }
INLINE mask is_not(vec a, vec b) { return a != b; }
INLINE mask both(mask a, mask b) { return a & b; }
INLINE mask either(mask a, mask b) { return a | b; }
INLINE mask except(mask a, mask b) { return a & ~b; }
INLINE mask no_lane(void) { return (mask){0, 0}; }
INLINE int bits_of(mask a) { return (int)(-a[0] - 2 * a[1]); }
INLINE mask first_lanes(ptrdiff_t count) { return (mask){-(count > 0), -(count > 1)}; }
INLINE vec exact_error(vec a, vec b, vec product)
{
    return (vec){fma(a[0], b[0], -product[0]), fma(a[1], b[1], -product[1])};
}

#endif

INLINE int any(mask a) { return bits_of(a) != 0; }

/* What is read here was rounded: no multiplication is fused with what follows. */
INLINE vec rounded(vec a)
{
#if defined(__GNUC__)
    __asm__("" : "+m"(a));
#endif
    return a;
}

#endif
