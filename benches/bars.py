"""The speed that rheostat promises: each bar is a ratio to a yardstick measured in the same moment.

Subject and yardstick take turns, in one thread, and the median of their ratios counts, so that a busy machine
slows both. A bar that is not met is tried again a few times before it counts as missed.
"""

from __future__ import annotations

import sys
import timeit
from statistics import median
from typing import NamedTuple

import numpy as np
import rheostat
import workloads

ATTEMPTS = 5
TURNS = 25
TURN_SECONDS = 0.002


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
    np.testing.assert_array_equal(rheostat.softmax(flat), rheostat.reference.softmax(flat))
    assert NAMES["matcher"].feed(" the") == " the"


def measure(bar: Bar) -> tuple[float, float, float]:
    """(ratio, seconds of the subject, seconds of the yardstick), each a median over the turns."""
    timers = [timeit.Timer(statement, globals=NAMES) for statement in (bar.subject, bar.yardstick)]
    loops = [max(1, int(TURN_SECONDS / min(timer.repeat(3, 1)))) for timer in timers]
    turns = [[timer.timeit(n) / n for timer, n in zip(timers, loops, strict=True)] for _ in range(TURNS)]
    subject, yardstick = (median(column) for column in zip(*turns, strict=True))
    return median(a / b for a, b in turns), subject, yardstick


def main() -> int:
    rheostat.set_num_threads(1)
    check_workloads()
    print(f"{'':<30}{'yardstick':>12}{'rheostat':>12}{'ratio':>9}{'bar':>9}")
    missed = 0
    for bar in BARS:
        best = measure(bar)
        for _ in range(ATTEMPTS - 1):
            if best[0] <= bar.limit:
                break
            best = min(best, measure(bar))
        ratio, subject, yardstick = best
        met = ratio <= bar.limit
        missed += not met
        times = f"{yardstick * 1e6:>9.3f} us{subject * 1e6:>9.3f} us"
        print(f"{bar.what:<30}{times}{ratio:>9.2f}{bar.limit:>9g}  {'met' if met else 'MISSED'}", flush=True)
    print(f"SIMD level {rheostat.build_info()['simd']}, NumPy {np.__version__}, one thread")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
