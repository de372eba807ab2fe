from typing import Any, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

ONE_READ: int

@disjoint_base
class Design:
    @property
    def n_features(self) -> int: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def scale(self) -> npt.NDArray[np.float64]: ...
    @property
    def shift(self) -> npt.NDArray[np.float64]: ...
    def correlation(self, v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
    def correlation_of(
        self, columns: npt.NDArray[np.int32], v: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]: ...
    def gram_matrix(
        self,
        columns: npt.NDArray[np.int32],
        weight: npt.NDArray[np.float64],
        known: npt.NDArray[np.float64] | None = None,
    ) -> npt.NDArray[np.float64]: ...
    def moments(
        self, weight: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
    def product(self, coef: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
    def by_rows(self) -> npt.NDArray[Any] | None: ...
    def product_and_correlation(
        self, coef: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
    def set_threads(self, n_threads: int) -> None: ...
    def set_units(self, shift: npt.ArrayLike, scale: npt.ArrayLike) -> None: ...
    def survey(
        self,
        weight: npt.NDArray[np.float64],
        Y: npt.NDArray[np.float64],
        columns: npt.NDArray[np.int32],
        centre: bool = True,
    ) -> tuple[
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
    ]: ...
    def __init__(self, n_samples: int, n_features: int) -> None: ...

@final
class DenseDesign(Design):
    def __init__(self, X: npt.NDArray[np.floating]) -> None: ...

@final
class CSCDesign(Design):
    def __init__(self, X: Any) -> None: ...

def order_of(start: npt.NDArray[np.int32], index: npt.NDArray[np.int32], size: int) -> int: ...
