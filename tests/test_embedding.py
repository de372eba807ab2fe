"""Other people's packages, built in a folder of their own against the installed fastreg."""

import importlib.util
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import oracle
import problems
import pytest
from standard_form import make_problem

import fastreg

EXAMPLES = Path(__file__).resolve().parent / "embedding"
INSTALLED = Path(fastreg.__file__).resolve().parent
COMPILER = shlex.split(sysconfig.get_config_var("CC") or "cc")

needs_compiler = pytest.mark.skipif(
    shutil.which(COMPILER[0]) is None or sys.platform == "win32",
    reason=f"needs a C compiler: {COMPILER[0]} is not on the path",
)


def run(*command, cwd):
    finished = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def build(name, folder):
    """Compile a module from its C source in that folder, and import it."""
    library = folder / (name + sysconfig.get_config_var("EXT_SUFFIX"))
    undefined = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    warnings = run(
        *COMPILER, "-std=c11", "-Wall", "-O1", "-fPIC", "-shared", *undefined,
        f"-I{sysconfig.get_path('include')}", f"-I{fastreg.get_include()}",
        f"{name}.c", "-o", library, cwd=folder,
    )  # fmt: skip
    assert "fastreg.h" not in warnings
    spec = importlib.util.spec_from_file_location(name, library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def moments(X, y):
    return X.T @ X / len(y), X.T @ y / len(y), y @ y / len(y)


@needs_compiler
def test_a_cython_package(tmp_path):
    pytest.importorskip("Cython")
    shutil.copy(EXAMPLES / "best_pairs.pyx", tmp_path)
    run(sys.executable, "-m", "cython", "-3", "-I", INSTALLED.parent, "best_pairs.pyx",
        cwd=tmp_path)  # fmt: skip
    module = build("best_pairs", tmp_path)
    X, y = problems.regression(40, 5)
    objective, worst = module.solve_pairs(*moments(X, y), 0.1)
    assert 0 <= worst <= 1e-10 * (y @ y) / 80
    for i in range(5):
        for j in range(i):
            expected = fastreg.solve(X[:, [i, j]], y, 0.1, fit_intercept=False).objective
            assert objective[i, j] == objective[j, i] == pytest.approx(expected, rel=1e-8)


@needs_compiler
def test_a_c_package(tmp_path):
    shutil.copy(EXAMPLES / "path_in_c.c", tmp_path)
    module = build("path_in_c", tmp_path)
    X, y = problems.regression(40, 5)
    strengths = np.array([1.0, 0.1, 0.01])
    status, points = module.fit(X, y, strengths)
    assert status == 1
    for alpha, (gap, intercept, *coef) in zip(strengths, points, strict=True):
        problem = make_problem(X, y, alpha)
        coef = np.array(coef)
        allowed = oracle.rounding(problem, coef, intercept).gap
        assert oracle.duality_gap(problem, coef, intercept) <= gap * (1 + 1e-6) + allowed
    status, points = module.fit(np.full((3, 2), np.nan), np.ones(3), strengths)
    assert status == -11
    with pytest.raises(TypeError):
        module.fit(X.astype(np.float32), y, strengths)


def test_numba():
    pytest.importorskip("numba")
    spec = importlib.util.spec_from_file_location("example", EXAMPLES / "jackknife_in_numba.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    X, y = problems.regression(20, 4)
    coef, worst = example.jackknife(X, y, 0.1, np.zeros(1, example.RESULT))
    assert 0 <= worst <= 1e-8 * (y @ y)
    for i in range(20):
        kept = np.arange(20) != i
        expected = fastreg.solve(X[kept], y[kept], 0.1, fit_intercept=False).coef
        np.testing.assert_allclose(coef[i], expected, rtol=1e-6, atol=1e-8)
