"""Random calls of the C-level API in a process of their own, which a crash would not survive."""

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("fuzz_c_api.py")
SECONDS = os.environ.get("FASTREG_FUZZ_SECONDS", "4")


def test_random_calls():
    command = [sys.executable, SCRIPT, SECONDS]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    calls, sound, converged = map(int, re.findall(r"\d+", finished.stdout))
    assert calls > 100
    assert sound > calls / 4
    assert converged > calls / 4
