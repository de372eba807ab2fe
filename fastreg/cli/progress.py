"""A bar on standard error, for work that takes longer than about a second."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fastreg.cli.screen import Screen

#: Seconds without a bar.
PATIENCE = 1.0


class Steps:
    """Is told what begins, before each step, and when one of the parts of a step is done."""

    def __init__(self, on_progress: Callable[[str, float], None], n_parts: int) -> None:
        self._on_progress, self._n_parts = on_progress, n_parts
        self._name, self._n_begun, self._n_done = "", 0, 0

    def __call__(self, name: str) -> None:
        """Begin a step."""
        self._name, self._n_begun, self._n_done = name, self._n_begun + 1, 0
        self._on_progress(name, self._n_begun - 1.0)

    def part(self) -> None:
        """End a part of a step."""
        self._n_done = min(self._n_done + 1, self._n_parts)
        self._on_progress(self._name, self._n_begun - 1.0 + self._n_done / self._n_parts)


@contextmanager
def progress(n_steps: int, n_parts: int = 1) -> Iterator[Steps]:
    """Show a bar if the work inside is long, and standard error a terminal.

    Each of the steps may tell of parts that are done, up to `n_parts`.
    """
    console = Screen(stderr=True)
    if not console.is_terminal:
        yield Steps(lambda name, done: None, n_parts)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=n_steps)
    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield Steps(lambda name, done: bar.update(task, completed=done, description=name), n_parts)
    finally:
        timer.cancel()
        timer.join()  # it may be starting the bar just now
        bar.stop()
