"""The cases in which fastreg meets its peers: data, strengths, goals."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from benchmarks import data, reference

GAP = 1e-6
"""Relative duality gap that a solver must reach, unless the case says otherwise."""


@dataclass
class Case:
    """One problem: a design, a response, strengths as fractions of alpha_max, a goal."""

    row: int
    name: str
    X: np.ndarray | sparse.sparray
    y: np.ndarray
    fractions: np.ndarray
    goal: float
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    gap: float = GAP

    @cached_property
    def problem(self) -> reference.Centred:
        """The centred problem, by the oracle."""
        return reference.centred(self.X, self.y, fit_intercept=self.fit_intercept)

    @cached_property
    def alphas(self) -> np.ndarray:
        """Decreasing strengths in the scaling 1/(2 n) |y - X w|^2 + alpha penalty(w)."""
        largest = np.abs(self.problem.correlate(self.problem.b)).max()
        return self.fractions * largest / max(self.l1_ratio, 1e-3)

    @property
    def single(self) -> bool:
        """Whether this is one fit, not a path."""
        return len(self.fractions) == 1

    @property
    def is_sparse(self) -> bool:
        return sparse.issparse(self.X)

    @property
    def tall(self) -> bool:
        """Whether a solver may want the Gram matrix of all features."""
        n, p = self.X.shape
        return not self.is_sparse and n > p

    @cached_property
    def fortran(self):
        """X in the order that most peers want: Fortran, or CSC with 32-bit indices."""
        return sparse.csc_matrix(self.X) if self.is_sparse else np.asfortranarray(self.X)

    @cached_property
    def centred(self):
        """(X, y) without their means where there is an intercept; a sparse X stays as it is."""
        if not self.fit_intercept:
            return self.fortran, self.y
        y = self.y - self.y.mean()
        if self.is_sparse:
            return self.fortran, y
        return np.asfortranarray(self.X - self.X.mean(axis=0)), y

    def gaps(self, coefs) -> np.ndarray:
        """Relative duality gap of each strength's coefficients, (k, p), by the oracle."""
        W, problem = np.asarray(coefs, float).reshape(len(self.alphas), -1), self.problem
        if not np.isfinite(W).all():
            return np.full(len(W), np.inf)
        moved = np.flatnonzero(np.any(W != 0, axis=0))
        images = problem.columns[:, moved] @ W[:, moved].T
        if self.is_sparse:
            images = images - np.outer(problem.root, W @ problem.mean)
        R = problem.b[:, None] - images
        Z = problem.columns.T @ R
        if self.is_sparse:
            Z = Z - np.outer(problem.mean, problem.root @ R)
        p, null = W.shape[1], problem.b @ problem.b / 2
        gaps = []
        for k, alpha in enumerate(self.alphas):
            penalty, r = reference.elastic_net(p, alpha, self.l1_ratio), R[:, k]
            gaps.append(reference.duality_gap(penalty, W[k], Z[:, k], r @ r, problem.b @ r))
        return np.array(gaps) / null


def response(rng, X, n_true, noise=0.5, offset=3.0):
    """y = X w + noise: n_true columns of effects of either sign, a signal of unit variance."""
    support = rng.choice(X.shape[1], size=min(n_true, X.shape[1]), replace=False)
    coef = rng.uniform(0.5, 1.5, support.size) * rng.choice([-1, 1], support.size)
    columns = X[:, support]
    signal = columns @ (coef / data.column_deviation(columns))
    return signal / max(signal.std(), 1e-300) + noise * rng.standard_normal(X.shape[0]) + offset


def polynomial(rng, n, p):
    """Products of up to four inputs: the columns of a degree-4 expansion, nearly collinear."""
    n_inputs = 4
    while np.prod(np.arange(n_inputs + 1, n_inputs + 5)) / 24 - 1 < p:
        n_inputs += 1
    return data.polynomial(rng, n, p, n_inputs)


def with_twins(rng, n, p):
    """Half of the columns copied, half of those with the other sign; and five constant columns."""
    X = rng.standard_normal((n, p))
    twins = X[:, : p // 2] * np.where(np.arange(p // 2) % 2, -1, 1)
    half = np.hstack([X[:, : p - p // 2], twins, np.ones((n, 5))])
    return np.ascontiguousarray(half[:, rng.permutation(half.shape[1])])


def near(rho):
    """Columns j and k have correlation rho^|j - k|."""
    return lambda rng, n, p: data.autoregressive(rng, n, p, rho)


def path_to(smallest, n_alphas=100):
    """The usual grid: n_alphas fractions of alpha_max, evenly spaced on a log scale."""
    return np.geomspace(1, smallest, n_alphas)


def alpha_with_support(X, y, n_active, smallest=1e-4):
    """The fraction of alpha_max at which the lasso has about n_active coefficients."""
    import fastreg

    fractions = np.geomspace(1, smallest, 60)
    alphas = fractions * fastreg.alpha_max(X, y)
    active = fastreg.solve_path(X, y, alphas=alphas, tol=1e-4).n_active
    return fractions[np.argmin(np.abs(active - n_active))]


@dataclass(frozen=True)
class Plan:
    """How a case is made: `draw` and shapes; `strengths` is an array or a number of nonzeros."""

    row: int
    name: str
    draw: Callable
    full: tuple[int, int]
    quick: tuple[int, int]
    strengths: object
    goal: float
    order: str = "F"
    n_true: int = 20
    noise: float = 0.5
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    gap: float = GAP

    def make(self, seed: int, quick: bool) -> Case:
        """The case of a seed."""
        rng = np.random.default_rng([self.row, seed])
        n, p = self.quick if quick else self.full
        X = data.stored(self.draw(rng, n, p), self.order)
        shrink = p / self.full[1] if quick else 1
        # Without an intercept a mean would be all that the fit explains, by the commonest words.
        offset = 3.0 if self.fit_intercept else 0.0
        y = response(rng, X, max(3, int(self.n_true * shrink)), self.noise, offset)
        fractions = self.strengths
        if isinstance(fractions, int):
            fractions = np.array([alpha_with_support(X, y, int(fractions * shrink))])
        return Case(
            self.row,
            f"{self.name} [quick: {n} x {p}]" if quick else self.name,
            X,
            y,
            np.atleast_1d(fractions),
            self.goal,
            self.l1_ratio,
            self.fit_intercept,
            self.gap,
        )


def text(rng, n, p):
    """Rows of about 72 distinct words: 1.4 million nonzeros at full size."""
    return data.text_like(rng, n, p, words_a_row=91 if n > 5000 else 40)


_IID = data.independent
_TALL, _NARROW = ((100_000, 50), (2000, 20)), ((100_000, 20), (2000, 10))
_LONG = ((200_000, 100), (3000, 30))
_MIDDLE = ((5000, 500), (600, 80))
_WIDE, _LARGE = ((500, 20_000), (60, 600)), ((2000, 10_000), (120, 600))
_SMALL_ALPHA = ((500, 20_000), (100, 4000))
_TEXT = ((20_000, 44_701), (600, 1500))
_RAW = {"fit_intercept": False}

PLANS = [
    Plan(1, "lasso 100 000 x 20, C", _IID, *_NARROW, 0.1, 20, "C"),
    Plan(1, "lasso 100 000 x 50, C", _IID, *_TALL, 0.1, 20, "C"),
    Plan(1, "lasso 100 000 x 50, F", _IID, *_TALL, 0.1, 20, "F"),
    Plan(1, "e-net 100 000 x 50, C", _IID, *_TALL, 0.1, 20, "C", l1_ratio=0.5),
    Plan(2, "ridge 100 000 x 20, C", _IID, *_NARROW, 0.01, 12, "C", l1_ratio=0),
    Plan(2, "ridge 100 000 x 50, C", _IID, *_TALL, 0.01, 12, "C", l1_ratio=0),
    Plan(2, "ridge 100 000 x 50, F", _IID, *_TALL, 0.01, 12, "F", l1_ratio=0),
    Plan(3, "lasso 200 000 x 100, 30 nonzeros, C", _IID, *_LONG, 0.1, 3, "C", 30),
    Plan(3, "lasso 200 000 x 100, 30 nonzeros, F", _IID, *_LONG, 0.1, 3, "F", 30),
    Plan(4, "path 100 000 x 50 to 0.001", _IID, *_TALL, path_to(1e-3), 6),
    Plan(4, "path 50 000 x 100 to 0.001, AR 0.5", near(0.5), (50_000, 100), (2000, 30),
         path_to(1e-3), 6),
    Plan(4, "path 50 000 x 200 to 0.001, C", _IID, (50_000, 200), (2000, 40),
         path_to(1e-3), 4, "C"),
    Plan(4, "path 20 000 x 500 to 0.01, AR 0.5", near(0.5), (20_000, 500), (1500, 60),
         path_to(1e-2), 4),
    Plan(5, "lasso 5000 x 500, 50 nonzeros", _IID, *_MIDDLE, 50, 3, n_true=50),
    Plan(5, "lasso 5000 x 500, 340 nonzeros", _IID, *_MIDDLE, 340, 1.5, n_true=50),
    Plan(6, "lasso 500 x 20 000, 400 nonzeros, iid", _IID, *_SMALL_ALPHA, 400, 8),
    Plan(6, "lasso 500 x 20 000, 400 nonzeros, AR 0.9", near(0.9), *_SMALL_ALPHA, 400, 8),
    Plan(7, "path 500 x 20 000 to 0.1, iid", _IID, *_WIDE, path_to(0.1), 10),
    Plan(7, "path 500 x 20 000 to 0.1, AR 0.9", near(0.9), *_WIDE, path_to(0.1), 10),
    Plan(7, "path 2000 x 10 000 to 0.1, iid", _IID, *_LARGE, path_to(0.1), 6),
    Plan(8, "path 500 x 20 000 to 0.01, iid", _IID, *_WIDE, path_to(0.01), 30),
    Plan(8, "path 500 x 20 000 to 0.01, AR 0.9", near(0.9), *_WIDE, path_to(0.01), 30),
    Plan(8, "path 500 x 20 000 to 0.01, iid, gap 1e-9", _IID, *_WIDE, path_to(0.01), 50, gap=1e-9),
    Plan(9, "path 500 x 5000 to 0.01, AR 0.99", near(0.99), (500, 5000), (60, 300),
         path_to(0.01), 30),
    Plan(9, "path 200 x 10 000 to 0.01, gene-like", data.gene_like, (200, 10_000), (40, 500),
         path_to(0.01), 30),
    Plan(9, "path 400 x 8000 to 0.01, degree 4", polynomial, (400, 8000), (60, 400),
         path_to(0.01), 30),
    Plan(10, "e-net path 500 x 20 000 to 0.05", _IID, *_WIDE, path_to(0.05), 6, l1_ratio=0.5),
    Plan(10, "e-net path 2000 x 10 000 to 0.1", _IID, *_LARGE, path_to(0.1), 6, l1_ratio=0.5),
    Plan(11, "text 20 000 x 44 701, fit at 0.1", text, *_TEXT, 0.1, 12, "csc", 50, **_RAW),
    Plan(11, "text, fit at 0.1, intercept", text, *_TEXT, 0.1, 40, "csc", 50),
    Plan(11, "text, path to 0.1", text, *_TEXT, path_to(0.1), 12, "csc", 50, **_RAW),
    Plan(11, "text, path to 0.1, intercept", text, *_TEXT, path_to(0.1), 40, "csc", 50),
    Plan(11, "text, path to 0.02", text, *_TEXT, path_to(0.02), 12, "csc", 50, **_RAW),
    Plan(16, "path 500 x 7000 to 0.01, twins", with_twins, (500, 4667), (60, 200),
         path_to(0.01), 10),
]  # fmt: skip


def cases(row: int, seed: int, quick: bool) -> Iterator[Case]:
    """The cases of a row, made one at a time."""
    for plan in PLANS:
        if plan.row == row:
            yield plan.make(seed, quick)


def one(row: int, place: int, seed: int, quick: bool) -> Case:
    """The case at a place within its row."""
    return [plan for plan in PLANS if plan.row == row][place].make(seed, quick)
