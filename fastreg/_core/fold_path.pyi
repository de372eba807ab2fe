from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

_Floats: TypeAlias = npt.NDArray[np.float64]

@final
class FoldPath:
    def __init__(self, factor: _Floats, standardize: bool) -> None: ...
    def run(
        self,
        training: _Floats,
        held: _Floats,
        l1: _Floats,
        l2: _Floats,
        out: _Floats,
        *,
        tol: float,
        max_sweeps: int,
        deadline: float,
    ) -> bool: ...
