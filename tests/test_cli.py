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
from fastreg.cli.compare import Plan, compare  # noqa: E402
from fastreg.cli.progress import Steps  # noqa: E402
from fastreg.cli.readers import read_table  # noqa: E402
from fastreg.threads import watched  # noqa: E402

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
        "--no-standardize", "--coef", tmp_path / "c.json",
    )  # fmt: skip
    content = json.loads((tmp_path / "c.json").read_text())
    (model,) = content["models"]
    expected = fastreg.solve(X, y, alpha=0.1, l1_ratio=0.3, standardize=False)
    assert content["target"] == "y"
    assert model["penalty"] == "elasticnet"
    assert np.allclose(list(model["coef"].values()), expected.coef)
    assert 0.0 <= model["relative_gap"] < 1e-5


def test_compares_penalties_on_the_same_folds(csv_file, tmp_path):
    out = works(
        "compare", csv_file, "-t", "y", *QUICK, "--coef", tmp_path / "c.csv", "--seed", 3,
        "--folds", 4, "--test-size", 0.2,
    )  # fmt: skip
    assert "80 rows, 16 of them kept apart for the test." in out
    assert "Folds: 4, drawn by seed 3." in out
    for name in ("mean only", "least squares", "L2 (ridge)", "L1 (lasso)", "elastic net"):
        assert name in out
    assert "predicts best" in out
    assert "on the same 4 folds" in out
    assert "Proof: no duality gap of the 189 fits" in out  # 4 x 41 in folds, 25 of all rows
    assert next(iter(coefficients(tmp_path / "c.csv").values())).keys() == {
        "feature", "none", "l2", "l1", "elasticnet",
    }  # fmt: skip
    X, y = problem()
    parts = heldout.split(80, n_folds=4, test=0.2, seed=3)
    result = fastreg.solve(X[parts.fitted], y[parts.fitted], alpha=0.0)
    squares = (y[parts.test] - result.predict(X[parts.test])) ** 2
    error = np.sqrt(np.mean(squares))
    spread = squares.std(ddof=1) / 4.0 / (2.0 * error)
    assert f"{error:.3f} ± {spread:.3f} 4 0 100%" in out


def test_the_same_seed_gives_the_same_numbers(csv_file, tmp_path):
    for name in ("one", "two"):
        works(
            "compare", csv_file, "-t", "y", *QUICK,
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
    told = works("compare", path, "-t", "y")
    assert "No model predicts rows that it has not seen better than their mean" in told
    np.savetxt(path, np.column_stack([x, 9 * x + noise]), delimiter=",", header="x,y", comments="")
    out = works("compare", path, "-t", "y", "--eps", "0.5")
    assert "Least squares predicts best with 1 of 1 feature: its error on rows that it" in out
    assert "none of these is within chance" in out
    assert "chose the smallest alpha that was tried: a smaller --eps may do better." in out


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
    assert "Least squares uses 4 of 4 features" in out
    assert "looks too good" not in out
    out = works("fit", csv_file, "-t", "y", "-p", "l2", "-a", 1, "--folds", 0)
    assert out.startswith("y from 4 features")
    assert "Folds" not in out
    assert "Held-out" not in out
    assert "the duality gap of this fit is at most" in out
    out = works("fit", csv_file, "-t", "y", "-p", "l1", "--n-alphas", 2, "--eps", 0.5)
    assert "L1 chose the smallest alpha that was tried" in out
    out = works("fit", csv_file, "-t", "y", "-p", "l1", "--impute", "mean", "-d", 2, *QUICK)
    assert "What is filled in and the range of each column in products comes from the inputs" in out


# Validation of one penalty


def test_validate_tells_both_rules(csv_file, tmp_path):
    X, y = problem()
    expected = fastreg.validate(
        X, y, n_alphas=8, standardize=True, cv=5, shuffle=True, random_state=0, selection="1se"
    )
    out = works(
        "validate", csv_file, "-t", "y", *QUICK, "--selection", "1se", "-m", tmp_path / "m.frm",
        "--coef", tmp_path / "c.csv", "--plot", tmp_path / "c.png",
    )  # fmt: skip
    for place, name in ((expected.index_min, "least error"), (expected.index_1se, "1 s.e. rule *")):
        assert f"{name} {expected.alphas[place]:.3g} {np.sqrt(expected.mean[place]):.3f}" in out
    found = coefficients(tmp_path / "c.csv")
    assert np.allclose([float(found[n]["l1"]) for n in "abcd"], expected.result.coef, atol=1e-6)
    assert "looks too good" not in out  # nothing is least by the one-standard-error rule
    assert len(works("predict", tmp_path / "m.frm", csv_file).split()) == 81


def test_validate_blends_with_least_squares(csv_file, tmp_path):
    X, y = problem()
    expected = fastreg.validate(
        X, y, n_alphas=8, standardize=True, shuffle=True, random_state=0, relax=[0.0, 0.5, 1.0]
    )
    words = ("validate", csv_file, "-t", "y", *QUICK, "--coef", tmp_path / "c.csv")
    out = works(
        *words, "--relax", 1, "--relax", 0, "--relax", 0.5, "-m", tmp_path / "m.frm",
        "--report", tmp_path / "r.html",
    )  # fmt: skip
    for place, name in ((expected.index_min, "least error *"), (expected.index_1se, "1 s.e. rule")):
        blend = expected.blends[place[0]]
        error = np.sqrt(expected.mean[place])
        assert f"{name} {blend:g} {expected.alphas[place]:.3g} {error:.3f}" in out
    blend = expected.blends[expected.index[0]]
    assert blend < 1.0
    assert f"Relaxed by {blend:g}:" in out
    assert f"Relaxed by {blend:g}:" in (tmp_path / "r.html").read_text("utf-8")
    found = coefficients(tmp_path / "c.csv")
    ours = [float(found[n]["l1"]) for n in "abcd"]
    assert np.allclose(ours, expected.coef, atol=1e-6)
    assert not np.allclose(ours, expected.result.coef, atol=1e-3)
    predicted = works("predict", tmp_path / "m.frm", csv_file).split()[1:]
    assert np.allclose(np.array(predicted, float), expected.predict(X))
    assert "Relaxed by 1: these are the coefficients of L1 as it is." in works(*words, "--relax", 1)
    out = works(*words, "-p", "elasticnet", *["--l1-ratio", 0.5, "--l1-ratio", 0.9], "--relax", 0.5)
    assert "Point L1 ratio Relax Alpha" in out
    assert "that share of the coefficients of the elastic net" in out


def test_validate_chooses_a_degree(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2.0, 2.0, size=60)
    y = x**3 - 2.0 * x + 0.3 * rng.normal(size=60)
    table = np.column_stack([x, y])
    np.savetxt(tmp_path / "d.csv", table, delimiter=",", header="x,y", comments="")
    words = ("validate", tmp_path / "d.csv", "-t", "y", "-p", "none", "--degree", "1-8")
    out = works(*words, "-m", tmp_path / "m.frm", "--coef", tmp_path / "c.csv")
    assert "y from 8 features (products of 1 to 8 columns)" in out
    assert "Each degree:" in out
    kept = list(coefficients(tmp_path / "c.csv"))
    assert 3 <= len(kept) - 1 < 8
    assert f"least error * {len(kept) - 1} 0 " in out
    predicted = np.array(
        works("predict", tmp_path / "m.frm", tmp_path / "d.csv").split()[1:], float
    )
    assert np.sqrt(np.mean((predicted - y) ** 2)) < 0.4


def test_groups_and_time(tmp_path):
    X, y = problem()
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "who": [f"p{i % 9}" for i in range(80)]})
    frame = frame.with_columns(y=pl.Series(y))
    frame.write_csv(tmp_path / "d.csv")
    base = ("fit", tmp_path / "d.csv", "-t", "y", *QUICK, "--coef", tmp_path / "c.csv")
    out = works(*base, "--groups", "who", "--folds", 3, "--seed", 4)
    assert "Folds: 3 of whole groups of who, drawn by seed 4." in out
    assert coefficients(tmp_path / "c.csv").keys() == {"(intercept)", "a", "b"}
    labels = np.arange(80) % 9
    expected = fastreg.validate(
        X[:, :2], y, cv=3, n_alphas=8, standardize=True, groups=labels, shuffle=True, random_state=4
    )
    assert f"{np.sqrt(expected.mean[expected.index]):.3f} ±" in out
    out = works(*base, "--drop", "who", "--time-ordered")
    assert "Folds: 5 in the order of time, each predicted from the rows before it." in out
    expected = fastreg.validate(X[:, :2], y, cv=5, n_alphas=8, standardize=True, time_ordered=True)
    assert f"{np.sqrt(expected.mean[expected.index]):.3f} ±" in out


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
        "-m", path,
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


def test_the_best_of_the_comparison_is_saved(csv_file, tmp_path):
    base = ("compare", csv_file, "-t", "y", *QUICK, "-m", tmp_path / "m.frm")
    out = works(*base, "--test-size", 0.2)
    content = json.loads((tmp_path / "m.frm").read_text().partition("\n")[2])
    name = {
        "none": "least squares", "l1": "L1 (lasso)", "l2": "L2 (ridge)",
        "elasticnet": "elastic net",
    }  # fmt: skip
    assert f"({name[content['penalty']]}, which has the least held-out error)" in out
    assert content["facts"]["rows_fitted"] == 64
    assert content["facts"]["rows_tested"] == 16
    assert content["facts"]["held_out_error"] > 0.0
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


@pytest.mark.parametrize("command", ["compare", "validate", "fit"])
def test_main_jobs(tmp_path, command):
    picture = tmp_path / "bikes.svg"
    out = works(command, "@bikes", "--plot", picture, *QUICK, "--style", "dark")
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
    shown = program("compare", csv_file, "-t", "y", *QUICK)
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
def test_progress_is_shown_on_terminals_only():
    code = (
        "import sys, fastreg.cli.progress as bar; from fastreg.cli import main; bar.PATIENCE = 0;"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-P", "-c", code, "compare", "@bikes", *QUICK]
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
    plain = {**os.environ, "COLUMNS": "40"}
    shown = program("compare", csv_file, "-t", "y", *QUICK, env=plain)
    assert "…" not in shown.stdout
    assert "least squares" in shown.stdout


@pytest.mark.parametrize(
    "words",
    [[], ["-h"], *([name, "-h"] for name in ("compare", "validate", "fit", "predict", "data"))],
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
        "heavy = {'polars', 'matplotlib', 'rich', 'click', 'jinja2', 'sklearn'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_progress_moves_by_folds():
    X, y = problem()
    parts = heldout.split(len(y), n_folds=4)
    data = heldout.Data.of(heldout.Sample(X=X, y=y, sample_weight=None), parts)
    seen = []
    steps = Steps(lambda name, done: seen.append((name, round(done, 3))), 5)
    plan = Plan(penalties=("l2", "l1"), n_alphas=3)
    compare(data, plan, on_step=steps, on_part=steps.part)
    for k, name in enumerate(("L2 (ridge)", "L1 (lasso)")):
        assert [done for label, done in seen if label == name] == [k + i / 5 for i in range(5)]
    with watched(steps.part):
        fastreg.validate(X, y, cv=3, n_threads=3)
    assert seen[-1] == ("L1 (lasso)", 2.0)  # and no further
    n = len(seen)
    fastreg.validate(X, y, cv=3)
    assert len(seen) == n
