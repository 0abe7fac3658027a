"""The chain: filters in an order, each working on what the ones before it have kept.

State between steps: the kept tokens' logits x (n,) float32 in id order, and the temperature applied so far (1
before its place). A filter answers with a mask over them; it never sees what is no longer kept, which is why
`sample(top_p(x, p)) == sample(x, top_p=p)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.reference import knobs as rules
from rheostat.reference import law

Row = NDArray[np.float32]
Mask = NDArray[np.bool_]

PRESETS = {
    "vllm": ("temperature", "min_p", "top_k", "top_p"),
    "hf": ("temperature", "top_k", "top_p", "min_p"),
    "llama.cpp": ("top_k", "top_p", "min_p", "temperature"),
}
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


class Knobs(NamedTuple):
    """One row's knobs, checked."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0


def keep_first(x: Row) -> Mask:
    """Greedy: exactly the first token in the law's order."""
    mask = np.zeros(x.size, np.bool_)
    mask[law.first(x)] = True
    return mask


def keep_top_k(x: Row, k: int) -> Mask:
    """The first k tokens in the law's order; 0 keeps all. (Fan et al. 2018)"""
    mask = np.zeros(x.size, np.bool_)
    mask[law.order(x)[: k or None]] = True
    return mask


def keep_top_p(x: Row, p: float, temperature: float) -> Mask:
    """The nucleus: the shortest prefix of the law's order with sum(W) >= ceil(p * S). (Holtzman et al. 2020)

    The token that crosses p is kept, so at least one always is; 1 keeps all.
    """
    if p == 1:
        return np.ones(x.size, np.bool_)
    order = law.order(x)
    w = law.integer_weights(x, temperature)
    cumulative = np.cumsum(w[order], dtype=np.uint64)
    target = law.share(p, law.total(w))
    size = int(np.searchsorted(cumulative, np.uint64(target), side="left")) + 1
    mask = np.zeros(x.size, np.bool_)
    mask[order[:size]] = True
    return mask


def keep_min_p(x: Row, min_p: float, temperature: float) -> Mask:
    """W >= ceil(min_p * 2**43), 2**43 being the weight of the largest; 0 keeps all. (Nguyen et al. 2024)"""
    return law.integer_weights(x, temperature) >= np.uint64(law.share(min_p, law.UNIT))


def run(x: Row, knobs: Knobs, chain: Sequence[str]) -> tuple[NDArray[np.int64], float]:
    """The ids kept by the whole chain, ascending, and the temperature they are drawn at."""
    ids = np.flatnonzero(x > -np.inf)
    temperature = 1.0
    for step in chain:
        kept = x[ids]
        at = temperature or 1.0  # after greedy one token is left, and every temperature weighs it the same
        if step == "temperature":
            temperature = knobs.temperature
            mask = keep_first(kept) if temperature == 0 else np.ones(ids.size, np.bool_)
        elif step == "top_k":
            mask = keep_top_k(kept, knobs.top_k)
        elif step == "top_p":
            mask = keep_top_p(kept, knobs.top_p, at)
        else:
            mask = keep_min_p(kept, knobs.min_p, at)
        ids = ids[mask]
    return ids, temperature or 1.0


def chain_of(chain: Any, knobs: Sequence[Knobs]) -> tuple[str, ...]:
    """The order of the filters, from a preset's name or a tuple of knob names."""
    if isinstance(chain, str):
        if chain not in PRESETS:
            names = ", ".join(map(repr, PRESETS))
            raise KnobError(
                f"chain must be one of {names} or a tuple of knob names, got {chain!r}", "chain", chain
            )
        return PRESETS[chain]
    if not isinstance(chain, tuple | list):
        raise TypeError(f"chain must be a preset's name or a tuple of knob names, got {type(chain).__name__}")
    for at, name in enumerate(chain):
        if not isinstance(name, str):
            raise TypeError(
                f"chain must be a preset's name or a tuple of knob names, got {type(name).__name__} in it"
            )
        if name not in OFF:
            raise KnobError(f"chain must name knobs among {', '.join(OFF)}, got {name!r}", "chain", name)
        if name in chain[:at]:
            raise KnobError(f"chain must name each knob once, got {name!r} twice", "chain", name)
    for name, off in OFF.items():
        if name not in chain and any(getattr(row, name) != off for row in knobs):
            raise KnobError(f"chain must name every knob that is set, got none for {name!r}", "chain", name)
    return tuple(chain)


def knobs_of(rows: int, is_row: bool, temperature: Any, top_k: Any, top_p: Any, min_p: Any) -> list[Knobs]:
    """One `Knobs` for each row, from scalars or one value per row."""
    columns = [
        rules.per_row(
            "temperature", rules.TEMPERATURE, rules.number_of("temperature", temperature), rows, is_row
        ),
        rules.per_row("top_k", rules.TOP_K, rules.integer_of("top_k", top_k), rows, is_row),
        rules.per_row("top_p", rules.TOP_P, rules.number_of("top_p", top_p), rows, is_row),
        rules.per_row("min_p", rules.MIN_P, rules.number_of("min_p", min_p), rows, is_row),
    ]
    return [Knobs(*row) for row in zip(*columns, strict=True)]
