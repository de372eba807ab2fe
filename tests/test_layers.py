"""The floors of the house: who may import whom, read from the sources; what an import costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "fastreg"

# Each floor imports only from floors below it. A package (estimators, cli) is one room.
FLOORS = [
    {"_core.kernels"},
    {"_core.cholesky", "_core.design", "_core.penalty", "_core.shrink"},
    {"_core.factor"},
    {"_core.compressed", "_core.gram", "_core.passes"},
    {"_core.dense", "_core.sparse"},
    {"_core.certificate", "_core.span", "_core.selection"},
    {"_core.quadratic_state"},
    {"_core.active_set"},
    {"_core.quadratic"},
    {"_core.objective"},
    {"_core.dependence", "_core.record", "_core.horizon"},
    {"_core.outside", "_core.lockstep"},
    {"_core.first_order", "_core.foresight", "_core.leave_one_out", "_core.moment_path"},
    {"_core.working_set"},
    {"_core.moments"},
    {"_core.descent", "_core.fold_path", "_core.embedded"},
    {"_core.intake", "_core.wide_ridge"},
    {"_core.resample"},
    {"_core.batch"},
    {"_core.many", "_core.small"},
    {"inputs", "settings"},
    {"monomials", "proximal", "selection_bounds", "threads"},
    {"polynomial"},
    {"costs"},
    {"choice"},
    {"result"},
    {"units", "lapack", "cauchy"},
    {"problem"},
    {"blocks", "normal_equations"},
    {"spectrum", "survey"},
    {"ridge", "grid_fit"},
    {"ridge_grid", "smooth"},
    {"engine", "lockstep"},
    {"responses", "grid"},
    {"api", "supports", "batches"},
    {"resampling"},
    {"criteria", "relaxed", "stability", "moment_problem", "many"},
    {"moment_model", "frames"},
    {"moments"},
    {"fold_moments"},
    {"validation"},
    {"estimators"},
]
# Rooms beside the house: what they may import ("" is the names of fastreg itself). Nobody in the
# house imports them.
SIDE_ROOMS = {
    "keras": {"", "proximal", "plotting", "torch"},
    "torch": {"", "proximal", "_core.shrink"},
    "plotting": {"", "keras", "result"},
    "cython_api": {"_core.embedded", "_core.intake", "_core.kernels"},
    "cli": {"", "estimators", "plotting", "result", "settings", "api", "threads", "validation"},
}
# Nothing else is imported from other people, and these only there.
THIRD_PARTIES = {
    "numpy": "",
    "scipy": "",
    "cython": "_core",
    "libc": "",
    "cpython": "",
    "typing_extensions": "_core",  # in stubs, which nobody runs
    "click": "cli",
    "jinja2": "cli",
    "rich": "cli",
    "polars": "cli",
    "narwhals": "frames",
    "matplotlib": "plotting",
    "keras": "keras",
    "torch": "torch",
    "sklearn": "estimators",
    "warnings": "estimators",
}
EXTRAS = {
    "sklearn",
    "narwhals",
    "matplotlib",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "click",
    "jinja2",
    "keras",
    "torch",
}

CYTHON_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+)?c?import[ \t]+([^#\n]+)", re.M)


def room(name):
    """The room of a module, given without the leading `fastreg.`: `_core.path`, `solve`, `cli`."""
    parts = name.split(".")
    return ".".join(parts[: 2 if parts[0] == "_core" else 1])


def modules():
    """Every module, named without `fastreg.`, with its files: source, stub, declarations."""
    found = {}
    for file in sorted(PACKAGE.rglob("*")):
        if file.suffix in {".py", ".pyi", ".pyx", ".pxd"}:
            parts = file.relative_to(PACKAGE).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            found.setdefault(name, []).append(file)
    return found


MODULES = modules()


def imports_of_python(file):
    package = ["fastreg", *file.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            yield from (f"{source}.{alias.name}" for alias in node.names)


def imports_of_cython(file):
    text = re.sub(r"\(([^()]*)\)", lambda group: group[1].replace("\n", " "), file.read_text())
    for source, names in CYTHON_IMPORT.findall(text):
        for name in names.split(","):
            word = name.split()
            if word:
                yield f"{source}.{word[0]}" if source else word[0]


def imports(files):
    for file in files:
        cython = file.suffix in {".pyx", ".pxd"}
        yield from imports_of_cython(file) if cython else imports_of_python(file)


def own(name):
    """The module of ours that an imported name is, or lies in; None for other people's."""
    parts = name.split(".")
    if parts[0] != "fastreg":
        return None
    while len(parts) > 1 and ".".join(parts[1:]) not in MODULES:
        parts.pop()
    return ".".join(parts[1:])


def allowed(importer):
    if importer in SIDE_ROOMS:
        return SIDE_ROOMS[importer]
    below = set()
    for floor in FLOORS:
        if importer in floor:
            return below
        below |= floor
    pytest.fail(f"fastreg.{importer} has no floor: give it one in {Path(__file__).name}")
    return None


def test_the_reader_of_imports_sees_every_form(tmp_path):
    file = tmp_path / "example.pyx"
    file.write_text(
        "from libc.math cimport sqrt, fabs  # comment\n"
        "from fastreg._core.design cimport (\n    Design,\n    View as V,\n)\n"
        "cimport cython\nimport a.b, c as d\n"
        "cdef int important(): pass\n"
        "cdef extern from 'x.h':\n    pass\n"
    )
    assert list(imports_of_cython(file)) == [
        "libc.math.sqrt",
        "libc.math.fabs",
        "fastreg._core.design.Design",
        "fastreg._core.design.View",
        "cython",
        "a.b",
        "c",
    ]


# `fastreg` itself may import everything; it stands above all floors.
@pytest.mark.parametrize("name", sorted(set(MODULES) - {"", "_core"}))
def test_imports_come_from_below(name):
    importer = room(name)
    targets = {room(target) for target in map(own, imports(MODULES[name])) if target is not None}
    assert targets - {importer} <= allowed(importer)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_other_peoples_packages_stay_in_their_room(name):
    for imported in imports(MODULES[name]):
        party = imported.split(".")[0]
        if party in THIRD_PARTIES:
            home = THIRD_PARTIES[party]
            assert not home or name.split(".")[0] == home, f"{party} belongs in fastreg.{home}"
        else:
            assert party == "fastreg" or party in sys.stdlib_module_names, (
                f"{party} is not declared"
            )


def output(code):
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_solver_loads_no_extra():
    loaded = output("import sys, fastreg; fastreg.solve; print(*sys.modules)").split()
    assert {"fastreg._core.working_set", "numpy", "scipy"} <= set(loaded)
    assert EXTRAS.isdisjoint(loaded)


def test_import_time_is_reported(capsys):
    times = output(
        "from time import perf_counter as now; start = now()\n"
        "import numpy; numpy_there = now()\n"
        "import fastreg; fastreg_there = now()\n"
        "fastreg.solve; solver_there = now()\n"
        "print(numpy_there - start, fastreg_there - numpy_there, solver_there - fastreg_there)"
    )
    numpy, own, solver = (1000 * float(time) for time in times.split())
    with capsys.disabled():
        print(f"\nimport: numpy {numpy:.0f} ms, fastreg {own:.0f} ms, its solver {solver:.0f} ms")
