"""Folds: against scikit-learn's splitters, and what is refused."""

import numpy as np
import pytest
from sklearn import model_selection

from fastreg.validation import make_folds

N = 47
X = np.zeros((N, 2))
Y = np.arange(N, dtype=float)
GROUPS = np.random.default_rng(1).integers(0, 9, N)
LABELS = np.array(list("abc"))[np.random.default_rng(2).choice(3, N, p=[0.5, 0.3, 0.2])]


def folds(**options):
    return make_folds(X, Y, **options)


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for k, (train, test) in enumerate(theirs):
        assert np.array_equal(np.sort(ours.train_rows(k)), np.sort(train))
        assert np.array_equal(np.sort(ours.test[k]), np.sort(test))


def is_partition(ours):
    assert ours.assignment is not None
    for k, rows in enumerate(ours.test):
        assert np.array_equal(np.flatnonzero(ours.assignment == k), rows)
    return True


@pytest.mark.parametrize("k", [2, 5, 10, N])
def test_k_folds_are_those_of_scikit_learn(k):
    ours = folds(cv=k)
    same(ours, list(model_selection.KFold(k).split(X)))
    assert is_partition(ours)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_time_ordered_folds_are_those_of_scikit_learn(k):
    same(folds(cv=k, time_ordered=True), list(model_selection.TimeSeriesSplit(n_splits=k).split(X)))


@pytest.mark.parametrize("k", [2, 3, 5])
def test_folds_by_label_are_as_even_as_those_of_scikit_learn(k):
    ours = folds(cv=k, stratify=LABELS)
    theirs = list(model_selection.StratifiedKFold(k).split(X, LABELS))
    same(ours, theirs)
    assert is_partition(ours)
    shuffled = folds(cv=k, stratify=LABELS, shuffle=True, random_state=0)
    assert is_partition(shuffled)
    for one, (_, rows) in zip(shuffled.test, theirs, strict=True):
        assert sorted(LABELS[one]) == sorted(LABELS[rows])


@pytest.mark.parametrize("k", [2, 3, 5, 9])
@pytest.mark.parametrize("shuffle", [False, True])
def test_groups_stay_together_and_folds_are_balanced(k, shuffle):
    ours = folds(cv=k, groups=GROUPS, shuffle=shuffle, random_state=0 if shuffle else None)
    assert is_partition(ours)
    assert all(len(set(ours.assignment[GROUPS == group])) == 1 for group in set(GROUPS))
    theirs = [len(test) for _, test in model_selection.GroupKFold(k).split(X, groups=GROUPS)]
    assert sorted(map(len, ours.test)) == sorted(theirs)


def test_shuffled_folds_are_reproducible_and_random():
    one = folds(cv=5, shuffle=True, random_state=3)
    two = folds(cv=5, shuffle=True, random_state=np.random.default_rng(3))
    other = folds(cv=5, shuffle=True, random_state=4)
    assert np.array_equal(one.assignment, two.assignment)
    assert not np.array_equal(one.assignment, other.assignment)
    assert is_partition(one)
    assert sorted(map(len, one.test)) == [9, 9, 9, 10, 10]
    legacy = folds(cv=5, shuffle=True, random_state=np.random.RandomState(3))
    assert is_partition(legacy)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_a_share_of_the_rows_is_held_out(share):
    ours = folds(cv=share)
    assert len(ours) == 1
    assert ours.assignment is None
    assert np.array_equal(ours.test[0], np.arange(N - round(share * N), N))
    assert np.array_equal(ours.train_rows(0), np.arange(N - round(share * N)))
    shuffled = folds(cv=share, shuffle=True, random_state=0)
    assert len(shuffled.test[0]) == round(share * N)


def test_a_share_of_groups_and_of_labels():
    ours = folds(cv=0.3, groups=GROUPS)
    held = set(GROUPS[ours.test[0]])
    assert held.isdisjoint(GROUPS[ours.train_rows(0)])
    assert len(ours.test[0]) >= 0.3 * N
    ours = folds(cv=0.3, stratify=LABELS, shuffle=True, random_state=1)
    for label in "abc":
        assert np.sum(LABELS[ours.test[0]] == label) == round(0.3 * np.sum(LABELS == label))


@pytest.mark.parametrize("share", [0.12, 0.13, 0.5, 0.88])
def test_a_share_of_rare_labels_is_that_of_all_rows(share):
    labels = np.arange(40) // 4
    ours = make_folds(X[:40], Y[:40], cv=share, stratify=labels)
    assert len(ours.test[0]) == round(share * 40)
    counts = np.bincount(labels[ours.test[0]], minlength=10)
    assert counts.max() - counts.min() <= 1


def test_foldid():
    foldid = np.random.default_rng(0).integers(3, 7, N)
    ours = folds(foldid=foldid)
    assert is_partition(ours)
    assert np.array_equal(ours.assignment, foldid - 3)
    foldid[:5] = -1
    ours = folds(foldid=foldid.astype(float))
    same(ours, list(model_selection.PredefinedSplit(foldid).split()))
    assert ours.assignment is None


@pytest.mark.parametrize(
    ("splitter", "partition"),
    [
        (model_selection.KFold(4, shuffle=True, random_state=0), True),
        (model_selection.GroupKFold(4), True),
        (model_selection.LeaveOneGroupOut(), True),
        (model_selection.ShuffleSplit(4, random_state=0), False),
        (model_selection.RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), False),
        (model_selection.TimeSeriesSplit(3), False),
    ],
    ids=repr,
)
def test_splitters_and_pairs(splitter, partition):
    groups = GROUPS if "Group" in repr(splitter) else None
    theirs = list(splitter.split(X, Y, groups))
    masks = [(np.isin(np.arange(N), train), test.tolist()) for train, test in theirs]
    for ours in (folds(cv=splitter, groups=groups), folds(cv=theirs), folds(cv=iter(masks))):
        same(ours, theirs)
        assert (ours.assignment is not None) == partition


def test_a_splitter_gets_the_labels():
    splitter = model_selection.StratifiedKFold(3)
    same(folds(cv=splitter, stratify=LABELS), list(splitter.split(X, LABELS)))


def test_rows_drawn_twice_count_twice():
    ours = folds(cv=[(np.array([0, 0, 3]), np.array([5]))])
    weight = np.linspace(1, 2, N)
    expected = np.zeros(N)
    expected[0], expected[3] = 2 * weight[0], weight[3]
    assert np.array_equal(ours.training_weight(0, weight), expected)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cv": 1}, ValueError, "at least 2 folds"),
        ({"cv": N + 1}, ValueError, "need as many rows"),
        ({"cv": 0.0}, ValueError, "in \\(0, 1\\)"),
        ({"cv": 1.5}, ValueError, "in \\(0, 1\\)"),
        ({"cv": True}, TypeError, "cv must be"),
        ({"cv": "5"}, TypeError, "cv must be"),
        ({"cv": object()}, TypeError, "cv must be"),
        ({"cv": 10, "groups": GROUPS}, ValueError, "as many groups, got 9"),
        ({"cv": 24, "time_ordered": True, "shuffle": True}, ValueError, "do not go together"),
        ({"cv": N, "time_ordered": True}, ValueError, "needs at least"),
        ({"groups": GROUPS, "stratify": LABELS}, ValueError, "do not go together"),
        ({"groups": GROUPS, "time_ordered": True}, ValueError, "neither groups nor"),
        ({"groups": GROUPS[:-1]}, ValueError, "groups must have shape"),
        ({"stratify": np.full(N, np.nan)}, ValueError, "contains NaN"),
        ({"groups": np.zeros(N), "cv": 0.5}, ValueError, "at least two"),
        ({"groups": [None, *GROUPS[1:].tolist()]}, TypeError, "groups must hold labels"),
        ({"groups": np.full(N, np.datetime64("NaT", "D"))}, ValueError, "groups contains NaN"),
        ({"random_state": 0}, ValueError, "only with shuffle"),
        ({"shuffle": True, "random_state": "a"}, TypeError, "random_state must be"),
        ({"shuffle": True, "random_state": -1}, TypeError, "random_state must be"),
        ({"cv": model_selection.KFold}, TypeError, "cv must be"),
        ({"cv": np.array(3)}, TypeError, "cv must be"),
        ({"foldid": np.full(N, np.inf)}, TypeError, "integers"),
        ({"foldid": np.arange(N), "cv": np.array([1, 2])}, ValueError, "not both"),
        ({"shuffle": "yes"}, TypeError, "True or False"),
        ({"foldid": np.zeros(N)}, ValueError, "two distinct"),
        ({"foldid": -np.ones(N, int)}, ValueError, "holds out no row"),
        ({"foldid": np.full(N, 0.5)}, TypeError, "integers"),
        ({"foldid": np.arange(3)}, ValueError, "shape"),
        ({"foldid": np.arange(N), "cv": 3}, ValueError, "not both"),
        ({"foldid": np.arange(N), "shuffle": True}, ValueError, "no effect with foldid"),
        ({"cv": [([0], [1])], "groups": GROUPS}, ValueError, "no effect with pairs"),
        (
            {"cv": model_selection.KFold(3), "shuffle": True},
            ValueError,
            "no effect with a splitter",
        ),
        ({"cv": []}, ValueError, "at least one fold"),
        ({"cv": [([0], [])]}, ValueError, "no held-out rows of fold 0"),
        ({"cv": [([], [0])]}, ValueError, "no training rows of fold 0"),
        ({"cv": [([0, 1], [1])]}, ValueError, "trains on row 1"),
        ({"cv": [([0, 1], [2, 2])]}, ValueError, "twice"),
        ({"cv": [([0, N], [2])]}, ValueError, f"index {N}, out of range"),
        ({"cv": [([0, 1], [-1])]}, ValueError, "index -1, out of range"),
        ({"cv": [([0.5], [1])]}, TypeError, "vector of row indices"),
        ({"cv": [5]}, TypeError, "a pair"),
    ],
)
def test_mistakes(options, error, message):
    with pytest.raises(error, match=message):
        folds(**options)


def test_folds_without_weight():
    ours = folds(cv=[(np.arange(5), np.arange(5, 10))])
    for rows, message in ((slice(5), "trains on"), (slice(5, 10), "held-out")):
        weight = np.ones(N)
        weight[rows] = 0
        with pytest.raises(ValueError, match=message):
            ours.require_weight(weight)
