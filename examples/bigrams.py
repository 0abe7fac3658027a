"""A model of a few lines for the examples: how often one byte follows another in a text."""

from __future__ import annotations

import numpy as np

TEXT = (
    "the cat sat on the mat. the dog sat on the cat. a cat and a dog ran at the rat. the rat ran on the mat. "
    "the cat ran at the dog. a rat sat on a mat and the dog ran at the rat and the cat sat. "
)


def bigram_logits(text: str) -> np.ndarray:
    """(256, 256) float32: row b holds the logits of the byte after b."""
    data = np.frombuffer(text.encode(), np.uint8)
    counts = np.full((256, 256), 0.01)
    np.add.at(counts, (data[:-1], data[1:]), 1)
    return np.log(counts).astype(np.float32)
