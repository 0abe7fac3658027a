"""A dict that cannot change, so that what holds it can be hashed and shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(Mapping[K, V]):
    """Prints and compares as the dict of the same items, in their order.

    >>> from rheostat.frozen_dict import FrozenDict
    >>> frozen = FrozenDict({5: -1.0})
    >>> frozen, frozen == {5: -1.0}, hash(frozen) == hash(FrozenDict({5: -1.0}))
    ({5: -1.0}, True, True)
    """

    __slots__ = ("_dict",)

    def __init__(self, items: Mapping[K, V]) -> None:
        self._dict = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._dict[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __hash__(self) -> int:
        return hash(frozenset(self._dict.items()))

    def __repr__(self) -> str:
        return repr(self._dict)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._dict,)
