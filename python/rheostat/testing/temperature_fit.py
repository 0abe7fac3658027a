"""The temperature that draws look like: the test that sees a slight, common lean of many rows.

A sampler that weighs tokens by W**e in place of W draws at 1/e times the temperature. With p = W / sum(W) in
each row, n draws of it and c of each token, the log-likelihood of e over that of 1 is

    L(e) = sum over rows of  (e - 1) * sum(c * ln p) - n * ln sum(p**e),

which has one maximum. For a right sampler L(e) of the best e > 1 reaches t with a chance of exp(-t) at most,
and so does that of the best e < 1 (Chernoff 1952): a bound for any number of draws and any weights, however
rare some tokens are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The exponents that are tried are 2**-6 to 2**6, and the best is found to 2**-40 of that range.
OCTAVES = 6.0
HALVINGS = 40


class TemperatureFit(NamedTuple):
    """The outcome of the test."""

    factor: float
    """The draws are likeliest at so many times the right temperature."""
    p_value: float
    """How often, at most, a right sampler looks so much like another temperature."""


def temperature_fit(rows: list[tuple[NDArray[np.int64], NDArray[np.uint64]]]) -> TemperatureFit:
    """Tests rows of counts (n,) against weights (n,), of which none is 0.

    >>> import numpy as np
    >>> weights = np.array([9, 3, 1], np.uint64)
    >>> fit = temperature_fit([(np.array([814, 163, 33]), weights)])  # nearly 25 : 5 : 1
    >>> round(fit.factor, 2), fit.p_value < 1e-9
    (0.68, True)
    """
    data: list[tuple[float, NDArray[np.float64], int]] = []
    for counts, weights in rows:
        # Weights beside the largest: what is common to a row cancels out, and exp(e * log_w) stays above 0.
        log_w = np.log(weights.astype(np.float64) / float(weights.max()))
        if log_w.any():  # equal weights are equal at every temperature
            data.append((float(counts @ log_w), log_w, int(counts.sum())))
    if not data:
        return TemperatureFit(1.0, 1.0)

    def slope(exponent: float) -> float:
        """L'(e), which falls."""
        return sum(
            seen - draws * float(np.average(log_w, weights=np.exp(exponent * log_w)))
            for seen, log_w, draws in data
        )

    low, high = -OCTAVES, OCTAVES
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(2.0**middle) > 0 else (low, middle)
    best = 2.0 ** ((low + high) / 2)
    gain = sum(
        (best - 1) * seen - draws * math.log(np.exp(best * log_w).sum() / np.exp(log_w).sum())
        for seen, log_w, draws in data
    )
    return TemperatureFit(1 / best, min(1.0, 2 * math.exp(-gain)))
