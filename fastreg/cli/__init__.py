"""The command line: ``fastreg compare`` and others (see ``fastreg --help``)."""

import importlib.util
import io
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after the program's name; those of the process by default.

    Returns
    -------
    int
        0: done; 2: bad input, told in one sentence on standard error; 130: interrupted.
    """
    for package in ("click", "rich", "polars"):
        if importlib.util.find_spec(package) is None:
            sys.stderr.write(
                f"fastreg: the command line needs {package}:"
                " install fastreg-solvers with its extra 'cli'\n"
            )
            return 2
    if argv is None:
        # The threads of BLAS wait for each other in loops: next to other work they make a
        # decomposition ten times slower, and alone hardly faster. Read when NumPy is imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from fastreg.cli.app import run

    if argv is not None:
        return run(list(argv))
    if sys.stdout is None:  # closed by the shell: `>&-`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until the end
    for stream in (sys.stdout, sys.stderr):  # a name may have letters that a terminal lacks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    return run(sys.argv[1:])
