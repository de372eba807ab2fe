"""Data for the tests: small problems of every shape, in every storage, and made-up results."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import oracle
import reference_solution
import scipy.sparse


def regression(n, p, seed=0, noise=0.3):
    """Gaussian columns with a sparse truth and a mean; entries fit into float32."""
    rng = np.random.default_rng(seed)
    X = np.round(rng.standard_normal((n, p)) * 64) / 64 + rng.integers(-1, 2, p)
    w = np.where(np.arange(p) % 3 == 0, rng.uniform(0.5, 2, p) * rng.choice([-1, 1], p), 0)
    y = X @ w + noise * rng.standard_normal(n) + 1.5
    return X, np.round(y * 256) / 256


SHAPES = {
    "n > p": (12, 4),
    "n < p": (5, 8),
    "n = p": (6, 6),
    "p = 1": (9, 1),
    "n = 1": (1, 3),
    "rank-deficient": (12, 5),
}


@cache
def shaped(shape, kind="real"):
    """A problem of one of SHAPES; kind is real, int or bool. The arrays are read-only."""
    n, p = SHAPES[shape]
    X, y = regression(n, p, seed=n * p)
    if kind == "real":
        X = np.where(np.abs(X) < 0.25, 0, X)  # a few zeros for the sparse formats
    elif kind == "int":
        X = np.rint(2 * X)
    else:
        X = (X > np.median(X, axis=0) - 0.1).astype(float)
    if shape == "rank-deficient":
        X[:, 3] = X[:, 0]
        X[:, 4] = X[:, 1] - 2 * X[:, 2]
        if kind == "bool":
            X[:, 4] = 1 - X[:, 1]
    X.flags.writeable = y.flags.writeable = False
    return X, y


def negative_strides(X):
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def strided(X):
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def duplicated(X):
    """CSC whose entries are stored as two halves, out of order, with an explicit zero."""
    coo = scipy.sparse.coo_array(X)
    rows = np.concatenate([coo.row[::-1], coo.row, [0]])
    columns = np.concatenate([coo.col[::-1], coo.col, [0]])
    data = np.concatenate([coo.data[::-1] / 2, coo.data / 2, [0.0]])
    order = np.argsort(columns, kind="stable")
    starts = np.searchsorted(columns[order], np.arange(X.shape[1] + 1))
    return scipy.sparse.csc_array((data[order], rows[order], starts), shape=X.shape)


def wide_index(X):
    sparse = scipy.sparse.csc_array(X)
    sparse.indices = sparse.indices.astype(np.int64)
    sparse.indptr = sparse.indptr.astype(np.int64)
    return sparse


# name: (kind of data, conversion); memmap is made by the test, which has a directory
STORAGES = {
    "C": ("real", np.ascontiguousarray),
    "F": ("real", np.asfortranarray),
    "float32": ("real", lambda X: X.astype(np.float32)),
    "CSC": ("real", scipy.sparse.csc_array),
    "CSR": ("real", scipy.sparse.csr_array),
    "read-only": ("real", read_only),
    "strided": ("real", strided),
    "negative strides": ("real", negative_strides),
    "memmap": ("real", None),
    "int": ("int", lambda X: X.astype(np.int64)),
    "bool": ("bool", lambda X: X.astype(bool)),
}
MORE_STORAGES = {
    "float32 F": ("real", lambda X: np.asfortranarray(X, dtype=np.float32)),
    "float16": ("real", lambda X: X.astype(np.float16)),
    "int8": ("int", lambda X: X.astype(np.int8)),
    "uint8": ("bool", lambda X: X.astype(np.uint8)),
    "big-endian": ("real", lambda X: X.astype(">f8")),
    "longdouble": ("real", lambda X: X.astype(np.longdouble)),
    "list": ("real", lambda X: X.tolist()),
    "csc_matrix": ("real", scipy.sparse.csc_matrix),
    "csr_matrix": ("real", scipy.sparse.csr_matrix),
    "coo_array": ("real", scipy.sparse.coo_array),
    "CSC float32": ("real", lambda X: scipy.sparse.csc_array(X.astype(np.float32))),
    "CSR int": ("int", lambda X: scipy.sparse.csr_array(X.astype(np.int32))),
    "CSC bool": ("bool", lambda X: scipy.sparse.csc_array(X.astype(bool))),
    "CSC int64 indices": ("real", wide_index),
    "CSR int64 indices": ("real", lambda X: wide_index(X.T).T),
    "CSC unsorted duplicates": ("real", duplicated),
    "CSR unsorted duplicates": ("real", lambda X: duplicated(X.T).T),
}

PENALTIES = {
    "lasso": {"alpha": 0.05},
    "elastic net": {"alpha": 0.05, "l1_ratio": 0.5},
    "ridge": {"alpha": 0.05, "l1_ratio": 0.0},
    "least squares": {"alpha": 0.0},
    "standardized lasso": {"alpha": 0.05, "standardize": True},
}


def penalty_arguments(p):
    """Per-feature arguments for p columns."""
    factor = np.array([0.0, 0.5, np.inf, 1.0, 2.0, 0.0, 1.0, 3.0])[:p]
    lower = np.array([-0.3, -np.inf, 0.0, -1.0, 0.1, -0.2, -np.inf, -0.5])[:p]
    upper = np.array([0.4, 0.2, np.inf, 0.0, 0.5, -0.1, np.inf, 1.0])[:p]
    return {
        "none": {},
        "factors": {"penalty_factor": factor},
        "bounds": {"lower": lower, "upper": upper},
        "positive": {"positive": True},
    }


def row_weights(n):
    """Weights with a zero among them."""
    return np.array([1.5, 0.5, 0.0, 2.0, 1.0])[np.arange(n) % 5]


@cache
def exact(shape, kind, weighted, fit_intercept, argument, penalty):
    """The oracle's solution of one cell of the product, shared by its storages."""
    X, y = shaped(shape, kind)
    n, p = X.shape
    model = {**PENALTIES[penalty], **penalty_arguments(p)[argument]}
    problem = oracle.make_problem(
        X,
        y,
        fit_intercept=fit_intercept,
        sample_weight=row_weights(n) if weighted else None,
        **model,
    )
    return reference_solution.solution(problem)


@dataclass(frozen=True)
class FakeResult:
    """The fields that the oracle reads, filled in from a reference solution."""

    coef: np.ndarray
    intercept: float
    objective: float
    null_objective: float
    duality_gap: float
    tolerance: float
    kkt_violation: float
    n_active: int
    prediction_error_bound: float
    certified_zero: np.ndarray
    status: int = 1
    converged: bool = True
    message: str = "made up"


def fake_result(X, y, *, alpha, error=0.0, **model):
    """What an honest solver would report for a solution with a relative error in one coefficient.

    It claims convergence, so the error must keep the gap below 1e-8 of the null objective.
    """
    problem = oracle.make_problem(X, y, alpha, **model)
    coef = reference_solution.solution(problem)[0].astype(float)
    coef[np.flatnonzero(coef)[0]] *= 1 + error
    intercept = float(problem.y_mean - problem.x_mean @ coef) if problem.fit_intercept else 0.0
    gap = float(oracle.duality_gap(problem, coef, intercept))
    null = float(oracle.null_objective(problem))
    return FakeResult(
        coef=coef,
        intercept=intercept,
        null_objective=null,
        duality_gap=gap,
        objective=float(oracle.objective(problem, coef, intercept)),
        tolerance=1e-8 * null,
        kkt_violation=float(oracle.kkt_violations(problem, coef).max()),
        n_active=np.count_nonzero(coef),
        prediction_error_bound=float(2 * problem.weight_sum * gap),
        certified_zero=coef == 0,
    )
