"""The filters one by one: the logits as float32, every token outside the kept set at -inf."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.reference import chain
from rheostat.reference import knobs as rules
from rheostat.reference.arrays import as_logits, as_out, check_row, finish
from rheostat.reference.table import Knobs

Row = NDArray[np.float32]


def top_k(logits: ArrayLike, k: Any, /, *, temperature: Any = 1.0, out: Row | None = None) -> Row:
    """Keep the k largest logits; see `rheostat.top_k`."""
    return _filter("top_k", "k", rules.TOP_K, rules.integer_of("k", k), logits, temperature, out)


def top_p(logits: ArrayLike, p: Any, /, *, temperature: Any = 1.0, out: Row | None = None) -> Row:
    """Keep the nucleus; see `rheostat.top_p`."""
    return _filter("top_p", "p", rules.TOP_P, rules.number_of("p", p), logits, temperature, out)


def min_p(logits: ArrayLike, p: Any, /, *, temperature: Any = 1.0, out: Row | None = None) -> Row:
    """Keep what weighs at least p times the largest; see `rheostat.min_p`."""
    return _filter("min_p", "p", rules.MIN_P, rules.number_of("p", p), logits, temperature, out)


def _filter(
    knob: str,
    argument: str,
    rule: rules.Rule,
    value: Any,
    logits: ArrayLike,
    temperature: Any,
    out: Row | None,
) -> Row:
    x, is_row = as_logits(logits)
    target = as_out(out, logits, x, is_row)
    values = rules.per_row(argument, rule, value, len(x), is_row)
    number = rules.number_of("temperature", temperature)
    temperatures = rules.per_row("temperature", rules.TEMPERATURE, number, len(x), is_row)
    checked = [check_row(x, row) for row in range(len(x))]  # every row before any is written
    results = []
    for row, t, v in zip(checked, temperatures, values, strict=True):
        ids = chain.run(row, Knobs(temperature=t, **{knob: v}), ("temperature", knob)).ids
        kept = np.full_like(row, -np.inf)
        kept[ids] = row[ids]
        results.append(kept)
    result: Row = finish(results, target)
    return result
