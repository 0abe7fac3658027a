"""Pearson's chi-square test of draws against exact weights, in NumPy and Python alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Fewer than so many expected draws are put together with others: below that the statistic is no chi-square.
LEAST_EXPECTED = 10.0


class ChiSquare(NamedTuple):
    """The outcome of a test."""

    statistic: float
    """sum((observed - expected)**2 / expected) over the cells."""
    freedom: int
    """Cells less one."""
    p_value: float
    """How often a right sampler gives a statistic as large."""


def chi_square(observed: NDArray[np.int64], weights: NDArray[np.uint64]) -> ChiSquare:
    """Tests counts (n,) against weights (n,), of which none is 0. Cells of few expected draws are joined, the
    rarest first.

    >>> import numpy as np
    >>> chi_square(np.array([52, 48, 100]), np.array([1, 1, 2], np.uint64))
    ChiSquare(statistic=0.16, freedom=2, p_value=0.9231163463866358)
    """
    draws = int(observed.sum())
    expected = weights.astype(np.float64) / float(weights.sum()) * draws
    order = np.argsort(expected, kind="stable")
    cells: list[list[float]] = [[0.0, 0.0]]
    for seen, wanted in zip(observed[order].tolist(), expected[order].tolist(), strict=True):
        if cells[-1][1] >= LEAST_EXPECTED:
            cells.append([0.0, 0.0])
        cells[-1][0] += seen
        cells[-1][1] += wanted
    # Ascending weights leave no small cell at the end but where all are small together.
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in cells)
    freedom = len(cells) - 1
    return ChiSquare(statistic, freedom, _tail(statistic, freedom))


def summed(tests: Iterable[ChiSquare]) -> ChiSquare:
    """Independent tests as one: their sum is a chi-square too, and sees what each of them shows a little."""
    statistic, freedom = 0.0, 0
    for test in tests:
        statistic += test.statistic
        freedom += test.freedom
    return ChiSquare(statistic, freedom, _tail(statistic, freedom))


def _tail(statistic: float, freedom: int) -> float:
    """P(X >= statistic) for k degrees of freedom, h = statistic / 2: for an even k exp(-h) * sum of
    h**i / i! over i = 0, 1, .. k/2 - 1; for an odd one erfc(sqrt(h)) + exp(-h) * sum of h**i / gamma(i + 1)
    over i = 1/2, 3/2, .. k/2 - 1.
    """
    half = statistic / 2
    if freedom == 0 or half == 0:
        return 1.0
    odd = freedom % 2
    terms = (term + odd / 2 for term in range(freedom // 2))
    tail = sum(math.exp(i * math.log(half) - half - math.lgamma(i + 1)) for i in terms)
    return min(1.0, tail + (math.erfc(math.sqrt(half)) if odd else 0.0))
