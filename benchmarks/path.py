"""A path of alphas: fastreg.solve_path against warm-started coordinate descent in NumPy."""

import numpy as np

import fastreg

from . import data, reference
from .common import TOL, SolverComparison, alpha_max

N_ALPHAS = 30
DESIGNS = ["tiny-C", "tall-C", "tall-F", "wide-C", "wide-F", "ar1-F", "gene-F", "polynomial-C"]
DESIGNS += ["twins-F", "text-csc"]


class Path(SolverComparison):
    """30 alphas from alpha_max to a twentieth of it, L1 and elastic net."""

    timeout = 600
    repeat = (1, 10, 5.0)
    param_names = ("design", "l1_ratio")
    params = (DESIGNS, [1.0, 0.5])
    smallest = 0.05

    def setup(self, design, l1_ratio):
        self.X, self.y, _ = loaded = data.load(design)
        self.l1_ratio = l1_ratio
        largest = alpha_max(loaded) / l1_ratio
        self.alphas = np.geomspace(largest, self.smallest * largest, N_ALPHAS)
        p = self.X.shape[1]
        penalties = [reference.elastic_net(p, alpha, l1_ratio) for alpha in self.alphas]
        self.prepare(self.X, self.y, penalties)

    def fastreg(self):
        return fastreg.solve_path(
            self.X, self.y, alphas=self.alphas, l1_ratio=self.l1_ratio, tol=TOL
        )

    def reference(self):
        return reference.path(reference.centred(self.X, self.y), self.penalties, TOL)


class DeepPath(Path):
    """30 alphas down to a hundredth of alpha_max, where most of the work is in the last ones."""

    params = (["middle-C", "wide-F", "ar1-F", "gene-F", "twins-F"], [1.0])
    smallest = 0.01


class WithoutIntercept(SolverComparison):
    """30 alphas on sparse data without an intercept: nothing is to be centred."""

    timeout = 600
    repeat = (1, 10, 5.0)
    param_names = ("design",)
    params = (["text-csc", "text-csr"],)

    def setup(self, design):
        self.X, self.y, _ = data.load(design)
        problem = reference.centred(self.X, self.y, fit_intercept=False)
        self.alphas = reference.alpha_grid(problem, N_ALPHAS, 0.05)
        p = self.X.shape[1]
        penalties = [reference.elastic_net(p, alpha) for alpha in self.alphas]
        self.prepare(self.X, self.y, penalties, fit_intercept=False)

    def fastreg(self):
        return fastreg.solve_path(self.X, self.y, alphas=self.alphas, fit_intercept=False, tol=TOL)

    def reference(self):
        return reference.path(self.problems[0], self.penalties, TOL)
