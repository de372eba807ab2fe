"""The page of ``--report``."""

from typing import Any


def render(*_: Any) -> bytes:
    """Render."""
    raise NotImplementedError
