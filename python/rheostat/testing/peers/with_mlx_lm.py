"""mlx-lm on the CPU: the filters of `make_sampler`, which the temperature follows."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm import sample_utils

from rheostat.testing.peers.base import Program, Row, Setting

# The order of `make_sampler`; as a chain of ours, with the temperature last.
ORDER = ("top_p", "min_p", "top_k")
KNOBS: tuple[dict[str, Any], ...] = (
    {"top_k": 5},
    {"top_p": 0.9},
    {"top_p": 0.5},
    {"min_p": 0.1},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 0.7, "top_k": 5, "top_p": 0.8, "min_p": 0.05},
)


def filtered(knobs: dict[str, Any]) -> Callable[[Row], Any]:
    """The log-probabilities after the filters: `make_sampler` shows its draws alone, so its own functions in
    turn.
    """

    def logprobs(x: Row) -> Any:
        given = mx.array(x)
        given = given - mx.logsumexp(given, keepdims=True)
        for name in ORDER:
            # At top_k of the whole vocabulary `make_sampler` raises; a model's vocabulary is never that
            # small.
            if name in knobs and not (name == "top_k" and knobs["top_k"] >= x.size):
                given = getattr(sample_utils, f"apply_{name}")(given, knobs[name])
        return given

    return logprobs


def setting(knobs: dict[str, Any]) -> Setting:
    logprobs = filtered(knobs)
    chain = tuple(name for name in (*ORDER, "temperature") if name in knobs)
    arguments = ", ".join(f"{name.replace('temperature', 'temp')}={value}" for name, value in knobs.items())
    code = "x - mx.logsumexp(x)"
    for name in ORDER:
        if name in knobs:
            code = f"apply_{name}({code}, {knobs[name]})"

    def logits(x: Row) -> Any:
        return np.array(logprobs(x))

    def draw(x: Row) -> int:
        given = mx.array(x)
        asked = {name: value for name, value in knobs.items() if not (name == "top_k" and value >= x.size)}
        sampler = sample_utils.make_sampler(temp=asked.pop("temperature", 1.0), **asked)
        return int(sampler((given - mx.logsumexp(given, keepdims=True))[None]).item())

    return Setting(
        {**knobs, "chain": chain}, f"make_sampler({arguments}), that is {code}", logits, "logits", draw
    )


def load() -> Program:
    """Its filters and its draws."""
    mx.set_default_device(mx.cpu)
    mx.random.seed(1)
    return Program("mlx-lm", f"{version('mlx-lm')} with mlx {version('mlx')}", tuple(map(setting, KNOBS)))
