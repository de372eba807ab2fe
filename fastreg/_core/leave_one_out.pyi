import numpy as np
import numpy.typing as npt

def leave_out(
    residual: npt.NDArray[np.float64],
    hat: npt.NDArray[np.float64],
    free: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    least: float,
    unit: float,
    errors: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
) -> None: ...
