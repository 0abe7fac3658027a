"""What a stop check costs per token: for 1, 8 and 64 stops, for held pieces, many at once, and 32 rows."""

import harness
import pytest
import workloads
from peers import registry
from rheostat import StopSet

WORKS = workloads.topic("stop")


@pytest.mark.parametrize("side", harness.SIDES)
@harness.named(WORKS)
def test_stop(benchmark, work, side):
    harness.run(benchmark, work, side)


@pytest.mark.parametrize("peer", registry.STOPS)
@harness.named([work for work in WORKS if work.peer])
def test_peer(benchmark, work, peer):
    harness.run_peer(benchmark, work, peer)


def test_feed_of_a_piece_that_is_held(benchmark):
    """Nothing is released; reset is part of the time."""
    matcher = StopSet(workloads.STOPS[64]).matcher()

    def step():
        released = matcher.feed("<|st")
        matcher.reset()
        return released

    assert benchmark(step) == ""
