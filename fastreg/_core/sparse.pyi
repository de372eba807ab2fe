from typing import Any, final

from fastreg._core.design import Design

@final
class CSCDesign(Design):
    def __init__(self, X: Any) -> None: ...
