"""A subject for the tests of sweeps that needs no model, and a worker process that measures it.

Run as a program it is a worker: `sweep_subject.py STORAGE LOG [hang]`. It writes a line to the log for each
setting that it begins; with "hang" it then waits until it is killed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rheostat.errors import KnobError
from rheostat.lab import sweep
from rheostat.lab.sweep import kinds

POINTS = ("x=0:1:points=3", "n=1,2,3")


class Bowl:
    """(x - 0.5)^2 + (n - 2)^2, lowest at x 0.5 and n 2."""

    kind = "training"
    kinds = {"x": kinds.FLOAT, "n": kinds.INT, "word": kinds.WORD, "flag": kinds.FLAG}  # noqa: RUF012
    metrics = (sweep.Metric("loss", "how bad it is"), sweep.Metric("gain", "how good", higher=True))
    reported = "loss"
    step_name = "epoch"

    def __init__(self, log: Path | None = None, during=lambda settings, report: None) -> None:
        self.log = log
        self.during = during

    def check(self, settings):
        if settings.get("x") == -1:
            raise KnobError("x must not be -1, got -1", "x", -1)

    def measure(self, settings, report):
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{settings}\n")
        self.during(settings, report)
        loss = (settings.get("x", 0.5) - 0.5) ** 2 + (settings.get("n", 2) - 2) ** 2
        return {"loss": loss, "gain": -loss}

    def command(self, settings):
        return ["use", *(f"{name}={value}" for name, value in settings.items())]

    def identity(self):
        return {"bowl": 1}


def plan_of(subject, vary=POINTS, goal="loss", **options):
    spaces = sweep.read_spaces(vary, subject.kinds, subject.kind)
    return sweep.Plan(subject, spaces, sweep.read_goal(goal, subject.metrics), **options)


def main(storage, log, *mode):
    pause = 600 if mode == ("hang",) else 0.02
    subject = Bowl(Path(log), lambda settings, report: time.sleep(pause))
    sweep.work(plan_of(subject), sweep.open_storage(storage))


if __name__ == "__main__":
    main(*sys.argv[1:])
