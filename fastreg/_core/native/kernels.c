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

#include "vectors.h"

#define ROW_BLOCK 2048     /* rows of a few columns that stay in the first-level cache */
#define COLUMN_BLOCK 512   /* columns of GROUP rows that do */
#define GROUP 8            /* rows that are added up in registers */
#define HEAD 128           /* rows whose mean is a first shift */
#define PAGE 4096          /* bytes */
#define GATHER 16          /* columns of a row that are better gathered than summed over lanes */
#define FILL 4             /* columns to read instead of the one that is wanted */
#define LIST 256           /* columns whose coefficients are gathered once */
#define PANELS 8           /* that are packed together: their rows share a set of the cache */

#include "dots.h"
#include "combinations.h"
#include "sums.h"

/* The packed Gram product, in double and, for X in float, in float. A register tile of it is at most
 * MR columns x NV vectors, whose sums stay in registers; in float gcc puts some of 3 vectors into
 * memory. */
#if W == 8
#define MR 8
#define NV_WIDE 3
#define NV_NARROW 2
#elif W == 4
#define MR 4
#define NV_WIDE 3
#define NV_NARROW 2
#elif defined(__aarch64__)
#define MR 4
#define NV_WIDE 4
#define NV_NARROW 4
#else
#define MR 4
#define NV_WIDE 2
#define NV_NARROW 2
#endif

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE
#endif
#endif

#include "fetch.h"

#define REAL double
#define NV NV_WIDE
#define L W
#define NARROW 0
#define NAMED(name) name##_wide
#include "product.h"
#undef REAL
#undef NV
#undef L
#undef NARROW
#undef NAMED

#define REAL float
#define NV NV_NARROW
#define L (2 * W)
#define NARROW 1
#define NAMED(name) name##_narrow
#include "product.h"

#include "features.h"
#include "shrink.h"

const fastreg_kernels LEVEL_NAMED(fastreg_kernels_) = {
    LEVEL_NAME, dot, axpy, dot4, axpy4, column_dots, column_dots_two, add_columns, column_sums,
    {NV_WIDE * W, sizeof(double), pack_wide, tiles_wide},
    {NV_NARROW * 2 * W, sizeof(float), pack_narrow, tiles_narrow},
    bounds, list_undecided, list_urgent, prove_below, size,
    soften,
};
