"""What penalties, a bitmask and three filters cost beside top-p alone, on the same real row."""

import numpy as np
import pytest
import rheostat
import workloads

ROW = workloads.real(workloads.LONG)
CALLS = {"top_p": workloads.TOP_P, "full chain": workloads.FULL_CHAIN}


@pytest.mark.benchmark(group=f"sample by the chain, real row, V={workloads.LONG}")
@pytest.mark.parametrize("call", CALLS)
def test_sample(benchmark, call):
    knobs = CALLS[call]
    np.testing.assert_array_equal(rheostat.kept(ROW, **knobs), rheostat.reference.kept(ROW, **knobs))
    expected = rheostat.reference.sample(ROW, seed=7, **knobs)
    assert rheostat.sample(ROW, seed=7, **knobs) == expected
    assert benchmark(rheostat.sample, ROW, seed=7, **knobs) == expected
