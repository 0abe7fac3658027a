"""Fixtures for every test."""

import pytest
import rheostat
import rheostat.reference


@pytest.fixture(params=["fast", "reference"])
def api(request):
    """Each implementation in turn: the same names, the same results, the same errors."""
    return {"fast": rheostat, "reference": rheostat.reference}[request.param]
