"""From a text to a model: `train_text`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rheostat.lab import checkpoint as checkpoints
from rheostat.lab.corpus import Corpus, bits_per_byte
from rheostat.lab.interrupts import CtrlC
from rheostat.lab.knobs import TrainingKnobs
from rheostat.lab.model import Model, rounded_parameters
from rheostat.lab.text import bytes_of, digest
from rheostat.lab.trainer import Epoch, Progress, Trainer

CHECKPOINT_SECONDS = 30.0  # a checkpoint is at most this old, and never older than its epoch

PathLike = str | os.PathLike[str]


class Training(NamedTuple):
    """What `train_text` gives."""

    model: Model
    """As `rheostat.lab.save` writes it, matrices rounded to int8; `info` tells how it was made."""
    knobs: TrainingKnobs
    epochs: list[Epoch]
    """What each epoch that was finished has brought."""
    best: Epoch | None
    """The one of the best metric; None where the run was interrupted in its first."""
    stopped: str
    """Why it ended: "epochs", all are read; "early", the metric stood still; or "interrupted", by Ctrl-C."""

    def plot(self) -> Any:
        """The curves of the run as a matplotlib figure (the extra `plot`).

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: no epoch was finished.
        """
        from rheostat.lab import curves  # imported on use, as is what it needs

        return curves.plot(self.epochs, self.best)


def train_text(
    text: str | Sequence[str],
    knobs: TrainingKnobs,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    checkpoint: PathLike | None = None,
    resume: bool = False,
) -> Training:
    """Trains a small language model: a vocabulary is learnt from the text, then a gated recurrent unit.

    Args:
        text: one text or several. A tenth is held out and measures every epoch: of ten texts and more, every
            tenth; of fewer, the last tenth of each.
        knobs: all that decides the result beside the text.
        on_epoch, on_step: called after each epoch and after each update. What they raise ends the run and
            goes through to the caller; KeyboardInterrupt counts as Ctrl-C.
        checkpoint: a file that the run is stored in, after each epoch, on Ctrl-C and every half minute.
        resume: goes on from there, if the file exists, as if nothing had happened: the result is the same, to
            the last bit on the same machine.

    Ctrl-C ends the run after the update that it is in, and the result is what was reached until then; a
    second one raises KeyboardInterrupt.

    Raises:
        TypeError: the text is no str and no sequence of them, or the knobs are no TrainingKnobs.
        CorpusError: the text is empty, or too short for one update.
        CheckpointError: the file to resume from is no checkpoint, or one of other knobs or another text.
        DivergedError: the loss is no number any more.

    >>> text = "the cat sat on the mat. the dog sat on the log. " * 20
    >>> knobs = TrainingKnobs(vocabulary_size=280, embedding_size=8, hidden_size=16, batch_size=4, epochs=5)
    >>> training = train_text(text, knobs)
    >>> training.stopped, len(training.epochs)
    ('epochs', 5)
    >>> training.epochs[-1].held_out_bits_per_byte < training.epochs[0].held_out_bits_per_byte
    True
    """
    if not isinstance(knobs, TrainingKnobs):
        raise TypeError(f"knobs must be TrainingKnobs, got {type(knobs).__name__}")
    corpus = Corpus(text, knobs)
    if resume and checkpoint is not None and Path(checkpoint).exists():
        trainer = checkpoints.restore(checkpoint, knobs, corpus)
    else:
        trainer = Trainer(knobs, corpus)
    with CtrlC() as ctrl_c:
        stopped = _run(trainer, ctrl_c, on_epoch, on_step, checkpoint)
    return Training(_model(trainer, stopped), knobs, trainer.epochs, trainer.best, stopped)


def _run(
    trainer: Trainer,
    ctrl_c: CtrlC,
    on_epoch: Callable[[Epoch], None] | None,
    on_step: Callable[[Progress], None] | None,
    checkpoint: PathLike | None,
) -> str:
    """Updates until there is a reason to stop, which it gives."""
    written = time.monotonic()
    while (stopped := trainer.stopped) is None:
        if ctrl_c.pressed:
            if checkpoint is not None:
                checkpoints.write(checkpoint, trainer)
            return "interrupted"
        ctrl_c.tell(on_step, trainer.update())
        epoch = trainer.close_epoch() if trainer.is_epoch_read else None
        due = epoch is not None or time.monotonic() - written > CHECKPOINT_SECONDS
        if checkpoint is not None and due:
            checkpoints.write(checkpoint, trainer)
            written = time.monotonic()
        if epoch is not None:
            ctrl_c.tell(on_epoch, epoch)
    return stopped


def _model(trainer: Trainer, stopped: str) -> Model:
    """The model of the weights chosen, and how it came about."""
    corpus, parameters = trainer.corpus, rounded_parameters(trainer.chosen)
    best = trainer.best
    info = {
        "knobs": trainer.knobs.to_dict(),
        "vocabulary_size": len(corpus.vocabulary),
        "hidden_size": trainer.hidden,
        "batch_size": corpus.batch_size,
        "text_sha256": digest(corpus.texts),
        "numpy": np.__version__,
        "parameters": sum(value.size for value in parameters.values()),
        "bytes_trained_on": corpus.bytes,
        "bytes_held_out": bytes_of(corpus.held_out),
        "bits_per_byte": round(bits_per_byte(parameters, corpus.vocabulary, corpus.held_out), 4),
        "bits_per_byte_trained_on": round(bits_per_byte(parameters, corpus.vocabulary, corpus.compared), 4),
        "epochs": len(trainer.epochs),
        "best_epoch": best.epoch if best is not None else None,
        "stopped": stopped,
    }
    return Model(corpus.vocabulary, parameters, info)
