"""Trains the model in the box: `python -m rheostat.lab.train`, or `make model`.

The same seed gives the same weights on the same machine. Another BLAS, or another number of its threads,
adds in another order, so that elsewhere they differ; their held-out bits per byte differ by less than
`TOLERANCE`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rheostat.errors import KnobError
from rheostat.lab import network, ngram, text
from rheostat.lab.model import WEIGHTS, Model, load, rounded_parameters, save
from rheostat.lab.network import Ids, Parameters
from rheostat.lab.optimiser import AdamW, clip, cosine
from rheostat.lab.vocabulary import Vocabulary, learn

TOLERANCE = 0.03  # bits per byte

LN_2 = math.log(2)


@dataclass(frozen=True)
class TrainingKnobs:
    """What decides a training run, beside its text. The defaults made the model in the box."""

    learning_rate: float = 3e-3
    """The largest step of a weight, nearly; reached after the warm-up, 0 at the end."""
    warmup_steps: int = 100
    """So many updates climb to it."""
    weight_decay: float = 0.1
    """Each update shrinks every matrix by the learning rate times this."""
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    dropout: float = 0.25
    """The share of hidden units left out at random in each step; none when the model is used."""
    input_dropout: float = 0.1
    """The same for the numbers of a token's vector."""
    vocabulary_size: int = 1024
    """256 bytes, merges, and the end of a text."""
    embedding_size: int = 96
    """The numbers that stand for a token."""
    hidden_size: int = 512
    """The numbers of the state."""
    batch_size: int = 32
    """So many sequences are read side by side."""
    window: int = 32
    """Tokens of each sequence per update: how far back a gradient is followed. The state goes on from one
    window to the next."""
    epochs: int = 12
    """How often the text is read."""
    seed: int = 1
    """Of the first weights, of dropout and of the order of documents."""

    def __post_init__(self) -> None:
        self._check("vocabulary_size", 257 <= self.vocabulary_size <= 65_536, "in [257, 65536]")
        for name in ("warmup_steps", "seed"):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        for name in ("embedding_size", "hidden_size", "batch_size", "window", "epochs"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "clip_norm"):
            self._check(name, 0 < getattr(self, name) < math.inf, "above 0 and finite")
        self._check("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0 and finite")
        for name in ("dropout", "input_dropout"):
            self._check(name, 0 <= getattr(self, name) < 1, "in [0, 1)")

    def _check(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            value = getattr(self, name)
            raise KnobError(f"{name} must be {wanted}, got {value}", name, value)


class Progress(NamedTuple):
    """Where a run is, after an update."""

    step: int
    steps: int
    loss: float
    """In nats per token, averaged over some hundred updates, with dropout."""
    rate: float
    """The learning rate of this update."""
    tokens: int
    """Read so far."""


def side_by_side(stream: Ids, batch_size: int) -> tuple[Ids, Ids]:
    """A stream cut in equal parts, as columns (time, batch_size), and for each token the one after it."""
    times = (len(stream) - 1) // batch_size
    shape = (batch_size, times)
    inputs, targets = stream[: batch_size * times], stream[1 : batch_size * times + 1]
    return inputs.reshape(shape).T.copy(), targets.reshape(shape).T.copy()


def train(
    knobs: TrainingKnobs,
    vocabulary: Vocabulary,
    documents: Sequence[str],
    report: Callable[[Progress], None] = lambda progress: None,
) -> Parameters:
    """The parameters after `knobs.epochs` readings of the documents, each time in another order."""
    rng = np.random.default_rng(knobs.seed)
    p = network.initial(len(vocabulary), knobs.embedding_size, knobs.hidden_size, rng)
    optimiser = AdamW(p, knobs.weight_decay)
    encoded = [[vocabulary.end, *vocabulary.encode(document)] for document in documents]
    per_epoch = (sum(map(len, encoded)) // knobs.batch_size) // knobs.window
    if per_epoch == 0:
        needed = knobs.batch_size * (knobs.window + 1)
        raise ValueError(f"a text of {sum(map(len, encoded))} tokens is too short: one update reads {needed}")
    steps = per_epoch * knobs.epochs
    step, mean_loss = 0, 0.0
    for _ in range(knobs.epochs):
        for window, inputs, targets in windows(encoded, knobs, per_epoch, rng, vocabulary.end):
            if window == 0:
                h = np.zeros((knobs.batch_size, knobs.hidden_size), np.float32)
            loss, gradients, h = network.loss_and_gradients(
                p, inputs, targets, h, knobs.dropout, knobs.input_dropout, rng
            )
            clip(gradients, knobs.clip_norm)
            rate = knobs.learning_rate * cosine(step, steps, knobs.warmup_steps)
            optimiser.step(gradients, rate)
            step += 1
            mean_loss += (loss - mean_loss) / min(step, 100)
            report(Progress(step, steps, mean_loss, rate, step * inputs.size))
    return p


def windows(
    encoded: list[list[int]], knobs: TrainingKnobs, count: int, rng: np.random.Generator, end: int
) -> Iterator[tuple[int, Ids, Ids]]:
    """One epoch: the documents in a random order, side by side, window after window."""
    order = rng.permutation(len(encoded))
    stream = np.array([id for place in order for id in encoded[place]] + [end], np.int64)
    inputs, targets = side_by_side(stream, knobs.batch_size)
    for window in range(count):
        times = slice(window * knobs.window, (window + 1) * knobs.window)
        yield window, inputs[times], targets[times]


def bits_per_byte(p: Parameters, vocabulary: Vocabulary, documents: Sequence[str]) -> float:
    """-log2 of the probability of the documents and of their ends, over their bytes.

    They are read as one stream, cut in 64 parts that run side by side; the few tokens that this leaves over
    count as the average.
    """
    ids = [id for document in documents for id in [*vocabulary.encode(document), vocabulary.end]]
    inputs, targets = side_by_side(np.array([vocabulary.end, *ids], np.int64), min(64, len(ids)))
    h = np.zeros((inputs.shape[1], len(p["U"])), np.float32)
    nats = 0.0
    for first in range(0, len(inputs), 32):
        wanted = targets[first : first + 32].reshape(-1)
        logits, h = network.logits(p, inputs[first : first + 32], h)
        nats += network.cross_entropy(logits, wanted)[0] * wanted.size
    return nats / LN_2 / targets.size * len(ids) / text.bytes_of(documents)


class Meter:
    """A line on stderr: overwritten on a terminal, a new one after each tenth of a run elsewhere."""

    def __init__(self, bytes_per_token: float) -> None:
        self.bytes_per_token = bytes_per_token
        self.start = time.perf_counter()
        self.terminal = sys.stderr.isatty()

    def __call__(self, at: Progress) -> None:
        last = at.step == at.steps
        if not (last or at.step % (10 if self.terminal else max(at.steps // 10, 1)) == 0):
            return
        seconds = time.perf_counter() - self.start
        left = seconds / at.step * (at.steps - at.step)
        line = (
            f"step {at.step:,}/{at.steps:,}  loss {at.loss:.3f}"
            f"  {at.loss / LN_2 / self.bytes_per_token:.3f} bits per byte  rate {at.rate:.2g}"
            f"  {at.tokens / seconds:,.0f} tokens/s  {left / 60:.0f}:{left % 60:02.0f} left"
        )
        if self.terminal:
            line = f"\r\033[K{line}"
        print(line, end="" if self.terminal and not last else "\n", file=sys.stderr, flush=True)


def make(knobs: TrainingKnobs, command: str) -> Model:
    """Trains on the frozen text, measures what was held out, and describes all of it."""
    documents = text.frozen()
    trained_on, held_out = text.split(documents)
    vocabulary = Vocabulary(learn(trained_on, knobs.vocabulary_size - 257))
    tokens = sum(len(vocabulary.encode(document)) + 1 for document in trained_on)
    parameters = rounded_parameters(
        train(knobs, vocabulary, trained_on, Meter(text.bytes_of(trained_on) / tokens))
    )
    info = {
        "knobs": dataclasses.asdict(knobs),
        "command": command,
        "text": "prose of the topics and docstrings of the standard library",
        "text_python": text.FROZEN_PYTHON,
        "text_sha256": text.digest(documents),
        "numpy": np.__version__,
        "parameters": sum(value.size for value in parameters.values()),
        "bytes_trained_on": text.bytes_of(trained_on),
        "bytes_held_out": text.bytes_of(held_out),
        "bits_per_byte": round(bits_per_byte(parameters, vocabulary, held_out), 4),
        "bits_per_byte_trained_on": round(bits_per_byte(parameters, vocabulary, trained_on), 4),
        "bits_per_byte_of_n_grams": {
            str(order): round(ngram.KneserNey(trained_on, order).bits_per_byte(held_out), 4)
            for order in range(1, 8)
        },
    }
    return Model(vocabulary, parameters, info)


def option_of(knob: str) -> str:
    return f"--{knob.replace('_', '-')}"


def parser() -> argparse.ArgumentParser:
    """An option for each knob."""
    made = argparse.ArgumentParser("python -m rheostat.lab.train", description="Trains the model in the box.")
    made.add_argument("--out", type=Path, default=Path(__file__).with_name(WEIGHTS), help="the file to write")
    for field in dataclasses.fields(TrainingKnobs):
        made.add_argument(
            option_of(field.name),
            type=type(field.default),
            default=field.default,
            help="default: %(default)s",
        )
    return made


def main(arguments: Sequence[str]) -> int:
    given = vars(parser().parse_args(arguments))
    out = given.pop("out")
    defaults = dataclasses.asdict(TrainingKnobs())
    changed = [f"{option_of(knob)} {value}" for knob, value in given.items() if value != defaults[knob]]
    try:
        model = make(TrainingKnobs(**given), " ".join(["python -m rheostat.lab.train", *changed]))
    except (KnobError, text.OtherTextError) as error:
        print(error, file=sys.stderr)
        return 2
    boxed = load().info
    save(out, model)
    found, wanted = model.info["bits_per_byte"], boxed["bits_per_byte"]
    print(
        f"{out}: {out.stat().st_size:,} bytes, {found} held-out bits per byte; the model in the box: {wanted}"
    )
    if boxed["knobs"] == model.info["knobs"] and abs(found - wanted) > TOLERANCE:
        print(f"the same knobs should come within {TOLERANCE} of it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
