from typing import Any

import numpy as np
import numpy.typing as npt

def proximal_step(
    w: npt.NDArray[np.floating[Any]],
    square: npt.NDArray[np.floating[Any]] | None,
    add: float,
    lr: float,
    l1: float,
    l2: float,
    n_threads: int = ...,
) -> None: ...
def group_step(
    w: npt.NDArray[np.floating[Any]],
    square: npt.NDArray[np.floating[Any]] | None,
    add: float,
    lr: float,
    l1: float,
    l2: float,
    n_threads: int = ...,
) -> None: ...
