"""mlx on the CPU: softmax, and top-p as mlx-lm 0.32.2 computes it from log-probabilities."""

from __future__ import annotations

from importlib.metadata import version

import mlx.core as mx
import numpy as np

from peers.base import Peer, Task

mx.set_default_device(mx.cpu)


def nucleus(logprobs: mx.array, top_p: float) -> mx.array:
    """mlx-lm's own of today: summed from the largest down; what crosses top_p stays, with its equals."""
    upwards = mx.sort(logprobs)
    probs = mx.exp(upwards)
    above = mx.cumsum(probs, reverse=True, inclusive=False)
    dropped = (above >= top_p * (above[:1] + probs[:1])).sum(keepdims=True)
    return mx.where(logprobs < mx.take_along_axis(upwards, dropped, axis=-1), -mx.inf, logprobs)


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
