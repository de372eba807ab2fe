"""Batches of small problems in one call: stacked arrays, one design with many y or weights."""

import numpy as np

import fastreg

from . import data, reference
from .common import TOL, SolverComparison

PROBLEMS = {"quick": 20, "full": 1000}


class Batch(SolverComparison):
    """L1 at a tenth of alpha_max of the first problem, with an intercept, on one thread."""

    param_names = ("shape",)

    def sizes(self, shape):
        """Rows, features and problems; and where random numbers come from."""
        n, p = map(int, shape.split("x"))
        return n, p, PROBLEMS[data.scale()], np.random.default_rng(n + p)

    def finish(self, problems, p):
        """Take the problems of the reference, and choose the strength."""
        self.problems = problems
        self.alpha = 0.1 * float(np.abs(problems[0].correlate(problems[0].b)).max())
        self.penalties = [reference.elastic_net(p, self.alpha)]

    def reference(self):
        return [reference.path(problem, self.penalties, TOL)[0] for problem in self.problems]

    def track_passes(self, *parameters):
        return 1.0  # whatever the problem


class Stacked(Batch):
    """solve_many on arrays of shape (B, n, p)."""

    params = (["30x5", "100x10", "100x50"],)

    def setup(self, shape):
        n, p, many, rng = self.sizes(shape)
        self.X = np.stack([data.independent(rng, n, p) + 0.5 for _ in range(many)])
        self.y = self.X[..., : p // 3 + 1].sum(axis=2) + rng.standard_normal((many, n))
        pairs = zip(self.X, self.y, strict=True)
        self.finish([reference.centred(X, y) for X, y in pairs], p)

    def fastreg(self):
        return fastreg.solve_many(self.X, self.y, self.alpha, tol=TOL)


class Bootstrap(Batch):
    """solve_many on one X and y with the weights of bootstraps."""

    params = (["100x10", "500x30", "2000x50"],)

    def setup(self, shape):
        n, p, many, rng = self.sizes(shape)
        self.X = data.independent(rng, n, p)
        self.y = self.X[:, : p // 3 + 1].sum(axis=1) + rng.standard_normal(n)
        self.weight = rng.multinomial(n, np.full(n, 1 / n), size=many).astype(float)
        self.finish([reference.centred(self.X, self.y, weight) for weight in self.weight], p)

    def fastreg(self):
        return fastreg.solve_many(self.X, self.y, self.alpha, sample_weight=self.weight, tol=TOL)


class Responses(Batch):
    """solve_many on one X with many y."""

    params = (["100x10", "2000x50"],)

    def setup(self, shape):
        n, p, many, rng = self.sizes(shape)
        self.X = data.independent(rng, n, p) + 0.5
        W = rng.standard_normal((p, many)) * (rng.random((p, many)) < 0.2)
        self.Y = self.X @ W + rng.standard_normal((n, many))
        self.finish([reference.centred(self.X, y) for y in self.Y.T], p)

    def fastreg(self):
        return fastreg.solve_many(self.X, self.Y, self.alpha, tol=TOL)


class ResponsePaths(Responses):
    """solve_path on one X with many y: 20 alphas down to a hundredth of the largest."""

    def finish(self, problems, p):
        """The same, for a grid of strengths."""
        super().finish(problems, p)
        self.alphas = 10.0 * self.alpha * np.geomspace(1.0, 0.01, 20)
        self.penalties = [reference.elastic_net(p, alpha) for alpha in self.alphas]

    def reference(self):
        paths = [reference.path(problem, self.penalties, TOL) for problem in self.problems]
        return np.stack(paths, axis=1)

    def fastreg(self):
        return fastreg.solve_path(self.X, self.Y, alphas=self.alphas, tol=TOL)
