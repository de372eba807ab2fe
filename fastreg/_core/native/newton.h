/* A Newton step on the support of each lane: included by lockstep.c.
 *
 * Row a of the packed lower triangle is, in each lane, about its own a-th coordinate; behind the
 * last one of a lane the matrix is the identity. The step ends where a coefficient reaches zero. */

/* List the support of each live lane; return the size of the largest. */
static ptrdiff_t list_supports(group *g, int *count)
{
    ptrdiff_t most = 0;
    memset(count, 0, NV * W * sizeof(int));
    for (ptrdiff_t j = 0; j < g->p; j++)
        for (int v = 0; v < NV; v++) {
            int lanes = bits_of(both(g->live[v], nonzero(g->u[j * NV + v])));
            for (int l = v * W; lanes; l++, lanes >>= 1)
                if (lanes & 1)
                    g->list[count[l]++ * NV * W + l] = (int)j;
        }
    for (int l = 0; l < NV * W; l++)
        most = count[l] > most ? count[l] : most;
    return most;
}

/* Rows of the matrix, points and slopes of all lanes. */
static void collect(group *g, ptrdiff_t n, const int *count, vec *point, vec *slope)
{
    const fastreg_lockstep *job = g->job;
    const int lanes = NV * W;
    const double *u = (const double *)g->u, *c = (const double *)g->c;
    const double *l1 = (const double *)g->l1, *l2 = (const double *)g->l2;
    double *x = (double *)point, *d = (double *)slope, *M = (double *)g->matrix;
    for (ptrdiff_t a = 0; a < n; a++) {
        double *row = M + a * (a + 1) / 2 * lanes;
        for (int l = 0; l < lanes; l++) {
            ptrdiff_t j = a < count[l] ? g->list[a * lanes + l] : -1;
            const double *gram = job->gram + (j < 0 ? 0 : j) * g->p;
            x[a * lanes + l] = d[a * lanes + l] = 0.0;
            for (ptrdiff_t b = 0; b <= a; b++)
                row[b * lanes + l] = j < 0 ? (double)(a == b) : gram[g->list[b * lanes + l]];
            if (j < 0)
                continue;
            row[a * lanes + l] += l2[l] * job->l2_factor[j];
            x[a * lanes + l] = u[j * lanes + l];
            d[a * lanes + l] = c[j * lanes + l] - l1[l] * copysign(job->l1_factor[j], x[a * lanes + l]) -
                               l2[l] * job->l2_factor[j] * x[a * lanes + l];
        }
    }
}

#define ROWS 4 /* of a column that are computed at once */

/* Rows a..a + count of column b of the factor. */
INLINE void factor_rows(vec *M, ptrdiff_t a, int count, ptrdiff_t b, const vec *inverse)
{
    const vec *pivot = M + b * (b + 1) / 2 * NV;
    vec *row[ROWS], s[ROWS][NV];
    UNROLL for (int i = 0; i < count; i++) {
        row[i] = M + (a + i) * (a + i + 1) / 2 * NV;
        UNROLL for (int v = 0; v < NV; v++) s[i][v] = row[i][b * NV + v];
    }
    for (ptrdiff_t t = 0; t < b; t++)
        UNROLL for (int v = 0; v < NV; v++) {
            vec minus = all(0.0) - pivot[t * NV + v];
            UNROLL for (int i = 0; i < count; i++)
                s[i][v] = multiply_add(minus, row[i][t * NV + v], s[i][v]);
        }
    UNROLL for (int i = 0; i < count; i++)
        UNROLL for (int v = 0; v < NV; v++) row[i][b * NV + v] = s[i][v] * inverse[v];
}

/* Factor the matrix; write the inverses of the pivots' roots, return where all pivots are clear. */
static void factor(vec *M, ptrdiff_t n, vec *inverse, mask *clear)
{
    for (ptrdiff_t b = 0; b < n; b++) {
        vec *row = M + b * (b + 1) / 2 * NV;
        ptrdiff_t a = b + 1;
        UNROLL for (int v = 0; v < NV; v++) {
            vec diagonal = row[b * NV + v], pivot = diagonal;
            mask above;
            for (ptrdiff_t t = 0; t < b; t++)
                pivot = multiply_add(all(0.0) - row[t * NV + v], row[t * NV + v], pivot);
            above = less(all(PIVOT) * diagonal, pivot);
            clear[v] = both(clear[v], above);
            inverse[b * NV + v] = all(1.0) / root(choose(above, pivot, all(1.0)));
        }
        for (; a + ROWS <= n; a += ROWS)
            factor_rows(M, a, ROWS, b, inverse + b * NV);
        for (; a < n; a++)
            factor_rows(M, a, 1, b, inverse + b * NV);
    }
}

/* Solve with the factor, in place. */
static void substitute(const vec *M, ptrdiff_t n, const vec *inverse, vec *x)
{
    for (ptrdiff_t t = 0; t < n; t++)
        UNROLL for (int v = 0; v < NV; v++) {
            vec minus = all(0.0) - (x[t * NV + v] = x[t * NV + v] * inverse[t * NV + v]);
            for (ptrdiff_t a = t + 1; a < n; a++)
                x[a * NV + v] = multiply_add(minus, M[(a * (a + 1) / 2 + t) * NV + v], x[a * NV + v]);
        }
    for (ptrdiff_t a = n - 1; a >= 0; a--)
        UNROLL for (int v = 0; v < NV; v++) {
            const vec *row = M + a * (a + 1) / 2 * NV;
            vec minus = all(0.0) - (x[a * NV + v] = x[a * NV + v] * inverse[a * NV + v]);
            for (ptrdiff_t t = 0; t < a; t++)
                x[t * NV + v] = multiply_add(minus, row[t * NV + v], x[t * NV + v]);
        }
}

/* Go along the step in one vector of lanes until a coefficient is zero; `point` becomes the move
 * that is taken off. */
INLINE void take_step(ptrdiff_t n, int v, mask some, vec *point, const vec *step)
{
    vec zero = all(0.0), length = all(1.0);
    for (ptrdiff_t a = 0; a < n; a++) {
        vec x = point[a * NV + v], d = step[a * NV + v];
        mask meets = less((x + d) * x, zero);
        length = choose(meets, smaller(length, size_of(x / d)), length);
    }
    for (ptrdiff_t a = 0; a < n; a++) {
        vec x = point[a * NV + v], d = step[a * NV + v], value = multiply_add(length, d, x);
        mask meets = both(less((x + d) * x, zero),
                          at_most(size_of(x / d), length * all(1.0 + TIE)));
        value = choose(meets, zero, value);
        point[a * NV + v] = choose(some, x - value, zero);
    }
}

static void newton(group *g)
{
    int count[NV * W];
    ptrdiff_t n = list_supports(g, count);
    vec *inverse = (vec *)(g->list) - 3 * g->p * NV, *point = inverse + g->p * NV;
    vec *step = point + g->p * NV;
    double *u = (double *)g->u, *move = (double *)g->step;
    mask clear[NV];
    memcpy(clear, g->live, sizeof clear);
    collect(g, n, count, point, step);
    factor(g->matrix, n, inverse, clear);
    substitute(g->matrix, n, inverse, step);
    UNROLL for (int v = 0; v < NV; v++) take_step(n, v, clear[v], point, step);
    memset(g->step, 0, (size_t)g->p * NV * sizeof(vec));
    for (ptrdiff_t a = 0; a < n; a++)
        for (int l = 0; l < NV * W; l++)
            if (a < count[l]) {
                ptrdiff_t at = (ptrdiff_t)g->list[a * NV * W + l] * NV * W + l;
                move[at] = ((const double *)point)[a * NV * W + l];
                u[at] -= move[at];
            }
    apply(g);
    UNROLL for (int v = 0; v < NV; v++)
        g->drift[v] = choose(clear[v], g->drift[v] + all(EPSILON * (double)g->p), g->drift[v]);
}
