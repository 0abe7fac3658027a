"""Where the microseconds go on this machine: the floors of one pass over a row, then the work beside them.

A floor is a pass in its plainest form, measured here and now. Bytes are those of the logits; what reads a row
from the cache is set against reading from the cache, what comes from memory against memory.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import measure
import numpy as np
import rheostat
import workloads
from rows import LONG, peaked

SECONDS = 0.3
FROM_MEMORY = 1 << 26  # logits: 256 MB, more than any cache holds
WORKS = {"sample", "softmax", "batch", "chain"}


class Floor(NamedTuple):
    """A pass, the seconds it takes, and the bytes it reads and writes."""

    what: str
    seconds: float
    nbytes: int

    @property
    def bandwidth(self) -> float:
        return self.nbytes / self.seconds


def softmax_in_place(row: np.ndarray, out: np.ndarray) -> None:
    """NumPy's softmax without a temporary."""
    np.subtract(row, np.max(row), out=out)
    np.exp(out, out=out)
    np.divide(out, np.sum(out), out=out)


def floors() -> tuple[list[Floor], Floor, Floor]:
    """All of them, and the two bandwidths: of reading from the cache and from memory."""
    row, out = peaked(LONG), np.empty(LONG, np.float32)
    half = row[: LONG // 2]
    large = np.ones(FROM_MEMORY, np.float32)
    passes: dict[str, tuple[Callable[[], Any], int]] = {
        "np.max, from the cache": (lambda: np.max(row), row.nbytes),
        "np.max of the half": (lambda: np.max(half), half.nbytes),
        "copy": (lambda: np.copyto(out, row), 2 * row.nbytes),
        "np.exp, into an array": (lambda: np.exp(row, out=out), 2 * row.nbytes),
        "softmax in NumPy, in place": (lambda: softmax_in_place(row, out), 2 * row.nbytes),
        "np.max, from memory, 67,108,864 logits": (lambda: np.max(large), large.nbytes),
    }
    times = measure.calls([function for function, _ in passes.values()], 3 * SECONDS)
    found = [
        Floor(what, seconds, size) for (what, (_, size)), seconds in zip(passes.items(), times, strict=True)
    ]
    # The second half of the row costs a pass and no call.
    plain = Floor("plain max pass, without the call", 2 * (found[0].seconds - found[1].seconds), row.nbytes)
    return [found[0], plain, *found[2:]], plain, found[-1]


def cpu() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    rheostat.set_num_threads(1)
    print(f"{cpu()}, SIMD level {rheostat.build_info()['simd']}, NumPy {np.__version__}, one thread\n")
    print(f"{f'floor, {LONG:,} logits unless from memory':<64}{'us':>10}{'GB/s':>8}")
    every, cached, memory = floors()
    for floor in every:
        print(f"{floor.what:<64}{floor.seconds * 1e6:>10.1f}{floor.bandwidth / 1e9:>8.1f}")

    print(f"\n{'work':<64}{'us':>10}{'GB/s':>8}{'of floor':>10}{'x np.max':>10}")
    for work in workloads.WORKS:
        if work.topic not in WORKS or not work.yardstick.startswith("np.max"):
            continue
        workloads.check(work)
        times = measure.work(work, SECONDS)
        names = work.names(rheostat)[0]
        logits = names["row"] if "row" in names else next(names["floats"])
        bandwidth = logits.nbytes / times.subject
        floor = cached if "row" in names else memory
        print(
            f"{work.name:<64}{times.subject * 1e6:>10.1f}{bandwidth / 1e9:>8.1f}"
            f"{bandwidth / floor.bandwidth:>9.0%}{times.ratio:>10.2f}",
            flush=True,
        )
    print("\nof floor: the share of the plain pass's speed, or of np.max's where the rows come from memory")


if __name__ == "__main__":
    main()
