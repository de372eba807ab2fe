"""One fit: fastreg.solve against coordinate descent in NumPy, at the same duality gap."""

import numpy as np

import fastreg

from . import data, reference
from .common import TOL, Comparison, SolverComparison, alpha_max

DESIGNS = [
    "tiny-C",
    "narrow-C",
    "tall-C",
    "tall-F",
    "tall-float32",
    "wide-C",
    "wide-F",
    "ar1-F",
    "gene-F",
    "polynomial-C",
    "text-csc",
    "text-csr",
]


def coordinate_descent(problem, penalty):
    """The better of the two ways in NumPy: in p-space for tall dense designs, else on residuals."""
    return reference.path(problem, [penalty], TOL)[0]


class Lasso(SolverComparison):
    """L1 at a tenth of alpha_max."""

    param_names = ("design",)
    params = (DESIGNS,)

    def setup(self, design):
        self.X, self.y, _ = loaded = data.load(design)
        self.alpha = 0.1 * alpha_max(loaded)
        self.prepare(self.X, self.y, [reference.elastic_net(self.X.shape[1], self.alpha)])

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL)

    def reference(self):
        problem = reference.centred(self.X, self.y)
        return coordinate_descent(problem, self.penalties[0])


class Models(SolverComparison):
    """The other models of the one solver."""

    param_names = ("design", "model")
    params = (
        ["tall-C", "wide-F", "text-csc"],
        ["elastic_net", "positive", "weighted", "standardize", "no_intercept"],
    )

    def setup(self, design, model):
        loaded = data.load(design)
        self.X, self.y = loaded.X, loaded.y
        self.weight = loaded.sample_weight if model == "weighted" else None
        self.fit_intercept = model != "no_intercept"
        l1_ratio = 0.5 if model == "elastic_net" else 1.0
        positive, standardize = model == "positive", model == "standardize"
        scale = reference.column_stats(self.X)[1] if standardize else np.ones(self.X.shape[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            problem = reference.centred(self.X, self.y, self.weight, self.fit_intercept)
            ratios = np.abs(problem.correlate(problem.b)) / scale
        self.alpha = 0.1 * float(np.nanmax(ratios)) / l1_ratio
        self.options = {
            "l1_ratio": l1_ratio,
            "positive": positive,
            "standardize": standardize,
            "sample_weight": self.weight,
            "fit_intercept": self.fit_intercept,
        }
        penalty = reference.elastic_net(
            self.X.shape[1], self.alpha, l1_ratio, positive=positive, scale=scale
        )
        self.prepare(self.X, self.y, [penalty], self.weight, self.fit_intercept)

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL, **self.options)

    def reference(self):
        problem = reference.centred(self.X, self.y, self.weight, self.fit_intercept)
        return coordinate_descent(problem, self.penalties[0])


class Responses(SolverComparison):
    """Eight responses that share X: the reference fits one after the other."""

    param_names = ("design",)
    params = (["tall-C", "wide-F", "text-csc"],)

    def setup(self, design):
        loaded = data.load(design)
        self.X, self.y = loaded.X, data.responses(loaded, 8)
        self.alpha = 0.1 * alpha_max(loaded)
        penalty = reference.elastic_net(self.X.shape[1], self.alpha)
        self.prepare(self.X, self.y, [penalty])

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL)

    def reference(self):
        problems = (reference.centred(self.X, column) for column in self.y.T)
        return np.array([coordinate_descent(problem, self.penalties[0]) for problem in problems])


class LeastSquares(Comparison):
    """alpha = 0 against LAPACK's least squares on the centred design."""

    param_names = ("design",)
    params = (["tiny-C", "narrow-C", "tall-C", "tall-F"],)

    def setup(self, design):
        self.X, self.y, _ = data.load(design)

    def fastreg(self):
        return fastreg.solve(self.X, self.y, 0.0).coef

    def reference(self):
        problem = reference.centred(self.X, self.y)
        return np.linalg.lstsq(problem.columns, problem.b)[0]

    def disagreement(self):
        ours, theirs = self.fastreg(), self.reference()
        return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)), 1e-10
