"""What a sampler is as a Python object: garbage that is collected, and what can be referred to weakly."""

import gc
import weakref

import numpy as np
import pytest
from rheostat import BatchSampler, Sampler, SamplingParams, TokenTable

X = np.zeros((1, 3), np.float32)


class Request:
    """Owns a sampler whose chain has one of its methods."""

    def __init__(self, kind):
        params = SamplingParams(seed=1, chain=("temperature", self.keep))
        if kind == "a Sampler":
            self.sampler = Sampler(params, 3)
            self.step = lambda: self.sampler.sample(X)
        elif kind == "a Sampler by set_params":
            self.sampler = Sampler(SamplingParams(), 3)
            self.sampler.set_params(params)
            self.step = lambda: self.sampler.sample(X)
        else:
            self.sampler = BatchSampler(3)
            self.sampler.add(params)
            self.sampler.add(SamplingParams())
            self.step = lambda: self.sampler.step(np.concatenate([X, X]))

    def keep(self, ids, logits, probabilities):
        gc.collect()  # during a call nothing is taken apart
        return ids


@pytest.mark.parametrize("kind", ["a Sampler", "a Sampler by set_params", "a BatchSampler"])
def test_a_sampler_in_a_cycle_is_collected(kind):
    requests = [Request(kind) for _ in range(10)]
    for request in requests:
        request.step()
    alive = [weakref.ref(part) for request in requests for part in (request, request.sampler)]
    gc.collect()
    assert all(ref() is not None for ref in alive)
    requests[0].step()
    del requests, request
    gc.collect()
    assert all(ref() is None for ref in alive)


def test_a_cycle_of_nothing_but_a_sampler_and_its_own_method_is_collected():
    sampler = Sampler(SamplingParams(), 3)
    sampler.set_params(SamplingParams(chain=(sampler.sample,)))
    batch = BatchSampler(3)
    batch.add(SamplingParams(chain=(batch.step,)))
    alive = [weakref.ref(sampler), weakref.ref(batch)]
    del sampler, batch
    gc.collect()
    assert [ref() for ref in alive] == [None, None]


@pytest.mark.parametrize(
    "made",
    [lambda: Sampler(SamplingParams(), 3), lambda: BatchSampler(3), lambda: TokenTable.from_bytes([b"a"])],
)
def test_weak_references_are_told_of_the_end(made):
    ended = []
    one = made()
    ref = weakref.ref(one, ended.append)
    assert ref() is one
    assert weakref.WeakKeyDictionary({one: 1})[one] == 1
    del one
    assert ended == [ref]
