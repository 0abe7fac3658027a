"""A token as a server reports it."""

import json
import pickle

import pytest
from rheostat import KnobError, SamplingParams, Token, TokenTable

TABLE = TokenTable.from_bytes([b"a", "é".encode()[:1], None, b" \xe2\x82\xac"])


def test_an_entry_has_the_fields_of_the_api():
    token = Token(0, -0.25, top_logprobs=((0, -0.25), (1, -1.5)))
    assert token.to_openai(TABLE) == {
        "token": "a",
        "logprob": -0.25,
        "bytes": [97],
        "top_logprobs": [
            {"token": "a", "logprob": -0.25, "bytes": [97]},
            {"token": "\N{REPLACEMENT CHARACTER}", "logprob": -1.5, "bytes": [195]},
        ],
    }


def test_a_token_without_text_has_no_bytes_and_minus_infinity_a_number():
    entry = Token(2, float("-inf")).to_openai(TABLE)
    assert entry == {"token": "", "logprob": -9999.0, "bytes": None, "top_logprobs": []}
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_any_sequence_of_bytes_is_a_table():
    assert Token(3, 0.0).to_openai(list(TABLE))["token"] == " €"


def test_what_was_not_asked_for_cannot_be_told():
    with pytest.raises(KnobError, match="logprobs must be at least 0 for a token's entry, got None"):
        Token(0).to_openai(TABLE)


def test_a_sampler_s_token_goes_into_json(api):
    params = SamplingParams(seed=1, logprobs=4, temperature=1e-3)
    token = api.Sampler(params, 4).sample([0.0, 1.0, -90.0, 1.0])
    assert len(token.top_logprobs) == 4
    entry = token.to_openai(TABLE)
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    assert all(top["logprob"] >= -9999.0 for top in entry["top_logprobs"])


def test_a_token_is_a_plain_tuple_of_python_s_own_numbers(api):
    everything = ("raw_logprob", "rank", "kept_count", "kept_mass", "entropy")
    token = api.Sampler(SamplingParams(logprobs=1, report=everything), 3).sample([0.0, 1.0, 2.0])
    kinds = [type(value) for value in token]
    assert kinds == [int, float, float, int, tuple, int, float, float]
    assert [type(value) for value in token.top_logprobs[0]] == [int, float]
    assert type(token) is Token
    assert pickle.loads(pickle.dumps(token)) == token


def test_an_id_beyond_the_table_has_no_bytes():
    entry = Token(5, -1.0).to_openai(TokenTable.from_bytes([b"a"]))
    assert entry == {"token": "", "logprob": -1.0, "bytes": None, "top_logprobs": []}
