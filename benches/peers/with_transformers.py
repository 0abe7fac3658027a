"""transformers: its warpers as `generate` calls them, then softmax and multinomial."""

from __future__ import annotations

import numpy as np
import transformers
from transformers.generation import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from peers.base import Peer, Task
from peers.with_torch import draw, kept, tensor


def sample(row: np.ndarray, temperature: float, top_p: float) -> Task:
    logits = tensor(row)
    warpers = LogitsProcessorList()
    if temperature != 1:
        warpers.append(TemperatureLogitsWarper(float(temperature)))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    return Task(lambda: draw(warpers(None, logits)), kept(warpers(None, logits)))


PEERS = {"transformers": Peer("transformers", transformers.__version__, sample)}
