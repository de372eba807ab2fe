/* Design: coordinate descent with G u kept up to date. Four moves are gathered before they go to
 * all correlations at once, so that these are read and written once for four rows of G; a coordinate
 * that is visited meanwhile takes what is outstanding from the rows. Where sweeps make little
 * headway Newton steps on the support of each lane go in between (newton.h). Lanes that are proven
 * (proof.h) rest until all are; then the point is written (writing.h). */
#include "lockstep.h"
#include "level.h"
#include "lanes.h"

#define MOVES 4     /* that are gathered */
#define NV 2        /* vectors of a group, whose chains of operations overlap */
#define FIRST 2     /* sweep after which a proof is tried */
#define SOON 6      /* sweeps, at least, before a first Newton step, */
#define LATER 4     /* after one, */
#define AGAIN 2     /* and after one that met a boundary */
#define STEPS 8     /* that follow each other where they meet boundaries */
#define PATIENCE 60 /* sweeps after which the general way is better */
#define CONVERGED 1

#define EPSILON 2.220446049250313e-16
#define ROUNDING (8 * EPSILON)  /* of a gap, over the square of the sizes that cancel in it */
#define CANCELLED 1e-9          /* rest of a residual square that is certain */
#define ALLOWED 0.05            /* share of the tolerance that is next to nothing */
#define CERTAIN 0.1             /* and that rounding may take */
#define PIVOT 1e-9              /* share of a diagonal below which a Newton step is none */
#define TIE 1e-9

typedef struct {
    vec gap, kappa, radius, square, objective, size, sweeps;
} proof;

typedef struct {
    const fastreg_lockstep *job;
    ptrdiff_t p, first;
    vec *q, *u, *c, *step; /* p x NV */
    vec *inverse;          /* of the diagonal of G with the ridge part */
    /* of Newton steps: the factor, of which so many rows are valid, the inverses of its pivots'
     * roots, a right-hand side, and the support of each lane, listed and by coordinate */
    vec *matrix, *pivots, *solution;
    ptrdiff_t rows;
    int count[NV * W], *list;
    unsigned char *member;
    vec size[NV], l1[NV], l2[NV];
    vec drift[NV];           /* bound on the rounding of c since it was computed, as `rounding` is */
    vec next[NV];            /* sweep from which a Newton step is due */
    mask live[NV], hard[NV]; /* not proven; in need of Newton steps, lately */
    proof best[NV];
    int ridge;               /* has any lane a ridge part? */
} group;

static size_t room(ptrdiff_t p)
{
    size_t entries = (size_t)p * NV, rows = (size_t)p / 2 + 1;
    return entries * ((7 + rows) * sizeof(vec) + W * sizeof(int) + 1);
}

/* Numbers of consecutive responses; zero behind the last one. */
INLINE vec gathered(const double *from, ptrdiff_t count)
{
    double values[W];
    for (int l = 0; l < W; l++)
        values[l] = l < count ? from[l] : 0.0;
    vec a;
    memcpy(&a, values, sizeof a);
    return a;
}

/* What a sweep reads: a copy, which no store to a vector can have changed. */
typedef struct {
    ptrdiff_t p;
    const double *gram, *l1_factor;
    vec *c, *u, *inverse;
    vec l1[NV];
    mask live[NV];
} view;

INLINE view view_of(const group *g)
{
    view at;
    at.p = g->p;
    at.gram = g->job->gram;
    at.l1_factor = g->job->l1_factor;
    at.c = g->c;
    at.u = g->u;
    at.inverse = g->inverse;
    memcpy(at.l1, g->l1, sizeof at.l1);
    memcpy(at.live, g->live, sizeof at.live);
    return at;
}

/* c += sum of the gathered moves times their rows of G. */
INLINE void carry(ptrdiff_t p, vec *c, const double *const *row, vec (*move)[NV])
{
    for (ptrdiff_t k = 0; k < p; k++, c += NV) {
        vec s[NV];
        UNROLL for (int v = 0; v < NV; v++) s[v] = c[v];
        UNROLL for (int t = 0; t < MOVES; t++) {
            vec entry = all(row[t][k]);
            UNROLL for (int v = 0; v < NV; v++) s[v] = multiply_add(move[t][v], entry, s[v]);
        }
        UNROLL for (int v = 0; v < NV; v++) c[v] = s[v];
    }
}

INLINE mask nonzero(vec a) { return is_not(a, all(0.0)); }

/* Move a coordinate with `count` moves outstanding; return whether any lane moves. */
INLINE int visit(const view *at, ptrdiff_t j, int count, const double *const *row,
                 vec (*move)[NV])
{
    vec diagonal = all(at->gram[j * at->p + j]), factor = all(-at->l1_factor[j]);
    int moves = 0;
    UNROLL for (int v = 0; v < NV; v++) {
        vec c = at->c[j * NV + v], old = at->u[j * NV + v], pull, value;
        UNROLL for (int t = 0; t < count; t++) c = multiply_add(move[t][v], all(row[t][j]), c);
        pull = multiply_add(diagonal, old, c);
        value = larger(multiply_add(factor, at->l1[v], size_of(pull)), all(0.0));
        value = with_sign(value * at->inverse[j * NV + v], pull);
        value = choose(at->live[v], value, old);
        move[count][v] = old - value;
        moves |= bits_of(is_not(value, old));
        at->u[j * NV + v] = value;
    }
    return moves != 0;
}

/* One round over all coordinates. A visit without a move changes no bit. */
static void sweep(group *g)
{
    const view at = view_of(g);
    const double *row[MOVES];
    vec move[MOVES][NV];
    ptrdiff_t j = 0;
    while (j < at.p) {
        int count = 0;
        UNROLL for (int t = 0; t < MOVES; t++) {
            int found = 0;
            while (j < at.p && !found) {
                row[t] = at.gram + j * at.p;
                found = visit(&at, j++, t, row, move);
            }
            if (!found) {
                row[t] = at.gram;
                UNROLL for (int v = 0; v < NV; v++) move[t][v] = all(0.0);
            }
            count += found;
        }
        if (count)
            carry(at.p, at.c, row, move);
    }
    UNROLL for (int v = 0; v < NV; v++)
        g->drift[v] = choose(g->live[v], g->drift[v] + all(EPSILON * (double)at.p), g->drift[v]);
}

/* c += G step. */
static void apply(group *g)
{
    ptrdiff_t p = g->p, j = 0;
    const double *row[MOVES];
    vec move[MOVES][NV];
    while (j < p) {
        int count = 0;
        for (; j < p && count < MOVES; j++) {
            int moves = 0;
            UNROLL for (int v = 0; v < NV; v++) {
                move[count][v] = g->step[j * NV + v];
                moves |= any(nonzero(move[count][v]));
            }
            row[count] = g->job->gram + j * p;
            count += moves;
        }
        for (int t = count; t < MOVES; t++) {
            row[t] = g->job->gram;
            UNROLL for (int v = 0; v < NV; v++) move[t][v] = all(0.0);
        }
        if (count)
            carry(p, g->c, row, move);
    }
}

/* c = q - G u, in some of the lanes. */
static void refresh(group *g, const mask *some)
{
    for (ptrdiff_t k = 0; k < g->p * NV; k++) {
        int v = (int)(k % NV);
        g->c[k] = choose(some[v], g->q[k], g->c[k]);
        g->step[k] = choose(some[v], all(0.0) - g->u[k], all(0.0));
    }
    apply(g);
    UNROLL for (int v = 0; v < NV; v++)
        g->drift[v] = choose(some[v], all(0.0), g->drift[v]);
}

#include "proof.h"
#include "newton.h"
#include "writing.h"

static void prove(group *g, int sweeps)
{
    mask proven[NV], drifted[NV];
    int again = 0;
    UNROLL for (int v = 0; v < NV; v++) {
        prove_one(g, v, all(sweeps), &proven[v], &drifted[v]);
        g->live[v] = except(g->live[v], proven[v]);
        again |= any(drifted[v]);
    }
    if (!again)
        return;
    refresh(g, drifted);
    UNROLL for (int v = 0; v < NV; v++) {
        prove_one(g, v, all(sweeps), &proven[v], &drifted[v]);
        g->live[v] = except(g->live[v], proven[v]);
    }
}

INLINE int any_live(const group *g)
{
    int found = 0;
    UNROLL for (int v = 0; v < NV; v++) found |= any(g->live[v]);
    return found;
}

/* Go to the strengths that the group has; leave the lanes live that are not proven. */
static void minimise(group *g, ptrdiff_t most)
{
    UNROLL for (int v = 0; v < NV; v++) {
        g->next[v] = choose(g->hard[v], all(0.0), all(SOON));
        g->hard[v] = no_lane();
    }
    for (int sweeps = 0;; sweeps++) {
        mask due[NV];
        int steps = 0;
        if (sweeps == 0 || sweeps >= FIRST) {
            prove(g, sweeps);
            if (!any_live(g) || sweeps >= most)
                return;
        }
        UNROLL for (int v = 0; v < NV; v++) {
            due[v] = both(g->live[v], at_most(g->next[v], all(sweeps)));
            steps |= any(due[v]);
        }
        if (steps)
            newton(g, due, sweeps);
        sweep(g);
    }
}

static void strengthen(group *g, ptrdiff_t i)
{
    const fastreg_lockstep *job = g->job;
    int changed = i == 0;
    g->ridge = 0;
    for (int v = 0; v < NV; v++) {
        ptrdiff_t at = g->first + v * W, left = job->m - at;
        vec l2 = left > 0 ? gathered(job->l2 + i * job->strength_stride + at, left) : all(0.0);
        g->l1[v] = left > 0 ? gathered(job->l1 + i * job->strength_stride + at, left) : all(0.0);
        changed |= any(is_not(l2, g->l2[v]));
        g->hard[v] = except(g->hard[v], is_not(l2, g->l2[v])); /* a new factor costs too much */
        g->l2[v] = l2;
        g->ridge |= any(less(all(0.0), l2));
    }
    g->rows = changed ? 0 : g->rows;
    for (ptrdiff_t j = 0; changed && j < g->p; j++)
        for (int v = 0; v < NV; v++)
            g->inverse[j * NV + v] = all(1.0) / multiply_add(all(job->l2_factor[j]), g->l2[v],
                                                             all(job->gram[j * g->p + j]));
}

static void load(group *g)
{
    const fastreg_lockstep *job = g->job;
    double *q = (double *)g->q;
    memset(g->q, 0, (size_t)g->p * NV * sizeof(vec));
    memset(g->u, 0, (size_t)g->p * NV * sizeof(vec));
    for (int l = 0; l < NV * W && g->first + l < job->m; l++) {
        const double *cross = job->cross + (g->first + l) * job->cross_stride;
        for (ptrdiff_t j = 0; j < g->p; j++)
            q[j * NV * W + l] = cross[job->feature[j]];
    }
    memcpy(g->c, g->q, (size_t)g->p * NV * sizeof(vec));
    memset(g->member, 0, (size_t)g->p * NV);
    memset(g->count, 0, sizeof g->count);
    g->rows = 0;
    for (int v = 0; v < NV; v++) {
        ptrdiff_t at = g->first + v * W;
        g->size[v] = job->m > at ? gathered(job->size + at, job->m - at) : all(0.0);
        g->drift[v] = g->l1[v] = g->l2[v] = all(0.0);
        g->hard[v] = no_lane();
    }
}

static void lay_out(group *g, const fastreg_lockstep *job, ptrdiff_t first, void *memory)
{
    size_t vectors = (size_t)job->p * NV;
    g->job = job;
    g->p = job->p;
    g->first = first;
    g->q = memory;
    g->u = g->q + vectors;
    g->c = g->u + vectors;
    g->step = g->c + vectors;
    g->inverse = g->step + vectors;
    g->pivots = g->inverse + vectors;
    g->solution = g->pivots + vectors;
    g->matrix = g->solution + vectors;
    g->list = (int *)(g->matrix + vectors * ((size_t)job->p / 2 + 1));
    g->member = (unsigned char *)(g->list + vectors * W);
}

static void solve(const fastreg_lockstep *job, ptrdiff_t first, void *memory)
{
    group g;
    mask good[NV];
    ptrdiff_t most = job->max_sweeps < PATIENCE ? job->max_sweeps : PATIENCE;
    lay_out(&g, job, first, memory);
    load(&g);
    for (int v = 0; v < NV; v++) {
        good[v] = first_lanes(job->m - first - v * W > 0 ? job->m - first - v * W : 0);
        memset(&g.best[v], 0, sizeof(proof));
    }
    for (ptrdiff_t i = 0; i < job->n_points; i++) {
        strengthen(&g, i);
        memcpy(g.live, good, sizeof good);
        minimise(&g, most);
        for (int v = 0; v < NV; v++)
            good[v] = write_point(&g, i, v, except(good[v], g.live[v]));
        memcpy(g.live, good, sizeof good);
        if (!any_live(&g))
            break;
    }
    for (int l = 0; l < NV * W && first + l < job->m; l++)
        job->done[first + l] = (unsigned char)(bits_of(good[l / W]) >> l % W & 1);
}

const fastreg_lockstep_kernel LEVEL_NAMED(fastreg_lockstep_) = {LEVEL_NAME, NV * W, room, solve};
