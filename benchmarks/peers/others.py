"""The rows that are not a list of problems for every peer: 12 to 15, and 26.

Rows 17 to 20 are in `machine`, 21 to 25 in `validation`.

Each function yields the lines of its row; `quick` shrinks the data.
"""

import dataclasses
import itertools

import numpy as np

import fastreg
from benchmarks import reference
from benchmarks.common import alternate

from . import cases, machine, measure, solvers, validation
from .report import Line, missing, versus

NAN = float("nan")


def ridge_grid(seed, quick, seconds):
    """12: 100 alphas with exact leave-one-out, against RidgeCV."""
    from sklearn.linear_model import RidgeCV

    shapes = [(2000, 50), (100, 800)] if quick else [(20_000, 200), (5000, 1000), (300, 5000)]
    for n, p in shapes:
        X, y = machine.drawn(seed, n, p)
        alphas = np.geomspace(1e-4, 10, 100)

        def ours(X=X, y=y, alphas=alphas):
            result = fastreg.ridge_path(X, y, alphas)
            return result, int(np.argmin(result.loo_score))

        def theirs(X=X, y=y, alphas=n * alphas):
            return RidgeCV(alphas).fit(X, y)

        (result, best), own = measure.once(ours)
        model, taken = measure.once(theirs)
        difference = np.abs(model.coef_ - result.coef[best]).max() / np.abs(model.coef_).max()
        agrees = np.isclose(model.alpha_, n * result.alphas[best]) and difference < 1e-6
        note = "" if agrees else "the chosen alphas or the coefficients differ"
        if taken > measure.ONCE:
            own = min(own, *(measure.once(ours)[1] for _ in range(2)))
            times, note = (taken, own, taken / own), "; ".join(filter(None, (note, "run once")))
        else:
            times = alternate(theirs, ours, seconds)
        outcome = measure.Outcome("scikit-learn", NAN, NAN, *times, agrees, note)
        yield versus(
            12,
            f"ridge grid of 100 with LOO, {n} x {p}",
            "scikit-learn RidgeCV",
            times,
            80,
            gap=float((result.duality_gap / (y.var() / 2)).max()),
            note=note,
            details=[dataclasses.asdict(outcome)],
        )


def many(call, repeats):
    """A function that makes the same call many times."""

    def repeated():
        for _ in range(repeats):
            call()

    return repeated


def tiny(seed, quick, seconds):
    """13: 100 x 10; the time of a call is all overhead."""
    from sklearn.linear_model import Lasso

    X, y = machine.drawn(seed, 100, 10, n_true=3)
    case = cases.Case(13, "tiny", X, y, np.array([0.1]), 4)
    repeats = 20 if quick else 200
    run = solvers.fastreg(case)
    outcomes = []
    for name in solvers.PEERS:
        peer = None if name in solvers.unavailable() else measure.quietly(solvers.PEERS[name], case)
        if peer is None:
            continue
        attempts, note = measure.search(case, peer, 10)
        if not attempts:
            continue
        last = measure.loosest(attempts, case.gap)
        theirs = many(lambda peer=peer, tol=last.tol: peer.call(tol), repeats)
        ours = many(lambda: run.call(case.gap), repeats)
        taken, own, ratio = measure.quietly(alternate, theirs, ours, seconds)
        times = taken / repeats, own / repeats, ratio
        reached = last.gap <= case.gap
        outcomes.append(measure.Outcome(name, last.tol, last.gap, *times, reached, note))
    best = min((o for o in outcomes if o.reached), key=lambda outcome: outcome.ratio)
    yield Line(
        13,
        "function, lasso 100 x 10",
        best.ours,
        best.peer,
        best.seconds,
        best.ratio,
        ">= 4x, <= 5 us",
        best.ours <= 5e-6 and best.ratio >= 4,
        gap=float(case.gaps(run.coefs(run.call(case.gap))).max()),
        details=[dataclasses.asdict(outcome) for outcome in outcomes],
    )
    alpha = float(case.alphas[0])
    estimator, sklearns = fastreg.Lasso(alpha), Lasso(alpha)
    taken, own, ratio = alternate(
        many(lambda: sklearns.fit(X, y), repeats),
        many(lambda: estimator.fit(X, y), repeats),
        seconds,
    )
    yield Line(
        13,
        "estimator, lasso 100 x 10",
        own / repeats,
        "scikit-learn Lasso",
        taken / repeats,
        ratio,
        "<= 40 us",
        own / repeats <= 40e-6,
    )


def responses(seed, quick, seconds):
    """14: a thousand responses on one X, against a loop over them with a shared Gram matrix."""
    from sklearn.linear_model import ElasticNet, enet_path

    n, p, m = (500, 20, 50) if quick else (2000, 50, 1000)
    X, _ = machine.drawn(seed, n, p)
    rng = np.random.default_rng(seed)
    Y = np.column_stack([cases.response(rng, X, 10) for _ in range(m)])
    largest = float(np.median(fastreg.alpha_max(X, Y)))
    alphas = largest * np.geomspace(1, 0.01, 20)
    A, columns = np.asfortranarray(X - X.mean(axis=0)), list((Y - Y.mean(axis=0)).T)
    options = {"l1_ratio": 1.0, "precompute": A.T @ A, "tol": cases.GAP / 2}

    def fits():
        model = ElasticNet(0.1 * largest, fit_intercept=False, **options)
        return [model.fit(A, column, check_input=False).coef_ for column in columns]

    kinds = {
        "one alpha each": (
            fits,
            lambda: fastreg.solve(X, Y, 0.1 * largest, tol=cases.GAP),
        ),
        "20 alphas each": (
            lambda: [enet_path(A, column, alphas=alphas, **options) for column in columns],
            lambda: fastreg.solve_path(X, Y, alphas=alphas, tol=cases.GAP),
        ),
    }
    for kind, (theirs, ours) in kinds.items():
        result, own = measure.once(ours)
        _, taken = measure.once(theirs)
        times = taken, own, taken / own
        if max(taken, own) < measure.ONCE:
            times = measure.quietly(alternate, theirs, ours, seconds)
        yield versus(
            14,
            f"{m} responses, {n} x {p}, {kind}",
            "scikit-learn loop",
            times,
            100,
            passes=float(np.sum(result.n_passes)),
            gap=float(np.max(np.asarray(result.duality_gap) / np.asarray(result.null_objective))),
        )


def single_precision(seed, quick, seconds):
    """15: float32 against float64 of the same numbers, at the same certified gap."""
    for kind, full, small, order, fractions in (
        ("lasso", (200_000, 100), (3000, 30), "C", np.array([0.1])),
        ("lasso", (200_000, 100), (3000, 30), "F", np.array([0.1])),
        ("path to 0.1", (500, 20_000), (60, 600), "F", cases.path_to(0.1)),
    ):
        n, p = small if quick else full
        single, y = machine.drawn(seed, n, p, order, dtype=np.float32)
        double = np.asarray(single, np.float64, order=order)
        case32 = cases.Case(15, kind, single, y, fractions, 1.6)
        case64 = cases.Case(15, kind, double, y, fractions, 1.6)
        case32.__dict__["alphas"] = case64.alphas  # the same ones, to the last bit
        first, second = solvers.fastreg(case64), solvers.fastreg(case32)
        result = second.call(cases.GAP)
        gap = float(case64.gaps(result.coef).max())
        times = alternate(
            lambda run=first: run.call(cases.GAP), lambda run=second: run.call(cases.GAP), seconds
        )
        yield versus(
            15,
            f"{kind} {n} x {p}, {order}, float32",
            "our float64",
            times,
            1.6,
            gap <= cases.GAP,
            passes=float(np.sum(result.n_passes)),
            gap=gap,
            pass_seconds=measure.pass_seconds(case64),
            note="" if gap <= cases.GAP else "the answer misses the gap",
        )


def groups(seed, quick, seconds):
    """26: a fit for each group of the rows of a data frame, against polars-ds."""
    import polars as pl

    try:
        import polars_ds
    except ImportError as error:
        yield missing(26, "ragged groups", ">= 5x", str(error))
        return
    rng = np.random.default_rng(seed)
    p, count = 10, 50 if quick else 1000
    sizes = rng.integers(50, 200, count)
    X = rng.standard_normal((sizes.sum(), p))
    y = cases.response(rng, X, 3)
    names = [f"x{j}" for j in range(p)]
    frame = pl.DataFrame(dict(zip(names, X.T, strict=True)) | {"y": y}).with_columns(
        group=np.repeat(np.arange(count), sizes)
    )
    edges = np.concatenate(([0], np.cumsum(sizes)))
    problems = [reference.centred(X[a:b], y[a:b]) for a, b in itertools.pairwise(edges)]
    alpha = 0.1 * float(np.median([np.abs(each.correlate(each.b)).max() for each in problems]))
    penalty = reference.elastic_net(p, alpha)

    def largest_gap(coef):
        """Of all groups, over their null objectives, by the oracle."""
        pairs = zip(problems, coef, strict=True)
        return max(
            reference.certify(each, penalty, w)[1] / (each.b @ each.b / 2) for each, w in pairs
        )

    def theirs(tol):
        fit = polars_ds.lin_reg(*names, target="y", l1_reg=alpha, tol=tol, add_bias=True)
        return frame.group_by("group", maintain_order=True).agg(fit.alias("coef"))

    def coefficients(tol):
        return np.stack(theirs(tol)["coef"].list.to_array(p + 1).to_numpy())[:, :p]

    ladder = [10.0**-k for k in range(2, 13)]
    tol = next((tol for tol in ladder if largest_gap(coefficients(tol)) <= cases.GAP), ladder[-1])
    ours = {
        "solve_many": lambda: fastreg.solve_many(X, y, alpha, offsets=edges, tol=cases.GAP).coef,
        "solve_groups": lambda: (
            fastreg.solve_groups(frame, by="group", target="y", alpha=alpha, tol=cases.GAP)
            .select(names)
            .to_numpy()
        ),
    }
    reached = largest_gap(coefficients(tol))
    for name, call in ours.items():
        gap = float(largest_gap(np.reshape(call(), (count, p))))
        yield versus(
            26,
            f"{count} groups of 50 to 199 x {p}, {name}",
            "polars-ds",
            alternate(lambda: theirs(tol), call, seconds),
            5,
            max(gap, reached) <= cases.GAP,
            gap=gap,
            note="" if reached <= cases.GAP else f"polars-ds reaches {reached:.0e}",
        )


ROWS = {
    12: ridge_grid,
    13: tiny,
    14: responses,
    15: single_precision,
    17: machine.threads,
    18: machine.dispatch,
    19: machine.memory,
    20: machine.growth,
    26: groups,
    **validation.ROWS,
}
