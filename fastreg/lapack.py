"""Dense decompositions, without checks of their input, that Ctrl-C and a time limit can interrupt.

Python handles signals in the main thread, between its own instructions. A decomposition that takes
long is therefore handed to another thread; when the caller is interrupted or out of time, the work
ends in the background and its answer is dropped. This asks for routines that let other
threads run meanwhile: NumPy's do, SciPy's `svd` and `eigh` do not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import Any

import numpy as np
from scipy import linalg

from fastreg.inputs import Array

_LONG = 1 << 27  # multiplications from which a thread is worth starting
_ROUTINES = {
    "f": (linalg.lapack.spotrf, linalg.lapack.spocon),
    "d": (linalg.lapack.dpotrf, linalg.lapack.dpocon),
}
_deadline: ContextVar[float] = ContextVar("deadline", default=inf)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let the decompositions within raise TimeoutError when `deadline` (monotonic) has passed."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def svd(matrix: Array) -> tuple[Array, Array, Array]:
    """Return U, s, V' with matrix = U diag(s) V'."""
    U, s, Vt = _call(np.linalg.svd, matrix, full_matrices=False)
    return _array(U), _array(s), _array(Vt)


def qr(matrix: Array) -> tuple[Array, Array]:
    """Return Q with orthonormal columns and upper triangular R with matrix = Q R."""
    Q, R = _call(linalg.qr, matrix, mode="economic", check_finite=False)
    return _array(Q), _array(R)


def eigh(matrix: Array) -> tuple[Array, Array]:
    """Return the eigenvalues (increasing) and eigenvectors of a symmetric matrix."""
    values, vectors = _call(np.linalg.eigh, matrix)
    return _array(values), _array(vectors)


def cholesky(matrix: Array) -> tuple[Array, float]:
    """Return the lower Cholesky factor and the reciprocal condition number (0 if it fails).

    In the precision of the matrix, float or double.
    """
    norm = float(np.abs(matrix).sum(axis=0).max())
    potrf, pocon = _ROUTINES[matrix.dtype.char]
    factor, info = _call(potrf, matrix, lower=1, clean=1)
    if info != 0:
        return np.asarray(factor), 0.0
    rcond, _ = pocon(factor, norm, uplo="L")
    return np.asarray(factor), float(rcond)


def _array(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64)


def _call(function: Callable[..., Any], matrix: Array, **options: Any) -> Any:
    deadline = _deadline.get()
    short = matrix.size * min(matrix.shape) < _LONG
    in_main = threading.current_thread() is threading.main_thread()
    if short or not (in_main or deadline < inf):
        return function(matrix, **options)
    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(function(matrix, **options))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return answer.result(max(deadline - monotonic(), 0.0) if deadline < inf else None)
