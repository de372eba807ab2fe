"""Pictures of results; needs matplotlib (extra ``cli``).

Design
------
The displays follow scikit-learn's: ``from_result`` computes and draws, ``plot`` draws again, and
what was drawn is in the attributes with a trailing underscore. Nothing here touches pyplot or
rcParams: a figure that is not given is made with `matplotlib.figure.Figure` and belongs to nobody
else, and every size and colour is said where it is used. Names of features are drawn as they are,
never read as mathematics.
"""

from importlib.util import find_spec

if find_spec("matplotlib") is None:
    raise ImportError(
        "fastreg.plotting needs matplotlib: pip install 'fastreg-solvers[cli]' brings it"
    )

from fastreg.plotting._compare import ErrorCurve, ErrorCurvesDisplay, comparison_figure
from fastreg.plotting._drawing import save_figure
from fastreg.plotting._paths import CoefficientPathDisplay
from fastreg.plotting._penalties import PenaltyDisplay
from fastreg.plotting._polynomial import PolynomialFitDisplay
from fastreg.plotting._small import small_png
from fastreg.plotting._sparsity import SparsityDisplay
from fastreg.plotting._stability import StabilityDisplay
from fastreg.plotting._validation import ValidationCurveDisplay

__all__ = [
    "CoefficientPathDisplay",
    "ErrorCurve",
    "ErrorCurvesDisplay",
    "PenaltyDisplay",
    "PolynomialFitDisplay",
    "SparsityDisplay",
    "StabilityDisplay",
    "ValidationCurveDisplay",
    "comparison_figure",
    "save_figure",
    "small_png",
]
