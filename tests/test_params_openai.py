"""SamplingParams from an OpenAI request."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from params_strategy import params
from rheostat import KnobError, SamplingParams
from rheostat.params_openai import OF_SERVERS, REST
from rows_strategy import few

CHAT = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "user": None,
    "tools": [],
    "n": 1,
    "temperature": 0.7,
    "top_p": None,
    "max_completion_tokens": 20,
    "logprobs": True,
    "top_logprobs": 3,
    "logit_bias": {"5": -100, "7": 2.5},
    "stop": ["\n", "###"],
    "seed": 11,
    "presence_penalty": 0.5,
}


def of(**request):
    return SamplingParams.from_openai(request).params


def test_a_chat_request():
    found = SamplingParams.from_openai(CHAT)
    assert found.params == SamplingParams(
        temperature=0.7,
        max_tokens=20,
        logprobs=3,
        logit_bias={5: -100, 7: 2.5},
        stop=["\n", "###"],
        seed=11,
        presence_penalty=0.5,
    )
    names = ["model", "messages", "stream", "stream_options", "user", "tools"]
    assert found.rest == {name: CHAT[name] for name in names}


def test_a_completions_request_with_names_of_vllm():
    request = {"prompt": "Once", "echo": False, "best_of": 1, "suffix": None, "max_tokens": 16, "logprobs": 2}
    request |= {"stop": "x", "top_k": -1, "min_p": 0.1, "repetition_penalty": 1.2, "min_tokens": 2}
    request |= {"stop_token_ids": [3], "ignore_eos": True, "include_stop_str_in_output": True}
    found = SamplingParams.from_openai(request | {"skip_special_tokens": True})
    assert found.params == SamplingParams(
        max_tokens=16,
        logprobs=2,
        stop="x",
        min_p=0.1,
        repetition_penalty=1.2,
        min_tokens=2,
        stop_token_ids=[3],
        ignore_eos=True,
        include_stop_str_in_output=True,
    )
    assert set(found.rest) == {"prompt", "echo", "best_of", "suffix", "skip_special_tokens"}


@few
@given(params())
def test_every_field_can_be_asked_for_by_its_own_name(one):
    if one.stop and isinstance(one.stop[0], bytes):  # which the API does not know
        one = one.replace(stop=())
    body = json.loads(one.to_json())
    del body["law"]
    assert SamplingParams.from_openai(body, allow=OF_SERVERS) == (one, {})


def test_what_a_request_leaves_open_is_the_default():
    knobs = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}
    model = SamplingParams(
        chain="hf", **knobs, eos_token_id=[151645, 151643], max_tokens=100, logprobs=1, seed=3
    )
    request = {"temperature": 1.0, "top_p": None, "seed": -1, "logprobs": False, "eos_token_id": [1]}
    found = SamplingParams.from_openai({"model": "m"} | request, defaults=model, allow=["eos_token_id"])
    assert found.params == model.replace(temperature=1.0, seed=None, logprobs=None, eos_token_id=[1])
    assert SamplingParams.from_openai({"max_completion_tokens": 5}, defaults=model).params.max_tokens == 5
    for nothing in ({}, {"top_logprobs": 0}, {"n": 1, "max_tokens": None}):
        assert SamplingParams.from_openai(nothing, defaults=model).params == model
    with pytest.raises(TypeError, match="defaults must be a SamplingParams, got dict"):
        SamplingParams.from_openai({}, defaults={})


@few
@given(st.dictionaries(st.sampled_from(sorted(REST)), st.none() | st.integers() | st.text()))
def test_what_is_no_knob_comes_back_as_it_was(rest):
    assert SamplingParams.from_openai(rest) == (SamplingParams(), rest)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, {}),
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": None}, {"logprobs": 0}),
        ({"logprobs": False, "top_logprobs": 0}, {}),
        ({"logprobs": False}, {}),
        ({"logprobs": None, "top_logprobs": None}, {}),
        ({"logprobs": 0}, {"logprobs": 0}),
        ({"seed": -1}, {}),
        ({"seed": 0}, {"seed": 0}),
        ({"seed": -2}, {"seed": 2**64 - 2}),
        ({"seed": -(2**63)}, {"seed": 2**63}),
        ({"max_tokens": 5, "max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": None, "max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": None}, {"max_tokens": 5}),
        ({"n": None, "temperature": None, "stop": None, "ignore_eos": None, "chain": None}, {}),
        ({"logit_bias": {3: 1, "4": "-inf"}}, {"logit_bias": {3: 1.0, 4: -np.inf}}),
        ({"chain": ["top_k", "temperature"], "top_k": 5}, {"chain": ("top_k", "temperature"), "top_k": 5}),
        ({"sequence_bias": [[[1, 2], 3]]}, {"sequence_bias": {(1, 2): 3.0}}),
    ],
    ids=repr,
)
def test_a_spelling_is_read(request_, expected):
    assert of(**request_) == SamplingParams(**expected)


@pytest.mark.parametrize(
    ("request_", "argument", "message"),
    [
        (
            {"top_q": 1, "model": "m", "temprature": 1},
            "request",
            "request must hold names of knobs or of the API, got 'top_q', 'temprature'",
        ),
        (
            {"n": 4},
            "n",
            "n must be 1, for more run that many sequences with stream=0, 1, ... n - 1, got 4",
        ),
        (
            {"max_tokens": 5, "max_completion_tokens": 6},
            "max_tokens",
            "max_tokens must be left out or equal max_completion_tokens, 6, got 5",
        ),
        (
            {"top_logprobs": 2},
            "top_logprobs",
            "top_logprobs must come with logprobs true, got 2 with logprobs False",
        ),
        (
            {"top_logprobs": 2, "logprobs": 3},
            "top_logprobs",
            "top_logprobs must come with logprobs true, got 2 with logprobs 3",
        ),
        ({"seed": -(2**63) - 1}, "seed", f"seed must be in [0, 2**64), got {-(2**63) - 1}"),
        ([("top_p", 1)], "request", "request must be a mapping of names to values, got list"),
        ({"n": True}, "n", "n must be an integer, got bool"),
        ({"n": 1.0}, "n", "n must be an integer, got float"),
        ({"top_p": "1"}, "top_p", "top_p must be a number, got str"),
        ({"logit_bias": []}, "logit_bias", "logit_bias must be a dict of token id to bias, got list"),
        (
            {"logit_bias": {"1" * 5000: 1}},
            "logit_bias",
            "logit_bias must have token ids as keys, got '11111111111111111111...'",
        ),
        (
            {"logprobs": True, "top_logprobs": "3"},
            "top_logprobs",
            "top_logprobs must be an integer, got str",
        ),
        (
            {"logprobs": True, "top_logprobs": -2},
            "top_logprobs",
            "top_logprobs must be in [0, 1048576], where 0 is the token's own alone, got -2",
        ),
        (
            {"logprobs": True, "top_logprobs": -1},
            "top_logprobs",
            "top_logprobs must be at least 0, for all tokens the size of the vocabulary, got -1",
        ),
        (
            {"logprobs": -1},
            "logprobs",
            "logprobs must be at least 0, for all tokens the size of the vocabulary, got -1",
        ),
        (
            {"max_completion_tokens": 0},
            "max_completion_tokens",
            "max_completion_tokens must be at least 1, got 0",
        ),
        ({"max_tokens": True}, "max_tokens", "max_tokens must be an integer, got bool"),
        (
            {"max_completion_tokens": 5, "min_tokens": 6},
            "min_tokens",
            "min_tokens must be at most max_completion_tokens, 5, got 6",
        ),
        (
            {"bad_words": ["foo"]},
            "bad_words",
            "bad_words must be lists of token ids, which your tokenizer gives of each word, got 'foo'",
        ),
        (
            {"context_length": 9, "eos_token_id": [], "report": ["rank"], "top_p": 0.5},
            "request",
            "request must leave to the server what its allow does not name, "
            "got 'context_length', 'eos_token_id', 'report'",
        ),
        (
            {"stop": [{"hex": "ff"}]},
            "stop",
            "stop[0] must be a str or bytes; ids go into stop_token_ids, got {'hex': 'ff'}",
        ),
        ({"top_p": 2}, "top_p", "top_p must be in (0, 1], got 2.0"),
        ({"logit_bias": {"a": 1}}, "logit_bias", "logit_bias must have token ids as keys, got 'a'"),
    ],
    ids=repr,
)
def test_a_request_that_breaks_a_rule_is_told_in_one_sentence(request_, argument, message):
    with pytest.raises(KnobError) as caught:
        SamplingParams.from_openai(request_)
    assert (str(caught.value), caught.value.argument) == (message, argument)


def test_what_the_program_gets_wrong_is_no_fault_of_the_request():
    with pytest.raises(TypeError, match=r"^allow must be a collection of names, got 'report'$"):
        SamplingParams.from_openai({}, allow="report")


@pytest.mark.parametrize(
    ("chain", "request_", "expected"),
    [
        (("top_k", "top_p", "temperature"), {"min_p": 0.05}, ("top_k", "top_p", "min_p", "temperature")),
        (("temperature", "top_p"), {"top_k": 9, "min_p": 0.1}, ("top_k", "min_p", "temperature", "top_p")),
        (
            ("top_k",),
            {"top_h": 0.5, "temperature": 0.5, "eta_cutoff": 0.1},
            ("top_k", "temperature", "eta_cutoff", "top_h"),
        ),
        (("temperature", "mirostat"), {"top_p": 0.9}, ("top_p", "temperature", "mirostat")),
        (("temperature", "mirostat"), {"top_h": 0.9}, ("temperature", "top_h", "mirostat")),
        (("temperature", "mirostat"), {"mirostat": 0}, ("temperature",)),
        (("temperature",), {"mirostat": 2}, ("temperature", "mirostat")),
        (("temperature",), {"xtc_probability": 0.5}, ("xtc", "temperature")),
        (("temperature",), {"top_k": -1, "top_p": 1, "min_p": 0}, ("temperature",)),
        (("temperature",), {"chain": ["top_k", "temperature"], "top_k": 5}, ("top_k", "temperature")),
    ],
    ids=repr,
)
def test_a_knob_that_the_defaults_chain_lacks_joins_it(chain, request_, expected):
    defaults = SamplingParams(chain=chain, mirostat=2 if "mirostat" in chain else 0)
    found = SamplingParams.from_openai(request_, defaults=defaults).params
    assert found == defaults.replace(**request_ | {"chain": expected})


def test_where_the_lengths_of_a_request_and_of_the_defaults_meet():
    defaults = SamplingParams(min_tokens=10, max_tokens=100)

    def lengths(**request):
        found = SamplingParams.from_openai(request, defaults=defaults).params
        return found.min_tokens, found.max_tokens

    assert lengths(max_tokens=5) == (5, 5)
    assert lengths(max_completion_tokens=50) == (10, 50)
    assert lengths(min_tokens=100) == (100, 100)
    with pytest.raises(KnobError, match=r"^min_tokens must be at most the default max_tokens, 100, got 200$"):
        lengths(min_tokens=200)
