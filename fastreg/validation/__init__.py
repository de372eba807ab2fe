"""Model validation: the strength and the mix of a penalty, chosen on rows not used for fitting.

`folds` turns what the user gives into rows to train on and rows to hold out, `scores` measures
predictions, `selection` chooses a point of the grid, `paths` fits the folds, `run` puts these
together and `result` holds what comes out.
"""

from fastreg.validation.folds import Folds, make_folds
from fastreg.validation.result import ValidationResult
from fastreg.validation.run import validate
from fastreg.validation.scores import Score
from fastreg.validation.selection import Curve

__all__ = ["Curve", "Folds", "Score", "ValidationResult", "make_folds", "validate"]
