"""Fixtures for every test."""

import os

# Before NumPy is there: on more threads a small product waits longer for a busy machine than it takes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import rheostat
import rheostat.reference


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="a test that would be skipped fails instead")


def _told(report, config):
    """The report, a failure where it is of a skip and there must be none."""
    if report.skipped and config.getoption("--no-skips"):
        report.outcome, report.longrepr = "failed", f"must not be skipped: {report.longrepr[2]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _told((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _told((yield), collector.config)


@pytest.fixture(params=["fast", "reference"])
def api(request):
    """Each implementation in turn: the same names, the same results, the same errors."""
    return {"fast": rheostat, "reference": rheostat.reference}[request.param]


@pytest.fixture
def cli(capsys):
    """Runs a command line here: (status, standard output, standard error)."""
    from rheostat.cli import main

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run
