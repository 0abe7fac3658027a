"""The chain: steps in an order, each working on what the ones before it have kept.

A step is the temperature, a cut (see `cuts`) or a Python callable. It never sees what is no longer kept,
which is why `sample(top_p(x, p)) == sample(x, top_p=p)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.reference.cuts import CUTS, Kept, keep_first, keep_unsurprising
from rheostat.reference.softmaxes import softmax_row
from rheostat.reference.table import STEPS, Knobs

Row = NDArray[np.float32]
Mask = NDArray[np.bool_]
Ids = NDArray[np.int64]
Step = str | Callable[[Ids, Row, Row], Any]

PRESETS: dict[str, tuple[str, ...]] = {
    "vllm": ("temperature", "min_p", "top_k", "top_p"),
    "hf": (
        "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
    ),
    "llama.cpp": ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"),
}  # fmt: skip

# What is set but not named by a preset runs after it, in this order.
AFTER = ("top_n_sigma", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h", "xtc")


def run(x: Row, knobs: Knobs, chain: Sequence[Step], xtc: bool = False, mu: float | None = None) -> Kept:
    """What the whole chain keeps, with the temperature to draw at; `xtc` is whether chance lets XTC act, `mu`
    the bound of the step "mirostat", which only a sequence's chain has.
    """
    ids = np.flatnonzero(x > -np.inf)
    kept = Kept(ids, x[ids], 1.0)
    for step in chain:
        kept = take(kept, step, knobs, xtc, mu)
    return kept


def take(kept: Kept, step: Step, knobs: Knobs, xtc: bool, mu: float | None = None) -> Kept:
    """One step of the chain."""
    if callable(step):
        return _only(kept, call(step, kept))
    if step == "mirostat":
        assert mu is not None
        return _only(kept, keep_unsurprising(kept, mu))
    if not knobs.sets(step) or (step == "xtc" and not xtc):
        return kept
    if step != "temperature":
        return _only(kept, CUTS[step](kept, knobs))
    if knobs.temperature == 0:  # one token is left, and every temperature weighs it the same
        return _only(kept, keep_first(kept))
    return kept._replace(temperature=knobs.temperature)


def call(step: Callable[[Ids, Row, Row], Any], kept: Kept) -> Mask:
    """What a callable keeps of the survivors' (ids, logits, probabilities): a mask over them, or ids among
    them.
    """
    name = getattr(step, "__name__", type(step).__name__)
    answer = step(kept.ids.copy(), kept.x.copy(), softmax_row(kept.x, kept.temperature))
    rule = "chain must have callables that return a boolean mask or ids"
    try:
        array = np.asarray(answer)
    except ValueError:
        raise TypeError(f"{rule}, got a ragged list from {name}") from None
    # Of uint8 were the masks of older programs: whether 0 and 1 are ids cannot be told.
    if (array.dtype.kind not in "biu" or array.dtype == np.uint8) and array.size:
        raise TypeError(f"{rule}, got an array of {array.dtype} from {name}")
    if array.dtype.kind == "b":
        if array.shape != kept.ids.shape:
            rule = f"chain must have callables whose mask has shape ({kept.ids.size},)"
            message = f"{rule}, got shape {array.shape} from {name}"
            raise KnobError(message, "chain", array.shape)
        mask = array
    else:
        strangers = np.setdiff1d(array, kept.ids)
        if strangers.size:
            message = (
                f"chain must have callables that return ids they were given, got {strangers[0]} from {name}"
            )
            raise KnobError(message, "chain", int(strangers[0]))
        mask = np.isin(kept.ids, array)
    if not mask.any():
        raise KnobError(
            f"chain must have callables that keep at least one token, got none from {name}", "chain", 0
        )
    return mask


def chain_of(chain: Any, knobs: Sequence[Knobs]) -> tuple[Step, ...]:
    """The order of the steps, from a preset's name or a tuple of knob names and callables."""
    if isinstance(chain, str):
        if chain not in PRESETS:
            names = ", ".join(map(repr, PRESETS))
            raise KnobError(
                f"chain must be one of {names} or a tuple of knob names, got {chain!r}", "chain", chain
            )
        preset = PRESETS[chain]
        return preset + tuple(step for step in AFTER if step not in preset and _set_in_any(step, knobs))
    if not isinstance(chain, tuple | list):
        raise TypeError(f"chain must be a preset's name or a tuple of knob names, got {type(chain).__name__}")
    for at, step in enumerate(chain):
        if callable(step):
            continue
        if not isinstance(step, str):
            raise TypeError(
                f"chain must be a preset's name or a tuple of knob names, got {type(step).__name__} in it"
            )
        if step not in STEPS:
            raise KnobError(f"chain must name knobs among {', '.join(STEPS)}, got {step!r}", "chain", step)
        if step in chain[:at]:
            raise KnobError(f"chain must name each knob once, got {step!r} twice", "chain", step)
    for step in STEPS:
        if step not in chain and _set_in_any(step, knobs):
            raise KnobError(f"chain must name every knob that is set, got none for {step!r}", "chain", step)
    return tuple(chain)


def _set_in_any(step: str, knobs: Sequence[Knobs]) -> bool:
    return any(row.sets(step) for row in knobs)


def _only(kept: Kept, mask: Mask) -> Kept:
    return kept._replace(ids=kept.ids[mask], x=kept.x[mask])
