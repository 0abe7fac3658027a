"""Fixtures for every test."""

import pytest
import rheostat.reference


@pytest.fixture(params=["reference"])
def api(request):
    """Each implementation in turn: the same names, the same results, the same errors."""
    return rheostat.reference
