"""One line of the table of what is measured."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from rows import rows

Names = dict[str, Any]


class Work(NamedTuple):
    """One line of the table."""

    name: str
    topic: str
    statement: str
    names: Callable[[ModuleType], list[Names]]  # a namespace for each row, with the library or the reference
    goal: float | None = None  # the ratio to reach
    bar: float | None = None  # the ratio that holds today, with room for noise
    yardstick: str = "np.max(row)"
    setup: str = "pass"  # before each turn, not timed
    yardstick_setup: str = "pass"
    peer: tuple[Any, ...] = ()  # what a peer has to do for the same answer: ("sample", temperature, top_p)
    pieces: int = 1  # how many one run of the statement works off
    base: str = "0"  # what the statement does beside the work that is meant: its time is subtracted
    threads: int = 1


def on_rows(kind: str, vocab: int, **more: Any) -> Callable[[ModuleType], list[Names]]:
    """A namespace for each row of a kind: `row`, and `out` of its size."""

    def names(library: ModuleType) -> list[Names]:
        return [
            {"np": np, "rheostat": library, "row": row, "out": np.empty_like(row), **more}
            for row in rows(kind, vocab)
        ]

    return names
