"""What the stop classes are given, checked. One sentence per error: argument, rule, value."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from rheostat.errors import KnobError

ID_RULE = "must be a token id in [0, 4294967295]"


def broken(name: str, rule: str, value: Any) -> KnobError:
    """The error for an argument, or an item of one, that breaks its rule."""
    return KnobError(f"{name} {rule}, got {value!r}", name.split("[")[0], value)


def wrong_type(name: str, rule: str, value: Any) -> TypeError:
    """The error for an argument, or an item of one, of a wrong type."""
    return TypeError(f"{name} {rule}, got {value!r}")


def wrong_length(name: str, rows: int, got: int) -> KnobError:
    """The error for a sequence that has not one entry per row."""
    return KnobError(f"{name} must have one entry per row, {rows}, got {got}", name, got)


def is_indexable(value: Any) -> bool:
    """Anything with ``__getitem__`` but a dict, a str or bytes."""
    return hasattr(type(value), "__getitem__") and not isinstance(value, str | bytes | bytearray | dict)


def items(values: Any, name: str, rule: str) -> list[Any]:
    """The items of a sequence."""
    if not is_indexable(values):
        raise wrong_type(name, rule, values)
    return list(values)


def is_flag(value: Any) -> bool:
    """A bool, Python's or NumPy's."""
    return isinstance(value, bool | np.bool_)


def flag(value: Any, name: str) -> bool:
    """The bool."""
    if not is_flag(value):
        raise wrong_type(name, "must be a bool", value)
    return bool(value)


def index(value: Any) -> int | None:
    """The int that a value stands for, or None."""
    try:
        return operator.index(value)
    except TypeError:
        return None


def integer(value: Any, name: str, limit: int | None, rule: str) -> int:
    """An int in [0, limit); a bool is not one."""
    found = None if isinstance(value, bool) else index(value)
    if found is None:
        raise wrong_type(name, "must be an int", value)
    if found < 0 or (limit is not None and found >= limit):
        raise broken(name, rule, found)
    return found


def integers(values: Any, name: str, limit: int) -> list[int]:
    """Several ints in [0, limit)."""
    given = items(values, name, "must be a sequence of ints")
    rule = f"must be in [0, {limit})"
    return [integer(value, f"{name}[{i}]", limit, rule) for i, value in enumerate(given)]


def token_id(value: Any, name: str) -> int | None:
    """A token id, or None where the value is no int at all."""
    if isinstance(value, bool):
        raise broken(name, ID_RULE, value)
    found = index(value)
    if found is not None and not 0 <= found < 2**32:
        raise broken(name, ID_RULE, found)
    return found


def token_ids(value: Any, name: str) -> tuple[int, ...]:
    """A token id, or a sequence of them, as a tuple."""
    one = token_id(value, name)
    if one is not None:
        return (one,)
    ids = []
    rule = "must be a token id or a sequence of token ids for kind 'tokens'"
    for i, item in enumerate(items(value, name, rule)):
        found = token_id(item, f"{name}[{i}]")
        if found is None:
            raise wrong_type(f"{name}[{i}]", "must be a token id", item)
        ids.append(found)
    return tuple(ids)


def utf8(text: str, name: str) -> bytes:
    """The text's UTF-8."""
    try:
        return str.encode(text)
    except UnicodeEncodeError:
        raise broken(name, "must not hold a lone surrogate", text) from None


def symbols(piece: Any, kind: str, name: str) -> Any:
    """What a stream of that kind is fed: bytes, or a tuple of ids."""
    if kind == "tokens":
        return token_ids(piece, name)
    if kind == "text" and isinstance(piece, str):
        return utf8(piece, name)
    if isinstance(piece, bytes):
        return piece
    allowed = "str or bytes for kind 'text'" if kind == "text" else "bytes for kind 'bytes'"
    raise wrong_type(name, f"must be {allowed}", piece)


def stop_symbols(stop: Any, kind: str, name: str) -> Any:
    """A stop of that kind: bytes, or a tuple of ids."""
    if kind == "tokens":
        return token_ids(stop, name)
    if not isinstance(stop, str if kind == "text" else bytes):
        wanted = "str for kind 'text'" if kind == "text" else "bytes for kind 'bytes'"
        raise wrong_type(name, f"must be {wanted}", stop)
    return utf8(stop, name) if isinstance(stop, str) else b"".join([stop])


def kind_of(first: Any) -> str:
    """The kind of a stop set with that first stop."""
    if isinstance(first, str):
        return "text"
    if isinstance(first, bytes):
        return "bytes"
    if is_indexable(first) or index(first) is not None:
        return "tokens"
    raise wrong_type("stops[0]", "must be str, bytes, a token id or a sequence of token ids", first)


def one_of(value: Any, name: str, rule: str, names: Iterable[str]) -> str:
    """One of some names."""
    if not isinstance(value, str):
        raise wrong_type(name, rule, value)
    if value not in names:
        raise broken(name, rule, value)
    return str(value)
