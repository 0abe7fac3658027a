"""Many calls leave nothing behind. `make soak` makes a million of them."""

import sys

import pytest
import soak


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_a_session_of_calls_leaves_memory_and_references_as_they_were():
    grown, blocks, more = soak.measured(50_000, warm=50_000)
    assert more == {}
    assert abs(blocks) < 200
    assert grown < 1024  # KiB; a byte a call would be 49
