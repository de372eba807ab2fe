/* Penalised least squares for many responses that share one Gram matrix G, in lockstep:
 *
 *     minimise over u   1/2 u'G u - q'u + sum_j (l1 l1_factor_j |u_j| + l2 l2_factor_j u_j^2 / 2)
 *
 * A lane of a vector is a response, with strengths of its own. Contract: pointers in, numbers out;
 * nothing is allocated, raised or remembered, and no bit of a lane depends on another one. What is
 * not proven beyond doubt is left to the caller. */
#ifndef FASTREG_LOCKSTEP_H
#define FASTREG_LOCKSTEP_H

#include <stddef.h>

typedef struct {
    /* p coordinates, columns that do not depend on each other: G in rows of p, the root of its
     * diagonal, and factors > 0 of the strengths; the inverses of these three. */
    ptrdiff_t p;
    const double *gram, *norm, *l1_factor, *l2_factor;
    const double *norm_inverse, *l1_inverse, *l2_inverse;
    double steepest; /* the largest norm over its l1_factor */
    /* Where the results are: the feature of each coordinate, in increasing order, what its
     * coefficient is multiplied by, and its mean. */
    const int *feature;
    const double *scale, *mean;
    int centred;

    /* m responses: q by feature, in rows; length, unit and mean. */
    ptrdiff_t m;
    const double *cross;
    ptrdiff_t cross_stride;
    const double *size, *unit, *y_mean;

    /* Point i of response k has the strengths l1[i * stride + k] > 0, l2[i * stride + k] >= 0. */
    ptrdiff_t n_points, strength_stride;
    const double *l1, *l2;

    double tol;      /* gap, over half the square of the response */
    double rounding; /* relative error of G and q, to the norms of what they multiply */
    ptrdiff_t max_sweeps;
    double weight_sum;

    /* Results in the user's units: those of point i of response k are at
     * i * <its>_point + k * <its>_response. `zero` (or NULL) has flags of features that are zero at
     * every optimum. */
    double *coef;
    ptrdiff_t coef_point, coef_response;
    unsigned char *zero;
    ptrdiff_t zero_point, zero_response;
    double *intercept, *objective, *null_objective, *gap, *tolerance, *violation, *prediction;
    long long *status, *n_iter, *n_sweeps, *n_active;
    ptrdiff_t number_point, number_response;
    unsigned char *done; /* of response k: is every point of it proven? */
} fastreg_lockstep;

typedef struct {
    const char *name;
    ptrdiff_t lanes;                            /* responses that one call solves, at most */
    size_t (*room)(ptrdiff_t p);                /* bytes that it needs, aligned to 64 */
    void (*solve)(const fastreg_lockstep *job, ptrdiff_t first, void *room);
} fastreg_lockstep_kernel;

/* Level k of those that this build and this processor have: "plain", then those of kernels.h. */
const fastreg_lockstep_kernel *fastreg_lockstep_level(int k);

#endif
