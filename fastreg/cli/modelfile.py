"""Models in a file: a checked line, then JSON.

Design
------
The first line is ``fastreg model 1 sha256=...``: what it is, the version of the format, and the
digest of every byte after that line. The rest is JSON, so that a model can be read by eye and by
any program, and so that loading one never runs code. Coefficients that are zero are not written.
A file with any byte changed, lost or added is refused.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.cli.errors import UserError, count
from fastreg.cli.features import Column, Encoder
from fastreg.cli.files import write_whole
from fastreg.cli.tables import Table

Floats = NDArray[np.float64]

MAGIC = b"fastreg model "
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Model:
    """A fitted model with everything that is needed to predict from new data.

    Attributes
    ----------
    target : str
    penalty : str
        ``l1``, ``l2``, ``elasticnet`` or ``none``.
    alpha, l1_ratio, intercept : float
    encoder : Encoder or None
        Makes the features of `support`, no others; None: the model is for a sparse matrix.
    n_features : int
    support : ndarray of int
        The indices of the features with a coefficient other than zero.
    left_out : tuple of int
        Columns of a sparse matrix that are no features: the target, the weights.
    coef : ndarray of float
        Their coefficients.
    facts : dict
        How the model was made: rows, gap, errors. For reading only.
    """

    target: str
    penalty: str
    alpha: float
    l1_ratio: float
    intercept: float
    encoder: Encoder | None
    n_features: int
    support: NDArray[np.intp]
    coef: Floats
    left_out: tuple[int, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def predict(self, table: Table) -> Floats:
        """Predict the target for every row of a table.

        Raises
        ------
        UserError
            If the table does not have what the model needs.
        """
        with np.errstate(all="ignore"):
            values = self._predict(table)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values))) + 1
            raise UserError(
                f"the prediction for row {row} of {table.source} is too large for a number"
            )
        return values

    def _predict(self, table: Table) -> Floats:
        if self.encoder is None:
            return self._predict_matrix(table)
        if table.frame is None:
            raise UserError(
                f"the model was fitted to named columns, and {table.source} is a sparse matrix"
            )
        design = self.encoder.transform(table.frame)
        return np.asarray(design @ self.coef + self.intercept, dtype=np.float64)

    def _predict_matrix(self, table: Table) -> Floats:
        matrix: Any = table.matrix
        if matrix is None:
            raise UserError(
                "the model was fitted to a sparse matrix (svmlight, Matrix Market or sparse npz),"
                f" and {table.source} is a table of columns"
            )
        width = matrix.shape[1]
        if width > self.n_features:
            raise UserError(
                f"{table.source} has {count(width, 'column')}, and the model was fitted to"
                f" {self.n_features}"
            )
        if width < self.n_features and any(index < width for index in self.left_out):
            raise UserError(
                f"{table.source} has {count(width, 'column')}, and the model was fitted to"
                f" {self.n_features} of which some were left out ("
                f"{', '.join(f'x{index}' for index in self.left_out)}): predict needs them, too,"
                " to know which column is which"
            )
        inside = self.support < width  # an svmlight file ends with its last non-zero column
        values = matrix[:, self.support[inside]] @ self.coef[inside]
        return np.asarray(values + self.intercept, dtype=np.float64)


def save_model(path: str | Path, model: Model) -> None:
    """Write a model; the file is complete or not there at all.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    raw = _to_text(model).encode()
    write_whole(path, MAGIC + f"{VERSION} ".encode() + _digest(raw) + b"\n" + raw)


def load_model(path: str | Path) -> Model:
    """Read a model.

    Raises
    ------
    UserError
        If the file is not a model, is damaged or is of another version.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    return parse_model(raw, str(path))


def parse_model(raw: bytes, source: str) -> Model:
    """Read a model from the contents of a file; see `load_model`."""
    first, _, body = raw.partition(b"\n")
    if not first.startswith(MAGIC):
        raise UserError(f"{source} is not a model of fastreg")
    version, _, digest = first[len(MAGIC) :].partition(b" ")
    if version.isdigit() and version != str(VERSION).encode():
        raise UserError(
            f"{source} is a model of format version {version.decode()}, and this fastreg"
            f" reads version {VERSION}"
        )
    if not version.isdigit() or digest != _digest(body):
        raise UserError(f"{source} is damaged: its checksum does not match its contents")
    try:
        return _from_json(json.loads(body))
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RecursionError,
    ) as error:
        raise UserError(f"{source} is not a valid model: {type(error).__name__} {error}") from error


def _digest(body: bytes) -> bytes:
    return b"sha256=" + hashlib.sha256(body).hexdigest().encode()


def _to_text(model: Model) -> str:
    """Write the model as JSON, with one line for every column and every feature."""
    encoder = model.encoder
    if encoder is None:
        names, terms = [f"x{j}" for j in model.support], [[j] for j in model.support.tolist()]
    else:
        names, terms = encoder.names(), [list(term) for term in encoder.terms]
    content: dict[str, Any] = {
        "target": model.target,
        "penalty": model.penalty,
        "alpha": model.alpha,
        "l1_ratio": model.l1_ratio,
        "facts": model.facts,
        "n_features": model.n_features,
        "left_out": list(model.left_out),
        "intercept": model.intercept,
        "columns": None if encoder is None else [asdict(column) for column in encoder.columns],
        "features": [
            {"name": name, "index": index, "term": term, "coef": value}
            for name, index, term, value in zip(
                names, model.support.tolist(), terms, model.coef.tolist(), strict=True
            )
        ],
    }
    lines = []
    for key, value in content.items():
        if isinstance(value, list) and key != "left_out":
            text = "[\n  " + ",\n  ".join(map(_dump, value)) + "\n ]"
        else:
            text = _dump(value)
        lines.append(f" {_dump(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _dump(value: object) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _from_json(content: dict[str, Any]) -> Model:
    features = content["features"]
    n_features = int(content["n_features"])
    support = np.asarray([feature["index"] for feature in features], dtype=np.intp)
    coef = np.asarray([feature["coef"] for feature in features], dtype=np.float64)
    if support.size and not 0 <= support.min() <= support.max() < n_features:
        raise ValueError("a feature has an index outside the features")
    if not np.isfinite([*coef, float(content["intercept"])]).all():
        raise ValueError("a coefficient is not a finite number")
    encoder = None
    if content["columns"] is not None:
        columns = tuple(
            Column(**{**column, "levels": tuple(column["levels"])}) for column in content["columns"]
        )
        if not all(math.isfinite(column.center / column.scale) for column in columns):
            raise ValueError("a column has no scale")
        n_basics = sum(len(column.labels) for column in columns)
        terms = tuple(tuple(map(int, feature["term"])) for feature in features)
        if not all(term and 0 <= min(term) <= max(term) < n_basics for term in terms):
            raise ValueError("a feature is made of columns that do not exist")
        encoder = Encoder(columns=columns, terms=terms)
    return Model(
        target=str(content["target"]),
        penalty=str(content["penalty"]),
        alpha=float(content["alpha"]),
        l1_ratio=float(content["l1_ratio"]),
        intercept=float(content["intercept"]),
        encoder=encoder,
        n_features=n_features,
        support=support,
        coef=coef,
        left_out=tuple(map(int, content.get("left_out", ()))),
        facts=dict(content["facts"]),
    )
