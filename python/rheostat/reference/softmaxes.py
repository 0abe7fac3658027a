"""softmax and log_softmax with a temperature."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.reference import knobs as rules
from rheostat.reference import law
from rheostat.reference.arrays import as_logits, as_out, check_row, finish

Row = NDArray[np.float32]


def softmax_row(x: Row, temperature: float) -> Row:
    """p = w * float32(2**43 / Z): (n,) float32. One-hot at temperature 0."""
    if temperature == 0:
        p = np.zeros_like(x)
        p[law.first(x)] = 1
        return p
    z = law.total(law.integer_weights(x, temperature))
    return law.weights(x, temperature) * np.float32(law.UNIT / float(z))


def log_softmax_row(x: Row, temperature: float) -> Row:
    """ln p = (x - m) / T - ln(Z / 2**43) in float64, rounded once: (n,). 0 and -inf at temperature 0."""
    if temperature == 0:
        p = np.full_like(x, -np.inf)
        p[law.first(x)] = 0
        return p
    z = law.total(law.integer_weights(x, temperature))
    with np.errstate(over="ignore"):
        distance = (x.astype(np.float64) - float(x.max())) / temperature
        return (distance - law.ln(float(z) / law.UNIT)).astype(np.float32)


def softmax(logits: ArrayLike, /, *, temperature: Any = 1.0, out: Row | None = None) -> Row:
    """Probabilities of the tokens; see `rheostat.softmax`."""
    return _map_rows(softmax_row, logits, temperature, out)


def log_softmax(logits: ArrayLike, /, *, temperature: Any = 1.0, out: Row | None = None) -> Row:
    """Natural logarithms of the probabilities; see `rheostat.log_softmax`."""
    return _map_rows(log_softmax_row, logits, temperature, out)


def _map_rows(function: Any, logits: ArrayLike, temperature: Any, out: Row | None) -> Row:
    x, is_row = as_logits(logits)
    target = as_out(out, logits, x, is_row)
    number = rules.number_of("temperature", temperature)
    temperatures = rules.per_row("temperature", rules.TEMPERATURE, number, len(x), is_row)
    checked = [check_row(x, row) for row in range(len(x))]  # every row before any is written
    results = [function(row, t) for row, t in zip(checked, temperatures, strict=True)]
    result: Row = finish(results, target)
    return result
