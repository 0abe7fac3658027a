"""What a grammar's bitmask costs, and penalties, a mask and three filters beside top-p alone."""

import harness
import pytest
import workloads


@pytest.mark.parametrize("side", harness.SIDES)
@harness.named(workloads.topic("chain"))
def test_chain(benchmark, work, side):
    harness.run(benchmark, work, side)
