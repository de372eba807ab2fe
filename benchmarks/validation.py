"""Moments and what is chosen from folds, against the same by plain NumPy."""

import numpy as np

import fastreg
from fastreg.fold_moments import fold_moments

from . import data, reference
from .common import TOL, Comparison, SolverComparison, alpha_max, rounded

DESIGNS = ["tiny-C", "tall-C", "tall-F"]
N_FOLDS = 5


def covariances(X, y):
    """Gram matrix and products of centred columns."""
    A, b = X - X.mean(axis=0), y - y.mean()
    return np.vstack([A.T @ A, A.T @ b]) / len(y)


def stacked(moments):
    """The same from moments."""
    return np.vstack([moments.gram, moments.cross])


def off(ours, theirs):
    """Largest difference over the largest value."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


class Added(Comparison):
    """`Moments.add`, a tenth of the rows at a time."""

    param_names = ("design",)
    params = (DESIGNS,)

    def setup(self, design):
        self.X, self.y, _ = data.load(design)

    def chunks(self):
        for rows in np.array_split(np.arange(len(self.y)), 10):
            part = slice(rows[0], rows[-1] + 1)
            yield self.X[part], self.y[part]

    def fastreg(self):
        moments = fastreg.Moments()
        for X, y in self.chunks():
            moments.add(X, y)
        return moments

    def reference(self):
        return covariances(self.X, self.y)

    def disagreement(self):
        return off(stacked(self.fastreg()), self.reference()), 1e-12


class Merged(Added):
    """The sum of ten moments."""

    def setup(self, design):
        super().setup(design)
        self.parts = [fastreg.Moments().add(X, y) for X, y in self.chunks()]

    def fastreg(self):
        return sum(self.parts, fastreg.Moments())


class Folded(Added):
    """The moments of five folds of rows at random."""

    def setup(self, design):
        super().setup(design)
        self.fold = np.random.default_rng(0).integers(0, N_FOLDS, len(self.y))

    def fastreg(self):
        return fold_moments(self.X, self.y, None, self.fold, N_FOLDS)

    def reference(self):
        folds = [self.fold == k for k in range(N_FOLDS)]
        return [covariances(self.X[own], self.y[own]) for own in folds]

    def disagreement(self):
        pairs = zip(self.fastreg(), self.reference(), strict=True)
        return max(off(stacked(one), other) for one, other in pairs), 1e-12


class Solved(SolverComparison):
    """`Moments.solve` at a tenth of alpha_max."""

    param_names = ("design",)
    params = (DESIGNS,)

    def setup(self, design):
        self.X, self.y, _ = loaded = data.load(design)
        self.alpha = 0.1 * alpha_max(loaded)
        self.moments = fastreg.Moments().add(self.X, self.y)
        self.prepare(self.X, self.y, [reference.elastic_net(self.X.shape[1], self.alpha)])

    def fastreg(self):
        return self.moments.solve(self.alpha, tol=TOL)

    def reference(self):
        return reference.path(self.problems[0], self.penalties, TOL)[0]


class Validated(Comparison):
    """`validate`: five folds x 20 alphas; the curves must agree."""

    timeout = 600
    repeat = (1, 10, 5.0)
    param_names = ("design",)
    params = (["tiny-C", "tall-C", "wide-F"],)

    def setup(self, design):
        self.X, self.y, _ = loaded = data.load(design)
        self.alphas = alpha_max(loaded) * np.geomspace(1, 0.1, 20)

    def fastreg(self):
        return fastreg.validate(self.X, self.y, alphas=self.alphas, cv=N_FOLDS, tol=TOL)

    def reference(self):
        return held_out_errors(self.X, self.y, self.alphas)

    def disagreement(self):
        result = self.fastreg()
        if not result.largest_gap <= TOL:
            raise AssertionError(f"a gap of {result.largest_gap}")
        return float(np.abs(result.mean - self.reference()).max() / self.y.var()), 1e-3

    def track_gap(self, *parameters):
        return rounded(self.fastreg().largest_gap)

    track_gap.unit = "duality gap / null objective"

    def track_passes(self, *parameters):
        return float(self.fastreg().n_passes)

    track_passes.unit = "reads of X"


def held_out_errors(X, y, alphas):
    """Mean squared error of held-out rows at each alpha, in folds of consecutive rows."""
    penalties = [reference.elastic_net(X.shape[1], alpha) for alpha in alphas]
    total = np.zeros(len(alphas))
    for held in np.array_split(np.arange(len(y)), N_FOLDS):
        train = np.delete(np.arange(len(y)), held)
        problem = reference.centred(X[train], y[train])
        W = np.asarray(reference.path(problem, penalties, TOL)).reshape(len(alphas), -1)
        intercepts = y[train].mean() - W @ X[train].mean(axis=0)
        total += ((y[held, None] - X[held] @ W.T - intercepts) ** 2).sum(axis=0)
    return total / len(y)


class Degrees(Validated):
    """`validate_degrees`: degrees 1 to 4 of two inputs, 20 alphas each."""

    param_names = ("n_rows",)
    params = ([300],)

    def setup(self, n_rows):
        rng = np.random.default_rng(0)
        self.inputs = rng.uniform(-1, 1, (n_rows, 2))
        self.y = self.inputs[:, 0] ** 3 + self.inputs[:, 1] + 0.3 * rng.standard_normal(n_rows)
        self.basis = fastreg.PolynomialBasis.of(self.inputs, 4)
        self.alphas = np.geomspace(0.1, 0.003, 20)

    def fastreg(self):
        return fastreg.validate_degrees(
            self.basis, self.inputs, self.y, alphas=self.alphas, cv=N_FOLDS, tol=TOL
        )

    def reference(self):
        each = [self.basis.up_to(degree).transform(self.inputs) for degree in range(1, 5)]
        return np.array([held_out_errors(X, self.y, self.alphas) for X in each])


class Stability(Comparison):
    """Stability selection, ten pairs of halves: as many paths by NumPy.

    Halves are drawn by each side for itself, so that only clear features can be compared.
    """

    timeout = 600
    param_names = ("shape",)
    params = (["100x30", "60x200"],)

    def setup(self, shape):
        n, p = map(int, shape.split("x"))
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((n, p))
        self.y = 3 * self.X[:, :3].sum(axis=1) + 0.1 * rng.standard_normal(n)
        problem = reference.centred(self.X, self.y)
        self.alphas = np.abs(problem.correlate(problem.b)).max() * np.geomspace(1, 0.3, 10)

    def fastreg(self):
        return fastreg.stability_selection(
            self.X, self.y, alphas=self.alphas, n_pairs=10, random_state=0, tol=TOL
        )

    def reference(self):
        rng, n = np.random.default_rng(1), len(self.y)
        penalties = [reference.elastic_net(self.X.shape[1], alpha) for alpha in self.alphas]
        entered = np.zeros(self.X.shape[1])
        for _ in range(10):
            order = rng.permutation(n)
            for half in (order[: n // 2], order[n // 2 : 2 * (n // 2)]):
                problem = reference.centred(self.X[half], self.y[half])
                W = np.asarray(reference.path(problem, penalties, TOL))
                entered += np.any(W.reshape(len(self.alphas), -1) != 0, axis=0)
        return entered / 20

    def disagreement(self):
        clear = self.reference()[:3], self.fastreg().frequency[-1, :3]
        return float(np.abs(np.subtract(*clear)).max()), 0.2
