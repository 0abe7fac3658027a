"""What goes into a generation of many texts, and what is drawn at each step of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rheostat.errors import KnobError
from rheostat.reference.arrays import as_logits
from rheostat.results import Token
from rheostat.sequence_step import Step

MAX_ROWS = ("must be at least 1", lambda rows: rows >= 1)


@dataclass
class Drawn:
    """The tokens of a call of the model, and the steps of those sequences that have theirs. Lists are one
    entry for each of `rows`.
    """

    rows: tuple[int, ...]
    logits: Any
    masks: list[Any]
    states: list[bytes | None]
    """Of the samplers before the draw, where they are recorded."""
    tokens: Sequence[Token]
    seconds: float
    """What the model took."""
    sampling: float
    """And the draw."""
    steps: dict[int, Step] = field(default_factory=dict)


def other_rows(count: int, logits: Any) -> KnobError:
    """A model that gave too few rows, or too many."""
    got = len(as_logits(logits)[0])
    return KnobError(f"model must give one row for each of {count} texts, got {got}", "model", got)


def entries(name: str, values: Any, count: int) -> list[Any]:
    """A list with an entry for each prompt."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        message = f"{name} must be a sequence with an entry for each prompt, got {type(values).__name__}"
        raise TypeError(message)
    found = list(values)
    if len(found) != count:
        message = f"{name} must have one entry for each of {count} prompts, got {len(found)}"
        raise KnobError(message, name, len(found))
    return found


def check_files(records: list[Any]) -> None:
    """Refuses one file for two records."""
    given = [target for target in records if target is not None]
    files = [os.path.realpath(each) if isinstance(each, str | os.PathLike) else id(each) for each in given]
    for target, file in zip(given, files, strict=True):
        if files.count(file) > 1:
            message = f"record must name a file of its own for each prompt, got {target} twice"
            raise KnobError(message, "record", target)
