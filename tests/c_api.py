"""The C-level API as ctypes sees it, through the capsules that every language can read."""

from __future__ import annotations

import ctypes
from ctypes import (
    Structure,
    c_char_p,
    c_double,
    c_int,
    c_size_t,
    c_ssize_t,
    c_void_p,
)
from types import SimpleNamespace

import numpy as np

from fastreg import cython_api

CONVERGED, MAX_SWEEPS, STALLED, NUMERICAL_ERROR = 1, -1, -3, -4
BAD_ARGUMENT, NOT_FINITE, NOT_A_GRAM, BAD_PENALTY, BAD_WEIGHT, BAD_WORKSPACE = range(-10, -16, -1)
STATUSES = {CONVERGED, MAX_SWEEPS, STALLED, NUMERICAL_ERROR, *range(-16, -9)}


class Options(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("tol", c_double),
        ("max_sweeps", c_ssize_t),
        ("fit_intercept", c_int),
        ("reserved", c_int),
    )


class Result(Structure):
    _fields_ = (
        ("status", c_int),
        ("reserved_status", c_int),
        ("n_active", c_ssize_t),
        ("n_sweeps", c_ssize_t),
        ("objective", c_double),
        ("null_objective", c_double),
        ("duality_gap", c_double),
        ("tolerance", c_double),
        ("kkt_violation", c_double),
        ("reserved", c_double * 5),
    )


_name_of, _pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
_name_of.restype, _name_of.argtypes = c_char_p, [ctypes.py_object]
_pointer_of.restype, _pointer_of.argtypes = c_void_p, [ctypes.py_object, c_char_p]
_TYPES = {"double": c_double, "int": c_int, "Py_ssize_t": c_ssize_t, "size_t": c_size_t}


def signature(name):
    """The C signature of a function, which is the name of its capsule."""
    return _name_of(cython_api.__pyx_capi__[name]).decode()


def _function(name):
    """The function, with the types that its signature says."""
    text = signature(name)
    returned, _, arguments = text.partition(" (")
    arguments = [a.strip() for a in arguments.rstrip(")").split(",")]
    types = [c_void_p if "*" in a else _TYPES[a] for a in arguments if a not in {"", "void"}]
    restype = c_char_p if "char" in returned else _TYPES.get(returned)
    address = _pointer_of(cython_api.__pyx_capi__[name], text.encode())
    return ctypes.CFUNCTYPE(restype, *types)(address)


functions = {name: _function(name) for name in cython_api.__pyx_capi__}


def address(array):
    return None if array is None else array.ctypes.data


def options(**given):
    found = Options()
    functions["default_options"](ctypes.addressof(found))
    for name, value in given.items():
        setattr(found, name, value)
    return found


def workspace(kind, *sizes, extra=0):
    size = functions[f"{kind}_workspace"](*sizes)
    return np.full(size // 8 + 1 + extra, np.nan), size


def solve(
    kind,
    sizes,
    data,
    l1,
    l2,
    *,
    factor=None,
    lower=None,
    upper=None,
    given=None,
    own_workspace=True,
    size=None,
):
    """Run a path; return the status and one namespace a point, or the results of all."""
    l1, l2 = np.atleast_1d(np.asarray(l1, float)), np.atleast_1d(np.asarray(l2, float))
    p, m = sizes[-1], len(l2)
    coef, intercept = np.full((m, p), 7.0), np.full(m, 7.0)
    results = (Result * m)()
    memory = workspace(kind, *sizes) if own_workspace else (None, 0)
    outputs = [address(coef)] + ([address(intercept)] if kind != "gram" else [])
    status = functions[f"{kind}_path"](
        *sizes,
        *data,
        m,
        address(l1),
        address(l2),
        address(factor),
        address(lower),
        address(upper),
        None if given is None else ctypes.addressof(given),
        *outputs,
        ctypes.addressof(results),
        address(memory[0]),
        memory[1] if size is None else size,
    )
    names = [name for name, _ in Result._fields_]
    points = [
        SimpleNamespace(
            coef=coef[k],
            intercept=0.0 if kind == "gram" else float(intercept[k]),
            **{name: getattr(results[k], name) for name in names},
        )
        for k in range(m)
    ]
    return status, points


def gram(G, c, square, l1, l2, **kwargs):
    G = np.ascontiguousarray(G)
    return solve(
        "gram", [len(c)], [address(G), max(len(c), 1), address(c), square], l1, l2, **kwargs
    )


def dense(X, y, l1, l2, *, weight=None, **kwargs):
    rows, columns = (stride // 8 for stride in X.strides)
    return solve(
        "dense", X.shape, [address(X), rows, columns, address(y), address(weight)], l1, l2, **kwargs
    )


def csc(X, y, l1, l2, *, weight=None, **kwargs):
    start, row = X.indptr.astype(np.int32), X.indices.astype(np.int32)
    data = [address(start), address(row), address(X.data), address(y), address(weight)]
    return solve("csc", X.shape, data, l1, l2, **kwargs)
