"""How times are taken: subject and yardstick in many short turns, and the fastest turn of each counts.

A busy machine only ever adds time, and adds more to a plain read of memory than to work, so the two must meet
the same moments.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import rheostat
from work import Work

TURN_SECONDS = 0.0005
LEAST_TURNS = 8


class Times(NamedTuple):
    """Seconds for one piece of work and for one run of its yardstick; medians over the rows."""

    subject: float
    yardstick: float
    ratio: float


class Turns:
    """Timers that take turns; `run` can go on where it left off."""

    def __init__(self, timers: list[timeit.Timer]) -> None:
        self.timers = timers
        self.loops = [max(1, int(TURN_SECONDS / min(timer.repeat(3, 1)))) for timer in timers]
        self.fastest = [float("inf")] * len(timers)

    def run(self, seconds: float) -> list[float]:
        """Seconds of each in its fastest turn so far."""
        end, turn = perf_counter() + seconds, 0
        while turn < LEAST_TURNS or perf_counter() < end:
            for i, (timer, n) in enumerate(zip(self.timers, self.loops, strict=True)):
                self.fastest[i] = min(self.fastest[i], timer.timeit(n) / n)
            turn += 1
        return self.fastest


def calls(functions: list[Callable[[], Any]], seconds: float) -> list[float]:
    """Seconds of the CPU for each function in its fastest turn.

    A call of many milliseconds never runs without an interruption on a busy machine, and a slow peer is not
    to pay for that.
    """
    return Turns([timeit.Timer(function, timer=process_time) for function in functions]).run(seconds)


def work(work: Work, seconds: float, good_enough: float = float("inf"), attempts: int = 1) -> Times:
    """Times of a workload, taken for so many seconds; again, up to `attempts` times, until good enough."""
    rheostat.set_num_threads(1)
    rows = []
    for names in work.names(rheostat):
        subject = timeit.Timer(work.statement, work.setup, globals=names)
        yardstick = timeit.Timer(work.yardstick, work.yardstick_setup, globals=names)
        base = timeit.Timer(work.base, globals=names)
        rows.append(Turns([subject, yardstick, base]))
    for _ in range(attempts):
        fastest = [turns.run(seconds / len(rows)) for turns in rows]
        subject, yardstick, _ = (median(times) for times in zip(*fastest, strict=True))
        ratio = median((a - c) / b for a, b, c in fastest) / work.pieces
        if ratio <= good_enough:
            break
    return Times(subject / work.pieces, yardstick, ratio)
