"""What is measured, as data: a statement, the yardstick beside it, and the ratio to reach.

A statement is Python over a namespace in which `rheostat` is the library. The same statement with
`rheostat.reference` in that place gives the answer it must have, so nothing is timed that is wrong. The
benchmarks, the bars, the roofline, the report and the instruction counts all read this table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import rheostat
from rows import ADVERSARIAL, LONG, REAL, SMALL, WIDE, WIDEST, bitmask, recent_ids, rows, share_above
from work import Names, Work, on_rows
from workloads_memory import BATCH, DTYPE, KNOBS, on_matrices

LEVEL = rheostat.build_info()["simd"]
STOPS = {n: [f"<|stop_{i}|>" for i in range(n - 1)] + ["\nUser:"] for n in (1, 8, 64)}
TOP_P = {"top_p": 0.95}
FULL_CHAIN = {  # penalties over 64 ids, a mask that forbids a half, three filters
    "repetition_penalty": 1.1,
    "presence_penalty": 0.2,
    "output_ids": recent_ids(LONG),
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "bitmask": bitmask(LONG, 0.5),
}
FULL_CHAIN_PEAKED = {**FULL_CHAIN, "output_ids": recent_ids(LONG, rows("peaked", LONG)[0])}
FULL_CHAINS = {  # the same for a batch, with a history and a mask for each row
    **FULL_CHAIN,
    "output_ids": [FULL_CHAIN["output_ids"]] * 32,
    "bitmask": np.stack([FULL_CHAIN["bitmask"]] * 32),
}


class Nothing:
    """What any method call costs."""

    __slots__ = ()

    def feed(self, piece):
        return piece


def sampling(kind: str, vocab: int, temperature: float, top_p: float = 0.9, **targets: Any) -> Work:
    """From a row to a token."""
    knobs = f"temperature={temperature}" + (f", top_p={top_p}" if top_p < 1 else "")
    return Work(
        f"sample, {kind}, {knobs.replace('temperature', 'T')}, V={vocab:,}",
        "sample",
        f"rheostat.sample(row, {knobs}, seed=7)",
        on_rows(kind, vocab),
        peer=("sample", temperature, top_p) if kind not in ADVERSARIAL else (),
        **targets,
    )


# (goal, bar) by vocabulary.
PEAKED = {SMALL: (1.6, 2.6), REAL: (2.2, 3), LONG: (2.2, 3), WIDE: (2.2, 3)}
# Of adversarial rows that cost more, or what peaked ones do.
BARS = {"misleading sample": 30, "flat start": 3.5, "forbidden start": 3.5}

# No interval is narrow enough for the first two. Penalties move the cut of the third to the edge of a tie of
# nearly all, which is where the others are cut too.
EDGE = share_above(rows("two ties", LONG)[0], 0)
HARD = [
    Work(
        f"sample, {name}, V={LONG:,}",
        "sample",
        f"rheostat.sample(row, {knobs}, seed=7)",
        on_rows(kind, LONG, **more),
        goal=30,
        bar=bar,
    )
    for name, kind, knobs, more, bar in (
        ("real, T=0.3, top_p=1-2**-53", "real", "temperature=0.3, top_p=1 - 2**-53", {}, 20),
        (
            "the same, half allowed",
            "real",
            "temperature=0.3, top_p=1 - 2**-53, bitmask=words",
            {"words": bitmask(LONG, 0.5)},
            20,
        ),
        (
            "cut beside a tie, 200 penalised, top_p=0.5",
            "cut beside a tie",
            "top_p=0.5, repetition_penalty=1.3, presence_penalty=0.5, output_ids=likeliest",
            {"likeliest": np.argsort(-rows("cut beside a tie", LONG)[0])[:200]},
            20,
        ),
        ("two ties, cut at the edge of the lower", "two ties", "top_p=edge", {"edge": EDGE}, 15),
        (
            "the same, a third forbidden",
            "two ties",
            "top_p=edge, bitmask=words",
            {"edge": EDGE, "words": bitmask(LONG, 2 / 3)},
            20,
        ),
    )
]
SAMPLE = [
    *(
        sampling(kind, vocab, 0.8, goal=goal, bar=bar)
        for kind in ("peaked", "real")
        for vocab, (goal, bar) in PEAKED.items()
    ),
    sampling("real", REAL, 1.5, goal=6, bar=8),
    sampling("flat", LONG, 1.5, goal=8, bar=11),
    sampling("all equal", LONG, 1.0, goal=8, bar=10),
    sampling("eight values", LONG, 1.0, goal=8, bar=10),
    sampling("peaked", LONG, 0.8, 1 - 1e-6, goal=12, bar=13),
    sampling("peaked", LONG, 0.8, 1, goal=2.2, bar=3),
    sampling("flat", LONG, 1.5, 1, goal=4, bar=5.5),
    *(sampling(kind, LONG, 1.0, goal=30, bar=BARS.get(kind, 15)) for kind in ADVERSARIAL),
    *(sampling(kind, LONG, 1.0, 1 - 1e-9, goal=30, bar=12) for kind in ("peaked", "flat", "strides")),
    sampling("all equal", LONG, 1.0, 0.9999, goal=8, bar=10),
    sampling("eight values", LONG, 1.0, 0.99999, goal=8, bar=10),
    *HARD,
    sampling("strides", WIDEST, 1.0, goal=30, bar=25),
    sampling("misleading sample", WIDEST, 1.0, goal=30, bar=42),
]

SOFTMAX = [
    Work(
        f"softmax{note}, {kind}, V={LONG:,}",
        "softmax",
        f"rheostat.softmax(row{argument})",
        on_rows(kind, LONG),
        goal=5,
        bar=8,
        peer=("softmax",),
    )
    for kind in ("peaked", "flat")
    for note, argument in (("", ""), (" into out", ", out=out"))
] + [
    Work(
        f"log_softmax, {kind}, V={vocab:,}",
        "softmax",
        "rheostat.log_softmax(row)",
        on_rows(kind, vocab),
        peer=("log_softmax",),
    )
    for kind, vocab in (("real", REAL), ("peaked", LONG))
]


CHAIN = [
    Work(
        f"sample, packed bitmask, 1 % allowed, V={LONG:,}",
        "chain",
        f"rheostat.sample(row, bitmask=words, {KNOBS})",
        on_rows("peaked", LONG, words=bitmask(LONG, 0.01)),
        goal=3,
        bar=2,
    ),
    Work(
        f"full chain beside top_p, real, V={LONG:,}",
        "chain",
        "rheostat.sample(row, seed=7, **full_chain)",
        on_rows("real", LONG, full_chain=FULL_CHAIN, top_p=TOP_P),
        goal=1.5,
        bar=0.8,
        yardstick="rheostat.sample(row, seed=7, **top_p)",
    ),
    Work(
        f"full chain beside top_p, peaked, V={LONG:,}",
        "chain",
        "rheostat.sample(row, seed=7, **full_chain)",
        on_rows("peaked", LONG, full_chain=FULL_CHAIN_PEAKED, top_p=TOP_P),
        goal=1.5,
        bar=1.3,
        yardstick="rheostat.sample(row, seed=7, **top_p)",
    ),
    Work(
        f"full chain beside top_p, 32 real rows from memory, V={LONG:,}",
        "chain",
        "rheostat.sample(next(floats), seed=7, stream=streams, **full_chain)",
        lambda library: [{**on_matrices(library)[0], "full_chain": FULL_CHAINS, "top_p": TOP_P}],
        goal=1.5,
        bar=1,
        yardstick="rheostat.sample(next(floats), seed=7, stream=streams, **top_p)",
    ),
]

CALL = [
    Work(
        "sample, 32 tokens",
        "call",
        f"rheostat.sample(row, {KNOBS})",
        on_rows("flat", 32, one=np.ones(1, np.float32)),
        goal=0.25,
        bar=0.6,
        yardstick="np.max(one)",
    ),
]


def on_stops(count: int) -> Callable[[ModuleType], list[Names]]:
    """A matcher, a batch of 32 rows with ids of its table, and 64 pieces at once."""

    def names(library: ModuleType) -> list[Names]:
        stops = library.StopSet(STOPS[count])
        table = library.TokenTable.from_bytes([b" the", b"tokn"])
        one = {"matcher": stops.matcher(), "nothing": Nothing(), "pieces": [" the"] * 64}
        return [{**one, "batch": stops.batch(32), "ids": np.arange(32) % 2, "table": table}]

    return names


STOP = [
    *(
        Work(
            f"StopMatcher.feed, {count} stop{'s' * (count > 1)}",
            "stop",
            'matcher.feed(" the")',
            on_stops(count),
            goal=4,
            bar=2.8,
            yardstick='nothing.feed(" the")',
            peer=("stop", count),
        )
        for count in STOPS
    ),
    Work(
        "StopMatcher.feed_many, each of 64 pieces, 64 stops",
        "stop",
        "matcher.feed_many(pieces)",
        on_stops(64),
        goal=0.65,
        bar=0.75,
        yardstick='nothing.feed(" the")',
        pieces=64,
    ),
    Work(
        "StopBatch.feed_ids, each of 32 rows, 64 stops",
        "stop",
        "batch.feed_ids(ids, table)",
        on_stops(64),
        goal=0.65,
        bar=1.2,
        yardstick='nothing.feed(" the")',
        pieces=32,
    ),
]

SIMD = [
    Work(
        f"AVX2 beside AVX-512, {kind}, V={LONG:,}",
        "AVX2",
        f"rheostat.sample(row, temperature={temperature}, top_p=0.9, seed=7)",
        on_rows(kind, LONG, set_level=rheostat._rheostat._set_simd_level),
        goal=1.8,
        bar=2,
        yardstick=f"rheostat.sample(row, temperature={temperature}, top_p=0.9, seed=7)",
        setup="set_level('avx2')",
        yardstick_setup=f"set_level({LEVEL!r})",
    )
    for kind, temperature in (("peaked", 0.8), ("flat", 1.5))
    if LEVEL == "avx512"
]

WORKS = [*SAMPLE, *SOFTMAX, *BATCH, *DTYPE, *CHAIN, *CALL, *STOP, *SIMD]


def topic(name: str) -> list[Work]:
    """The part of the table with that topic."""
    return [work for work in WORKS if work.topic == name]


@cache
def expected(work: Work) -> list[Any]:
    """What the reference answers for each row: once a session."""
    return [eval(work.statement, names) for names in work.names(rheostat.reference)]


@cache
def check(work: Work) -> None:
    """What is timed is right, under the setup it is timed under."""
    for around, names, answer in zip(work.names(rheostat), work.names(rheostat), expected(work), strict=True):
        exec(work.setup, around)
        np.testing.assert_equal(eval(work.statement, names), answer)
        exec(work.yardstick_setup, around)
