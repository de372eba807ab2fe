/* The proximal step of fastreg.torch in the metric of Adam, in float. Included by kernels.c.
 *
 * Root and quotient in hardware share one slow unit: an estimate of 1/root that one step of Newton
 * completes leaves it the quotient alone, and the loop waits for memory instead.
 */
#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef float real __attribute__((vector_size(8 * W)));
typedef float real_u __attribute__((vector_size(8 * W), aligned(4), may_alias));

/* x < y ? x : y, which is NaN where y is. */
INLINE real lesser(real x, real y)
{
    typedef int32_t lanes __attribute__((vector_size(8 * W)));
    lanes less = x < y;
    return (real)(((lanes)x & less) | ((lanes)y & ~less));
}

INLINE real greater(real x, real y) { return -lesser(-x, -y); }

INLINE real root(real v)
{
#if defined(__AVX2__)
    /* No estimate is finite for 0 and for infinity; a NaN stays one. */
    const real zero = {0}, least = 1e-37f - zero, most = __FLT_MAX__ - zero;
    v = greater(least, lesser(most, v));
#if W == 8
    real guess = (real)_mm512_rsqrt14_ps((__m512)v);
#else
    real guess = (real)_mm256_rsqrt_ps((__m256)v);
#endif
    real near = v * guess;
    return near * (1.5f - 0.5f * near * guess);
#else
    v = lesser(__FLT_MAX__ - (real){0}, v); /* an average of squares may have overflowed */
    UNROLL for (int k = 0; k < 2 * W; k++) v[k] = __builtin_sqrtf(v[k]);
    return v;
#endif
}

INLINE real clamped(real x, real most)
{
    return greater(lesser(x, most), -most);
}

INLINE real softened(real w, real v, float add, float threshold, float more)
{
    const real level = threshold - (real){0};
    real scale = root(v) + add;
    if (more == 0.0f)
        return w - clamped(w, level / scale);
    w *= scale;
    return (w - clamped(w, level)) / (scale + more);
}

static void soften(float *w, const float *square, ptrdiff_t n, float add, float threshold, float more)
{
    ptrdiff_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W)
        *(real_u *)(w + i) = softened(*(const real_u *)(w + i), *(const real_u *)(square + i), add,
                                      threshold, more);
    if (i < n) {
        real a = {0}, b = {0};
        memcpy(&a, w + i, (n - i) * sizeof(float));
        memcpy(&b, square + i, (n - i) * sizeof(float));
        a = softened(a, b, add, threshold, more);
        memcpy(w + i, &a, (n - i) * sizeof(float));
    }
}
