"""Fits so small that the call costs more than the arithmetic: the function and the estimator."""

import numpy as np

import fastreg
from fastreg.estimators import Lasso, Ridge

from . import data, reference
from .common import TOL, SolverComparison


class Tiny(SolverComparison):
    """L1 at a tenth of alpha_max, with an intercept; sizes are the same at each scale."""

    param_names = ("shape", "storage")
    params = (["100x10", "30x5", "20x50", "100x100", "1000x20"], ["C", "F", "float32"])

    def setup(self, shape, storage):
        n, p = map(int, shape.split("x"))
        rng = np.random.default_rng(n + p)
        X = data.independent(rng, n, p) + 0.5
        self.y = X[:, : p // 3 + 1].sum(axis=1) + rng.standard_normal(n)
        self.X = X.astype(np.float32) if storage == "float32" else np.array(X, order=storage)
        problem = reference.centred(self.X, self.y)
        self.alpha = 0.1 * float(np.abs(problem.correlate(problem.b)).max())
        self.prepare(self.X, self.y, [reference.elastic_net(p, self.alpha)])

    def reference(self):
        problem = reference.centred(self.X, self.y)
        return reference.path(problem, self.penalties, TOL)[0]


class Function(Tiny):
    """fastreg.solve."""

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL)


class Estimator(Tiny):
    """Lasso.fit, at the same gap."""

    def fastreg(self):
        return Lasso(self.alpha, tol=TOL / 2).fit(self.X, self.y).result_


class RidgeEstimator(Tiny):
    """Ridge.fit with the alpha of the others, times the rows as scikit-learn has it."""

    def setup(self, shape, storage):
        super().setup(shape, storage)
        penalty = reference.elastic_net(self.X.shape[1], self.alpha, l1_ratio=0.0)
        self.prepare(self.X, self.y, [penalty])

    def fastreg(self):
        return Ridge(len(self.y) * self.alpha).fit(self.X, self.y).result_

    def reference(self):
        return reference.ridge_cholesky(reference.centred(self.X, self.y), self.alpha)
