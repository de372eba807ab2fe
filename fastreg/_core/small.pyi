from typing import Any

def fit(
    X: Any, y: Any, alpha: Any, l1_ratio: Any, fit_intercept: Any, settings: Any
) -> dict[str, Any] | None: ...
