"""The textbook method: accelerated proximal gradient, compiled against NumPy."""

import fastreg

from . import data, reference
from .common import TOL, SolverComparison, alpha_max


class ProximalGradient(SolverComparison):
    """L1 and elastic net at a fifth of alpha_max, both sides to the same duality gap."""

    param_names = ("design", "l1_ratio")
    params = (["tall-C", "tall-F", "ar1-F", "gene-F", "text-csc", "text-csr"], [1.0, 0.5])

    def setup(self, design, l1_ratio):
        self.X, self.y, _ = loaded = data.load(design)
        self.l1_ratio, self.alpha = l1_ratio, 0.2 * alpha_max(loaded) / l1_ratio
        penalty = reference.elastic_net(self.X.shape[1], self.alpha, l1_ratio)
        self.prepare(self.X, self.y, [penalty])

    def fastreg(self):
        return fastreg.solve(
            self.X, self.y, self.alpha, l1_ratio=self.l1_ratio, tol=TOL, method="gradient"
        )

    def reference(self):
        problem = reference.centred(self.X, self.y)
        return reference.proximal_gradient(problem, self.penalties[0], TOL).w
