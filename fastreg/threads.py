"""Independent fits beside each other, in threads: the loops of the solvers release the GIL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from fastreg.settings import Settings

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_threads(
    run: Callable[[Item, Settings], Answer], items: Sequence[Item], settings: Settings
) -> list[Answer]:
    """Return the answers for all items, in their order.

    With several threads in the settings each item gets one of them; a single item gets all.
    """
    n_threads = min(settings.n_threads, len(items))
    if n_threads <= 1:
        return [run(item, settings) for item in items]
    own = replace(settings, n_threads=1)
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(lambda item: run(item, own), items))
