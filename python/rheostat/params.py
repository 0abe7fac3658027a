"""`SamplingParams`: what a request asks of the sampler, checked once and never changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rheostat.errors import KnobError
from rheostat.law_version import check_law
from rheostat.params_breakers import breaker_ids
from rheostat.params_fields import KNOBS, checked_fields, steps_of, without_mirostat
from rheostat.params_json import dumps, loads
from rheostat.params_others import FromOthers
from rheostat.params_request import in_callers_words
from rheostat.reference.chain import Step
from rheostat.reference.law import LAW


@dataclass(frozen=True, kw_only=True, repr=False)
class SamplingParams(FromOthers):
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
        """The params that `to_json` wrote, checked anew. Of a name that stands there twice the last one
        counts, as in Python's `json`.

        Raises:
            KnobError: the text is no such JSON, or was written under another version of the law.

        >>> from rheostat import SamplingParams
        >>> SamplingParams.from_json('{"law": 1, "top_p": 0.9}')
        SamplingParams(top_p=0.9)
        >>> SamplingParams.from_json('{"law": 1, "top_p": 0.9, "top_p": 0.5}')
        SamplingParams(top_p=0.5)
        """
        fields = loads(text, cls.__dataclass_fields__)
        return in_callers_words(lambda: cls(**fields), fields)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._changes().items())
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), LAW, self._changes())

    def _changes(self) -> dict[str, Any]:
        """What differs from the defaults, in the order of the fields."""
        values = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {field.name: value for field, value in values if value != field.default}

    def _has_text_breakers(self) -> bool:
        breakers = self.dry_sequence_breakers
        return bool(breakers) and isinstance(breakers, tuple) and isinstance(breakers[0], str)


def require(params: Any, name: str = "params") -> SamplingParams:
    """The argument, which must be a SamplingParams.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(params, SamplingParams):
        raise TypeError(f"{name} must be a SamplingParams, got {type(params).__name__}")
    return params


def _restored(params: type[SamplingParams], law: int, changes: Mapping[str, Any]) -> SamplingParams:
    """Unpickled by keyword, so that every field is checked and a field added later has its default."""
    check_law(law)
    return params(**changes)
