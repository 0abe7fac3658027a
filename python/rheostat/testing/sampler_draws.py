"""Draws of a sampler under test: which tokens show up at all, and whether as often as they should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.reference import law
from rheostat.reference.stop_input import index
from rheostat.testing.chi_square import ChiSquare, chi_square
from rheostat.testing.sampler_answers import Answer

Row = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class DrawTest:
    """The chi-square tests of all rows; a right sampler fails one of them `false_alarm` of the time."""

    rows: int
    draws: int
    """From each row."""
    false_alarm: float
    worst: ChiSquare
    """The test of least p-value."""
    row: tuple[float, ...]
    """Its row."""
    outside: int
    """How many of all draws were tokens that the sampler itself does not keep."""

    @property
    def ok(self) -> bool:
        """Whether every row passes at the level `false_alarm / rows`, and all that was drawn is kept."""
        return self.worst.p_value >= self.false_alarm / self.rows and not self.outside

    def __str__(self) -> str:
        verdict = "pass" if self.ok else "FAIL"
        x, k, p = self.worst
        test = f"the worst chi-square is {x:.1f} at {k} degrees of freedom, p = {p:.2g}"
        outside = f"; {self.outside} draws are of tokens that it does not keep" if self.outside else ""
        alarm = f"a right sampler fails {self.false_alarm:g} of the time"
        return f"draws: {verdict}, {self.draws} from each of {self.rows} rows, {test}{outside} ({alarm})."


def tokens_of(draw: Callable[[Row], Any], x: Row, draws: int) -> NDArray[np.int64]:
    """So many draws, counted: (vocab,) int64."""
    counts = np.zeros(x.size, np.int64)
    for _ in range(draws):
        given = draw(x.copy())
        token = index(given)
        if token is None or isinstance(given, bool):
            raise TypeError(f"fn must return a token, got {type(given).__name__}")
        if not 0 <= token < x.size:
            raise KnobError(f"fn must return a token in [0, {x.size}), got {token}", "fn", token)
        counts[token] += 1
    return counts


def drawn_sets(fn: Callable[[Row], Any], x: Row, draws: int) -> Answer:
    """The tokens that were drawn at all."""
    return Answer(np.flatnonzero(tokens_of(fn, x, draws)))


def chi_square_of(
    draw: Callable[[Row], Any],
    kept: list[tuple[Row, Ids]],
    temperature: float,
    draws: int,
    false_alarm: float,
) -> DrawTest:
    """Each row's draws against the exact weights of the ids that are kept of it."""
    worst, row, outside = ChiSquare(0.0, 0, 1.0), kept[0][0], 0
    for x, ids in kept:
        counts = tokens_of(draw, x, draws)
        w = law.integer_weights(x[ids], temperature or 1.0)
        inside = counts[ids[w > 0]]
        outside += draws - int(inside.sum())
        if inside.sum():
            found = chi_square(inside, w[w > 0])
            if found.p_value < worst.p_value:
                worst, row = found, x
    return DrawTest(len(kept), draws, false_alarm, worst, tuple(row.tolist()), outside)
