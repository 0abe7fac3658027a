"""`rheostat bench`: a token on this machine, beside the peers that are installed."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rheostat
from rheostat.cli import peers, terminal

TOP_P = 0.9

USAGE = "[OPTIONS]"
DESCRIPTION = """\
Times one token (temperature, top_p 0.9, draw) on this machine, beside the same in NumPy and in whatever of
llama.cpp, torch and transformers is installed. Each peer's kept set is compared before it is timed; a time is
the fastest of all calls.

  rheostat bench
  rheostat bench --vocab 32000,151936 --seconds 1
"""


def sizes(text: str) -> list[int]:
    """ "32000,128256" as sizes."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = [0]
    if not all(2 <= size <= 1_048_576 for size in found):
        message = f"must be sizes from 2 to 1048576 with commas between, as 32000,128256, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return found


def duration(text: str) -> float:
    """ "0.3" as seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"must be seconds, above 0 and at most 3600, got {text!r}")
    return seconds


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "--vocab",
        type=sizes,
        default=[32_000, 128_256],
        metavar="SIZES",
        help="of the vocabulary; 32000,128256",
    )
    parser.add_argument("--seconds", type=duration, default=0.3, metavar="S", help="for each number; 0.3")
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
        "versions": {name: version(name) for name in peers.versioned()},
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
        rows += [("peaked", peaked, 0.8), ("flat", normal * 2, 1.0)]
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
    counts = {}
    for peer, prepare in others.items():
        call, theirs = prepare(row, temperature, TOP_P)
        counts[peer] = len(theirs)
        # a float32 sum may cross top_p a few tokens early or late
        if np.setxor1d(theirs, kept).size <= 2 + len(kept) // 1000:
            calls[peer] = call
    times = {called: _fastest(call, seconds) for called, call in calls.items()}
    return {
        "row": name,
        "vocab": row.size,
        "temperature": temperature,
        "kept": len(kept),
        "kept_by_others": counts,
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
    """A line for each program and a column for each row of logits; where they do not fit, a line for each."""
    from rich import box
    from rich.table import Table

    console = terminal.console()
    heads = [f"{row['row']}, {row['vocab']:,}" for row in rows]
    lines = {name: [_cell(row, name) for row in rows] for name in ("rheostat", "np.max", *others)}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("row of logits, tokens")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    table.add_row("kept by top_p", *(f"{row['kept']:,}" for row in rows), style="dim")
    for name, cells in lines.items():
        table.add_row(name, *cells, style="bold" if name == "rheostat" else None)
    if terminal.fits(table):
        console.print(table)
    else:
        for name, cells in lines.items():
            for head, cell in zip(heads, cells, strict=True):
                console.print(f"{name}, {head}: {cell}")
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    console.print(
        f"Microseconds a token: top_p {TOP_P}, one row, one thread. np.max only reads the row.\n"
        f"{machine['machine']}, {machine['simd']}, Python {machine['python']}, {versions}",
        style="dim",
    )


def _cell(row: dict[str, Any], name: str) -> str:
    """A time, and how many times rheostat's; of what keeps other tokens, and so does other work, how many."""
    times = row["microseconds"]
    if name not in times:
        return f"keeps {row['kept_by_others'][name]:,}"
    if name in ("rheostat", "np.max"):
        return f"{times[name]:.1f}"
    return f"{times[name]:,.0f} ({times[name] / times['rheostat']:,.0f}x)"
