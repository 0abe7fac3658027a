"""`SamplingParams`: what a request asks of the sampler, checked once and never changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rheostat.errors import KnobError
from rheostat.params_breakers import breaker_ids
from rheostat.params_fields import KNOBS, checked_fields, steps_of, without_mirostat
from rheostat.params_json import dumps, loads
from rheostat.params_models import Found, read_generation_config, read_gguf
from rheostat.params_openai import read_request
from rheostat.params_request import in_callers_words, over_defaults
from rheostat.reference.chain import Step


@dataclass(frozen=True, kw_only=True, repr=False)
class SamplingParams:
    """The settings of a sequence, frozen: every knob of `sample`, and what belongs to the sequence itself.

    Names and edge values are those of the OpenAI API and of vLLM; None for a knob is its default. Lists are
    stored as tuples and dicts as immutable mappings, so that params can be compared, hashed, pickled and
    shared between sequences.

    Args:
        chain: the order of the filters: "vllm", "hf", "llama.cpp", or a tuple of names and callables.
        temperature ... dry_sequence_breakers: the knobs, one value each, as in `sample`. `top_k=-1` is off
            too. `dry_sequence_breakers` may be strings, which `resolved` turns into ids.
        mirostat, mirostat_tau, mirostat_eta: 2 keeps the surprise of the text near tau bits with rate eta
            (a state, which only a `Sampler` has); 0 is off. In a preset chain it runs last.
        seed: in [0, 2**64); None draws one.
        max_tokens: how many tokens may come out; None: no such end.
        context_length: how many tokens prompt and output may have together; None: no such end.
        stop: a str or bytes at which the text ends, or a sequence of them, all of one kind.
        include_stop_str_in_output: whether that stop is part of the text.
        ignore_eos: `eos_token_id` is then a token like any other.
        logprobs: 0 reports the drawn token's log-probability, n also the best n; None nothing.
        report: what else a token reports: "raw_logprob", "rank", "kept_count", "kept_mass", "entropy".

    Raises:
        KnobError: a value breaks its rule, in one sentence; also min_tokens above max_tokens.
        TypeError: a value has the wrong type.

    >>> from rheostat import SamplingParams
    >>> params = SamplingParams(temperature=0.7, top_p=0.9, stop="###", max_tokens=200)
    >>> params.stop, params.knobs()
    (('###',), {'temperature': 0.7, 'top_p': 0.9})
    >>> params.replace(top_p=1, seed=7)
    SamplingParams(temperature=0.7, seed=7, max_tokens=200, stop=('###',))
    """

    chain: str | Sequence[Step] = "vllm"
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    top_h: float = 0.0
    top_n_sigma: float = 0.0
    xtc_threshold: float = 0.1
    xtc_probability: float = 0.0
    allowed_token_ids: Sequence[int] | None = None
    banned_token_ids: Sequence[int] | None = None
    bad_words: Sequence[Sequence[int]] | None = None
    no_repeat_ngram_size: int = 0
    min_tokens: int = 0
    eos_token_id: int | Sequence[int] | None = None
    stop_token_ids: Sequence[int] | None = None
    logit_bias: Mapping[int, float] | None = None
    sequence_bias: Mapping[tuple[int, ...], float] | None = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last_n: int | None = None
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: Sequence[int] | str | Sequence[str] | None = None
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    seed: int | None = None
    max_tokens: int | None = None
    context_length: int | None = None
    stop: str | bytes | Sequence[str] | Sequence[bytes] = ()
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    logprobs: int | None = None
    report: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, value in checked_fields(vars(self)).items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> SamplingParams:
        """The same settings but for some fields, checked anew.

        >>> from rheostat import SamplingParams
        >>> SamplingParams(top_k=40, top_p=0.9).replace(top_k=0)
        SamplingParams(top_p=0.9)
        """
        return dataclasses.replace(self, **changes)

    def knobs(self) -> dict[str, Any]:
        """The keyword arguments for `sample`, `kept`, `process` and `logprobs`: what differs from off, and
        the chain.

        Not among them is what no single call can know: mirostat, seed, stops and lengths. With `ignore_eos`
        nor is `eos_token_id`, so that `min_tokens` holds back the stop ids alone, as in vLLM.

        Raises:
            KnobError: `dry_sequence_breakers` are strings; `resolved` turns them into ids.

        >>> import rheostat
        >>> params = rheostat.SamplingParams(temperature=0.5, top_k=2, chain="llama.cpp", seed=7)
        >>> params.knobs()
        {'chain': 'llama.cpp', 'temperature': 0.5, 'top_k': 2}
        >>> rheostat.sample([2.0, 1.0, 0.5], seed=params.seed, position=0, **params.knobs())
        0
        """
        if self._has_text_breakers():
            breakers = self.dry_sequence_breakers
            rule = "dry_sequence_breakers must be token ids, which resolved(table) gives"
            raise KnobError(f"{rule}, got {breakers!r}", "dry_sequence_breakers", breakers)
        chain = without_mirostat(self.chain)
        knobs = {} if chain == "vllm" else {"chain": chain}
        for knob in KNOBS:
            value = getattr(self, knob.name)
            if value != knob.off and not (self.ignore_eos and knob.name == "eos_token_id"):
                knobs[knob.name] = dict(value) if isinstance(value, Mapping) else value
        return knobs

    def chain_steps(self) -> tuple[Step, ...]:
        """The steps of the chain in their order: a preset's, those set that it does not name, and mirostat.

        >>> from rheostat import SamplingParams
        >>> SamplingParams(mirostat=2, top_n_sigma=1.0).chain_steps()
        ('temperature', 'min_p', 'top_k', 'top_p', 'top_n_sigma', 'mirostat')
        """
        return steps_of(self.chain, vars(self))

    def resolved(self, table: Iterable[bytes | None]) -> SamplingParams:
        """The params with `dry_sequence_breakers` as ids: of every token that contains one of the strings.

        `table` gives each token's bytes: a `TokenTable`, or a sequence of bytes and None. The strings are
        sought as UTF-8 within single tokens; llama.cpp also finds a string that lies across several.

        Raises:
            KnobError: no token contains a string.

        >>> from rheostat import SamplingParams, TokenTable
        >>> table = TokenTable.from_bytes([b"a", b".\\n", b"\\n\\n", None])
        >>> SamplingParams(dry_multiplier=0.8, dry_sequence_breakers="\\n").resolved(table)
        SamplingParams(dry_multiplier=0.8, dry_sequence_breakers=(1, 2))
        """
        if not self._has_text_breakers():
            return self
        breakers: Any = self.dry_sequence_breakers
        resolved = object.__new__(type(self))  # nothing else changes, and ids of a table need no check
        vars(resolved).update(vars(self), dry_sequence_breakers=breaker_ids(breakers, table))
        return resolved

    def to_json(self) -> str:
        """A JSON object: the version of the numeric law, and what differs from the defaults.

        Raises:
            KnobError: the chain holds a callable.

        >>> from rheostat import SamplingParams
        >>> SamplingParams(top_p=0.9, logit_bias={5: float("-inf")}, stop=b"\\xff").to_json()
        '{"law": 1, "top_p": 0.9, "logit_bias": {"5": "-inf"}, "stop": [{"hex": "ff"}]}'
        """
        return dumps(self._changes())

    @classmethod
    def from_json(cls, text: str | bytes) -> SamplingParams:
        """The params that `to_json` wrote, checked anew.

        Raises:
            KnobError: the text is no such JSON, or was written under another version of the law.

        >>> from rheostat import SamplingParams
        >>> SamplingParams.from_json('{"law": 1, "top_p": 0.9}')
        SamplingParams(top_p=0.9)
        """
        fields = loads(text, cls.__dataclass_fields__)
        return in_callers_words(lambda: cls(**fields), fields)

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
        the default, a seed of -1 none (another negative one is taken modulo 2**64), and the keys of
        `logit_bias` may be strings. vLLM's names and the fields of this class are taken too, but for
        `context_length`, `eos_token_id` and `report`, which are the server's. A server that would not give
        1,048,576 `logprobs` caps them, and `max_tokens`, in what comes back.

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
        base = cls() if defaults is None else require(defaults, "defaults")
        fields, names, rest = read_request(request, cls.__dataclass_fields__, allow)
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
        return _of_model(cls, read_gguf(metadata))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._changes().items())
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self._changes())

    def _changes(self) -> dict[str, Any]:
        """What differs from the defaults, in the order of the fields."""
        values = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {field.name: value for field, value in values if value != field.default}

    def _has_text_breakers(self) -> bool:
        breakers = self.dry_sequence_breakers
        return bool(breakers) and isinstance(breakers, tuple) and isinstance(breakers[0], str)


class RequestParams(NamedTuple):
    """`rest` holds what the API names beside the params: model, messages, stream, tools, ..."""

    params: SamplingParams
    rest: dict[str, Any]


class ModelParams(NamedTuple):
    """`sources` tells for each field where it came from, `ignored` what the source sets beside them."""

    params: SamplingParams
    sources: dict[str, str]
    ignored: dict[str, Any]


def require(params: Any, name: str = "params") -> SamplingParams:
    """The argument, which must be a SamplingParams.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(params, SamplingParams):
        raise TypeError(f"{name} must be a SamplingParams, got {type(params).__name__}")
    return params


def _of_model(params: type[SamplingParams], found: Found) -> ModelParams:
    return ModelParams(params(**found.fields), found.sources, found.ignored)


def _restored(params: type[SamplingParams], changes: Mapping[str, Any]) -> SamplingParams:
    """Unpickled by keyword, so that every field is checked and a field added later has its default."""
    return params(**changes)
