"""DRY's breakers as strings: which tokens contain them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from rheostat.errors import KnobError
from rheostat.token_table import Table


def breaker_ids(breakers: tuple[str, ...], table: Iterable[bytes | None]) -> tuple[int, ...]:
    """The ids of every token that contains one of the strings. A table is searched once for the same ones."""
    if isinstance(table, Table):
        return _in_table(breakers, table)
    return _among(breakers, table)


# A search costs as much as thousands of steps, and every sequence of a server asks for the same.
@functools.lru_cache(maxsize=8)
def _in_table(breakers: tuple[str, ...], table: Any) -> tuple[int, ...]:
    return _among(breakers, table)


def _among(breakers: tuple[str, ...], table: Iterable[bytes | None]) -> tuple[int, ...]:
    tokens = list(table)
    ids: set[int] = set()
    for breaker in breakers:
        sought = breaker.encode()
        holders = [id for id, token in enumerate(tokens) if token is not None and sought in token]
        if not holders:
            message = f"dry_sequence_breakers must be strings that a token contains, got {breaker!r}"
            raise KnobError(message, "dry_sequence_breakers", breaker)
        ids.update(holders)
    return tuple(sorted(ids))
