from typing import Any, final

@final
class Workspace:
    def __init__(self) -> None: ...

def takes(n_samples: int, n_features: int, l1_ratio: Any) -> bool: ...
def fit(
    X: Any,
    y: Any,
    alpha: Any,
    l1_ratio: Any,
    fit_intercept: Any,
    settings: Any,
    sample_weight: Any = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    positive: Any = False,
    standardize: Any = False,
) -> dict[str, Any] | None: ...
