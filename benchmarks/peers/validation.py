"""Rows 21 to 25: strengths chosen by cross-validation; fastreg against the packages that do it.

All get the same folds (in the order of the rows) and the same 100 alphas. A peer is the package's
own class, or its path looped over the folds: training rows are then copied, centred and put in the
order that it likes beforehand, and it is spared the fit to all rows, which ours does in its time.
celer's path is looped because its LassoCV cannot be made beside scikit-learn 1.9, adelie's because
its cv_grpnet draws folds of its own.

The tolerance of a peer is the loosest at which its paths on all folds reach the gap by the oracle;
a class of the same package gets that of its path. Ours is the gap itself, and the gap shown is the
largest that we claim; the curve is held against that of a path whose gap the oracle has seen.
"""

import dataclasses
from functools import cached_property, partial

import numpy as np

import fastreg
from benchmarks.common import alternate
from fastreg import estimators

from . import cases, machine, measure, solvers
from .report import Line, versus

NAN = float("nan")
AGREES = 2e-3
"""Most by which two curves may differ, relative to the error of the mean response: at a gap of 1e-6
predictions are within its root of the best ones, and squared errors within twice that."""


@dataclasses.dataclass
class Folds:
    """Data, folds of consecutive rows, and a grid of alphas."""

    row: int
    name: str
    X: np.ndarray
    y: np.ndarray
    n_folds: int
    goal: float
    smallest: float = 1e-3

    @cached_property
    def whole(self) -> cases.Case:
        """The problem of all rows."""
        grid = cases.path_to(self.smallest)
        return cases.Case(self.row, self.name, self.X, self.y, grid, self.goal)

    @cached_property
    def parts(self) -> list[tuple[cases.Case, np.ndarray]]:
        """Of each fold the problem of the other rows, with the alphas of all rows, and its rows."""
        parts = []
        for held in np.array_split(np.arange(len(self.y)), self.n_folds):
            train = np.delete(np.arange(len(self.y)), held)
            X = np.asfortranarray(self.X[train])
            part = dataclasses.replace(self.whole, X=X, y=self.y[train])
            part.__dict__["alphas"] = self.whole.alphas
            parts.append((part, held))
        return parts

    def curve(self, coefs) -> np.ndarray:
        """Mean held-out squared error of each alpha; coefs: (n_alphas, n_features) a fold."""
        total = np.zeros(len(self.whole.alphas))
        for W, (part, held) in zip(coefs, self.parts, strict=True):
            offset = part.y.mean() - W @ part.X.mean(axis=0)
            errors = self.y[held, None] - self.X[held] @ W.T - offset
            total += (errors**2).sum(axis=0)
        return total / len(self.y)


def looped(folds: Folds, name: str):
    """(call, coefs, first run) of a peer's path on each fold; None where it does no such path."""
    runs = [solvers.PEERS[name](part) for part, _ in folds.parts]
    if runs[0] is None:
        return None
    p = folds.X.shape[1]

    def coefs(tol):
        return [np.reshape(np.asarray(run.coefs(run.call(tol)), float), (-1, p)) for run in runs]

    return lambda tol: folds.curve(coefs(tol)), coefs, runs[0]


def tolerance(folds: Folds, name: str, box: float):
    """(call, tolerance, gap, curve, note) of a peer's loop, the tolerance being the loosest."""
    found = measure.quietly(looped, folds, name)
    if found is None:
        return None
    call, coefs, first = found
    attempts, note = measure.search(folds.parts[0][0], first, box / folds.n_folds)
    if not attempts:
        return None, NAN, np.inf, None, note or "no answer"
    tol = measure.loosest(attempts, cases.GAP).tol
    later = [float(t) for t in first.ladder if t <= tol]
    for tol in later[:3]:  # what was enough for the first fold may not be for another one
        W = measure.quietly(coefs, tol)
        pairs = zip(W, folds.parts, strict=True)
        gap = max(float(part.gaps(w).max()) for w, (part, _) in pairs)
        if gap <= cases.GAP or note:
            break
    return call, tol, gap, folds.curve(W), note


def _mean_of_folds(model) -> np.ndarray:
    return np.asarray(model.mse_path_).mean(axis=-1)


def classes(folds: Folds):
    """(peer, the path whose tolerance it takes, call(tol) -> curve) of the classes for the job."""
    from sklearn.linear_model import LassoCV

    options = {"alphas": folds.whole.alphas, "cv": folds.n_folds, "max_iter": solvers.MOST}
    X, y = folds.whole.fortran, folds.y

    def scikit_learn(tol, precompute):
        return _mean_of_folds(LassoCV(precompute=precompute, tol=tol, **options).fit(X, y))

    yield "scikit-learn LassoCV", "scikit-learn", partial(scikit_learn, precompute=False)
    if folds.whole.tall:
        gram = partial(scikit_learn, precompute=True)
        yield "scikit-learn LassoCV Gram", "scikit-learn Gram", gram


LOOPED = ("celer", "skglm", "adelie", "glmnet-rs", "python-glmnet")


def ours(folds: Folds):
    """Our two ways: the function, which refits the path, and the estimator, which refits once.

    Each returns its `ValidationResult`.
    """
    X, y, alphas, k = folds.X, folds.y, folds.whole.alphas, folds.n_folds
    model = estimators.LassoCV(alphas=alphas, cv=k, tol=cases.GAP / 2)
    return {
        "validate": lambda: fastreg.validate(X, y, alphas=alphas, cv=k, tol=cases.GAP),
        "LassoCV": lambda: model.fit(X, y).validation_,
    }


def compared(folds: Folds, box: float, seconds: float, names=LOOPED):
    """Lines of our two ways against the best peer, and of the function against one Gram matrix."""
    calls = ours(folds)
    peers = list(_peers(folds, box, names))
    curves = [curve for *_, gap, curve, _ in peers if curve is not None and gap <= cases.GAP]
    scale = folds.y.var()
    pass_seconds = measure.pass_seconds(folds.whole)
    gram_seconds = measure.gram_seconds(folds.whole)
    limits = {"pass_seconds": pass_seconds, "gram_seconds": gram_seconds}
    for way, call in calls.items():
        result = measure.quietly(call)
        off = max((np.abs(curve - result.mean).max() / scale for curve in curves), default=NAN)
        agrees = bool(off <= AGREES) or not curves
        note = "" if agrees else f"curves differ by {off:.1e}"
        outcomes = [_timed(peer, call, seconds) for peer in peers]
        found = [outcome for outcome in outcomes if outcome.reached]
        best = min(found, key=lambda o: o.ratio) if found else measure.Outcome("none", note="")
        yield versus(
            folds.row, f"{folds.name}, {way}", best.peer, (best.seconds, best.ours, best.ratio),
            folds.goal, agrees, passes=float(result.n_passes), gap=result.largest_gap,
            note=note, details=[dataclasses.asdict(outcome) for outcome in outcomes], **limits,
        )  # fmt: skip
    yield from _against_gram(folds, calls["validate"], limits, seconds)


def _peers(folds, box, names):
    """(name, call, tolerance, gap, curve, note) of every peer that can do it."""
    known = {}
    for name, path, call in classes(folds):
        known[path] = known.get(path) or tolerance(folds, path, box)
        _, tol, gap, curve, note = known[path]
        if curve is not None:
            yield name, partial(call, tol), tol, gap, measure.quietly(call, tol), note
    for name in names:
        if name in solvers.unavailable():
            continue
        found = known.get(name) or tolerance(folds, name, box)
        if found is not None and found[0] is not None:
            call, tol, gap, curve, note = found
            yield f"{name}, looped", partial(call, tol), tol, gap, curve, note


def _timed(peer, call, seconds) -> measure.Outcome:
    name, theirs, tol, gap, _, note = peer
    reached = gap <= cases.GAP
    _, taken = measure.once(theirs)
    if taken > measure.ONCE:
        own = float(np.median([measure.once(call)[1] for _ in range(3)]))
        note = "; ".join(filter(None, (note, "run once")))
        return measure.Outcome(name, tol, gap, taken, own, taken / own, reached, note)
    times = map(float, measure.quietly(alternate, theirs, call, seconds))
    return measure.Outcome(name, tol, gap, *times, reached, note)


def _against_gram(folds, call, limits, seconds):
    """The function in units of one Gram matrix by BLAS, where that is the goal."""
    if folds.row != 21:
        return
    from scipy.linalg.blas import dsyrk

    X = folds.X
    taken, own, _ = alternate(lambda: dsyrk(1.0, X.T), call, seconds)
    ratio = float(own / taken)
    yield Line(
        folds.row, f"{folds.name}, validate over one Gram", float(own), "BLAS dsyrk",
        float(taken), ratio, "<= 1.5x", ratio <= 1.5, **limits,
    )  # fmt: skip


def _lasso(row, n, p, n_folds, goal, draw, seed, quick, rho=0.0):
    if quick:
        n, p = min(n, 1000 if n > p else 60), min(p, 400 if p > n else 20)
    rng = np.random.default_rng([row, seed])
    X = np.ascontiguousarray(draw(rng, n, p))
    y = cases.response(rng, X, min(20, p // 3))
    kind = f", AR {rho:g}" if rho else ""
    return Folds(row, f"{n_folds} folds x 100 alphas, {n} x {p}{kind}", X, y, n_folds, goal)


def tall(seed, quick, seconds):
    """21: LassoCV, 5 folds x 100 alphas, 100 000 x 50; against one Gram matrix too."""
    folds = _lasso(21, 100_000, 50, 5, 60, cases.near(0.0), seed, quick)
    yield from compared(folds, 3 if quick else 120, seconds, ("glmnet-rs",))


def taller(seed, quick, seconds):
    """22: LassoCV, 5 folds x 100 alphas, 50 000 x 200."""
    folds = _lasso(22, 50_000, 200, 5, 25, cases.near(0.0), seed, quick)
    yield from compared(folds, 3 if quick else 120, seconds, ("glmnet-rs",))


def tiny(seed, quick, seconds):
    """23: LassoCV, 5 folds x 100 alphas, 100 x 10."""
    folds = _lasso(23, 100, 10, 5, 200, cases.near(0.0), seed, quick)
    yield from compared(folds, 3 if quick else 30, seconds)


def wide(seed, quick, seconds):
    """24: LassoCV, 10 folds x 100 alphas to 0.01, 500 x 20 000, independent and correlated."""
    for rho in (0.0, 0.9):
        folds = _lasso(24, 500, 20_000, 10, 8, cases.near(rho), seed, quick, rho)
        folds.smallest = 0.01
        yield from compared(folds, 10 if quick else 600, seconds)


def ridge(seed, quick, seconds):
    """25: RidgeCV, 100 alphas, 5000 x 1000, leave-one-out and 5 folds."""
    from sklearn.linear_model import RidgeCV

    n, p = (500, 60) if quick else (5000, 1000)
    X, y = machine.drawn(seed, n, p)
    alphas = n * np.geomspace(1e-4, 10, 100)
    for cv in (None, 5):
        model, peer = estimators.RidgeCV(alphas, cv=cv), RidgeCV(alphas, cv=cv)
        found, own = measure.once(model.fit, X, y)
        _, taken = measure.once(peer.fit, X, y)
        off = np.abs(peer.coef_ - found.coef_).max() / np.abs(peer.coef_).max()
        agrees = np.isclose(peer.alpha_, found.alpha_) and off < 1e-6
        note = "" if agrees else "the chosen alphas or the coefficients differ"
        if taken > measure.ONCE:
            own = np.median([own, *(measure.once(model.fit, X, y)[1] for _ in range(2))])
            times = taken, own, taken / own
            note = "; ".join(filter(None, (note, "run once")))
        else:
            times = alternate(partial(peer.fit, X, y), partial(model.fit, X, y), seconds)
        name = f"RidgeCV of 100, {n} x {p}, {f'{cv} folds' if cv else 'leave-one-out'}"
        outcome = measure.Outcome("scikit-learn", NAN, NAN, *map(float, times), bool(agrees), note)
        details = [dataclasses.asdict(outcome)]
        against = "scikit-learn RidgeCV"
        yield versus(25, name, against, times, 80, agrees, note=note, details=details)


ROWS = {21: tall, 22: taller, 23: tiny, 24: wide, 25: ridge}
