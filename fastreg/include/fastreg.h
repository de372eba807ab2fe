/* The C-level API of fastreg: penalised least squares on the caller's buffers, without Python.
 *
 * What the functions do, what their arguments mean and the rules that hold for all of them are
 * written down in cython_api.pxd, which is installed beside this folder. An example:
 *
 *     #include <Python.h>
 *     #include "fastreg.h"
 *
 *     const fastreg_api *fastreg = fastreg_import();   // once, holding the GIL
 *     if (fastreg == NULL)
 *         return NULL;                                 // a Python exception is set
 *     fastreg_options options;
 *     fastreg->default_options(&options);
 *     options.tol = 1e-10;
 *     status = fastreg->gram_solve(p, gram, p, c, y_square, 0.1, 0.0, NULL, NULL, NULL,
 *                                  &options, coef, &result, NULL, 0);
 *
 * Compile with the folder that fastreg.get_include() returns on the include path; there is nothing
 * to link with. The file is append-only: see the rules.
 */
#ifndef FASTREG_H
#define FASTREG_H

#include <Python.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FASTREG_API_VERSION 1

enum {
    FASTREG_CONVERGED = 1,
    FASTREG_MAX_SWEEPS = -1,
    FASTREG_STALLED = -3,
    FASTREG_NUMERICAL_ERROR = -4,
    FASTREG_BAD_ARGUMENT = -10,
    FASTREG_NOT_FINITE = -11,
    FASTREG_NOT_A_GRAM = -12,
    FASTREG_BAD_PENALTY = -13,
    FASTREG_BAD_WEIGHT = -14,
    FASTREG_BAD_WORKSPACE = -15,
    FASTREG_NO_MEMORY = -16
};

typedef struct {
    size_t size;          /* sizeof(fastreg_options) */
    double tol;           /* 1e-8 */
    ptrdiff_t max_sweeps; /* 100000 */
    int fit_intercept;    /* 1 */
    int reserved;         /* 0 */
} fastreg_options;

typedef struct {
    int status;
    int reserved_status;
    ptrdiff_t n_active, n_sweeps;
    double objective, null_objective, duality_gap, tolerance, kkt_violation;
    double reserved[5];
} fastreg_result;

typedef struct {
    int version; /* FASTREG_API_VERSION of what is installed */
    int (*api_version)(void);
    const char *(*status_message)(int status);
    void (*default_options)(fastreg_options *options);
    size_t (*gram_workspace)(ptrdiff_t p);
    int (*gram_solve)(
        ptrdiff_t p, const double *gram, ptrdiff_t stride, const double *c, double y_square,
        double l1_reg, double l2_reg,
        const double *penalty_factor, const double *lower, const double *upper,
        const fastreg_options *options, double *coef, fastreg_result *result,
        void *workspace, size_t workspace_size);
    int (*gram_path)(
        ptrdiff_t p, const double *gram, ptrdiff_t stride, const double *c, double y_square,
        ptrdiff_t n_points, const double *l1_reg, const double *l2_reg,
        const double *penalty_factor, const double *lower, const double *upper,
        const fastreg_options *options, double *coef, fastreg_result *result,
        void *workspace, size_t workspace_size);
    int (*gram_ridge)(
        ptrdiff_t p, const double *gram, ptrdiff_t stride, const double *c, double y_square,
        ptrdiff_t n_points, const double *l2_reg, const double *penalty_factor,
        const fastreg_options *options, double *coef, fastreg_result *result,
        void *workspace, size_t workspace_size);
    size_t (*dense_workspace)(ptrdiff_t n, ptrdiff_t p);
    int (*dense_solve)(
        ptrdiff_t n, ptrdiff_t p, const double *X, ptrdiff_t row_stride, ptrdiff_t column_stride,
        const double *y, const double *sample_weight,
        double l1_reg, double l2_reg,
        const double *penalty_factor, const double *lower, const double *upper,
        const fastreg_options *options, double *coef, double *intercept, fastreg_result *result,
        void *workspace, size_t workspace_size);
    int (*dense_path)(
        ptrdiff_t n, ptrdiff_t p, const double *X, ptrdiff_t row_stride, ptrdiff_t column_stride,
        const double *y, const double *sample_weight,
        ptrdiff_t n_points, const double *l1_reg, const double *l2_reg,
        const double *penalty_factor, const double *lower, const double *upper,
        const fastreg_options *options, double *coef, double *intercept, fastreg_result *result,
        void *workspace, size_t workspace_size);
    int (*dense_ridge)(
        ptrdiff_t n, ptrdiff_t p, const double *X, ptrdiff_t row_stride, ptrdiff_t column_stride,
        const double *y, const double *sample_weight,
        ptrdiff_t n_points, const double *l2_reg, const double *penalty_factor,
        const fastreg_options *options, double *coef, double *intercept, fastreg_result *result,
        void *workspace, size_t workspace_size);
    size_t (*csc_workspace)(ptrdiff_t n, ptrdiff_t p);
    int (*csc_solve)(
        ptrdiff_t n, ptrdiff_t p, const int *start, const int *row, const double *x,
        const double *y, const double *sample_weight,
        double l1_reg, double l2_reg,
        const double *penalty_factor, const double *lower, const double *upper,
        const fastreg_options *options, double *coef, double *intercept, fastreg_result *result,
        void *workspace, size_t workspace_size);
    int (*csc_path)(
        ptrdiff_t n, ptrdiff_t p, const int *start, const int *row, const double *x,
        const double *y, const double *sample_weight,
        ptrdiff_t n_points, const double *l1_reg, const double *l2_reg,
        const double *penalty_factor, const double *lower, const double *upper,
        const fastreg_options *options, double *coef, double *intercept, fastreg_result *result,
        void *workspace, size_t workspace_size);
    int (*csc_ridge)(
        ptrdiff_t n, ptrdiff_t p, const int *start, const int *row, const double *x,
        const double *y, const double *sample_weight,
        ptrdiff_t n_points, const double *l2_reg, const double *penalty_factor,
        const fastreg_options *options, double *coef, double *intercept, fastreg_result *result,
        void *workspace, size_t workspace_size);
} fastreg_api;

/* Needs the GIL. NULL, with a Python exception set, where fastreg is missing or too old. */
static inline const fastreg_api *fastreg_import(void)
{
    const fastreg_api *api;
    PyObject *module = PyImport_ImportModule("fastreg.cython_api");
    if (module == NULL)
        return NULL;
    Py_DECREF(module);
    api = (const fastreg_api *)PyCapsule_Import("fastreg.cython_api.C_API", 0);
    if (api != NULL && api->version < FASTREG_API_VERSION) {
        PyErr_Format(PyExc_ImportError, "fastreg has version %d of its C-level API, %d is needed",
                     api->version, FASTREG_API_VERSION);
        return NULL;
    }
    return api;
}

#ifdef __cplusplus
}
#endif

#endif
