"""A model of a few symbols for the tests of the loop: the next token depends on the last one, or on the last
two, so that a window that slides is seen in the logits.
"""

import asyncio

import numpy as np
import rheostat
from hypothesis import settings
from hypothesis import strategies as st

ACUTE = "\u00e9".encode()
BYTES = [b"a", b"b", b"ab", b"END", b"E", b"N", b"D", b" ", ACUTE[:1], ACUTE[1:], None, b"."]
EOS = 10
VOCAB = len(BYTES)
ROWS = np.random.default_rng(7).normal(size=(VOCAB + 1, VOCAB, VOCAB)).astype(np.float32) * 2


def table_of(api=rheostat):
    return api.TokenTable.from_bytes(BYTES)


def model(ids):
    """(vocab,) logits after the ids: by the last two, and by how many there are."""
    last, before = ids[-1], ids[-2] if len(ids) > 1 else VOCAB
    return np.roll(ROWS[before, last], len(ids))


class Cached:
    """The same model with what it has read kept; `calls` tells how it was asked."""

    def __init__(self):
        self.read, self.calls = [], []

    def start(self, ids):
        self.calls.append(("start", len(ids)))
        self.read = list(ids)
        return model(self.read)[None]

    def next(self, id):
        self.calls.append(("next", id))
        self.read.append(id)
        return model(self.read)


class Failing:
    """A model that raises at the calls named."""

    def __init__(self, model, at):
        self.model, self.at, self.calls = model, set(at), 0

    def __call__(self, ids):
        self.calls += 1
        if self.calls in self.at:
            raise ConnectionError("the model is away")
        return self.model(ids)


class Interrupts:
    """What it wraps, but Ctrl-C comes right behind the calls of a name that are counted off."""

    def __init__(self, wrapped, name, at):
        self.wrapped, self.name, self.left = wrapped, name, at

    def __getattr__(self, name):
        found = getattr(self.wrapped, name)
        return self.called if name == self.name else found

    def called(self, *arguments, **options):
        result = getattr(self.wrapped, self.name)(*arguments, **options)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return result


async def asked_for(ids):
    await asyncio.sleep(0)
    return model(ids)


KNOBS = st.fixed_dictionaries(
    {"seed": st.integers(0, 2**64 - 1), "max_tokens": st.integers(8, 20)},
    optional={
        "temperature": st.sampled_from([0, 0.5, 1.0, 3.0]),
        "top_p": st.sampled_from([0.3, 0.9]),
        "top_k": st.integers(1, 6),
        "mirostat": st.sampled_from([0, 2]),
        "frequency_penalty": st.sampled_from([0.5, -1.0]),
        "no_repeat_ngram_size": st.integers(2, 3),
        "stop": st.lists(st.text("abEND é.", min_size=1, max_size=3), max_size=3),
        "eos_token_id": st.just(EOS),
        "stop_token_ids": st.just([11]),
        "ignore_eos": st.booleans(),
        "include_stop_str_in_output": st.booleans(),
        "min_tokens": st.integers(0, 6),
        "context_length": st.integers(9, 25),
        "logprobs": st.integers(0, 2),
    },
)
PROMPTS = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=8)
few = settings(max_examples=60, deadline=None)


def everything(generation):
    """All that a generation tells but the times."""
    names = ("text", "ids", "prompt_ids", "tokens", "logprobs", "finish_reason", "stop", "seed", "dropped")
    return {name: getattr(generation, name) for name in names}
