"""A path of alphas: fastreg.solve_path against warm-started coordinate descent in NumPy."""

import numpy as np

import fastreg

from . import data, reference
from .common import TOL, SolverComparison, alpha_max

N_ALPHAS = 30
DESIGNS = ["tiny-C", "tall-C", "tall-F", "wide-C", "wide-F", "ar1-F", "gene-F", "polynomial-C"]


class Path(SolverComparison):
    """30 alphas from alpha_max to a twentieth of it, L1 and elastic net."""

    timeout = 600
    repeat = (1, 10, 5.0)
    param_names = ("design", "l1_ratio")
    params = ([*DESIGNS, "text-csc"], [1.0, 0.5])

    def setup(self, design, l1_ratio):
        self.X, self.y, _ = loaded = data.load(design)
        self.l1_ratio = l1_ratio
        largest = alpha_max(loaded) / l1_ratio
        self.alphas = np.geomspace(largest, 0.05 * largest, N_ALPHAS)
        p = self.X.shape[1]
        penalties = [reference.elastic_net(p, alpha, l1_ratio) for alpha in self.alphas]
        self.prepare(self.X, self.y, penalties)

    def fastreg(self):
        return fastreg.solve_path(
            self.X, self.y, alphas=self.alphas, l1_ratio=self.l1_ratio, tol=TOL
        )

    def reference(self):
        return reference.path(reference.centred(self.X, self.y), self.penalties, TOL)
