"""Ridge: closed forms, conjugate gradient, and a grid of alphas with leave-one-out errors."""

from dataclasses import replace

import numpy as np

import fastreg

from . import data, reference
from .common import TOL, Comparison, SolverComparison


def ridge_penalty(p, alpha):
    """alpha/2 |w|^2."""
    return reference.elastic_net(p, alpha, l1_ratio=0.0)


class ClosedForm(SolverComparison):
    """One alpha: the Cholesky factor of the smaller Gram matrix, on both sides."""

    param_names = ("design",)
    params = (["tiny-C", "narrow-C", "tall-C", "tall-F", "wide-C", "wide-F"],)
    alpha = 0.01

    def setup(self, design):
        self.X, self.y, _ = data.load(design)
        self.prepare(self.X, self.y, [ridge_penalty(self.X.shape[1], self.alpha)])

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, l1_ratio=0.0, tol=TOL)

    def reference(self):
        return reference.ridge_cholesky(reference.centred(self.X, self.y), self.alpha)


class ManyResponses(SolverComparison):
    """A hundred responses that share X: one Cholesky factor for all, on both sides."""

    param_names = ("design",)
    params = (["narrow-C", "tall-C", "tall-F", "wide-C"],)
    alpha = 0.01

    def setup(self, design):
        loaded = data.load(design)
        self.X, self.y = loaded.X, data.responses(loaded, 100)
        self.prepare(self.X, self.y, [ridge_penalty(self.X.shape[1], self.alpha)])

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, l1_ratio=0.0, tol=TOL)

    def reference(self):
        problem = reference.centred(self.X, self.y[:, 0])
        b = problem.root[:, None] * (self.y - self.y.mean(axis=0))
        return reference.ridge_cholesky(replace(problem, b=b), self.alpha).T


class Krylov(SolverComparison):
    """One alpha by conjugate gradient, no Gram matrix, on both sides to the same gap."""

    param_names = ("design",)
    params = (["tall-C", "wide-F", "ar1-F", "gene-F", "text-csc", "text-csr"],)
    alpha = 0.001

    def setup(self, design):
        self.X, self.y, _ = data.load(design)
        self.prepare(self.X, self.y, [ridge_penalty(self.X.shape[1], self.alpha)])

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, l1_ratio=0.0, tol=TOL, method="krylov")

    def reference(self):
        problem = reference.centred(self.X, self.y)
        return reference.conjugate_gradient(problem, self.alpha, TOL).w


class IllConditioned(Comparison):
    """Nearly collinear columns and next to no penalty: both sides need an SVD."""

    param_names = ("design",)
    params = (["polynomial-C", "polynomial-F"],)
    alpha = 1e-14

    def setup(self, design):
        self.X, self.y, _ = data.load(design)
        self.problem = reference.centred(self.X, self.y)

    def fastreg(self):
        return fastreg.solve(self.X, self.y, self.alpha, l1_ratio=0.0, method="svd").coef

    def reference(self):
        return reference.ridge_svd(reference.centred(self.X, self.y), [self.alpha]).coef[0]

    def disagreement(self):
        """Of the predictions: the coefficients are only known up to the condition number."""
        ours, theirs = (self.problem.dot(w) for w in (self.fastreg(), self.reference()))
        return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)), 1e-8


class Grid(Comparison):
    """100 alphas with leave-one-out errors, GCV and degrees of freedom, one decomposition."""

    param_names = ("design",)
    params = (["tiny-C", "narrow-C", "tall-C", "tall-F", "wide-C", "wide-F"],)
    alphas = np.geomspace(1e-4, 10, 100)

    def setup(self, design):
        self.X, self.y, self.weight = data.load(design)

    def fastreg(self):
        return fastreg.ridge_path(self.X, self.y, self.alphas, sample_weight=self.weight)

    def reference(self):
        return reference.ridge_svd(reference.centred(self.X, self.y, self.weight), self.alphas)

    def disagreement(self):
        ours, theirs = self.fastreg(), self.reference()
        order = [int(np.argmin(np.abs(self.alphas - alpha))) for alpha in ours.alphas]
        return (
            max(
                float(np.max(np.abs(a - b[order])) / np.max(np.abs(b)))
                for a, b in (
                    (ours.coef, theirs.coef),
                    (ours.loo_errors, theirs.loo_errors),
                    (ours.df, theirs.df),
                    (ours.gcv, theirs.gcv),
                )
            ),
            1e-9,
        )
