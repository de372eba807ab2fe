/* Products of the columns of X with one vector or two: a sum over the rows each. Included by
 * kernels.c. */

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
