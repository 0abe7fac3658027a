"""The fields of `SamplingParams`: each checked, and stored in one immutable form, so that equal settings are
equal objects. Knobs follow the rules of the table; what belongs to a sequence follows its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from rheostat.errors import KnobError
from rheostat.frozen_dict import FrozenDict
from rheostat.reference import knobs as rules
from rheostat.reference.arrays import MAX_VOCAB
from rheostat.reference.chain import Step, chain_of
from rheostat.reference.lists import Shape
from rheostat.reference.stop import MAX_TOTAL
from rheostat.reference.stop_input import broken, flag, is_indexable, utf8, wrong_type
from rheostat.reference.table import TABLE, Knobs

# What a token can be asked to report beside its log-probability, in the order of its fields.
REPORTS = ("raw_logprob", "rank", "kept_count", "kept_mass", "entropy")

# The knobs that describe one call and its logits; all others are fields.
OF_A_CALL = ("vocab_size", "bitmask")
KNOBS = tuple(knob for knob in TABLE if knob.name not in OF_A_CALL)

# One row of any vocabulary.
ANY_ROW = Shape(rows=1, width=MAX_VOCAB, is_row=True, vocab=[MAX_VOCAB])

MIROSTAT = ("must be 0 or 2, where 0 is off and 1 is not supported", lambda version: version in (0, 2))
MIROSTAT_TAU = ("must be positive and finite", lambda tau: 0 < tau < math.inf)
MIROSTAT_ETA = ("must be at least 0 and finite", lambda eta: 0 <= eta < math.inf)
AT_LEAST_ONE = ("must be at least 1", lambda n: n >= 1)
LOGPROBS = (
    f"must be in [0, {MAX_VOCAB}], where 0 is the token's own alone",
    lambda n: 0 <= n <= MAX_VOCAB,
)

# What the rules say of rows, where there is one sequence.
OF_ONE = {
    "must be one value for one row of logits": "must be one value",
    "must be for one row of logits, got one entry per row": "must be for one sequence, got several",
}
BIASES = {"logit_bias": "token id", "sequence_bias": "token id tuples"}

Checked = dict[str, Any]


def checked_fields(given: Mapping[str, Any]) -> Checked:
    """Every field in its stored form; the first that breaks its rule is told."""
    try:
        return _checked(given)
    except KnobError as error:
        raise KnobError(_of_one(str(error)), error.argument, error.value) from None
    except TypeError as error:
        raise TypeError(_of_one(str(error))) from None


def _of_one(message: str) -> str:
    """The rule of a knob that may have one value per row, where it has one alone."""
    message = re.sub(r" or one (\w+ )?per row\b", "", message)
    for of_rows, of_one in OF_ONE.items():
        message = message.replace(of_rows, of_one)
    return message


def _checked(given: Mapping[str, Any]) -> Checked:
    fields: Checked = {knob.name: _knob(knob, given[knob.name]) for knob in KNOBS}
    fields |= {name: check(name, given[name]) for name, check in OWN.items()}
    most, least = fields["max_tokens"], fields["min_tokens"]
    if most is not None and least > most:
        raise KnobError(f"min_tokens must be at most max_tokens, {most}, got {least}", "min_tokens", least)
    fields["chain"] = _chain(given["chain"], fields)
    return fields


def steps_of(chain: Any, fields: Mapping[str, Any]) -> tuple[Step, ...]:
    """The order of the steps, presets written out; in a preset, mirostat runs last."""
    last = ("mirostat",) if fields["mirostat"] and isinstance(chain, str) else ()
    if not isinstance(chain, str):
        return tuple(chain)
    return chain_of(chain, [Knobs(**{knob.name: fields[knob.name] for knob in KNOBS})]) + last


def without_mirostat(chain: Any) -> Any:
    """The chain that a stateless call takes: it knows no mirostat."""
    return chain if isinstance(chain, str) else tuple(step for step in chain if step != "mirostat")


def _knob(knob: Any, value: Any) -> Any:
    """A knob in the form the library works with. None stands for its default, and what is empty is off."""
    if value is None:
        return knob.off
    if knob.name == "top_k" and rules.integer_of("top_k", value) == -1:
        return knob.off  # as vLLM spells it
    if knob.name == "dry_sequence_breakers" and _holds_text(value):
        return _texts("dry_sequence_breakers", value)
    if knob.name in BIASES and not isinstance(value, Mapping):
        rule = f"must be a dict of {BIASES[knob.name]} to bias"
        raise TypeError(f"{knob.name} {rule}, got {type(value).__name__}")
    (stored,) = knob.takes(knob.name, value, ANY_ROW, knob.rule)
    if isinstance(stored, dict):
        stored = FrozenDict(stored)
    empty = isinstance(stored, tuple | FrozenDict) and not stored
    return knob.off if empty and knob.name != "allowed_token_ids" else stored


def _holds_text(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list | tuple) and any(isinstance(x, str) for x in value)
    )


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """One str or several, none of them empty."""
    texts = (value,) if isinstance(value, str) else tuple(value)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise wrong_type(f"{name}[{i}]", "must be a str among strings", text)
        _symbols(f"{name}[{i}]", text)
    return texts


def _stop(name: str, value: Any) -> tuple[str, ...] | tuple[bytes, ...]:
    """One stop or several, all str or all bytes."""
    if value is None:
        return ()
    rule = "must be a str, bytes or a sequence of them"
    single = isinstance(value, str | bytes)
    if not single and not is_indexable(value):
        raise wrong_type(name, rule, value)
    stops = (value,) if single else tuple(value)
    for i, stop in enumerate(stops):
        if not isinstance(stop, str | bytes):
            raise wrong_type(f"{name}[{i}]", "must be a str or bytes; ids go into stop_token_ids", stop)
        if isinstance(stop, str) != isinstance(stops[0], str):
            raise wrong_type(f"{name}[{i}]", "must be of the kind of the first stop", stop)
    total = sum(len(_symbols(f"{name}[{i}]", stop)) for i, stop in enumerate(stops))
    if total > MAX_TOTAL:
        raise broken(name, f"must hold at most {MAX_TOTAL} bytes in all", total)
    return stops


def _symbols(name: str, stop: str | bytes) -> bytes:
    if not stop:
        raise broken(name, "must not be empty", stop)
    return utf8(stop, name) if isinstance(stop, str) else stop


def _report(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, tuple | list):
        raise wrong_type(name, "must be a tuple of names", value)
    for i, report in enumerate(value):
        if report not in REPORTS:
            raise broken(name, f"must hold names among {', '.join(REPORTS)}", report)
        if report in value[:i]:
            raise broken(name, "must hold each name once", report)
    return tuple(report for report in REPORTS if report in value)


def _chain(chain: Any, fields: Mapping[str, Any]) -> Any:
    """A preset's name, or a tuple of names and callables."""
    knobs = Knobs(**{knob.name: fields[knob.name] for knob in KNOBS})
    if not isinstance(chain, tuple | list):
        chain_of(chain, [knobs])
        return chain
    chain_of(without_mirostat(chain), [knobs])
    named = sum(isinstance(step, str) and step == "mirostat" for step in chain)
    if named > 1:
        raise broken("chain", "must name each knob once", "mirostat")
    if named and not fields["mirostat"]:
        raise broken("chain", "must name mirostat only where mirostat is 2", "mirostat")
    if fields["mirostat"] and not named:
        message = "chain must name every knob that is set, got none for 'mirostat'"
        raise KnobError(message, "chain", "mirostat")
    return tuple(chain)


def _number(rule: rules.Rule, default: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        if value is None:
            return default
        number: float = rules.per_row(name, rule, rules.number_of(name, value), 1, True)[0]
        return number

    return check


def _integer(rule: rules.Rule, default: int | None) -> Callable[[str, Any], int | None]:
    def check(name: str, value: Any) -> int | None:
        if value is None:
            return default
        number: int = rules.per_row(name, rule, rules.integer_of(name, value), 1, True)[0]
        return number

    return check


def _flag(name: str, value: Any) -> bool:
    return flag(value, name)


# What is no knob of a call: each with its check, in the order of the checks.
OWN: dict[str, Callable[[str, Any], Any]] = {
    "mirostat": _integer(MIROSTAT, 0),
    "mirostat_tau": _number(MIROSTAT_TAU, 5.0),
    "mirostat_eta": _number(MIROSTAT_ETA, 0.1),
    "seed": _integer(rules.WORD, None),
    "max_tokens": _integer(AT_LEAST_ONE, None),
    "context_length": _integer(AT_LEAST_ONE, None),
    "stop": _stop,
    "include_stop_str_in_output": _flag,
    "ignore_eos": _flag,
    "logprobs": _integer(LOGPROBS, None),
    "report": _report,
}
