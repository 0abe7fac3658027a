"""Chance without state: (seed, stream, position) decides, through one block of Philox4x64-10.

Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". The block is NumPy's own:
`np.random.Philox(key=seed + (stream << 64), counter=position).random_raw(4)`.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from rheostat.errors import KnobError
from rheostat.reference import knobs as rules

# The four words of a block, by purpose.
TOKEN, XTC, ACCEPT, RESIDUAL = range(4)


def words(seed: int, stream: int, position: int) -> tuple[int, int, int, int]:
    """The four words of the block, each in [0, 2**64)."""
    block = np.random.Philox(key=seed + (stream << 64), counter=position).random_raw(4)
    a, b, c, d = (int(word) for word in block)
    return a, b, c, d


def fresh_seed() -> int:
    """64 bits from the operating system."""
    return int.from_bytes(os.urandom(8), "little")


class Chance:
    """Where a row's chance comes from: its place in Philox, or a word given by the caller."""

    def __init__(self, seed: int | None, stream: int, position: int, u: int | None) -> None:
        self.seed = fresh_seed() if seed is None and u is None else seed
        self.stream, self.position, self.u = stream, position, u

    def word(self, item: int) -> int:
        """Word 0 of the block, `item` streams on: it draws the token."""
        return self._block(item)[TOKEN] if self.u is None else self.u

    def opens(self, probability: float) -> bool:
        """Whether word 1 lets XTC act."""
        share = math.floor(math.ldexp(probability, 64))  # the product with a power of two is exact
        return probability > 0 and self._block(0)[XTC] < share

    def _block(self, item: int) -> tuple[int, int, int, int]:
        assert self.seed is not None
        return words(self.seed, self.stream + item, self.position)


def chances_of(
    seed: Any, stream: Any, position: Any, u: Any, rows: int, is_row: bool
) -> tuple[list[Chance], bool]:
    """A chance for each row, or for each token wanted of a single row; and whether the result is an array."""
    given = {
        name: None if value is None and name in ("seed", "u") else rules.integer_of(name, value)
        for name, value in (("seed", seed), ("stream", stream), ("position", position), ("u", u))
    }
    if u is not None and (seed is not None or given["stream"] != 0 or given["position"] != 0):
        raise KnobError("u must come without seed, stream and position, got both", "u", u)
    lists = {name: value for name, value in given.items() if isinstance(value, list)}
    count = len(next(iter(lists.values()))) if is_row and lists else rows
    columns = []
    for name, value in given.items():
        if isinstance(value, list):
            if len(value) != count:
                shape = (len(value),)
                raise KnobError(
                    f"{name} must be an integer or have shape ({count},), got shape {shape}", name, shape
                )
            columns.append([rules.check(name, rules.WORD, item, row) for row, item in enumerate(value)])
        else:
            columns.append([None if value is None else rules.check(name, rules.WORD, value)] * count)
    if rows > 1:
        _refuse_one_chance_for_all(given, rows)
    chances = [Chance(*each) for each in zip(*columns, strict=True)]
    return chances, bool(lists) or not is_row


def _refuse_one_chance_for_all(given: dict[str, Any], rows: int) -> None:
    if isinstance(given["u"], int):
        raise KnobError(
            f"u must hold one integer per row, or all {rows} rows would get the same chance, "
            f"got {given['u']}",
            "u",
            given["u"],
        )
    per_row = any(isinstance(given[name], list) for name in ("seed", "stream", "position"))
    if given["u"] is None and isinstance(given["seed"], int) and not per_row:
        raise KnobError(
            f"seed must come with one stream or position per row, or all {rows} rows would get the same "
            f"chance; pass stream=np.arange({rows}), got seed={given['seed']} alone",
            "seed",
            given["seed"],
        )
