"""Checks the other programs that are installed: `python -m rheostat.testing.peers`, with names for some of
them.

It prints Markdown: for each program a table of its settings, how many rows differ, by which cause, and the
smallest row that shows it. `--full` prints the reports instead, with the call that gives each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module

from rheostat.testing.peers.base import Matcher, Program, Setting
from rheostat.testing.sampler_check import SamplerReport, check_sampler
from rheostat.testing.sampler_draws import DrawTest
from rheostat.testing.stops_check import StopReport, check_stops

PROGRAMS = ("llama_cpp", "transformers", "mlx_lm", "onnxruntime_genai")
ITEMS = 8


def sampler_report(setting: Setting) -> SamplerReport:
    """A setting under `check_sampler`."""
    return check_sampler(setting.fn, setting.knobs, returns=setting.returns, draw=setting.draw)


def stop_report(matcher: Matcher) -> StopReport:
    """A matcher under `check_stops`."""
    return check_stops(matcher.fn, tie=matcher.tie)


def table(program: Program) -> Iterator[str]:
    """The lines of Markdown for a program: a line for each cause of each setting."""
    yield f"## {program.name}: {program.version}"
    yield ""
    yield "| setting | rows that differ | cause | smallest row | it keeps | right | draws |"
    yield "|---|---:|---|---|---|---|---|"
    for setting in program.settings:
        report = sampler_report(setting)
        draws = "" if report.draws is None else _draws(report.draws)
        if not report.differences:
            yield f"| {setting.name} | 0 of {report.rows} | right | | | | {draws} |"
        for difference in report.differences:
            row, theirs, right = map(_items, (difference.row, difference.theirs, difference.right))
            cause = f"**{difference.cause}**: it {difference.what}"
            count = f"{difference.rows} of {report.rows}"
            yield f"| {setting.name} | {count} | {cause} | {row} | {theirs} | {right} | {draws} |"
    yield ""
    yield "What is called with a row `x`:"
    yield ""
    for setting in program.settings:
        yield f"- {setting.name}: `{setting.code}`"
    for matcher in program.matchers:
        yield ""
        yield f"Stops, by `{matcher.code}`:"
        yield ""
        yield "| streams that differ | cause | stops | pieces | it shows | right |"
        yield "|---:|---|---|---|---|---|"
        stops = stop_report(matcher)
        for found in stops.differences:
            parts = (found.stops, found.pieces, found.theirs, found.right)
            shown = " | ".join(f"`{list(part)!r}`" for part in parts)
            cause = f"**{found.cause}**: it {found.what}"
            yield f"| {found.streams} of {stops.streams} | {cause} | {shown} |"
        if not stops.differences:
            yield f"| 0 of {stops.streams} | right | | | | |"


def full(program: Program) -> Iterator[str]:
    """The reports, each with the call behind it."""
    yield f"{program.name}: {program.version}"
    for setting in program.settings:
        yield f"\n{setting.code}\n{sampler_report(setting)}"
    for matcher in program.matchers:
        yield f"\n{matcher.code}\n{stop_report(matcher)}"


def _draws(test: DrawTest) -> str:
    return f"p = {test.p_value:.2g}" if test.tested else "not tested"


def _items(values: tuple[float, ...]) -> str:
    """Some items of a row or of ids, and how many there are if that is not all."""
    shown = ", ".join(f"{value + 0:.6g}" for value in values[:ITEMS])
    return shown if len(values) <= ITEMS else f"{shown}, ... ({len(values)})"


def main(arguments: list[str] | None = None) -> int:
    """The command line. 0: what is installed was checked; 1: nothing is; differences are no failure here."""
    parser = argparse.ArgumentParser(
        prog="python -m rheostat.testing.peers",
        description="Checks the samplers and stops of other programs.",
    )
    names = ", ".join(PROGRAMS)
    parser.add_argument(
        "programs", nargs="*", metavar="PROGRAM", help=f"some of {names}; all if none is named"
    )
    parser.add_argument("--full", action="store_true", help="the reports and the calls, not tables")
    given = parser.parse_args(arguments)
    for name in given.programs:
        if name not in PROGRAMS:
            parser.error(f"PROGRAM must be one of {names}, got {name!r}")
    checked = 0
    for name in given.programs or PROGRAMS:
        try:
            program: Program = import_module(f"rheostat.testing.peers.with_{name}").load()
        except ImportError as error:
            print(f"{name} is not checked: {error}", file=sys.stderr)
            continue
        checked += 1
        for line in (full if given.full else table)(program):
            print(line, flush=True)
        print()
    return 0 if checked else 1


if __name__ == "__main__":
    sys.exit(main())
