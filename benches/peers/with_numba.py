"""numba: plain loops, compiled. Only tokens that can be in the nucleus are sorted."""

from __future__ import annotations

import numba
import numpy as np

from peers.base import Peer, Task


@numba.njit(fastmath=True)
def weigh(row, temperature, weights):
    """Weights of a softmax and their sum; here the order of a sum is the compiler's, so loops are vectors."""
    largest = row[0]
    for x in row:
        largest = max(largest, x)
    factor = np.float32(1 / temperature)
    total = 0.0
    for i in range(row.size):
        weights[i] = np.exp((row[i] - largest) * factor)
        total += weights[i]
    return total


@numba.njit
def drawn(ids, weights, target):
    """The first id at which the running sum exceeds the target."""
    mass = 0.0
    for i in ids:
        mass += weights[i]
        if mass > target:
            return i
    return ids[-1]


@numba.njit
def sample(row, temperature, top_p, u, weights):
    """(token, kept ids). What weighs less than (1 - p) / vocabulary cannot be missed in the nucleus."""
    total = weigh(row, temperature, weights)
    if top_p == 1:
        order = np.arange(row.size)
        return drawn(order, weights, u * total), order
    least = np.float32((1 - top_p) * total / row.size * 0.999)
    candidates = np.flatnonzero(weights >= least)
    order = candidates[np.argsort(-weights[candidates])]
    mass = 0.0
    size = 0
    while size < order.size and mass < top_p * total:
        mass += weights[order[size]]
        size += 1
    return drawn(order[:size], weights, u * mass), order[:size]


def task(row: np.ndarray, temperature: float, top_p: float) -> Task:
    weights = np.empty_like(row)
    kept = sample(row, temperature, top_p, 0.5, weights)[1]
    return Task(lambda: sample(row, temperature, top_p, 0.5, weights)[0], kept)


PEERS = {"numba": Peer("numba", numba.__version__, sample=task)}
