"""`SamplingParams` from the words of others: a request of the OpenAI API, what a model recommends."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rheostat.params_openai import read_request
from rheostat.params_request import in_callers_words, over_defaults

if TYPE_CHECKING:
    from rheostat.params import SamplingParams
    from rheostat.params_models import Found


class RequestParams(NamedTuple):
    """`rest` holds what the API names beside the params: model, messages, stream, tools, ..."""

    params: SamplingParams
    rest: dict[str, Any]


class ModelParams(NamedTuple):
    """`sources` tells for each field where it came from, `ignored` what the source sets beside them."""

    params: SamplingParams
    sources: dict[str, str]
    ignored: dict[str, Any]


class FromOthers:
    """The ways to make params of what others say."""

    @classmethod
    def from_openai(
        cls,
        request: Mapping[str, Any],
        *,
        defaults: SamplingParams | None = None,
        allow: Collection[str] = (),
    ) -> RequestParams:
        """What a request of the OpenAI API asks of the sampler, and the rest of it.

        Both spellings are read: `max_completion_tokens` and `max_tokens` (where both are given they must be
        equal), `logprobs` true with `top_logprobs` (chat) and `logprobs` as a number (completions). null is
        the default, a seed of -1 none (another negative one, which the field refuses, is taken modulo
        2**64), and the keys of `logit_bias` may be strings. vLLM's names and the fields of this class are
        taken too, but for `context_length`, `eos_token_id` and `report`, which are the server's. A server
        that would not give 1,048,576 `logprobs` caps them, and `max_tokens`, in what comes back.

        Args:
            request: the body of the request, parsed.
            defaults: what holds where the request says nothing: a model's own, say. A knob that their chain
                does not name joins it where llama.cpp has it. Their min_tokens gives way to the request's
                max_tokens; a min_tokens above their max_tokens is an error.
            allow: which of the server's own fields this request may set.

        Returns:
            `params`, and `rest`: the fields of the API that are no knobs (model, messages, stream, tools,
            ...), as they were.

        Raises:
            KnobError: whatever is wrong with the request, wrong types too: `n` is not 1; a value breaks its
                rule; a name is neither a knob nor the API's (all of them are told).

        >>> from rheostat import SamplingParams
        >>> request = {"model": "m", "max_completion_tokens": 9, "top_p": None, "logit_bias": {"5": -100}}
        >>> SamplingParams.from_openai(request)
        RequestParams(params=SamplingParams(logit_bias={5: -100.0}, max_tokens=9), rest={'model': 'm'})
        """
        from rheostat.params import require  # which imports this

        own: Any = cls
        base = require(own() if defaults is None else defaults, "defaults")
        fields, names, rest = read_request(request, own.__dataclass_fields__, allow)
        params = in_callers_words(lambda: base.replace(**over_defaults(fields, base)), fields, names)
        return RequestParams(params, rest)

    @classmethod
    def from_generation_config(cls, source: Mapping[str, Any] | str | os.PathLike[str]) -> ModelParams:
        """What a model recommends in the generation_config.json of transformers, read as `generate` does.

        So without `do_sample` it is greedy (temperature 0, and what only sampling reads is ignored), with it
        `top_k` is 50 unless set (0 is off), and the chain is that of transformers. `max_length` is the
        context_length, but for `max_new_tokens`. An EOS id that the file lacks comes from the config.json
        beside it.

        Args:
            source: the parsed file, its path, or the model's directory.

        Returns:
            `params`, `sources` (for each field the file and key it came from) and `ignored` (what else is
            set: pad and bos ids, beams, ...).

        Raises:
            KnobError: a value breaks its rule, or the file is no JSON object.
            TypeError: a value has the wrong type.
            OSError: there is no such file.

        >>> from rheostat import SamplingParams
        >>> config = {"do_sample": True, "top_p": 0.9, "eos_token_id": [7, 9], "pad_token_id": 0}
        >>> params, sources, ignored = SamplingParams.from_generation_config(config)
        >>> params
        SamplingParams(chain='hf', top_k=50, top_p=0.9, eos_token_id=(7, 9))
        >>> sources["top_p"], sources["top_k"], ignored
        ('top_p', 'the default of transformers', {'pad_token_id': 0})
        """
        from rheostat.params_models import read_generation_config  # here, since few programs need it

        return _of_model(cls, read_generation_config(source))

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> ModelParams:
        """What a model recommends in the metadata of its GGUF file, read as llama.cpp does.

        These are the keys `general.sampling.*` and the ids that end a text, a turn or a message
        (`tokenizer.ggml.eos_token_id`, `eot_token_id`, `eom_token_id`). The chain is llama.cpp's, or the
        file's own sequence, outside which no sampler runs. A repetition penalty looks at the last 64 tokens
        unless set, and -1 is the whole history. Not read are end tokens that llama.cpp knows by their text.

        Args:
            metadata: keys to values or their text, as `llama_cpp.Llama.metadata` gives them.

        Returns:
            `params`, `sources` (for each field the key it came from) and `ignored` (the keys
            `general.sampling.*` that had no effect).

        Raises:
            KnobError: a value breaks its rule; also mirostat 1, which is not supported.
            TypeError: a value has the wrong type.

        >>> from rheostat import SamplingParams
        >>> found = SamplingParams.from_gguf(
        ...     {"general.sampling.temp": "0.6", "tokenizer.ggml.eos_token_id": "7"}
        ... )
        >>> found.params, found.sources["eos_token_id"]
        (SamplingParams(chain='llama.cpp', temperature=0.6, eos_token_id=(7,)), 'tokenizer.ggml.eos_token_id')
        """
        from rheostat.params_models import read_gguf

        return _of_model(cls, read_gguf(metadata))


def _of_model(params: Any, found: Found) -> ModelParams:
    return ModelParams(params(**found.fields), found.sources, found.ignored)
