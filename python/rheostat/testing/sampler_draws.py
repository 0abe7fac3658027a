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
from rheostat.testing.chi_square import ChiSquare, chi_square, summed
from rheostat.testing.sampler_answers import Answer
from rheostat.testing.temperature_fit import TemperatureFit, temperature_fit

Row = NDArray[np.float32]
Ids = NDArray[np.int64]

# The worst row, all rows together, and the temperature.
TESTS = 3


class DrawError(Exception):
    """What a sampler under test raised, in words."""


@dataclass(frozen=True)
class DrawTest:
    """Three tests of the draws of all rows; a right sampler fails one of them `false_alarm` of the time."""

    rows: int
    draws: int
    """From each row."""
    false_alarm: float
    worst: ChiSquare
    """The chi-square test of the row with the least p-value, which is the row's alone."""
    row: tuple[float, ...]
    """That row."""
    together: ChiSquare
    """The chi-square test of all rows as one."""
    temperature: TemperatureFit
    """The test against other temperatures."""
    outside: int
    """How many of all draws were tokens that the sampler itself does not keep."""
    tested: bool
    """Whether any row keeps more than one token, between which there is something to draw."""
    error: str = ""
    """What the sampler raised first, in place of a draw; its row is left out."""

    @property
    def p_value(self) -> float:
        """How often a right sampler does as badly in one of the three tests, the worst row being the worst of
        all.
        """
        least = min(self.rows * self.worst.p_value, self.together.p_value, self.temperature.p_value)
        return min(TESTS * least, 1.0)

    @property
    def ok(self) -> bool:
        """Whether `p_value` is not below `false_alarm`, all that was drawn is kept, and nothing was
        raised.
        """
        return self.p_value >= self.false_alarm and not self.outside and not self.error

    def __str__(self) -> str:
        parts = []
        if self.error:
            parts.append(f"it raises {self.error}")
        if self.outside:
            parts.append(f"{self.outside} draws are of tokens that it does not keep")
        if self.tested:
            parts.append(f"p = {self.p_value:.2g} in {self.draws} from each of {self.rows} rows")
            parts.append(f"the worst row has a chi-square of {_shown(self.worst)}")
            parts.append(f"all rows one of {_shown(self.together)}")
            parts.append(f"likeliest at {self.temperature.factor:.3g} times the temperature")
        elif self.ok:
            parts.append("each row keeps one token")
        verdict = "FAIL" if not self.ok else "pass" if self.tested else "not tested"
        alarm = f"{self.false_alarm:g}"
        bound = f"; it fails below p = {alarm} (a right sampler fails {alarm} of the time)"
        return f"draws: {verdict}, {', '.join(parts)}{bound if self.tested else ''}."


def _shown(test: ChiSquare) -> str:
    return f"{test.statistic:.1f} at {test.freedom} degrees of freedom"


def tokens_of(draw: Callable[[Row], Any], x: Row, draws: int) -> NDArray[np.int64]:
    """So many draws, counted: (vocab,) int64; DrawError where one of them raises."""
    counts = np.zeros(x.size, np.int64)
    for _ in range(draws):
        try:
            given = draw(x.copy())
        except Exception as error:
            raise DrawError(f"{type(error).__name__}: {error}") from error
        token = index(given)
        if token is None or isinstance(given, bool):
            raise TypeError(f"fn must return a token, got {type(given).__name__}")
        if not 0 <= token < x.size:
            raise KnobError(f"fn must return a token in [0, {x.size}), got {token}", "fn", token)
        counts[token] += 1
    return counts


def drawn_sets(fn: Callable[[Row], Any], x: Row, draws: int) -> Answer:
    """The tokens that were drawn at all."""
    try:
        return Answer(np.flatnonzero(tokens_of(fn, x, draws)))
    except DrawError as error:
        return Answer(np.array([], np.int64), error=str(error))


def draw_test(
    draw: Callable[[Row], Any],
    kept: list[tuple[Row, Ids]],
    temperature: float,
    draws: int,
    false_alarm: float,
) -> DrawTest:
    """Each row's draws against the exact weights of the ids that are kept of it."""
    tests, drawn, outside, error = [(ChiSquare(0.0, 0, 1.0), kept[0][0])], [], 0, ""
    for x, ids in kept:
        try:
            counts = tokens_of(draw, x, draws)
        except DrawError as raised:
            error = error or str(raised)
            continue
        w = law.integer_weights(x[ids], temperature or 1.0)
        inside, w = counts[ids[w > 0]], w[w > 0]
        outside += draws - int(inside.sum())
        if inside.sum():
            tests.append((chi_square(inside, w), x))
            drawn.append((inside, w))
    worst, row = min(tests, key=lambda test: test[0].p_value)
    return DrawTest(
        rows=len(kept),
        draws=draws,
        false_alarm=false_alarm,
        worst=worst,
        row=tuple(row.tolist()),
        together=summed(test for test, _ in tests),
        temperature=temperature_fit(drawn),
        outside=outside,
        tested=any(w.size > 1 for _, w in drawn),
        error=error,
    )
