"""The rows that everything is measured on: real ones, and shapes that make a sampler slow. Fixed seeds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent.parent / "tests" / "data"

# Llama 2 and Mistral; SmolLM2; Llama 3; Gemma; and the widest that rheostat takes.
SMALL, REAL, LONG, WIDE, WIDEST = 32_000, 49_152, 128_256, 262_144, 1_048_576
VOCABULARIES = (SMALL, REAL, LONG, WIDE)


@cache
def recorded() -> np.ndarray:
    """24 rows (24, 49152) float16 of a real model, as they were recorded."""
    return np.load(DATA / "smollm2_logits.npz")["logits"]


def real(vocab: int, row: int = 0) -> np.ndarray:
    """A recorded row of a model of 49,152 tokens; repeated, with its ties, where the vocabulary is larger."""
    return np.resize(recorded()[row].astype(np.float32), vocab)


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


def cut_beside_a_tie(vocab: int) -> np.ndarray:
    """Half of the mass in distinct values, and top_p = 0.9 cuts through the tie of all the others."""
    row = np.full(vocab, 0, np.float32)
    above = vocab // 64
    row[:: vocab // above] = np.log(64) + np.linspace(-0.01, 0.01, len(row[:: vocab // above]))
    return row


def two_ties(vocab: int) -> np.ndarray:
    """Nine tokens in ten have one of two values, and the others lie above, between and below them."""
    rng = np.random.default_rng(8)
    row = rng.uniform(-1, 2, vocab).astype(np.float32)
    kinds = rng.random(vocab)
    row[kinds < 0.9] = 1
    row[kinds < 0.45] = 0
    return row


def share_above(row: np.ndarray, logit: float) -> float:
    """The probability of all that is above a logit: a top_p that cuts next to it."""
    weights = np.exp(row - row.max(), dtype=np.float64)
    return float(weights[row > logit].sum() / weights.sum())


def neighbours(vocab: int) -> np.ndarray:
    """A cluster of 4,096 neighbouring float32, each several times: any histogram finds them in one bin."""
    steps = np.random.default_rng(4).integers(0, 4096, vocab)
    return (np.float32(8).view(np.int32) + steps.astype(np.int32)).view(np.float32)


def misleading_start(vocab: int) -> np.ndarray:
    """The first 2,048 logits lie 200 below the rest: a maximum guessed from them overflows."""
    row = flat(vocab)
    row[:2048] -= 200
    return row


def flat_start(vocab: int) -> np.ndarray:
    """Peaked, but the first 1,000 logits are low and nearly equal, as those of control tokens are."""
    row = peaked(vocab)
    row[:1000] = -8 + np.random.default_rng(7).standard_normal(1000, np.float32) * np.float32(0.01)
    return row


def forbidden_start(vocab: int) -> np.ndarray:
    """Peaked, but the first 1,000 logits are -inf: no maximum can be guessed from them."""
    row = peaked(vocab)
    row[:1000] = -np.inf
    return row


def strides(vocab: int) -> np.ndarray:
    """Every 16th logit is 12 higher: a sample with a stride sees all of them, or none."""
    row = flat(vocab)
    row[5::16] += 12
    return row


def staircase(vocab: int) -> np.ndarray:
    """From high to low without a gap, sorted: one half of a row tells nothing of the other."""
    return np.linspace(20, -20, vocab, dtype=np.float32)


def misleading_sample(vocab: int) -> np.ndarray:
    """Low wherever `rust/band.rs` looks for a cut: in stretches at steps of the golden ratio."""
    row = flat(vocab)
    stretches = np.clip(vocab // 384, 64, 256) // 8 * 8
    room = vocab // stretches
    parts = np.concatenate([np.arange(first, stretches, 4) for first in range(4)])
    places = (0x9E37_79B9 * np.arange(1, stretches + 1, dtype=np.uint64)) % 2**32
    starts = parts * room + (places * np.uint64(room - 15) >> np.uint64(32)).astype(np.int64)
    row[starts[:, None] + np.arange(16)] = -8
    return row


def far_from_0(vocab: int) -> np.ndarray:
    """10,000,000 on all logits, which leaves them few digits: no rough weight can be told so far away."""
    return peaked(vocab) + np.float32(1e7)


KINDS = {
    "peaked": peaked,
    "real": real,
    "flat": flat,
    "all equal": all_equal,
    "eight values": eight_values,
    "cut beside a tie": cut_beside_a_tie,
    "two ties": two_ties,
    "neighbouring floats": neighbours,
    "misleading start": misleading_start,
    "flat start": flat_start,
    "forbidden start": forbidden_start,
    "strides": strides,
    "staircase": staircase,
    "misleading sample": misleading_sample,
    "far from 0": far_from_0,
}
ADVERSARIAL = (
    "cut beside a tie",
    "two ties",
    "neighbouring floats",
    "misleading start",
    "flat start",
    "forbidden start",
    "strides",
    "staircase",
    "misleading sample",
    "far from 0",
)


@cache
def rows(kind: str, vocab: int) -> list[np.ndarray]:
    """What a workload of this kind is measured on: recorded rows, all at their own size, or the one made."""
    if kind == "real":
        return [real(vocab, row) for row in range(len(recorded()) if vocab == REAL else 8)]
    return [KINDS[kind](vocab)]


def batch(vocab: int, rows: int = 32, first: int = 0) -> np.ndarray:
    """(rows, vocab) float32 of recorded rows."""
    return np.stack([real(vocab, (first + row) % 24) for row in range(rows)])


def bitmask(vocab: int, share: float) -> np.ndarray:
    """int32 words that allow this share of the tokens at random."""
    bits = np.random.default_rng(4).random(-(-vocab // 32) * 32) < share
    return np.packbits(bits, bitorder="little").view(np.int32)


def recent_ids(vocab: int, row: np.ndarray | None = None) -> np.ndarray:
    """64 ids for a penalty to look at: the 32 likeliest of a row, the first recorded one, and 32 others."""
    likeliest = np.argsort(-(real(REAL) if row is None else row))[:32]
    others = np.random.default_rng(6).integers(0, vocab, 32)
    return np.random.default_rng(5).permutation(np.concatenate([likeliest, others]))
