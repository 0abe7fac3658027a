"""Fixtures for every test."""

import os

# Before NumPy is there: on more threads a small product waits longer for a busy machine than it takes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import rheostat
import rheostat.reference


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
