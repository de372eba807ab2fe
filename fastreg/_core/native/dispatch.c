/* Which levels were built (FASTREG_LEVELS_*, from meson.build), and which this processor has. */
#include "kernels.h"

extern const fastreg_kernels fastreg_kernels_baseline, fastreg_kernels_avx2, fastreg_kernels_avx512;

const fastreg_kernels *
fastreg_kernels_level(int k)
{
    const fastreg_kernels *levels[4] = {NULL, NULL, NULL, NULL};
    int n = 0;
#ifdef FASTREG_HAS_BASELINE
    levels[n++] = &fastreg_kernels_baseline;
#endif
#if defined(FASTREG_HAS_AVX2) || defined(FASTREG_HAS_AVX512)
    __builtin_cpu_init();
#endif
#ifdef FASTREG_HAS_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        levels[n++] = &fastreg_kernels_avx2;
#endif
#ifdef FASTREG_HAS_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        levels[n++] = &fastreg_kernels_avx512;
#endif
    return k >= 0 && k < n ? levels[k] : NULL;
}
