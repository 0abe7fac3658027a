"""Rows of logits that any program can make again, from integers alone, and recorded ones.

A recipe is a dict. Word i of a seed is item i of `np.random.Philox(key=seed).random_raw(n)`, the generator
that the library draws with. A logit is an integer times a power of two, exactly: v * 2**exponent, |v| <
2**24, with v by the recipe's kind

    bell       the sum of the word's four 16-bit quarters, less 131070
    uniform    its upper 24 bits, less 2**23
    steps      its upper 3 bits, so eight values and many ties
    equal      1
    zeros      0, whose sign is the word's lowest bit
    recorded   no word: row `seed` of `recorded.npy` beside this file, as it is

to which `offset` is added for all tokens and `raised` ([[id, v], ...]) for some. Then, with `forbidden` = k,
tokens whose word has its lowest four bits below k become -inf; token 0 never does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]
Words = NDArray[np.uint64]
Integers = NDArray[np.int64]

FILE = Path(__file__).with_name("recorded.npy")


def recorded() -> NDArray[np.float32]:
    """(6, 4096) float32: the largest logits of six rows of a real model, in the order of their ids.

    >>> from rheostat.testing.rows import recorded
    >>> recorded().shape
    (6, 4096)
    """
    rows: NDArray[np.float32] = np.load(FILE)
    return rows


def words(seed: int, n: int) -> Words:
    """The first n words of a seed, (n,) uint64."""
    return np.random.Philox(key=seed).random_raw(n)


def bell(w: Words) -> Integers:
    """Nearly a normal distribution, of deviation 37837, from whole numbers."""
    quarters = w[:, None] >> np.array([0, 16, 32, 48], np.uint64) & np.uint64(0xFFFF)
    whole: Integers = quarters.sum(axis=1).astype(np.int64)
    return whole - 131_070


def uniform(w: Words) -> Integers:
    """24 bits, around 0."""
    return (w >> np.uint64(40)).astype(np.int64) - 2**23


def steps(w: Words) -> Integers:
    """0 to 7."""
    return (w >> np.uint64(61)).astype(np.int64)


def equal(w: Words) -> Integers:
    """1 for all."""
    return np.ones(w.size, np.int64)


KINDS: dict[str, Callable[[Words], Integers]] = {
    "bell": bell,
    "uniform": uniform,
    "steps": steps,
    "equal": equal,
}


def row_of(recipe: Mapping[str, Any]) -> Row:
    """The row of a recipe, (n,) float32.

    >>> from rheostat.testing.rows import row_of
    >>> row_of({"kind": "equal", "n": 3, "seed": 0, "exponent": -1, "raised": [[2, 4]]})
    array([0.5, 0.5, 2.5], dtype=float32)
    """
    if recipe["kind"] == "recorded":
        row: Row = recorded()[recipe["seed"]]
        return row
    w = words(recipe["seed"], recipe["n"])
    if recipe["kind"] == "zeros":
        return np.where(w % 2 == 1, np.float32(-0.0), np.float32(0.0))
    v = KINDS[recipe["kind"]](w) + recipe.get("offset", 0)
    for id, more in recipe.get("raised", []):
        v[id] += more
    x = np.ldexp(v.astype(np.float32), recipe["exponent"])
    is_forbidden = w % 16 < recipe.get("forbidden", 0)
    is_forbidden[0] = False
    return np.where(is_forbidden, np.float32(-np.inf), x)
