/* Which levels were built (FASTREG_LEVELS_*, from meson.build), and which this processor has. */
#include "kernels.h"
#include "lockstep.h"
#include "resample.h"
#include "sparse.h"

extern const fastreg_kernels fastreg_kernels_baseline, fastreg_kernels_avx2, fastreg_kernels_avx512;
extern const fastreg_sparse_kernels fastreg_sparse_baseline, fastreg_sparse_avx2,
    fastreg_sparse_avx512;
extern const fastreg_lockstep_kernel fastreg_lockstep_plain, fastreg_lockstep_baseline,
    fastreg_lockstep_avx2, fastreg_lockstep_avx512;
extern const fastreg_resample_kernels fastreg_resample_plain, fastreg_resample_baseline,
    fastreg_resample_avx2, fastreg_resample_avx512;

typedef struct {
    const fastreg_kernels *dense;
    const fastreg_sparse_kernels *sparse;
    const fastreg_lockstep_kernel *lockstep;
    const fastreg_resample_kernels *resample;
} level;

static level level_number(int k)
{
    level levels[4] = {{NULL, NULL, NULL, NULL}};
    int n = 0;
#ifdef FASTREG_HAS_BASELINE
    levels[n++] = (level){&fastreg_kernels_baseline, &fastreg_sparse_baseline, &fastreg_lockstep_baseline,
                          &fastreg_resample_baseline};
#endif
#if defined(FASTREG_HAS_AVX2) || defined(FASTREG_HAS_AVX512)
    __builtin_cpu_init();
#endif
#ifdef FASTREG_HAS_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        levels[n++] = (level){&fastreg_kernels_avx2, &fastreg_sparse_avx2, &fastreg_lockstep_avx2,
                              &fastreg_resample_avx2};
#endif
#ifdef FASTREG_HAS_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        levels[n++] = (level){&fastreg_kernels_avx512, &fastreg_sparse_avx512, &fastreg_lockstep_avx512,
                              &fastreg_resample_avx512};
#endif
    return k >= 0 && k < n ? levels[k] : (level){NULL, NULL, NULL, NULL};
}

const fastreg_kernels *fastreg_kernels_level(int k) { return level_number(k).dense; }

const fastreg_sparse_kernels *fastreg_sparse_level(int k) { return level_number(k).sparse; }

const fastreg_lockstep_kernel *fastreg_lockstep_level(int k)
{
    return k == 0 ? &fastreg_lockstep_plain : level_number(k - 1).lockstep;
}

const fastreg_resample_kernels *fastreg_resample_level(int k)
{
    return k == 0 ? &fastreg_resample_plain : level_number(k - 1).resample;
}
