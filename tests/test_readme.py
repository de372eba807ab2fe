"""The README is true: its code runs, and its table is what the command prints."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = (ROOT / "ci" / "demo").read_text(encoding="utf-8")


def test_code_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)
    assert names["path"].predict(names["X"]).shape == (200, 100)
    assert names["result"].converged


def test_the_table_is_what_is_printed(tmp_path):
    for package in ("click", "jinja2", "matplotlib", "polars", "rich"):
        pytest.importorskip(package)
    from commandline import works

    (block,) = re.findall(r"```\n(rides from.*?)```", README, re.DOTALL)
    options = re.search(r'fastreg" compare (@bikes.*) --report', DEMO).group(1).split()
    said = works("compare", *options, "--report", tmp_path / "bikes.html")
    assert plain(said.replace(f"{tmp_path}/", "")) == plain(block)


def plain(text):
    """What was said, without what differs between machines: times, gaps, what these prove."""
    text = re.sub(r"(all )?\d+ (of the \d+ )?zeros", "ZEROS", " ".join(text.split()))
    text = re.sub(r"(\d+) \d+ (\d+%)", r"\1 PROVEN \2", text)
    text = re.sub(r"[\d.]+ m?s\b", "TIME", re.sub(r"\d(\.\d+)?e-\d\d", "GAP", text))
    return re.sub(r"\W*─+\W*", " ", " ".join(text.split()))
