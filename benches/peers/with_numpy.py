"""NumPy: what one would write without rheostat."""

from __future__ import annotations

import numpy as np

from peers.base import Absent, Peer, Task


def softmax(row: np.ndarray, temperature: float) -> np.ndarray:
    """The textbook, in the row's own float32."""
    weights = np.exp((row - row.max()) / np.float32(temperature))
    return weights / weights.sum()


def sample_textbook(row: np.ndarray, temperature: float, top_p: float, u: float) -> tuple[int, np.ndarray]:
    """Softmax, sort everything, cut where the running sum reaches top_p, draw. (token, kept ids)"""
    probs = softmax(row, temperature)
    order = np.argsort(probs)[::-1]
    cumulative = np.cumsum(probs[order], dtype=np.float64)
    size = min(int(np.searchsorted(cumulative, top_p)) + 1, row.size)  # float32 may sum to less
    drawn = np.searchsorted(cumulative[:size], u * cumulative[size - 1], side="right")
    return int(order[drawn]), order[:size]


def sample_argpartition(
    row: np.ndarray, temperature: float, top_p: float, u: float
) -> tuple[int, np.ndarray]:
    """NumPy at its best on a peaked row: only as many of the largest are sorted as reach top_p."""
    weights = np.exp((row - row.max()) * np.float32(1 / temperature))
    target = top_p * float(weights.sum(dtype=np.float64))
    count = 64
    while True:
        count = min(count, row.size)
        largest = np.argpartition(weights, row.size - count)[row.size - count :]
        if count == row.size or weights[largest].sum(dtype=np.float64) >= target:
            break
        count *= 8
    order = largest[np.argsort(weights[largest])[::-1]]
    cumulative = np.cumsum(weights[order], dtype=np.float64)
    size = min(int(np.searchsorted(cumulative, target)) + 1, order.size)
    drawn = np.searchsorted(cumulative[:size], u * cumulative[size - 1], side="right")
    return int(order[drawn]), order[:size]


def sample_sorted_values(
    row: np.ndarray, temperature: float, top_p: float, u: float
) -> tuple[int, np.ndarray]:
    """NumPy at its best on a wide nucleus: values sort faster than places; the cut is a value, ties by id."""
    weights = np.exp((row - row.max()) * np.float32(1 / temperature))
    descending = np.sort(weights)[::-1]
    cumulative = np.cumsum(descending, dtype=np.float64)
    size = min(int(np.searchsorted(cumulative, top_p * cumulative[-1])) + 1, row.size)
    cut = descending[size - 1]
    above = np.flatnonzero(weights > cut)
    kept = np.concatenate([above, np.flatnonzero(weights == cut)[: size - above.size]])
    cumulative = np.cumsum(weights[kept], dtype=np.float64)
    return int(kept[np.searchsorted(cumulative, u * cumulative[-1], side="right")]), kept


def sample_unfiltered(row: np.ndarray, temperature: float, top_p: float, u: float) -> tuple[int, np.ndarray]:
    """Where top_p is 1 nothing is to be sorted."""
    cumulative = np.cumsum(softmax(row, temperature), dtype=np.float64)
    return int(np.searchsorted(cumulative, u * cumulative[-1], side="right")), np.arange(row.size)


def peer(name: str, by_top_p) -> Peer:
    """A sampler of this file as a peer; chance is the middle of the mass."""

    def sample(row, temperature, top_p):
        if top_p == 1 and by_top_p is not sample_textbook:
            raise Absent("without a filter there is one way in NumPy")
        function = sample_unfiltered if top_p == 1 else by_top_p
        return Task(
            lambda: function(row, temperature, top_p, 0.5)[0], function(row, temperature, top_p, 0.5)[1]
        )

    return Peer(name, np.__version__, sample=sample)


def softmax_task(row: np.ndarray) -> Task:
    """The textbook."""
    return Task(lambda: softmax(row, 1), softmax(row, 1))


PEERS = {
    "NumPy, textbook": peer("NumPy, textbook", sample_textbook)._replace(softmax=softmax_task),
    "NumPy, argpartition": peer("NumPy, argpartition", sample_argpartition),
    "NumPy, sorted values": peer("NumPy, sorted values", sample_sorted_values),
}
