"""What a request asks for over a model's defaults, and errors in the caller's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rheostat.errors import KnobError
from rheostat.reference.chain import AFTER, PRESETS
from rheostat.reference.table import OFF, SWITCH

P = TypeVar("P")

# Where a step goes that the defaults' own chain does not name.
ORDER = PRESETS["llama.cpp"] + tuple(step for step in AFTER if step not in PRESETS["llama.cpp"])


def over_defaults(fields: Mapping[str, Any], defaults: Any) -> dict[str, Any]:
    """The fields that change: a request that could not know the defaults does not contradict them."""
    changes = dict(fields)
    if "chain" not in fields and not isinstance(defaults.chain, str):
        changes["chain"] = chain_with(defaults.chain, fields)
    least, most = fields.get("min_tokens"), fields.get("max_tokens")
    if type(most) is int and "min_tokens" not in fields:
        changes["min_tokens"] = max(0, min(most, defaults.min_tokens))
    if type(least) is int and "max_tokens" not in fields and least > (defaults.max_tokens or least):
        message = f"min_tokens must be at most the default max_tokens, {defaults.max_tokens}, got {least}"
        raise KnobError(message, "min_tokens", least)
    return changes


def chain_with(chain: tuple[Any, ...], fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """The chain with the steps that the fields set: before the first that comes later in llama.cpp's order,
    the rest at the end, and mirostat last of all.
    """
    if fields.get("mirostat") == 0:
        chain = tuple(step for step in chain if step != "mirostat")
    steps = list(chain)
    for at, step in enumerate(ORDER):
        if step not in steps and _sets(step, fields):
            later = [steps.index(other) for other in (*ORDER[at + 1 :], "mirostat") if other in steps]
            steps.insert(min(later, default=len(steps)), step)
    if "mirostat" not in steps and fields.get("mirostat") not in (None, 0):
        steps.append("mirostat")
    return tuple(steps)


def _sets(step: str, fields: Mapping[str, Any]) -> bool:
    knob = SWITCH.get(step, step)
    value = fields.get(knob)
    off = (OFF[knob], -1) if knob == "top_k" else (OFF[knob],)
    return isinstance(value, int | float) and value not in off


def in_callers_words(
    build: Callable[[], P], fields: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> P:
    """The params, or a KnobError that names the field as the caller did: what another sent is never a
    TypeError of the program.
    """
    try:
        return build()
    except KnobError as error:
        message, argument, value = str(error), error.argument, error.value
    except TypeError as error:
        message = str(error)
        argument = re.split(r"\W", message, maxsplit=1)[0]
        value = fields.get(argument)
    names = names or {}
    for name, spelled in names.items():
        message = re.sub(rf"\b{name}\b", spelled, message)
    raise KnobError(message, names.get(argument, argument), value)
