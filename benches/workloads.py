"""The rows that everything is measured on: real ones, and shapes that make a sampler slow. Fixed seeds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

DATA = Path(__file__).parent.parent / "tests" / "data"

# Llama 2 and Mistral; SmolLM2; Llama 3; Gemma.
VOCABULARIES = (32_000, 49_152, 128_256, 262_144)
LONG = 128_256


class Workload(NamedTuple):
    """A row and the knobs it is sampled with."""

    row: np.ndarray
    temperature: float
    top_p: float = 0.9


def real(vocab: int, row: int = 0) -> np.ndarray:
    """A recorded row of a model of 49,152 tokens; repeated, with its ties, where the vocabulary is larger."""
    return np.resize(np.load(DATA / "smollm2_logits.npz")["logits"][row].astype(np.float32), vocab)


def flat(vocab: int) -> np.ndarray:
    """N(0, 1): a model that knows nothing; at T = 1.5 and top_p = 0.9 three quarters of the tokens stay."""
    return np.random.default_rng(1).standard_normal(vocab, np.float32)


def peaked(vocab: int) -> np.ndarray:
    """N(0, 2), and 40 tokens scattered in it that rise high above: a nucleus of a few tokens."""
    rng = np.random.default_rng(2)
    row = rng.standard_normal(vocab, np.float32) * 2
    row[rng.choice(vocab, 40, replace=False)] = np.linspace(16, 8, 40, dtype=np.float32)
    return row


def all_equal(vocab: int) -> np.ndarray:
    """One value: nothing but ties."""
    return np.full(vocab, 2.5, np.float32)


def eight_values(vocab: int) -> np.ndarray:
    """Eight values at random: ties by the thousand."""
    return np.random.default_rng(3).integers(0, 8, vocab).astype(np.float32)


def workload(kind: str, vocab: int) -> Workload:
    """The workload of that name."""
    make, temperature = KINDS[kind]
    return Workload(make(vocab), temperature)


KINDS = {
    "real": (real, 0.8),
    "real, T=1.5": (real, 1.5),
    "peaked": (peaked, 0.8),
    "flat": (flat, 1.5),
    "all equal": (all_equal, 1.0),
    "eight values": (eight_values, 1.0),
}


def batch(vocab: int, rows: int = 32) -> np.ndarray:
    """(rows, vocab) float32 of recorded rows."""
    return np.stack([real(vocab, row % 24) for row in range(rows)])


def half(vocab: int) -> np.ndarray:
    """A bitmask, int32 words, that allows a half of the tokens at random."""
    bits = np.random.default_rng(4).random(-(-vocab // 32) * 32) < 0.5
    return np.packbits(bits, bitorder="little").view(np.int32)


# Plain top-p, and everything at once: penalties over 64 ids, 32 of them the likeliest; a mask; filters.
TOP_P = {"top_p": 0.95}
FULL_CHAIN = {
    "repetition_penalty": 1.1,
    "presence_penalty": 0.2,
    "output_ids": np.random.default_rng(5).permutation(
        np.concatenate([np.argsort(-real(49_152))[:32], np.random.default_rng(6).integers(0, LONG, 32)])
    ),
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "bitmask": half(LONG),
}
# The same on the peaked row, whose 32 likeliest ids are among the 64.
FULL_CHAIN_PEAKED = FULL_CHAIN | {
    "output_ids": np.random.default_rng(5).permutation(
        np.concatenate([np.argsort(-peaked(LONG))[:32], np.random.default_rng(6).integers(0, LONG, 32)])
    )
}
