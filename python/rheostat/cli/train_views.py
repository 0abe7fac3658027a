"""How a training run shows itself: on standard error, a row for each epoch and a bar below."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from rheostat.lab.knobs import TrainingKnobs
from rheostat.lab.trainer import Epoch, Progress

HEADER = "epoch   trained on   held out   learning rate   spread   seconds"
WIDE, NARROW = 80, 56  # columns of a terminal that a bar with all its words needs, and one without them
SILENCE = 30.0  # seconds after which a run without a terminal says where it is


def row(epoch: Epoch) -> str:
    """The line of an epoch below HEADER; bits per byte of both texts."""
    return (
        f"{epoch.epoch:5}   {epoch.train_bits_per_byte:10.3f}   {epoch.held_out_bits_per_byte:8.3f}"
        f"   {epoch.learning_rate:13.2g}   {epoch.weight_spread:6.3f}   {epoch.seconds:7.1f}"
    )


class Quiet:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        pass

    def step(self, at: Progress) -> None:
        """After an update."""

    def epoch(self, epoch: Epoch) -> None:
        """After an epoch."""


class Lines(Quiet):
    """Rows as plain lines, for files and pipes; where an epoch takes long, a line twice a minute."""

    def __init__(self) -> None:
        self._start = self._told = time.monotonic()
        self._first: int | None = None
        self._header = HEADER

    def step(self, at: Progress) -> None:
        """Where the run is, if nothing was said for long."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._start = at.step, now
        if now - self._told < SILENCE or at.step == self._first:
            return
        seconds = round((now - self._start) / (at.step - self._first) * (at.steps - at.step))
        self._say(
            f"epoch {at.epoch}, update {at.step:,} of {at.steps:,}: loss {at.loss:.3f}, "
            f"{at.bits_per_byte:.3f} bits per byte, rate {at.learning_rate:.2g}, "
            f"{seconds // 60}:{seconds % 60:02} left"
        )

    def epoch(self, epoch: Epoch) -> None:
        """Its row."""
        if self._header:
            self._say(self._header)
            self._header = ""
        self._say(row(epoch))

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        self._told = time.monotonic()


class Bar(Quiet):
    """Rows, and below them a bar that moves with every update; for terminals."""

    def __init__(self, knobs: TrainingKnobs) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from rheostat.cli import terminal

        console = terminal.console(stderr=True)
        left = TimeRemainingColumn(compact=True, elapsed_when_finished=True)
        epoch, loss, bits, rate = (f"{{task.fields[{name}]}}" for name in ("epoch", "loss", "bits", "rate"))
        columns: list[Any]  # where a terminal is narrow the bar goes first, and the time left stays
        if console.width >= WIDE:
            said = f"loss {loss}  {bits} bits per byte  rate {rate} "
            columns = [f"epoch {epoch}", BarColumn(bar_width=None), said, left, "left"]
        elif console.width >= NARROW:
            columns = [epoch, f"loss {loss}", f"{bits} bits/B", f"rate {rate}", left, "left"]
        else:
            columns = [epoch, f"{bits} bits/B", left]
        shown = [TextColumn(column) if isinstance(column, str) else column for column in columns]
        self._progress = Progress(*shown, console=console, transient=True, expand=console.width >= WIDE)
        self._epochs = knobs.epochs
        self._task: Any = None
        self._header = HEADER

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, at: Progress) -> None:
        """Moves the bar."""
        fields: dict[str, Any] = {
            "epoch": f"{at.epoch}/{self._epochs}",
            "loss": f"{at.loss:.3f}",
            "bits": f"{at.bits_per_byte:.3f}",
            "rate": f"{at.learning_rate:.2g}",
        }
        if self._task is None:  # also where a run is taken up in its middle
            self._task = self._progress.add_task("", total=at.steps, completed=at.step - 1, **fields)
        self._progress.update(self._task, completed=at.step, **fields)

    def epoch(self, epoch: Epoch) -> None:
        """Its row, above the bar."""
        from rich.text import Text

        if self._header:
            self._progress.console.print(Text(self._header, "dim"))
            self._header = ""
        self._progress.console.print(row(epoch))


def view(knobs: TrainingKnobs, quiet: bool) -> Quiet:
    """The one that suits standard error."""
    if quiet:
        return Quiet()
    return Bar(knobs) if sys.stderr.isatty() else Lines()
