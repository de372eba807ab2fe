"""Which rows are held out when, whatever form the user says it in.

Folds that partition the rows are kept as one number a row: every row is held out exactly once and
trained on in all other folds. That is what the ways need that share work between folds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastreg.inputs import Array, as_generator, as_labels

Rows: TypeAlias = npt.NDArray[np.intp]

_DEFAULT = 5


@dataclass(frozen=True)
class Folds:
    """Rows held out and rows trained on, for every fold.

    Attributes
    ----------
    n_samples : int
    test : tuple of int arrays
        Rows held out, increasing where fastreg made the folds.
    train : tuple of int arrays or None
        Rows trained on; a row that is listed twice counts twice. None stands for all rows that are
        not held out.
    assignment : int array of shape (n_samples,), or None
        The fold that holds out each row, where the folds are a partition: each row is held out
        exactly once, and each fold trains on all other rows.
    """

    n_samples: int
    test: tuple[Rows, ...]
    train: tuple[Rows | None, ...]
    assignment: npt.NDArray[np.int32] | None

    def __len__(self) -> int:
        """Return the number of folds."""
        return len(self.test)

    def training_weight(self, k: int, weight: Array) -> Array:
        """Return the weights of all rows for the fit of a fold: zero for those it leaves out."""
        train = self.train[k]
        if train is None:
            own = weight.copy()
            own[self.test[k]] = 0.0
            return own
        return weight * np.bincount(train, minlength=self.n_samples)

    def train_rows(self, k: int) -> Rows:
        """Return the rows that a fold is fitted to."""
        train = self.train[k]
        if train is not None:
            return train
        left = np.ones(self.n_samples, dtype=bool)
        left[self.test[k]] = False
        return np.flatnonzero(left)

    def require_weight(self, weight: Array) -> None:
        """Refuse folds that have nothing to be fitted to, or nothing to be measured on."""
        everywhere = np.count_nonzero(weight)
        for k, (test, train) in enumerate(zip(self.test, self.train, strict=True)):
            held = np.count_nonzero(weight[test])
            if held == 0:
                raise ValueError(f"all held-out rows of fold {k} have sample_weight 0")
            if held == everywhere if train is None else not weight[train].any():
                raise ValueError(f"all rows that fold {k} trains on have sample_weight 0")


def make_folds(
    X: Any,
    y: Any,
    *,
    cv: Any = _DEFAULT,
    foldid: Any = None,
    groups: Any = None,
    stratify: Any = None,
    time_ordered: bool = False,
    shuffle: bool = False,
    random_state: Any = None,
) -> Folds:
    """Return the folds that the arguments describe.

    Parameters
    ----------
    X, y
        The data; y has a row for each sample. Passed on to a splitter, otherwise only counted.
    cv : int, float, splitter or iterable, default 5
        - int K: K folds of neighbouring rows, the first n mod K of them one row longer.
        - float in (0, 1): one fold, which holds out that share of the rows, the last ones.
        - an object with ``split(X, y, groups)``, scikit-learn's splitters for example.
        - an iterable of pairs (train, test) of row indices or of masks.
        - Folds, which are returned as they are.
    foldid : array of shape (n_samples,), optional
        In place of cv: an integer for each row. Each distinct value is a fold that holds out its
        rows; rows with a negative value are trained on in every fold.
    groups : array of shape (n_samples,), optional
        Rows of one group stay together. Groups go, largest first, to the fold with the fewest rows
        so far (for a share: are held out, in their order, until it is reached).
    stratify : array of shape (n_samples,), optional
        Labels; every fold gets its share of the rows of each label.
    time_ordered : bool, default False
        Rows are in the order of time, and every fold trains on the rows before those that it
        holds out: K blocks of n // (K + 1) rows at the end, one after the other.
    shuffle : bool, default False
        Whether to draw rows (or groups) at random instead of taking them in order.
    random_state : int, numpy.random.Generator or RandomState, optional
        Makes shuffling reproducible.

    Returns
    -------
    Folds

    Raises
    ------
    TypeError, ValueError
        If an argument is not acceptable, or a fold is empty, points outside of the rows or trains
        on what it holds out.
    """
    n = int(np.shape(y)[0])
    if isinstance(cv, Folds):
        if cv.n_samples != n:
            raise ValueError(f"cv holds folds of {cv.n_samples} rows, but y has {n}")
        return cv
    options = {"groups": groups, "stratify": stratify}
    given: dict[str, Any] = {
        name: as_labels(name, value, n) for name, value in options.items() if value is not None
    }
    for name, flag in (("time_ordered", time_ordered), ("shuffle", shuffle)):
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, got {flag!r}")
        if flag:
            given[name] = flag
    if random_state is not None and not shuffle:
        raise ValueError("random_state has an effect only with shuffle=True")
    if foldid is not None:
        if not (cv is None or (isinstance(cv, int) and cv == _DEFAULT)):
            raise ValueError("give cv or foldid, not both")
        _refuse("foldid", given)
        return _from_foldid(foldid, n)
    cv = _DEFAULT if cv is None else cv
    no_rows = isinstance(cv, np.ndarray) and cv.ndim == 0
    if no_rows or isinstance(cv, (bool, np.bool_, str, bytes, type)):
        raise TypeError(f"cv must be an integer, a share, a splitter or pairs of rows, got {cv!r}")
    if isinstance(cv, (int, np.integer, float, np.floating)):
        for one, other in (("groups", "stratify"), ("time_ordered", "shuffle")):
            if one in given and other in given:
                raise ValueError(f"{one} and {other} do not go together; make the folds yourself")
        if "time_ordered" in given and len(given) > 1:
            raise ValueError("time_ordered goes with neither groups nor stratify")
        generator = as_generator(random_state) if shuffle else None
        whole = isinstance(cv, (int, np.integer))
        made = _k_folds if whole else _holdout
        return made(cv, n, given.get("groups"), given.get("stratify"), time_ordered, generator)
    if hasattr(cv, "split"):
        _refuse("a splitter", {name: given[name] for name in given if name in _OWN})
        return folds_from_pairs(cv.split(X, y if stratify is None else stratify, groups), n)
    if isinstance(cv, Iterable):
        _refuse("pairs of rows", given)
        return folds_from_pairs(cv, n)
    raise TypeError(f"cv must be an integer, a share, a splitter or pairs of rows, got {cv!r}")


_OWN = ("time_ordered", "shuffle")  # what a splitter has its own way of saying


def _refuse(what: str, given: dict[str, Any]) -> None:
    """Refuse options that would have no effect."""
    if given:
        raise ValueError(f"{next(iter(given))} has no effect with {what}")


def _from_assignment(assignment: npt.NDArray[np.integer[Any]], n_folds: int) -> Folds:
    """Return a partition."""
    own: npt.NDArray[np.int32] = assignment.astype(np.int32, copy=False)
    in_order = bool((own[1:] >= own[:-1]).all())
    order = np.arange(len(own)) if in_order else np.argsort(own, kind="stable")
    ends = np.cumsum(np.bincount(own, minlength=n_folds))[:-1]
    return Folds(len(own), tuple(np.split(order, ends)), (None,) * n_folds, own)


def _from_foldid(foldid: Any, n: int) -> Folds:
    array = np.asarray(foldid)
    if array.shape != (n,):
        raise ValueError(f"foldid must have shape ({n},) as y has rows, got {array.shape}")
    if array.dtype.kind not in "iu" and not (
        array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.rint(array)).all()
    ):
        raise TypeError(f"foldid must hold integers, got {array.dtype}")
    values = np.unique(array[array >= 0])
    if len(values) == 0:
        raise ValueError("foldid holds out no row: all values are negative")
    if len(values) == 1 and (array >= 0).all():
        raise ValueError("foldid must have at least two distinct values")
    if (array < 0).any():
        test = tuple(np.flatnonzero(array == value) for value in values)
        return Folds(n, test, (None,) * len(test), None)
    return _from_assignment(np.searchsorted(values, array), len(values))


def _k_folds(
    cv: Any,
    n: int,
    groups: Rows | None,
    stratify: Rows | None,
    time_ordered: bool,
    generator: np.random.Generator | None,
) -> Folds:
    k = int(cv)
    if k < 2:
        raise ValueError(f"cv must be at least 2 folds, got {k}")
    if time_ordered:
        size = n // (k + 1)
        if size == 0:
            raise ValueError(f"cv={k} with time_ordered needs at least {k + 1} rows, got {n}")
        starts = [n - (k - i) * size for i in range(k)]
        test = tuple(np.arange(start, start + size) for start in starts)
        return Folds(n, test, tuple(np.arange(start) for start in starts), None)
    if k > n:
        raise ValueError(f"cv={k} folds need as many rows, got {n}")
    if groups is not None:
        return _from_assignment(_balanced(groups, k, generator)[groups], k)
    if stratify is not None:
        return _from_assignment(_dealt(stratify, k, generator), k)
    blocks = np.repeat(np.arange(k), [n // k + (i < n % k) for i in range(k)])
    if generator is None:
        return _from_assignment(blocks, k)
    assignment = np.empty(n, dtype=np.intp)
    assignment[generator.permutation(n)] = blocks
    return _from_assignment(assignment, k)


def _balanced(groups: Rows, k: int, generator: np.random.Generator | None) -> Rows:
    """Return the fold of each group: largest first, to the fold with the fewest rows so far."""
    sizes = np.bincount(groups)
    if len(sizes) < k:
        raise ValueError(f"cv={k} folds need as many groups, got {len(sizes)}")
    if generator is None:
        order = np.argsort(-sizes, kind="stable")
    else:
        order = generator.permutation(len(sizes))
        order = order[np.argsort(-sizes[order], kind="stable")]
    rows, fold = np.zeros(k, dtype=np.intp), np.empty(len(sizes), dtype=np.intp)
    for group in order:
        fold[group] = np.argmin(rows)
        rows[fold[group]] += sizes[group]
    return fold


def _dealt(labels: Rows, k: int, generator: np.random.Generator | None) -> Rows:
    """Return the fold of each row: the rows of a label are spread as evenly as it goes.

    Rows sorted by label are dealt to the folds in turn, which says how many of each label a fold
    gets; which ones is decided in their order, or at random.
    """
    assignment = np.empty(len(labels), dtype=np.intp)
    begin = 0
    for size, rows in _by_label(labels):
        turns = np.sort(np.arange(begin, begin + size) % k)
        assignment[rows] = turns if generator is None else generator.permutation(turns)
        begin += size
    return assignment


def _by_label(labels: Rows) -> list[tuple[int, Rows]]:
    """Return the number of rows of each label, and these rows."""
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    return [(len(part), part) for part in parts]


def _holdout(
    cv: Any,
    n: int,
    groups: Rows | None,
    stratify: Rows | None,
    time_ordered: bool,
    generator: np.random.Generator | None,
) -> Folds:
    share = float(cv)
    if not 0.0 < share < 1.0:
        raise ValueError(f"cv as a share of the rows must be in (0, 1), got {cv!r}")
    if groups is not None:
        test = _held_groups(groups, share, generator)
    elif stratify is not None:
        parts, of_label = [], _by_label(stratify)
        for count, (size, rows) in zip(_apportion(share, of_label, n), of_label, strict=True):
            rows = rows if generator is None else generator.permutation(rows)
            parts.append(rows[size - count :])
        test = np.concatenate(parts)
    else:
        rows = np.arange(n) if generator is None else generator.permutation(n)
        test = rows[n - max(1, round(share * n)) :]
    if len(test) in (0, n):
        left = "hold out" if len(test) == 0 else "train on"
        raise ValueError(f"cv={cv!r} leaves no row to {left}, of {n}")
    return Folds(n, (np.sort(test),), (None,), None)


def _apportion(share: float, of_label: list[tuple[int, Rows]], n: int) -> list[int]:
    """Return how many rows of each label are held out: together as many as without labels."""
    exact = share * np.array([size for size, _ in of_label])
    count = np.floor(exact).astype(np.intp)
    short = max(1, round(share * n)) - int(count.sum())
    count[np.argsort(count - exact, kind="stable")[:short]] += 1
    return [int(number) for number in count]


def _held_groups(groups: Rows, share: float, generator: np.random.Generator | None) -> Rows:
    """Return the rows of the last groups that reach the share."""
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise ValueError(f"holding out groups needs at least two of them, got {len(sizes)}")
    order = np.arange(len(sizes)) if generator is None else generator.permutation(len(sizes))
    held = np.cumsum(sizes[order[::-1]])
    count = int(np.searchsorted(held, round(share * len(groups)))) + 1
    return np.flatnonzero(np.isin(groups, order[::-1][: min(count, len(sizes) - 1)]))


def folds_from_pairs(pairs: Any, n: int, *, overlap: bool = False) -> Folds:
    """Return the folds of pairs (train, test), which may be a partition all the same.

    With `overlap` a fold may train on rows that it holds out.
    """
    test, train = [], []
    for k, pair in enumerate(pairs):
        try:
            first, second = pair
        except (TypeError, ValueError):
            raise TypeError(f"fold {k} must be a pair (train, test) of row indices") from None
        train.append(_rows(first, n, f"training rows of fold {k}"))
        test.append(_rows(second, n, f"held-out rows of fold {k}"))
        seen = np.zeros(n, dtype=bool)
        seen[test[k]] = True
        if np.count_nonzero(seen) < len(test[k]):
            raise ValueError(f"fold {k} holds out a row twice")
        both = train[k][seen[train[k]]]
        if len(both) and not overlap:
            raise ValueError(f"fold {k} trains on row {both[0]}, which it holds out")
    if not test:
        raise ValueError("cv must have at least one fold")
    if not _is_partition(train, test, n):
        return Folds(n, tuple(test), tuple(train), None)
    assignment = np.empty(n, dtype=np.int32)
    for k, rows in enumerate(test):
        assignment[rows] = k
    return _from_assignment(assignment, len(test))


def _is_partition(train: list[Rows], test: list[Rows], n: int) -> bool:
    if sum(map(len, test)) != n or not np.bincount(np.concatenate(test), minlength=n).all():
        return False
    for rows, held in zip(train, test, strict=True):
        if len(rows) + len(held) != n:
            return False
        seen = np.zeros(n, dtype=bool)
        seen[rows] = seen[held] = True
        if not seen.all():
            return False
    return True


def _rows(given: Any, n: int, what: str) -> Rows:
    """Return row indices within bounds; masks are accepted."""
    array = np.asarray(given)
    if array.dtype == np.bool_ and array.shape == (n,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(f"the {what} must be a vector of row indices")
    if array.size == 0:
        raise ValueError(f"there are no {what}")
    if array.min() < 0 or array.max() >= n:
        bad = array[(array < 0) | (array >= n)][0]
        raise ValueError(f"the {what} have the index {bad}, out of range for {n} rows")
    return array.astype(np.intp, copy=False)
