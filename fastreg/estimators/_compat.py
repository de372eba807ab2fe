"""Every name of scikit-learn that is not documented as public, or that differs between versions.

The other modules of this package import those names from here, so that a new release of
scikit-learn touches one short file. Tested with scikit-learn 1.6 to 1.9.
"""

from typing import Any

import scipy.sparse
from sklearn import get_config
from sklearn.utils._metadata_requests import _raise_for_params, _routing_enabled
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "Interval",
    "StrOptions",
    "as_sparse_output",
    "check_sample_weight",
    "raise_for_params",
    "routing_enabled",
    "skips_parameter_validation",
    "validate_parameter_constraints",
]

check_sample_weight = _check_sample_weight
raise_for_params = _raise_for_params
routing_enabled = _routing_enabled


def skips_parameter_validation() -> bool:
    """Whether the user switched off the validation of parameters in scikit-learn's configuration.

    Returns
    -------
    bool
    """
    return bool(get_config().get("skip_parameter_validation", False))


def as_sparse_output(matrix: Any) -> Any:
    """`matrix` in the sparse interface that scikit-learn is configured to return.

    Releases before 1.9 have no such setting and return sparse matrices.

    Parameters
    ----------
    matrix : array-like of two dimensions

    Returns
    -------
    scipy.sparse.csr_matrix or scipy.sparse.csr_array
    """
    if get_config().get("sparse_interface", "spmatrix") == "sparray":
        return scipy.sparse.csr_array(matrix)
    return scipy.sparse.csr_matrix(matrix)
