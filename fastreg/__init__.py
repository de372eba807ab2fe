"""fastreg: exact linear models with L1, L2 and elastic-net penalties, with proof of accuracy.

The functions and classes listed here need only NumPy and SciPy. The estimators (`Lasso`,
`ElasticNet`, `Ridge`, `lasso_path`, `enet_path`) need scikit-learn. Everything is imported on
first use, so that importing fastreg costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastreg.api import solve, solve_path
    from fastreg.estimators import ElasticNet as ElasticNet
    from fastreg.estimators import Lasso as Lasso
    from fastreg.estimators import Ridge as Ridge
    from fastreg.estimators import enet_path as enet_path
    from fastreg.estimators import lasso_path as lasso_path
    from fastreg.grid import alpha_grid, alpha_max
    from fastreg.moments import Moments
    from fastreg.result import PathResult, Result, Status
    from fastreg.ridge_grid import RidgePathResult, ridge_path
    from fastreg.settings import Settings

# What `from fastreg import *` brings: everything that needs no extra.
__all__ = [
    "Moments",
    "PathResult",
    "Result",
    "RidgePathResult",
    "Settings",
    "Status",
    "__version__",
    "alpha_grid",
    "alpha_max",
    "ridge_path",
    "solve",
    "solve_path",
]

_HOME = {
    "ElasticNet": "fastreg.estimators",
    "Lasso": "fastreg.estimators",
    "Moments": "fastreg.moments",
    "PathResult": "fastreg.result",
    "Result": "fastreg.result",
    "Ridge": "fastreg.estimators",
    "RidgePathResult": "fastreg.ridge_grid",
    "Settings": "fastreg.settings",
    "Status": "fastreg.result",
    "alpha_grid": "fastreg.grid",
    "alpha_max": "fastreg.grid",
    "enet_path": "fastreg.estimators",
    "lasso_path": "fastreg.estimators",
    "ridge_path": "fastreg.ridge_grid",
    "solve": "fastreg.api",
    "solve_path": "fastreg.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use; read the version from the installed distribution."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("fastreg-solvers")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'fastreg' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*__all__, *_HOME})
