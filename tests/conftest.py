"""Every test that takes `api` runs against the fast code and against the reference."""

import pytest
import rheostat
import rheostat.reference


@pytest.fixture(params=["fast", "reference"])
def api(request):
    return {"fast": rheostat, "reference": rheostat.reference}[request.param]
