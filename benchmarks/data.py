"""Data for the benchmarks: one generator a regime, fixed seeds, two scales, any storage.

A regime is a shape together with a kind of correlation, because these two decide which algorithm
wins. ``load("tall-C")`` returns design, response and weights of a regime in a storage; the scale is
"full" unless the environment variable ``FASTREG_BENCHMARK_SCALE`` says "quick".
"""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

SCALE_VARIABLE = "FASTREG_BENCHMARK_SCALE"
SCALES = ("quick", "full")
DENSE_STORAGES = ("C", "F", "float32")
SPARSE_STORAGES = ("csc", "csr")


class Data(NamedTuple):
    """A design, a response (1-D) and positive sample weights."""

    X: np.ndarray | sparse.sparray
    y: np.ndarray
    sample_weight: np.ndarray


class Regime(NamedTuple):
    """How a design is drawn, and its shape at each scale."""

    draw: Callable[[np.random.Generator, int, int], np.ndarray | sparse.sparray]
    quick: tuple[int, int]
    full: tuple[int, int]


def independent(rng, n, p):
    """Independent standard normal entries."""
    return rng.standard_normal((n, p))


def autoregressive(rng, n, p, rho=0.9):
    """Columns j and k have correlation rho^|j - k|: an AR(1) process along each row."""
    X = rng.standard_normal((n, p))
    innovation = np.sqrt(1 - rho**2)
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + innovation * X[:, j]
    return X


def gene_like(rng, n, p, n_factors=10):
    """A few latent factors with heavy-tailed loadings and scales, like expression data."""
    factors = rng.standard_normal((n, n_factors))
    loadings = rng.standard_t(3, (n_factors, p))
    X = factors @ loadings + rng.standard_normal((n, p))
    return 8 + X * rng.lognormal(0, 0.5, p)


def polynomial(rng, n, p, n_inputs=5):
    """The first p monomials of a few uniform inputs, by degree: columns that are nearly collinear.

    A monomial is a shorter monomial times an input that does not precede its last factor.
    """
    inputs = rng.uniform(0, 1, (n, n_inputs))
    columns = [(np.ones(n), 0)]
    for values, last in columns:
        columns += [(values * inputs[:, j], j) for j in range(last, n_inputs)]
        if len(columns) > p:
            break
    return np.column_stack([values for values, _ in columns[1 : p + 1]])


def text_like(rng, n, p, words_a_row=60):
    """Sparse rows of tf-idf weights: word frequencies follow Zipf's law, rows have norm 1."""
    frequency = 1 / np.arange(1, p + 1)
    words = rng.choice(p, size=(n, words_a_row), p=frequency / frequency.sum())
    rows = np.repeat(np.arange(n, dtype=np.int32), words_a_row)
    entries = (np.ones(rows.size), (rows, words.ravel().astype(np.int32)))
    counts = sparse.coo_array(entries, shape=(n, p)).tocsr()
    documents = np.bincount(counts.indices, minlength=p)
    counts.data *= np.log((1 + n) / (1 + documents))[counts.indices] + 1
    norms = np.sqrt(counts.multiply(counts).sum(axis=1))
    counts.data /= np.repeat(norms, np.diff(counts.indptr))
    return counts


def twins(rng, n, p):
    """Half of the columns twice, every other time with the other sign, and one constant column."""
    X = rng.standard_normal((n, p))
    half = (p - 1) // 2
    X[:, half : 2 * half] = X[:, :half] * np.where(np.arange(half) % 2, -1, 1)
    X[:, 2 * half] = 1
    return X[:, rng.permutation(p)]


REGIMES = {
    "tiny": Regime(independent, quick=(30, 5), full=(100, 10)),
    "narrow": Regime(independent, quick=(300, 10), full=(50_000, 20)),
    "tall": Regime(independent, quick=(300, 20), full=(20_000, 100)),
    "long": Regime(independent, quick=(600, 15), full=(100_000, 100)),
    "middle": Regime(independent, quick=(150, 30), full=(3000, 300)),
    "wide": Regime(independent, quick=(40, 120), full=(200, 4000)),
    "ar1": Regime(autoregressive, quick=(40, 100), full=(300, 2000)),
    "gene": Regime(gene_like, quick=(40, 150), full=(200, 4000)),
    "polynomial": Regime(polynomial, quick=(120, 20), full=(2000, 200)),
    "twins": Regime(twins, quick=(40, 80), full=(200, 2000)),
    "text": Regime(text_like, quick=(100, 150), full=(4000, 10_000)),
}


def scale() -> str:
    """The scale asked for by the environment: "full" or "quick"."""
    value = os.environ.get(SCALE_VARIABLE, "full")
    if value not in SCALES:
        raise ValueError(f"{SCALE_VARIABLE} must be one of {SCALES}, not {value!r}")
    return value


def stored(X, storage: str):
    """The same design in another storage: C, F, float32 (C order), csc or csr."""
    if storage in SPARSE_STORAGES:
        return sparse.csc_array(X) if storage == "csc" else sparse.csr_array(X)
    dense = X.toarray() if sparse.issparse(X) else X
    dtype = np.float32 if storage == "float32" else np.float64
    return np.asarray(dense, dtype=dtype, order="F" if storage == "F" else "C")


def column_deviation(X):
    """Standard deviation of each column; 1 for a constant one."""
    dense = X.toarray() if sparse.issparse(X) else X
    deviation = dense.std(axis=0)
    return np.where(deviation > 0, deviation, 1)


def response(rng, X, noise=1.0):
    """y = X w + noise: up to 20 columns of equal effect, a signal of unit variance, an offset."""
    p = X.shape[1]
    coef = np.zeros(p)
    support = rng.choice(p, size=max(1, min(20, p // 5)), replace=False)
    coef[support] = rng.uniform(0.5, 1.5, support.size)
    coef[support[1::2]] *= -1
    coef[support] /= column_deviation(X[:, support])
    signal = X @ coef
    return signal / max(signal.std(), 1e-300) + noise * rng.standard_normal(X.shape[0]) + 3


@lru_cache(maxsize=8)
def _load(design: str, scale: str) -> Data:
    regime, storage = design.split("-")
    rng = np.random.default_rng(list(regime.encode()))
    n, p = getattr(REGIMES[regime], scale)
    X = REGIMES[regime].draw(rng, n, p)
    y = response(rng, X)
    return Data(stored(X, storage), y, rng.uniform(0.5, 2, n))


def load(design: str) -> Data:
    """The data of a design, "regime-storage": the same numbers at every call, in every storage."""
    return _load(design, scale())


def responses(data: Data, m: int) -> np.ndarray:
    """(n, m) responses: the one of the data, and further ones with other signals and noise."""
    rng = np.random.default_rng(m)
    return np.column_stack([data.y, *(response(rng, data.X) for _ in range(m - 1))])
