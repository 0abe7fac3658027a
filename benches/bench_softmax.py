"""softmax and log_softmax of a row, fresh and into `out`."""

import harness
import pytest
import workloads
from peers import registry

WORKS = workloads.topic("softmax")


@pytest.mark.parametrize("side", harness.SIDES)
@harness.named(WORKS)
def test_softmax(benchmark, work, side):
    harness.run(benchmark, work, side)


@pytest.mark.parametrize("peer", registry.SOFTMAXES)
@harness.named(WORKS)
def test_peer(benchmark, work, peer):
    harness.run_peer(benchmark, work, peer)
