/* The certificates of the lanes: included by lockstep.c.
 *
 * What `fastreg/_core/certificate.pyx` says in its words: the residual scaled by kappa is a dual
 * point, and the gap is a sum of terms none of which is negative. Here only coordinates with an L1
 * strength and without bounds occur. */

/* What is summed over the coordinates for a proof. */
typedef struct {
    vec fitted, penalty, inner, excess, size, ratio, ridge, conjugate;
} sums;

INLINE sums add_up(const group *g, int v, int ridge)
{
    const fastreg_lockstep *job = g->job;
    vec zero = all(0.0);
    sums s = {zero, zero, zero, zero, zero, zero, zero, zero};
    for (ptrdiff_t j = 0; j < g->p; j++) {
        vec c = g->c[j * NV + v], u = g->u[j * NV + v], factor = all(job->l1_factor[j]);
        vec magnitude = size_of(u), pull = size_of(c);
        s.fitted = multiply_add(g->q[j * NV + v] + c, u, s.fitted);
        s.inner = multiply_add(c, u, s.inner);
        s.penalty = multiply_add(factor, magnitude, s.penalty);
        s.excess = s.excess + multiply_add(factor * g->l1[v], magnitude, all(0.0) - c * u);
        s.size = multiply_add(all(job->norm[j]), magnitude, s.size);
        s.ratio = larger(s.ratio, pull * all(job->l1_inverse[j]));
        if (ridge) {
            vec weight = all(job->l2_factor[j]);
            vec excess = larger(multiply_add(all(0.0) - factor, g->l1[v], pull), zero);
            s.ridge = multiply_add(weight * u, u, s.ridge);
            s.conjugate = multiply_add(excess, excess * all(job->l2_inverse[j]), s.conjugate);
        }
    }
    return s;
}

/* Add to the gap what rounding of moments and correlations may hide, relative to both norms; `reach`
 * is the largest norm over the L1 strength of a coordinate. Return where that is next to nothing.
 * `fastreg.moment_problem` says why. */
INLINE mask count_rounding(proof *at, vec doubt, vec reach, vec length, vec fitted, vec penalty,
                           double tol)
{
    vec half = all(0.5), size = length + fitted, shrunk, extra, root_objective, root_gap, counted;
    doubt = doubt * size;
    shrunk = doubt * reach;
    root_objective = root(all(2.0) * at->objective);
    root_gap = root(all(2.0) * at->gap);
    extra = shrunk * root_objective * (root_gap + half * shrunk * root_objective);
    extra = extra + doubt * (half * size + fitted) + shrunk * penalty;
    counted = at->gap + extra;
    at->gap = smaller(counted, at->objective + half * doubt * size);
    at->radius = doubt / at->kappa;
    return both(less(shrunk, half), at_most(extra, all(ALLOWED * tol) * length * length));
}

INLINE void keep(mask some, const proof *from, proof *to)
{
    to->gap = choose(some, from->gap, to->gap);
    to->kappa = choose(some, from->kappa, to->kappa);
    to->radius = choose(some, from->radius, to->radius);
    to->square = choose(some, from->square, to->square);
    to->objective = choose(some, from->objective, to->objective);
    to->size = choose(some, from->size, to->size);
    to->sweeps = choose(some, from->sweeps, to->sweeps);
}

/* Prove the points at hand; write which of the live lanes are proven, and where only the drift of
 * the correlations is in the way. */
INLINE void prove_one(group *g, int v, vec sweeps, mask *proven, mask *drifted)
{
    const fastreg_lockstep *job = g->job;
    vec half = all(0.5), one = all(1.0), zero = all(0.0), length = g->size[v];
    vec y_square = length * length, allowed = all(0.5 * job->tol) * y_square, noise, missing;
    sums s = g->ridge ? add_up(g, v, 1) : add_up(g, v, 0);
    vec penalty = g->l1[v] * s.penalty, ridge = half * g->l2[v] * s.ridge;
    vec square = larger(zero, y_square - s.fitted); /* of these a NaN stays one */
    vec kappa = smaller(g->l1[v] / s.ratio, one);
    proof at;
    mask sound, fine;
    missing = one - kappa;
    at.gap = half * missing * missing * square + (s.excess + ridge + missing * s.inner);
    if (g->ridge) {
        vec full = s.excess + ridge + half * s.conjugate / g->l2[v];
        mask better = both(less(zero, g->l2[v]), less(full, at.gap));
        at.gap = choose(better, full, at.gap);
        kappa = choose(better, one, kappa);
    }
    noise = all(ROUNDING) * s.size * s.size;
    at.gap = larger(zero, at.gap) + noise;
    at.kappa = kappa;
    at.square = square;
    at.objective = half * square + penalty + ridge;
    sound = both(at_most(noise, all(CERTAIN) * allowed), at_most(noise, all(CANCELLED) * square));
    sound = both(both(sound, g->live[v]), at_most(at.gap, allowed));
    fine = count_rounding(&at, g->drift[v] + all(job->rounding), all(job->steepest) / g->l1[v], length,
                          s.size, penalty, job->tol);
    *proven = both(both(sound, fine), at_most(at.gap, allowed));
    *drifted = except(both(sound, less(zero, g->drift[v])), *proven);
    at.size = root(square) + s.size;
    at.sweeps = sweeps;
    keep(*proven, &at, &g->best[v]);
}
