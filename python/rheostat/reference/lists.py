"""Checking what holds token ids: lists of ids, words, biases, bitmasks, histories; one for all rows or one
per row.

What has no entry is None, also within a list that gives one per row. Ids lie in the row's vocabulary.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.reference import knobs as rules

Ids = tuple[int, ...]


class Shape(NamedTuple):
    """What values are checked against: the logits' rows and width, and each row's vocabulary."""

    rows: int
    width: int
    is_row: bool
    vocab: list[int]


def ids(name: str, value: Any, shape: Shape, rule: None = None) -> list[Ids | None]:
    """A sequence of ids for every row, or one such sequence per row."""
    wanted = "a sequence of token ids or one per row"
    if value is None:
        return [None] * shape.rows
    items = _items(name, value, wanted)
    per_row = any(item is None or is_sequence(item) for item in items)
    given = _one_each(name, items, shape) if per_row else [items] * shape.rows
    return [
        None if item is None else id_tuple(name, item, shape.vocab[row], wanted)
        for row, item in enumerate(given)
    ]


def id_or_ids(name: str, value: Any, shape: Shape, rule: None = None) -> list[Ids | None]:
    """The same, and a single id may stand without a list."""
    single = value is not None and not is_sequence(value)
    return ids(name, [value] if single else value, shape)


def histories(name: str, value: Any, shape: Shape) -> list[Ids]:
    """The ids of the row, or one sequence of ids per row of a batch; () is none."""
    wanted = "a sequence of token ids" if shape.is_row else "a sequence of token ids for each row"
    items = _items(name, value, wanted)
    given = [items] if shape.is_row else _one_each(name, items, shape) if items else [items] * shape.rows
    return [id_tuple(name, item, shape.vocab[row], wanted) for row, item in enumerate(given)]


def words(name: str, value: Any, shape: Shape, rule: None = None) -> list[tuple[Ids, ...]]:
    """A list of id sequences for every row, or one such list per row."""
    wanted = "a list of token id sequences or one per row"
    if value is None:
        return [()] * shape.rows
    items = _items(name, value, wanted)
    per_row = any(item is None or (is_sequence(item) and any(map(is_sequence, item))) for item in items)
    if not shape.is_row and items and not any(is_sequence(item) and len(item) for item in items):
        per_row = True  # [[], []]: no words for either row
    given = _one_each(name, items, shape) if per_row else [items] * shape.rows
    return [
        ()
        if item is None
        else tuple(_word(name, word, shape.vocab[row], wanted) for word in _items(name, item, wanted))
        for row, item in enumerate(given)
    ]


def biases(name: str, value: Any, shape: Shape, rule: None = None) -> list[dict[int, float]]:
    """A dict {id: bias} for every row, or one per row."""
    wanted = "a dict of token id to bias or one per row"
    return _dicts(name, value, shape, wanted, lambda key, row: _id(name, key, shape.vocab[row], wanted))


def sequence_biases(name: str, value: Any, shape: Shape, rule: None = None) -> list[dict[Ids, float]]:
    """A dict {(id, ...): bias} for every row, or one per row."""
    wanted = "a dict of token id tuples to bias or one per row"
    return _dicts(name, value, shape, wanted, lambda key, row: _word(name, key, shape.vocab[row], wanted))


def bitmask(name: str, value: Any, shape: Shape, rule: None = None) -> list[NDArray[np.int32] | None]:
    """int32 words (words,) for every row or (batch, words), as xgrammar and llguidance pack them: bit i % 32
    of word i // 32 is 1 where token i is allowed.
    """
    if value is None:
        return [None] * shape.rows
    if not hasattr(value, "__array__"):
        raise TypeError(f"{name} must be an int32 array, got {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype != np.int32:
        raise TypeError(f"{name} must be an int32 array, got an array of {array.dtype}")
    if array.ndim != 1 and (shape.is_row or array.ndim != 2 or len(array) != shape.rows):
        wanted = "(words,)" if shape.is_row else f"(words,) or ({shape.rows}, words)"
        raise KnobError(f"{name} must have shape {wanted}, got shape {array.shape}", name, array.shape)
    most = -(-shape.width // 32)
    if array.shape[-1] > most:
        got = array.shape[-1]
        raise KnobError(
            f"{name} must have at most {most} words for {shape.width} tokens, got {got}", name, got
        )
    return list(array) if array.ndim == 2 else [array] * shape.rows


def row_masks(name: str, value: Any, shape: Shape) -> list[NDArray[np.int32] | None]:
    """The same, and a list may have an array (words,) for each row, or None for rows without."""
    if not isinstance(value, list | tuple):
        return bitmask(name, value, shape)
    if len(value) != shape.rows:
        message = f"{name} must have one entry for each of {shape.rows} rows, got {len(value)}"
        raise KnobError(message, name, len(value))
    return [bitmask(name, item, shape._replace(rows=1, is_row=True))[0] for item in value]


def is_sequence(value: Any) -> bool:
    """Whether it is a list, a tuple, a range or an array of at least one dimension."""
    return isinstance(value, list | tuple | range) or bool(getattr(value, "ndim", 0))


def id_tuple(name: str, value: Any, vocab: int, wanted: str) -> Ids:
    return tuple(_id(name, item, vocab, wanted) for item in _items(name, value, wanted))


def _items(name: str, value: Any, wanted: str) -> list[Any]:
    if not is_sequence(value):
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _one_each(name: str, items: list[Any], shape: Shape) -> list[Any]:
    if shape.is_row or len(items) != shape.rows:
        wanted = (
            "be for one row of logits" if shape.is_row else f"have one entry for each of {shape.rows} rows"
        )
        got = "one entry per row" if shape.is_row else len(items)
        raise KnobError(f"{name} must {wanted}, got {got}", name, len(items))
    return items


def _id(name: str, value: Any, vocab: int, wanted: str) -> int:
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__} in it") from None
    rule = (f"must hold token ids in [0, {vocab})", lambda i: 0 <= i < vocab)
    return int(rules.check(name, rule, number))


def _word(name: str, value: Any, vocab: int, wanted: str) -> Ids:
    if not is_sequence(value):
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__} in it")
    word = id_tuple(name, value, vocab, wanted)
    rules.check(name, ("must hold sequences of at least one token id", lambda word: len(word) > 0), word)
    return word


def _dicts(
    name: str, value: Any, shape: Shape, wanted: str, key_of: Callable[[Any, int], Any]
) -> list[dict[Any, float]]:
    if value is None or isinstance(value, Mapping):
        given = [value] * shape.rows
    elif is_sequence(value):
        given = _one_each(name, list(value), shape)
    else:
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")
    return [_bias_dict(name, item, row, wanted, key_of) for row, item in enumerate(given)]


def _bias_dict(
    name: str, item: Any, row: int, wanted: str, key_of: Callable[[Any, int], Any]
) -> dict[Any, float]:
    if item is not None and not isinstance(item, Mapping):
        raise TypeError(f"{name} must be {wanted}, got {type(item).__name__} in it")
    result = {}
    for key, bias in (item or {}).items():
        number = rules.number_of(name, bias)
        if isinstance(number, list):
            raise TypeError(f"{name} must hold one bias for each key, got a sequence")
        result[key_of(key, row)] = rules.check(name, rules.BIAS, number)
    return result
