"""Data files of every format, and columns of every kind."""

import gzip
import io
import json

import numpy as np
import pytest

pl = pytest.importorskip("polars")
pytest.importorskip("click")
pytest.importorskip("rich")

from commandline import PLAIN, coefficients, fails, problem, works  # noqa: E402
from scipy import sparse  # noqa: E402
from scipy.io import mmwrite  # noqa: E402

import fastreg  # noqa: E402
from fastreg.cli import matrixmarket  # noqa: E402
from fastreg.cli.features import learn  # noqa: E402

# Columns


def test_text_becomes_one_feature_per_level_but_the_first(tmp_path):
    (tmp_path / "t.csv").write_text(
        "town,new,size,rent\n"
        + "".join(
            f"{town},{new},{size},{size * 2 + bonus}\n"
            for size in range(20, 40)
            for town, bonus in (("Ulm", 0), ("Bonn", 50), ("Kiel", 9))
            for new in ("true", "false")
        )
    )
    works(
        "fit", tmp_path / "t.csv", "-t", "rent", "-p", "none", "--coef", tmp_path / "c.csv",
    )  # fmt: skip
    found = {name: float(row["none"]) for name, row in coefficients(tmp_path / "c.csv").items()}
    expected = {"(intercept)": 50.0, "town=Kiel": -41.0, "town=Ulm": -50.0, "new": 0.0, "size": 2.0}
    assert found.keys() == expected.keys()
    assert np.allclose(list(found.values()), list(expected.values()), atol=1e-8)


def test_products():
    frame = pl.DataFrame(
        {"u": [1.0, 2.0, 4.0, 5.0], "v": ["a", "b", "c", "a"], "w": [True, False, True, True]}
    )
    encoder = learn(frame, np.arange(4), degree=3)
    names = encoder.names()
    X = encoder.transform(frame)
    assert names[:4] == ["u", "v=b", "v=c", "w"]
    assert "u^3" in names
    assert "u^2 × v=b" in names  # noqa: RUF001
    assert not any("w^2" in name or "v=b × v=c" in name for name in names)  # noqa: RUF001
    assert "v=b × w" not in names  # noqa: RUF001 - never 1
    assert X.shape == (4, len(names))
    assert np.all(np.abs(X) <= 1.0)
    assert np.all(np.ptp(X, axis=0) > 0.0)
    u = (np.array([1.0, 2.0, 4.0, 5.0]) - 3.0) / 2.0
    assert np.allclose(X[:, names.index("u^3")], u**3)
    assert np.allclose(X[:, names.index("u × w")], u * [1, 0, 1, 1])  # noqa: RUF001
    part = encoder.keep([2, 5])
    assert np.array_equal(part.transform(frame), X[:, [2, 5]])
    assert X.flags.f_contiguous


def test_scales_come_from_the_fitted_rows_only():
    frame = pl.DataFrame({"u": [0.0, 2.0, 4.0, 1e9, None]})
    encoder = learn(frame, np.arange(3), degree=2, impute="mean")
    assert encoder.columns[0].center == 2.0
    assert encoder.columns[0].scale == 2.0
    assert encoder.columns[0].fill == 2.0


def test_imputation(tmp_path):
    path = tmp_path / "holes.csv"
    path.write_text("a,b,c,y\n1,x,true,1\n2,,true,2\nNA,x,,3\n9,z,false,4\n5,x,true,6\n")
    assert "column 'a' has 1 missing value; fill them in with --impute" in fails(
        "fit", path, "-t", "y"
    )
    assert "--drop 'b'" in fails("fit", path, "-t", "y", "--drop", "a")
    base = ("fit", path, "-t", "y", "-p", "l2", "-a", "1", "-m")
    for by, fill in (("mean", 4.25), ("median", 3.5)):
        works(*base, tmp_path / "m.frm", "--impute", by)
        columns = json.loads((tmp_path / "m.frm").read_text().partition("\n")[2])["columns"]
        assert [column["fill"] for column in columns] == [fill, "x", 1.0]
    out = works("predict", tmp_path / "m.frm", path)
    assert len(out.split()) == 6


def test_many_levels_and_odd_types_are_refused(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("id,y\n" + "".join(f"k{i},{i}\n" for i in range(120)))
    error = fails("fit", path, "-t", "y")
    assert "column 'id' is text with 120 different values, such as 'k0'" in error
    works("fit", path, "-t", "y", "--max-levels", 120, *PLAIN)
    frame = pl.DataFrame({"when": ["2024-01-01"] * 9, "y": range(9)})
    frame.with_columns(pl.col("when").str.to_date()).write_parquet(tmp_path / "d.parquet")
    assert "column 'when' holds values of type Date" in fails(
        "fit", tmp_path / "d.parquet", "-t", "y"
    )


def test_too_many_products_are_refused_before_they_are_made(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "wide.npz", X=rng.normal(size=(400, 1200)), y=rng.normal(size=400))
    assert "lower --degree or leave columns out" in fails(
        "fit", tmp_path / "wide.npz", "--degree", 2
    )


# Formats


def write_all_formats(folder, X, y):
    """Write the same problem in every format; returns the words that follow ``fit``."""
    names = [f"x{j}" for j in range(X.shape[1])]
    frame = pl.DataFrame({**dict(zip(names, X.T, strict=True)), "y": y})
    text = frame.write_csv()
    files = {
        "data.csv": text.encode(),
        "bom.csv": b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        "data.csv.gz": gzip.compress(text.encode()),
        "data.tsv": text.replace(",", "\t").encode(),
        "data.TSV.gz": gzip.compress(text.replace(",", "\t").encode()),
        "semicolons.csv": text.replace(",", ";").encode(),
    }
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    frame.write_parquet(folder / "data.parquet")
    np.savez_compressed(folder / "columns.npz", **{name: frame[name].to_numpy() for name in "y"},
                        **{name: frame[name].to_numpy() for name in names})  # fmt: skip
    np.savez(folder / "arrays.npz", X=X, y=y)
    np.savez(folder / "named.npz", design=X.astype(np.float32).astype(float), y=y,
             feature_names=np.array(names))  # fmt: skip
    (folder / "nameless").write_text(text)
    rows = [" ".join([repr(float(t)), *(f"{j + 1}:{v!r}" for j, v in enumerate(r.tolist()))])
            for t, r in zip(y, X, strict=True)]  # fmt: skip
    svm = "\n".join(rows).encode()
    (folder / "data.svm").write_bytes(svm)
    (folder / "data.libsvm.gz").write_bytes(gzip.compress(svm))
    mmwrite(folder / "X.mtx", sparse.coo_array(X))
    mmwrite(folder / "dense.mtx", X)
    mmwrite(folder / "all.mtx", sparse.coo_array(np.column_stack([X, y])), precision=17)
    (folder / "X.mtx.gz").write_bytes(gzip.compress((folder / "X.mtx").read_bytes()))
    sparse.save_npz(folder / "sparse.npz", sparse.csr_array(X))
    mmwrite(folder / "y.mtx", y[:, None])
    np.save(folder / "y.npy", y)
    np.savetxt(folder / "y.txt", y)
    words = [[folder / name, "-t", "y"] for name in (*files, "data.parquet", "columns.npz")]
    words += [[folder / "nameless", "--format", "csv", "-t", "y"], [folder / "arrays.npz"]]
    words += [[folder / "named.npz", "-t", "y"]]
    words += [[folder / name] for name in ("data.svm", "data.libsvm.gz")]
    words += [[folder / name, "-t", folder / "y.mtx"] for name in ("X.mtx", "dense.mtx")]
    words += [[folder / "X.mtx.gz", "-t", folder / "y.npy"]]
    words += [[folder / "sparse.npz", "-t", folder / "y.txt"]]
    words += [[folder / "all.mtx", "-t", index] for index in ("4", "-1")]
    return words


def test_every_format_gives_the_same_model(tmp_path):
    pytest.importorskip("sklearn")
    X, y = problem()
    X = np.round(X, 3)
    expected = fastreg.solve(X, y, alpha=0.1, standardize=True)
    for k, words in enumerate(write_all_formats(tmp_path, X, y)):
        coef, model = tmp_path / "c.csv", tmp_path / f"m{k}.frm"
        works("fit", *words, *PLAIN, "--coef", coef, "-m", model)
        found = [float(row["l1"]) for row in coefficients(coef).values()]
        assert np.allclose(found, [expected.intercept, *expected.coef], atol=1e-6), words
        source = [words[0], *(["--format", "csv"] if "--format" in words else [])]
        if words[0].name == "all.mtx":
            source = [tmp_path / "X.mtx"]
        predicted = works("predict", model, *source).split()
        assert len(predicted) == 81
        assert np.allclose([float(v) for v in predicted[1:]], expected.predict(X), atol=1e-5)


def test_damaged_and_odd_files(tmp_path):
    pytest.importorskip("sklearn")
    X, y = problem()
    write_all_formats(tmp_path, X, y)
    for name in ("data.parquet", "arrays.npz", "data.csv.gz", "data.libsvm.gz", "X.mtx"):
        raw = (tmp_path / name).read_bytes()
        for length in (10, len(raw) // 2):
            (tmp_path / name).write_bytes(raw[:length])
            target = () if name.startswith(("arrays", "data.lib")) else ("-t", "y")
            if name == "X.mtx":
                target = ("-t", tmp_path / "y.npy")
            fails("fit", tmp_path / name, *target)
    texts = {
        "empty.csv": ("", "is empty"),
        "blank.csv": ("\n\n", "is empty"),
        "header.csv": ("a,y\n", "has no rows of data"),
        "ragged.csv": ("a,y\n1,2\n1,2,3\n", "is not a well-formed table"),
        "doubled.csv": ("a,a,y\n1,2,3\n", "two columns are called 'a'"),
        "bad.svm": ("hello world\n", "is not a svmlight file"),
        "bad.mtx": ("hello world\n", "is not a Matrix Market file"),
        "bad.npz": ("hello world\n", "is not a readable npz file"),
        "bad.parquet": ("hello world\n", "is not a readable Parquet file"),
        "what.xlsx": ("hello world\n", "the format cannot be told from the name"),
    }
    for name, (text, message) in texts.items():
        (tmp_path / name).write_text(text)
        assert message in fails("fit", tmp_path / name, "-t", "y")
    (tmp_path / "latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    assert "not a text file in UTF-8" in fails("fit", tmp_path / "latin.csv", "-t", "y")
    (tmp_path / "latin2.csv").write_bytes("a,y\ngröße,2\n".encode("latin-1"))
    assert "latin2.csv" in fails("fit", tmp_path / "latin2.csv", "-t", "y")
    (tmp_path / "dir.csv").mkdir()
    assert "is a directory" in fails("fit", tmp_path / "dir.csv", "-t", "y")
    assert "no such file" in fails("fit", tmp_path / "nowhere.csv", "-t", "y")


def test_npz_never_runs_code(tmp_path):
    np.savez(tmp_path / "objects.npz", X=np.array([[print]], dtype=object), y=np.ones(1))
    assert "is not a readable npz file" in fails("fit", tmp_path / "objects.npz")
    np.save(tmp_path / "bare.npy", np.ones(3))
    (tmp_path / "bare.npy").rename(tmp_path / "bare.npz")
    assert "npz archive is needed" in fails("fit", tmp_path / "bare.npz")
    np.savez(tmp_path / "lengths.npz", X=np.ones((3, 2)), y=np.ones(4))
    assert "do not have the same number of rows" in fails("fit", tmp_path / "lengths.npz")
    np.savez(tmp_path / "many.npz", A=np.ones((3, 2)), B=np.ones((3, 2)), y=np.ones(3))
    assert "has the matrices A, B, and only one can be used" in fails("fit", tmp_path / "many.npz")
    np.savez(tmp_path / "complex.npz", X=np.ones((3, 2)) * 1j, y=np.ones(3))
    fails("fit", tmp_path / "complex.npz")
    np.savez(tmp_path / "names.npz", X=np.ones((3, 2)), y=np.ones(3), feature_names=["a"])
    assert "one name per column" in fails("fit", tmp_path / "names.npz")


def test_targets_of_matrices(tmp_path):
    pytest.importorskip("sklearn")
    X, y = problem()
    write_all_formats(tmp_path, X, y)
    matrix = tmp_path / "all.mtx"
    assert "which column" in fails("fit", matrix)
    assert "the index runs from 0 to 4" in fails("fit", matrix, "-t", "5")
    assert "no column index, array or file 'y'" in fails("fit", matrix, "-t", "y")
    np.savetxt(tmp_path / "short.txt", y[:9])
    assert "holds 9 numbers, but" in fails("fit", matrix, "-t", tmp_path / "short.txt")
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    assert "one number per row" in fails("fit", matrix, "-t", tmp_path / "words.txt")
    assert "sparse matrix" in fails("fit", matrix, "-t", "0", "--degree", "2")
    assert "sparse matrix" in fails("fit", matrix, "-t", "0", "--drop", "x1")
    np.savetxt(tmp_path / "nan.txt", np.where(np.arange(80) == 3, np.nan, y))
    assert "one finite number" in fails("fit", matrix, "-t", tmp_path / "nan.txt")


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
def test_matrix_market(symmetry):
    A = np.random.default_rng(0).normal(size=(4, 4))
    A = {"general": A, "symmetric": A + A.T, "skew-symmetric": A - A.T}[symmetry]
    for matrix in (A, np.round(9 * A).astype(int), sparse.coo_array(np.where(A**2 > 1, A, 0))):
        file = io.BytesIO()
        mmwrite(file, matrix, symmetry=symmetry, precision=17)
        found = sparse.csc_array(matrixmarket.parse(file.getvalue()))
        assert np.allclose(found.toarray(), sparse.csc_array(matrix).toarray())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 1\n", "not supported"),
        ("%%MatrixMarket matrix coordinate real general\n", "the size is missing"),
        ("%%MatrixMarket matrix coordinate real general\n2 2\n", "the size is not readable"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 1\n", "there are 1"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 3 1\n", "outside the matrix"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 1\n0 1 1\n", "whole number from 1"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1\n", "a line has 2 numbers"),
        ("%%MatrixMarket matrix coordinate real symmetric\n2 1 1\n1 1 1\n", "must be square"),
        ("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n", "4 values are needed"),
        ("%%MatrixMarket matrix array real symmetric\n2 2\n1\n2\n", "too many or too few"),
        ("%%MatrixMarket matrix array real general\n9999999999 2\n1\n", "more than 100000000 rows"),
    ],
)
def test_damaged_matrix_market(tmp_path, text, message):
    (tmp_path / "m.mtx").write_text(text)
    assert message in fails("fit", tmp_path / "m.mtx", "-t", "0")
    with pytest.raises(ValueError, match=message):
        matrixmarket.parse(text.encode())


def write_lines(path, header, lines):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_blanks_around_cells_do_not_matter(tmp_path):
    rows = [(i, i % 7, 3 * i + i % 7, "yes" if i % 2 else "no") for i in range(30)]
    plain = write_lines(tmp_path / "p.csv", "a,b,y,s", [",".join(map(str, row)) for row in rows])
    blanks = write_lines(
        tmp_path / "b.csv", "a, b , y, s", [" , ".join(map(str, row)) + " " for row in rows]
    )
    quoted = write_lines(
        tmp_path / "q.csv", '"a","b","y","s"', [",".join(f'"{v}"' for v in row) for row in rows]
    )
    said = []
    for path in (plain, blanks, quoted):
        works(
            "fit", path, "-t", "y", *PLAIN, "-m", tmp_path / "m.frm", "--coef", tmp_path / "c.csv"
        )
        said.append(coefficients(tmp_path / "c.csv"))
        assert len(works("predict", tmp_path / "m.frm", blanks).split()) == 31
    assert said[0] == said[1] == said[2]
    assert list(said[0]) == ["(intercept)", "a", "b", "s=yes"]
    holes = write_lines(tmp_path / "h.csv", "a, y", ["1, 2", " , 3", " NA , 4", "2, 5"])
    assert "column 'a' has 2 missing values" in fails("fit", holes, "-t", "y", *PLAIN)
    flags = write_lines(tmp_path / "f.csv", "a, y", ["true, 2", "false, 3"] * 5)
    assert "a" in works("fit", flags, "-t", "y", *PLAIN)


@pytest.mark.parametrize(
    ("cell", "shown"), [("oops", "'oops'"), ('"1,700.5"', "'1,700.5'"), ("12..5", "'12..5'")]
)
def test_one_bad_cell_makes_no_categories(tmp_path, cell, shown):
    lines = [f"{i},{i % 5},{2 * i}" for i in range(30)]
    lines[16] = f"16,{cell},32"
    path = write_lines(tmp_path / "bad.csv", "a,x,y", lines)
    error = fails("fit", path, "-t", "y")
    assert f"column 'x' is made of numbers, but row 17 of the data holds {shown}" in error
    assert "--drop 'x'" in error
    works("fit", path, "-t", "y", "--drop", "x", "-m", tmp_path / "m.frm", *PLAIN)
    assert len(works("predict", tmp_path / "m.frm", path).split()) == 31
    error = fails("fit", path, "-t", "x")
    assert (
        error
        == f"--target x: numbers are needed, and the column holds {shown} in row 17 of the data"
    )


def test_thousands_everywhere_are_no_categories(tmp_path):
    lines = [f'"{1 + i % 4},{100 + i}",{i}' for i in range(30)]
    lines[3] = "900,3"
    assert "row 1 of the data holds '1,100'" in fails(
        "fit", write_lines(tmp_path / "t.csv", "x,y", lines), "-t", "y"
    )


def test_what_is_text_is_said(tmp_path):
    lines = [f"{'rs'[i % 2]}{i % 3},k,{i},{i * i % 11}" for i in range(30)]
    path = write_lines(tmp_path / "t.csv", "city,ok,size,y", lines)
    out = works("fit", path, "-t", "y", *PLAIN)
    assert "30 rows. Text, a 0/1 feature for each value but the first: city, ok." in out
    assert "Text" not in works("fit", path, "-t", "y", *PLAIN, "--drop", "city", "--drop", "ok")
    wide = write_lines(
        tmp_path / "w.csv",
        ",".join([*(f"c{j}" for j in range(11)), "y"]),
        [",".join(["ab"[i % 2]] * 11 + [str(i)]) for i in range(20)],
    )
    assert "c6, c7 and 3 more." in works("fit", wide, "-t", "y", *PLAIN)


def test_headers_follow_the_rules_of_csv(tmp_path):
    lines = [f"{i},{i % 5},{2 * i}" for i in range(20)]
    path = write_lines(tmp_path / "q.csv", '"a,x","c,x\n(m)",y', lines)
    works("fit", path, "-t", "y", *PLAIN, "--coef", tmp_path / "c.csv")
    assert list(coefficients(tmp_path / "c.csv")) == ["(intercept)", "a,x", "c,x\n(m)"]
    path = write_lines(tmp_path / "d.csv", '"a","a ",y', lines)
    assert "two columns are called 'a'" in fails("fit", path, "-t", "y")
    path = write_lines(tmp_path / "r.csv", "a,b,y", [*lines, '"1,5",2,3,4'])
    assert fails("fit", path, "-t", "y").endswith(
        "is not a well-formed table: row 21 of the data has 4 values, but there are 3 columns"
    )
    path = write_lines(tmp_path / "c.csv", "# made by hand", ["a,y", *lines])
    assert "row 1 of the data has 2 values, but there is 1 column" in fails("fit", path, "-t", "y")


@pytest.mark.parametrize(
    "form", ["2024-02-{:02}", "{}.3.2024", "3/{}/24", "2024-03-{:02}T12:30:00", "2024/5/{} 1:00"]
)
def test_dates_are_refused_in_text_files_too(tmp_path, form):
    lines = [f"{form.format(1 + i % 28)},{i}" for i in range(60)]
    path = write_lines(tmp_path / "d.csv", "when,y", lines)
    error = fails("fit", path, "-t", "y")
    assert error.startswith("column 'when' holds dates, such as '")
    assert error.endswith("neither numbers nor text; leave the column out with --drop 'when'")
    lines = [f"{hour:02}:00,{hour}" for hour in range(24)]
    works("fit", write_lines(tmp_path / "h.csv", "hour,y", lines), "-t", "y", *PLAIN)


def test_text_that_is_declared_categorical_is_believed(tmp_path):
    values = ["1", "2", "3", "many"] * 10
    frame = pl.DataFrame({"n": pl.Series(values, dtype=pl.Categorical), "y": range(40)})
    frame.write_parquet(tmp_path / "c.parquet")
    assert "but the first: n." in works("fit", tmp_path / "c.parquet", "-t", "y", *PLAIN)
    frame.cast({"n": pl.String}).write_parquet(tmp_path / "s.parquet")
    assert "row 4 of the data holds 'many'" in fails("fit", tmp_path / "s.parquet", "-t", "y")
    assert "in row 4 of the data" in fails("fit", tmp_path / "c.parquet", "-t", "n")
    frame = frame.with_columns(d=pl.lit("2024-01-01").str.to_date())
    frame.write_parquet(tmp_path / "d.parquet")
    assert "the column is of type Date" in fails("fit", tmp_path / "d.parquet", "-t", "d")


@pytest.mark.parametrize("index", [-1, 0, 2])
def test_the_file_that_was_fitted_can_be_predicted(tmp_path, index):
    X, y = problem()
    index %= 5
    mmwrite(tmp_path / "all.mtx", sparse.coo_array(np.insert(X, index, y, axis=1)), precision=17)
    mmwrite(tmp_path / "X.mtx", sparse.coo_array(X), precision=17)
    model = tmp_path / "m.frm"
    out = tmp_path / "c.csv"
    works("fit", tmp_path / "all.mtx", "-t", index, *PLAIN, "-m", model, "--coef", out)
    names = [f"x{j}" for j in range(5) if j != index]
    assert list(coefficients(out)) == ["(intercept)", *names]
    expected = fastreg.solve(X, y, alpha=0.1, standardize=True).predict(X)
    predicted = works("predict", model, tmp_path / "all.mtx").split()
    assert predicted[0] == f"x{index}"
    assert np.allclose([float(v) for v in predicted[1:]], expected, atol=1e-5)
    if index == 4:
        predicted = works("predict", model, tmp_path / "X.mtx").split()
        assert np.allclose([float(v) for v in predicted[1:]], expected, atol=1e-5)
    else:
        error = fails("predict", model, tmp_path / "X.mtx")
        assert f"the model was fitted to 5 of which some were left out (x{index})" in error


def test_indices_of_a_matrix_are_those_of_the_file(tmp_path):
    X, y = problem()
    weight = 1.0 + np.arange(80) % 3
    mmwrite(tmp_path / "all.mtx", sparse.coo_array(np.column_stack([y, X, weight])), precision=17)
    works(
        "fit", tmp_path / "all.mtx", "-t", 0, "--weights", -1, *PLAIN,
        "--coef", tmp_path / "c.csv",
    )  # fmt: skip
    found = coefficients(tmp_path / "c.csv")
    assert list(found) == ["(intercept)", "x1", "x2", "x3", "x4"]
    expected = fastreg.solve(X, y, alpha=0.1, standardize=True, sample_weight=weight)
    assert np.allclose(
        [float(row["l1"]) for row in found.values()], [expected.intercept, *expected.coef]
    )
    assert "already used" in fails("fit", tmp_path / "all.mtx", "-t", 0, "--weights", 0)


def test_npz_files_that_are_none_are_told_plainly(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"hello")
    assert fails("fit", tmp_path / "a.npz").endswith("npz file: it is not a zip archive")
    np.savez(tmp_path / "b.npz", X=np.array([[print]], dtype=object), y=np.ones(1))
    assert fails("fit", tmp_path / "b.npz").endswith(
        "holds Python objects, neither numbers nor text"
    )


def test_any_usual_separator(tmp_path):
    lines = ["a,b,y", *(f"{i},{i % 5},{2 * i}" for i in range(20))]
    for mark in ",;\t|":
        path = tmp_path / "d.csv"
        path.write_text("\n".join(lines).replace(",", mark))
        assert "y from 2 features" in works("fit", path, "-t", "y", *PLAIN)
    path.write_text("\n".join(['"a,x";b;y', *lines[1:]]).replace(",", ";").replace("a;x", "a,x"))
    works("fit", path, "-t", "y", *PLAIN, "--coef", tmp_path / "c.csv")
    assert list(coefficients(tmp_path / "c.csv")) == ["(intercept)", "a,x", "b"]


def test_empty_lines_are_no_rows(tmp_path):
    lines = [f"{i},{i % 5},{2 * i}" for i in range(20)]
    for text in ("\n".join(lines) + "\n\n", "\r\n\r\n".join(lines), "\n".join([*lines, ",,"])):
        (tmp_path / "d.csv").write_bytes(b"a,b,y\n" + text.encode())
        assert "20 rows" in works("fit", tmp_path / "d.csv", "-t", "y", *PLAIN)


def test_decimal_comma(tmp_path):
    rows = [(0.5 * i, i % 7 - 0.25, 1.5 * i + i % 7) for i in range(30)]
    point = write_lines(tmp_path / "p.csv", "a,b,y", [",".join(map(str, row)) for row in rows])
    text = point.read_text().replace(",", ";").replace(".", ",")
    (tmp_path / "c.csv").write_text(text)
    error = fails("fit", tmp_path / "c.csv", "-t", "y")
    assert error.endswith("holds '0,0' in row 1 of the data (a decimal comma? Say --decimal-comma)")
    model, answers = tmp_path / "m.frm", []
    for path, flag in ((point, ()), (tmp_path / "c.csv", ("--decimal-comma",))):
        works("fit", path, "-t", "y", *PLAIN, "-m", model, *flag)
        answers.append((model.read_bytes(), works("predict", model, path, *flag)))
    assert answers[0] == answers[1]
    assert "(a decimal comma? Say" in fails("predict", model, tmp_path / "c.csv")
    mixed = write_lines(tmp_path / "m.csv", "a;y", ["1.5;2", "2,5;3"])
    error = fails("fit", mixed, "-t", "y", "--decimal-comma")
    assert error.startswith("column 'a' holds '1.5' in row 1 of the data")
    assert error.endswith("with --decimal-comma a number has no point")
    assert "is for csv and tsv" in fails("fit", tmp_path / "x.npz", "--decimal-comma")


def test_numbers_can_be_names(tmp_path):
    lines = [f"{i % 3},{i},{(7, 1, 4)[i % 3]}" for i in range(30)]
    path = write_lines(tmp_path / "d.csv", "shop,size,y", lines)
    fit = ("fit", path, "-t", "y", "-p", "none")
    out = works(*fit, "--categorical", "shop", "-m", tmp_path / "m.frm")
    assert "y from 3 features" in out
    assert "but the first: shop." in out
    predicted = [float(v) for v in works("predict", tmp_path / "m.frm", path).split()[1:]]
    assert np.allclose(predicted, [(7, 1, 4)[i % 3] for i in range(30)])
    assert "did you mean 'shop'" in fails(*fit, "--categorical", "shops")


def test_columns_that_cannot_be_told_apart(tmp_path):
    lines = [f"{i},{i % 5},{2 * i}" for i in range(20)]
    path = write_lines(tmp_path / "index.csv", ",a,y", lines)
    assert "a column has no name, as row numbers often have none" in fails("fit", path, "-t", "y")
    assert "y from 1 feature" in works("fit", path, "-t", "y", *PLAIN, "--drop", "")
    path = write_lines(tmp_path / "two.csv", ",,y", lines)
    assert "two columns have no name" in fails("fit", path, "-t", "y")
    lines = [f"{'uv'[i % 2]},{i % 5},{i}" for i in range(20)]
    path = write_lines(tmp_path / "same.csv", "c,c=v,y", lines)
    assert "2 features would be called 'c=v'" in fails("fit", path, "-t", "y")


@pytest.mark.parametrize("form", ["{}%", "${}.50", "{} €", "1_00{}"])
def test_numbers_with_units_are_no_categories(tmp_path, form):
    path = write_lines(tmp_path / "d.csv", "x,y", [f"{form.format(i % 9)},{i}" for i in range(30)])
    assert f"row 1 of the data holds '{form.format(0)}'" in fails("fit", path, "-t", "y")


def test_matrices_too_wide_for_the_memory_are_refused(tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "w.svm").write_text("1 1:2\n2 2000000000:3\n")
    assert "has 2000000000 columns, and 10000000 are" in fails("fit", tmp_path / "w.svm")
    kind = "%%MatrixMarket matrix coordinate real general\n"
    for size in ("3 2000000000", "2000000000 3"):
        (tmp_path / "w.mtx").write_text(f"{kind}{size} 1\n1 1 1\n")
        assert "are not supported" in fails("fit", tmp_path / "w.mtx", "-t", "0")
    (tmp_path / "s.mtx").write_text(
        "%%MatrixMarket matrix array real symmetric\n9999999 9999999\n1\n"
    )
    assert "too many or too few values" in fails("fit", tmp_path / "s.mtx", "-t", "0")
    (tmp_path / "nan.svm").write_text("1 1:2\nnan 1:3\n")
    assert "a target is missing or infinite" in fails("fit", tmp_path / "nan.svm")


def test_arrays_of_an_npz_file(tmp_path):
    X, y = problem()
    path = tmp_path / "a.npz"
    np.savez(path, X=X.astype(np.longdouble), y=y[:, None])
    assert "y from 4 features" in works("fit", path, *PLAIN)
    for arrays, message in (
        ({"X": np.ones((2, 2, 2))}, "its array X has 3 dimensions"),
        ({"X": X + 1j}, "its array X has complex numbers"),
        ({"X": X, "Z": X}, "has the matrices X, Z, and only one can be used"),
        ({}, "holds no array"),
    ):
        np.savez(path, **arrays)
        assert message in fails("fit", path, "-t", "y")
