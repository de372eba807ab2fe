"""Grouped data frames, of every library: one fit a group."""

import numpy as np
import problems
import pytest

import fastreg

pytest.importorskip("narwhals")

N = 60
RNG = np.random.default_rng(5)
X, Y = problems.regression(N, 3)
COLUMNS = {
    "shop": np.array(["b", "a", "c"])[RNG.integers(0, 3, N)],
    "year": RNG.integers(2020, 2022, N),
    "price": X[:, 0],
    "size": X[:, 1],
    "open": X[:, 2] > 0,
    "sales": Y,
    "weight": np.round(RNG.uniform(0.5, 2, N), 1),
    "note": np.full(N, "-"),
}


def make(library, columns=COLUMNS):
    module = pytest.importorskip(library)
    if library == "pyarrow":
        return module.table(columns)
    frame = module.DataFrame(columns)
    return frame.set_index(np.arange(N) * 3) if library == "pandas" else frame


def values(frame, name):
    return np.asarray(frame[name])


LIBRARIES = pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])


@LIBRARIES
def test_a_fit_for_each_group(library):
    frame = make(library)
    found = fastreg.solve_groups(
        frame, by=["shop", "year"], target="sales", sample_weight="weight", alpha=0.1, l1_ratio=0.5
    )
    assert type(found) is type(frame)
    keys = sorted(set(zip(COLUMNS["shop"], COLUMNS["year"], strict=True)))
    shops, years = values(found, "shop"), values(found, "year")
    assert list(zip(shops, years, strict=True)) == keys
    names = ["price", "size", "open"]
    for k, (shop, year) in enumerate(keys):
        rows = (COLUMNS["shop"] == shop) & (COLUMNS["year"] == year)
        table = np.column_stack([COLUMNS[name][rows].astype(float) for name in names])
        expected = fastreg.solve(
            table, Y[rows], 0.1, l1_ratio=0.5, sample_weight=COLUMNS["weight"][rows]
        )
        coef = [values(found, name)[k] for name in names]
        np.testing.assert_allclose(coef, expected.coef, rtol=1e-7, atol=1e-9)
        assert values(found, "intercept")[k] == pytest.approx(expected.intercept)
        assert values(found, "n_rows")[k] == rows.sum()
        assert values(found, "status")[k] == 1
        assert 0 <= values(found, "duality_gap")[k] <= expected.tolerance * (1 + 1e-9)


@LIBRARIES
def test_a_path_for_each_group(library):
    found = fastreg.solve_groups(
        make(library), by="shop", target="sales", features=["price", "size"], alpha=[1.0, 0.1]
    )
    assert values(found, "shop").tolist() == ["a", "a", "b", "b", "c", "c"]
    assert values(found, "alpha").tolist() == [1.0, 0.1] * 3
    rows = COLUMNS["shop"] == "b"
    expected = fastreg.solve(X[rows, :2], Y[rows], 0.1)
    coef = [values(found, "price")[3], values(found, "size")[3]]
    np.testing.assert_allclose(coef, expected.coef, rtol=1e-7, atol=1e-9)


def test_an_alpha_is_chosen_for_each_group():
    path = np.geomspace(1, 0.01, 6)
    found = fastreg.solve_groups(
        make("pandas"), by="shop", target="sales", features=["price", "size"], alpha=path,
        select="bic",
    )  # fmt: skip
    expected = fastreg.solve_many(X[:, :2], Y, path[None], groups=COLUMNS["shop"], select="bic")
    assert found["alpha"].tolist() == expected.alpha.tolist()
    np.testing.assert_array_equal(found[["price", "size"]].to_numpy(), expected.coef)


@LIBRARIES
def test_missing_values_spoil_their_group_only(library):
    price = COLUMNS["price"].astype(object)
    row = int(np.flatnonzero(COLUMNS["shop"] == "a")[0])
    price[row] = None
    kept = {name: COLUMNS[name] for name in ("shop", "sales", "size")}
    frame = make(library, kept | {"price": price.tolist()})
    found = fastreg.solve_groups(frame, by="shop", target="sales", alpha=0.1)
    assert values(found, "status").tolist() == [fastreg.ProblemStatus.NOT_FINITE, 1, 1]
    assert np.isnan(values(found, "price")[0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"by": "nowhere", "target": "sales"}, ValueError, "'nowhere' is no column"),
        ({"by": "shop", "target": "nothing"}, ValueError, "'nothing' is no column"),
        ({"by": [], "target": "sales"}, ValueError, "must each name one column"),
        ({"by": "shop", "target": "note"}, TypeError, "'note' has dtype"),
        ({"by": "shop", "target": "shop"}, TypeError, "'shop' has dtype"),
        ({"by": "size", "target": "size"}, ValueError, "'size' has two roles"),
        ({"by": "shop", "target": "sales", "sample_weight": "sales"}, ValueError, "two roles"),
        ({"by": "shop", "target": "sales", "sample_weight": "note"}, TypeError, "'note' has dtype"),
        (
            {"by": "shop", "target": "sales", "sample_weight": [1.0]},
            TypeError,
            "sample_weight must",
        ),
        ({"by": "shop", "target": "sales", "alpha": "strong"}, TypeError, "alpha"),
        (
            {"by": "shop", "target": "sales", "alfa": 1.0},
            TypeError,
            "solve_groups has no .* 'alfa'",
        ),
        ({"by": "shop", "target": "sales", "features": ["note"]}, TypeError, "'note' has dtype"),
        ({"by": "shop", "target": "sales", "features": ["sales"]}, ValueError, "two columns"),
        ({"by": "shop", "target": "sales", "alpha": -1.0}, ValueError, "alpha must be >= 0"),
        ({"by": "shop", "target": "sales", "groups": [1]}, TypeError, "no argument 'groups'"),
        (
            {"by": "shop", "target": "sales", "l1_ratio": [1, 1]},
            ValueError,
            "l1_ratio must be a number",
        ),
    ],
)
def test_mistakes(arguments, error, message):
    with pytest.raises(error, match=message):
        fastreg.solve_groups(make("pandas"), **arguments)


def test_a_frame_without_rows():
    with pytest.raises(ValueError, match="frame has no rows"):
        fastreg.solve_groups(make("pandas").iloc[:0], by="shop", target="sales")


def test_times_are_no_numbers():
    pandas = pytest.importorskip("pandas")
    frame = make("pandas")
    frame["sales"] = pandas.date_range("2020", periods=len(frame))
    with pytest.raises(TypeError, match="'sales' has dtype"):
        fastreg.solve_groups(frame, by="shop", target="sales")


DAYS = np.array(["2024-03-01", "2023-01-05", "2024-02-29"], dtype="datetime64[ms]")
KEYS = {
    "unsorted integers": np.array([40, -7, 13]),
    "narrow integers": np.array([127, -128, 0], dtype=np.int8),
    "integers far apart": np.array([2**62, -(2**62), 5]),
    "large unsigned integers": np.array([2**64 - 1, 2**64 - 3, 2**64 - 2], dtype=np.uint64),
    "booleans": np.array([True, False, True]),
    "floats": np.array([0.5, -np.inf, 2.0]),
    "days": DAYS,
    "text": np.array(["pear", "apple", "fig"], dtype=object),
}


@LIBRARIES
@pytest.mark.parametrize("rows", ["mixed", "in order"])
@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind(library, kind, rows):
    place = RNG.integers(0, 3, N)
    keys = KEYS[kind][place if rows == "mixed" else np.sort(place)]
    if rows == "in order":
        keys = np.sort(keys)
    kept = {name: COLUMNS[name] for name in ("price", "size", "sales")}
    frame = make(library, {"key": keys} | kept)
    found = fastreg.solve_groups(frame, by="key", target="sales", alpha=0.1)
    distinct = np.unique(keys)
    assert np.asarray(values(found, "key")).astype(keys.dtype).tolist() == distinct.tolist()
    dtypes = [f[["key"]].dtypes if library == "pandas" else f.schema for f in (frame, found)]
    if library == "pandas":
        assert dtypes[0].equals(dtypes[1])
        assert found.index.tolist() == list(range(len(distinct)))
    elif library == "polars":
        assert dtypes[0]["key"] == dtypes[1]["key"]
    else:
        assert dtypes[0].field("key").type == dtypes[1].field("key").type
    for k, key in enumerate(distinct):
        expected = fastreg.solve(X[keys == key, :2], Y[keys == key], 0.1)
        coef = [values(found, "price")[k], values(found, "size")[k]]
        np.testing.assert_allclose(coef, expected.coef, rtol=1e-7, atol=1e-9)
        assert values(found, "n_rows")[k] == (keys == key).sum()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_categories(library):
    kept = {name: COLUMNS[name] for name in ("price", "size", "sales")}
    frame = make(library, {"shop": COLUMNS["shop"]} | kept)
    if library == "pandas":
        frame["shop"] = frame["shop"].astype("category")
    else:
        import polars

        frame = frame.with_columns(polars.col("shop").cast(polars.Categorical))
    found = fastreg.solve_groups(frame, by="shop", target="sales", alpha=0.1)
    assert values(found, "shop").tolist() == ["a", "b", "c"]
    assert found["shop"].dtype == frame["shop"].dtype


@LIBRARIES
def test_an_option_of_each_kind_with_rows_in_any_order(library):
    """The same as `solve_many` with these groups, bit by bit: weights, folds and threads."""
    model = {"select": "cv", "cv": 3, "l1_ratio": 0.7, "standardize": True, "n_threads": 2}
    path = np.geomspace(1, 0.01, 6)
    found = fastreg.solve_groups(
        make(library), by="shop", target="sales", features=["price", "size"], alpha=path,
        sample_weight="weight", **model,
    )  # fmt: skip
    expected = fastreg.solve_many(
        X[:, :2], Y, path[None], groups=COLUMNS["shop"], sample_weight=COLUMNS["weight"], **model
    )
    for j, name in enumerate(("price", "size")):
        np.testing.assert_array_equal(values(found, name), expected.coef[:, j])
    np.testing.assert_array_equal(values(found, "alpha"), expected.alpha)


def test_several_keys_of_which_few_pairs_occur():
    keys = {"a": np.arange(N) // 2 * 1000, "b": np.arange(N) // 2 * 7 - 50, "c": np.arange(N) % 2}
    kept = {name: COLUMNS[name] for name in ("price", "sales")}
    frame = make("pandas", keys | kept)
    found = fastreg.solve_groups(frame, by=["a", "b", "c"], target="sales", alpha=0.1)
    assert found[["a", "b", "c"]].to_numpy().tolist() == frame[["a", "b", "c"]].to_numpy().tolist()


@LIBRARIES
def test_missing_keys_of_every_library(library):
    shop = COLUMNS["shop"].astype(object)
    shop[3] = None
    frame = make(library, COLUMNS | {"shop": shop})
    with pytest.raises(ValueError, match="'shop' has missing values"):
        fastreg.solve_groups(frame, by="shop", target="sales")


def test_keys_that_cannot_be_sorted():
    mixed = np.array([1, "a"] * (N // 2), dtype=object)
    with pytest.raises(TypeError, match="cannot be sorted"):
        fastreg.solve_groups(make("pandas", COLUMNS | {"shop": mixed}), by="shop", target="sales")


def test_missing_keys():
    frame = make("pandas")
    frame.loc[0, "shop"] = None
    with pytest.raises(ValueError, match="'shop' has missing values"):
        fastreg.solve_groups(frame, by="shop", target="sales")
