"""The solvers: how each one is called, in the form that it is fastest in.

An adapter takes a case and returns a `Run`, or None where the solver does not do such a problem.
It raises ImportError where the package is missing.
"""

import os
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

LADDER = 10.0 ** -np.arange(17)
MOST = 10**7  # iterations: never what stops a solver


class Run(NamedTuple):
    """`call(tol)` is what is timed; `coefs` turns what it returns into (n_alphas, n_features)."""

    call: Callable[[float], Any]
    coefs: Callable[[Any], Any]
    ladder: np.ndarray  # tolerances, loosest first


def fastreg(case, **options):
    """Ours: on the data as the user holds it."""
    import fastreg

    model = {"l1_ratio": case.l1_ratio, "fit_intercept": case.fit_intercept, **options}
    ladder = case.gap * LADDER[:7]
    if case.single:
        alpha = float(case.alphas[0])
        return Run(
            lambda tol: fastreg.solve(case.X, case.y, alpha, tol=tol, **model),
            lambda result: result.coef,
            ladder,
        )
    return Run(
        lambda tol: fastreg.solve_path(case.X, case.y, alphas=case.alphas, tol=tol, **model),
        lambda result: result.coef,
        ladder,
    )


def _sklearn(case, precompute, one, path):
    """Estimator for one fit, function for a path."""
    ladder = 10 * case.gap / 2 * LADDER[:8]
    options = {"l1_ratio": case.l1_ratio, "precompute": precompute, "max_iter": MOST}
    if case.single:
        model = one(float(case.alphas[0]), fit_intercept=case.fit_intercept, **options)
        X = case.fortran
        return Run(lambda tol: model.set_params(tol=tol).fit(X, case.y), _coef, ladder)
    X, y = case.centred
    if case.is_sparse and case.fit_intercept:
        options |= {"X_offset": case.problem.mean, "X_scale": np.ones(X.shape[1])}
    return Run(
        lambda tol: path(X, y, alphas=case.alphas, tol=tol, **options),
        lambda result: result[1].T,
        ladder,
    )


def _coef(model):
    return model.coef_


def scikit_learn(case):
    """Lasso or ElasticNet; enet_path on centred data."""
    from sklearn.linear_model import ElasticNet, enet_path

    if case.l1_ratio == 0:
        return _ridge(case, solver="auto")
    return _sklearn(case, False, ElasticNet, enet_path)


def scikit_learn_gram(case):
    """The same with a Gram matrix, computed within the time."""
    from sklearn.linear_model import ElasticNet, enet_path

    if case.l1_ratio == 0 or not case.tall:
        return None
    return _sklearn(case, True, ElasticNet, enet_path)


def scikit_learn_cholesky(case):
    """Ridge(solver="cholesky")."""
    return _ridge(case, solver="cholesky") if case.l1_ratio == 0 else None


def _ridge(case, solver):
    from sklearn.linear_model import Ridge

    model = Ridge(case.X.shape[0] * case.alphas[0], fit_intercept=case.fit_intercept, solver=solver)
    return Run(lambda tol: model.set_params(tol=tol).fit(case.X, case.y), _coef, case.gap * LADDER)


def intel(case):
    """oneDAL's ridge and lasso through scikit-learn-intelex."""
    from daal4py.sklearn.linear_model import ElasticNet
    from sklearnex.linear_model import Ridge

    if case.is_sparse or not case.single:
        return None
    if case.l1_ratio == 0:
        ridge = Ridge(case.X.shape[0] * case.alphas[0], fit_intercept=case.fit_intercept)
        return Run(lambda tol: ridge.fit(case.X, case.y), _coef, LADDER[:1])
    if not case.tall:
        return None
    model = ElasticNet(
        float(case.alphas[0]),
        l1_ratio=case.l1_ratio,
        fit_intercept=case.fit_intercept,
        max_iter=100_000,
    )
    X = case.fortran
    return Run(lambda tol: model.set_params(tol=tol).fit(X, case.y), _coef, LADDER[3:13])


def celer(case):
    """Estimator for one fit, celer_path on centred data for a path."""
    import celer

    if case.l1_ratio == 0:
        return None
    ladder, X = 10 * case.gap / 2 * LADDER[:8], case.fortran
    if case.single:
        model = celer.ElasticNet(
            float(case.alphas[0]),
            l1_ratio=case.l1_ratio,
            fit_intercept=case.fit_intercept,
            max_iter=1000,
            max_epochs=MOST,
        )
        return Run(lambda tol: model.set_params(tol=tol).fit(X, case.y), _coef, ladder)
    X, y = case.centred
    options = {"l1_ratio": case.l1_ratio, "max_iter": 1000, "max_epochs": MOST}
    if case.is_sparse and case.fit_intercept:
        options |= {"X_offset": case.problem.mean, "X_scale": np.ones(X.shape[1])}
    return Run(
        lambda tol: celer.celer_path(X, y, "lasso", alphas=case.alphas, tol=tol, **options),
        lambda result: result[1].T,
        ladder,
    )


def skglm(case):
    """AndersonCD's path on compiled objects; dense data are centred beforehand."""
    from skglm.datafits import Quadratic
    from skglm.penalties import L1, L1_plus_L2
    from skglm.solvers import AndersonCD
    from skglm.utils.jit_compilation import compiled_clone

    if case.l1_ratio == 0:
        return None
    penalty = L1(1.0) if case.l1_ratio == 1 else L1_plus_L2(1.0, case.l1_ratio)
    datafit, penalty = compiled_clone(Quadratic()), compiled_clone(penalty)
    intercept = case.fit_intercept and case.is_sparse
    X, y = (case.fortran, case.y) if intercept else case.centred

    def call(tol, X=X, y=y):
        solver = AndersonCD(
            tol=tol, max_iter=1000, max_epochs=MOST, fit_intercept=intercept, warm_start=True
        )
        return solver.path(X, y, datafit, penalty, alphas=case.alphas)

    call(1e-2, X[:20, :10], y[:20])  # compile
    smallest = case.alphas.min() * case.l1_ratio
    return Run(call, lambda result: result[1][: X.shape[1]].T, smallest * LADDER[1:10])


def _adelie_options(case, tol):
    return {
        "alpha": case.l1_ratio,
        "lmda_path": case.alphas,
        "tol": tol,
        "max_iters": MOST,
        "early_exit": False,
        "progress_bar": False,
    }


def _betas(state):
    return state.betas.toarray()


def adelie(case):
    """grpnet in Fortran order."""
    import adelie

    X = case.fortran
    X = adelie.matrix.sparse(X, method="naive") if case.is_sparse else X

    def call(tol):
        options = _adelie_options(case, tol)
        glm = adelie.glm.gaussian(case.y)
        return adelie.grpnet(X, glm, intercept=case.fit_intercept, adev_tol=1.0, **options)

    return Run(call, _betas, LADDER[5:17])


def adelie_covariance(case):
    """Its covariance method on a Gram matrix that the caller makes, which is in the time."""
    import adelie
    from scipy.linalg.blas import dsyrk

    if not case.tall or case.l1_ratio == 0:
        return None
    X, y, n = case.fortran, case.y, len(case.y)

    def call(tol):
        upper = dsyrk(1 / n, X, trans=1)
        A, c = np.asfortranarray(upper + np.triu(upper, 1).T), X.T @ y / n
        if case.fit_intercept:
            mean = X.mean(axis=0)
            A -= np.outer(mean, mean)
            c -= y.mean() * mean
        return adelie.solver.gaussian_cov(A, c, rdev_tol=0.0, **_adelie_options(case, tol))

    return Run(call, _betas, LADDER[5:17])


def _glmnet_strengths(case):
    """(mixing, lambdas): glmnet divides lambda by the deviation of y, in the ridge part as well."""
    deviation = np.sqrt(case.problem.b @ case.problem.b)
    l1, l2 = case.l1_ratio, (1 - case.l1_ratio) * deviation
    return l1 / (l1 + l2), case.alphas * (l1 + l2)


def glmnet_rust(case):
    """glmnet-rs, a port of R's glmnet."""
    from glmnetrs import glmnet

    if case.l1_ratio == 0:
        return None
    mixing, lambdas = _glmnet_strengths(case)

    def call(tol):
        return glmnet(
            case.fortran,
            case.y,
            alpha=mixing,
            lambda_=lambdas,
            standardize=False,
            intercept=case.fit_intercept,
            thresh=tol,
            maxit=MOST,
        )

    return Run(call, lambda path: path.beta.T, LADDER[6:17])


def glmnet_fortran(case):
    """python-glmnet, the Fortran of glmnet."""
    from glmnet import ElasticNet

    if case.l1_ratio == 0:
        return None
    mixing, lambdas = _glmnet_strengths(case)
    model = ElasticNet(
        alpha=mixing,
        lambda_path=lambdas,
        standardize=False,
        fit_intercept=case.fit_intercept,
        n_splits=0,
        max_iter=MOST,
    )
    return Run(
        lambda tol: model.set_params(tol=tol).fit(case.fortran, case.y),
        lambda fitted: np.reshape(fitted.coef_path_, (case.X.shape[1], -1)).T,
        LADDER[6:17],
    )


def glum(case):
    """GeneralizedLinearRegressor; made for few features: minutes for a path over thousands."""
    from glum import GeneralizedLinearRegressor

    if case.X.shape[1] > min(1000, case.X.shape[0]):
        return None
    options = {"l1_ratio": case.l1_ratio, "fit_intercept": case.fit_intercept, "max_iter": 1000}
    if case.single:
        model = GeneralizedLinearRegressor(alpha=float(case.alphas[0]), **options)
    else:
        model = GeneralizedLinearRegressor(alpha_search=True, alphas=case.alphas, **options)
    X = case.fortran
    return Run(
        lambda tol: model.set_params(gradient_tol=tol).fit(X, case.y),
        lambda fitted: fitted.coef_ if case.single else fitted.coef_path_,
        case.alphas.min() * LADDER[1:10],
    )


def snap_ml(case):
    """Snap ML's linear regression; its intercept is penalised, so the data are centred before."""
    from snapml import LinearRegression

    if not case.single or case.l1_ratio not in (0, 1) or (case.is_sparse and case.fit_intercept):
        return None
    X, y = case.centred
    model = LinearRegression(
        max_iter=100_000,
        regularizer=float(case.alphas[0] * len(y)),
        dual=False,
        penalty="l1" if case.l1_ratio else "l2",
        fit_intercept=False,
    )
    X = X if case.is_sparse else np.ascontiguousarray(X)
    return Run(lambda tol: model.set_params(tol=tol).fit(X, y), _coef, LADDER[2:12])


def spams(case):
    """SPAMS's homotopy (LARS), which is exact: no tolerance."""
    import spams

    if not case.single or case.l1_ratio != 1 or case.is_sparse:
        return None
    X, y = case.centred
    column, strength = np.asfortranarray(y[:, None]), float(case.alphas[0] * len(y))
    options = {"lambda1": strength, "mode": 2, "numThreads": 1, "cholesky": True}
    return Run(
        lambda tol: spams.lasso(column, D=X, **options),
        lambda coef: coef.toarray().T,
        LADDER[:1],
    )


PEERS = {
    "scikit-learn": scikit_learn,
    "scikit-learn Gram": scikit_learn_gram,
    "scikit-learn Cholesky": scikit_learn_cholesky,
    "scikit-learn-intelex": intel,
    "celer": celer,
    "skglm": skglm,
    "adelie": adelie,
    "adelie covariance": adelie_covariance,
    "glmnet-rs": glmnet_rust,
    "python-glmnet": glmnet_fortran,
    "glum": glum,
    "snapml": snap_ml,
    "spams": spams,
}

BY_HAND = ("adelie covariance",)
"""What a user must put together, as opposed to call; counted as a peer all the same."""

DISTRIBUTIONS = (
    "numpy scipy scikit-learn scikit-learn-intelex celer skglm adelie glmnet-rs python-glmnet glum "
    "snapml spams-bin"
).split()


@lru_cache(maxsize=1)
def unavailable() -> dict[str, str]:
    """Why a peer cannot be used, by peer; empty where all are installed."""
    from .cases import Case

    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 4))
    y = X[:, 0] + rng.standard_normal(50)
    reasons = {}
    # Importing adelie binds the process to one processor, which row 17 must not suffer from.
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    for name, adapter in PEERS.items():
        for l1_ratio in (1.0, 0.0):
            case = Case(0, "probe", X, y, np.array([0.1]), 1.0, l1_ratio)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    run = adapter(case)
                    if run is not None:
                        run.call(run.ladder[-1])
            except Exception as error:
                lines = str(error).strip().splitlines()
                reasons[name] = f"{type(error).__name__}: {lines[0] if lines else ''}"
    if processors is not None:
        os.sched_setaffinity(0, processors)
    return reasons
