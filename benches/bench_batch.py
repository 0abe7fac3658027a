"""32 rows that come from memory, with one thread and with two; and the same in 16 bits beside float32."""

import harness
import pytest
import workloads


@pytest.mark.parametrize("side", harness.SIDES)
@harness.named([*workloads.topic("batch"), *workloads.topic("16 bits"), *workloads.topic("AVX2")])
def test_batch(benchmark, work, side):
    harness.run(benchmark, work, side)
