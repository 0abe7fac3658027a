"""What a sampler's token costs, as lines of the same table: beside `sample`, by what is told, by threads."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import rheostat
from rows import LONG, batch, rows
from work import Names, Work

KNOBS: dict[str, Any] = {"temperature": 0.8, "top_p": 0.9, "seed": 7}
SAMPLE = "rheostat.sample(row, temperature=0.8, top_p=0.9, seed=7, position=0)"


def on_sampler(vocab: int, kind: str = "peaked", **further: Any) -> Callable[[ModuleType], list[Names]]:
    """`sampler`, which tells further things of a token, and `plain`, which does not; and their `row`."""

    def names(library: ModuleType) -> list[Names]:
        told, plain = (library.SamplingParams(**KNOBS, **more) for more in (further, {}))
        return [
            {
                "np": np,
                "rheostat": library,
                "row": rows(kind, vocab)[0],
                "sampler": library.Sampler(told, vocab),
                "plain": library.Sampler(plain, vocab),
            }
        ]

    return names


def on_many_kept(library: ModuleType) -> list[Names]:
    """`sampler`, which tells the entropy, and a flat row of which half is kept; `kept` are those logits."""
    (names,) = on_sampler(LONG, "flat", report=("entropy",))(library)
    row = names["row"]
    kept = row[rheostat.kept(row, temperature=0.8, top_p=0.9)].astype(np.float64)
    return [{**names, "kept": kept, "quotients": np.empty_like(kept)}]


def on_batch(library: ModuleType) -> list[Names]:
    """A batch sampler of 32 sequences, and a recorded row for each."""
    sampler = library.BatchSampler(LONG)
    for seed in range(32):
        sampler.add(library.SamplingParams(**{**KNOBS, "seed": seed}))
    return [{"rheostat": library, "batch": sampler, "logits": batch(LONG)}]


def told(what: str, limit: float, **further: Any) -> Work:
    """What telling one thing more costs, beside reading the row."""
    return Work(
        f"Sampler, {what} alone, peaked, V={LONG:,}",
        "sampler",
        "sampler.sample(row)",
        on_sampler(LONG, **further),
        goal=limit,
        bar=limit,
        base="plain.sample(row)",
    )


WORKS = [
    Work(
        f"Sampler beside sample, peaked, V={LONG:,}",
        "sampler",
        "sampler.sample(row)",
        on_sampler(LONG),
        goal=1,
        bar=1.02,  # the fastest turns of one and the same call differ by so much
        yardstick=SAMPLE,
    ),
    Work(
        "Sampler beside sample, 32 tokens",
        "sampler",
        "sampler.sample(row)",
        on_sampler(32, "flat"),
        goal=1,
        bar=1.1,  # 0.92 to 1.05 by the run: both take under a microsecond
        yardstick=SAMPLE,
    ),
    Work(
        f"Sampler, logprob and the best 5, beside none, peaked, V={LONG:,}",
        "sampler",
        "sampler.sample(row)",
        on_sampler(LONG, logprobs=5),
        goal=1.1,
        bar=1.1,
        yardstick="plain.sample(row)",
    ),
    told("raw_logprob", 4, report=("raw_logprob",)),
    told("kept_mass", 4, report=("kept_mass",)),
    Work(  # the law's entropy has two divisions in float64 for each kept token: so one is the yardstick
        f"Sampler, entropy alone, flat, V={LONG:,}",
        "sampler",
        "sampler.sample(row)",
        on_many_kept,
        goal=4,
        bar=7,  # 4.5 with AVX-512 and 5.0 with AVX2 on an Intel Xeon
        yardstick="np.divide(kept, 3.0, out=quotients)",
        base="plain.sample(row)",
    ),
    told("rank", 2, report=("rank",)),
    Work(
        "BatchSampler, 32 real rows, 2 threads beside 1",
        "sampler",
        "batch.step(logits).ids",
        on_batch,
        goal=0.556,
        bar=0.65,
        yardstick="batch.step(logits).ids",
        setup="rheostat.set_num_threads(2); batch.step(logits)",
        yardstick_setup="rheostat.set_num_threads(1); batch.step(logits)",
        threads=2,
    ),
]
