/* A Newton step on the support of each lane: included by lockstep.c.
 *
 * Each lane lists the coordinates of its own support in the order in which they came, and row a of
 * the packed Cholesky factor belongs to the a-th one, whatever that is in a lane; behind the last
 * one of a lane the factor is the identity. So new coordinates are new rows, and what is in front
 * of the first row that changes in any lane stays. A row is computed from G and the list alone:
 * doing so once more changes no bit. The step ends where a coefficient reaches zero. */

/* Bring the lists of some lanes up to date; return the first row that changed in any of them. */
static ptrdiff_t list_supports(group *g, const mask *some)
{
    ptrdiff_t first = g->rows;
    for (ptrdiff_t j = 0; j < g->p; j++)
        for (int v = 0; v < NV; v++) {
            int lanes = bits_of(some[v]), now = bits_of(nonzero(g->u[j * NV + v])) & lanes;
            int before = g->member[j * NV + v] & lanes, changed = now ^ before;
            g->member[j * NV + v] ^= (unsigned char)changed;
            for (int l = v * W; changed; l++, now >>= 1, changed >>= 1) {
                int *list = g->list + l;
                ptrdiff_t a = g->count[l];
                if (!(changed & 1))
                    continue;
                if (now & 1) {
                    list[a * NV * W] = (int)j;
                    g->count[l]++;
                } else {
                    for (a = 0; list[a * NV * W] != j; a++)
                        ;
                    for (ptrdiff_t b = a + 1; b < g->count[l]; b++)
                        list[(b - 1) * NV * W] = list[b * NV * W];
                    g->count[l]--;
                }
                first = a < first ? a : first;
            }
        }
    return first;
}

/* Entries of row a of G over the lists. */
static void collect(group *g, ptrdiff_t a, vec *row)
{
    const fastreg_lockstep *job = g->job;
    double *out = (double *)row, *ridge = (double *)g->l2;
    for (int l = 0; l < NV * W; l++) {
        const int *list = g->list + l;
        int used = a < g->count[l];
        const double *gram = job->gram + (used ? list[a * NV * W] : 0) * g->p;
        for (ptrdiff_t b = 0; used && b <= a; b++)
            out[b * NV * W + l] = gram[list[b * NV * W]];
        for (ptrdiff_t b = 0; !used && b < a; b++)
            out[b * NV * W + l] = 0.0;
        if (used)
            out[a * NV * W + l] += ridge[l] * job->l2_factor[list[a * NV * W]];
        else
            out[a * NV * W + l] = 1.0;
    }
}

#define COLUMNS 4 /* of a row that are computed at once */

/* Columns b..b + count of a row of the factor, those in front of them being known. */
INLINE void factor_columns(const vec *M, vec *row, ptrdiff_t b, int count, const vec *inverse)
{
    const vec *pivot[COLUMNS];
    vec s[COLUMNS][NV];
    UNROLL for (int i = 0; i < count; i++) {
        pivot[i] = M + (b + i) * (b + i + 1) / 2 * NV;
        UNROLL for (int v = 0; v < NV; v++) s[i][v] = row[(b + i) * NV + v];
    }
    for (ptrdiff_t t = 0; t < b; t++)
        UNROLL for (int v = 0; v < NV; v++) {
            vec known = row[t * NV + v];
            UNROLL for (int i = 0; i < count; i++)
                s[i][v] = less_product(known, pivot[i][t * NV + v], s[i][v]);
        }
    UNROLL for (int i = 0; i < count; i++)
        UNROLL for (int v = 0; v < NV; v++) {
            UNROLL for (int t = 0; t < i; t++)
                s[i][v] = less_product(s[t][v], pivot[i][(b + t) * NV + v], s[i][v]);
            s[i][v] = s[i][v] * inverse[(b + i) * NV + v];
            row[(b + i) * NV + v] = s[i][v];
        }
}

/* Row a of the factor. Where the pivot is not clear its inverse is zero: the step leaves out that
 * coordinate. */
static void factor_row(const vec *M, vec *row, ptrdiff_t a, vec *inverse)
{
    ptrdiff_t b = 0;
    for (; b + COLUMNS <= a; b += COLUMNS)
        factor_columns(M, row, b, COLUMNS, inverse);
    for (; b < a; b++)
        factor_columns(M, row, b, 1, inverse);
    UNROLL for (int v = 0; v < NV; v++) {
        vec diagonal = row[a * NV + v], pivot = diagonal;
        mask clear;
        for (ptrdiff_t t = 0; t < a; t++)
            pivot = less_product(row[t * NV + v], row[t * NV + v], pivot);
        clear = less(all(PIVOT) * diagonal, pivot);
        inverse[a * NV + v] =
            choose(clear, all(1.0) / root(choose(clear, pivot, all(1.0))), all(0.0));
    }
}

/* Solve with the first n rows of the factor, in place. */
static void substitute(const vec *M, ptrdiff_t n, const vec *inverse, vec *x)
{
    for (ptrdiff_t a = 0; a < n; a++) {
        const vec *row = M + a * (a + 1) / 2 * NV;
        vec s[NV], t[NV];
        UNROLL for (int v = 0; v < NV; v++) {
            s[v] = x[a * NV + v];
            t[v] = all(0.0);
        }
        for (ptrdiff_t b = 0; b + 1 < a; b += 2)
            UNROLL for (int v = 0; v < NV; v++) {
                s[v] = less_product(row[b * NV + v], x[b * NV + v], s[v]);
                t[v] = less_product(row[(b + 1) * NV + v], x[(b + 1) * NV + v], t[v]);
            }
        UNROLL for (int v = 0; v < NV; v++) {
            if (a % 2)
                s[v] = less_product(row[(a - 1) * NV + v], x[(a - 1) * NV + v], s[v]);
            x[a * NV + v] = (s[v] + t[v]) * inverse[a * NV + v];
        }
    }
    for (ptrdiff_t a = n - 1; a >= 0; a--) {
        const vec *row = M + a * (a + 1) / 2 * NV;
        vec known[NV];
        UNROLL for (int v = 0; v < NV; v++)
            known[v] = x[a * NV + v] = x[a * NV + v] * inverse[a * NV + v];
        for (ptrdiff_t b = 0; b < a; b++)
            UNROLL for (int v = 0; v < NV; v++)
                x[b * NV + v] = less_product(known[v], row[b * NV + v], x[b * NV + v]);
    }
}

/* The step of each lane: `g->step` by coordinate, of `some` lanes and zero in the others. */
static void find_step(group *g, const mask *some, ptrdiff_t n)
{
    const fastreg_lockstep *job = g->job;
    const int lanes = NV * W;
    double *by_row = (double *)g->solution, *by_coordinate = (double *)g->step;
    for (ptrdiff_t j = 0; j < g->p; j++)
        UNROLL for (int v = 0; v < NV; v++) { /* slopes */
            vec u = g->u[j * NV + v], l1 = g->l1[v] * all(job->l1_factor[j]);
            vec slope = g->c[j * NV + v] - with_sign(l1, u);
            g->step[j * NV + v] =
                less_product(g->l2[v] * all(job->l2_factor[j]), u, slope);
        }
    for (int l = 0; l < lanes; l++)
        for (ptrdiff_t a = 0; a < n; a++)
            by_row[a * lanes + l] = a < g->count[l]
                                        ? by_coordinate[g->list[a * lanes + l] * lanes + l]
                                        : 0.0;
    substitute(g->matrix, n, g->pivots, g->solution);
    memset(g->step, 0, (size_t)g->p * NV * sizeof(vec));
    for (int l = 0; l < lanes; l++)
        for (ptrdiff_t a = 0; bits_of(some[l / W]) >> l % W & 1 && a < g->count[l]; a++)
            by_coordinate[g->list[a * lanes + l] * lanes + l] = by_row[a * lanes + l];
}

/* Go along the step until a coefficient is zero; `g->step` becomes what is taken off. Return in
 * which lanes of a vector one was met. */
static mask take_step(group *g, int v)
{
    vec zero = all(0.0), one = all(1.0), length = one;
    for (ptrdiff_t j = 0; j < g->p; j++) {
        vec u = g->u[j * NV + v], d = g->step[j * NV + v];
        length = choose(less((u + d) * u, zero), smaller(length, size_of(u / d)), length);
    }
    for (ptrdiff_t j = 0; j < g->p; j++) {
        vec u = g->u[j * NV + v], d = g->step[j * NV + v], value = multiply_add(length, d, u);
        mask meets = both(less((u + d) * u, zero),
                          at_most(size_of(u), size_of(d) * (length * all(1.0 + TIE))));
        value = choose(meets, zero, value);
        g->step[j * NV + v] = u - value;
        g->u[j * NV + v] = value;
    }
    return less(length, one);
}

/* Take a Newton step in some lanes; leave those in which a coefficient has become zero. */
static void step_once(group *g, mask *some)
{
    ptrdiff_t a = list_supports(g, some), n = 0;
    for (int l = 0; l < NV * W; l++)
        n = g->count[l] > n ? g->count[l] : n;
    for (; a < n; a++) {
        vec *row = g->matrix + a * (a + 1) / 2 * NV;
        collect(g, a, row);
        factor_row(g->matrix, row, a, g->pivots);
    }
    g->rows = n;
    find_step(g, some, n);
    UNROLL for (int v = 0; v < NV; v++) {
        vec drift = g->drift[v] + all(EPSILON * (double)g->p);
        g->drift[v] = choose(some[v], drift, g->drift[v]);
        some[v] = both(some[v], take_step(g, v));
    }
    apply(g);
}

/* Take Newton steps in the lanes where they are due, until none is cut short. */
static void newton(group *g, const mask *due, int sweeps)
{
    mask some[NV];
    int more = 1;
    memcpy(some, due, sizeof some);
    for (int k = 0; k < STEPS && more; k++) {
        step_once(g, some);
        more = 0;
        UNROLL for (int v = 0; v < NV; v++) more |= any(some[v]);
    }
    UNROLL for (int v = 0; v < NV; v++) {
        vec pause = choose(some[v], all(AGAIN), all(LATER));
        g->next[v] = choose(due[v], all(sweeps) + pause, g->next[v]);
        g->hard[v] = either(g->hard[v], due[v]);
    }
}
