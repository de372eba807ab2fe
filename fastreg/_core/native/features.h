/* Loops over all features. Included by kernels.c. */

static void bounds(const double *image, ptrdiff_t stride, const double *share, ptrdiff_t m,
                   const double *rest, double length, const double *norm, double margin,
                   ptrdiff_t n, double *c, double *slack)
{
    vec own = all(length), rounding = all(margin);
    ptrdiff_t j = 0;
    for (; j + 2 * W <= n; j += 2 * W) {
        vec s = {0}, t = {0};
        for (ptrdiff_t k = 0; k < m; k++) {
            vec a = all(share[k]);
            s += a * load(image + k * stride + j);
            t += a * load(image + k * stride + j + W);
        }
        store(c + j, s);
        store(c + j + W, t);
        store(slack + j, own * load(rest + j) + rounding * load(norm + j));
        store(slack + j + W, own * load(rest + j + W) + rounding * load(norm + j + W));
    }
    for (; j < n; j++) {
        double s = 0.0;
        for (ptrdiff_t k = 0; k < m; k++)
            s += share[k] * image[k * stride + j];
        c[j] = s;
        slack[j] = length * rest[j] + margin * norm[j];
    }
}

INLINE vec absolute(vec a) { return (vec)((mask)a & INT64_MAX); }

INLINE int any(mask m)
{
    int64_t s = 0;
    UNROLL for (int k = 0; k < W; k++) s |= m[k];
    return s != 0;
}

static ptrdiff_t list_undecided(const double *c, const double *slack, const double *norm,
                                double radius, const double *level, ptrdiff_t first, ptrdiff_t n,
                                int *list)
{
    vec reach = all(radius);
    ptrdiff_t j = first, count = 0;
    for (; j < n; j++) {
        if (j + 2 * W <= n) {
            vec a = absolute(load(c + j)) + (load(slack + j) + reach * load(norm + j));
            vec b = absolute(load(c + j + W)) + (load(slack + j + W) + reach * load(norm + j + W));
            if (!any(~(a <= load(level + j)) | ~(b <= load(level + j + W)))) {
                j += 2 * W - 1;
                continue;
            }
            for (ptrdiff_t last = j + 2 * W; j < last; j++)
                if (!(__builtin_fabs(c[j]) + (slack[j] + radius * norm[j]) <= level[j]))
                    list[count++] = (int)j;
            j--;
        } else if (!(__builtin_fabs(c[j]) + (slack[j] + radius * norm[j]) <= level[j]))
            list[count++] = (int)j;
    }
    return count;
}

/* The lanes of a mask that are not set, as numbers from j on. No branch that would be mispredicted:
 * what does not count is overwritten. */
INLINE ptrdiff_t list_lanes(mask skipped, ptrdiff_t j, int *list, ptrdiff_t count)
{
    int64_t keep[W];
    memcpy(keep, &skipped, sizeof keep);
    UNROLL for (int k = 0; k < W; k++) {
        list[count] = (int)j + k;
        count += keep[k] + 1;
    }
    return count;
}

static ptrdiff_t list_urgent(const double *c, const double *w, const double *level, double factor,
                             ptrdiff_t n, int *list)
{
    vec zero = {0}, part = all(factor);
    ptrdiff_t j = 0, count = 0;
    for (; j + 2 * W <= n; j += 2 * W) {
        mask a = (absolute(load(c + j)) < part * load(level + j)) & (load(w + j) == zero);
        mask b = (absolute(load(c + j + W)) < part * load(level + j + W)) &
                 (load(w + j + W) == zero);
        if (any(~a | ~b)) {
            count = list_lanes(a, j, list, count);
            count = list_lanes(b, j + W, list, count);
        }
    }
    for (; j < n; j++) {
        list[count] = (int)j;
        count += !((__builtin_fabs(c[j]) < factor * level[j]) & (w[j] == 0.0));
    }
    return count;
}

/* sum_j norm[j] |w[j]| */
static double size(const double *norm, const double *w, ptrdiff_t n)
{
    vec s = {0}, t = {0};
    ptrdiff_t j = 0;
    double rest = 0.0;
    for (; j + 2 * W <= n; j += 2 * W) {
        s += load(norm + j) * absolute(load(w + j));
        t += load(norm + j + W) * absolute(load(w + j + W));
    }
    if (j + W <= n) {
        s += load(norm + j) * absolute(load(w + j));
        j += W;
    }
    for (; j < n; j++)
        rest += norm[j] * __builtin_fabs(w[j]);
    return sum(s + t) + rest;
}

static void prove_below(const double *c, const double *slack, const double *norm, double kappa,
                        double reach, const double *level, ptrdiff_t n, unsigned char *below)
{
    for (ptrdiff_t j = 0; j < n; j++)
        below[j] =
            kappa * (__builtin_fabs(c[j]) + slack[j]) + norm[j] * reach < level[j];
}
