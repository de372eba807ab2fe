"""Install PyTorch for the tests where there is a build of reasonable size, else say why not.

Usage: python ci/pytorch.py NOTE

On Linux the build that is called `torch` needs several gigabytes of libraries for graphics cards;
some package indexes have builds for processors alone, with a local version. pip is asked what it
would install, and what needs no such libraries is installed. Why nothing was is written to the file
NOTE, and not asked for again while that is there. It is no failure: the tests are skipped then.
"""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CANDIDATES = "torch==2.13.0+cpu", "torch"
LARGE = "nvidia", "cuda", "triton", "pytorch-triton", "intel-"


def pip(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def would_install(requirement: str) -> list[str]:
    """Return the names of what pip would install; nothing if it cannot."""
    ran = pip("--dry-run", "--report", "-", "--retries", "1", requirement)
    if ran.returncode:
        return []
    return [package["metadata"]["name"] for package in json.loads(ran.stdout)["install"]]


def main() -> None:
    note = Path(sys.argv[1])
    try:
        print(f"PyTorch {version('torch')} is tested")
        return
    except PackageNotFoundError:
        if note.exists():
            print(note.read_text("utf-8"))
            return
    reason = "pip finds none"
    for requirement in CANDIDATES:
        names = would_install(requirement)
        large = [name for name in names if name.lower().startswith(LARGE)]
        if large:
            reason = f"the build here needs {large[0]}, {len(large)} packages of this kind in all"
            note.write_text(f"PyTorch is not tested: {reason}", "utf-8")
        elif names and pip(requirement).returncode == 0:
            note.unlink(missing_ok=True)
            print(f"PyTorch {version('torch')} is tested")
            return
    print(f"PyTorch is not tested: {reason}")


if __name__ == "__main__":
    main()
