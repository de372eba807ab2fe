/* First and second moments of columns, and products with several vectors, in one read. Included by
 * kernels.c. */

INLINE double head_mean(int narrow, const void *x, const double *weight, ptrdiff_t first,
                        ptrdiff_t last)
{
    double origin = at_x(x, first, narrow), total = 0.0;
    vec center = all(origin), s = {0}, t = {0};
    ptrdiff_t i = first;
    double rest = 0.0;
    for (; i + W <= last; i += W) {
        vec w = load(weight + i);
        s += w * (load_x(x, i, narrow) - center);
        t += w;
    }
    for (; i < last; i++) {
        rest += weight[i] * (at_x(x, i, narrow) - origin);
        total += weight[i];
    }
    return origin + (sum(s) + rest) / (sum(t) + total);
}

/* The sums of one contiguous column; `v` may be NULL. */
INLINE void contiguous_sums(int narrow, const void *x, double shift, const double *weight,
                            const double *v, ptrdiff_t n, const void *ahead, double *first,
                            double *second, double *cross)
{
    vec center = all(shift), a[2] = {{0}}, b[2] = {{0}}, s[2] = {{0}};
    double a_rest = 0.0, b_rest = 0.0, s_rest = 0.0;
    ptrdiff_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        fetch_ahead(ahead, i, narrow);
        UNROLL for (int k = 0; k < 2; k++) {
            vec d = load_x(x, i + k * W, narrow) - center, e = load(weight + i + k * W) * d;
            a[k] += e;
            b[k] += e * d;
            if (v != NULL)
                s[k] += load(v + i + k * W) * d;
        }
    }
    for (; i < n; i++) {
        double d = at_x(x, i, narrow) - shift, e = weight[i] * d;
        a_rest += e;
        b_rest += e * d;
        if (v != NULL)
            s_rest += v[i] * d;
    }
    *first += sum(a[0] + a[1]) + a_rest;
    *second += sum(b[0] + b[1]) + b_rest;
    if (v != NULL)
        *cross += sum(s[0] + s[1]) + s_rest;
}

/* First and second moments of some rows for the columns of one vector. */
INLINE void row_group_pair(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t j,
                           vec center, const vec *weight, vec *first, vec *second)
{
    vec a = {0}, b = {0};
    if (count == GROUP)
        fetch_rows(count, narrow, move_x(x, GROUP * stride, narrow), stride, j);
    UNROLL for (int g = 0; g < count; g++) {
        vec d = load_x(x, g * stride + j, narrow) - center, e = weight[g] * d;
        a += e;
        b += e * d;
    }
    *first = a;
    *second = b;
}

INLINE void row_group_moments(int count, int narrow, const void *x, ptrdiff_t stride, ptrdiff_t p,
                              const double *shift, const double *weight, double *first,
                              double *second)
{
    vec w[GROUP], a, b;
    ptrdiff_t j = 0;
    UNROLL for (int g = 0; g < count; g++) w[g] = all(weight[g]);
    for (; j + W <= p; j += W) {
        row_group_pair(count, narrow, x, stride, j, load(shift + j), w, &a, &b);
        store(first + j, load(first + j) + a);
        store(second + j, load(second + j) + b);
    }
    if (j < p && p >= W) {
        ptrdiff_t k = p - W;
        row_group_pair(count, narrow, x, stride, k, load(shift + k), w, &a, &b);
        store(first + k, load(first + k) + last_lanes(a, p - j));
        store(second + k, load(second + k) + last_lanes(b, p - j));
        j = p;
    }
    for (; j < p; j++) {
        double s = 0.0, t = 0.0;
        for (int g = 0; g < count; g++) {
            double d = at_x(x, g * stride + j, narrow) - shift[j], e = weight[g] * d;
            s += e;
            t += e * d;
        }
        first[j] += s;
        second[j] += t;
    }
}

INLINE void column_sums_of(int narrow, const fastreg_matrix *X, const double *weight,
                           const double *V, ptrdiff_t m, ptrdiff_t V_stride, ptrdiff_t head,
                           double *shift, double *first, double *second, double *cross, ptrdiff_t cross_stride)
{
    ptrdiff_t n = X->n_rows, p = X->n_columns, stride = X->row_stride;
    memset(first, 0, (size_t)p * sizeof(double));
    memset(second, 0, (size_t)p * sizeof(double));
    for (ptrdiff_t k = 0; k < m; k++)
        memset(cross + k * cross_stride, 0, (size_t)p * sizeof(double));
    if (stride == 1) {
        for (ptrdiff_t j = 0; j < p; j++) {
            const void *x = move_x(X->data, j * X->column_stride, narrow);
            const void *next = lead(X, j, j + 1 < p ? j + 1 : j);
            if (head >= 0)
                shift[j] = head_mean(narrow, x, weight, head, n - head < HEAD ? n : head + HEAD);
            for (ptrdiff_t i = 0; i < n; i += ROW_BLOCK) {
                ptrdiff_t rows = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
                const void *block = move_x(x, i, narrow), *ahead = move_x(next, i, narrow);
                if (m > 0)
                    contiguous_sums(narrow, block, shift[j], weight + i, V + i, rows, ahead,
                                    first + j, second + j, cross + j);
                else
                    contiguous_sums(narrow, block, shift[j], weight + i, NULL, rows, ahead,
                                    first + j, second + j, NULL);
                for (ptrdiff_t k = 1; k < m; k++)
                    contiguous_dots(1, narrow, &block, shift + j, V + k * V_stride + i, rows, NULL,
                                    cross + k * cross_stride + j);
            }
        }
        return;
    }
    for (ptrdiff_t j = 0; j < p; j += COLUMN_BLOCK) {
        ptrdiff_t width = p - j < COLUMN_BLOCK ? p - j : COLUMN_BLOCK, i = 0;
        for (; i + GROUP <= n; i += GROUP) {
            const void *x = move_x(X->data, i * stride + j, narrow);
            row_group_moments(GROUP, narrow, x, stride, width, shift + j, weight + i, first + j,
                              second + j);
            for (ptrdiff_t k = 0; k < m; k++)
                row_group_dots(GROUP, narrow, x, stride, width, shift + j, V + k * V_stride + i,
                               cross + k * cross_stride + j);
        }
        for (; i < n; i++) {
            const void *x = move_x(X->data, i * stride + j, narrow);
            row_group_moments(1, narrow, x, stride, width, shift + j, weight + i, first + j,
                              second + j);
            for (ptrdiff_t k = 0; k < m; k++)
                row_group_dots(1, narrow, x, stride, width, shift + j, V + k * V_stride + i,
                               cross + k * cross_stride + j);
        }
    }
}

static void column_sums(const fastreg_matrix *X, const double *weight, const double *V,
                        ptrdiff_t m, ptrdiff_t V_stride, ptrdiff_t head, double *shift, double *first, double *second,
                        double *cross, ptrdiff_t stride)
{
    if (X->narrow)
        column_sums_of(1, X, weight, V, m, V_stride, head, shift, first, second, cross, stride);
    else
        column_sums_of(0, X, weight, V, m, V_stride, head, shift, first, second, cross, stride);
}
