/* The packed Gram product in one kind of number; included by kernels.c once for each.
 *
 * REAL is that kind, L how many of them a vector has, NARROW whether it is float, NAMED gives each
 * function its name. A block is a row block of a matrix as panels of PANEL columns. Products are
 * added up in REAL over the rows of a block, and over blocks in double.
 */
#define VEC NAMED(lanes)
#define BITS NAMED(lane_bits)
#define PANEL (NV * L)
#define UNIT (MR > L ? MR : L) /* what `tiles` reads at once: padding goes up to a multiple */

typedef REAL VEC __attribute__((vector_size(8 * W)));
typedef REAL NAMED(loose_lanes) __attribute__((vector_size(8 * W), aligned(sizeof(REAL)), may_alias));
typedef __typeof__((VEC){0} < (VEC){0}) BITS;

INLINE VEC NAMED(get)(const REAL *x) { return *(const NAMED(loose_lanes) *)x; }

INLINE void NAMED(put)(REAL *x, VEC a) { *(NAMED(loose_lanes) *)x = a; }

INLINE VEC NAMED(same)(REAL a) { return a - (VEC){0}; }

/* L entries of X, which is narrow where REAL is. */
INLINE VEC NAMED(get_x)(const void *x, ptrdiff_t i, int narrow)
{
#if NARROW
    (void)narrow;
    return NAMED(get)((const REAL *)x + i);
#else
    return load_x(x, i, narrow);
#endif
}

INLINE VEC NAMED(get_root)(const double *x)
{
#if NARROW
    REAL narrowed[L];
    UNROLL for (int k = 0; k < L; k++) narrowed[k] = (REAL)x[k];
    return NAMED(get)(narrowed);
#else
    return load(x);
#endif
}

/* One entry, rounded like those of a vector; wide ones are narrowed last. */
INLINE REAL NAMED(standard)(const void *x, ptrdiff_t i, int narrow, double shift, double scale,
                            double root)
{
    if (NARROW && !narrow)
        return (REAL)((((const double *)x)[i] - shift) * root * scale);
    return ((REAL)at_x(x, i, narrow) - (REAL)shift) * (REAL)root * (REAL)scale;
}

INLINE REAL *NAMED(place)(REAL *block, ptrdiff_t rows, ptrdiff_t column)
{
    return block + column / PANEL * PANEL * rows + column % PANEL;
}

#ifdef HAS_SHUFFLE
#if NARROW
INLINE VEC NAMED(both_halves)(half low, half high)
{
#if L == 16
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#elif L == 8
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
#else
    return __builtin_shufflevector(low, high, 0, 1, 2, 3);
#endif
}
#endif

/* L standardised entries of a column, from row i on; wide ones are narrowed last. */
INLINE VEC NAMED(standard_of_column)(const void *x, ptrdiff_t i, int narrow, double shift,
                                     double scale, const double *root)
{
#if NARROW
    if (!narrow) {
        vec center = all(shift), unit = all(scale);
        vec low = (load_x(x, i, 0) - center) * load(root + i) * unit;
        vec high = (load_x(x, i + W, 0) - center) * load(root + i + W) * unit;
        return NAMED(both_halves)(__builtin_convertvector(low, half),
                                  __builtin_convertvector(high, half));
    }
#endif
    return (NAMED(get_x)(x, i, narrow) - NAMED(same)((REAL)shift)) * NAMED(get_root)(root + i) *
           NAMED(same)((REAL)scale);
}

#if L == 16
#define EACH(f, k)                                                                                 \
    f(0, k), f(1, k), f(2, k), f(3, k), f(4, k), f(5, k), f(6, k), f(7, k), f(8, k), f(9, k),      \
        f(10, k), f(11, k), f(12, k), f(13, k), f(14, k), f(15, k)
#elif L == 8
#define EACH(f, k) f(0, k), f(1, k), f(2, k), f(3, k), f(4, k), f(5, k), f(6, k), f(7, k)
#elif L == 4
#define EACH(f, k) f(0, k), f(1, k), f(2, k), f(3, k)
#else
#define EACH(f, k) f(0, k), f(1, k)
#endif
#define FROM_LOW(i, k) ((i) & (k) ? L + (i) - (k) : (i))
#define FROM_HIGH(i, k) ((i) & (k) ? L + (i) : (i) + (k))
/* Exchange the off-diagonal blocks of size k. */
#define EXCHANGE(k)                                                                                \
    UNROLL for (int r = 0; r < L; r++) if (!(r & (k)))                                             \
    {                                                                                              \
        VEC low = t[r], high = t[r + (k)];                                                         \
        t[r] = __builtin_shufflevector(low, high, EACH(FROM_LOW, k));                              \
        t[r + (k)] = __builtin_shufflevector(low, high, EACH(FROM_HIGH, k));                       \
    }

INLINE void NAMED(transpose)(VEC *t)
{
    EXCHANGE(1)
#if L >= 4
    EXCHANGE(2)
#endif
#if L >= 8
    EXCHANGE(4)
#endif
#if L >= 16
    EXCHANGE(8)
#endif
}
#undef EACH
#undef FROM_LOW
#undef FROM_HIGH
#undef EXCHANGE
#endif

/* Columns that are contiguous: L of them at a time are transposed in registers. */
INLINE void NAMED(pack_columns)(int narrow, const fastreg_matrix *X, ptrdiff_t first,
                                ptrdiff_t rows, const int *columns, ptrdiff_t m,
                                const double *shift, const double *scale,
                                const double *root_weight, REAL *block, ptrdiff_t at)
{
    const void *x[L];
    double center[L], unit[L];
    ptrdiff_t k = 0;
    while (k < m) {
        int count = L - (int)((at + k) % L);
        REAL *target = NAMED(place)(block, rows, at + k);
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
        if (count == L)
            for (; i + L <= rows; i += L) {
                VEC t[L];
                UNROLL for (int c = 0; c < L; c++)
                    t[c] = NAMED(standard_of_column)(x[c], i, narrow, center[c], unit[c],
                                                     root_weight);
                NAMED(transpose)(t);
                UNROLL for (int c = 0; c < L; c++) NAMED(put)(target + (i + c) * PANEL, t[c]);
            }
#endif
        for (int c = 0; c < count; c++)
            for (ptrdiff_t r = i; r < rows; r++)
                target[r * PANEL + c] =
                    NAMED(standard)(x[c], r, narrow, center[c], unit[c], root_weight[r]);
        k += count;
    }
}

INLINE void NAMED(pack_part_of_panel)(int nv, int narrow, const void *x, ptrdiff_t stride,
                                      ptrdiff_t rows, const VEC *center, const VEC *unit,
                                      const BITS *keep, const double *root_weight, REAL *target)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        VEC root = NAMED(same)((REAL)root_weight[i]);
        UNROLL for (int q = 0; q < nv; q++) {
            VEC z = (NAMED(get_x)(x, i * stride + q * L, narrow) - center[q]) * root * unit[q];
            NAMED(put)(target + i * PANEL + q * L, (VEC)((BITS)z & keep[q]));
        }
    }
}

#if NARROW
/* Entries of wide rows, as many as whole vectors hold; returns how many. */
INLINE ptrdiff_t NAMED(pack_wide)(const double *x, ptrdiff_t stride, ptrdiff_t rows,
                                  ptrdiff_t width, const double *shift, const double *scale,
                                  const double *root_weight, REAL *target)
{
    ptrdiff_t whole = width / W * W;
    for (ptrdiff_t i = 0; i < rows; i++) {
        vec root = all(root_weight[i]);
        for (ptrdiff_t c = 0; c < whole; c += W) {
            vec z = (load(x + i * stride + c) - load(shift + c)) * root * load(scale + c);
            *(half_u *)(target + i * PANEL + c) = __builtin_convertvector(z, half);
        }
    }
    return whole;
}
#endif

/* Rows that are contiguous: a panel's width of them at a time. */
INLINE void NAMED(pack_rows)(int narrow, const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows,
                             const int *columns, ptrdiff_t m, const double *shift,
                             const double *scale, const double *root_weight, REAL *block,
                             ptrdiff_t at)
{
    ptrdiff_t stride = X->row_stride, k = 0;
    ptrdiff_t end = (X->n_rows - 1) * stride + X->n_columns;
    int dense = columns == NULL || are_consecutive(columns, m);
    while (k < m) {
        REAL center[PANEL] = {0}, unit[PANEL] = {0}, used[PANEL] = {0};
        ptrdiff_t j = columns == NULL ? k : columns[k], width = PANEL - (at + k) % PANEL, i = 0;
        ptrdiff_t packed = 0; /* columns of it */
        REAL *target = NAMED(place)(block, rows, at + k);
        if (width > m - k)
            width = m - k;
#if NARROW
        if (dense && !narrow)
            packed = NAMED(pack_wide)((const double *)X->data + first * stride + j, stride, rows,
                                      width, shift + j, scale + j, root_weight, target);
        else
#endif
        if (dense && (at + k) % PANEL == 0) {
            /* Whole vectors, also where the panel has fewer columns: what was read too much is
             * masked. The last rows, which may end too early for that, follow one by one. */
            VEC c[NV], u[NV];
            BITS keep[NV];
            ptrdiff_t safe = end - j - PANEL - first * stride;
            safe = safe < 0 ? 0 : safe / stride + 1;
            if (safe > rows)
                safe = rows;
            for (ptrdiff_t b = 0; b < width; b++) {
                center[b] = (REAL)shift[j + b];
                unit[b] = (REAL)scale[j + b];
                used[b] = 1;
            }
            UNROLL for (int q = 0; q < NV; q++) {
                c[q] = NAMED(get)(center + q * L);
                u[q] = NAMED(get)(unit + q * L);
                keep[q] = NAMED(get)(used + q * L) > (VEC){0};
            }
            if (width == PANEL)
                for (; i < safe; i++) {
                    const void *x = move_x(X->data, (first + i) * stride + j, narrow);
                    VEC root = NAMED(same)((REAL)root_weight[i]);
                    UNROLL for (int q = 0; q < NV; q++)
                        NAMED(put)(target + i * PANEL + q * L,
                                   (NAMED(get_x)(x, q * L, narrow) - c[q]) * root * u[q]);
                }
            else if (width <= UNIT)
                NAMED(pack_part_of_panel)(UNIT / L, narrow,
                                          move_x(X->data, first * stride + j, narrow), stride,
                                          safe, c, u, keep, root_weight, target);
            else
                NAMED(pack_part_of_panel)(NV, narrow,
                                          move_x(X->data, first * stride + j, narrow), stride,
                                          safe, c, u, keep, root_weight, target);
            i = safe;
        }
        for (; i < rows; i++) {
            const void *x = move_x(X->data, (first + i) * stride, narrow);
            for (ptrdiff_t c = packed; c < width; c++) {
                ptrdiff_t column = columns == NULL ? k + c : columns[k + c];
                target[i * PANEL + c] = NAMED(standard)(x, column, narrow, shift[column],
                                                        scale[column], root_weight[i]);
            }
        }
        k += width;
    }
}

static void NAMED(pack)(const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows,
                        const int *columns, ptrdiff_t m, const double *shift, const double *scale,
                        const double *root_weight, void *memory, ptrdiff_t at, ptrdiff_t width)
{
    const double *root = root_weight + first;
    REAL *block = memory;
    ptrdiff_t end = at + m;
    if (X->row_stride == 1) {
        if (X->narrow)
            NAMED(pack_columns)(1, X, first, rows, columns, m, shift, scale, root, block, at);
        else
            NAMED(pack_columns)(0, X, first, rows, columns, m, shift, scale, root, block, at);
    } else {
        if (X->narrow)
            NAMED(pack_rows)(1, X, first, rows, columns, m, shift, scale, root, block, at);
        else
            NAMED(pack_rows)(0, X, first, rows, columns, m, shift, scale, root, block, at);
    }
    for (; end >= width && end % UNIT; end++) {
        REAL *target = NAMED(place)(block, rows, end);
        for (ptrdiff_t i = 0; i < rows; i++)
            target[i * PANEL] = 0;
    }
}

/* MR columns of a panel times the first nv * L columns of a panel. Meanwhile lines of memory are
 * fetched that will be packed next. */
INLINE void NAMED(tile)(int nv, const REAL *a, const REAL *b, ptrdiff_t rows,
                        const char *const *lines, REAL *out)
{
    VEC s[MR][NV];
    ptrdiff_t i = 0;
    UNROLL for (int r = 0; r < MR; r++) UNROLL for (int q = 0; q < nv; q++) s[r][q] = (VEC){0};
    for (; i + 2 <= rows; i += 2) {
        __builtin_prefetch(lines[i / 2 % LINES], 0, 2);
        UNROLL for (int k = 0; k < 2; k++, a += PANEL, b += PANEL) {
            VEC right[NV];
            UNROLL for (int q = 0; q < nv; q++) right[q] = NAMED(get)(b + q * L);
            UNROLL for (int r = 0; r < MR; r++) {
                VEC left = NAMED(same)(a[r]);
                UNROLL for (int q = 0; q < nv; q++) s[r][q] += left * right[q];
            }
        }
    }
    if (i < rows)
        UNROLL for (int q = 0; q < nv; q++) {
            VEC right = NAMED(get)(b + q * L);
            UNROLL for (int r = 0; r < MR; r++) s[r][q] += NAMED(same)(a[r]) * right;
        }
    UNROLL for (int r = 0; r < MR; r++) UNROLL for (int q = 0; q < nv; q++)
        NAMED(put)(out + r * PANEL + q * L, s[r][q]);
}

static void NAMED(tiles)(const void *memory, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t first_new,
                         double *out, ptrdiff_t stride, const fastreg_matrix *next,
                         const int *columns, ptrdiff_t m)
{
    const REAL *block = memory;
    const char *lines[LINES];
    fetcher ahead = fetch_from(next, columns, m);
    REAL result[MR * PANEL];
    for (int k = 0; k < LINES; k++)
        lines[k] = memory;
    for (ptrdiff_t b = 0; b < width; b += PANEL) {
        const REAL *right = block + b * rows;
        ptrdiff_t count = width - b < PANEL ? width - b : PANEL;
        ptrdiff_t a = first_new > b ? first_new : b;
        for (a = a / MR * MR; a < width; a += MR) {
            const REAL *left = block + a / PANEL * PANEL * rows + a % PANEL;
            ptrdiff_t first = a < first_new ? first_new : a;
            ptrdiff_t last = a + MR < width ? a + MR : width;
            /* On the diagonal only what lies at or below it. */
            ptrdiff_t needed = last - b < count ? last - b : count;
            fetch_lines(&ahead, lines);
            switch ((needed + L - 1) / L) {
#if NV >= 4
            case 4: NAMED(tile)(4, left, right, rows, lines, result); break;
#endif
#if NV >= 3
            case 3: NAMED(tile)(3, left, right, rows, lines, result); break;
#endif
            case 2: NAMED(tile)(2, left, right, rows, lines, result); break;
            default: NAMED(tile)(1, left, right, rows, lines, result); break;
            }
            for (; first < last; first++) {
                const REAL *source = result + (first - a) * PANEL;
                double *target = out + (first - first_new) * stride + b;
                if (needed == PANEL)
                    UNROLL for (int q = 0; q < PANEL; q += W)
                        store(target + q, load(target + q) + load_x(source, q, NARROW));
                else
                    for (ptrdiff_t c = 0; c < needed; c++)
                        target[c] += source[c];
            }
        }
    }
}

#undef VEC
#undef BITS
#undef PANEL
#undef UNIT
