/* Vectors of W doubles, and the loops over arrays of doubles alone. Included by kernels.c.
 *
 * Entries of X are doubles, or floats where it is `narrow`.
 */
#if defined(__AVX512F__)
#define W 8
#elif defined(__AVX2__)
#define W 4
#else
#define W 2
#endif

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

/* The last lanes, and zero before them. */
INLINE vec last_lanes(vec a, ptrdiff_t count)
{
    mask keep;
    UNROLL for (int k = 0; k < W; k++) keep[k] = k >= W - count ? -1 : 0;
    return (vec)((mask)a & keep);
}

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
