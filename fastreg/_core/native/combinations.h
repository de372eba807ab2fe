/* Products with a vector over the columns: a sum over the columns for each row. Included by
 * kernels.c. */

INLINE void contiguous_axpys(int count, int narrow, const void *const *x, const double *shift,
                             const double *a, ptrdiff_t first, ptrdiff_t last, double *out)
{
    vec factor[4], center[4];
    ptrdiff_t i = first;
    UNROLL for (int c = 0; c < count; c++) {
        factor[c] = all(a[c]);
        center[c] = all(shift[c]);
    }
    for (; i + W <= last; i += W) {
        vec s = load(out + i);
        UNROLL for (int c = 0; c < count; c++)
            s += factor[c] * (load_x(x[c], i, narrow) - center[c]);
        store(out + i, s);
    }
    for (; i < last; i++) {
        double s = out[i];
        UNROLL for (int c = 0; c < count; c++)
            s += a[c] * (at_x(x[c], i, narrow) - shift[c]);
        out[i] = s;
    }
}

/* s[g] = sum_k a[k] (x_g[columns[k]] - center[k]) for `count` rows. */
INLINE void row_list_products(int count, int narrow, const void *x, ptrdiff_t stride,
                              const int *columns, ptrdiff_t m, const double *center,
                              const double *a, double *out)
{
    double s[4] = {0}, t[4] = {0};
    ptrdiff_t k = 0;
    for (; k + 2 <= m; k += 2)
        UNROLL for (int g = 0; g < count; g++) {
            s[g] += a[k] * (at_x(x, g * stride + columns[k], narrow) - center[k]);
            t[g] += a[k + 1] * (at_x(x, g * stride + columns[k + 1], narrow) - center[k + 1]);
        }
    if (k < m)
        UNROLL for (int g = 0; g < count; g++)
            s[g] += a[k] * (at_x(x, g * stride + columns[k], narrow) - center[k]);
    UNROLL for (int g = 0; g < count; g++) out[g] += s[g] + t[g];
}

INLINE void row_products(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t m,
                         const double *center, const double *a, double *out)
{
    vec s[4];
    double rest[4] = {0};
    ptrdiff_t k = 0;
    UNROLL for (int g = 0; g < count; g++) s[g] = (vec){0};
    for (; k + W <= m; k += W) {
        vec factor = load(a + k), c = load(center + k);
        if (count == 4)
            fetch_rows(count, narrow, move_x(x, 2 * count * stride, narrow), stride, k);
        UNROLL for (int g = 0; g < count; g++)
            s[g] += factor * (load_x(x, g * stride + k, narrow) - c);
    }
    for (; k < m; k++)
        UNROLL for (int g = 0; g < count; g++)
            rest[g] += a[k] * (at_x(x, g * stride + k, narrow) - center[k]);
    UNROLL for (int g = 0; g < count; g++) out[g] += sum(s[g]) + rest[g];
}

static int are_consecutive(const int *columns, ptrdiff_t m)
{
    for (ptrdiff_t k = 1; k < m; k++)
        if (columns[k] != columns[0] + k)
            return 0;
    return 1;
}

/* Of increasing columns: the width of what lies between the first and the last, if that is so
 * little that reading all of it is cheaper; else 0. */
static ptrdiff_t filled_width(const int *columns, ptrdiff_t m)
{
    ptrdiff_t width = (ptrdiff_t)columns[m - 1] - columns[0] + 1;
    for (ptrdiff_t k = 1; k < m; k++)
        if (columns[k] <= columns[k - 1])
            return 0;
    return m >= GATHER && width <= LIST && width <= FILL * m ? width : 0;
}

INLINE void add_rows(int narrow, const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                     const double *shift, const double *coef, double *out)
{
    double center[LIST], filled[LIST];
    ptrdiff_t n = X->n_rows, stride = X->row_stride;
    int dense = columns == NULL || are_consecutive(columns, m);
    ptrdiff_t first = columns == NULL || m == 0 ? 0 : columns[0];
    ptrdiff_t width = dense ? 0 : filled_width(columns, m);
    if (width > 0) {
        memset(filled, 0, (size_t)width * sizeof(double));
        for (ptrdiff_t k = 0; k < m; k++)
            filled[columns[k] - first] = coef[k];
        coef = filled;
        m = width;
        dense = 1;
    }
    for (ptrdiff_t k0 = 0; k0 < m; k0 += LIST) {
        ptrdiff_t count = m - k0 < LIST ? m - k0 : LIST, i = 0;
        for (ptrdiff_t k = 0; k < count; k++)
            center[k] = shift[dense ? first + k0 + k : columns[k0 + k]];
        if (dense) {
            const void *x = move_x(X->data, first + k0, narrow);
            for (; i + 4 <= n; i += 4)
                row_products(4, narrow, move_x(x, i * stride, narrow), stride, count, center,
                             coef + k0, out + i);
            for (; i < n; i++)
                row_products(1, narrow, move_x(x, i * stride, narrow), stride, count, center,
                             coef + k0, out + i);
        } else {
            for (; i + 4 <= n; i += 4)
                row_list_products(4, narrow, move_x(X->data, i * stride, narrow), stride,
                                  columns + k0, count, center, coef + k0, out + i);
            for (; i < n; i++)
                row_list_products(1, narrow, move_x(X->data, i * stride, narrow), stride,
                                  columns + k0, count, center, coef + k0, out + i);
        }
    }
}

INLINE void add_columns_of(int narrow, const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                           const double *shift, const double *coef, double *out)
{
    const void *x[4];
    double center[4];
    if (X->row_stride != 1) {
        add_rows(narrow, X, columns, m, shift, coef, out);
        return;
    }
    for (ptrdiff_t i = 0; i < X->n_rows; i += ROW_BLOCK) {
        ptrdiff_t last = X->n_rows - i < ROW_BLOCK ? X->n_rows : i + ROW_BLOCK;
        for (ptrdiff_t k = 0; k < m; k += 4) {
            int count = m - k < 4 ? (int)(m - k) : 4;
            for (int c = 0; c < count; c++) {
                ptrdiff_t j = columns == NULL ? k + c : columns[k + c];
                x[c] = move_x(X->data, j * X->column_stride, narrow);
                center[c] = shift[j];
            }
            if (count == 4)
                contiguous_axpys(4, narrow, x, center, coef + k, i, last, out);
            else
                for (int c = 0; c < count; c++)
                    contiguous_axpys(1, narrow, x + c, center + c, coef + k + c, i, last, out);
        }
    }
}

static void add_columns(const fastreg_matrix *X, const int *columns, ptrdiff_t m,
                        const double *shift, const double *coef, double *out)
{
    if (X->narrow)
        add_columns_of(1, X, columns, m, shift, coef, out);
    else
        add_columns_of(0, X, columns, m, shift, coef, out);
}
