"""The smallest input that still shows a fault: parts are left out while it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def fewest(items: Sequence[T], shows: Callable[[list[T]], bool], tries: int = 500) -> list[T]:
    """As few of the items, in their order, as still show it: chunks are left out, then smaller ones.

    Zeller and Hildebrandt 2002, "Simplifying and Isolating Failure-Inducing Input". After so many tries what
    is left is given back as it is.

    >>> fewest([3, 1, 4, 1, 5, 9, 2], lambda items: 4 in items and 9 in items)
    [4, 9]
    """
    left = list(items)
    chunk = max(len(left) // 2, 1)
    while tries > 0:
        before = len(left)
        at = 0
        while at < len(left) and tries > 0:
            shorter = left[:at] + left[at + chunk :]
            tries -= 1
            if shorter and shows(shorter):
                left = shorter
            else:
                at += chunk
        if chunk == 1 and len(left) == before:
            break
        chunk = max(chunk // 2, 1)
    return left


def simplest(
    items: Sequence[T], candidates: Callable[[T], Sequence[T]], shows: Callable[[list[T]], bool]
) -> list[T]:
    """Each item replaced by the first of its candidates with which it still shows."""
    left = list(items)
    for at, item in enumerate(items):
        for simple in candidates(item):
            changed = [*left[:at], simple, *left[at + 1 :]]
            if shows(changed):
                left = changed
                break
    return left
