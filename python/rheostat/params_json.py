"""Sampling parameters as JSON text, with the version of the numeric law they were written under.

Only what differs from the defaults is written. Where JSON has no form of its own: a bias of -inf is
"-inf", the sequence biases are pairs of ids and bias, and stops that are bytes are {"hex": "..."}.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rheostat.errors import KnobError
from rheostat.law_version import check_law
from rheostat.reference.law import LAW

LONGEST_KEY = 20  # digits; Python reads no int of thousands


def dumps(changes: Mapping[str, Any]) -> str:
    """The JSON of the fields that differ from their defaults."""
    import json  # here and below, since few programs need it

    return json.dumps({"law": LAW} | {name: _to_json(name, value) for name, value in changes.items()})


def loads(text: str | bytes, names: Collection[str]) -> dict[str, Any]:
    """The fields that a text of `dumps` gives, unchecked; a name that is not among `names` is an error."""
    import json

    try:
        found = json.loads(text)
    except RecursionError:
        raise KnobError("text must be JSON, got one that is nested too deeply", "text", text) from None
    except ValueError as error:
        raise KnobError(f"text must be JSON, got {error}", "text", text) from None
    if not isinstance(found, dict):
        raise KnobError(f"text must be a JSON object, got {type(found).__name__}", "text", text)
    check_law(found.pop("law", None))
    unknown = [name for name in found if name not in names]
    if unknown:
        shown = ", ".join(map(repr, unknown))
        raise KnobError(f"text must name fields of SamplingParams, got {shown}", "text", unknown)
    return {name: value_from_json(name, value) for name, value in found.items()}


def _id_of_key(name: str, key: Any) -> Any:
    """A token id, of which JSON made a string."""
    if not isinstance(key, str):
        return key
    if not (key.isascii() and key.removeprefix("-").isdigit() and len(key) <= LONGEST_KEY):
        shown = key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..."
        raise KnobError(f"{name} must have token ids as keys, got {shown!r}", name, key)
    return int(key)


def _to_json(name: str, value: Any) -> Any:
    if name == "logit_bias":
        return {str(token): _bias_to_json(bias) for token, bias in value.items()}
    if name == "sequence_bias":
        return [[list(ids), _bias_to_json(bias)] for ids, bias in value.items()]
    if name == "stop":
        return [stop if isinstance(stop, str) else {"hex": stop.hex()} for stop in value]
    if name == "chain" and not isinstance(value, str):
        for step in value:
            if not isinstance(step, str):
                called = getattr(step, "__name__", type(step).__name__)
                message = f"chain must hold names alone to become JSON, got the callable {called}"
                raise KnobError(message, "chain", step)
    return value


def value_from_json(name: str, value: Any) -> Any:
    """A field as `SamplingParams` takes it; what has no special form in JSON stays as it is."""
    if name == "logit_bias" and isinstance(value, Mapping):
        return {_id_of_key(name, key): _bias_from_json(bias) for key, bias in value.items()}
    if name == "sequence_bias" and isinstance(value, list):
        pairs = all(isinstance(pair, list) and len(pair) == 2 for pair in value)
        if not pairs or not all(isinstance(ids, list) for ids, _ in value):
            message = f"sequence_bias must hold pairs of ids and bias in JSON, got {value!r}"
            raise KnobError(message, name, value)
        return {tuple(ids): _bias_from_json(bias) for ids, bias in value}
    if name == "stop" and isinstance(value, list):
        return [_stop_from_json(stop) for stop in value]
    return value


def _bias_to_json(bias: float) -> float | str:
    return "-inf" if bias == float("-inf") else bias


def _bias_from_json(bias: Any) -> Any:
    return float("-inf") if bias == "-inf" else bias


def _stop_from_json(stop: Any) -> Any:
    if not (isinstance(stop, dict) and set(stop) == {"hex"}):
        return stop
    try:
        return bytes.fromhex(stop["hex"])
    except (TypeError, ValueError):
        raise KnobError(f"stop must hold hexadecimal digits, got {stop['hex']!r}", "stop", stop) from None
