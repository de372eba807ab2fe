from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from fastreg._core.record import Record

_Floats: TypeAlias = npt.NDArray[np.float64]

@final
class MomentPath:
    def __init__(
        self, gram: _Floats, movable: npt.NDArray[np.intp], l1_factor: _Floats, l2_factor: _Floats
    ) -> None: ...
    @property
    def n_in_lockstep(self) -> int: ...
    def run(
        self,
        record: Record,
        first: int,
        cross: _Floats,
        size: _Floats,
        unit: _Floats,
        mean: _Floats,
        l1: _Floats,
        l2: _Floats,
        *,
        tol: float,
        max_sweeps: int,
        deadline: float,
        rounding: float = 0.0,
        n_threads: int = 1,
    ) -> int: ...
    def run_together(
        self,
        record: Record,
        cross: _Floats,
        size: _Floats,
        unit: _Floats,
        mean: _Floats,
        l1: _Floats,
        l2: _Floats,
        *,
        tol: float,
        max_sweeps: int,
        deadline: float,
        rounding: float = 0.0,
        n_threads: int = 1,
    ) -> npt.NDArray[np.bool_]: ...
