"""A model of a few lines for the examples: how often one byte follows another in a text."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

TEXT = (
    "the cat sat on the mat. the dog sat on the cat. a cat and a dog ran at the rat. the rat ran on the mat. "
    "the cat ran at the dog. a rat sat on a mat and the dog ran at the rat and the cat sat. "
)


def bigram_logits(text: str) -> np.ndarray:
    """(256, 256) float32: row b holds the logits of the byte after b.

    Their logarithms are rounded correctly, so that every machine has the same model: np.log's last bit is the
    platform's.
    """
    data = np.frombuffer(text.encode(), np.uint8)
    counts = np.full((256, 256), 0.01)
    np.add.at(counts, (data[:-1], data[1:]), 1)
    values, places = np.unique(counts, return_inverse=True)
    logs = np.array([float(Decimal(value).ln()) for value in values.tolist()], np.float32)
    return logs[places].reshape(counts.shape)
