/* The packed Gram product in one kind of number; included by kernels.c once for each.
 *
 * REAL is that kind, L how many of them a vector has, NARROW whether it is float, NAMED gives each
 * function its name. A block is a row block of a matrix as panels of PANEL columns. Products are
 * added up in REAL over the rows of a block, and over blocks in double.
 */
#define VEC NAMED(lanes)
#define BITS NAMED(lane_bits)
#define PANEL (NV * L)

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

/* Columns that are contiguous. L of them at a time are transposed in registers; where fewer are
 * left, the last one stands in for those that are not there. */
INLINE void NAMED(pack_columns)(int narrow, const fastreg_matrix *X, ptrdiff_t first,
                                ptrdiff_t rows, const int *columns, ptrdiff_t m,
                                const double *shift, const double *scale,
                                const double *root_weight, REAL *block, ptrdiff_t at)
{
    const void *x[L];
    double center[L], unit[L];
    ptrdiff_t k = 0;
    while (k < m) {
        int room = L - (int)((at + k) % L), count = m - k < room ? (int)(m - k) : room;
        REAL *target = NAMED(place)(block, rows, at + k);
        ptrdiff_t i = 0;
        for (int c = 0; c < room; c++) {
            ptrdiff_t of = k + (c < count ? c : count - 1), j = columns == NULL ? of : columns[of];
            x[c] = move_x(X->data, j * X->column_stride + first, narrow);
            center[c] = shift[j];
            unit[c] = scale[j];
        }
#ifdef HAS_SHUFFLE
        if (room == L && count > 1)
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

/* The next `nv` vectors of a row. */
INLINE void NAMED(pack_vectors)(int nv, int narrow, const void *x, const double *shift,
                                const double *scale, const REAL *center, const REAL *unit,
                                double root, REAL *target)
{
#if NARROW
    if (!narrow) { /* wide ones are narrowed last */
        UNROLL for (int c = 0; c < nv * L; c += W)
            *(half_u *)(target + c) = __builtin_convertvector(
                (load_x(x, c, 0) - load(shift + c)) * all(root) * load(scale + c), half);
        return;
    }
#endif
    (void)shift, (void)scale;
    UNROLL for (int c = 0; c < nv * L; c += L)
        NAMED(put)(target + c, (NAMED(get_x)(x, c, narrow) - NAMED(get)(center + c)) *
                                   NAMED(same)((REAL)root) * NAMED(get)(unit + c));
}

/* Rows of whole vectors: panels, and `nv` vectors of one more. */
INLINE void NAMED(pack_whole_rows)(int nv, int narrow, const void *x, ptrdiff_t stride,
                                   ptrdiff_t rows, ptrdiff_t width, const double *shift,
                                   const double *scale, const REAL *center, const REAL *unit,
                                   const double *root_weight, ptrdiff_t panel_stride,
                                   REAL *target)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        const void *row = move_x(x, i * stride, narrow);
        REAL *out = target + i * PANEL;
        ptrdiff_t c = 0;
        for (; c + PANEL <= width; c += PANEL, out += panel_stride)
            NAMED(pack_vectors)(NV, narrow, move_x(row, c, narrow), shift + c, scale + c,
                                center + c, unit + c, root_weight[i], out);
        NAMED(pack_vectors)(nv, narrow, move_x(row, c, narrow), shift + c, scale + c, center + c,
                            unit + c, root_weight[i], out);
    }
}

/* Rows that are contiguous, of at most PANELS panels: whole vectors, also where these go on behind
 * the last column. Returns how many rows do not end too early for that. */
INLINE ptrdiff_t NAMED(pack_side_by_side)(int narrow, const fastreg_matrix *X, ptrdiff_t first,
                                          ptrdiff_t rows, ptrdiff_t j, ptrdiff_t m,
                                          const double *shift, const double *scale,
                                          const double *root_weight, REAL *target)
{
    double wide_center[PANELS * PANEL], wide_unit[PANELS * PANEL];
    REAL center[PANELS * PANEL], unit[PANELS * PANEL];
    ptrdiff_t stride = X->row_stride, width = (m + L - 1) / L * L;
    ptrdiff_t end = (X->n_rows - 1) * stride + X->n_columns; /* of X */
    ptrdiff_t safe = end - j - width - first * stride;
    safe = safe < 0 ? 0 : safe / stride + 1;
    safe = safe < rows ? safe : rows;
    for (ptrdiff_t k = 0; k < width; k++) {
        center[k] = (REAL)(wide_center[k] = k < m ? shift[j + k] : 0.0);
        unit[k] = (REAL)(wide_unit[k] = k < m ? scale[j + k] : 0.0);
    }
#define ROWS(nv)                                                                                   \
    NAMED(pack_whole_rows)(nv, narrow, move_x(X->data, first * stride + j, narrow), stride, safe,  \
                           width, wide_center, wide_unit, center, unit, root_weight,               \
                           rows * PANEL, target)
    switch (width % PANEL / L) {
#if NV >= 4
    case 3: ROWS(3); break;
#endif
#if NV >= 3
    case 2: ROWS(2); break;
#endif
    case 1: ROWS(1); break;
    default: ROWS(0); break;
    }
#undef ROWS
    return safe;
}

INLINE void NAMED(pack_rows)(int narrow, const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows,
                             const int *columns, ptrdiff_t m, const double *shift,
                             const double *scale, const double *root_weight, REAL *block,
                             ptrdiff_t at)
{
    int dense = at % PANEL == 0 && (columns == NULL || are_consecutive(columns, m));
    ptrdiff_t step = PANELS * PANEL;
    for (ptrdiff_t k = 0; k < m; k += step) {
        ptrdiff_t width = m - k < step ? m - k : step, i = 0;
        if (dense)
            i = NAMED(pack_side_by_side)(narrow, X, first, rows, columns == NULL ? k : columns[k],
                                         width, shift, scale, root_weight,
                                         NAMED(place)(block, rows, at + k));
        for (; i < rows; i++) {
            const void *x = move_x(X->data, (first + i) * X->row_stride, narrow);
            for (ptrdiff_t c = k; c < k + width; c++) {
                ptrdiff_t j = columns == NULL ? c : columns[c];
                NAMED(place)(block, rows, at + c)[i * PANEL] =
                    NAMED(standard)(x, j, narrow, shift[j], scale[j], root_weight[i]);
            }
        }
    }
}

static void NAMED(pack)(const fastreg_matrix *X, ptrdiff_t first, ptrdiff_t rows,
                        const int *columns, ptrdiff_t m, const double *shift, const double *scale,
                        const double *root_weight, void *memory, ptrdiff_t at)
{
    const double *root = root_weight + first;
    REAL *block = memory;
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
}

/* Add the sums of a register tile, s[r][q], to rows of `out`. Where they are not `whole`, only the
 * first `count` columns are there. */
INLINE void NAMED(add_tile)(int mr, int nv, int whole, VEC s[MR][NV], ptrdiff_t count, double *out,
                            ptrdiff_t stride)
{
    UNROLL for (int r = 0; r < mr; r++, out += stride) {
        REAL row[PANEL];
        UNROLL for (int q = 0; q < nv; q++) NAMED(put)(row + q * L, s[r][q]);
        if (whole)
            UNROLL for (int c = 0; c < nv * L; c += W)
                store(out + c, load(out + c) + load_x(row, c, NARROW));
        else
            for (ptrdiff_t c = 0; c < count; c++)
                out[c] += row[c];
    }
}

/* The products of mr columns of a panel with the first nv * L columns of a panel, of which `count`
 * are there. Meanwhile lines of memory are fetched that will be packed next. */
INLINE void NAMED(tile)(int mr, int nv, const REAL *a, const REAL *b, ptrdiff_t rows,
                        const char *const *lines, ptrdiff_t count, double *out, ptrdiff_t stride)
{
    VEC s[MR][NV];
    ptrdiff_t i = 0;
    UNROLL for (int r = 0; r < mr; r++) UNROLL for (int q = 0; q < nv; q++) s[r][q] = (VEC){0};
    for (; i + 2 <= rows; i += 2) {
        __builtin_prefetch(lines[i / 2 % LINES], 0, 2);
        UNROLL for (int k = 0; k < 2; k++, a += PANEL, b += PANEL) {
            VEC right[NV];
            UNROLL for (int q = 0; q < nv; q++) right[q] = NAMED(get)(b + q * L);
            UNROLL for (int r = 0; r < mr; r++) {
                VEC left = NAMED(same)(a[r]);
                UNROLL for (int q = 0; q < nv; q++) s[r][q] += left * right[q];
            }
        }
    }
    if (i < rows)
        UNROLL for (int q = 0; q < nv; q++) {
            VEC right = NAMED(get)(b + q * L);
            UNROLL for (int r = 0; r < mr; r++) s[r][q] += NAMED(same)(a[r]) * right;
        }
    if (nv * L <= count)
        NAMED(add_tile)(mr, nv, 1, s, count, out, stride);
    else
        NAMED(add_tile)(mr, nv, 0, s, count, out, stride);
}

INLINE void NAMED(tile_of_rows)(int mr, ptrdiff_t nv, const REAL *a, const REAL *b, ptrdiff_t rows,
                                const char *const *lines, ptrdiff_t count, double *out,
                                ptrdiff_t stride)
{
    switch (nv) {
#if NV >= 4
    case 4: NAMED(tile)(mr, 4, a, b, rows, lines, count, out, stride); break;
#endif
#if NV >= 3
    case 3: NAMED(tile)(mr, 3, a, b, rows, lines, count, out, stride); break;
#endif
    case 2: NAMED(tile)(mr, 2, a, b, rows, lines, count, out, stride); break;
    default: NAMED(tile)(mr, 1, a, b, rows, lines, count, out, stride); break;
    }
}

static void NAMED(tiles)(const void *memory, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t first_new,
                         double *out, ptrdiff_t stride, const fastreg_matrix *next,
                         const int *columns, ptrdiff_t m)
{
    const REAL *block = memory;
    const char *lines[LINES];
    fetcher ahead = fetch_from(next, columns, m);
    for (int k = 0; k < LINES; k++)
        lines[k] = memory;
    for (ptrdiff_t b = 0; b < width; b += PANEL) {
        const REAL *right = block + b * rows;
        ptrdiff_t a = first_new > b ? first_new : b, end;
        for (; a < width; a = end) {
            const REAL *left = block + a / PANEL * PANEL * rows + a % PANEL;
            double *target = out + (a - first_new) * stride + b;
            end = a / MR * MR + MR < width ? a / MR * MR + MR : width;
            /* On the diagonal only what lies at or below it. */
            ptrdiff_t needed = end - b < PANEL ? end - b : PANEL, nv = (needed + L - 1) / L;
            fetch_lines(&ahead, lines);
#define TILE(mr) NAMED(tile_of_rows)(mr, nv, left, right, rows, lines, width - b, target, stride)
            switch (end - a) {
#if MR >= 8
            case 8: TILE(8); break;
            case 7: TILE(7); break;
            case 6: TILE(6); break;
            case 5: TILE(5); break;
#endif
            case 4: TILE(4); break;
            case 3: TILE(3); break;
            case 2: TILE(2); break;
            default: TILE(1); break;
            }
#undef TILE
        }
    }
}

#undef VEC
#undef BITS
#undef PANEL
