"""`rheostat bench`: a token on this machine, beside the peers that are installed."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rheostat
from rheostat.cli import peers, terminal

TOP_P = 0.9

USAGE = "[OPTIONS]"
HELP = "how fast a token is on this machine"
DESCRIPTION = """\
Times one token (temperature, top_p 0.9, draw) on this machine, beside the same in whatever of NumPy and torch
is installed. Each peer's kept set is compared before it is timed; a time is the fastest of all calls.

  rheostat bench
  rheostat bench --vocab 32000,151936 --seconds 1
"""


def sizes(text: str) -> list[int]:
    """ "32000,128256" as sizes."""
    found = [int(part) for part in text.split(",")]
    if not all(2 <= size <= 1_048_576 for size in found):
        raise ValueError
    return found


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "--vocab",
        type=sizes,
        default=[32_000, 128_256],
        metavar="SIZES",
        help="of the vocabulary; 32000,128256",
    )
    parser.add_argument("--seconds", type=float, default=0.3, metavar="S", help="for each number; 0.3")
    parser.add_argument("--json", action="store_true", help="one JSON object, in microseconds")


def run(arguments: argparse.Namespace) -> int:
    """Measures, and shows the table."""
    others = peers.installed()
    rows = []
    for name, row, temperature in _rows(arguments.vocab):
        terminal.progress(f"{name}, {row.size:,} tokens")
        rows.append(_measured(name, row, temperature, others, arguments.seconds))
    terminal.progress("")
    machine = {
        "machine": processor(),
        "versions": {name: version(name) for name in ("numpy", "torch") if find_spec(name) is not None},
        "python": platform.python_version(),
        **rheostat.build_info(),
    }
    if arguments.json:
        print(json.dumps({**machine, "top_p": TOP_P, "rows": rows}))
        return 0
    _show(rows, list(others), machine)
    return 0


def processor() -> str:
    """Its name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _rows(vocabularies: list[int]) -> list[tuple[str, NDArray[np.float32], float]]:
    """As a model gives them where it is sure of the next token, and where it is not."""
    rows = []
    for size in vocabularies:
        normal = np.random.default_rng(size).normal(size=size).astype(np.float32)
        peaked = normal * 2
        peaked[np.random.default_rng(1).integers(size, size=20)] += np.linspace(11, 14, 20, dtype=np.float32)
        rows += [("sure", peaked, 0.8), ("unsure", normal * 2, 1.0)]
    return rows


def _measured(
    name: str, row: NDArray[np.float32], temperature: float, others: dict[str, peers.Peer], seconds: float
) -> dict[str, Any]:
    kept = rheostat.kept(row, temperature=temperature, top_p=TOP_P)
    seeds = iter(range(10**12))
    calls: dict[str, Callable[[], Any]] = {
        "np.max": lambda: np.max(row),
        "rheostat": lambda: rheostat.sample(
            row, temperature=temperature, top_p=TOP_P, seed=1, position=next(seeds)
        ),
    }
    for peer, sample in others.items():
        theirs = np.sort(sample(row, temperature, TOP_P)[1])
        # a float32 sum may cross top_p a few tokens early or late
        if np.setxor1d(theirs, kept).size > 2 + len(kept) // 1000:
            raise RuntimeError(f"{peer} kept {len(theirs)} tokens where rheostat keeps {len(kept)}")
        calls[peer] = lambda sample=sample: sample(row, temperature, TOP_P)  # type: ignore[misc]
    times = {called: _fastest(call, seconds) for called, call in calls.items()}
    return {
        "row": name,
        "vocab": row.size,
        "temperature": temperature,
        "kept": len(kept),
        "microseconds": times,
    }


def _fastest(call: Callable[[], Any], seconds: float) -> float:
    """Microseconds of the fastest call; at least three are made."""
    fastest, calls, end = float("inf"), 0, perf_counter() + seconds
    while calls < 3 or perf_counter() < end:
        began = perf_counter()
        call()
        fastest = min(fastest, perf_counter() - began)
        calls += 1
    return fastest * 1e6


def _show(rows: list[dict[str, Any]], others: list[str], machine: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    console = terminal.console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("model")
    for name in ("tokens", "kept", "np.max", "rheostat", *others):
        table.add_column(name, justify="right", style="bold" if name == "rheostat" else None)
    for row in rows:
        times = row["microseconds"]
        own = times["rheostat"]
        cells = [f"{times[other]:,.0f} ({times[other] / own:,.0f}x)" for other in others]
        table.add_row(
            row["row"],
            f"{row['vocab']:,}",
            f"{row['kept']:,}",
            f"{times['np.max']:.1f}",
            f"{own:.1f}",
            *cells,
        )
    console.print(table)
    versions = machine["versions"]
    console.print(
        f"Microseconds a token: top_p {TOP_P}, one row, one thread. np.max only reads the row.\n"
        f"{machine['machine']}, {machine['simd']}, Python {machine['python']}, "
        f"{', '.join(f'{name} {number}' for name, number in versions.items())}",
        style="dim",
    )
