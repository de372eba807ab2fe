"""Fixtures and settings shared by all tests."""

from __future__ import annotations

import hypothesis
import nist
import pytest

from fastreg._core import kernels

hypothesis.settings.register_profile(
    "fastreg",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=15,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fastreg")


@pytest.fixture(params=kernels.levels())
def level(request):
    """Every set of inner loops that this processor has."""
    before = kernels.level()
    kernels.use(request.param)
    yield request.param
    kernels.use(before)


def pytest_configure(config):
    config.stash[nist.TABLE] = {}


def pytest_terminal_summary(terminalreporter, config):
    """The correct digits of every library on the NIST data sets."""
    table = config.stash[nist.TABLE]
    if not table:
        return
    names = list(next(iter(table.values())))
    terminalreporter.section("correct digits, NIST linear least squares")
    terminalreporter.line("".join([f"{'':12}", *(f"{name:>14}" for name in names)]))
    for dataset, digits in table.items():
        cells = (f"{digits[name]:14.1f}" for name in names)
        terminalreporter.line("".join([f"{dataset:12}", *cells]))
