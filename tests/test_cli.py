"""The command line: what is fitted, what is told, what is predicted."""

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pl = pytest.importorskip("polars")
pytest.importorskip("click")
pytest.importorskip("rich")

from commandline import PLAIN, QUICK, coefficients, fails, problem, run, works, write_csv  # noqa: E402

import fastreg  # noqa: E402
from fastreg.cli import heldout  # noqa: E402
from fastreg.cli.readers import read_table  # noqa: E402

PROGRAM = [sys.executable, "-P", "-m", "fastreg.cli"]


# What is fitted


@pytest.fixture
def csv_file(tmp_path):
    return write_csv(tmp_path / "data.csv")


def test_coefficients_are_those_of_solve(csv_file, tmp_path):
    X, y = problem()
    works("fit", csv_file, "-t", "y", *PLAIN, "--coef", tmp_path / "c.csv")
    expected = fastreg.solve(X, y, alpha=0.1, standardize=True)
    found = coefficients(tmp_path / "c.csv")
    assert np.isclose(float(found["(intercept)"]["l1"]), expected.intercept)
    assert np.allclose([float(found[name]["l1"]) for name in "abcd"], expected.coef)
    assert found["d"]["l1"] == "0"
    works(
        "fit", csv_file, "-t", "y", "-p", "elasticnet", "--l1-ratio", 0.3, "-a", 0.1,
        "--test-size", 0, "--no-standardize", "--coef", tmp_path / "c.json",
    )  # fmt: skip
    content = json.loads((tmp_path / "c.json").read_text())
    (model,) = content["models"]
    expected = fastreg.solve(X, y, alpha=0.1, l1_ratio=0.3, standardize=False)
    assert content["target"] == "y"
    assert model["penalty"] == "elasticnet"
    assert np.allclose(list(model["coef"].values()), expected.coef)
    assert 0.0 <= model["relative_gap"] < 1e-5


def test_compares_penalties_on_rows_that_chose_nothing(csv_file, tmp_path):
    out = works("fit", csv_file, "-t", "y", *QUICK, "--coef", tmp_path / "c.csv", "--seed", 3)
    assert "80 rows, 48 to train, 16 to choose alpha, 16 to test." in out
    for name in ("mean only", "least squares", "L2 (ridge)", "L1 (lasso)", "elastic net"):
        assert name in out
    assert "predicts best" in out
    assert "standard errors on 16 test rows" in out
    assert "Proof: no duality gap of the 24 models" in out
    assert next(iter(coefficients(tmp_path / "c.csv").values())).keys() == {
        "feature", "l2", "l1", "elasticnet",
    }  # fmt: skip
    X, y = problem()
    parts = heldout.split(80, validation=0.2, test=0.2, seed=3)
    assert sorted(np.concatenate([parts.fitted, parts.test])) == list(range(80))
    result = fastreg.solve(X[parts.fitted], y[parts.fitted], alpha=0.0)
    error = np.sqrt(np.mean((y[parts.test] - result.predict(X[parts.test])) ** 2))
    assert f"4 of 4 {error:.4f}" in out


def test_the_same_seed_gives_the_same_numbers(csv_file, tmp_path):
    for name in ("one", "two"):
        works(
            "fit", csv_file, "-t", "y", *QUICK,
            "--coef", tmp_path / f"{name}.csv", "-m", tmp_path / f"{name}.frm",
        )  # fmt: skip
    for ending in (".csv", ".frm"):
        one, two = (tmp_path / f"{name}{ending}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_the_verdict_is_honest(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "d.csv"
    x, noise = rng.normal(size=(2, 200))
    np.savetxt(path, np.column_stack([x, noise]), delimiter=",", header="x,y", comments="")
    assert "No model predicts new rows better than the mean" in works("fit", path, "-t", "y")
    np.savetxt(path, np.column_stack([x, 9 * x + noise]), delimiter=",", header="x,y", comments="")
    out = works("fit", path, "-t", "y", "-p", "l1", "--alpha", "5")
    assert "Least squares predicts best with 1 of 1 feature: its error is" in out
    assert "% below L1" in out
    assert "hardly chance" in out


def test_weights_count_rows(tmp_path):
    X, y = problem()
    weight = np.arange(80) % 3
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "w": weight, "y": y})
    frame.write_csv(tmp_path / "weighted.csv")
    rows = np.repeat(np.arange(80), weight)
    frame[rows].drop("w").write_csv(tmp_path / "repeated.csv")
    base = ("-t", "y", *PLAIN, "--coef")
    works("fit", tmp_path / "weighted.csv", "--weights", "w", *base, tmp_path / "w.csv")
    works("fit", tmp_path / "repeated.csv", *base, tmp_path / "r.csv")
    weighted, repeated = coefficients(tmp_path / "w.csv"), coefficients(tmp_path / "r.csv")
    assert weighted.keys() == repeated.keys() == {"(intercept)", "a", "b"}
    for name, row in weighted.items():
        assert np.isclose(float(row["l1"]), float(repeated[name]["l1"]))


def test_small_words(csv_file):
    out = works("fit", csv_file, "-t", "y", "-p", "none")
    assert "least squares uses 4 of 4 features" in out.replace("Least", "least")
    assert "Proof" not in out
    out = works("fit", csv_file, "-t", "y", "-p", "l2", "-a", 1, "--test-size", 0)
    assert "80 rows, 80 to train." in out
    assert "Test error" not in out
    out = works("fit", csv_file, "-t", "y", "-p", "l1", "--n-alphas", 2, "--eps", 0.5)
    assert "L1 chose the smallest alpha that was tried" in out


# Prediction


@pytest.fixture
def model(tmp_path):
    lines = [
        f"{t},{s},{2 * s + (5 if t == 'Ulm' else 0)}" for s in range(30) for t in ("Ulm", "Bonn")
    ]
    (tmp_path / "train.csv").write_text("town,size,rent\n" + "\n".join(lines) + "\n")
    path = tmp_path / "rent.frm"
    works(
        "fit", tmp_path / "train.csv", "-t", "rent", "-p", "none", "--degree", 2,
        "--test-size", 0, "-m", path,
    )  # fmt: skip
    return path


def test_predict(model, tmp_path):
    new = tmp_path / "new.csv"
    new.write_text("size,colour,town\n10,red,Ulm\n40,blue,Bonn\n")
    out = works("predict", model, new)
    assert out.split()[0] == "rent"
    assert np.allclose([float(v) for v in out.split()[1:]], [25.0, 80.0])
    said = works("predict", model, new, "--out", tmp_path / "p.csv")
    assert said.startswith("2 predictions of rent written to")
    assert (tmp_path / "p.csv").read_text().split() == out.split()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size\n1\n", "the data has no column 'town'"),
        ("Size,town\n1,Ulm\n", "has no column 'size' (did you mean 'Size'?)"),
        ("size,town\n1,ulm\n", "has the value 'ulm', which the model has never seen (did you"),
        ("size,town\nbig,Ulm\n", "column 'size' holds 'big' in row 1 of the data, and the model"),
        ("size,town\n1,Ulm\n,Ulm\n", "column 'size' has 1 missing value, and the model was"),
        ("size,town\n1,\n2,Ulm\n", "column 'town' has 1 missing value, and the model was"),
        ("size,town\ninf,Ulm\n", "column 'size' holds infinite values"),
        ("size,town\n1,Ulm\n1e308,Bonn\n", "the prediction for row 2 of"),
    ],
)
def test_data_that_do_not_fit_to_the_model(model, tmp_path, text, message):
    (tmp_path / "new.csv").write_text(text)
    assert message in fails("predict", model, tmp_path / "new.csv")


def test_the_best_of_the_choosing_is_saved(csv_file, tmp_path):
    out = works("fit", csv_file, "-t", "y", *QUICK, "-m", tmp_path / "m.frm")
    content = json.loads((tmp_path / "m.frm").read_text().partition("\n")[2])
    name = {"l1": "L1 (lasso)", "l2": "L2 (ridge)", "elasticnet": "elastic net"}
    assert f"({name[content['penalty']]}, which has the least validation error)" in out
    assert content["facts"]["rows_fitted"] == 64
    assert content["facts"]["rows_tested"] == 16
    predicted = works("predict", tmp_path / "m.frm", csv_file).split()
    assert len(predicted) == 81


# The shipped data, and the program as users call it


def test_shipped_data():
    table = read_table("@bikes")
    assert table.frame.shape == (1337, 12)
    assert table.default_target == "rides"
    assert table.frame.null_count().sum_horizontal().item() == 0
    out = works("data")
    assert "CC BY 4.0" in out
    assert "10.24432/C5W894" in out


@pytest.mark.parametrize("penalty", ["all", "l1"])
def test_main_job(tmp_path, penalty):
    picture = tmp_path / "bikes.svg"
    out = works("fit", "@bikes", "-p", penalty, "--plot", picture, *QUICK, "--style", "dark")
    assert f"Picture: {picture}" in out
    assert "hour=17h" in (tmp_path / "bikes.svg").read_text() or picture.stat().st_size > 10_000


def program(*words, **options):
    return subprocess.run(
        [*PROGRAM, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def test_program(csv_file, tmp_path):
    shown = program("fit", csv_file, "-t", "y", *QUICK)
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert "\x1b" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    failed = program("fit", csv_file, "-t", "z")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("fastreg: --target: ")


def test_program_in_a_plain_terminal(csv_file):
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    shown = program("fit", "@bikes", *QUICK, "-p", "l1", env=plain)
    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
def test_progress_is_shown_on_terminals_only(csv_file):
    code = (
        "import sys, fastreg.cli.work as work; from fastreg.cli import main; work.LONG_WORK = 0;"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-P", "-c", code, "fit", csv_file, "-t", "y", *QUICK]
    environment = {**os.environ, "TERM": "xterm"}
    ours, theirs = os.openpty()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal ends with an error
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    assert process.returncode == 0
    assert b"fitting" in shown
    piped = subprocess.run(command, check=True, capture_output=True, env=environment)
    assert piped.stderr == b""


def test_program_into_a_closed_pipe():
    with subprocess.Popen(
        [*PROGRAM, "data", "bikes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_reader_that_leaves_does_not_end_the_work(csv_file, tmp_path):
    words = map(str, ("fit", csv_file, "-t", "y", *QUICK, "-m", tmp_path / "m.frm"))
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
    assert (tmp_path / "m.frm").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("words", [["data"], ["data", "bikes"], ["fit", "--help"], ["fit", "DATA"]])
def test_program_into_a_full_disk(csv_file, words):
    words = [csv_file if word == "DATA" else word for word in words]
    words += ["-t", "y"] if csv_file in words else []
    with open("/dev/full", "w") as full:
        command = [*PROGRAM, *map(str, words)]
        failed = subprocess.run(
            command, check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert failed.returncode == 2
    assert failed.stderr == "fastreg: cannot write the output: no space left on device\n"


def test_the_table_is_whole_in_a_narrow_terminal(csv_file):
    shown = program("fit", csv_file, "-t", "y", *QUICK, env={**os.environ, "COLUMNS": "40"})
    assert "…" not in shown.stdout
    assert "least squares" in shown.stdout


@pytest.mark.parametrize(
    "words", [[], ["-h"], ["fit", "--help"], ["predict", "-h"], ["data", "-h"]]
)
def test_help(words):
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert out.startswith("Usage: fastreg")
    assert max(map(len, out.splitlines())) <= 88


def test_version():
    assert works("--version").startswith("fastreg ")


def test_import_stays_light():
    code = (
        "import sys, fastreg, fastreg.cli;"
        "heavy = {'polars', 'matplotlib', 'rich', 'click', 'sklearn', 'pandas'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
