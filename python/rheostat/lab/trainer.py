"""A training run, one update after another; between two of them it can be left, stored and taken up again."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

from rheostat.lab import network
from rheostat.lab.corpus import LN_2, Corpus, bits_per_byte
from rheostat.lab.knobs import TrainingKnobs
from rheostat.lab.network import Array, Ids, Parameters
from rheostat.lab.optimiser import AdamW, clip
from rheostat.lab.schedules import best_epoch


class DivergedError(RuntimeError):
    """The loss is no number any more: the learning rate is too high."""


class Progress(NamedTuple):
    """Where a run is, after an update."""

    epoch: int
    """The epoch that is read, from 1."""
    step: int
    """Updates done."""
    steps: int
    """Updates in all, if it is not stopped early."""
    loss: float
    """In nats per token, averaged over some hundred updates, with dropout."""
    bits_per_byte: float
    """The same in bits per byte of the text."""
    learning_rate: float
    """Of this update."""
    tokens: int
    """Read so far."""


class Epoch(NamedTuple):
    """What the model is after an epoch, measured without dropout."""

    epoch: int
    """From 1."""
    train_bits_per_byte: float
    """Of a part of the text trained on, about as long as what is held out."""
    held_out_bits_per_byte: float
    """Of the text held out, which no update has seen."""
    learning_rate: float
    """Of the last update."""
    weight_spread: float
    """The standard deviation of all weights, biases left out: what weight_decay holds down."""
    seconds: float
    """That the epoch took, without pauses."""


class Trainer:
    """The state between two updates: everything that the next ones depend on, and nothing else."""

    def __init__(self, knobs: TrainingKnobs, corpus: Corpus) -> None:
        self.knobs = knobs
        self.corpus = corpus
        self.rng = np.random.default_rng(knobs.seed)
        vocabulary = len(corpus.vocabulary)
        self.hidden = knobs.hidden_units(vocabulary)
        self.parameters = network.initial(vocabulary, knobs.embedding_size, self.hidden, self.rng)
        self.optimiser = AdamW(self.parameters, knobs.weight_decay)
        self.step = 0
        self.mean_loss = 0.0
        self.elapsed = 0.0
        """Seconds of the epoch that is read."""
        self.h: Array = np.zeros((corpus.batch_size, self.hidden), np.float32)
        self.epochs: list[Epoch] = []
        self.best_parameters: Parameters | None = None
        """The weights of the best epoch, where they are to be restored."""
        self.order: Ids = np.zeros(0, np.int64)
        """In which the texts are read in this epoch; empty between two epochs."""
        self._columns: tuple[Ids, Ids] | None = None

    @property
    def steps(self) -> int:
        """Updates of a run that is not stopped early."""
        return self.corpus.updates_per_epoch * self.knobs.epochs

    @property
    def metrics(self) -> list[float]:
        """What is to improve, after each epoch."""
        return [getattr(epoch, f"{self.knobs.metric}_bits_per_byte") for epoch in self.epochs]

    @property
    def best(self) -> Epoch | None:
        """The epoch of the best metric, if one is done."""
        place = best_epoch(self.metrics, self.knobs.min_delta)
        return self.epochs[place] if place >= 0 else None

    @property
    def stopped(self) -> str | None:
        """Why there is no further update: "epochs" or "early"; None where there is one."""
        if len(self.epochs) == self.knobs.epochs:
            return "epochs"
        if self.best is not None and self.knobs.patience is not None:
            waited = len(self.epochs) - self.best.epoch
            return "early" if waited >= self.knobs.patience else None
        return None

    @property
    def chosen(self) -> Parameters:
        """The weights that the model gets if the run ends here."""
        return self.parameters if self.best_parameters is None else self.best_parameters

    def update(self) -> Progress:
        """Reads one window of each sequence and corrects the weights.

        Raises:
            DivergedError: the loss is not finite; the weights are of no use any more.
        """
        knobs, per_epoch = self.knobs, self.corpus.updates_per_epoch
        start = time.perf_counter()
        window = self.step % per_epoch
        if window == 0:
            self.order = self.rng.permutation(len(self.corpus.encoded))
            self._columns = None
            self.h = np.zeros_like(self.h)
        if self._columns is None:
            self._columns = self.corpus.columns(self.order)
        times = slice(window * knobs.window, (window + 1) * knobs.window)
        inputs, targets = (part[times] for part in self._columns)
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is no number is told of below
            loss, gradients, self.h = network.loss_and_gradients(
                self.parameters, inputs, targets, self.h, knobs.dropout, knobs.input_dropout, self.rng
            )
            self._check_finite(loss)
            clip(gradients, knobs.clip_norm)
            rate = knobs.rate(self.step, self.steps, per_epoch, self.metrics)
            self.optimiser.step(gradients, rate)
        self.step += 1
        self.mean_loss += (loss - self.mean_loss) / min(self.step, 100)
        self.elapsed += time.perf_counter() - start
        bits = self.mean_loss / LN_2 * self.corpus.tokens / self.corpus.bytes
        epoch = len(self.epochs) + 1
        return Progress(epoch, self.step, self.steps, self.mean_loss, bits, rate, self.step * inputs.size)

    @property
    def is_epoch_read(self) -> bool:
        """Whether `close_epoch` is to come next."""
        return self.step == (len(self.epochs) + 1) * self.corpus.updates_per_epoch

    def close_epoch(self) -> Epoch:
        """Measures what an epoch has brought, and keeps the weights where they are the best so far.

        Raises:
            DivergedError: a measure is not finite.
        """
        start = time.perf_counter()
        p, corpus = self.parameters, self.corpus
        with np.errstate(over="ignore", invalid="ignore"):
            train, held_out = (
                bits_per_byte(p, corpus.vocabulary, texts) for texts in (corpus.compared, corpus.held_out)
            )
        self._check_finite(train + held_out)
        rate = self.knobs.rate(self.step - 1, self.steps, corpus.updates_per_epoch, self.metrics)
        seconds = self.elapsed + time.perf_counter() - start
        epoch = Epoch(len(self.epochs) + 1, train, held_out, rate, weight_spread(p), seconds)
        self.epochs.append(epoch)
        self.elapsed, self._columns = 0.0, None
        if self.knobs.restore_best and self.best is epoch:
            self.best_parameters = {name: value.copy() for name, value in p.items()}
        return epoch

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            rate = self.knobs.learning_rate
            raise DivergedError(
                f"the loss is {loss} in epoch {len(self.epochs) + 1}: lower learning_rate, which is {rate}"
            )


def weight_spread(parameters: Parameters) -> float:
    """The standard deviation of all entries of the matrices, in float64."""
    weights = np.concatenate([value.ravel() for value in parameters.values() if value.ndim > 1])
    return float(np.std(weights, dtype=np.float64))
