"""Chance without state: (seed, stream, position) decides, through one block of Philox4x64-10.

Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". The block is NumPy's own:
`np.random.Philox(key=seed + (stream << 64), counter=position).random_raw(4)`.
"""

from __future__ import annotations

import secrets

import numpy as np

# The four words of a block, by purpose.
TOKEN, XTC, ACCEPT, RESIDUAL = range(4)


def words(seed: int, stream: int, position: int) -> tuple[int, int, int, int]:
    """The four words of the block, each in [0, 2**64)."""
    block = np.random.Philox(key=seed + (stream << 64), counter=position).random_raw(4)
    a, b, c, d = (int(word) for word in block)
    return a, b, c, d


def fresh_seed() -> int:
    """64 bits from the operating system."""
    return secrets.randbits(64)
