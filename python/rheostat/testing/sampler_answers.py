"""What a sampler under test gave, in one form: the kept ids, and probabilities where it has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.reference import law

Row = NDArray[np.float32]
Ids = NDArray[np.int64]

RETURNS = ("ids", "mask", "probabilities", "logits", "token")

# Probabilities may be off by so much of their value: float16 is not, a wrong temperature or sum is.
RELATIVE = 2e-3


class Answer(NamedTuple):
    """One row's."""

    ids: Ids
    """The kept ids, ascending."""
    probabilities: NDArray[np.float64] | None = None
    """(vocab,), where the sampler gives them."""
    error: str = ""
    """What it raised instead."""


def answers_of(fn: Callable[[Row], Any], x: Row, returns: str, temperature: float) -> Answer:
    """What fn keeps of a row; TypeError where that is of another kind than `returns` says."""
    try:
        given = fn(x.copy())
    except Exception as error:
        return Answer(np.array([], np.int64), error=f"{type(error).__name__}: {error}")
    array = np.asarray(given)
    kinds, shape = {"ids": ("iu", None), "mask": ("b", x.shape)}.get(returns, ("f", x.shape))
    if (
        (array.size and array.dtype.kind not in kinds)
        or (shape is not None and array.shape != shape)
        or array.ndim != 1
    ):
        wanted = "ids, (n,) of integers" if returns == "ids" else f"{returns}, {x.shape}"
        raise TypeError(
            f"fn must return {wanted}, got shape {array.shape} of {array.dtype} for a row of {x.size}"
        )
    if returns == "ids":
        ids = np.unique(array).astype(np.int64)
        if ids.size and not 0 <= ids[0] <= ids[-1] < x.size:
            raise KnobError(
                f"fn must return ids in [0, {x.size}), got {ids[0]} to {ids[-1]}", "fn", ids.tolist()
            )
        return Answer(ids)
    if returns == "mask":
        return Answer(np.flatnonzero(array))
    if returns == "logits":
        return Answer(np.flatnonzero(array > -np.inf))
    # A float32 may have a probability for what the law weighs at nothing, and calls not kept here.
    ids = np.flatnonzero((array > 0) & (law.integer_weights(x, temperature or 1.0) > 0))
    return Answer(ids, array.astype(np.float64))


def wrong_probabilities(x: Row, answer: Answer, temperature: float) -> tuple[str, str] | None:
    """Of what is rightly kept: whether the probabilities are those of the kept set."""
    if answer.probabilities is None:
        return None
    w = law.integer_weights(x[answer.ids], temperature or 1.0).astype(np.float64)
    right = w / w.sum()
    ratio = answer.probabilities[answer.ids] / right
    ratio = ratio[right > 1e-6]  # below, an integer weight has few digits
    if np.all(np.abs(ratio - 1) <= RELATIVE):
        return None
    if ratio.max() - ratio.min() <= RELATIVE * ratio.max():
        return "renormalisation", "gives probabilities that do not add up to 1 over what is kept"
    return "probabilities", "gives probabilities of another temperature or distribution"
