"""The same work with what is installed: temperature, top-p, draw. Each gives a token and what it kept."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]
CHANCE = np.random.default_rng()

Peer = Callable[[Row, float, float], tuple[int, NDArray[np.int64]]]


def numpy_textbook(row: Row, temperature: float, top_p: float) -> tuple[int, NDArray[np.int64]]:
    """Softmax, sort everything, cut where the running sum reaches top_p, draw."""
    weights = np.exp((row - row.max()) / np.float32(temperature))
    probabilities = weights / weights.sum()
    order = np.argsort(probabilities)[::-1]
    cumulative = np.cumsum(probabilities[order], dtype=np.float64)
    size = int(np.searchsorted(cumulative, top_p)) + 1
    drawn = int(np.searchsorted(cumulative[:size], CHANCE.random() * cumulative[size - 1], side="right"))
    return int(order[drawn]), order[:size]


def numpy_partition(row: Row, temperature: float, top_p: float) -> tuple[int, NDArray[np.int64]]:
    """NumPy at its best on a peaked row: only as many of the largest are sorted as reach top_p."""
    weights = np.exp((row - row.max()) * np.float32(1 / temperature))
    target = top_p * float(weights.sum(dtype=np.float64))
    count = min(64, row.size)
    largest = np.argpartition(weights, row.size - count)[row.size - count :]
    while count < row.size and weights[largest].sum(dtype=np.float64) < target:
        count = min(8 * count, row.size)
        largest = np.argpartition(weights, row.size - count)[row.size - count :]
    order = largest[np.argsort(weights[largest])[::-1]]
    cumulative = np.cumsum(weights[order], dtype=np.float64)
    size = int(np.searchsorted(cumulative, target)) + 1
    drawn = int(np.searchsorted(cumulative[:size], CHANCE.random() * cumulative[size - 1], side="right"))
    return int(order[drawn]), order[:size]


def torch_peer() -> Peer:
    """As transformers does it: sort, softmax, cumulative sum, scatter back, softmax, multinomial."""
    torch: Any = __import__("torch")
    torch.set_num_threads(1)  # as all others, and as fast as it gets on a machine that does other work

    def sample(row: Row, temperature: float, top_p: float) -> tuple[int, NDArray[np.int64]]:
        scores = torch.from_numpy(row)[None] / temperature
        ascending, places = torch.sort(scores, descending=False)
        removed = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        removed[..., -1:] = False
        scores = scores.masked_fill(removed.scatter(1, places, removed), -torch.inf)
        token = torch.multinomial(scores.softmax(dim=-1), 1)
        return int(token), np.flatnonzero(torch.isfinite(scores[0]).numpy())

    return sample


def installed() -> dict[str, Peer]:
    """The peers of this environment, by name."""
    peers: dict[str, Peer] = {
        "NumPy sort": numpy_textbook,
        "NumPy partition": numpy_partition,
    }
    if find_spec("torch") is not None:
        peers["torch"] = torch_peer()
    return peers
