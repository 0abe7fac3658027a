"""A request of the OpenAI API, chat or completions, as fields of `SamplingParams` and the rest of the API's.

The lists of the API's own names are those of the OpenAI reference and of vLLM 0.33, which adds to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from rheostat.errors import KnobError
from rheostat.params_json import value_from_json

# What the API knows and no sampler needs: it is handed back.
OPENAI = """
    audio best_of echo function_call functions messages metadata modalities model parallel_tool_calls
    prediction prompt prompt_cache_key prompt_cache_retention reasoning_effort response_format
    safety_identifier service_tier store stream stream_options suffix tool_choice tools user verbosity
    web_search_options
"""
VLLM = """
    add_generation_prompt add_special_tokens cache_salt chat_template chat_template_kwargs
    continue_final_message documents ec_transfer_params guided_choice guided_decoding_backend
    guided_grammar guided_json guided_regex guided_whitespace_pattern include_reasoning
    kv_transfer_params length_penalty logprob_token_ids media_io_kwargs mm_processor_kwargs priority
    prompt_embeds prompt_logprobs repetition_detection request_id return_mm_kwargs return_prompt_text
    return_token_ids return_token_offsets return_tokens_as_token_ids routed_experts_prompt_start
    session_id skip_special_tokens spaces_between_special_tokens stream_interval structural_tag
    structured_outputs thinking_token_budget truncate_prompt_tokens truncation_side use_beam_search
    vllm_xargs watermarking
"""
REST = frozenset([*OPENAI.split(), *VLLM.split()])

# Knobs that the API spells in a way of its own.
SPELLED = {"n", "logprobs", "top_logprobs", "max_tokens", "max_completion_tokens", "seed"}

# Fields that no API has and that are the server's: what its model can do, and what it does besides.
OF_SERVERS = ("context_length", "eos_token_id", "report")


class Asked(NamedTuple):
    """Fields, unchecked; for those that the caller spells otherwise, how; the rest of the request."""

    fields: dict[str, Any]
    names: dict[str, str]
    rest: dict[str, Any]


def read_request(request: Mapping[str, Any], names: Collection[str], allow: Collection[str]) -> Asked:
    """The fields among `names` that a request sets, and the rest of it. null sets nothing."""
    if isinstance(allow, str):
        raise TypeError(f"allow must be a collection of names, got {allow!r}")
    if not isinstance(request, Mapping):
        message = f"request must be a mapping of names to values, got {type(request).__name__}"
        raise KnobError(message, "request", request)
    known = {*names, *REST, *SPELLED}
    unknown = [name for name in request if name not in known]
    if unknown:
        shown = ", ".join(map(repr, unknown))
        raise KnobError(f"request must hold names of knobs or of the API, got {shown}", "request", unknown)
    given = {name: value for name, value in request.items() if value is not None}
    refused = [name for name in given if name in OF_SERVERS and name not in allow]
    if refused:
        shown = ", ".join(map(repr, refused))
        message = f"request must leave to the server what its allow does not name, got {shown}"
        raise KnobError(message, "request", refused)
    _one_sequence(given.get("n", 1))
    _words_of_ids(given.get("bad_words"))
    fields = {
        name: value if name == "stop" else value_from_json(name, value)  # a stop is text in the API
        for name, value in given.items()
        if name in names and name not in SPELLED
    }
    if "logprobs" in given or given.get("top_logprobs", 0) != 0:
        fields["logprobs"] = _logprobs(given)
    if "max_tokens" in given or "max_completion_tokens" in given:
        fields["max_tokens"] = _max_tokens(given)
    if "seed" in given:
        fields["seed"] = _seed(given["seed"])
    spelled = {"max_tokens": "max_completion_tokens"} if "max_completion_tokens" in given else {}
    if given.get("logprobs") is True:
        spelled["logprobs"] = "top_logprobs"
    return Asked(fields, spelled, {name: value for name, value in request.items() if name in REST})


def _one_sequence(n: Any) -> None:
    if isinstance(n, bool) or not isinstance(n, int):
        raise KnobError(f"n must be an integer, got {type(n).__name__}", "n", n)
    if n != 1:
        rule = "n must be 1, for more run that many sequences with stream=0, 1, ... n - 1"
        raise KnobError(f"{rule}, got {n}", "n", n)


def _logprobs(given: Mapping[str, Any]) -> Any:
    """Chat has a switch and a number beside it, completions the number alone."""
    logprobs, top = given.get("logprobs", False), given.get("top_logprobs", 0)
    for name, number in (("logprobs", logprobs), ("top_logprobs", top)):
        if number == -1:  # vLLM's
            rule = f"{name} must be at least 0, for all tokens the size of the vocabulary"
            raise KnobError(f"{rule}, got -1", name, number)
    if logprobs is True:
        return top
    if top != 0:
        rule = "top_logprobs must come with logprobs true"
        raise KnobError(f"{rule}, got {top!r} with logprobs {logprobs!r}", "top_logprobs", top)
    return None if logprobs is False else logprobs


def _max_tokens(given: Mapping[str, Any]) -> Any:
    """The new name and the deprecated one; both may stand where they say the same."""
    old = given.get("max_tokens")
    new = given.get("max_completion_tokens", old)
    if old is not None and old != new:
        rule = "max_tokens must be left out or equal max_completion_tokens"
        raise KnobError(f"{rule}, {new!r}, got {old!r}", "max_tokens", old)
    return new


def _seed(seed: Any) -> Any:
    """-1 asks for a seed of chance, as in vLLM. The API's other negative seeds, down to -2**63, are read as
    the unsigned integer of the same 64 bits.
    """
    if isinstance(seed, int) and -(2**63) <= seed < 0:
        return None if seed == -1 else seed % 2**64
    return seed


def _words_of_ids(words: Any) -> None:
    """vLLM takes them as text, and has a tokenizer for it."""
    for word in words if isinstance(words, list | tuple) else ():
        if isinstance(word, str):
            rule = "bad_words must be lists of token ids, which your tokenizer gives of each word"
            raise KnobError(f"{rule}, got {word!r}", "bad_words", word)
