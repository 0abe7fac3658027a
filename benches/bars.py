"""The speed that rheostat promises: each bar is a ratio to a yardstick measured in the same moment.

Subject and yardstick take many short turns, in one thread, and the fastest of each counts: a busy machine
only ever adds time, and more to a plain read of memory than to work. A bar that is not met gets more turns
before it counts as missed.
"""

from __future__ import annotations

import sys
import timeit
from typing import NamedTuple

import numpy as np
import rheostat
import workloads

ATTEMPTS = 5
TURNS = 400
TURN_SECONDS = 0.0005


class Nothing:
    """What any method call costs."""

    def feed(self, piece):
        pass


class Bar(NamedTuple):
    what: str
    subject: str
    yardstick: str
    limit: float


NAMES = {
    "np": np,
    "rheostat": rheostat,
    "peaked": workloads.peaked(workloads.LONG),
    "flat": workloads.flat(workloads.LONG),
    "real": workloads.real(workloads.LONG),
    "top_p": workloads.TOP_P,
    "full_chain": workloads.FULL_CHAIN,
    "full_chain_peaked": workloads.FULL_CHAIN_PEAKED,
    "small": workloads.flat(32),
    "one": workloads.flat(1),
    "matcher": rheostat.StopSet([f"<|stop_{i}|>" for i in range(63)] + ["\nUser:"]).matcher(),
    "nothing": Nothing(),
}
BARS = [
    Bar(
        "sample, peaked row, V=128,256",
        "rheostat.sample(peaked, temperature=0.8, top_p=0.9, seed=7)",
        "np.max(peaked)",
        12,
    ),
    Bar(
        "sample, flat row, V=128,256",
        "rheostat.sample(flat, temperature=1.5, top_p=0.9, seed=7)",
        "np.max(flat)",
        80,
    ),
    Bar(
        "full chain, real, 64 ids",
        "rheostat.sample(real, seed=7, **full_chain)",
        "rheostat.sample(real, seed=7, **top_p)",
        1.5,
    ),
    Bar(
        "full chain, peaked, 64 ids",
        "rheostat.sample(peaked, seed=7, **full_chain_peaked)",
        "rheostat.sample(peaked, seed=7, **top_p)",
        1.5,
    ),
    Bar("softmax, V=128,256", "rheostat.softmax(flat)", "np.max(flat)", 8),
    Bar(
        "sample, 32 tokens",
        "rheostat.sample(small, temperature=0.8, top_p=0.9, seed=7)",
        "np.max(one)",
        0.75,
    ),
    Bar("feed 4 characters, 64 stops", 'matcher.feed(" the")', 'nothing.feed(" the")', 8),
]


def check_workloads():
    """What is timed is what is meant, and right."""
    peaked, flat, small = (NAMES[name] for name in ("peaked", "flat", "small"))
    assert len(rheostat.kept(peaked, temperature=0.8, top_p=0.9)) < 20
    assert 90_000 < len(rheostat.kept(flat, temperature=1.5, top_p=0.9)) < 98_000
    for row, temperature in ((peaked, 0.8), (flat, 1.5), (small, 0.8)):
        knobs = {"temperature": temperature, "top_p": 0.9, "seed": 7}
        assert rheostat.sample(row, **knobs) == rheostat.reference.sample(row, **knobs)
    reference = rheostat.reference
    for row, full in (("real", workloads.FULL_CHAIN), ("peaked", workloads.FULL_CHAIN_PEAKED)):
        assert len(full["output_ids"]) == 64
        for x, knobs in ((NAMES[row], workloads.TOP_P), (NAMES[row], full)):
            np.testing.assert_array_equal(rheostat.kept(x, **knobs), reference.kept(x, **knobs))
            assert rheostat.sample(x, seed=7, **knobs) == reference.sample(x, seed=7, **knobs)
    np.testing.assert_array_equal(rheostat.softmax(flat), rheostat.reference.softmax(flat))
    assert NAMES["matcher"].feed(" the") == " the"


def measure(bar: Bar) -> tuple[float, float]:
    """Seconds of the subject and of the yardstick, each in its fastest turn."""
    timers = [timeit.Timer(statement, globals=NAMES) for statement in (bar.subject, bar.yardstick)]
    loops = [max(1, int(TURN_SECONDS / min(timer.repeat(5, 1)))) for timer in timers]
    fastest = [float("inf")] * 2
    for turn in range(ATTEMPTS * TURNS):
        if turn % TURNS == 0 and fastest[0] <= bar.limit * fastest[1] < float("inf"):
            break
        for i, (timer, n) in enumerate(zip(timers, loops, strict=True)):
            fastest[i] = min(fastest[i], timer.timeit(n) / n)
    return fastest[0], fastest[1]


def main() -> int:
    rheostat.set_num_threads(1)
    check_workloads()
    print(f"{'':<30}{'yardstick':>12}{'rheostat':>12}{'ratio':>9}{'bar':>9}")
    missed = 0
    for bar in BARS:
        subject, yardstick = measure(bar)
        ratio = subject / yardstick
        met = ratio <= bar.limit
        missed += not met
        times = f"{yardstick * 1e6:>9.3f} us{subject * 1e6:>9.3f} us"
        print(f"{bar.what:<30}{times}{ratio:>9.2f}{bar.limit:>9g}  {'met' if met else 'MISSED'}", flush=True)
    print(f"SIMD level {rheostat.build_info()['simd']}, NumPy {np.__version__}, one thread")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
