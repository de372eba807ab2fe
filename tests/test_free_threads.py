"""Every public function from many threads at once: the same bits as alone, and no GIL needed."""

import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from scipy import sparse

import fastreg

N_THREADS = 8
ROUNDS = 3

rng = np.random.default_rng(5)
X = rng.standard_normal((60, 12)) + 0.5
wide = np.asfortranarray(rng.standard_normal((30, 90)))
y = X[:, :4].sum(axis=1) + rng.standard_normal(60)
weight = rng.uniform(0.5, 2, 60)
stored = sparse.random_array((60, 40), density=0.2, rng=6, format="csc")
rows = stored.tocsr()
stack, answers = np.stack([X, X[::-1], X * 2]), np.stack([y, y[::-1], y])
moments = fastreg.Moments().add(X, y)

CALLS = {
    "solve": lambda: fastreg.solve(X, y, 0.1).coef,
    "solve with weights": lambda: fastreg.solve(X, y, 0.1, sample_weight=weight).coef,
    "solve on two threads": lambda: fastreg.solve(X, y, 0.1, n_threads=2).coef,
    "solve wide": lambda: fastreg.solve(wide, y[:30], 0.05).coef,
    "solve csc": lambda: fastreg.solve(stored, y, 0.01).coef,
    "solve csr": lambda: fastreg.solve(rows, y, 0.01).coef,
    "solve_path": lambda: fastreg.solve_path(X, y).coef,
    "solve_path wide": lambda: fastreg.solve_path(wide, y[:30], n_alphas=10).coef,
    "solve_path csc": lambda: fastreg.solve_path(stored, y, n_alphas=10).coef,
    "ridge_path": lambda: fastreg.ridge_path(X, y, [0.1, 1.0]).coef,
    "solve_many": lambda: fastreg.solve_many(stack, answers, 0.1, n_threads=2).coef,
    "Moments": lambda: fastreg.Moments().add(X, y).solve(0.1).coef,
    "moments shared": lambda: moments.path().coef,
    "validate": lambda: fastreg.validate(X, y, cv=3, n_threads=2).result.coef,
}


@pytest.mark.parametrize("name", CALLS)
def test_many_callers_of_one_function(name):
    call = CALLS[name]
    alone = call()
    start = Barrier(N_THREADS)

    def run(_):
        start.wait()
        return [call() for _ in range(ROUNDS)]

    with ThreadPoolExecutor(N_THREADS) as pool:
        for found in pool.map(run, range(N_THREADS)):
            for each in found:
                np.testing.assert_array_equal(each, alone)


def test_all_functions_at_once():
    alone = {name: call() for name, call in CALLS.items()}
    names = sorted(CALLS)
    start = Barrier(N_THREADS)

    def run(k):
        start.wait()
        order = names[k % len(names) :] + names[: k % len(names)]
        return [(name, CALLS[name]()) for _ in range(ROUNDS) for name in order]

    with ThreadPoolExecutor(N_THREADS) as pool:
        for found in pool.map(run, range(N_THREADS)):
            for name, each in found:
                np.testing.assert_array_equal(each, alone[name], err_msg=name)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="Python needs the GIL")
def test_no_compiled_module_turns_the_gil_on():
    script = (
        "import importlib, pkgutil, sys\n"
        "import fastreg, fastreg._core, fastreg.cython_api\n"
        "for module in pkgutil.iter_modules(fastreg._core.__path__):\n"
        "    importlib.import_module('fastreg._core.' + module.name)\n"
        "assert not sys._is_gil_enabled()\n"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
