"""Where the words go: a terminal, a pipe that its reader may close, or a file on a full disk."""

import io
import os
import sys

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table


class Screen(Console):
    """A console that goes on working when nobody listens any more, as after ``| head -1``."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False)

    def on_broken_pipe(self) -> None:
        """Say no more; the files that were asked for are still written."""
        self.quiet = True
        forget_output()

    def print_table(self, table: Table) -> None:
        """Print a table in full: a narrow terminal wraps its lines, but no number is cut."""
        usual = self.width
        self.width = 10_000
        self.width = max(usual, Measurement.get(self, self.options, table).maximum)
        self.print(table)
        self.width = usual


def write_output(raw: bytes) -> None:
    """Write data, not words, to standard output."""
    try:
        sys.stdout.write(raw.decode())
        sys.stdout.flush()
    except BrokenPipeError:
        forget_output()


def forget_output() -> None:
    """Send what is still in the buffer of standard output nowhere."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
