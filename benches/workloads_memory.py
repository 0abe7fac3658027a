"""Lines of the table about batches that come from memory, and rows in 16 bits beside float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import cycle
from types import ModuleType

import ml_dtypes
import numpy as np
from rows import LONG, REAL, batch, rows
from work import Names, Work

BEYOND_THE_CACHE = 8  # matrices of 16 MB, taken in turn


@cache
def matrices() -> list[np.ndarray]:
    """32 recorded rows each, together larger than any cache."""
    return [batch(LONG, first=first) for first in range(BEYOND_THE_CACHE)]


@cache
def halves(dtype: type) -> list[np.ndarray]:
    """The same in 16 bits."""
    return [matrix.astype(dtype) for matrix in matrices()]


def on_matrices(library: ModuleType) -> list[Names]:
    """Each use of `next` is another matrix, so it comes from memory."""
    shared = {"np": np, "rheostat": library, "out": np.empty_like(matrices()[0]), "streams": np.arange(32)}
    return [{**shared, "floats": cycle(matrices())}]


def in_16_bits(dtype: type) -> Callable[[ModuleType], list[Names]]:
    """`halves` of that type, beside `floats` of the same values."""

    def names(library: ModuleType) -> list[Names]:
        rounded = [half.astype(np.float32) for half in halves(dtype)]
        return [{**on_matrices(library)[0], "floats": cycle(rounded), "halves": cycle(halves(dtype))}]

    return names


def row_in_16_bits(dtype: type) -> Callable[[ModuleType], list[Names]]:
    """`half`, and `row` of the same values in float32."""

    def names(library: ModuleType) -> list[Names]:
        halved = [np.resize(row, LONG).astype(dtype) for row in rows("real", REAL)[:8]]
        return [
            {"np": np, "rheostat": library, "half": half, "row": half.astype(np.float32)} for half in halved
        ]

    return names


KNOBS = "temperature=0.8, top_p=0.9, seed=7"
ALL = f"{KNOBS}, stream=streams"
BATCH = [
    Work(
        f"sample, 32 real rows from memory, V={LONG:,}",
        "batch",
        f"rheostat.sample(next(floats), {ALL})",
        on_matrices,
        goal=2.2,
        bar=5,
        yardstick="np.max(next(floats))",
    ),
    Work(
        f"softmax into out, 32 real rows from memory, V={LONG:,}",
        "batch",
        "rheostat.softmax(next(floats), out=out)",
        on_matrices,
        yardstick="np.max(next(floats))",
    ),
    Work(
        "the 32 rows, 2 threads beside 1",
        "batch",
        f"rheostat.sample(next(floats), {ALL})",
        on_matrices,
        goal=0.54,
        yardstick=f"rheostat.sample(next(floats), {ALL})",
        setup=f"rheostat.set_num_threads(2); rheostat.sample(next(floats), {ALL})",
        yardstick_setup=f"rheostat.set_num_threads(1); rheostat.sample(next(floats), {ALL})",
    ),
]

DTYPE = [
    work
    for dtype in (np.float16, ml_dtypes.bfloat16)
    for work in (
        Work(
            f"sample, {dtype.__name__} beside float32, V={LONG:,}",
            "16 bits",
            f"rheostat.sample(half, {KNOBS})",
            row_in_16_bits(dtype),
            goal=1,
            bar=1.6,
            yardstick=f"rheostat.sample(row, {KNOBS})",
        ),
        Work(
            f"sample, 32 rows from memory, {dtype.__name__} beside float32",
            "16 bits",
            f"rheostat.sample(next(halves), {ALL})",
            in_16_bits(dtype),
            goal=1,
            bar=1.4,
            yardstick=f"rheostat.sample(next(floats), {ALL})",
        ),
    )
]
