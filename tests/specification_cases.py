"""Random rows, knobs and histories for the specification: a case is decided by its number."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import rheostat

VOCAB = 24
FEW = VOCAB - 3  # ids below every vocab_size
NOT_KNOBS = ("logits", "chain", "prompt_ids", "output_ids", "seed", "stream", "position", "u")
OFF = {
    name: parameter.default
    for name, parameter in inspect.signature(rheostat.sample).parameters.items()
    if name not in NOT_KNOBS
}


class Case(NamedTuple):
    """A row (VOCAB,), its knobs, its chance and its history."""

    x: np.ndarray
    knobs: dict[str, Any]
    place: dict[str, int]
    prompt: list[int]
    output: list[int]
    chain: Any

    @property
    def k(self) -> SimpleNamespace:
        """The knobs as the specification reads them: every one, at its off value unless it is set."""
        return SimpleNamespace(**OFF | self.knobs)

    @property
    def rest(self) -> dict[str, Any]:
        """History and chain, under the specification's names."""
        return {"prompt": self.prompt, "output": self.output, "chain": self.chain}

    @property
    def asked(self) -> dict[str, Any]:
        """The same for rheostat, with the knobs and the chance."""
        history = {"prompt_ids": self.prompt, "output_ids": self.output, "chain": self.chain}
        return self.knobs | history | self.place


def case(number: int, steps: list[str], presets: list[str]) -> Case:
    """Filters above all, and a few of the others. The chain is a preset, or an order of all steps."""
    rng = np.random.default_rng([1, number])
    knobs = some(rng, FILTERS, 0.3) | some(rng, MASKS | MOVERS, 0.15)
    x = random_row(rng)
    if "temperature" in knobs:  # x / T stays a number
        x[np.abs(x) > 100] /= np.float32(1e30)
    chain = str(rng.choice(presets)) if rng.random() < 0.6 else tuple(rng.permutation(steps).tolist())
    return Case(x, knobs, place(rng), history(rng), history(rng), chain)


def shaping_case(number: int) -> Case:
    """Biases and penalties together, and a few masks: no filter, so that every logit is seen."""
    rng = np.random.default_rng([2, number])
    knobs = some(rng, MOVERS, 0.75) | some(rng, MASKS, 0.15)
    return Case(random_row(rng), knobs, place(rng), history(rng), history(rng), ())


def place(rng):
    seed, stream, position = rng.integers(2**63), rng.integers(9), rng.integers(9)
    return {"seed": int(seed), "stream": int(stream), "position": int(position)}


def history(rng):
    """Few different ids, so that much repeats."""
    return rng.integers(rng.choice([3, 4, FEW]), size=rng.integers(14)).tolist()


def random_row(rng, size=VOCAB):
    """(size,) float32: smooth, tied, peaked, with forbidden tokens and far tails."""
    x = (rng.normal(size=size) * rng.choice([0.3, 2, 8, 40])).astype(np.float32)
    if rng.random() < 0.4:
        x = np.round(x) + np.float32(0)
    x[rng.random(size) < 0.1] = rng.choice([-np.inf, -0.0, 1e30, -1e30])
    x[rng.integers(size)] = 1.0
    return x


FILTERS = {
    "temperature": lambda rng: float(rng.choice([0, 1e-30, 0.3, 0.8, 1.7, 1e30])),
    "top_k": lambda rng: int(rng.integers(1, VOCAB + 3)),
    "top_p": lambda rng: float(rng.choice([1e-9, 0.3, 0.9, 0.999999, rng.random()])),
    "min_p": lambda rng: float(rng.choice([1e-9, 0.05, 0.5, 1])),
    "typical_p": lambda rng: float(rng.choice([0.2, 0.9, rng.random()])),
    "epsilon_cutoff": lambda rng: float(rng.choice([1e-3, 0.1, 0.9])),
    "eta_cutoff": lambda rng: float(rng.choice([1e-3, 0.1, 0.9])),
    "top_h": lambda rng: float(rng.choice([0.1, 0.5, 1])),
    "top_n_sigma": lambda rng: float(rng.choice([0.5, 1.5, 1e300])),
    "xtc_probability": lambda rng: float(rng.choice([0.5, 1])),
    "xtc_threshold": lambda rng: float(rng.choice([0, 0.05, 0.3])),
}
MASKS = {
    "vocab_size": lambda rng: VOCAB - int(rng.integers(3)),
    "allowed_token_ids": lambda rng: rng.integers(FEW, size=12).tolist(),
    "bitmask": lambda rng: rng.integers(-(2**31), 2**31, 1, dtype=np.int32),
    "banned_token_ids": lambda rng: rng.integers(FEW, size=3).tolist(),
    "bad_words": lambda rng: [rng.integers(4, size=n).tolist() for n in rng.integers(1, 4, size=3)],
    "no_repeat_ngram_size": lambda rng: int(rng.integers(1, 4)),
    "min_tokens": lambda rng: int(rng.integers(1, 30)),
    "eos_token_id": lambda rng: rng.integers(FEW, size=2).tolist(),
    "stop_token_ids": lambda rng: rng.integers(FEW, size=1).tolist(),
}
MOVERS = {
    "logit_bias": lambda rng: {
        int(i): float(rng.choice([-np.inf, 0.1, -7])) for i in rng.integers(8, size=4)
    },
    "sequence_bias": lambda rng: {
        tuple(rng.integers(3, size=n).tolist()): float(rng.normal()) for n in rng.integers(1, 4, size=6)
    },
    "repetition_penalty": lambda rng: float(rng.choice([0.7, 1.1, 1.5])),
    "frequency_penalty": lambda rng: float(rng.normal()),
    "presence_penalty": lambda rng: float(rng.normal()),
    "penalty_last_n": lambda rng: int(rng.integers(20)),
    "dry_multiplier": lambda rng: float(rng.choice([0.8, 0.1])),
    "dry_base": lambda rng: float(rng.choice([1.75, 1e38])),
    "dry_allowed_length": lambda rng: int(rng.integers(4)),
    "dry_penalty_last_n": lambda rng: int(rng.integers(20)),
    "dry_sequence_breakers": lambda rng: rng.integers(4, size=1).tolist(),
}


def some(rng, table, chance):
    """Each knob of a table by that chance."""
    return {name: value(rng) for name, value in table.items() if rng.random() < chance}
