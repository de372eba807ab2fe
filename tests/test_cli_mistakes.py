"""Every mistake is answered with one sentence, and with no traceback."""

import sys

import pytest

pytest.importorskip("polars")
pytest.importorskip("click")
pytest.importorskip("rich")

from commandline import PLAIN, fails, run, works, write_csv


@pytest.fixture
def csv_file(tmp_path):
    return write_csv(tmp_path / "data.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-t", "Y"], "has no column 'Y' (did you mean 'y'?)"),
        (["-t", "price"], "(there are 'a', 'b', 'c', 'd', 'y')"),
        ([], "which column of"),
        (["-t", "y", "--drop", "aa"], "--drop: "),
        (["-t", "y", "--weights", "ww"], "--weights: "),
        (["-t", "y", "--weights", "a"], "weights are below zero; 0 or more is needed"),
        (["-t", "y", "--alpha", "-1"], "-1.0 is not in the range"),
        (["-t", "y", "--alpha", "x"], "'x' is not a valid number"),
        (["-t", "y", "--penalty", "l3"], "'l3' is not one of"),
        (["-t", "y", "--degree", "0"], "0 is not in the range"),
        (["-t", "y", "--nope"], "no such option"),
        (["-t", "y", "extra"], "unexpected extra argument"),
        (["-t", "y", "--plot", "p.gif"], "must end with .png, .svg or .pdf"),
        (["-t", "y", "--plot", "nowhere/p.png"], "there is no folder nowhere"),
        (
            ["-t", "y", "--plot", "p.png", "--alpha", "1"],
            "--plot is about the path",
        ),
        (["-t", "y", "--coef", "c.txt"], "must end with .csv or .json"),
        (["-t", "y", "--folds", "0"], "without --folds the strength must be given: --alpha"),
        (["-t", "y", "--folds", "1"], "--folds 1 has nothing to train on"),
        (["-t", "y", "--folds", "-3"], "-3 is not in the range"),
        (["-t", "y", "--folds", "81"], "80 rows of data cannot be split into 81 folds"),
        (["-t", "y", "--test-size", "0.99"], "cannot be split into 5 folds and a test"),
        (["-t", "y", "--groups", "Z"], "--groups: "),
        (["-t", "y", "--groups", "a", "--time-ordered"], "do not go together"),
        (["-t", "y", "--time-ordered", "--folds", "80"], "cannot be split into 80 folds"),
        (["-t", "y", "--selection", "2se"], "'2se' is not one of"),
        (["-t", "y", "--degree", "1-3"], "'1-3' is not a valid"),
        (
            ["-t", "y", *["--drop", "a"], *["--drop", "b"], *["--drop", "c"], *["--drop", "d"]],
            "no column is left",
        ),
        (["-t", "y", "--format", "mtx"], "is not a Matrix Market file"),
    ],
)
def test_mistakes(csv_file, words, message):
    assert message in fails("fit", csv_file, *words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,x\n2,y\n3,z\n", "--target y: numbers are needed, and the column holds 'x'"),
        ("a,y\n1,1\n2,\n3,3\n", "the value is missing in 1 row"),
        ("a,y\n1,\n2,\n3,\n", "--target y: the column is empty"),
        ("a,y\n1,1\n2,inf\n3,3\n", "infinite"),
        ("a,y\ninf,1\n2,2\n3,3\n4,4\n5,4\n6,1\n", "column 'a' holds infinite values"),
        ("a,b,y\n1,,1\n2,,2\n3,,3\n4,,4\n5,,5\n", "column 'b' is empty"),
        ("a,y\n1,5\n2,5\n3,5\n4,5\n5,5\n", "--target y: all values are 5"),
        ("a,y\n1,5\n2,6\n", "too few are left to train on"),
    ],
)
def test_data_that_cannot_be_fitted(tmp_path, text, message):
    (tmp_path / "d.csv").write_text(text)
    assert message in fails("fit", tmp_path / "d.csv", "-t", "y")


def test_other_mistakes(csv_file, tmp_path):
    assert "no such command 'fti'" in fails("fti")
    assert "missing argument 'DATA'" in fails("fit")
    assert "did you mean 'bikes'" in fails("fit", "@bike")
    assert "there are 'bikes'" in fails("fit", "@cars")
    assert "needs the name" in fails("data", "--out", tmp_path / "x.csv")
    assert "cannot write" in fails("data", "bikes", "--out", tmp_path / "no" / "x.csv")


def test_files_that_cannot_be_written(csv_file, tmp_path):
    for words in (["--coef", tmp_path / "no" / "c.csv"], ["--model", tmp_path / "no" / "m.frm"]):
        assert "there is no folder" in fails("fit", csv_file, "-t", "y", *PLAIN, *words)
    (tmp_path / "folder.csv").mkdir()
    for words in (["--coef", tmp_path / "folder.csv"], ["--model", tmp_path / "folder.csv"]):
        status, _, err = run("fit", csv_file, "-t", "y", *PLAIN, *words)
        assert status == 2
        assert err.startswith("fastreg: cannot write")
        assert err.count("\n") == 1


def test_missing_packages_are_named(monkeypatch, csv_file, tmp_path):
    (tmp_path / "d.svm").write_text("1 1:2\n2 1:3\n")
    for name in ("sklearn.datasets", "matplotlib", "jinja2"):
        monkeypatch.setitem(sys.modules, name, None)
    error = fails("fit", tmp_path / "d.svm")
    assert error.endswith("needs scikit-learn: install fastreg-solvers with its extra 'sklearn'")
    error = fails("fit", csv_file, "-t", "y", "--plot", tmp_path / "p.png")
    assert error == "--plot needs matplotlib: install fastreg-solvers with its extra 'cli'"
    monkeypatch.delitem(sys.modules, "matplotlib")
    error = fails("compare", csv_file, "-t", "y", "--report", tmp_path / "r.html")
    assert error == "--report needs jinja2: install fastreg-solvers with its extra 'cli'"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "polars" else 1)
    error = fails("fit", csv_file)
    assert error == "the command line needs polars: install fastreg-solvers with its extra 'cli'"


def test_lack_of_memory_and_interruption(monkeypatch, csv_file):
    def exhausted(*_, **__):
        raise MemoryError

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastreg.cli.work.read_table", exhausted)
    assert fails("fit", csv_file) == "there is not enough memory for this"
    monkeypatch.setattr("fastreg.cli.work.read_table", interrupted)
    status, out, err = run("fit", csv_file)
    assert (status, out, err.strip()) == (130, "", "fastreg: interrupted")


@pytest.mark.parametrize("option", ["--test-size", "--eps", "--alpha", "--l1-ratio"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_are_finite(csv_file, option, value):
    error = fails("fit", csv_file, "-t", "y", option, value)
    assert f"invalid value for '{option}'" in error or f"/ '{option}'" in error
    assert "is not a finite number" in error or "is not in the range" in error
    if value == "nan":
        assert "'nan' is not a finite number" in error


def test_one_row(tmp_path):
    (tmp_path / "one.csv").write_text("a,y\n1,2\n")
    error = fails("fit", tmp_path / "one.csv", "-t", "y", *PLAIN)
    assert error == (
        "1 row of data cannot be split: too few are left to train on; see --folds and --test-size"
    )


def test_a_folder_is_refused_before_the_fit(monkeypatch, csv_file, tmp_path):
    monkeypatch.setattr("fastreg.cli.work.read_table", None)
    for option in ("--model", "--coef"):
        (tmp_path / "f.csv").mkdir(exist_ok=True)
        assert fails("fit", csv_file, "-t", "y", option, tmp_path / "f.csv").endswith("is a folder")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "none", "--alpha", "3"], "--alpha is the strength of a penalty"),
        (["-p", "l1", "--l1-ratio", "0.5"], "--l1-ratio is about the elastic net"),
        (["--alpha", "3", "--n-alphas", "9"], "--n-alphas is about the path of alphas, and there"),
        (["-p", "none", "--eps", "0.1"], "there is none with --penalty none"),
        (["--alpha", "3", "--selection", "1se"], "--selection is about the path of alphas"),
        (["--alpha", "3", "--folds", "0", "--seed", "2"], "--seed is about rows that are held out"),
        (["--time-ordered", "--seed", "2"], "--seed draws nothing with --time-ordered"),
        (
            ["-p", "elasticnet", "-a", "1", *["--l1-ratio", ".2"], *["--l1-ratio", ".3"]],
            "--alpha takes one --l1-ratio",
        ),
        (["--style", "dark"], "--style is about the picture"),
        (["--eps", "1e-300"], "1e-300 is not in the range"),
    ],
)
def test_options_without_effect_are_refused(csv_file, words, message):
    assert message in fails("fit", csv_file, "-t", "y", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "l2", "--relax", "0.5"], "penalties that leave features out, and --penalty is l2"),
        (["--degree", "1-2", "--relax", "0.5"], "--relax takes one --degree, not several"),
        (["--relax", "1.5"], "'--relax': 1.5 is not in the range"),
    ],
)
def test_blends_that_mean_nothing_are_refused(csv_file, words, message):
    assert message in fails("validate", csv_file, "-t", "y", *words)


def test_no_file_is_written_over_another(csv_file, tmp_path):
    before = csv_file.read_bytes()
    error = fails("fit", csv_file, "-t", "y", "--coef", csv_file)
    assert error.endswith("this file is already used for DATA")
    out = tmp_path / "out.csv"
    error = fails("fit", csv_file, "-t", "y", "--coef", out, "--model", tmp_path / "." / "out.csv")
    assert error.endswith("this file is already used for --coef")
    model = tmp_path / "m.frm"
    works("fit", csv_file, "-t", "y", *PLAIN, "--model", model)
    works("fit", csv_file, "-t", "y", *PLAIN, "--model", model)  # an earlier answer may go
    for taken, what in ((csv_file, "DATA"), (model, "MODEL")):
        error = fails("predict", model, csv_file, "--out", taken)
        assert error.endswith(f"this file is already used for {what}")
    assert csv_file.read_bytes() == before


def test_numbers_that_overflow(tmp_path):
    path = tmp_path / "huge.csv"
    rows = [f"{i}e300,{(i * i) % 7}e-300,{i + i % 3}" for i in range(60)]
    path.write_text("\n".join(["a,b,y", *rows]) + "\n")
    status, _, err = run("fit", path, "-t", "y", "-p", "l2", "--n-alphas", 4, "--no-standardize")
    assert status == 2
    assert err.endswith("the columns are too large to be left as they are: --standardize them\n")
    status, out, err = run("fit", path, "-t", "y", "--n-alphas", 4, "--degree", 2)
    assert (status, err) == (0, "")
    assert "nan" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "--penalty", "l1"], "no such option '--penalty'"),
        (["compare", "--alpha", "1"], "no such option '--alpha'"),
        (["compare", "--folds", "0"], "0 is not in the range"),
        (["compare", "--report", "r.pdf"], "--report r.pdf: the name must end with .html"),
        (["compare", "--report", "nowhere/r.html"], "there is no folder nowhere"),
        (["validate", "--degree", "3-1"], "'3-1' is not within 1-20, the lower degree first"),
        (["validate", "--degree", "0-1"], "'0-1' is not within 1-20"),
        (["validate", "--degree", "x"], "'x' is neither a degree, such as 2, nor a range"),
        (["validate", "-p", "none", "--plot", "p.png"], "--plot is about the path of alphas"),
        (["validate", "--style", "dark"], "--style is about the picture"),
    ],
)
def test_mistakes_of_other_commands(csv_file, words, message):
    assert message in fails(words[0], csv_file, "-t", "y", *words[1:])


def test_groups_that_cannot_be(tmp_path):
    path = tmp_path / "d.csv"
    rows = [f"{i},{i % 2},{i * i % 7}" for i in range(20)]
    path.write_text("\n".join(["a,who,y", *rows]) + "\n")
    error = fails("fit", path, "-t", "y", "--groups", "who")
    assert error.startswith("20 rows of data in 2 groups cannot be split into 5 folds")
    path.write_text(path.read_text() + "20,,3\n")
    assert "--groups who: the value is missing in 1 row" in fails(
        "fit", path, "-t", "y", "--groups", "who"
    )


def test_weights_that_leave_a_fold_empty(tmp_path):
    path = tmp_path / "d.csv"
    rows = [f"{i},{1 if i < 2 else 0},{i * i % 7}" for i in range(20)]
    path.write_text("\n".join(["a,w,y", *rows]) + "\n")
    error = fails("fit", path, "-t", "y", "--weights", "w")
    assert "--weights w: all held-out rows of fold" in error
    assert error.endswith("have sample_weight 0; try another --seed")


def test_options_about_names_are_refused_on_a_matrix(tmp_path):
    np = pytest.importorskip("numpy")
    from scipy import io

    io.mmwrite(tmp_path / "m.mtx", np.random.default_rng(0).normal(size=(40, 4)))
    for words in (["--impute", "mean"], ["--max-levels", "3"]):
        error = fails("fit", tmp_path / "m.mtx", "-t", "-1", *words)
        assert f"{words[0]} is about named columns, and" in error
    assert "is a directory, not a file" in fails("fit", tmp_path, "-t", "y")


def test_a_comma_between_thousands_is_no_decimal_comma(tmp_path):
    rows = "".join(f'"{1 + i},{100 + i}",{i}\n' for i in range(20))
    (tmp_path / "d.csv").write_text(f"a,y\n{rows}")
    error = fails("fit", tmp_path / "d.csv", "-t", "y")
    assert "(a comma between thousands? Leave it out)" in error
    assert "--decimal-comma" not in error


@pytest.mark.parametrize("value", ["1234,567", "0,125", "3,5"])
def test_a_decimal_comma_is_none_between_thousands(tmp_path, value):
    rows = "".join(f'"{value}",{i}\n' for i in range(20))
    (tmp_path / "d.csv").write_text(f"a,y\n{rows}")
    assert "(a decimal comma? Say --decimal-comma)" in fails("fit", tmp_path / "d.csv", "-t", "a")


def test_two_kinds_of_text_may_be_written_as_numbers(tmp_path):
    (tmp_path / "d.csv").write_text("a,y\n1,yes\n2,no\n3,yes\n")
    error = fails("compare", tmp_path / "d.csv", "-t", "y")
    assert error.endswith("(two kinds, 'no' and 'yes'? Write 0 and 1)")


def test_a_scale_is_nothing_to_least_squares(csv_file):
    error = fails("fit", csv_file, "-t", "y", "-p", "none", "--standardize")
    assert "--standardize is about a penalty, and there is none" in error
    assert "is scaled" not in works("fit", csv_file, "-t", "y", "-p", "none")
