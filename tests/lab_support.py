"""What the tests of training share: a text small enough to learn by heart, and runs on it."""

from functools import lru_cache
from pathlib import Path

from rheostat.lab import TrainingKnobs, train_text

FABLES = Path(__file__).parent / "data" / "fables.txt"
TEXT = FABLES.read_text(encoding="utf-8")[:3400]

# Nothing against learning by heart: what a knob does shows against this.
PLAIN = TrainingKnobs(
    learning_rate=0.01,
    schedule="constant",
    weight_decay=0.0,
    dropout=0.0,
    input_dropout=0.0,
    vocabulary_size=320,
    embedding_size=24,
    hidden_size=48,
    batch_size=8,
    window=16,
    epochs=12,
)
# One that is over in a moment.
QUICK = PLAIN.replace(hidden_size=12, embedding_size=8, epochs=4, dropout=0.2, weight_decay=0.1)


@lru_cache
def trained(**changes):
    """The run of PLAIN with these changes; each is made once."""
    return train_text(TEXT, PLAIN.replace(**changes))


def rates(training):
    """The learning rate at the end of each epoch, as a share of the whole."""
    return [round(epoch.learning_rate / training.knobs.learning_rate, 4) for epoch in training.epochs]


def held_out(training):
    """Bits per byte of the text held out, after each epoch."""
    return [epoch.held_out_bits_per_byte for epoch in training.epochs]


def learnt(training):
    """Bits per byte of the text trained on, after each epoch."""
    return [epoch.train_bits_per_byte for epoch in training.epochs]


def bits_of(training):
    """What a run has measured, which depends on every bit of its weights."""
    return [epoch[:-1] for epoch in training.epochs]
