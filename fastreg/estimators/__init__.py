"""scikit-learn's Lasso, ElasticNet, Ridge, their CV classes and paths; PolynomialRegression.

All are solved by fastreg. The classes and functions of scikit-learn's names take its arguments, in
its scaling, and have its attributes, shapes, dtypes and errors. They solve with
:func:`fastreg.solve`, and keep its result, with the certificate, in ``result_``. This package is
the only part of fastreg that imports scikit-learn, and the only one that warns: once for a fit that
did not reach its tolerance.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:  # pragma: no cover - needs an environment without scikit-learn
    raise ImportError(
        "fastreg.estimators needs scikit-learn 1.6 or newer: "
        "install fastreg-solvers with its extra 'sklearn'."
    ) from error

from fastreg.estimators._cross_validation import ElasticNetCV, LassoCV
from fastreg.estimators._elastic_net import ElasticNet, Lasso
from fastreg.estimators._path import enet_path, lasso_path
from fastreg.estimators._polynomial import PolynomialRegression
from fastreg.estimators._ridge import Ridge
from fastreg.estimators._ridge_cv import RidgeCV

__all__ = [
    "ElasticNet",
    "ElasticNetCV",
    "Lasso",
    "LassoCV",
    "PolynomialRegression",
    "Ridge",
    "RidgeCV",
    "enet_path",
    "lasso_path",
]
