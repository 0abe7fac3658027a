"""A text to train on: what of it is held out, its tokens, and how they are laid side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rheostat.lab import network, text
from rheostat.lab.knobs import TrainingKnobs
from rheostat.lab.network import Ids, Parameters
from rheostat.lab.vocabulary import Vocabulary, learn

LN_2 = math.log(2)
MANY = text.HELD_OUT  # from so many texts up, whole ones are held out

# When bits are measured: so many sequences at most, each of so many tokens at least, for each begins without
# knowing what stood before it.
SIDE_BY_SIDE, LENGTH = 64, 256


class CorpusError(ValueError):
    """The text cannot be trained on: empty, too short for the batch size and the window, or no Unicode."""


def split(texts: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """What is trained on; what is held out; and of the former a part like the latter, to compare it with.

    Of ten texts and more every tenth is held out, and compared with the one before it. Of fewer, the last
    tenth of each is, and compared with the tenth before it.

    >>> split(["abcdefghijklmnopqrst"])
    (['abcdefghijklmnopqr'], ['st'], ['qr'])
    """
    if len(texts) >= MANY:
        trained_on, held_out = text.split(list(texts))
        return trained_on, held_out, list(texts[MANY - 2 :: MANY])
    tenths = [max(len(whole) // MANY, 1) for whole in texts]
    parts = list(zip(texts, tenths, strict=True))
    return (
        [whole[:-tenth] for whole, tenth in parts],
        [whole[-tenth:] for whole, tenth in parts],
        [whole[-2 * tenth : -tenth] for whole, tenth in parts],
    )


def documents(texts: str | Sequence[str]) -> list[str]:
    """One text or several, as a list.

    Raises:
        TypeError: it is neither.
    """
    found = [texts] if isinstance(texts, str) else texts
    if not isinstance(found, Sequence) or isinstance(found, bytes | bytearray):
        raise TypeError(f"text must be a string or a sequence of strings, got {type(texts).__name__}")
    for place, whole in enumerate(found):
        if not isinstance(whole, str):
            raise TypeError(f"text must hold strings, got {type(whole).__name__} at place {place}")
    return list(found)


class Corpus:
    """The texts as a run reads them.

    Raises:
        TypeError: what is given is no str and no sequence of them.
        CorpusError: there is no text, not enough for one update, or a str that is no Unicode.
    """

    def __init__(self, texts: str | Sequence[str], knobs: TrainingKnobs) -> None:
        self.texts = [whole for whole in documents(texts) if whole.strip()]
        if not self.texts:
            raise CorpusError("there is nothing to learn from: the text is empty")
        for whole in self.texts:
            _check_unicode(whole)
        self.trained_on, self.held_out, self.compared = split(self.texts)
        self.bytes = text.bytes_of(self.trained_on)
        if self.bytes == 0:
            raise CorpusError(
                f"the text is too short: its last tenth is held out, and of {self.texts[0]!r} nothing is left"
            )
        self.vocabulary = Vocabulary(learn(self.trained_on, knobs.tokens(self.bytes) - 257))
        end, encode = self.vocabulary.end, self.vocabulary.encode
        self.encoded = [np.array([end, *encode(part)], np.int64) for part in self.trained_on]
        self.tokens = sum(map(len, self.encoded))
        self.batch_size = knobs.sequences(self.tokens)
        self.updates_per_epoch = self.tokens // self.batch_size // knobs.window
        if self.updates_per_epoch == 0:
            needed = self.batch_size * knobs.window
            raise CorpusError(
                f"the text is too short: without what is held out it is {self.tokens:,} tokens, and one "
                f"update reads {needed:,}, batch_size {self.batch_size} times window {knobs.window}"
            )

    def columns(self, order: Ids) -> tuple[Ids, Ids]:
        """The texts in this order as one stream, cut in equal parts: inputs and targets (time, batch)."""
        end = np.array([self.vocabulary.end], np.int64)
        return side_by_side(np.concatenate([*(self.encoded[place] for place in order), end]), self.batch_size)


def _check_unicode(whole: str) -> None:
    try:
        whole.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"the text must be Unicode, got the lone surrogate {whole[error.start]!r} at {error.start}"
        ) from None


def side_by_side(stream: Ids, batch_size: int) -> tuple[Ids, Ids]:
    """A stream cut in equal parts, as columns (time, batch_size), and for each token the one after it."""
    times = (len(stream) - 1) // batch_size
    shape = (batch_size, times)
    inputs, targets = stream[: batch_size * times], stream[1 : batch_size * times + 1]
    return inputs.reshape(shape).T.copy(), targets.reshape(shape).T.copy()


def bits_per_byte(p: Parameters, vocabulary: Vocabulary, texts: Sequence[str]) -> float:
    """-log2 of the probability of the texts and of their ends, over their bytes; nothing is left out.

    They are read as one stream, cut in parts that run side by side; the few tokens that this leaves over
    count as the average.
    """
    ids = [id for part in texts for id in [*vocabulary.encode(part), vocabulary.end]]
    parts = min(SIDE_BY_SIDE, max(len(ids) // LENGTH, 1))
    inputs, targets = side_by_side(np.array([vocabulary.end, *ids], np.int64), parts)
    h = np.zeros((inputs.shape[1], len(p["U"])), np.float32)
    nats = 0.0
    for first in range(0, len(inputs), 32):
        wanted = targets[first : first + 32].reshape(-1)
        logits, h = network.logits(p, inputs[first : first + 32], h)
        nats += network.cross_entropy(logits, wanted)[0] * wanted.size
    return nats / LN_2 / targets.size * len(ids) / text.bytes_of(texts)
