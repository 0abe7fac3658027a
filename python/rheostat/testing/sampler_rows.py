"""Rows that tell samplers apart, for `check_sampler`: small first, so that the first that shows a fault is
small.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rheostat.testing.rows import recorded, row_of

Row = NDArray[np.float32]

LN_2 = np.float32(0.6931472)
MOST_FOR_DRAWS = 12


def rows_for_sets() -> list[Row]:
    """Some 130 rows of 1 to 4096 tokens: equal ones, ties at every cut, near boundaries, peaks, masks, real
    rows.
    """
    return [
        np.ascontiguousarray(row, np.float32)
        for row in (*_equal(), *_ties(), *_halves(), *_bells(), *_long())
    ]


def rows_for_draws() -> list[Row]:
    """Rows of at most 12 tokens, none of them rare, so that some thousand draws show every token that is
    kept.
    """
    bells = [row_of({"kind": "bell", "n": n, "seed": 300 + n, "exponent": -16}) for n in (2, 3, 5, 8, 11, 12)]
    ties = [row_of({"kind": "steps", "n": n, "seed": 320 + n, "exponent": -2}) for n in (4, 7, 10)]
    return [*bells, *ties, np.zeros(6, np.float32), *_halves(counts=(4, 6))]


def _equal() -> Iterator[Row]:
    """n equal tokens have 1/n each: p = k / n lies on a boundary, and a sum of n float32 hardly ever does."""
    for n in (1, 2, 3, 4, 5, 8, 10, 16, 20, 50, 100, 1000):
        yield np.full(n, 1.5, np.float32)


def _ties() -> Iterator[Row]:
    """Few values, so that whatever cuts cuts among equals."""
    for n in (3, 5, 9, 16, 40):
        for seed in range(4):
            yield row_of({"kind": "steps", "n": n, "seed": 200 + seed, "exponent": -(seed % 3)})
    for above in (1, 2, 5):
        yield np.repeat(np.array([0.0, 2.0, -1.0], np.float32), [4, above, 6])


def _halves(counts: tuple[int, ...] = (3, 4, 6, 9, 14)) -> Iterator[Row]:
    """Probabilities that are nearly powers of two, in either order of ids: sums that nearly reach a p."""
    for n in counts:
        row = -LN_2 * np.arange(n, dtype=np.float32)
        yield row
        yield row[::-1]


def _bells() -> Iterator[Row]:
    """From flat to peaked, with and without forbidden tokens, far from 0, and tiny."""
    for n in (2, 3, 4, 6, 9, 15, 31, 64, 257):
        for exponent in (-17, -16, -15, -14, -13):
            yield row_of({"kind": "bell", "n": n, "seed": n, "exponent": exponent})
    for n in (5, 12, 33, 200):
        yield row_of({"kind": "bell", "n": n, "seed": 90 + n, "exponent": -15, "forbidden": 6})
        yield row_of({"kind": "bell", "n": n, "seed": 91 + n, "exponent": -15, "raised": [[n // 2, 200_000]]})
        yield row_of({"kind": "bell", "n": n, "seed": 92 + n, "exponent": -13, "offset": 4_096_000})
        yield row_of({"kind": "bell", "n": n, "seed": 93 + n, "exponent": -13, "offset": -4_096_000})
        yield row_of({"kind": "zeros", "n": n, "seed": 94 + n})
        yield row_of({"kind": "uniform", "n": n, "seed": 95 + n, "exponent": -149})


def _long() -> Iterator[Row]:
    """Long rows, where rounding adds up, and real ones."""
    yield row_of({"kind": "equal", "n": 4000, "seed": 0, "exponent": 0})
    for seed, exponent in ((1, -18), (2, -16), (3, -15), (4, -14)):
        yield row_of({"kind": "bell", "n": 4096, "seed": seed, "exponent": exponent})
    yield row_of({"kind": "uniform", "n": 2048, "seed": 5, "exponent": -18})
    yield row_of({"kind": "steps", "n": 1024, "seed": 6, "exponent": -1})
    yield from recorded()
