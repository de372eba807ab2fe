"""Read Matrix Market files.

`scipy.io.mmread` reads them faster, but crashes the interpreter on some truncated files, and a
command line must answer a damaged file with a sentence.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: A sparse matrix takes memory for every row and every column, even for those without entries.
MOST_ROWS, MOST_COLUMNS = 10**8, 10**7

_LAYOUTS = ("coordinate", "array")
_FIELDS = ("real", "double", "integer", "pattern")
_SYMMETRIES = {"general": 0.0, "symmetric": 1.0, "skew-symmetric": -1.0}


def parse(raw: bytes) -> Any:
    """Parse the contents of a Matrix Market file.

    Returns
    -------
    scipy.sparse.csc_array or ndarray of shape (n_rows, n_columns)
        As the file has coordinates or an array.

    Raises
    ------
    ValueError
        With a short reason, if the contents are not what the format says.
    """
    banner, _, rest = raw.partition(b"\n")
    words = banner.decode("ascii", "replace").lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        raise ValueError("it does not begin with '%%MatrixMarket matrix'")
    layout, field, symmetry = words[2:]
    if layout not in _LAYOUTS or field not in _FIELDS or symmetry not in _SYMMETRIES:
        raise ValueError(f"{layout} {field} {symmetry} matrices are not supported")
    while True:
        line, _, rest = rest.partition(b"\n")
        if line.strip() and not line.startswith(b"%"):
            break
        if not rest:
            raise ValueError("the size is missing")
    size = [int(word) for word in line.split()]
    if len(size) != (3 if layout == "coordinate" else 2) or min(size) < 0:
        raise ValueError("the size is not readable")
    if size[0] > MOST_ROWS or size[1] > MOST_COLUMNS:
        raise ValueError(f"more than {MOST_ROWS} rows or {MOST_COLUMNS} columns are not supported")
    if layout == "coordinate":
        return _coordinates(rest, size, field, _SYMMETRIES[symmetry])
    return _array(rest, size, _SYMMETRIES[symmetry])


def _coordinates(
    text: bytes, size: list[int], field: str, mirror: float
) -> "sparse.csc_array[Any]":
    n_rows, n_columns, n_entries = size
    entries = _numbers(text, 2 if field == "pattern" else 3)
    if len(entries) != n_entries:
        raise ValueError(f"{n_entries} entries are announced, and there are {len(entries)}")
    index = entries[:, :2] - 1.0
    if not (np.all(index == np.floor(index)) and np.all(index >= 0.0)):
        raise ValueError("an index is not a whole number from 1 on")
    if not np.all(index < [n_rows, n_columns]):
        raise ValueError("an index is outside the matrix")
    row, column = index.astype(np.int64).T
    value = np.ones(len(entries)) if field == "pattern" else entries[:, 2]
    if mirror:
        off = row != column
        row, column = np.append(row, column[off]), np.append(column, row[off])
        value = np.append(value, mirror * value[off])
        if n_rows != n_columns:
            raise ValueError("a symmetric matrix must be square")
    return sparse.csc_array((value, (row, column)), shape=(n_rows, n_columns))


def _array(text: bytes, size: list[int], mirror: float) -> NDArray[np.float64]:
    n_rows, n_columns = size
    values = _numbers(text, 1).ravel()
    if not mirror:
        if len(values) != n_rows * n_columns:
            raise ValueError(f"{n_rows * n_columns} values are needed, and there are {len(values)}")
        return values.reshape((n_rows, n_columns), order="F")
    first = 0 if mirror > 0.0 else 1  # a skew-symmetric matrix has no diagonal
    if n_rows != n_columns or 2 * len(values) != n_rows * (n_rows + 1 - 2 * first):
        raise ValueError("there are too many or too few values for a symmetric matrix")
    column, row = np.triu_indices(n_rows, first)  # the lower triangle by columns
    matrix = np.zeros((n_rows, n_columns))
    matrix[column, row] = mirror * values
    matrix[row, column] = values
    return matrix


def _numbers(text: bytes, n_columns: int) -> NDArray[np.float64]:
    if not text.strip():
        return np.empty((0, n_columns))
    numbers = np.loadtxt(io.BytesIO(text), comments="%", ndmin=2)
    if numbers.shape[1] != n_columns:
        raise ValueError(f"a line has {numbers.shape[1]} numbers, not {n_columns}")
    return numbers
