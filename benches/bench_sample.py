"""From a row to a token, by temperature and top-p: peaked, real, flat, tied and adversarial rows."""

import harness
import pytest
import workloads
from peers import registry

WORKS = workloads.topic("sample")


@pytest.mark.parametrize("side", harness.SIDES)
@harness.named(WORKS)
def test_sample(benchmark, work, side):
    harness.run(benchmark, work, side)


@pytest.mark.parametrize("peer", registry.SAMPLERS)
@harness.named([work for work in WORKS if work.peer])
def test_peer(benchmark, work, peer):
    harness.run_peer(benchmark, work, peer)
