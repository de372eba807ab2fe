"""Is the cost model's choice a good one? ``method="auto"`` against each method forced.

``python -m benchmarks.choice [--quick] [--worst N]`` fits a grid of shapes, densities and
strengths, single fits and paths, with "auto" and every method that could be forced taking turns,
and prints where "auto" takes more than ``ALLOWED`` times as long as the best of them. The exit
status is 1 when there is such a place. Times are those of the processor, the smallest over rounds,
and a place that looks bad is measured again for longer, since a busy machine makes any choice look
bad now and then. What takes longer than ``SLOW`` seconds in its first run gets no second one, and
a method that has taken ``LOST`` times as long as "auto" is stopped: it has lost.
"""

import argparse
import itertools
import math
import sys
from time import perf_counter, thread_time
from typing import NamedTuple

import numpy as np
from scipy import sparse

import fastreg

from . import data

ALLOWED = 1.2
SLOW = 2.0
TOL = 1e-6
LOST = 1.5
FORCED = ("working_set", "gram", "descent", "gradient")
WIDEST_GRAM = 4000
"""Features beyond which nobody would want the whole Gram matrix; it is not tried."""

SHAPES = {
    False: (
        [(10**k, p) for k, p in itertools.product((2, 3, 4, 5), (10, 50, 200, 1000, 4000))]
        + [(300_000, 50), (500, 20_000), (5000, 500), (2000, 20_000), (20_000, 2000)]
    ),
    True: list(itertools.product((100, 1000), (10, 50, 200))),
}
MIN_ROW = 2.0
"""Fewest entries a row of a sparse design."""

LARGEST = 4 * 10**7
"""Entries of the largest design, dense."""


class Place(NamedTuple):
    """One point of the grid; `smallest` is the (last) alpha over alpha_max."""

    n: int
    p: int
    density: float
    smallest: float
    n_alphas: int

    @property
    def label(self):
        kind = "fit" if self.n_alphas == 1 else f"path of {self.n_alphas}"
        return f"{self.n} x {self.p}, density {self.density:g}, {kind} to {self.smallest:g}"


class Timed(NamedTuple):
    """Seconds of each method at a place, the one that "auto" chose, and the loss of its choice."""

    place: Place
    seconds: dict[str, float]
    chosen: str

    @property
    def loss(self):
        best = min(self.seconds[method] for method in self.seconds if method != "auto")
        return self.seconds["auto"] / best


def places(quick):
    """The grid."""
    densities, strengths = (
        ((1.0, 0.1), (0.1,)) if quick else ((1.0, 0.1, 0.01, 0.002), (0.5, 0.1, 0.01))
    )
    for (n, p), density in itertools.product(SHAPES[quick], densities):
        if n * p * density > LARGEST or (density < 1 and p < 50) or p * density < MIN_ROW:
            continue
        for smallest, n_alphas in itertools.product(strengths, (1, 20 if quick else 100)):
            yield Place(n, p, density, smallest, n_alphas)


def draw(place):
    """A design in C order or CSC, and a response of 20 columns at most."""
    rng = np.random.default_rng([place.n, place.p])
    if place.density < 1:
        X = sparse.random_array((place.n, place.p), density=place.density, rng=rng, format="csc")
    else:
        X = rng.standard_normal((place.n, place.p))
    return X, data.response(rng, X)


def is_sensible(method, place):
    """Whether anybody could want the method there."""
    if method == "gram":
        return place.p <= WIDEST_GRAM
    return method != "descent" or place.density < 1


def measure(place, X, y, seconds):
    """The times at a place."""
    largest = fastreg.alpha_max(X, y)
    alphas = np.geomspace(
        1 if place.n_alphas > 1 else place.smallest, place.smallest, place.n_alphas
    )
    times: dict[str, list[float]] = {"auto": []}
    times |= {method: [] for method in FORCED if is_sensible(method, place)}
    chosen, start, limit = "", perf_counter(), math.inf
    turns, rounds = list(times), 0
    while True:
        rounds += 1
        turns.append(turns.pop(1))  # nobody always comes after a method that fills the caches
        for method in turns:
            taken = times[method]
            if taken and taken[0] > SLOW:
                continue
            options = {"tol": TOL, "method": method}
            options["time_limit"] = math.inf if method == "auto" else limit
            begin, since = thread_time(), perf_counter()
            if place.n_alphas == 1:
                result = fastreg.solve(X, y, alphas[0] * largest, **options)
            else:
                result = fastreg.solve_path(X, y, alphas=alphas * largest, **options)
            has_arrived = np.max(result.duality_gap / result.null_objective) <= TOL
            taken.append(thread_time() - begin if has_arrived else math.inf)
            if method == "auto":
                chosen = result.method
                limit = min(limit, 0.001 + LOST * (perf_counter() - since))
        slow = all(taken[0] > SLOW for taken in times.values())
        if slow or rounds >= 30 or (perf_counter() - start > seconds and rounds >= 5):
            return Timed(place, {m: min(taken) for m, taken in times.items()}, chosen)


def line(timed):
    """One place as text."""
    arrived = {method: taken for method, taken in timed.seconds.items() if taken < math.inf}
    each = ", ".join(f"{method} {1e3 * taken:.3g} ms" for method, taken in arrived.items())
    return f"{timed.loss:5.2f}x  {timed.place.label}: chose {timed.chosen}; {each}"


def main():
    """Measure the grid; the number of places where the choice is bad."""
    parser = argparse.ArgumentParser("python -m benchmarks.choice", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few small places, for a smoke test")
    parser.add_argument("--worst", type=int, default=10, help="how many to print in any case")
    options = parser.parse_args()
    results, before, loaded = [], None, None
    for place in places(options.quick):
        if before != place[:3]:
            before, loaded = place[:3], draw(place)
        seconds = 0.05 if options.quick else 0.5
        timed = measure(place, *loaded, seconds)
        if timed.loss > ALLOWED:
            timed = min(timed, measure(place, *loaded, 4 * seconds), key=lambda timed: timed.loss)
        results.append(timed)
        print(line(results[-1]), flush=True)
    results.sort(key=lambda timed: -timed.loss)
    bad = [timed for timed in results if timed.loss > ALLOWED]
    print(f"\n{len(bad)} of {len(results)} places lose more than {ALLOWED:g} times; the worst:")
    for timed in results[: max(len(bad), options.worst)]:
        print(line(timed))
    return len(bad)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
