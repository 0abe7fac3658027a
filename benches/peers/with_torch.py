"""torch on one thread: softmax, and top-p by the formula of transformers without its classes."""

from __future__ import annotations

import numpy as np
import torch

from peers.base import Peer, Task

torch.set_num_threads(1)


def tensor(row: np.ndarray) -> torch.Tensor:
    """The row without a copy, as a batch of one."""
    return torch.from_numpy(row)[None]


def kept(scores: torch.Tensor) -> np.ndarray:
    """Ids of what is not at -inf."""
    return torch.nonzero(scores[0] > -torch.inf).flatten().numpy()


def nucleus(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """Sorted upwards; what sums to at most 1 - p is cut."""
    ascending, order = torch.sort(scores)
    cut = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    cut[..., -1] = False
    return scores.masked_fill(cut.scatter(1, order, cut), -torch.inf)


def draw(scores: torch.Tensor) -> int:
    """One token of what is left."""
    return torch.multinomial(torch.softmax(scores, dim=-1), 1).item()


def sample(row: np.ndarray, temperature: float, top_p: float) -> Task:
    logits = tensor(row)

    def scores() -> torch.Tensor:
        return nucleus(logits / temperature, top_p) if top_p < 1 else logits / temperature

    return Task(lambda: draw(scores()), kept(scores()))


def softmax(row: np.ndarray) -> Task:
    logits = tensor(row)
    return Task(lambda: torch.softmax(logits, dim=-1), torch.softmax(logits, dim=-1)[0].numpy())


def log_softmax(row: np.ndarray) -> Task:
    logits = tensor(row)
    return Task(lambda: torch.log_softmax(logits, dim=-1), torch.log_softmax(logits, dim=-1)[0].numpy())


PEERS = {"torch": Peer("torch", torch.__version__, sample, softmax, log_softmax)}
