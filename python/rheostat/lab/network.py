"""The network: tokens in, for each the logits of the one after it; forwards, and backwards by hand.

A gated recurrent unit (Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", with the
reset gate applied after the product, as in cuDNN) reads one token after another and keeps what matters in a
state. The same table gives the vectors of the input and of the output (Press and Wolf 2017, "Using the output
embedding to improve language models").

Shapes: T times, B sequences side by side, V tokens in the vocabulary, D numbers for each, H hidden units.

    x = E[ids]                               (T, B, D)
    a = x W + b                              (T, B, 3H)  what the token says to the gates z, r and to n
    s = h U                                  (B, 3H)     what the state says to them
    z = sigmoid(a_z + s_z)                   (B, H)      how much of the state stays
    r = sigmoid(a_r + s_r)                   (B, H)      how much of the state the new value sees
    n = tanh(a_n + r s_n)                    (B, H)      the new value
    h = z h + (1 - z) n                      (B, H)
    logits = (h P) E^T + c                   (T, B, V)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]  # or float64, in which the test of the gradients runs
Ids = NDArray[np.int64]
Parameters = dict[str, Array]

ONE, HALF = np.float32(1), np.float32(0.5)


def initial(vocab: int, width: int, hidden: int, rng: np.random.Generator) -> Parameters:
    """Normal weights of such a spread that sums over what comes in keep theirs; biases are 0."""

    def normal(rows: int, columns: int, spread: float) -> Array:
        return (rng.standard_normal((rows, columns)) * spread).astype(np.float32)

    return {
        "E": normal(vocab, width, 0.5),
        "W": normal(width, 3 * hidden, width**-0.5),
        "U": normal(hidden, 3 * hidden, hidden**-0.5),
        "b": np.zeros(3 * hidden, np.float32),
        "P": normal(hidden, width, hidden**-0.5),
        "c": np.zeros(vocab, np.float32),
    }


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by tanh, which never overflows."""
    y: Array = HALF + HALF * np.tanh(HALF * x)
    return y


class Step(NamedTuple):
    """The state after one token, and what the way back needs of it; each (B, H), or (H,) for one sequence."""

    h: Array
    z: Array
    r: Array
    n: Array
    s_n: Array


def step(p: Parameters, h: Array, a: Array) -> Step:
    """From the state h (B, H) and what the token says, a (B, 3H)."""
    return gates(h, a, h @ p["U"])


def gates(h: Array, a: Array, s: Array) -> Step:
    """The step, where also what the state says is known, s (B, 3H)."""
    H = h.shape[-1]
    zr = sigmoid(a[..., : 2 * H] + s[..., : 2 * H])
    z, r = zr[..., :H], zr[..., H:]
    s_n = s[..., 2 * H :]
    n = np.tanh(a[..., 2 * H :] + r * s_n)
    return Step(n + z * (h - n), z, r, n, s_n)


def dropout_mask(shape: tuple[int, ...], rate: float, rng: np.random.Generator) -> Array:
    """0 with probability `rate`, else 1 / (1 - rate), so that the mean stays (Srivastava et al. 2014)."""
    mask: Array = (rng.random(shape, np.float32) >= rate) * np.float32(1 / (1 - rate))
    return mask


def cross_entropy(logits: Array, targets: Ids) -> tuple[float, Array]:
    """The mean of -ln softmax(logits)[target], in nats, and its gradient, (softmax - one-hot) / N; (N, V)."""
    rows = np.arange(len(targets))
    shifted = logits - logits.max(axis=1, keepdims=True)
    gradient = np.exp(shifted)
    total = gradient.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - shifted[rows, targets]))
    gradient /= total
    gradient[rows, targets] -= 1
    gradient /= np.float32(len(targets))
    return loss, gradient


def logits(p: Parameters, ids: Ids, h: Array) -> tuple[Array, Array]:
    """(T, B) ids from the state h (B, H) to logits (T B, V), time by time, and the last state."""
    a = p["E"][ids] @ p["W"] + p["b"]
    hs = []
    for a_t in a:
        h = step(p, h, a_t).h
        hs.append(h)
    out: Array = np.concatenate(hs) @ p["P"]
    return out @ p["E"].T + p["c"], h


class Pass(NamedTuple):
    """What one pass over (T, B) ids gives: the mean loss, its gradients, and the last state (B, H)."""

    loss: float
    gradients: Parameters
    h: Array


def loss_and_gradients(
    p: Parameters,
    ids: Ids,
    targets: Ids,
    h: Array,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Pass:
    """One pass over (T, B) ids and targets from the state h (B, H), which gets no gradient: back-propagation
    through time, truncated (Williams and Peng 1990).
    """
    T, B = ids.shape
    H = h.shape[1]
    D = p["E"].shape[1]
    rng = rng or np.random.default_rng(0)

    # forwards, each result kept for the way back
    keep_x = dropout_mask((T, B, D), input_dropout, rng)
    keep_h = dropout_mask((T, B, H), dropout, rng)
    x: Array = p["E"][ids] * keep_x
    a: Array = x @ p["W"] + p["b"]
    hs = np.empty((T + 1, B, H), h.dtype)
    hs[0] = h
    kept = []
    for t in range(T):
        kept.append(step(p, hs[t], a[t]))
        hs[t + 1] = kept[t].h
    y: Array = (hs[1:] * keep_h).reshape(T * B, H)
    out: Array = y @ p["P"]
    loss, d_logits = cross_entropy(out @ p["E"].T + p["c"], targets.reshape(-1))

    # backwards, the same lines from the last to the first; d_v is the gradient of the loss for v
    g: Parameters = {"c": d_logits.sum(axis=0)}
    g["E"] = d_logits.T @ out  # of the table as the output's; its part as the input's is added below
    d_out = d_logits @ p["E"]
    g["P"] = y.T @ d_out
    d_y = (d_out @ p["P"].T).reshape(T, B, H) * keep_h
    d_a = np.empty_like(a)
    d_s = np.empty_like(a)
    d_h = np.zeros_like(h)
    for t in reversed(range(T)):
        _, z, r, n, s_n = kept[t]
        d_h += d_y[t]
        d_n = d_h * (ONE - z) * (ONE - n * n)
        d_a[t, :, :H] = d_s[t, :, :H] = d_h * (hs[t] - n) * z * (ONE - z)
        d_a[t, :, H : 2 * H] = d_s[t, :, H : 2 * H] = d_n * s_n * r * (ONE - r)
        d_a[t, :, 2 * H :] = d_n
        d_s[t, :, 2 * H :] = d_n * r
        d_h = d_h * z + d_s[t] @ p["U"].T
    d_a, d_s = d_a.reshape(T * B, 3 * H), d_s.reshape(T * B, 3 * H)
    g["U"] = hs[:-1].reshape(T * B, H).T @ d_s
    g["W"] = x.reshape(T * B, D).T @ d_a
    g["b"] = d_a.sum(axis=0)
    add_rows(g["E"], ids.reshape(-1), (d_a @ p["W"].T) * keep_x.reshape(T * B, D))
    return Pass(loss, g, hs[-1])


def add_rows(table: Array, ids: Ids, rows: Array) -> None:
    """table[id] += row for each id: what np.add.at does, faster, since rows of one id are summed first."""
    order = np.argsort(ids, kind="stable")
    found, starts = np.unique(ids[order], return_index=True)
    table[found] += np.add.reduceat(rows[order], starts)
