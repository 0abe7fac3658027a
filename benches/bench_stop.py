"""What a stop check costs per token: beside a Python method that does nothing, and for 32 rows."""

import numpy as np
import pytest
from rheostat import StopSet, TokenTable

STOPS = {1: ["<|im_end|>"], 64: [f"<|stop_{i}|>" for i in range(63)] + ["\nUser:"]}


class Nothing:
    """What any method call costs."""

    def feed(self, piece):
        return piece


@pytest.mark.benchmark(group="a piece of 4 characters")
def test_a_method_that_does_nothing(benchmark):
    nothing = Nothing()
    assert benchmark(nothing.feed, " the") == " the"


@pytest.mark.benchmark(group="a piece of 4 characters")
@pytest.mark.parametrize("count", STOPS)
def test_feed(benchmark, count):
    matcher = StopSet(STOPS[count]).matcher()
    assert matcher.feed(" the") == " the"
    assert matcher.clone().feed_many([" <|", "x"]) == (" <|x", 2)
    assert benchmark(matcher.feed, " the") == " the"


@pytest.mark.benchmark(group="a piece of 4 characters")
def test_feed_of_a_piece_that_is_held(benchmark):
    """Nothing is released; reset is part of the time."""
    matcher = StopSet(STOPS[64]).matcher()

    def step():
        released = matcher.feed("<|st")
        matcher.reset()
        return released

    assert benchmark(step) == ""


@pytest.mark.benchmark(group="32 rows")
@pytest.mark.parametrize("count", STOPS)
def test_feed_ids(benchmark, count):
    table = TokenTable.from_bytes([b" the", b"tok", b"\n", b" a", None])
    batch = StopSet(STOPS[count]).batch(32)
    ids = np.arange(32) % 2
    assert batch.feed_ids(ids, table) == [" the", "tok"] * 16
    assert benchmark(batch.feed_ids, ids, table) == [" the", "tok"] * 16
    assert batch.hits.tolist() == [-1] * 32
