"""Trains the model in the box: `python -m rheostat.lab.train`, or `make model`.

The same seed gives the same weights on the same machine. Another BLAS, or another number of its threads,
adds in another order, so that elsewhere they differ; their held-out bits per byte differ by less than
`TOLERANCE`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rheostat.lab import ngram, text
from rheostat.lab.corpus import bits_per_byte, split
from rheostat.lab.knobs import TrainingKnobs
from rheostat.lab.model import WEIGHTS, Model, load, save
from rheostat.lab.trainer import Epoch
from rheostat.lab.training import train_text

TOLERANCE = 0.03  # bits per byte

# Every knob that matters by its value, so that no change of a default changes the box.
KNOBS = TrainingKnobs(
    learning_rate=3e-3,
    schedule="cosine",
    warmup_steps=100,
    weight_decay=0.1,
    clip_norm=1.0,
    dropout=0.25,
    input_dropout=0.1,
    vocabulary_size=1024,
    embedding_size=96,
    hidden_size=512,
    batch_size=32,
    window=32,
    epochs=12,
    patience=None,
    restore_best=False,
    seed=1,
)


def make(knobs: TrainingKnobs) -> Model:
    """Trains on the frozen text, and adds to the description what there is to compare with."""
    documents = text.frozen()
    trained_on, held_out, _ = split(documents)
    model = train_text(documents, knobs, on_epoch=tell).model
    model.info |= {
        "command": "python -m rheostat.lab.train",
        "text": "prose of the topics and docstrings of the standard library",
        "text_python": text.FROZEN_PYTHON,
        "bits_per_byte_trained_on": round(bits_per_byte(model.parameters, model.vocabulary, trained_on), 4),
        "bits_per_byte_of_n_grams": {
            str(order): round(ngram.KneserNey(trained_on, order).bits_per_byte(held_out), 4)
            for order in range(1, 8)
        },
    }
    return model


def tell(epoch: Epoch) -> None:
    """A line on standard error."""
    print(
        f"epoch {epoch.epoch}  {epoch.train_bits_per_byte:.3f} bits per byte, "
        f"held out {epoch.held_out_bits_per_byte:.3f}  rate {epoch.learning_rate:.2g}  {epoch.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "python -m rheostat.lab.train", description="Trains the model in the box."
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).with_name(WEIGHTS), help="the file to write"
    )
    out = parser.parse_args(arguments).out
    wanted = load().info["bits_per_byte"]
    try:
        model = make(KNOBS)
    except text.OtherTextError as error:
        print(error, file=sys.stderr)
        return 2
    save(out, model)
    found = model.info["bits_per_byte"]
    print(
        f"{out}: {out.stat().st_size:,} bytes, {found} held-out bits per byte; the model in the box: {wanted}"
    )
    if abs(found - wanted) > TOLERANCE:
        print(f"the same knobs should come within {TOLERANCE} of it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
