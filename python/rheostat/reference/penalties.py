"""Biases and penalties: what moves logits before the chain, in this order. Each touches only the tokens it
names.

Knobs are rounded to float32 once, and every operation is one float32 operation, so the results are those of
transformers and llama.cpp to the last bit. What is at -inf stays there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.reference import dry
from rheostat.reference.masks import History, ends_with
from rheostat.reference.table import Knobs

Ids = NDArray[np.int64]
Row = NDArray[np.float32]


def adjust(x: Row, knobs: Knobs, history: History, row: int) -> tuple[Row, list[str]]:
    """The row after biases and penalties; and the names of those that took a logit to -inf."""
    names = []
    for name, value, step in (
        ("logit_bias", knobs.logit_bias, logit_bias),
        ("sequence_bias", knobs.sequence_bias, sequence_bias),
        ("repetition_penalty", knobs.repetition_penalty, repetition),
        ("frequency_penalty", knobs.frequency_penalty, frequency_and_presence),
        ("dry_multiplier", knobs.dry_multiplier, dont_repeat_yourself),
    ):
        with np.errstate(over="ignore", invalid="ignore"):
            after = step(x, knobs, history)
        infinite = ~(after < np.inf)  # NaN too: biases of one token that sum to +inf, then -inf
        if infinite.any():
            token = int(np.argmax(infinite))
            if name == "logit_bias":
                value = knobs.logit_bias[token]
            if name == "sequence_bias":
                value = max(bias for end, bias in completed(knobs, history) if end == token)
            raise _infinite(name, value, knobs, row, token)
        if ((x > -np.inf) & (after == -np.inf)).any():
            names.append(name)
        x = after
    return x, names


def logit_bias(x: Row, knobs: Knobs, history: History) -> Row:
    """x + bias. (OpenAI)"""
    bias = knobs.logit_bias or {}
    return _replaced(x, bias, lambda x, ids: np.add(x, _float32(bias[i] for i in ids)))


def sequence_bias(x: Row, knobs: Knobs, history: History) -> Row:
    """x + bias for the last id of every sequence whose other ids the history ends with. (transformers)

    The biases of one token are added up first, shortest sequence first, then as given.
    """
    total: dict[int, float] = {}
    for token, bias in completed(knobs, history):
        total[token] = float(np.float32(total.get(token, 0)) + np.float32(bias))
    return _replaced(x, total, lambda x, ids: np.add(x, _float32(total[i] for i in ids)))


def completed(knobs: Knobs, history: History) -> list[tuple[int, float]]:
    """Last id and bias of every sequence whose other ids the history ends with, the shortest first."""
    biases = sorted((knobs.sequence_bias or {}).items(), key=lambda item: len(item[0]))
    return [(ids[-1], bias) for ids, bias in biases if ends_with(history.all, ids[:-1])]


def repetition(x: Row, knobs: Knobs, history: History) -> Row:
    """x / r if x > 0 else x * r, for what the window holds. (Keskar et al. 2019)"""
    r = np.float32(knobs.repetition_penalty)
    seen = window(history.all, knobs.penalty_last_n)
    return _replaced(x, seen if r != 1 else (), lambda x, _: np.where(x > 0, x / r, x * r))


def frequency_and_presence(x: Row, knobs: Knobs, history: History) -> Row:
    """x - (f * count + presence), for what the window holds. (OpenAI)"""
    f, presence = np.float32(knobs.frequency_penalty), np.float32(knobs.presence_penalty)
    of_all = knobs.penalty_last_n is not None
    counts = Counter(window(history.all if of_all else history.output, knobs.penalty_last_n))
    if f == 0 and presence == 0:
        return x
    return _replaced(x, counts, lambda x, ids: x - (f * _float32(counts[i] for i in ids) + presence))


def dont_repeat_yourself(x: Row, knobs: Knobs, history: History) -> Row:
    """x - multiplier * float32(base ** n), n what the repetition's length has over the allowed length. (p-e-w
    2024)
    """
    multiplier, base = np.float32(knobs.dry_multiplier), float(np.float32(knobs.dry_base))
    if multiplier == 0:
        return x
    lengths = dry.continuations(
        window(history.all, knobs.dry_penalty_last_n), frozenset(knobs.dry_sequence_breakers or ())
    )
    excess = {i: k - knobs.dry_allowed_length for i, k in lengths.items() if k >= knobs.dry_allowed_length}
    # base ** n by repeated products, in float64
    powers = np.multiply.accumulate([1.0] + [base] * max(excess.values(), default=0)).astype(np.float32)
    return _replaced(x, excess, lambda x, ids: x - multiplier * powers[[excess[i] for i in ids]])


def window(ids: tuple[int, ...], n: int | None) -> tuple[int, ...]:
    """The last n ids; None is all."""
    return ids if n is None else ids[max(len(ids) - n, 0) :]


def _replaced(x: Row, ids: Iterable[int], formula: Callable[[Row, Sequence[int]], Row]) -> Row:
    """The row with the formula's values at the ids, each once; what is at -inf stays there."""
    alive = [i for i in dict.fromkeys(ids) if x[i] > -np.inf]
    result = x.copy()
    result[alive] = formula(x[alive], alive)
    return result


def _float32(values: Iterable[float]) -> Row:
    return np.array(list(values), np.float32)


def _infinite(name: str, value: float, knobs: Knobs, row: int, token: int) -> KnobError:
    if name == "frequency_penalty" and value == 0:
        name, value = "presence_penalty", knobs.presence_penalty
    return KnobError(
        f"{name} must leave every logit below +inf, got {value!r} which does not at row {row}, token {token}",
        name,
        value,
    )
