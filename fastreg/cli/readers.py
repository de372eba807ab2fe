"""Read a data file of any known format into a `Table`."""

import csv
import gzip
import io
import json
import os
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from fastreg.cli import matrixmarket
from fastreg.cli.cells import tidy
from fastreg.cli.errors import UserError, count, did_you_mean, first_line, require
from fastreg.cli.tables import Table, read_bytes, read_mtx

#: What counts as a missing value in a text file.
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "?")

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
    ".mtx": "mtx",
}
#: What may stand between the values of a text file, the usual first.
_SEPARATORS = {"csv": ",;\t|", "tsv": "\t"}
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, SyntaxError)
FORMATS = tuple(dict.fromkeys(_SUFFIXES.values()))


def catalogue() -> dict[str, dict[str, str]]:
    """Describe the data sets that are shipped with the package, by name."""
    text = files("fastreg").joinpath("data/catalogue.json").read_text(encoding="utf-8")
    return cast(dict[str, dict[str, str]], json.loads(text))


def read_shipped(name: str) -> bytes:
    """Read a shipped data set as CSV text.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    shipped = catalogue()
    if name not in shipped:
        near = did_you_mean(name, shipped)
        raise UserError(f"no data set {name!r} is shipped with fastreg{near}")
    return gzip.decompress(files("fastreg").joinpath("data", shipped[name]["file"]).read_bytes())


def read_table(
    source: str, file_format: str | None = None, *, decimal_comma: bool = False
) -> Table:
    """Read a data file, or a shipped data set that is named like ``@bikes``.

    Parameters
    ----------
    source : str
        A path or ``@name``.
    file_format : str, optional
        One of `FORMATS`; told from the file's name by default.
    decimal_comma : bool
        Whether the numbers of a text file are written with a comma.

    Raises
    ------
    UserError
        If the file cannot be read or holds nothing that can be fitted.
    """
    if source.startswith("@"):
        table = _read_csv(read_shipped(source[1:]), source)
        return replace(table, default_target=catalogue()[source[1:]]["target"])
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{source} is a directory, not a file")
    file_format = file_format or _format_of(path)
    if decimal_comma:
        if file_format not in _SEPARATORS:
            raise UserError(f"--decimal-comma is for csv and tsv files, and {source} is none")
        table = _read_csv(read_bytes(path), source, _SEPARATORS[file_format], decimal_comma=True)
    else:
        table = _READERS[file_format](read_bytes(path), source)
    if table.n_rows == 0:
        raise UserError(f"{source} has no rows of data")
    return table


def _format_of(path: Path) -> str:
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending not in _SUFFIXES:
        known = " ".join(_SUFFIXES)
        raise UserError(
            f"{path}: the format cannot be told from the name; the known endings are {known}"
            " (and these with .gz), or say --format"
        )
    return _SUFFIXES[ending]


def _read_csv(
    raw: bytes, source: str, separators: str = _SEPARATORS["csv"], *, decimal_comma: bool = False
) -> Table:
    """Read a text file; of the separators, the first one that is in its row of names counts."""
    raw = raw.strip(b"\r\n")
    header = re.sub(rb'"[^"]*"', b"", raw).split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = next((mark for mark in separators if mark in header), separators[0])
    try:
        names = [name.strip() for name in next(_rows(raw, separator))]
    except UnicodeDecodeError as error:
        raise UserError(f"{source} is not a text file in UTF-8") from error
    except (csv.Error, StopIteration) as error:
        raise UserError(f"{source} does not begin with a row of names") from error
    _refuse_doubles(names, source)
    try:
        frame = pl.read_csv(
            io.BytesIO(raw),
            separator=separator,
            decimal_comma=decimal_comma,
            null_values=list(MISSING),
            infer_schema_length=None,
        )
    except pl.exceptions.PolarsError as error:
        reason = _longest_row(raw, separator, len(names)) or first_line(error)
        raise UserError(f"{source} is not a well-formed table: {reason}") from error
    if frame.width == len(names):
        frame.columns = names
    if frame.width > 1:  # empty lines, and lines of separators alone
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    tidied = [tidy(column, MISSING, decimal_comma=decimal_comma) for column in frame]
    return Table(source=source, frame=frame.with_columns(tidied))


def _rows(raw: bytes, separator: str) -> Iterator[list[str]]:
    """Split a CSV file into rows; empty lines are skipped."""
    lines = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8-sig", newline="")
    return filter(None, csv.reader(lines, delimiter=separator))


def _longest_row(raw: bytes, separator: str, n_names: int) -> str:
    """Say which row is the first to have more values than there are names, if one has."""
    try:
        for number, row in enumerate(_rows(raw, separator)):
            if len(row) > n_names:
                return (
                    f"row {number} of the data has {count(len(row), 'value')}, but there"
                    f" {'is' if n_names == 1 else 'are'} {count(n_names, 'column')}"
                )
    except (UnicodeDecodeError, csv.Error):
        pass
    return ""


def _refuse_doubles(names: Sequence[str], source: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            called = f"are called {name!r}" if name else "have no name"
            raise UserError(f"{source}: two columns {called}")
        seen.add(name)


def _read_tsv(raw: bytes, source: str) -> Table:
    return _read_csv(raw, source, _SEPARATORS["tsv"])


def _read_parquet(raw: bytes, source: str) -> Table:
    try:
        with _without_panic_messages():
            frame = pl.read_parquet(io.BytesIO(raw))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise UserError(f"{source} is not a readable Parquet file: {first_line(error)}") from error
    return Table(source=source, frame=frame)


@contextmanager
def _without_panic_messages() -> Iterator[None]:
    """Keep polars from writing to standard error: a damaged file can make it panic there."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _read_npz(raw: bytes, source: str) -> Table:
    try:
        archive = np.load(io.BytesIO(raw), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{source} holds one bare array; an npz archive is needed")
        arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, LookupError, RuntimeError, *_ZIP_ERRORS) as error:
        reason = first_line(error)
        if not raw.startswith(b"PK"):
            reason = "it is not a zip archive"
        elif "pickle" in reason:
            reason = "an array holds Python objects, neither numbers nor text"
        raise UserError(f"{source} is not a readable npz file: {reason}") from error
    if {"indptr", "indices", "data", "shape", "format"} <= arrays.keys():
        return _sparse_table(sparse.load_npz(io.BytesIO(raw)), source)
    columns = _npz_columns(arrays, source)
    if not columns:
        raise UserError(f"{source} holds no array")
    if len({len(column) for column in columns.values()}) != 1:
        raise UserError(f"{source}: its arrays do not have the same number of rows")
    try:
        frame = pl.DataFrame(columns)
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{source} holds neither numbers nor text: {first_line(error)}") from error
    return Table(source=source, frame=frame, default_target="y" if "y" in columns else None)


def _npz_columns(arrays: dict[str, NDArray[Any]], source: str) -> dict[str, NDArray[Any]]:
    """Name all columns of an archive: those of its matrix, if it has one, and its vectors."""
    for name, array in arrays.items():
        if array.ndim > 2 or np.iscomplexobj(array):
            what = "complex numbers" if array.ndim <= 2 else f"{array.ndim} dimensions"
            raise UserError(f"{source}: its array {name} has {what}; vectors and a matrix are read")
    arrays = {
        name: array.astype(np.float64) if array.dtype == np.longdouble else array
        for name, array in arrays.items()
    }
    wide = [k for k, v in arrays.items() if v.ndim == 2 and (v.shape[1] != 1 or k == "X")]
    vectors = {k: v.ravel() for k, v in arrays.items() if v.ndim > 0 and k not in wide}
    if not wide:
        return vectors
    if len(wide) > 1:
        raise UserError(f"{source} has the matrices {', '.join(wide)}, and only one can be used")
    X = arrays[wide[0]]
    names = vectors.pop("feature_names", None)
    labels = [f"x{j}" for j in range(X.shape[1])] if names is None else list(map(str, names))
    if len(labels) != X.shape[1]:
        raise UserError(f"{source}: feature_names does not have one name per column of X")
    _refuse_doubles([*labels, *vectors], source)
    return {**{label: X[:, j] for j, label in enumerate(labels)}, **vectors}


def _read_svmlight(raw: bytes, source: str) -> Table:
    datasets = require("sklearn.datasets", "sklearn", f"reading {source} (svmlight)")
    try:
        matrix, y = datasets.load_svmlight_file(io.BytesIO(raw))
    except (ValueError, IndexError, OverflowError) as error:
        raise UserError(f"{source} is not a svmlight file: {first_line(error)}") from error
    if not np.isfinite(y).all():
        raise UserError(f"{source}: a target is missing or infinite")
    table = _sparse_table(matrix, source)
    return replace(table, vectors={"y": np.asarray(y, np.float64)}, default_target="y")


def _read_mtx(raw: bytes, source: str) -> Table:
    return _sparse_table(read_mtx(raw, source), source)


def _sparse_table(matrix: Any, source: str) -> Table:
    if np.iscomplexobj(matrix):
        raise UserError(f"{source} holds complex numbers")
    if matrix.shape[1] > matrixmarket.MOST_COLUMNS:
        raise UserError(
            f"{source} has {matrix.shape[1]} columns, and {matrixmarket.MOST_COLUMNS} are the most"
            " that are read; number the features without gaps"
        )
    design = sparse.csc_array(matrix, dtype=np.float64)
    if not np.isfinite(design.data).all():
        raise UserError(f"{source} holds missing or infinite values")
    return Table(source=source, matrix=design)


_READERS: dict[str, Callable[[bytes, str], Table]] = {
    "csv": _read_csv,
    "tsv": _read_tsv,
    "parquet": _read_parquet,
    "npz": _read_npz,
    "svmlight": _read_svmlight,
    "mtx": _read_mtx,
}
