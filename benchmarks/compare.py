"""Two installations of fastreg on the same work: is the second one slower?

``python -m benchmarks.compare BASE_PYTHON HEAD_PYTHON [WORD ...]``: with words, only the cases
whose name contains one. ``ci/compare`` makes the two installations from two commits.

Each side lives in a process of its own for the whole of a case, both on the same processor. They
take turns, in an order that alternates, and what is compared is the processor time of the turns:
other programs on the machine slow both down. The ratio of a case is the median over the pairs of
turns, with an interval of order statistics, as wide as no distribution can beat. A case ends as
soon as its interval lies on one side of the limit. What seems to be slower is measured again, from
the start and twice as long: where a process happens to lie in memory is worth some percent. Only
what is slower each time is a regression, and the exit status is 1.
"""

import importlib
import json
import os
import random
import subprocess
import sys
from math import nan
from time import process_time_ns
from typing import NamedTuple

LIMIT = 1.10
TURN = 0.02
"""Seconds of work in a turn."""
LEAST, MOST = 20, 150
"""Pairs of turns."""
TRIES = 3
CASES = (
    ("kernels.Correlate", "tall-C"),
    ("kernels.Gram", "tall-C"),
    ("kernels.Gram", "text-csc"),
    ("kernels.GramDescent", "ar1-F"),
    ("tiny.Function", "100x10", "C"),
    ("tiny.Function", "20x50", "float32"),
    ("tiny.Estimator", "100x10", "C"),
    ("solve.Lasso", "tall-C"),
    ("solve.Lasso", "wide-F"),
    ("solve.Lasso", "text-csc"),
    ("path.Path", "narrow-C", 1.0),
    ("path.Path", "ar1-F", 0.5),
    ("ridge.Grid", "narrow-C"),
    ("ridge.Krylov", "text-csr"),
    ("many.Stacked", "100x10"),
    ("many.Bootstrap", "100x10"),
)


class Verdict(NamedTuple):
    """Head over base: the median of the ratios, an interval for it, and the number of pairs."""

    ratio: float
    low: float
    high: float
    pairs: int


def work():
    """Serve as one side: name a case on a line of stdin, then a number of calls on each line."""
    name, *parameters = json.loads(input())
    module, name = name.split(".")
    case = getattr(importlib.import_module(f"benchmarks.{module}"), name)()
    case.setup(*parameters)
    for _ in range(3):
        case.fastreg()
    print("ready", flush=True)
    for line in sys.stdin:
        calls = range(int(line))
        begin = process_time_ns()
        for _ in calls:
            case.fastreg()
        print(process_time_ns() - begin, flush=True)


class Side:
    """A process that does the work of a case with one of the installations."""

    def __init__(self, python, case):
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.compare", "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"FASTREG_BENCHMARK_SCALE": "full"},
        )
        answer = self.ask(json.dumps(case))
        self.works = answer == "ready"

    def ask(self, line):
        try:
            print(line, file=self.process.stdin, flush=True)
            return self.process.stdout.readline().strip()
        except BrokenPipeError:
            return ""

    def turn(self, calls):
        """Nanoseconds of the processor for so many calls."""
        return int(self.ask(str(calls)))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()


def interval(ratios):
    """The median, and the order statistics between which it is with a chance of 999 in 1000."""
    n = len(ratios)
    ratios = sorted(ratios)
    # The median is below the k-th of n numbers as often as n coins show fewer than k heads.
    chance, term, k = 0.0, 0.5**n, 0
    while chance + term < 0.0005:
        chance += term
        k += 1
        term *= (n - k + 1) / k
    low, high = (ratios[k - 1], ratios[n - k]) if k else (0.0, float("inf"))
    return Verdict((ratios[(n - 1) // 2] + ratios[n // 2]) / 2, low, high, n)


def measure(pythons, case, limit, most):
    """The verdict on a case; None where the base cannot do it, NaN where the head cannot."""
    with Side(pythons[0], case) as base, Side(pythons[1], case) as head:
        if not base.works:
            return None
        if not head.works:
            return Verdict(nan, nan, nan, 0)
        calls = 1
        while (base.turn(calls) + head.turn(calls)) / 2e9 < TURN and calls < 10**6:
            calls *= 2
        ratios = []
        while len(ratios) < most:
            if random.random() < 0.5:
                first = base.turn(calls)
                ratios.append(head.turn(calls) / first)
            else:
                first = head.turn(calls)
                ratios.append(first / base.turn(calls))
            verdict = interval(ratios)
            if len(ratios) >= LEAST and (verdict.high < limit or verdict.low > limit):
                break
        return interval(ratios)


def judge(pythons, case, limit):
    """The verdict, measured again as long as the head seems to be slower; and whether it is."""
    for attempt in range(TRIES):
        verdict = measure(pythons, case, limit, MOST << attempt)
        if verdict is None or verdict.low <= limit:
            return verdict, False
        if verdict.pairs == 0:
            break
    return verdict, True


def main(base, head, *words):
    """Print one line a case; 1 if one is slower."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    slower = 0
    print(f"{'case':<36} {'head/base':>9} {'interval':>17} {'pairs':>6}")
    for case in CASES:
        label = f"{case[0]}({', '.join(map(str, case[1:]))})"
        if words and not any(word in label for word in words):
            continue
        verdict, is_slower = judge((base, head), case, LIMIT)
        slower += is_slower
        if verdict is None:
            print(f"{label:<36} the base cannot do this", flush=True)
            continue
        print(
            f"{label:<36} {verdict.ratio:9.3f} {verdict.low:8.3f} {verdict.high:8.3f}"
            f" {verdict.pairs:6}{'  SLOWER' if is_slower else ''}",
            flush=True,
        )
    print(f"{slower} slower by more than {LIMIT - 1:.0%}, beyond the noise")
    return int(slower > 0)


if __name__ == "__main__":
    sys.exit(work() if sys.argv[1:] == ["--work"] else main(*sys.argv[1:]))
