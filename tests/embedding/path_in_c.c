/* How another package, written in C, fits a path to rows in its own buffers.
 *
 * fit(X, y, strengths) -> (status, [one tuple a strength: gap, intercept, coefficients...])
 */
#include <Python.h>
#include <stdlib.h>

#include "fastreg.h"

static const fastreg_api *fastreg;

static PyObject *describe(ptrdiff_t m, ptrdiff_t p, int status, const double *coef,
                          const double *intercept, const fastreg_result *results)
{
    PyObject *points = PyList_New(m);
    for (ptrdiff_t k = 0; points != NULL && k < m; k++) {
        PyObject *point = PyTuple_New(p + 2);
        if (point == NULL) {
            Py_CLEAR(points);
            break;
        }
        PyTuple_SET_ITEM(point, 0, PyFloat_FromDouble(results[k].duality_gap));
        PyTuple_SET_ITEM(point, 1, PyFloat_FromDouble(intercept[k]));
        for (ptrdiff_t j = 0; j < p; j++)
            PyTuple_SET_ITEM(point, j + 2, PyFloat_FromDouble(coef[k * p + j]));
        PyList_SET_ITEM(points, k, point);
    }
    return points == NULL ? NULL : Py_BuildValue("iN", status, points);
}

static PyObject *fit_buffers(const Py_buffer *X, const Py_buffer *y, const Py_buffer *l1)
{
    if (X->ndim != 2 || y->ndim != 1 || l1->ndim != 1 || y->shape[0] != X->shape[0])
        return PyErr_Format(PyExc_ValueError, "the shapes do not fit");
    ptrdiff_t n = X->shape[0], p = X->shape[1], m = l1->shape[0];
    size_t size = fastreg->dense_workspace(n, p);
    void *workspace = malloc(size);
    double *coef = malloc((m * (p + 2) + 1) * sizeof(double));
    fastreg_result *results = malloc((m + 1) * sizeof(fastreg_result));
    PyObject *found = NULL;
    if (size > 0 && workspace != NULL && coef != NULL && results != NULL) {
        double *intercept = coef + m * p, *l2 = intercept + m;
        fastreg_options options;
        int status;
        fastreg->default_options(&options);
        options.tol = 1e-12;
        for (ptrdiff_t k = 0; k < m; k++)
            l2[k] = 0.0;
        Py_BEGIN_ALLOW_THREADS
        status = fastreg->dense_path(n, p, X->buf, p, 1, y->buf, NULL, m, l1->buf, l2, NULL, NULL,
                                     NULL, &options, coef, intercept, results, workspace, size);
        Py_END_ALLOW_THREADS
        found = describe(m, p, status, coef, intercept, results);
    } else {
        PyErr_NoMemory();
    }
    free(workspace);
    free(coef);
    free(results);
    return found;
}

static PyObject *fit(PyObject *module, PyObject *arguments)
{
    PyObject *given[3], *found = NULL;
    Py_buffer views[3];
    int k = 0;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOO", &given[0], &given[1], &given[2]))
        return NULL;
    for (; k < 3; k++) {
        if (PyObject_GetBuffer(given[k], &views[k], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0)
            break;
        if (views[k].format[0] != 'd' || views[k].format[1] != '\0') {
            PyErr_SetString(PyExc_TypeError, "arrays must be float64");
            k++;
            break;
        }
    }
    if (k == 3 && !PyErr_Occurred())
        found = fit_buffers(&views[0], &views[1], &views[2]);
    while (k-- > 0)
        PyBuffer_Release(&views[k]);
    return found;
}

static PyMethodDef methods[] = {
    {"fit", fit, METH_VARARGS, "Fit a lasso path."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "path_in_c", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_path_in_c(void)
{
    fastreg = fastreg_import();
    if (fastreg == NULL)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
#ifdef Py_GIL_DISABLED
    if (module != NULL)
        PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    return module;
}
