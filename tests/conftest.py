"""Fixtures for every test."""

import pytest
import rheostat
import rheostat.reference


@pytest.fixture(params=["fast", "reference"])
def api(request):
    """Each implementation in turn: the same names, the same results, the same errors."""
    return rheostat if request.param == "fast" else rheostat.reference
