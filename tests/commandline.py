"""Run the command line inside a test (`run`, `works`, `fails`) and read what it wrote."""

import contextlib
import csv
import io

import numpy as np

from fastreg.cli import main

#: A short path, and a single fit to all rows.
QUICK = ("--n-alphas", "8")
PLAIN = ("--penalty", "l1", "--alpha", "0.1", "--folds", "0")


def run(*words):
    """Run the command line in this process; returns status, output, errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    return status, out.getvalue(), err.getvalue()


def works(*words):
    """Run a command that must succeed without a word on standard error; returns its output."""
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    return " ".join(out.split())


def fails(*words):
    """Run a command that must fail with one sentence; returns the sentence."""
    status, out, err = run(*words)
    assert status == 2
    assert out == ""
    assert err.startswith("fastreg: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err.removeprefix("fastreg: ").strip()


def coefficients(path):
    """Read a CSV file of coefficients: one dict per feature."""
    with open(path, encoding="utf-8", newline="") as file:
        return {row["feature"]: row for row in csv.DictReader(file)}


def problem():
    """Make a small regression problem: the first two of four columns matter."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 4)) * [1.0, 10.0, 0.1, 1.0]
    y = 3.0 + X @ [2.0, -0.5, 0.0, 0.0] + 0.3 * rng.normal(size=80)
    return X, y


def write_csv(path):
    """Write the small problem with the columns a, b, c, d and y."""
    X, y = problem()
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "d", "y"])
        writer.writerows(np.column_stack([X, y]).tolist())
    return path
