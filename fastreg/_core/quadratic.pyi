from typing import final

@final
class Quadratic:
    def __init__(self) -> None: ...
