"""What a data file holds: named columns or a sparse matrix, and vectors beside it.

Which vector is the target, and which the weights, is decided by `Table.split_off` after reading,
because every format has its own way of saying it.
"""

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastreg.cli import cells, matrixmarket
from fastreg.cli.errors import UserError, count, did_you_mean, first_line

if TYPE_CHECKING:
    from scipy import sparse

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The contents of a data file.

    Attributes
    ----------
    source : str
        The file, as the user called it.
    frame : polars.DataFrame or None
        Named columns, or
    matrix : scipy.sparse.csc_array or None
        a sparse matrix: exactly one of the two.
    positions : ndarray of int or None
        Where the columns of the matrix are in the file; None: one after the other.
    file_width : int or None
        The number of columns of the matrix in the file; None: as many as there are.
    vectors : dict
        Vectors beside a matrix: ``{"y": ...}`` of an svmlight or npz file.
    default_target : str or None
        The name of the target when the user need not give one.
    """

    source: str
    frame: pl.DataFrame | None = None
    matrix: "sparse.csc_array | None" = None
    positions: NDArray[np.intp] | None = None
    file_width: int | None = None
    vectors: dict[str, Floats] = field(default_factory=dict)
    default_target: str | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self.frame.height if self.frame is not None else int(cast(Any, self.matrix).shape[0])

    @property
    def n_columns_of_file(self) -> int:
        """The number of columns of the matrix in the file."""
        width = int(cast(Any, self.matrix).shape[1])
        return width if self.file_width is None else self.file_width

    @property
    def columns_of_file(self) -> NDArray[np.intp]:
        """Where each column of the matrix is in the file."""
        if self.positions is not None:
            return self.positions
        return np.arange(self.n_columns_of_file, dtype=np.intp)

    def split_off(self, reference: str | None, option: str) -> tuple[str, Floats, "Table"]:
        """Take one vector, the target or the weights, out of the table.

        Parameters
        ----------
        reference : str or None
            A column's name, the name of an array, the index of a column of a matrix (0 is the
            first, -1 the last), or a file with one number per row.
        option : str
            The option that the user gave, for messages.

        Returns
        -------
        name : str
        values : ndarray of shape (n_rows,)
        rest : Table
        """
        reference = self.default_target if reference is None else reference
        if reference is None:
            raise UserError(f"which column of {self.source} is the target? Say so with {option}")
        if reference in self.vectors:
            others = {name: v for name, v in self.vectors.items() if name != reference}
            return reference, self.vectors[reference], replace(self, vectors=others)
        if self.frame is not None and reference in self.frame.columns:
            values = _numbers(self.frame.get_column(reference), f"{option} {reference}")
            return reference, values, replace(self, frame=self.frame.drop(reference))
        if self.matrix is not None and reference.lstrip("-").isdecimal():
            return self._split_off_column(int(reference), option)
        if Path(reference).is_file():
            return Path(reference).name, self._vector_file(reference, option), self
        names = [*self.vectors, *(self.frame.columns if self.frame is not None else ())]
        what = "column" if self.matrix is None else "column index, array or file"
        raise UserError(
            f"{option}: {self.source} has no {what} {reference!r}{did_you_mean(reference, names)}"
        )

    def split_off_labels(self, reference: str, option: str) -> tuple[NDArray[Any], "Table"]:
        """Take a column of labels, numbers or text, out of the table; see `split_off`."""
        if self.frame is None or reference not in self.frame.columns:
            _, values, rest = self.split_off(reference, option)
            return values, rest
        labels = self.frame.get_column(reference)
        if labels.null_count():
            rows = count(labels.null_count(), "row")
            raise UserError(f"{option} {reference}: the value is missing in {rows}")
        try:
            codes = labels.rank("dense").to_numpy()
        except pl.exceptions.PolarsError as error:
            raise UserError(f"{option} {reference}: these are no labels") from error
        return codes, replace(self, frame=self.frame.drop(reference))

    def _split_off_column(self, index: int, option: str) -> tuple[str, Floats, "Table"]:
        matrix: Any = self.matrix
        width, positions = self.n_columns_of_file, self.columns_of_file
        if not -width <= index < width:
            raise UserError(
                f"{option} {index}: {self.source} has {count(width, 'column')},"
                f" so the index runs from 0 to {width - 1}, or from -{width} to -1"
            )
        index %= width
        if index not in positions:
            raise UserError(f"{option} {index}: this column is already used for something else")
        values = np.asarray(matrix[:, positions == index].toarray(), dtype=np.float64).ravel()
        rest = positions != index
        return (
            f"x{index}",
            values,
            replace(self, matrix=matrix[:, rest], positions=positions[rest], file_width=width),
        )

    def _vector_file(self, path: str, option: str) -> Floats:
        values = read_vector(path)
        if len(values) != self.n_rows:
            raise UserError(
                f"{option}: {path} holds {count(len(values), 'number')},"
                f" but {self.source} has {count(self.n_rows, 'row')}"
            )
        return values

    def categorical(self, names: Sequence[str]) -> "Table":
        """Take columns for text, whatever they hold."""
        if not names:
            return self
        frame = self._named("--categorical", names)
        text = pl.col(list(dict.fromkeys(names))).cast(pl.String).cast(pl.Categorical)
        try:
            return replace(self, frame=frame.with_columns(text))
        except pl.exceptions.PolarsError as error:
            raise UserError(f"--categorical: {first_line(error)}") from error

    def without(self, names: Sequence[str]) -> "Table":
        """Leave named columns out."""
        if not names:
            return self
        frame = self._named("--drop", names)
        return replace(self, frame=frame.drop(list(dict.fromkeys(names))))

    def _named(self, option: str, names: Sequence[str]) -> pl.DataFrame:
        """Give the frame, which must have these columns."""
        if self.frame is None:
            raise UserError(
                f"{option} works on named columns, and {self.source} is a sparse matrix"
            )
        for name in names:
            if name not in self.frame.columns:
                near = did_you_mean(name, self.frame.columns)
                raise UserError(f"{option}: {self.source} has no column {name!r}{near}")
        return self.frame


def read_bytes(path: Path) -> bytes:
    """Read a whole file; a gzip file is unpacked, whatever its name."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path} is a damaged gzip file: {first_line(error)}") from error
    if not raw.strip():
        raise UserError(f"{path} is empty")
    return raw


def read_mtx(raw: bytes, source: str) -> Any:
    """Read a Matrix Market file: a sparse array or an ndarray."""
    try:
        return matrixmarket.parse(raw)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{source} is not a Matrix Market file: {first_line(error)}") from error


def read_vector(path: str) -> Floats:
    """Read one number per row from a text, .npy or Matrix Market file."""
    raw = read_bytes(Path(path))
    if path.endswith((".mtx", ".mtx.gz")):
        matrix = read_mtx(raw, path)
        values = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    else:
        try:
            if path.endswith(".npy"):
                values = np.load(io.BytesIO(raw), allow_pickle=False)
            else:
                values = np.loadtxt(io.BytesIO(raw), ndmin=1)
            values = np.asarray(values, dtype=np.float64)
        except (ValueError, TypeError, EOFError) as error:
            raise UserError(f"{path} does not hold one number per row") from error
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if values.ndim != 1 or not np.isfinite(values).all():
        raise UserError(f"{path} does not hold one finite number per row")
    return np.asarray(values, dtype=np.float64)


def _numbers(column: pl.Series, what: str) -> Floats:
    """Turn a column without missing values into numbers."""
    if column.null_count() == len(column):
        raise UserError(f"{what}: the column is empty")
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        if isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
            value, place = cells.first_that_is_no_number(column.cast(pl.String))
            holds = f"holds {value} in {place}{cells.hint(value)}" if value else "is text"
            kinds = column.drop_nulls().unique().cast(pl.String).sort().to_list()
            if len(kinds) == 2:
                holds += f" (two kinds, {kinds[0]!r} and {kinds[1]!r}? Write 0 and 1)"
        else:
            holds = f"is of type {column.dtype}"
        raise UserError(f"{what}: numbers are needed, and the column {holds}")
    values = column.cast(pl.Float64).to_numpy()
    missing = int(np.isnan(values).sum())
    if missing:
        rows = count(missing, "row")
        raise UserError(f"{what}: the value is missing in {rows}; leave them out of the file")
    if not np.isfinite(values).all():
        raise UserError(f"{what}: the column holds infinite values")
    return np.array(values, dtype=np.float64)
