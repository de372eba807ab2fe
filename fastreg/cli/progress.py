"""A bar on standard error, for work that takes longer than about a second."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fastreg.cli.screen import Screen

#: Seconds without a bar.
PATIENCE = 1.0


@contextmanager
def progress(n_steps: int) -> Iterator[Callable[[str], None]]:
    """Show a bar if the work inside is long, and standard error a terminal.

    Yields
    ------
    callable
        To be told what begins, before each step.
    """
    console = Screen(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=n_steps)
    begun = False

    def on_step(name: str) -> None:
        nonlocal begun
        bar.update(task, advance=float(begun), description=name)
        begun = True

    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield on_step
    finally:
        timer.cancel()
        timer.join()  # it may be starting the bar just now
        bar.stop()
