"""transformers: the warpers of `generate`, one after another in its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from transformers.generation import logits_process as warpers

from rheostat.testing.peers.base import Program, Row, Setting

CLASSES = {
    "temperature": "TemperatureLogitsWarper",
    "top_h": "TopHLogitsWarper",
    "top_k": "TopKLogitsWarper",
    "top_p": "TopPLogitsWarper",
    "min_p": "MinPLogitsWarper",
    "typical_p": "TypicalLogitsWarper",
    "epsilon_cutoff": "EpsilonLogitsWarper",
    "eta_cutoff": "EtaLogitsWarper",
}
KNOBS: tuple[dict[str, Any], ...] = (
    {"temperature": 0.7},
    {"top_k": 5},
    {"top_p": 0.9},
    {"top_p": 0.5},
    {"temperature": 0.7, "top_p": 0.9},
    {"min_p": 0.1},
    {"typical_p": 0.9},
    {"epsilon_cutoff": 0.01},
    {"eta_cutoff": 0.01},
    {"top_h": 0.5},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.05},
)


def warp(knobs: dict[str, Any]) -> Callable[[Row], Any]:
    """The scores after the warpers, (1, vocab) torch.float32."""
    chain = [getattr(warpers, CLASSES[name])(knobs[name]) for name in CLASSES if name in knobs]

    def scores(x: Row) -> Any:
        given = torch.from_numpy(x)[None]
        for warper in chain:
            given = warper(None, given)
        return given

    return scores


def setting(knobs: dict[str, Any]) -> Setting:
    scores = warp(knobs)
    names = [f"{CLASSES[name]}({knobs[name]})" for name in CLASSES if name in knobs]
    code = "torch.tensor([x])"
    for name in names:
        code = f"{name}(None, {code})"

    def logits(x: Row) -> Any:
        return np.asarray(scores(x)[0])

    def draw(x: Row) -> int:
        return int(torch.multinomial(torch.softmax(scores(x), dim=-1), 1))

    return Setting({**knobs, "chain": "hf"}, code, logits, "logits", draw)


def load() -> Program:
    """Its warpers, and `torch.multinomial`, which draws."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    version = f"{transformers.__version__} with torch {torch.__version__}"
    return Program("transformers", version, tuple(setting(knobs) for knobs in KNOBS))
