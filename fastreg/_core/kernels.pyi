import numpy as np
import numpy.typing as npt

# For tests and benchmarks.
def combine(
    a: npt.NDArray[np.float64], X: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]: ...
def level() -> str: ...
def levels() -> list[str]: ...
def use(name: str) -> None: ...
def over_features(
    image: npt.NDArray[np.float64],
    share: npt.NDArray[np.float64],
    rest: npt.NDArray[np.float64],
    norm: npt.NDArray[np.float64],
    w: npt.NDArray[np.float64],
    level: npt.NDArray[np.float64],
    length: float,
    margin: float,
    radius: float,
    factor: float,
) -> tuple[
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.int32],
    npt.NDArray[np.int32],
    npt.NDArray[np.uint8],
    float,
]: ...
