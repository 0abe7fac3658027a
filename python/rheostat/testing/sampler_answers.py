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
    twice: tuple[int, ...] = ()
    """The ids as they were given, ascending, where one comes twice."""


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
        got = f"got shape {array.shape} of {array.dtype} for a row of {x.size}"
        raise TypeError(f"fn must return {wanted}, {got}{_hint(array, x)}")
    if returns == "ids":
        ids = np.unique(array).astype(np.int64)
        if ids.size and not 0 <= ids[0] <= ids[-1] < x.size:
            raise KnobError(
                f"fn must return ids in [0, {x.size}), got {ids[0]} to {ids[-1]}", "fn", ids.tolist()
            )
        return Answer(ids, twice=tuple(np.sort(array).tolist()) if ids.size < array.size else ())
    if returns == "mask":
        return Answer(np.flatnonzero(array))
    if returns == "logits":
        return Answer(np.flatnonzero(array > -np.inf))
    # A float32 may have a probability for what the law weighs at nothing, and calls not kept here; what is
    # forbidden has none.
    weighs = (law.integer_weights(x, temperature or 1.0) > 0) | (x == -np.inf)
    return Answer(np.flatnonzero((array > 0) & weighs), array.astype(np.float64))


def _hint(array: NDArray[Any], x: Row) -> str:
    """The `returns` that an answer of another kind looks like, as the end of a sentence."""
    kinds = {"i": '"token"', "u": '"token"'} if array.ndim == 0 else {}
    if array.shape == x.shape:
        kinds = {"b": '"mask"', "f": '"logits" or "probabilities"', "i": '"ids"', "u": '"ids"'}
    meant = kinds.get(array.dtype.kind)
    return "" if meant is None else f"; if that is what it gives, pass returns={meant}"


def no_answer(x: Row, answer: Answer) -> tuple[str, str] | None:
    """What is wrong with an answer whatever the knobs are, as a cause and in words."""
    if answer.error:
        return "error", f"raises {answer.error}"
    if not answer.ids.size:
        return "empty", "keeps nothing"
    if (x[answer.ids] == -np.inf).any():
        return "forbidden", "keeps a token whose logit is -inf"
    if answer.twice:
        return "ids", "gives an id twice"
    return None


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
