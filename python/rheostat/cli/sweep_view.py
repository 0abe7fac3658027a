"""What `rheostat sweep` shows: how far it is, and the table at the end."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rheostat.cli import terminal
from rheostat.lab.sweep.kinds import shown

if TYPE_CHECKING:
    from optuna.study import Study
    from rich.console import Console
    from rich.table import Table

    from rheostat.lab.sweep import At, Metric, Plan, Row
    from rheostat.lab.sweep.plan import Settings

SECONDS = 0.1  # between two looks at the study, within a setting


def of_settings(settings: Settings) -> str:
    """ "temperature 0.7, top_p 0.9"."""
    return ", ".join(f"{name} {shown(value)}" for name, value in settings.items())


class Progress:
    """On a terminal one line that is written anew; elsewhere a line for each setting that is done. It is of
    the study, so that what other workers do is in it.
    """

    def __init__(self, plan: Plan, is_quiet: bool) -> None:
        self.plan = plan
        self.is_quiet = is_quiet
        self.is_terminal = sys.stderr.isatty()
        self.told: set[int] | None = None
        self.began = self.looked = time.monotonic()
        self.done_before = 0

    def __call__(self, study: Study, at: At | None) -> None:
        if self.is_quiet or (at is not None and not self.is_terminal):
            return
        now = time.monotonic()
        if self.told is not None and now - self.looked < SECONDS and at is not None:
            return
        self.looked = now
        from rheostat.lab.sweep import rows_of

        rows = rows_of(study, self.plan)
        finished = [row for row in rows if row.state != "open"]
        if self.told is None:
            self.told = {row.number for row in finished}
            self.done_before = len(finished)
            if finished:
                terminal.note(f"{len(finished)} of {self.plan.budget} are done already")
        if self.is_terminal:
            terminal.progress(self._line(rows, finished, at))
        else:
            self._tell_new(finished)

    def close(self) -> None:
        """Clears the line."""
        if not self.is_quiet:
            terminal.progress("")

    def _tell_new(self, finished: list[Row]) -> None:
        assert self.told is not None
        for row in sorted(finished, key=lambda row: row.number):
            if row.number not in self.told:
                self.told.add(row.number)
                place = f"{len(self.told)}/{self.plan.budget}"
                terminal.note(f"{place}  {of_settings(row.settings)}: {self._result(row)}")

    def _result(self, row: Row) -> str:
        metric = self.plan.goal.metric
        if row.state == "done":
            return f"{metric.title} {metric.shown(row.metrics[metric.name])}"
        return f"failed: {row.error}" if row.state == "failed" else "ended early, worse than the median"

    def _line(self, rows: list[Row], finished: list[Row], at: At | None) -> str:
        metric = self.plan.goal.metric
        parts = [f"{len(finished)}/{self.plan.budget} done"]
        running = len(rows) - len(finished)
        if running > 1:
            parts.append(f"{running} running")
        if rows and rows[0].state == "done":
            best = rows[0]
            parts.append(f"best {metric.shown(best.metrics[metric.name])} at {of_settings(best.settings)}")
        new = len(finished) - self.done_before
        if new:
            left = (time.monotonic() - self.began) / new * (self.plan.budget - len(finished))
            parts.append(f"{left // 60:.0f}:{left % 60:02.0f} left")
        if at is not None:
            value = f", {metric.shown(at.value)}" if math.isfinite(at.value) else ""
            place = f"{self.plan.subject.step_name} {at.step}{value}"
            parts.append(f"now {of_settings(at.settings)}: {place}")
        return "  \u00b7  ".join(parts)


def show(rows: Sequence[Row], plan: Plan, top: int) -> None:
    """The table, the best setting, and the command that uses it."""
    console = terminal.console()
    known = [row for row in rows if row.state != "open"]
    if not known:
        return
    metrics = list(plan.subject.metrics)
    others = [metric for metric in metrics if metric.name != plan.goal.metric.name]
    table = _table(known[:top], plan, metrics)
    while others and _width(table, console) > console.width:
        metrics.remove(others.pop())
        table = _table(known[:top], plan, metrics)
    console.print(table)
    missing = len(plan.subject.metrics) - len(metrics)
    hidden = ((missing, "metrics"), (len(known) - top, "settings"))
    more = [f"{count} more {what}" for count, what in hidden if count > 0]
    if more:
        console.print(f"{' and '.join(more)}: in results.csv", style="dim")
    for row in known:
        if row.state == "failed":
            console.print(f"{of_settings(row.settings)} failed: {row.error}", style="dim")
    if known and known[0].state == "done":
        best, metric = known[0], plan.goal.metric
        console.print(
            f"{str(plan.goal).capitalize()}: {metric.shown(best.metrics[metric.name])}, "
            f"at {of_settings(best.settings)}"
        )
        console.print(f"Try it: {shlex.join(plan.subject.command(best.settings))}")


def _table(rows: Sequence[Row], plan: Plan, metrics: Sequence[Metric]) -> Table:
    """A line for each setting, a column for each knob and metric."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("trial", justify="right", style="dim")
    for space in plan.spaces:
        table.add_column(space.name, justify="right", style="bold")
    for metric in metrics:
        is_goal = metric.name == plan.goal.metric.name
        table.add_column("\n".join(_lines(metric.title)), justify="right", style="green" if is_goal else None)
    if any(row.state != "done" for row in rows):
        table.add_column("")
    for row in rows:
        numbers = [
            metric.shown(row.metrics[metric.name]) if row.metrics else _last(row, plan, metric.name)
            for metric in metrics
        ]
        mark = {"done": [], "pruned": ["ended early"], "failed": ["failed"]}[row.state]
        settings = [shown(row.settings[space.name]) for space in plan.spaces]
        table.add_row(str(row.number), *settings, *numbers, *mark, style=None if row.metrics else "dim")
    return table


def _width(table: Table, console: Console) -> int:
    """What it takes where nothing is cut."""
    from rich.measure import Measurement

    unbounded = console.options.update(max_width=10_000)
    return Measurement.get(console, unbounded, table).maximum


def explain_metrics() -> None:
    """What can be a goal, by kind of sweep."""
    from rich import box
    from rich.table import Table

    from rheostat.lab.sweep import Decoding, Training

    for subject in (Decoding, Training):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(f"metric of {subject.kind}")
        table.add_column("better")
        table.add_column("what it is")
        for metric in subject.metrics:
            table.add_row(metric.name, "higher" if metric.higher else "lower", metric.says)
        terminal.console().print(table)


def _lines(title: str) -> list[str]:
    """A title cut where it is about half, so that a column of numbers stays narrow."""
    words = title.split()
    return (
        [" ".join(words[: -(len(words) // 2)]), " ".join(words[-(len(words) // 2) :])] if words[1:] else words
    )


def _last(row: Row, plan: Plan, name: str) -> str:
    """Of a run that was ended early, what it had last reached."""
    is_known = row.value is not None and name == plan.goal.metric.name
    return plan.goal.metric.shown(row.value or 0.0) if is_known else ""
