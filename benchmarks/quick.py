"""Run every comparison once in its smallest size and check that the two sides agree.

``python -m benchmarks.quick [WORD ...]``: with words, only the benchmarks whose name contains one.
The exit status is 1 when any comparison disagrees or fails.
"""

import importlib
import inspect
import itertools
import os
import sys
import traceback
from time import perf_counter

MODULES = ("kernels", "solve", "path", "ridge", "gradient", "tiny", "many", "validation")


def comparisons():
    """(name, class) of every comparison that can be run."""
    from .common import Comparison

    for module_name in MODULES:
        module = importlib.import_module(f"{__package__}.{module_name}")
        for name, member in vars(module).items():
            is_ours = inspect.isclass(member) and member.__module__ == module.__name__
            if is_ours and issubclass(member, Comparison) and not inspect.isabstract(member):
                yield f"{module_name}.{name}", member


def run(cls, parameters):
    """(difference, allowed, reference time / fastreg time) of one comparison."""
    from .common import alternate

    comparison = cls()
    comparison.setup(*parameters)
    difference, allowed = comparison.disagreement()
    ratio = alternate(comparison.fastreg, comparison.reference, seconds=0.02, least=1)[2]
    return difference, allowed, 1 / ratio


def main(words):
    """Print one line a comparison; the number of those that disagree or fail."""
    failures, start = 0, perf_counter()
    print(f"{'benchmark':<52} {'difference':>10} {'allowed':>8} {'reference/fastreg':>18}")
    for name, cls in comparisons():
        for parameters in itertools.product(*cls.params):
            label = f"{name}({', '.join(map(str, parameters))})"
            if words and not any(word in label for word in words):
                continue
            try:
                difference, allowed, ratio = run(cls, parameters)
            except Exception:
                failures += 1
                print(f"{label:<52} FAILED\n{traceback.format_exc()}")
                continue
            agrees = difference <= allowed  # False for NaN
            failures += not agrees
            verdict = "" if agrees else "  DISAGREES"
            print(f"{label:<52} {difference:10.1e} {allowed:8.0e} {ratio:18.1f}{verdict}")
    print(f"{failures} of the comparisons disagree; {perf_counter() - start:.0f} s")
    return failures


if __name__ == "__main__":
    os.environ["FASTREG_BENCHMARK_SCALE"] = "quick"
    sys.exit(1 if main(sys.argv[1:]) else 0)
