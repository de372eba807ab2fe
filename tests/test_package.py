"""What is installed: its name, requirements and files, and that it is the code of this checkout."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import fastreg

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = Path(fastreg.__file__).resolve().parent
SOURCES = ROOT / "fastreg"
TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "benchmarks",
    "ci",
    "fastreg",
    "meson.build",
    "pyproject.toml",
    "tests",
}

distribution = importlib.metadata.distribution("fastreg-solvers")


def test_name_and_version():
    assert distribution.metadata["Name"] == "fastreg-solvers"
    assert fastreg.__version__ == distribution.version
    assert f"version: '{fastreg.__version__}'" in (ROOT / "meson.build").read_text()


def test_only_numpy_and_scipy_are_required():
    required = [text for text in distribution.requires if "extra ==" not in text]
    assert {re.match(r"[\w-]+", text)[0] for text in required} == {"numpy", "scipy"}


def test_extras():
    extras = set(distribution.metadata.get_all("Provides-Extra"))
    users = {"cli", "frames", "keras", "sklearn", "torch"}
    assert extras == users | {"all", "bench", "dev", "peers", "test"}


def test_python_versions():
    assert distribution.metadata["Requires-Python"] == ">=3.11"
    named = " ".join(distribution.metadata.get_all("Classifier"))
    assert re.findall(r"Python :: (3\.\d+)", named) == ["3.11", "3.12", "3.13", "3.14"]


def test_console_script():
    (script,) = distribution.entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("fastreg", "fastreg.cli:main")


def test_licences_are_shipped():
    names = {Path(text).name for text in distribution.metadata.get_all("License-File")}
    assert names == {"LICENSE", "NOTICE.md"}
    assert distribution.metadata["License-Expression"] == "BSD-3-Clause"


def test_types_are_shipped():
    assert (INSTALLED / "py.typed").is_file()


@pytest.mark.parametrize("source", sorted(SOURCES.rglob("*.pyx")), ids=lambda file: file.stem)
def test_compiled_module_has_stub_and_extension(source):
    assert source.with_suffix(".pyi").is_file()
    name = ".".join(source.relative_to(ROOT).with_suffix("").parts)
    assert not importlib.util.find_spec(name).origin.endswith((".py", ".pyx"))


def installed_files(directory):
    return {
        file.relative_to(directory): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file() and file.suffix not in {".pyc", ".pyx", ".c", ".so", ".pyd"}
    }


def test_installed_files_are_those_of_the_checkout():
    expected = installed_files(SOURCES)
    if INSTALLED != SOURCES:  # an editable install has the tutorial, a wheel has not
        expected = {name: data for name, data in expected.items() if name.parts[0] != "tutorial"}
    assert installed_files(INSTALLED) == expected


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_top_level_is_as_agreed():
    git = subprocess.run(
        ["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False
    )
    if git.returncode != 0:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in git.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL
