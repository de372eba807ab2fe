"""Plain NumPy implementations: what every kernel and every solver is compared against.

Everything here is written as a textbook has it, with whole-array operations where the algorithm
allows them, and shares no code with the package. Vectors and units are those of

    1/(2 S) sum_i s_i (y_i - b0 - x_i'w)^2 + sum_j (l1_j |w_j| + l2_j/2 w_j^2),  lower <= w <= upper

with S = sum_i s_i. ``centred`` turns it into 1/2 |b - A w|^2 + penalty, where row i of A is
sqrt(s_i/S) (x_i - mean) and b the same of y; a sparse X is centred implicitly.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

# ---- kernels -----------------------------------------------------------------------------------


def column_stats(X, sample_weight=None):
    """Weighted mean and population standard deviation of each column, in two passes."""
    s = weights_or_ones(X, sample_weight)
    total = s.sum()
    mean = (X.T @ s) / total
    if sparse.issparse(X):
        X = X.tocsc()
        stored, counts = s[X.indices], np.diff(X.indptr)
        column = np.repeat(np.arange(X.shape[1]), counts)
        deviation = stored * (X.data - mean[column]) ** 2
        weight_of_zeros = total - np.bincount(column, stored, X.shape[1])
        squares = np.bincount(column, deviation, X.shape[1]) + weight_of_zeros * mean**2
    else:
        squares = s @ (X - mean) ** 2
    return mean, np.sqrt(squares / total)


def weights_or_ones(X, sample_weight):
    """The weights as float64; ones when there are none."""
    return np.ones(X.shape[0]) if sample_weight is None else np.asarray(sample_weight, float)


def correlate(X, v, mean=0.0, scale=1.0):
    """X_c'v for the centred and scaled design: (X'v - mean sum(v)) / scale, X never written."""
    return (X.T @ v - mean * v.sum()) / scale


def gram(X, sample_weight=None):
    """Weighted centred Gram matrix sum_i s_i (x_i - m)(x_i - m)' and the means m."""
    s = weights_or_ones(X, sample_weight)
    mean = (X.T @ s) / s.sum()
    if sparse.issparse(X):
        product = (X.T @ (sparse.diags_array(s) @ X)).toarray()
        return product - s.sum() * np.outer(mean, mean), mean
    centred_X = X - mean
    return centred_X.T @ (s[:, None] * centred_X), mean


def predict(X, w, intercept=0.0):
    """X w + intercept."""
    return X @ w + intercept


def soft_threshold(z, threshold):
    """The point nearest to zero within ``threshold`` of z."""
    return np.sign(z) * np.maximum(np.abs(z) - threshold, 0.0)


def prox(z, step, l1, l2, lower=-np.inf, upper=np.inf):
    """argmin_w 1/2 (w - z)^2 + step (l1 |w| + l2/2 w^2) within the bounds."""
    return np.clip(soft_threshold(z, step * l1) / (1 + step * l2), lower, upper)


# ---- problem, objective, certificate -----------------------------------------------------------


@dataclass(frozen=True)
class Centred:
    """b and A of 1/2 |b - A w|^2; for a sparse X, A = columns - root mean' is never formed."""

    columns: np.ndarray | sparse.csc_array
    mean: np.ndarray
    root: np.ndarray
    b: np.ndarray
    y_mean: float
    fit_intercept: bool

    def dot(self, w):
        """A w."""
        if sparse.issparse(self.columns):
            return self.columns @ w - self.root * (self.mean @ w)
        return self.columns @ w

    def correlate(self, r):
        """A'r."""
        if sparse.issparse(self.columns):
            return self.columns.T @ r - self.mean * (self.root @ r)
        return self.columns.T @ r

    def intercept(self, w):
        """The intercept b0 that belongs to w."""
        return self.y_mean - self.mean @ w


def centred(X, y, sample_weight=None, fit_intercept=True):
    """The data of the centred problem; means are zero without an intercept."""
    s = weights_or_ones(X, sample_weight)
    root = np.sqrt(s / s.sum())
    mean, y_mean = np.zeros(X.shape[1]), 0.0
    if fit_intercept:
        mean, y_mean = (X.T @ s) / s.sum(), (s @ y) / s.sum()
    if sparse.issparse(X):
        columns = sparse.csc_array(sparse.diags_array(root) @ X)
    else:
        columns = np.asfortranarray(root[:, None] * (X - mean))
    return Centred(columns, mean, root, root * (y - y_mean), float(y_mean), fit_intercept)


@dataclass(frozen=True)
class Penalty:
    """sum_j l1_j |w_j| + l2_j/2 w_j^2 within bounds: four arrays of length p."""

    l1: np.ndarray
    l2: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def value(self, w):
        """The penalty of w."""
        return float(self.l1 @ np.abs(w) + 0.5 * self.l2 @ w**2)

    def conjugate(self, z):
        """sum_j sup_w z_j w - penalty_j(w): infinite where z_j is not dual feasible."""
        excess = soft_threshold(z, self.l1 * (1 + 1e-13))
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(excess == 0, 0.0, excess / self.l2)
        w = np.clip(best, self.lower, self.upper)
        return float(z @ w) - self.value(w) if np.all(np.isfinite(w)) else np.inf


def elastic_net(p, alpha, l1_ratio=1.0, positive=False, scale=1.0):
    """The penalty of the functional API; ``scale``: the deviations that standardize=True uses."""
    ones = np.ones(p)
    lower = np.full(p, 0.0 if positive else -np.inf)
    l1, l2 = alpha * l1_ratio * scale, alpha * (1 - l1_ratio) * scale**2
    return Penalty(l1 * ones, l2 * ones, lower, np.inf * ones)


def duality_gap(penalty, w, z, rr, br):
    """P(w) - D(t r), r the residual scaled by t to be dual feasible.

    Takes z = A'r, rr = r'r and br = b'r, so that it serves a residual and a Gram matrix alike.
    Features without any penalty leave t = 0, hence a valid but useless gap.
    """
    flat_up = (penalty.l2 == 0) & np.isinf(penalty.upper)
    flat_down = (penalty.l2 == 0) & np.isinf(penalty.lower)
    steep = np.where(flat_up, z, 0.0).clip(0) + np.where(flat_down, -z, 0.0).clip(0)
    over = steep > penalty.l1
    t = float(np.min(penalty.l1[over] / steep[over], initial=1.0))
    primal = 0.5 * rr + penalty.value(w)
    return primal - (t * br - 0.5 * t**2 * rr - penalty.conjugate(t * z))


def certify(problem, penalty, w):
    """(objective, duality gap) of w, both from the true residual."""
    r = problem.b - problem.dot(w)
    objective = 0.5 * (r @ r) + penalty.value(w)
    return objective, duality_gap(penalty, w, problem.correlate(r), r @ r, problem.b @ r)


# ---- coordinate descent ------------------------------------------------------------------------


@dataclass
class Solution:
    """Coefficients with the work that they took."""

    w: np.ndarray
    gap: float
    sweeps: int = 0
    passes: int = 0


def gram_sweep(G, z, w, penalty, coordinates):
    """One sweep in p-space; writes w and z = c - G w. Returns the largest G_jj (change)^2."""
    largest = 0.0
    for j in coordinates:
        h, old = G[j, j], w[j]
        if h + penalty.l2[j] <= 0:
            continue
        value = z[j] + h * old
        shrunk = max(abs(value) - penalty.l1[j], 0.0) / (h + penalty.l2[j])
        new = min(max(shrunk if value > 0 else -shrunk, penalty.lower[j]), penalty.upper[j])
        if new != old:
            w[j] = new
            z -= (new - old) * G[j]
            largest = max(largest, h * (new - old) ** 2)
    return largest


def residual_sweep(problem, squares, r, shift, w, penalty, coordinates):
    """One sweep in n-space; writes w and r. Returns the largest squared change and the new shift.

    For a sparse design the residual is r + shift * root, which keeps an update at O(nnz).
    """
    columns, largest = problem.columns, 0.0
    is_sparse = sparse.issparse(columns)
    for j in coordinates:
        if is_sparse:
            stored = slice(columns.indptr[j], columns.indptr[j + 1])
            rows, x = columns.indices[stored], columns.data[stored]
        else:
            rows, x = slice(None), columns[:, j]
        h, old = squares[j], w[j]
        if h + penalty.l2[j] <= 0:
            continue
        value = x @ r[rows] + h * old
        value += shift * problem.mean[j] if is_sparse else 0.0
        shrunk = max(abs(value) - penalty.l1[j], 0.0) / (h + penalty.l2[j])
        new = min(max(shrunk if value > 0 else -shrunk, penalty.lower[j]), penalty.upper[j])
        if new != old:
            w[j] = new
            r[rows] -= (new - old) * x
            shift += (new - old) * problem.mean[j] if is_sparse else 0.0
            largest = max(largest, h * (new - old) ** 2)
    return largest, shift


def moving(z, w, h, penalty):
    """The working set: coefficients that are not zero, or that a coordinate step would move."""
    curvature = np.where(h + penalty.l2 > 0, h + penalty.l2, np.inf)
    step = soft_threshold(z + h * w, penalty.l1) / curvature
    return np.flatnonzero((w != 0) | (np.clip(step, penalty.lower, penalty.upper) != w))


def coordinate_descent_gram(G, c, yy, penalty, w=None, tol=1e-6, max_sweeps=100_000):
    """Coordinate descent given A'A, A'b and b'b; stops at gap <= tol * b'b/2."""
    w = np.zeros(c.size) if w is None else w.copy()
    z, h, inner_tol, sweeps = c - G @ w, np.diag(G).copy(), 0.1 * tol * yy, 0
    while True:
        residual_square = max(yy - w @ (c + z), 0.0)
        gap = duality_gap(penalty, w, z, residual_square, yy - c @ w)
        if gap <= tol * yy / 2 or sweeps >= max_sweeps:
            return Solution(w, gap, sweeps)
        coordinates = moving(z, w, h, penalty)
        for _ in range(100):
            sweeps += 1
            if gram_sweep(G, z, w, penalty, coordinates) <= inner_tol:
                break
        inner_tol *= 0.1


def coordinate_descent(problem, penalty, w=None, tol=1e-6, max_sweeps=100_000):
    """Coordinate descent on the residual, over a working set from a vectorised check of all."""
    w = np.zeros(problem.mean.size) if w is None else w.copy()
    if sparse.issparse(problem.columns):
        squares = problem.columns.multiply(problem.columns).sum(axis=0) - problem.mean**2
    else:
        squares = np.einsum("ij,ij->j", problem.columns, problem.columns)
    yy = problem.b @ problem.b
    r, inner_tol, sweeps, passes = problem.b - problem.dot(w), 0.1 * tol * yy, 0, 1
    while True:
        z = problem.correlate(r)
        passes += 1
        gap = duality_gap(penalty, w, z, r @ r, problem.b @ r)
        if gap <= tol * yy / 2 or sweeps >= max_sweeps:
            return Solution(w, gap, sweeps, passes)
        coordinates, shift = moving(z, w, squares, penalty), 0.0
        for _ in range(100):
            sweeps += 1
            largest, shift = residual_sweep(problem, squares, r, shift, w, penalty, coordinates)
            if largest <= inner_tol:
                break
        r += shift * problem.root
        inner_tol *= 0.1


def path(problem, penalties, tol=1e-6):
    """Warm-started coordinate descent over a sequence of penalties; (k, p) coefficients.

    In p-space when the design is dense with n > p, on the residual otherwise.
    """
    n, p = problem.columns.shape
    in_p_space = n > p and not sparse.issparse(problem.columns)
    if in_p_space:
        G = problem.columns.T @ problem.columns
        c, yy = problem.correlate(problem.b), problem.b @ problem.b
    w, coefs = np.zeros(p), []
    for penalty in penalties:
        if in_p_space:
            w = coordinate_descent_gram(G, c, yy, penalty, w, tol).w
        else:
            w = coordinate_descent(problem, penalty, w, tol).w
        coefs.append(w)
    return np.array(coefs)


def alpha_grid(problem, n_alphas=100, eps=1e-3, l1_ratio=1.0):
    """Geometric grid from the smallest alpha with w = 0 down to eps times that."""
    largest = np.max(np.abs(problem.correlate(problem.b))) / l1_ratio
    return np.geomspace(largest, eps * largest, n_alphas)


# ---- gradient methods --------------------------------------------------------------------------


def largest_curvature(problem, n_steps=100):
    """An estimate of the largest eigenvalue of A'A from below, by power iteration."""
    v = problem.correlate(problem.b)
    norm = np.linalg.norm(v)
    for _ in range(n_steps):
        v = problem.correlate(problem.dot(v / norm))
        previous, norm = norm, np.linalg.norm(v)
        if abs(norm - previous) <= 1e-6 * norm:
            break
    return norm


def proximal_gradient(problem, penalty, tol=1e-6, accelerated=True, max_iter=100_000):
    """ISTA, or FISTA with a restart when the momentum points uphill; stops by the duality gap."""
    step = 1 / (1.02 * largest_curvature(problem))
    w = v = np.zeros(problem.mean.size)
    momentum, yy = 1.0, problem.b @ problem.b
    for iteration in range(max_iter):
        r = problem.b - problem.dot(v)
        z = problem.correlate(r)
        if iteration % 10 == 0:
            gap = duality_gap(penalty, v, z, r @ r, problem.b @ r)
            if gap <= tol * yy / 2:
                break
        new = prox(v + step * z, step, penalty.l1, penalty.l2, penalty.lower, penalty.upper)
        if accelerated and (v - new) @ (new - w) <= 0:
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            v = np.clip(new + (momentum - 1) / following * (new - w), penalty.lower, penalty.upper)
            momentum = following
        else:
            v, momentum = new, 1.0
        w = new
    return Solution(v, gap, passes=2 * iteration)


def conjugate_gradient(problem, l2=0.0, tol=1e-6, max_iter=100_000):
    """Least squares with a ridge by conjugate gradient on the normal equations (CGLS).

    Stops at a duality gap, |gradient|^2 / (2 l2), of tol * b'b/2; without a ridge, when the
    squared gradient has shrunk by the factor ``tol``.
    """
    w = np.zeros(problem.mean.size)
    r = problem.b.copy()
    gradient = direction = problem.correlate(r)
    size = gradient @ gradient
    enough = tol * (l2 * (r @ r) if l2 > 0 else size)
    iteration = 0
    while size > enough and iteration < max_iter:
        image = problem.dot(direction)
        step = size / (image @ image + l2 * (direction @ direction))
        w += step * direction
        r -= step * image
        gradient = problem.correlate(r) - l2 * w
        previous, size = size, gradient @ gradient
        direction = gradient + (size / previous) * direction
        iteration += 1
    return Solution(w, size / (2 * l2) if l2 > 0 else np.inf, passes=2 * iteration + 1)


# ---- ridge -------------------------------------------------------------------------------------


def ridge_cholesky(problem, l2):
    """Ridge from the normal equations of the smaller side, dense designs."""
    A = problem.columns
    n, p = A.shape
    if p <= n:
        factor = linalg.cho_factor(A.T @ A + l2 * np.eye(p))
        return linalg.cho_solve(factor, A.T @ problem.b)
    factor = linalg.cho_factor(A @ A.T + l2 * np.eye(n))
    return A.T @ linalg.cho_solve(factor, problem.b)


@dataclass
class RidgeGrid:
    """Ridge for a grid of alphas: (k, p) coefficients, (k, n) errors, (k,) scores."""

    coef: np.ndarray
    loo_errors: np.ndarray
    gcv: np.ndarray
    df: np.ndarray


def ridge_svd(problem, alphas):
    """Ridge for every alpha from one SVD of A, with leave-one-out errors and GCV.

    The leave-one-out error of row i is its residual over 1 - H_ii, H the hat matrix with the
    intercept; the product of alpha and the sum of the weights is the same with and without row i.
    Both are summed from what the fit leaves over, so that nothing cancels when that is little.
    """
    U, singular, Vt = np.linalg.svd(problem.columns, full_matrices=False)
    kept = singular > 1e-13 * singular[0]
    U, singular, Vt = U[:, kept], singular[kept], Vt[kept]
    projected, root = U.T @ problem.b, problem.root
    fitted = U.shape[1] + problem.fit_intercept  # dimensions that the columns can reach
    beyond = float(fitted < root.size)
    b_beyond = beyond * (problem.b - U @ projected)
    h_beyond = beyond * (1 - np.einsum("ij,ij->i", U, U) - problem.fit_intercept * root**2)
    coefs, errors, gcv, df = [], [], [], []
    for alpha in alphas:
        left = alpha / (singular**2 + alpha)
        coefs.append(Vt.T @ (singular / (singular**2 + alpha) * projected))
        residual = b_beyond + U @ (left * projected)
        errors.append(residual / (h_beyond + U**2 @ left) / root)
        df.append(fitted - left.sum())
        left_over = (root.size - fitted + left.sum()) / root.size
        gcv.append(residual @ residual / left_over**2)
    return RidgeGrid(np.array(coefs), np.array(errors), np.array(gcv), np.array(df))
