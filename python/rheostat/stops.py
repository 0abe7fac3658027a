"""What a stop is reported as; the fast code and the reference share it."""

from __future__ import annotations

from typing import Any, NamedTuple

from rheostat.law_version import check_law


class StopHit(NamedTuple):
    """A stop that ended a stream. Offsets are in bytes (text and bytes) or ids from its beginning.

    >>> from rheostat import StopSet
    >>> StopSet(["STOP"]).find("hello STOP world")
    StopHit(index=0, stop='STOP', start=6, end=10, discarded=6)
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, on purpose
    """The stop's place in the StopSet."""
    stop: str | bytes | tuple[int, ...]
    """The stop itself."""
    start: int
    """Where it starts."""
    end: int
    """Where it ends: start plus its length."""
    discarded: int
    """How many bytes or ids of the piece in which it completed come after it."""


def restored(
    stop_set: type[Any], law: int, stops: tuple[Any, ...], kind: str, tie: str, include: bool
) -> Any:
    """The StopSet of a pickle."""
    check_law(law)
    return stop_set(stops, kind=kind, tie=tie, include=include)


StopHit.__module__ = "rheostat"
