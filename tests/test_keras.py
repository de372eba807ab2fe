"""`fastreg.keras` on every backend of Keras that is installed, in a process for each.

The cases: `keras_cases.py`, `keras_prune_cases.py`.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# Not imported here: without its default backend it would fail.
pytestmark = pytest.mark.skipif(find_spec("keras") is None, reason="the extra keras is missing")

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("cases", ["keras_cases.py", "keras_prune_cases.py"])
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_backend(backend, cases):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    # Not -W error: the libraries warn about themselves and each other, differently by version.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-W",
        "default",
        "-p",
        "no:cacheprovider",
        "--noconftest",
    ]
    command += ["-c", os.devnull, "--rootdir", str(FOLDER), "--import-mode=importlib"]
    # Not by an option of pytest, which would split the path at spaces.
    own = {"PYTHONPATH": str(FOLDER), "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    ran = subprocess.run(
        [*command, str(FOLDER / cases)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | own,
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout
