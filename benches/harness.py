"""One workload under pytest-benchmark: checked, then timed, in one group with yardstick and peers."""

from __future__ import annotations

import pytest
import rheostat
import workloads
from peers import registry
from peers.base import Absent
from peers.verdicts import verdict

SIDES = ("yardstick", "rheostat")


def named(works):
    """Parameters of a test for each workload, by name."""
    return pytest.mark.parametrize("work", works, ids=[work.name for work in works])


def run(benchmark, work, side):
    """Times one side of a workload over its rows, with one thread unless the workload says otherwise."""
    workloads.check(work)
    statement, setup = {
        "yardstick": (work.yardstick, work.yardstick_setup),
        "rheostat": (work.statement, work.setup),
    }[side]
    namespaces = work.names(rheostat)
    calls = [eval(f"lambda: {statement}", names) for names in namespaces]
    benchmark.group = f"{work.name}{f', all {len(calls)} rows' if len(calls) > 1 else ''}"
    benchmark.name = statement
    rheostat.set_num_threads(1)
    try:
        exec(setup, namespaces[0])
        benchmark(calls[0] if len(calls) == 1 else lambda: [call() for call in calls])
    finally:
        exec(work.yardstick_setup, namespaces[0])
        rheostat.set_num_threads(0)


def run_peer(benchmark, work, name):
    """Times a peer at the same work where it is installed; what its answer is worth is part of its name."""
    try:
        peer = registry.load(name)
        tasks = registry.tasks(peer, work)
    except Absent as reason:
        pytest.skip(str(reason))
    found = verdict(tasks, work)
    benchmark.extra_info["answer"] = found.text
    calls = [task.step for task in tasks]
    benchmark.group = f"{work.name}{f', all {len(calls)} rows' if len(calls) > 1 else ''}"
    benchmark.name = f"{name} ({found.text})"
    benchmark(calls[0] if len(calls) == 1 else lambda: [call() for call in calls])
