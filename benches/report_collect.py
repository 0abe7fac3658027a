"""Everything that the report shows, measured once and returned as plain data.

The same file, run with --numpy, times the NumPy samplers alone and prints them: so NumPy is shown as it is
and in a process without its AVX-512 sorts, which are slower than its AVX2 ones on some processors.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from statistics import median
from typing import Any

import measure
import numpy as np
import rheostat
import rows
import workloads
from peers import registry
from peers.base import Absent, Peer
from peers.verdicts import verdict
from roofline import cpu
from work import Work
from workloads import sampling

SECONDS = 0.4  # of a workload
PEER_SECONDS = 0.15
TIMED_ROWS = 8  # of a peer, which takes milliseconds for each; the answers of all rows are checked
NUMPY = registry.SAMPLERS[:3]
WITHOUT_AVX512 = ", no AVX-512"
VOCABULARIES = (4_096, 16_384, rows.SMALL, rows.LONG, rows.WIDE, rows.WIDEST)
SHAPES = {
    "p = 0.999999": ("peaked", 0.8, 1 - 1e-6),
    "cut beside a tie": ("cut beside a tie", 1.0, 0.9),
    "misleading sample": ("misleading sample", 1.0, 0.9),
    "all equal": ("all equal", 1.0, 0.9),
    "flat": ("flat", 1.5, 0.9),
    "eight values": ("eight values", 1.0, 0.9),
    "peaked": ("peaked", 0.8, 0.9),
}
TEMPERATURES = (0.1, 0.16, 0.18, 0.2, 0.22, 0.25, 0.3, 0.4, 0.55, 0.8, 1.5, 20)
REAL_TEMPERATURES = (0.7, 1.0, 1.5)

Point = tuple[int, float]


def compared(peer: Peer, work: Work) -> dict[str, Any] | None:
    """A peer at a workload: seconds of a row in the median, and what its answer is worth."""
    try:
        tasks = registry.tasks(peer, work)
    except Absent:
        return None
    answer = verdict(tasks, work)
    seconds = median(measure.calls([task.step for task in tasks[:TIMED_ROWS]], PEER_SECONDS))
    return {"peer": peer.name, "seconds": seconds, "answer": answer.text, "comparable": answer.comparable}


def table(peers: list[Peer], works: Iterable[Work] = workloads.WORKS) -> list[dict[str, Any]]:
    """Each workload beside its yardstick and the peers that do the same."""
    lines = []
    for work in works:
        workloads.check(work)
        times = measure.work(work, SECONDS)
        found = [compared(peer, work) for peer in peers if work.peer]
        lines.append(
            {
                **{field: getattr(work, field) for field in ("name", "topic", "yardstick", "goal")},
                "seconds": times.subject,
                "yardstick_seconds": times.yardstick,
                "ratio": times.ratio,
                "peers": [line for line in found if line],
            }
        )
    return lines


def checked(work: Work) -> measure.Times:
    """rheostat's time, after its answer."""
    workloads.check(work)
    return measure.work(work, PEER_SECONDS)


def by_vocabulary(peers: list[Peer]) -> dict[str, list[Point]]:
    """A peaked row, from narrow to wide: rheostat, np.max and each peer."""
    lines: dict[str, list[Point]] = {}
    for vocab in VOCABULARIES:
        work = sampling("peaked", vocab, 0.8)
        times = checked(work)
        lines.setdefault("np.max", []).append((vocab, times.yardstick))
        lines.setdefault("rheostat", []).append((vocab, times.subject))
        for peer in peers:
            if found := compared(peer, work):
                lines.setdefault(peer.name, []).append((vocab, found["seconds"]))
    return lines


def by_shape() -> dict[str, list[Point]]:
    """rheostat alone on rows that are hard, from narrow to wide."""
    lines: dict[str, list[Point]] = {"np.max": []}
    for name, (kind, temperature, top_p) in SHAPES.items():
        lines[name] = []
        for vocab in VOCABULARIES:
            times = checked(sampling(kind, vocab, temperature, top_p))
            lines[name].append((vocab, times.subject))
            if name == "peaked":
                lines["np.max"].append((vocab, times.yardstick))
    return lines


def by_nucleus(peers: list[Peer]) -> dict[str, list[Point]]:
    """One row made flatter and flatter: time by the number of tokens kept."""
    lines: dict[str, list[Point]] = {}
    row = rows.rows("flat", rows.LONG)[0]
    for temperature in TEMPERATURES:
        work = sampling("flat", rows.LONG, temperature)
        size = len(rheostat.kept(row, temperature=temperature, top_p=0.9))
        times = checked(work)
        lines.setdefault("np.max", []).append((size, times.yardstick))
        lines.setdefault("rheostat", []).append((size, times.subject))
        for peer in peers:
            if found := compared(peer, work):
                lines.setdefault(peer.name, []).append((size, found["seconds"]))
    return lines


def kept_counts(peers: list[Peer]) -> dict[str, dict[str, str]]:
    """On every recorded row at three temperatures: in how many a peer keeps another number of tokens."""
    counts: dict[str, dict[str, str]] = {}
    for temperature in REAL_TEMPERATURES:
        work = sampling("real", rows.REAL, temperature)
        for peer in peers:
            answer = verdict(registry.tasks(peer, work), work)
            counts.setdefault(peer.name, {})[str(temperature)] = answer.text
    return counts


def numpy_lines() -> dict[str, Any]:
    """What --numpy prints: the NumPy samplers at every workload, by vocabulary and by nucleus."""
    peers = registry.installed(NUMPY)
    found = {
        work.name: [compared(peer, work) for peer in peers] for work in workloads.topic("sample") if work.peer
    }
    return {"works": found, "vocabulary": by_vocabulary(peers), "nucleus": by_nucleus(peers)}


def add_numpy_without_avx512(report: dict[str, Any]) -> None:
    """The NumPy samplers once more, in a process in which NumPy does not see AVX-512."""
    if not np._core._multiarray_umath.__cpu_features__.get("X86_V4"):
        return
    done = subprocess.run(
        [sys.executable, __file__, "--numpy"],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": "X86_V4"},
        capture_output=True,
        text=True,
        check=True,
    )
    child = json.loads(done.stdout)
    for line in report["works"]:
        for found in child["works"].get(line["name"], []):
            if found:
                line["peers"].append({**found, "peer": found["peer"] + WITHOUT_AVX512})
    for part in ("vocabulary", "nucleus"):
        for name in NUMPY:
            report[part][name + WITHOUT_AVX512] = child[part][name]


def collect() -> dict[str, Any]:
    """All of it. A few minutes with every peer installed."""
    rheostat.set_num_threads(1)
    peers = registry.installed(registry.NAMES)
    samplers = [peer for peer in peers if peer.sample]
    twins = {"torch"} if "transformers" in [peer.name for peer in peers] else set()  # the same formula
    pictured = [peer for peer in samplers if peer.name not in twins]
    report = {
        "machine": {
            "cpu": cpu(),
            "system": f"{platform.system()} {platform.machine()}",
            "simd": rheostat.build_info()["simd"],
            "rheostat": rheostat.__version__,
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "date": date.today().isoformat(),
        },
        "versions": {peer.name: peer.version for peer in peers},
        "works": table(peers),
        "vocabulary": by_vocabulary(pictured),
        "shapes": by_shape(),
        "nucleus": by_nucleus(pictured),
        "kept": kept_counts(samplers),
    }
    add_numpy_without_avx512(report)
    return report


if __name__ == "__main__":
    print(json.dumps(numpy_lines()))
