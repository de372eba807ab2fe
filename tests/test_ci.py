"""The choice of a PyTorch for the tests, with a pip that installs nothing."""

import importlib.util
import json
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "ci" / "pytorch.py"
if not SCRIPT.exists():
    pytest.skip("the tests are not in a checkout", allow_module_level=True)

CPU, LARGE = ["torch", "sympy"], ["torch", "nvidia-cublas", "triton"]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the script where pip would install these packages; return output and what it did."""
    spec = importlib.util.spec_from_file_location("pytorch", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(packages):
        asked, installed = [], []

        def pip(*arguments):
            requirement = arguments[-1]
            names = packages.get(requirement)
            (asked if "--dry-run" in arguments else installed).append(requirement)
            report = {"install": [{"metadata": {"name": name}} for name in names or []]}
            return subprocess.CompletedProcess([], names is None, json.dumps(report))

        def version(name):
            if not installed:
                raise PackageNotFoundError(name)
            return "9.9"

        monkeypatch.setattr(script, "pip", pip)
        monkeypatch.setattr(script, "version", version)
        monkeypatch.setattr("sys.argv", ["pytorch.py", str(tmp_path / "note")])
        script.main()
        return capsys.readouterr().out.strip(), asked, installed

    return run


def test_pytorch_is_installed_where_it_is_small(run):
    pinned = "torch==2.13.0+cpu"
    assert run({pinned: CPU, "torch": LARGE}) == ("PyTorch 9.9 is tested", [pinned], [pinned])
    said, _, installed = run({"torch": CPU})  # macOS
    assert (said, installed) == ("PyTorch 9.9 is tested", ["torch"])


def test_without_a_package_index_it_is_asked_for_again(run):
    for _ in range(2):
        said, asked, installed = run({})
        assert said == "PyTorch is not tested: pip finds none"
        assert (len(asked), installed) == (2, [])


def test_a_large_build_is_not_installed_and_not_asked_for_again(run):
    reason = (
        "PyTorch is not tested: the build here needs nvidia-cublas, 2 packages of this kind in all"
    )
    assert run({"torch": LARGE}) == (reason, ["torch==2.13.0+cpu", "torch"], [])
    assert run({"torch": LARGE}) == (reason, [], [])
