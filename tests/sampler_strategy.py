"""Sequences on their way: parameters over a small vocabulary, rows, and what happens to a sampler."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from params_strategy import FIELDS, params
from rheostat import SamplingParams

VOCAB = 41  # the parameters' ids are below it
few = settings(derandomize=True, deadline=None, max_examples=150)

ids = st.integers(0, VOCAB - 1)
histories = st.lists(st.integers(0, 5), max_size=12) | st.lists(ids, max_size=12)
seeds = st.integers(0, 2**64 - 1)
of_a_sampler = [name for name in FIELDS if name != "dry_sequence_breakers"]
breakers = st.none() | st.lists(ids, min_size=1, max_size=3).map(tuple)


@st.composite
def settled(draw, mirostat=True):
    """SamplingParams without text, with a seed."""
    drawn = draw(params(of_a_sampler))
    drawn = drawn.replace(seed=draw(seeds), dry_sequence_breakers=draw(breakers))
    if not mirostat and drawn.mirostat:
        chain = drawn.chain
        chain = chain if isinstance(chain, str) else tuple(step for step in chain if step != "mirostat")
        drawn = drawn.replace(mirostat=0, chain=chain)
    return drawn


def row(seed, kind, width=VOCAB):
    """(width,) float32 logits: good ones, or with what no row may have."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=width) * rng.choice([0.5, 3, 10])).astype(np.float32)
    x[rng.random(width) < 0.1] = -np.inf
    x[rng.integers(width)] = 1.0
    if kind == "ties":
        x = np.round(x)
    if kind == "bad":
        x[rng.integers(width)] = rng.choice([np.nan, np.inf])
    if kind == "nothing":
        x[:] = -np.inf
    return x


kinds = st.sampled_from(["good"] * 6 + ["ties"] * 3 + ["bad", "nothing"])
rows = st.builds(row, st.integers(0, 2**32), kinds)
masks = st.none() | st.integers(0, 2**32).map(
    lambda seed: np.random.default_rng(seed).integers(-(2**31), 2**31, 2, dtype=np.int32)
)


def two(api, **keywords):
    """A batch over three tokens with two sequences, and their handles."""
    batch = api.BatchSampler(3)
    return batch, [batch.add(SamplingParams(seed=i, **keywords), prompt_ids=[i]) for i in range(2)]
