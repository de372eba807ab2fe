"""Independent fits beside each other, in threads: the loops of the solvers release the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TypeVar

from fastreg.settings import Settings

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_on_done: ContextVar[Callable[[], None] | None] = ContextVar("on_done", default=None)


def in_threads(
    run: Callable[[Item, Settings], Answer], items: Sequence[Item], settings: Settings
) -> list[Answer]:
    """Return the answers for all items, in their order.

    With several threads in the settings each item gets one of them; a single item gets all.
    """
    n_threads = min(settings.n_threads, len(items))
    if n_threads <= 1:
        return _told(run(item, settings) for item in items)
    own = replace(settings, n_threads=1)
    with ThreadPoolExecutor(n_threads) as pool:
        return _told(pool.map(lambda item: run(item, own), items))


def _told(answers: Iterable[Answer]) -> list[Answer]:
    on_done = _on_done.get()
    found = []
    for answer in answers:
        found.append(answer)
        if on_done is not None:
            on_done()
    return found


@contextmanager
def watched(on_done: Callable[[], None]) -> Iterator[None]:
    """Call a function whenever `in_threads`, called inside, has got an answer."""
    token = _on_done.set(on_done)
    try:
        yield
    finally:
        _on_done.reset(token)
