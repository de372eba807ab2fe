/* Points in the user's units, as `fastreg/_core/record.pyx` writes them: included by lockstep.c. */

/* high + low -= a b. */
INLINE void subtract_accurately(vec *high, vec *low, vec a, vec b)
{
    vec product = rounded(a * b), error = exact_error(a, b, product), total, part;
    total = *high - product;
    part = total - *high;
    *low = *low + (((*high - (total - part)) - (product + part)) - error);
    *high = total;
}

/* Write coefficients and flags where they belong. */
static void write_rows(const group *g, ptrdiff_t i, ptrdiff_t first, mask some, const vec *value,
                       const unsigned char *below)
{
    const fastreg_lockstep *job = g->job;
    const int *feature = job->feature;
    int lanes = bits_of(some);
    for (int l = 0; l < W; l++) {
        const double *from = (const double *)value + l;
        double *coef = job->coef + i * job->coef_point + (first + l) * job->coef_response;
        if (!(lanes >> l & 1))
            continue;
        for (ptrdiff_t j = 0; j < g->p; j++)
            coef[feature[j]] = from[j * W];
        if (job->zero != NULL) {
            unsigned char *zero = job->zero + i * job->zero_point + (first + l) * job->zero_response;
            for (ptrdiff_t j = 0; j < g->p; j++)
                zero[feature[j]] = below[j] >> l & 1;
        }
    }
}

/* Write what is said of a point; return of which lanes the numbers of the answer are finite. */
static mask write_numbers(const group *g, ptrdiff_t i, ptrdiff_t first, mask some, const proof *at,
                          vec violation, vec active, vec intercept, vec largest, vec unit)
{
    const fastreg_lockstep *job = g->job;
    vec area = unit * unit, length = g->size[first > g->first];
    vec null = all(0.5) * length * length * area, gap = at->gap * area;
    vec number[9] = {intercept, at->objective * area, null, gap, all(job->tol) * null,
                     violation / choose(nonzero(length), length, all(1.0)),
                     all(2.0 * job->weight_sum) * gap, at->sweeps, active};
    double *out[7] = {job->intercept, job->objective, job->null_objective, job->gap,
                      job->tolerance, job->violation, job->prediction};
    int lanes = bits_of(some);
    for (int l = 0; l < W; l++) {
        ptrdiff_t k = i * job->number_point + (first + l) * job->number_response;
        if (!(lanes >> l & 1))
            continue;
        for (int r = 0; r < 7; r++)
            if (out[r] != NULL)
                out[r][k] = ((const double *)&number[r])[l];
        job->status[k] = CONVERGED;
        if (job->n_iter != NULL)
            job->n_iter[k] = 1;
        job->n_sweeps[k] = (long long)((const double *)&number[7])[l];
        job->n_active[k] = (long long)((const double *)&number[8])[l];
    }
    return both(some, less(largest + size_of(intercept), all(INFINITY)));
}

/* Write point i of the lanes of one vector; return for which of them all numbers are finite. */
static mask write_point(group *g, ptrdiff_t i, int v, mask some)
{
    const fastreg_lockstep *job = g->job;
    const proof *at = &g->best[v];
    vec zero = all(0.0), violation = zero, largest = zero, active = zero, high = zero, low = zero;
    vec unit, reach, *value = g->step;
    unsigned char *below = (unsigned char *)g->solution;
    ptrdiff_t first = g->first + v * W, left = job->m - first;
    if (!any(some))
        return some;
    unit = gathered(job->unit + first, left);
    if (job->centred)
        high = gathered(job->y_mean + first, left);
    reach = at->kappa * at->radius + root(all(2.0) * at->gap) + all(2 * ROUNDING) * at->size;
    for (ptrdiff_t j = 0; j < g->p; j++) {
        vec u = g->u[j * NV + v], c = g->c[j * NV + v], l1 = g->l1[v] * all(job->l1_factor[j]);
        vec slope = c - g->l2[v] * all(job->l2_factor[j]) * u, coef, off;
        off = choose(nonzero(u), size_of(slope - with_sign(l1, u)), size_of(c) - l1);
        violation = larger(violation, off * all(job->norm_inverse[j]));
        below[j] = (unsigned char)bits_of(
            less(multiply_add(at->kappa, size_of(c), all(job->norm[j]) * reach), l1));
        value[j] = coef = u * all(job->scale[j]) * unit + zero;
        largest = larger(largest, size_of(coef));
        active = active + choose(nonzero(coef), all(1.0), zero);
        if (job->centred) /* T. Ogita, S. M. Rump, S. Oishi: as if with twice the precision */
            subtract_accurately(&high, &low, all(job->mean[j]), coef);
    }
    high = high + low;
    write_rows(g, i, first, some, value, below);
    return write_numbers(g, i, first, some, at, violation, active, high, largest, unit);
}
