"""mlx on the CPU: softmax, and top-p as mlx-lm computes it from log-probabilities."""

from __future__ import annotations

from importlib.metadata import version

import mlx.core as mx
import numpy as np

from peers.base import Peer, Task

mx.set_default_device(mx.cpu)


def nucleus(logprobs: mx.array, top_p: float) -> mx.array:
    """Sorted upwards; what sums to more than 1 - p stays."""
    order = mx.argsort(logprobs)
    sums = mx.cumsum(mx.take_along_axis(mx.exp(logprobs), order, axis=-1))
    places = mx.put_along_axis(mx.zeros_like(order), order, mx.arange(order.size, dtype=order.dtype), axis=-1)
    return mx.where(mx.take_along_axis(sums, places, axis=-1) > 1 - top_p, logprobs, -mx.inf)


def sample(row: np.ndarray, temperature: float, top_p: float) -> Task:
    """The temperature comes first, as rheostat has it; mlx-lm applies it after top-p, which is other work."""
    logits = mx.array(row)

    def scores() -> mx.array:
        scaled = logits * (1 / temperature)
        logprobs = scaled - mx.logsumexp(scaled, keepdims=True)
        return nucleus(logprobs, top_p) if top_p < 1 else logprobs

    kept = np.flatnonzero(np.array(scores()) > -np.inf)
    return Task(lambda: mx.random.categorical(scores()).item(), kept)


def softmax(row: np.ndarray) -> Task:
    logits = mx.array(row)
    return Task(lambda: mx.eval(mx.softmax(logits)), np.array(mx.softmax(logits)))


PEERS = {"mlx": Peer("mlx", version("mlx"), sample, softmax)}
