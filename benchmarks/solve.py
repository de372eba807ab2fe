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
    "long-C",
    "long-F",
    "wide-C",
    "wide-F",
    "ar1-F",
    "gene-F",
    "polynomial-C",
    "twins-F",
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


class SmallAlpha(SolverComparison):
    """L1 at a hundredth of alpha_max: many coefficients, in the smaller side's number at most."""

    param_names = ("design",)
    params = (["middle-C", "middle-F", "wide-F", "ar1-F"],)

    def setup(self, design):
        self.X, self.y, _ = loaded = data.load(design)
        self.alpha = 0.01 * alpha_max(loaded)
        self.prepare(self.X, self.y, [reference.elastic_net(self.X.shape[1], self.alpha)])

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL)

    def reference(self):
        return coordinate_descent(reference.centred(self.X, self.y), self.penalties[0])


class _AgainstItself(SolverComparison):
    """The package against itself on the same numbers; the ratio is what is gained."""

    param_names = ("design",)

    def setup(self, design):
        self.X, self.y, _ = loaded = data.load(design)
        self.alpha = 0.1 * alpha_max(loaded)
        self.prepare(self.X, self.y, [reference.elastic_net(self.X.shape[1], self.alpha)])

    def reference(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL).coef


class SinglePrecision(_AgainstItself):
    """A design in float32 against the same numbers in float64."""

    params = (["long-C", "long-F", "wide-C", "wide-F"],)

    def setup(self, design):
        super().setup(design)
        self.single = np.asarray(self.X, np.float32)
        self.X = np.asarray(self.single, np.float64)
        self.prepare(self.X, self.y, self.penalties)

    def fastreg(self):
        return fastreg.solve(self.single, self.y, self.alpha, tol=TOL)


class Threads(_AgainstItself):
    """Two threads against one: the same bits."""

    params = (["tall-C", "long-F", "wide-F", "text-csc"],)

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL, n_threads=2)

    def disagreement(self):
        return float(np.any(self.fastreg().coef != self.reference())), 0.0


class Estimator(Comparison):
    """The scikit-learn face on a problem so small that its own overhead is what is measured."""

    param_names = ("design",)
    params = (["tiny-C"],)

    def setup(self, design):
        self.X, self.y, _ = loaded = data.load(design)
        self.model = fastreg.Lasso(0.1 * alpha_max(loaded))
        self.penalty = reference.elastic_net(self.X.shape[1], self.model.alpha)

    def fastreg(self):
        return self.model.fit(self.X, self.y).coef_

    def reference(self):
        return coordinate_descent(reference.centred(self.X, self.y), self.penalty)

    def disagreement(self):
        problem = reference.centred(self.X, self.y)
        gap = reference.certify(problem, self.penalty, self.fastreg())[1]
        return float(gap / (problem.b @ problem.b / 2)), 1e-4  # scikit-learn's default tolerance


class Growth(SolverComparison):
    """The same sparsity in designs of growing size: linear in n and in p is what is wanted."""

    param_names = ("size",)
    params = (["1 x 1", "2 x 1", "4 x 1", "1 x 2", "1 x 4"],)

    def setup(self, size):
        more_rows, more_columns = (int(times) for times in size.split(" x "))
        n, p = (40, 100) if data.scale() == "quick" else (250, 2000)
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((more_rows * n, more_columns * p))
        self.y = data.response(rng, self.X)
        loaded = data.Data(self.X, self.y, np.ones(len(self.y)))
        self.alpha = 0.1 * alpha_max(loaded)
        self.prepare(self.X, self.y, [reference.elastic_net(self.X.shape[1], self.alpha)])

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, tol=TOL)

    def reference(self):
        return coordinate_descent(reference.centred(self.X, self.y), self.penalties[0])


class Responses(SolverComparison):
    """Responses that share X: the reference fits one after the other."""

    param_names = ("design", "m")
    params = (["tall-C", "wide-F", "text-csc"], [8, 40])

    def setup(self, design, m):
        loaded = data.load(design)
        self.X, self.y = loaded.X, data.responses(loaded, m)
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
