"""Both implementations take the same arguments, whose defaults change nothing."""

import inspect

import numpy as np
import pytest
import rheostat
from rheostat import reference
from rheostat.reference.table import OFF
from support import assert_same_outcome

FUNCTIONS = ("kept", "sample", "choose", "process", "logprobs")


def parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", [*FUNCTIONS, "explain"])
def test_both_signatures_are_the_same(name):
    assert parameters(getattr(rheostat, name)) == parameters(getattr(reference, name))


def test_every_default_may_be_given(api):
    x = np.random.default_rng(0).normal(size=50).astype(np.float32)
    assert api.sample(x, seed=3, **OFF) == api.sample(x, seed=3)
    np.testing.assert_array_equal(api.kept(x, **OFF), np.arange(50))
    np.testing.assert_array_equal(api.process(x, **OFF, prompt_ids=(), output_ids=(), chain="vllm"), x)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"top_q": 1},
        {"top_p": 2, "xyz": 3},
        {"typical_p": 2, "top_p": 3},
        {"typical_p": 0, "vocab_size": 0},
        {"xtc_probability": 2, "banned_token_ids": [99]},
        {"banned_token_ids": [99], "prompt_ids": [77]},
        {"prompt_ids": [77], "chain": "x"},
        {"output_ids": 7},
        {"chain": (3,), "seed": -1},
        {"seed": -1, "stream": None},
        {"seed": 1.5, "stream": None},
        {"stream": None, "position": 1.5},
        {"seed": [1, 2], "xtc_probability": 0.5},
        {"seed": 1, "top_n_sigma": [1, 2]},
        {"seed": 1, "banned_token_ids": range(6)},
        {"seed": 1, "chain": (len,)},
        {"seed": 1, "chain": (lambda ids, x, p: 1 / 0,)},
        {"seed": 1, "chain": (lambda ids, x, p: [[5, 4], [1, 9]],)},
        {"seed": 1, "chain": (lambda ids, x, p: "all",)},
        {"seed": 1, "temperature": 1e-30},
        {"seed": 1, "logit_bias": {2: 3e38, 3: 3e38}, "frequency_penalty": -3e38, "output_ids": [2]},
    ],
    ids=repr,
)
def test_the_first_fault_in_the_order_of_the_arguments_is_told(name, arguments):
    more = {"choose": (2,), "logprobs": (1,)}.get(name, ())
    x = np.linspace(-1e9, 1e9, 6, dtype=np.float32)
    assert_same_outcome(lambda api: getattr(api, name)(x, *more, **arguments))
    # in a batch a seed for all rows is refused, and every argument may be one per row
    batch = np.stack([x, x[::-1]])
    more = {"choose": (2,), "logprobs": ([1, 2],)}.get(name, ())
    assert_same_outcome(lambda api: getattr(api, name)(batch, *more, **arguments))


def test_the_logits_of_forbidden_tokens_are_not_read(api):
    x = np.array([1.0, np.nan, 1e300, -1e300, np.inf, 2.0])
    assert api.kept(x, banned_token_ids=[1, 2, 3, 4]).tolist() == [0, 5]
    with pytest.raises(rheostat.LogitsError, match=r"got -1e\+300 at row 0, token 3"):
        api.kept(x, banned_token_ids=[1, 2])


def test_a_callable_may_call_the_library_and_raise(api):
    x = np.random.default_rng(1).normal(size=(3, 60)).astype(np.float32)

    def inner(ids, logits, probabilities):
        np.testing.assert_array_equal(api.softmax(logits), probabilities)
        return ids[api.kept(logits, top_k=5)]

    wanted = api.kept(x, top_k=5)
    for row, ids in enumerate(api.kept(x, chain=(inner,))):
        np.testing.assert_array_equal(ids, wanted[row])

    def broken(ids, logits, probabilities):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        api.sample(x[0], chain=(broken,))


def test_a_callable_cannot_change_what_it_is_asked_about(api):
    def sly(ids, logits, probabilities):
        kept = ids[:2].copy()
        ids[:] = 0
        logits[:] = 0
        return kept

    assert api.kept([3.0, 2.0, 1.0], chain=(sly,)).tolist() == [0, 1]
    out = api.process([3.0, 2.0, 1.0], chain=(sly,))
    assert out[:2].tolist() == [3, 2]


def test_process_writes_to_out_and_in_place_or_nothing(api):
    x = np.random.default_rng(2).normal(size=(2, 40)).astype(np.float32)
    knobs = {"temperature": 0.5, "top_k": 7, "banned_token_ids": [[1], [2, 3]], "prompt_ids": [[4], [5]]}
    wanted = api.process(x, **knobs, repetition_penalty=1.5)
    out = np.empty_like(x)
    assert api.process(x, **knobs, repetition_penalty=1.5, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    place = x.copy()
    assert api.process(place, **knobs, repetition_penalty=1.5, out=place) is place
    np.testing.assert_array_equal(place, wanted)
    wanted = (x * 1e10).astype(np.float32)
    place = wanted.copy()
    with pytest.raises(rheostat.KnobError, match="temperature must leave kept logits finite in float32"):
        api.process(place, temperature=[1.0, 1e-30], out=place, chain=("temperature",))
    np.testing.assert_array_equal(place, wanted)
