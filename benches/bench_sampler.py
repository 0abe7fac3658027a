"""What a sampler's token costs: beside `sample`, by what is told of it, after a long history; by threads."""

import numpy as np
import pytest
import rheostat
import rows
from rheostat import BatchSampler, Sampler, SamplingParams, reference

ROW = rows.peaked(rows.LONG)
KNOBS = {"temperature": 0.8, "top_p": 0.9, "seed": 7}
TOLD = {
    "the id": {},
    "logprob": {"logprobs": 0},
    "logprob and the best 5": {"logprobs": 5},
    "raw_logprob": {"report": ("raw_logprob",)},
    "rank": {"report": ("rank",)},
    "kept_count": {"report": ("kept_count",)},
    "kept_mass": {"report": ("kept_mass",)},
    "entropy": {"report": ("entropy",)},
    "mirostat": {"mirostat": 2},
}
# So small that the row stays the same, however often it is drawn from.
PENALTIES = {"repetition_penalty": 1.0001, "frequency_penalty": 1e-6, "no_repeat_ngram_size": 8}
HISTORIES = (0, 1_000, 100_000)
ROWS = rows.batch(rows.LONG)


@pytest.fixture
def threads():
    """Sets how many there are, and puts the default back."""
    yield rheostat.set_num_threads
    rheostat.set_num_threads(0)


@pytest.mark.benchmark(group=f"Sampler.sample, peaked row, V={rows.LONG}")
def test_sample_without_state(benchmark):
    assert benchmark(rheostat.sample, ROW, **KNOBS) == reference.sample(ROW, **KNOBS)


@pytest.mark.benchmark(group=f"Sampler.sample, peaked row, V={rows.LONG}")
@pytest.mark.parametrize("told", TOLD)
def test_sampler(benchmark, told):
    params = SamplingParams(**KNOBS, **TOLD[told])
    fast, slow = (api.Sampler(params, rows.LONG) for api in (rheostat, reference))
    assert fast.sample(ROW) == slow.sample(ROW)
    benchmark(fast.sample, ROW)


@pytest.mark.benchmark(group=f"penalties after a long history, real row, V={rows.LONG}")
@pytest.mark.parametrize("length", HISTORIES)
@pytest.mark.parametrize("kind", ["Sampler", "sample"])
def test_penalties(benchmark, kind, length):
    row = rows.real(rows.LONG)
    history = np.random.default_rng(0).integers(0, rows.LONG, length)
    sampler = Sampler(SamplingParams(**KNOBS, **PENALTIES), rows.LONG, prompt_ids=history)
    expected = rheostat.sample(row, prompt_ids=history, **KNOBS, **PENALTIES)
    assert sampler.sample(row).id == expected
    if kind == "Sampler":
        benchmark(sampler.sample, row)
    else:
        benchmark(rheostat.sample, row, prompt_ids=history, **KNOBS, **PENALTIES)


@pytest.mark.benchmark(group=f"32 rows of V={rows.LONG}")
@pytest.mark.parametrize("count", [1, 2])
def test_batch(benchmark, threads, count):
    threads(count)
    batch = BatchSampler(rows.LONG)
    for seed in range(len(ROWS)):
        batch.add(SamplingParams(temperature=0.8, top_p=0.9, seed=seed))
    expected = rheostat.sample(ROWS, temperature=0.8, top_p=0.9, seed=np.arange(len(ROWS)))
    np.testing.assert_array_equal(batch.step(ROWS).ids, expected)
    benchmark(batch.step, ROWS)
