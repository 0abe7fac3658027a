"""Whether a peer's answer is the same, and how it differs where it is not: said before any time is taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import rheostat
from work import Work
from workloads import STOPS

from peers.base import Task

PIECES = [" the", "\nUs", "er:"]
FAR_OFF = 1e-4  # of a probability


class Verdict(NamedTuple):
    """`comparable`: the same work but for rounding and ties."""

    text: str
    comparable: bool


def verdict(tasks: list[Task], work: Work) -> Verdict:
    """What a workload's answers by a peer are worth."""
    kind, *knobs = work.peer
    if kind == "stop":
        return stop_verdict(tasks[0], *knobs)
    rows = [names["row"] for names in work.names(rheostat)]
    if kind == "sample":
        return kept_verdict([task.answer for task in tasks], rows, *knobs)
    return softmax_verdict([task.answer for task in tasks], rows, kind)


def kept_verdict(sets: list[np.ndarray], rows: list[np.ndarray], temperature: float, top_p: float) -> Verdict:
    """Kept tokens counted, row by row. Which of equal logits stays is no difference in the amount of work."""
    off, ties, comparable = [], 0, True
    for kept, row in zip(sets, rows, strict=True):
        exact = rheostat.kept(row, temperature=temperature, top_p=top_p)
        comparable &= abs(len(kept) - len(exact)) <= 1 + len(exact) // 1000
        if len(kept) != len(exact):
            off.append(len(kept) - len(exact))
        elif not np.array_equal(np.sort(row[kept]), np.sort(row[exact])):
            return Verdict("other tokens of the same number", False)
        else:
            ties += not np.array_equal(np.sort(kept), exact)
    if not off:
        return Verdict("same tokens, ties apart" if ties else "same tokens", True)
    if len(rows) == 1:
        return Verdict(f"keeps {len(sets[0]):,} of {len(exact):,}", comparable)
    least, most = min(off, key=abs), max(off, key=abs)
    by = f"{least:+d}" if least == most else f"{least:+d} to {most:+d}"
    return Verdict(f"off in {len(off)} of {len(rows)} rows, by {by}", comparable)


def softmax_verdict(answers: list[np.ndarray], rows: list[np.ndarray], kind: str) -> Verdict:
    """The largest relative error against float64; of log_softmax the largest absolute one."""
    worst = 0.0
    for answer, row in zip(answers, rows, strict=True):
        shifted = row.astype(np.float64) - row.max()
        logs = shifted - np.log(np.exp(shifted).sum())
        if kind == "softmax":
            worst = max(worst, float(np.max(np.abs(answer / np.exp(logs) - 1))))
        else:
            worst = max(worst, float(np.max(np.abs(answer - logs))))
    return Verdict(f"error {worst:.0e}", worst < FAR_OFF)


def stop_verdict(task: Task, count: int) -> Verdict:
    """What is released for three pieces, the last two of them a stop."""
    matcher = rheostat.StopSet(STOPS[count]).matcher()
    exact = [matcher.feed(piece) for piece in PIECES]
    if task.answer == exact:
        return Verdict("same text", True)
    leaks = len("".join(task.answer)) > len("".join(exact))
    return Verdict("lets a part of the stop out" if leaks else "withholds text that is safe", False)
