"""A setting of the training knobs, measured: a training run on a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rheostat.lab import DivergedError, Epoch, Progress, TrainingKnobs, train_text
from rheostat.lab.corpus import documents
from rheostat.lab.interrupts import CtrlC
from rheostat.lab.sweep.goals import Metric
from rheostat.lab.sweep.kinds import exact, kinds_of, knob_values
from rheostat.lab.sweep.plan import Report, Settings
from rheostat.lab.text import digest

# Measured is the best epoch, whichever the model then gets.
KINDS = {name: kind for name, kind in kinds_of(TrainingKnobs).items() if name != "restore_best"}

METRICS = (
    Metric("held_out_bits_per_byte", "of text that was held out, at the best epoch"),
    Metric("train_bits_per_byte", "of the text trained on, at that epoch"),
    Metric("best_epoch", "the epoch with the lowest held-out bits per byte", digits=0),
    Metric("epochs_run", "how many there were before the end", digits=0),
    Metric("weight_spread", "the standard deviation of the weights at the best epoch"),
    Metric("seconds", "that the run took", digits=1),
)


class Training:
    """Runs on a text.

    Args:
        text: what is trained on: one text, or several documents.
        base: fields of `TrainingKnobs` that hold where a setting says nothing.
        corpus: the files of the text, for the command line.

    Raises:
        KnobError: base breaks a rule.
    """

    kind = "training"
    metrics = METRICS
    reported = "held_out_bits_per_byte"
    step_name = "epoch"

    def __init__(self, text: str | Sequence[str], base: dict[str, Any], corpus: Sequence[str] = ()) -> None:
        self.kinds = KINDS
        self.text = text
        self.base = base
        self.corpus = tuple(corpus)
        self.check({})

    def knobs(self, settings: Settings) -> TrainingKnobs:
        """All knobs at a setting.

        Raises:
            KnobError: one breaks its rule.
        """
        return TrainingKnobs.from_dict(self.base | knob_values(self.kinds, settings))

    def check(self, settings: Settings) -> None:
        """Raises a KnobError where a setting breaks its rule."""
        self.knobs(settings)

    def measure(self, settings: Settings, report: Report) -> dict[str, float]:
        """A run, which tells its held-out bits per byte after each epoch.

        Raises:
            ArithmeticError: it diverged.
            ValueError: the text is too short for the setting.
        """

        def on_epoch(epoch: Epoch) -> None:
            report(epoch.epoch, epoch.held_out_bits_per_byte)

        def on_step(at: Progress) -> None:
            if ctrl_c.pressed:
                raise KeyboardInterrupt

        with CtrlC() as ctrl_c:  # a run that is in its last update when it comes has ended; a sweep goes on
            try:
                done = train_text(self.text, self.knobs(settings), on_epoch=on_epoch, on_step=on_step)
            except DivergedError as error:
                raise ArithmeticError(str(error)) from error
        if ctrl_c.pressed or done.stopped == "interrupted" or done.best is None:
            raise KeyboardInterrupt
        return {
            "held_out_bits_per_byte": done.best.held_out_bits_per_byte,
            "train_bits_per_byte": done.best.train_bits_per_byte,
            "best_epoch": float(done.best.epoch),
            "epochs_run": float(len(done.epochs)),
            "weight_spread": done.best.weight_spread,
            "seconds": sum(epoch.seconds for epoch in done.epochs),
        }

    def command(self, settings: Settings) -> list[str]:
        """`rheostat train` with the setting."""
        options = ["rheostat", "train", *self.corpus]
        for key, value in (self.base | knob_values(self.kinds, settings)).items():
            flag = key.replace("_", "-")
            if isinstance(value, bool):
                options.append(f"--{flag}" if value else f"--no-{flag}")
            elif value is not None:
                options += [f"--{flag}", exact(value)]
        return options

    def identity(self) -> dict[str, Any]:
        """What else decides the numbers."""
        return {"text of SHA-256": digest(documents(self.text))[:16], "fixed": self.knobs({}).to_dict()}
