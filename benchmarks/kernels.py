"""The compiled kernels one by one, reached through the verbs that the package has for tests.

The verbs work on z_j = (x_j - shift_j) scale_j with scale a power of two, which is divided out
before results are compared. NumPy has no product of a float32 matrix with a float64 vector: it
converts the matrix first, and that is part of its time.
"""

from typing import NamedTuple

import numpy as np

from fastreg._core import working_set
from fastreg._core.dense import DenseDesign
from fastreg.problem import prepare

from . import data, reference
from .common import TOL, Comparison, SolverComparison, alpha_max

DESIGNS = ["narrow-C", "tall-C", "tall-F", "tall-float32", "wide-C", "wide-F", "text-csc"]
NO_LIMIT = {"max_iter": 1000, "max_sweeps": 10**6, "deadline": np.inf}


class _Verb(Comparison):
    """A verb of the design, on the centred columns of one design; results are arrays."""

    param_names = ("design",)
    params = (DESIGNS,)

    def setup(self, design):
        loaded = data.load(design)
        self.X, self.weight = loaded.X, loaded.sample_weight / loaded.sample_weight.sum()
        self.problem = prepare(loaded.X, loaded.y, sample_weight=loaded.sample_weight)
        self.design, self.mean = self.problem.design, self.problem.mean
        rng = np.random.default_rng(0)
        n, p = self.X.shape
        self.v = self.weight * rng.standard_normal(n)
        self.coef = rng.standard_normal(p)
        self.columns = np.arange(min(p, 300), dtype=np.int32)

    def outside(self, ours):
        """The package's result in the units of X."""
        return ours

    def disagreement(self):
        ours, theirs = self.outside(self.fastreg()), self.reference()
        ours, theirs = np.atleast_2d(ours), np.atleast_2d(theirs)
        return max(
            float(np.max(np.abs(a - b)) / np.max(np.abs(b)))
            for a, b in zip(ours, theirs, strict=True)
        ), 1e-10


class ColumnStats(_Verb):
    """Weighted means and deviations."""

    def fastreg(self):
        return self.design.moments(self.weight)

    def outside(self, ours):
        return ours[0], np.sqrt(ours[1])

    def reference(self):
        return reference.column_stats(self.X, self.weight)


class Correlate(_Verb):
    """X_c'v: the pass over X."""

    def fastreg(self):
        return self.design.correlation(self.v)

    def outside(self, ours):
        return ours / self.design.scale

    def reference(self):
        return reference.correlate(self.X, self.v, self.mean)


class CorrelateColumns(_Verb):
    """X_c'v for one column in eight."""

    def some(self):
        return np.arange(0, self.X.shape[1], 8, dtype=np.int32)

    def fastreg(self):
        return self.design.correlation_of(self.some(), self.v)

    def outside(self, ours):
        return ours / self.design.scale[self.some()]

    def reference(self):
        columns = self.some()
        return reference.correlate(self.X[:, columns], self.v, self.mean[columns])


class Predict(_Verb):
    """X_c w for a dense w."""

    def fastreg(self):
        return self.design.product(self.coef)

    def outside(self, ours):
        return self.design.product(self.coef / self.design.scale)

    def reference(self):
        return reference.predict(self.X, self.coef, -self.mean @ self.coef)


class Gram(_Verb):
    """Weighted centred Gram matrix of up to 300 columns, as a working set asks for it."""

    def fastreg(self):
        return self.design.gram_matrix(self.columns, self.weight)

    def outside(self, ours):
        scale = self.design.scale[self.columns]
        return (ours / np.outer(scale, scale)).reshape(1, -1)

    def reference(self):
        return reference.gram(self.X[:, self.columns], self.weight)[0].reshape(1, -1)


class Survey(_Verb):
    """Means, deviations, X_c'y and the Gram matrix of up to 300 columns, all at once."""

    def fastreg(self):
        response = DenseDesign(self.v[:, None])
        response.set_units(np.array([self.weight @ self.v]), np.ones(1))
        return self.design.survey(self.weight, response, self.columns)

    def outside(self, ours):
        mean, variance, cross, gram = ours
        return mean, np.sqrt(variance), cross[0], gram.ravel()

    def reference(self):
        mean, deviation = reference.column_stats(self.X, self.weight)
        gram = reference.gram(self.X[:, self.columns], self.weight)[0]
        weighted = self.weight * (self.v - self.weight @ self.v)
        return mean, deviation, reference.correlate(self.X, weighted, mean), gram.ravel()

    def disagreement(self):
        pairs = zip(self.outside(self.fastreg()), self.reference(), strict=True)
        return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in pairs), 1e-10


class Certificate(Comparison):
    """The duality gap of a point half way, residual and correlations given."""

    param_names = ("design",)
    params = (["tall-C", "wide-F", "text-csc"],)

    def setup(self, design):
        loaded = data.load(design)
        alpha = 0.5 * alpha_max(loaded)
        self.penalty = reference.elastic_net(loaded.X.shape[1], alpha)
        centred = reference.centred(loaded.X, loaded.y)
        self.w = reference.coordinate_descent(centred, self.penalty, tol=0.1).w
        r = centred.b - centred.dot(self.w)
        self.known = centred.correlate(r), r @ r, centred.b @ r
        self.inner = prepare(loaded.X, loaded.y)
        self.state = self.inner.least_squares()
        self.inner.begin(self.state, 0, self.w)
        self.state.strengthen(alpha, 0.0)

    def fastreg(self):
        return self.state.certify_plain()[0]

    def reference(self):
        return reference.duality_gap(self.penalty, self.w, *self.known)

    def disagreement(self):
        ours, theirs = self.fastreg() * self.inner.y_scale[0] ** 2, self.reference()
        return abs(ours - theirs) / theirs, 1e-8


class Fit(NamedTuple):
    """What a path in p-space leaves behind."""

    coef: np.ndarray
    duality_gap: np.ndarray
    null_objective: float
    n_passes: int
    n_sweeps: int


class GramDescent(SolverComparison):
    """A warm-started path in p-space, Gram matrix given: sweeps and Newton steps against sweeps."""

    param_names = ("design",)
    params = (["narrow-C", "tall-C", "ar1-F", "polynomial-C"],)

    def setup(self, design):
        loaded = data.load(design)
        p = loaded.X.shape[1]
        self.alphas = alpha_max(loaded) * np.geomspace(1, 0.05, 30)
        self.prepare(loaded.X, loaded.y, [reference.elastic_net(p, alpha) for alpha in self.alphas])
        centred = self.problems[0]
        self.G = centred.columns.T @ centred.columns
        self.c, self.yy = centred.correlate(centred.b), float(centred.b @ centred.b)
        self.inner = prepare(loaded.X, loaded.y)
        state = self.inner.least_squares()
        self.inner.begin(state, 0)
        self.null = state.state()[2] / 2
        self.work = working_set.WorkingSet(state, 2.0**30)
        self.work.include_all()

    def fastreg(self):
        coefs, gaps, sweeps, before = [], [], 0, self.work.problem.n_passes
        tolerance = TOL * self.null
        for alpha in self.alphas:
            self.work.solve(alpha, 0.0, tolerance, warm=False, **NO_LIMIT)
            coefs.append(self.work.problem.state()[0])
            gaps.append(self.work.gap)
            sweeps += self.work.n_sweeps
        passes = self.work.problem.n_passes - before
        return Fit(np.array(coefs), np.array(gaps), self.null, passes, sweeps)

    def coefficients(self, result):
        unit = self.inner.design.scale * self.inner.y_scale[0]
        return (result.coef * unit)[:, None, :]

    def reference(self):
        w, coefs = np.zeros(self.c.size), []
        for penalty in self.penalties:
            w = reference.coordinate_descent_gram(self.G, self.c, self.yy, penalty, w, TOL).w
            coefs.append(w)
        return np.array(coefs)
