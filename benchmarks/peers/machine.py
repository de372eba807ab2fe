"""Rows 17 to 20: threads, instructions, memory, growth. What fastreg makes of the machine."""

import contextlib
import ctypes
import json
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import data
from benchmarks.common import alternate
from fastreg._core import kernels

from . import cases, measure, solvers
from .report import Line, missing, versus

NAN = float("nan")


def drawn(seed, n, p, order="F", n_true=20, dtype=float):
    """Independent columns and a response."""
    rng = np.random.default_rng([n, p, seed])
    X = np.asarray(rng.standard_normal((n, p)), dtype=dtype, order=order)
    return X, cases.response(rng, X, n_true)


def threads(seed, quick, seconds):
    """17: two threads against one; the results must be the same bits."""
    bound_by = ((1, 1, 1.8), (2, 1, 1.8), (4, 2, 1.8), (3, 0, 1.4), (7, 0, 1.4), (11, 2, 1.4))
    for row, place, goal in bound_by:
        case = cases.one(row, place, seed, quick)
        one, two = solvers.fastreg(case, n_threads=1), solvers.fastreg(case, n_threads=2)
        first, second = one.call(cases.GAP), two.call(cases.GAP)
        same = np.array_equal(first.coef, second.coef)
        times = alternate(
            lambda run=one: run.call(cases.GAP), lambda run=two: run.call(cases.GAP), seconds
        )
        yield versus(
            17,
            f"two threads, row {row}: {case.name}",
            "our one thread",
            times,
            goal,
            same,
            passes=float(np.sum(second.n_passes)),
            gap=float(case.gaps(second.coef).max()),
            note="" if same else "not the same bits",
        )


def child(call: str, **environment):
    """The value of `machine.<call>` in a fresh interpreter.

    With a PYTHONPATH, finders of editable installations are taken away, lest they hide it.
    """
    lines = ["import json, sys"]
    if "PYTHONPATH" in environment:
        lines += ["sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(type(f))]"]
    lines += ["from benchmarks.peers import machine", f"print(json.dumps(machine.{call}))"]
    here = str(Path(__file__).parents[2])  # not resolved: beside a link there is no other fastreg
    path = os.pathsep.join(filter(None, (environment.pop("PYTHONPATH", None), here)))
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={**os.environ, **environment, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "killed").splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def kernel_seconds(quick: bool) -> dict[str, float]:
    """Seconds of fits that spend their time in kernels."""
    taken = {}
    for row, place in ((1, 1), (4, 2), (7, 0), (8, 0), (11, 2)):
        case = cases.one(row, place, 0, quick)
        run = solvers.fastreg(case)
        run.call(cases.GAP)
        taken[case.name] = min(measure.once(run.call, cases.GAP)[1] for _ in range(5))
    return taken


def fastest(quick: bool, builds: dict[str, dict], rounds: int) -> dict[str, dict[str, float]]:
    """Smallest seconds of every kernel case in each build, the builds taking turns."""
    best: dict[str, dict[str, float]] = {name: {} for name in builds}
    for _ in range(rounds):
        for name, environment in builds.items():
            for case, taken in child(f"kernel_seconds({quick})", **environment).items():
                best[name][case] = min(taken, best[name].get(case, np.inf))
    return best


def dispatch(seed, quick, seconds, native=False):
    """18: what is chosen at import against each level of instructions, and -march=native."""
    builds = {"chosen": {}}
    for level in kernels.levels():
        builds[f"held to {level}"] = {"FASTREG_SIMD": level}
    with tempfile.TemporaryDirectory() as folder:
        if native:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder]
            flags = {**os.environ, "CFLAGS": "-O3 -march=native"}
            subprocess.run([*pip, str(Path(__file__).resolve().parents[2])], env=flags, check=True)
            builds["-march=native"] = {"PYTHONPATH": folder}
        if len(builds) == 1:
            return
        best = fastest(quick, builds, 1 if quick else 3)
    chosen = best.pop("chosen")
    for build, seen in best.items():
        for case, taken in seen.items():
            times = taken, chosen[case], taken / chosen[case]
            yield versus(18, f"dispatch, {case}", build, times, 0.9)


def _status(key):
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {key} in /proc/self/status")


def _resident(array) -> int:
    """Bytes of an array in pages that exist: what was never written takes no memory."""
    page = mmap.PAGESIZE
    first = array.ctypes.data // page * page
    size = array.ctypes.data + array.nbytes - first
    seen = (ctypes.c_ubyte * (size // page + 1))()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mincore(ctypes.c_void_p(first), ctypes.c_size_t(size), seen):
        raise OSError(ctypes.get_errno(), "mincore")
    return min(array.nbytes, page * sum(byte & 1 for byte in seen))


def peak_memory(row: int, place: int, order: str, quick: bool) -> dict[str, float]:
    """Bytes that a fit takes at its peak beyond what was there before; Linux only."""
    case = cases.one(row, place, 0, quick)
    case.X = X = data.stored(case.X, order)
    case.__dict__["alphas"] = case.alphas
    case.__dict__.pop("problem")  # the oracle's own copy
    run = solvers.fastreg(case)
    small = cases.Case(0, "", X[:30], case.y[:30], case.fractions, 1.0)
    solvers.fastreg(small).call(cases.GAP)  # imports
    with contextlib.suppress(AttributeError):  # what was freed before would serve unseen
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before = _status("VmRSS")
    result = run.call(cases.GAP)
    peak = _status("VmHWM") - before
    parts = (X,) if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr)
    returned = np.asarray(result.coef), np.asarray(result.certified_zero)
    return {
        "peak": peak,
        "X": sum(part.nbytes for part in parts),
        "returned": sum(map(_resident, returned)),
        "width": X.shape[1] if case.tall else 2 * int(np.max(result.n_active)),
    }


def memory(seed, quick, seconds):
    """19: the peak beyond X, less the result and the Gram matrix of the working set."""
    for row, place, order in (
        *((3, 0, order) for order in ("C", "F", "float32")),
        *((7, 0, order) for order in ("C", "F", "float32")),
        *((11, 2, order) for order in ("csc", "csr")),
    ):
        label, goal = f"memory, row {row}, {order}", "<= 0.1x"
        try:
            seen = child(f"peak_memory({row}, {place}, {order!r}, {quick})")
        except RuntimeError as error:
            yield missing(19, label, goal, str(error))
            continue
        gram = 2 * 8 * seen["width"] ** 2
        fraction = max(seen["peak"] - seen["returned"] - gram, 0) / seen["X"]
        note = (
            f"X {seen['X'] / 1e6:.1f} MB; beyond it {seen['peak'] / 1e6:.1f} MB, of which result "
        )
        note += f"{seen['returned'] / 1e6:.1f} MB, Gram and factor of {seen['width']} columns "
        note += f"{gram / 1e6:.1f} MB"
        yield Line(
            19, label, NAN, "size of X", NAN, fraction, goal, bool(fraction <= 0.1), note=note
        )


def growth(seed, quick, seconds):
    """20: exponents of the time in n and in p at fixed sparsity, and the steepest doubling."""
    steps = range(3 if quick else 6)
    sweeps = {
        "n, fit, 500 features": [(2**k * 1000, 500) for k in steps],
        "n, path to 0.1, 5000 features": [(2**k * 100, 5000) for k in steps],
        "p, fit, 500 rows": [(500, 2**k * 1000) for k in steps],
        "p, path to 0.1, 500 rows": [(500, 2**k * 1000) for k in steps],
    }
    for name, shapes in sweeps.items():
        sizes = [n if name.startswith("n") else p for n, p in shapes]
        taken = []
        for n, p in shapes:
            X, y = drawn(seed, n, p)
            fractions = cases.path_to(0.1) if "path" in name else np.array([0.1])
            run = solvers.fastreg(cases.Case(20, name, X, y, fractions, 1.0))
            run.call(cases.GAP)
            taken.append(min(measure.once(run.call, cases.GAP)[1] for _ in range(3)))
        exponent = float(np.polyfit(np.log(sizes), np.log(taken), 1)[0])
        steepest = float(max(np.divide(taken[1:], taken[:-1])))
        yield Line(
            20,
            f"growth in {name}, {sizes[0]} to {sizes[-1]}",
            taken[-1],
            "exponent",
            NAN,
            exponent,
            "<= 1.1, doubling <= 3",
            exponent <= 1.1 and steepest <= 3,
            note=f"steepest doubling {steepest:.2g}x",
            details=[{"size": size, "seconds": t} for size, t in zip(sizes, taken, strict=True)],
        )
