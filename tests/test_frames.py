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


def test_missing_keys():
    frame = make("pandas")
    frame.loc[0, "shop"] = None
    with pytest.raises(ValueError, match="'shop' has missing values"):
        fastreg.solve_groups(frame, by="shop", target="sales")
