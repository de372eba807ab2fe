"""fastreg: exact linear models with L1, L2 and elastic-net penalties, with proof of accuracy.

The functions and classes listed here need only NumPy and SciPy. The estimators (`Lasso`,
`ElasticNet`, `Ridge`, `LassoCV`, `ElasticNetCV`, `RidgeCV`, `lasso_path`, `enet_path`) need
scikit-learn; `solve_groups` needs narwhals. Everything is imported on first use, so that importing
fastreg costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastreg.api import solve, solve_path
    from fastreg.criteria import InformationCriteria, information_criteria
    from fastreg.estimators import ElasticNet as ElasticNet
    from fastreg.estimators import ElasticNetCV as ElasticNetCV
    from fastreg.estimators import Lasso as Lasso
    from fastreg.estimators import LassoCV as LassoCV
    from fastreg.estimators import PolynomialRegression as PolynomialRegression
    from fastreg.estimators import Ridge as Ridge
    from fastreg.estimators import RidgeCV as RidgeCV
    from fastreg.estimators import enet_path as enet_path
    from fastreg.estimators import lasso_path as lasso_path
    from fastreg.frames import solve_groups as solve_groups
    from fastreg.grid import alpha_grid, alpha_max
    from fastreg.many import BatchResult, ProblemStatus, solve_many
    from fastreg.moments import Moments
    from fastreg.polynomial import PolynomialBasis
    from fastreg.relaxed import RelaxedPath, relax
    from fastreg.result import PathResult, Result, Status
    from fastreg.ridge_grid import RidgePathResult, ridge_path
    from fastreg.settings import Settings
    from fastreg.stability import StabilitySelection, stability_selection
    from fastreg.validation.degrees import validate_degrees
    from fastreg.validation.moments import validate_moments
    from fastreg.validation.result import ValidationResult
    from fastreg.validation.run import validate
    from fastreg.validation.scores import Score

# What `from fastreg import *` brings: everything that needs no extra.
__all__ = [
    "BatchResult",
    "InformationCriteria",
    "Moments",
    "PathResult",
    "PolynomialBasis",
    "ProblemStatus",
    "RelaxedPath",
    "Result",
    "RidgePathResult",
    "Score",
    "Settings",
    "StabilitySelection",
    "Status",
    "ValidationResult",
    "__version__",
    "alpha_grid",
    "alpha_max",
    "get_include",
    "information_criteria",
    "relax",
    "ridge_path",
    "solve",
    "solve_many",
    "solve_path",
    "stability_selection",
    "validate",
    "validate_degrees",
    "validate_moments",
]

_HOME = {
    "BatchResult": "fastreg.many",
    "ElasticNet": "fastreg.estimators",
    "ElasticNetCV": "fastreg.estimators",
    "InformationCriteria": "fastreg.criteria",
    "Lasso": "fastreg.estimators",
    "LassoCV": "fastreg.estimators",
    "Moments": "fastreg.moments",
    "PathResult": "fastreg.result",
    "PolynomialBasis": "fastreg.polynomial",
    "PolynomialRegression": "fastreg.estimators",
    "ProblemStatus": "fastreg.many",
    "RelaxedPath": "fastreg.relaxed",
    "Result": "fastreg.result",
    "Ridge": "fastreg.estimators",
    "RidgeCV": "fastreg.estimators",
    "RidgePathResult": "fastreg.ridge_grid",
    "Score": "fastreg.validation.scores",
    "Settings": "fastreg.settings",
    "StabilitySelection": "fastreg.stability",
    "Status": "fastreg.result",
    "ValidationResult": "fastreg.validation.result",
    "alpha_grid": "fastreg.grid",
    "alpha_max": "fastreg.grid",
    "enet_path": "fastreg.estimators",
    "information_criteria": "fastreg.criteria",
    "lasso_path": "fastreg.estimators",
    "relax": "fastreg.relaxed",
    "ridge_path": "fastreg.ridge_grid",
    "solve": "fastreg.api",
    "solve_groups": "fastreg.frames",
    "solve_many": "fastreg.many",
    "solve_path": "fastreg.api",
    "stability_selection": "fastreg.stability",
    "validate": "fastreg.validation.run",
    "validate_degrees": "fastreg.validation.degrees",
    "validate_moments": "fastreg.validation.moments",
}


def get_include() -> str:
    """Return the folder with `fastreg.h`, the header of the C-level API.

    What the API offers, and its rules, are written down in `fastreg/cython_api.pxd`. Cython needs
    no header: ``from fastreg.cython_api cimport gram_solve``.

    Returns
    -------
    str
        For the include path of a C compiler.
    """
    from pathlib import Path

    return str(Path(__file__).resolve().parent / "include")


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
