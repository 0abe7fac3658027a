"""The report as Markdown: what was measured, whether the goal is met, who comes next, how answers differ."""

from __future__ import annotations

from typing import Any

from peers import registry
from report_collect import WITHOUT_AVX512

HEAD = """\
# Benchmarks

Written by `make bench-report`, which measures everything in one run: every number beside its yardstick, one
thread, warm, through the Python call, the fastest of many short turns; for real rows the median over them;
peers by the time of the CPU. Every answer is compared with `rheostat.reference` before it is timed, and
every peer's with rheostat's. [benches/README.md](../benches/README.md) says how to read and repeat this.

{machine}

![One token from a peaked row, by vocabulary](benchmarks.png)

## The table

Microseconds. The ratio is that to the yardstick; its goal is met where there is a tick. The best peer is the
fastest whose answer is the same but for rounding and ties; none does the same as `StopMatcher`.

"""
KEPT = """
## Who keeps which tokens

`top_p=0.9` on the 24 recorded rows: in how many rows a peer keeps another number of tokens than the exact
nucleus, and by how many tokens the smallest and the largest difference is.

"""
PICTURES = """
## Time stays linear

On rows that are hard to cut, and up to the widest vocabulary, time grows as the vocabulary does:

![rheostat on hard rows, by vocabulary](benchmarks_vocabulary.png)

And by the number of tokens kept, one row of 128,256 logits made flatter and flatter (`top_p=0.9`):

![Time by the size of the nucleus](benchmarks_nucleus.png)
"""

PEERS = """
## Every peer

Microseconds, one thread. After a stroke: NumPy in a process in which its AVX-512 sorts are off. Below each
table stands how answers differ from the exact one; an error is the largest, relative, of a probability
against float64, and absolute of `log_softmax`.

{versions}.
"""


def micro(seconds: float) -> str:
    """Microseconds with three figures."""
    us = seconds * 1e6
    return f"{us:.3f}" if us < 1 else f"{us:.2f}" if us < 10 else f"{us:.1f}" if us < 100 else f"{us:,.0f}"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def goal(line: dict[str, Any]) -> str:
    """The ratio to reach, ticked where it is reached."""
    if line["goal"] is None:
        return ""
    return f"{line['goal']:g}{' ✓' if line['ratio'] <= line['goal'] else ''}"


def best_peer(line: dict[str, Any]) -> tuple[str, str]:
    """The fastest with the same answer, and how many times rheostat's time it takes."""
    same = [peer for peer in line["peers"] if peer["comparable"]]
    if not same:
        return "", ""
    best = min(same, key=lambda peer: peer["seconds"])
    return f"{best['peer']}, {micro(best['seconds'])}", f"{best['seconds'] / line['seconds']:.1f}"


def table(works: list[dict[str, Any]]) -> str:
    """One line for each workload."""
    text = row("work", "yardstick", "rheostat", "ratio", "goal", "best peer", "its time / ours")
    text += row("---", "---", "---:", "---:", "---:", "---", "---:")
    for line in works:
        yardstick = f"{micro(line['yardstick_seconds'])} `{line['yardstick']}`"
        text += row(
            line["name"],
            yardstick if len(line["yardstick"]) < 30 else micro(line["yardstick_seconds"]),
            micro(line["seconds"]),
            f"{line['ratio']:.2f}",
            goal(line),
            *best_peer(line),
        )
    return text


def peers(works: list[dict[str, Any]], topic: str) -> str:
    """A line for each workload, a column for each peer; below it, whose answers differ and how."""
    works = [line for line in works if line["topic"] == topic and line["peers"]]
    found = [{peer["peer"]: peer for peer in line["peers"]} for line in works]
    names = [name for name in registry.NAMES if any(name in peer for peer in found)]
    if not names:
        return "No peer is installed.\n"
    text = row("", "rheostat", *names) + row("---", *["---:"] * (len(names) + 1))
    for line, peer in zip(works, found, strict=True):
        text += row(line["name"], micro(line["seconds"]), *(both_ways(peer, name) for name in names))
    return f"{text}\n{''.join(differences(works, name) for name in names)}"


def both_ways(peers: dict[str, Any], name: str) -> str:
    """A peer's time, and after a stroke the time without AVX-512."""
    found = [peers[key]["seconds"] for key in (name, name + WITHOUT_AVX512) if key in peers]
    return " / ".join(map(micro, found))


def differences(works: list[dict[str, Any]], name: str) -> str:
    """One item of a list: how a peer's answers differ, and where; nothing if they do not."""
    where: dict[str, list[str]] = {}
    for line in works:
        for peer in line["peers"]:
            if peer["peer"] == name and not peer["answer"].startswith("same"):
                where.setdefault(peer["answer"], []).append(line["name"].removeprefix("sample, "))
    errors = [answer for answer in where if answer.startswith("error")]
    if errors:
        return f"- {name}: {max(errors, key=lambda answer: float(answer.split()[1]))}\n"
    if works[0]["topic"] == "stop":
        return f"- {name}: {', '.join(where)}\n"
    told = "; ".join(f"{answer} at {' and '.join(places)}" for answer, places in where.items())
    return f"- {name}: {told}\n" if told else ""


def kept(counts: dict[str, dict[str, str]]) -> str:
    """A line for each peer, a column for each temperature."""
    temperatures = list(next(iter(counts.values())))
    text = row("peer", *(f"T = {temperature}" for temperature in temperatures))
    text += row(*["---"] * (len(temperatures) + 1))
    for name, answers in counts.items():
        text += row(name, *(answers[temperature] for temperature in temperatures))
    return text


def markdown(report: dict[str, Any]) -> str:
    """The whole of docs/benchmarks.md."""
    machine = report["machine"]
    versions = [f"{name} {machine[name]}" for name in ("rheostat", "Python", "NumPy")]
    programs = {name.split(",")[0]: version for name, version in report["versions"].items()}
    told = ", ".join(f"{name} {version}" for name, version in programs.items())
    place = [machine["cpu"], machine["system"], f"SIMD level {machine['simd']}"]
    described = f"{', '.join(place)}; {', '.join(versions)}; {machine['date']}."
    text = HEAD.format(machine=described) + table(report["works"])
    text += KEPT + kept(report["kept"]) + PICTURES
    text += PEERS.format(versions=told)
    for topic, title in (("sample", "sample"), ("softmax", "softmax"), ("stop", "StopMatcher.feed")):
        text += f"\n### `{title}`\n\n{peers(report['works'], topic)}"
    return text
