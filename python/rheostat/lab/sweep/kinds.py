"""What kind of value a knob takes, and how one is read from a text such as `0.7`, `none` or `\\n`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rheostat.errors import KnobError

Scalar = str | float | int | bool | None

# Each is what an error says that the knob takes.
FLOAT, INT, FLAG = "a number", "a whole number", "true or false"
WORD, TEXT = "a word", "a text"
IDS, ORDER = "token ids with + between them", "an order of filters"
NUMBERS = (FLOAT, INT)

# The kinds of the fields of `SamplingParams` and `TrainingKnobs`, by how they are annotated. Mappings and
# lists of lists have none: a sweep cannot vary them.
ANNOTATIONS = {
    "float": FLOAT,
    "float | None": FLOAT,
    "int": INT,
    "int | None": INT,
    "bool": FLAG,
    "str": WORD,
    "str | Sequence[Step]": ORDER,
    "str | bytes | Sequence[str] | Sequence[bytes]": TEXT,
    "Sequence[int] | None": IDS,
    "int | Sequence[int] | None": IDS,
}
FLAGS = {"true": True, "yes": True, "false": False, "no": False}


def kinds_of(knobs: Any) -> dict[str, str]:
    """The kind of each field of a dataclass that has one."""
    fields = {field.name: ANNOTATIONS.get(str(field.type)) for field in dataclasses.fields(knobs)}
    return {name: kind for name, kind in fields.items() if kind is not None}


def read_value(name: str, kind: str, text: str) -> Scalar:
    """One value of a knob, as Optuna can store it: lists stay text, which `knob_value` takes apart.

    Raises:
        KnobError: the text is no value of this kind.
    """
    if text.lower() == "none" and kind not in (TEXT, WORD):
        return None
    try:
        if kind == FLOAT:
            return float(text)
        if kind == INT:
            return int(text)
        if kind == FLAG:
            return FLAGS[text.lower()]
        if kind == IDS:
            _ids(text)
    except (ValueError, KeyError):
        raise KnobError(f"{name} takes {kind}, got {text}", name, text) from None
    return text


def knob_value(kind: str, value: Scalar) -> Any:
    r"""The value in the form that the knob takes: `13+198` as ids, `top_k+temperature` as an order, `\n` as a
    new line, and `none` among texts as no text.
    """
    if not isinstance(value, str):
        return value
    if kind == IDS:
        return _ids(value)
    if kind == ORDER:
        return tuple(value.split("+")) if "+" in value else value
    if kind == TEXT:
        return () if value == "none" else _unescaped(value)
    return value


def knob_values(kinds: Mapping[str, str], settings: Mapping[str, Scalar]) -> dict[str, Any]:
    """`knob_value` of several."""
    return {name: knob_value(kinds[name], value) for name, value in settings.items()}


def shown(value: Scalar) -> str:
    """As `read_value` reads it, numbers with at most four significant digits."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def exact(value: Scalar) -> str:
    """As `read_value` reads it, every digit."""
    return repr(value) if isinstance(value, float) else shown(value)


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+"))


def _unescaped(text: str) -> str:
    parts = [part.replace("\\n", "\n").replace("\\t", "\t") for part in text.split("\\\\")]
    return "\\".join(parts)
