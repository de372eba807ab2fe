from typing import final

@final
class Factor:
    @property
    def size(self) -> int: ...
    def __init__(self) -> None: ...
