"""The values among which a sweep looks: `--vary` as text, as points of a grid, and as Optuna has it.

temperature=0.2,0.7,1             these values
temperature=0.2:1.5               from 0.2 to 1.5
learning_rate=1e-4:1e-1:log       evenly in its logarithm
hidden_size=32:256:points=4       in a grid these four: 32, 107, 181, 256
top_p=0.5:1:step=0.1              multiples of the step, from the lowest on
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rheostat.errors import KnobError
from rheostat.lab.sweep.kinds import INT, NUMBERS, Scalar, read_value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

POINTS = 5
DIGITS = 12  # of a point between two ends: what makes 0.85 of 0.8500000000000001
WORDS = "log, int, points=N or step=D"


@dataclass(frozen=True)
class Space:
    """The values of one knob: `choices`, or all from `low` to `high`."""

    name: str
    text: str
    choices: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    step: float | None = None
    points: int = POINTS

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """Values to check before a sweep begins: all that are listed, or the first and the last."""
        return self.choices or tuple(map(self._typed, (self.low, self.high)))

    @property
    def is_numeric(self) -> bool:
        """Whether its values can stand on an axis."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.ends)

    def grid(self) -> tuple[Scalar, ...]:
        """Its points in a grid, ascending where they are not listed."""
        if self.choices:
            return self.choices
        if self.step is not None:
            count = math.floor((self.high - self.low) / self.step * (1 + 1e-12)) + 1
            values = [self.low + number * self.step for number in range(count)]
        else:
            spaced = np.geomspace if self.log else np.linspace
            values = spaced(self.low, self.high, self.points).tolist()
        values[0] = self.low
        inside = [min(value, self.high) for value in values]
        return tuple(dict.fromkeys(map(self._typed, inside)))

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def _typed(self, value: float) -> float | int:
        return round(value) if self.whole else float(f"{value:.{DIGITS}g}")


def read_spaces(texts: Iterable[str], kinds: Mapping[str, str], what: str) -> tuple[Space, ...]:
    """The spaces of several `--vary`, each of another knob.

    Args:
        texts: as above.
        kinds: what kind of value each knob takes that can be varied; see `kinds_of`.
        what: what the knobs are of, for the error: "decoding" or "training".

    Raises:
        KnobError: one sentence that says what is wrong with which text.

    >>> from rheostat.lab.sweep.spaces import read_spaces
    >>> kinds = {"hidden_size": "a whole number", "top_p": "a number"}
    >>> sizes, shares = read_spaces(["hidden_size=16:256:log:points=3", "top_p=0.5,0.9"], kinds, "training")
    >>> sizes.grid(), shares.grid()
    ((16, 64, 256), (0.5, 0.9))
    """
    spaces: dict[str, Space] = {}
    for text in texts:
        space = _read(text, kinds, what)
        if space.name in spaces:
            raise _bad(f"{space.name} is varied twice, by {spaces[space.name].text} and {text}", text)
        spaces[space.name] = space
    if not spaces:
        raise KnobError("vary must name a knob, as in temperature=0.2:1.5, got nothing", "vary", None)
    return tuple(spaces.values())


def name_of(text: str) -> str:
    """The knob of "temperature=0.2:1.5".

    Raises:
        KnobError: there is no name, or no value.
    """
    name, sign, values = text.partition("=")
    if not (name and sign and values):
        example = "as in temperature=0.2:1.5 or top_p=0.5,0.9,1"
        raise _bad(f"vary must be NAME=VALUES, {example}, got {text}", text)
    return name.strip().replace("-", "_")


def unknown(name: str, kinds: Mapping[str, str], what: str) -> KnobError:
    """There is no knob of that name, or none that a sweep can turn."""
    close = difflib.get_close_matches(name, kinds, n=1)
    hint = f"did you mean {close[0]}?" if close else f"these are: {', '.join(kinds)}"
    return _bad(f"{name} is no {what} knob that a sweep can turn; {hint}", name)


def _read(text: str, kinds: Mapping[str, str], what: str) -> Space:
    name = name_of(text)
    if name not in kinds:
        raise unknown(name, kinds, what)
    kind, values = kinds[name], text.partition("=")[2]
    if ":" in values and kind in NUMBERS:
        return _range(name, kind, text, values.split(":"))
    choices = [read_value(name, kind, value) for value in values.split(",")]
    if len(set(choices)) < len(choices):
        raise _bad(f"{name} must list each value once, got {values}", text)
    return Space(name, text, tuple(choices))


def _range(name: str, kind: str, text: str, parts: list[str]) -> Space:
    low, high = (_number(name, kind, part) for part in parts[:2])
    if low >= high:
        raise _bad(f"{name} must go from a lower to a higher value, got {parts[0]}:{parts[1]}", text)
    log, whole, step, points = False, kind == INT, None, POINTS
    for word in parts[2:]:
        key, _, value = word.partition("=")
        if word == "log":
            log = True
        elif word == "int":
            whole = True
        elif key == "step" and value:
            step = _number(f"{name}: step", kind, value)
        elif key == "points" and value.isdecimal() and int(value) >= 2:
            points = int(value)
        else:
            raise _bad(f"{name}: after LOW:HIGH come {WORDS}, got {word}", text)
    if log and low <= 0:
        raise _bad(f"{name}: log needs a range above 0, got {parts[0]}:{parts[1]}", text)
    if step is not None and (log or not 0 < step <= high - low):
        rule = "goes without log" if log else "must be above 0 and no longer than the range"
        raise _bad(f"{name}: step {rule}, got {step:g}", text)
    if whole and not (low.is_integer() and high.is_integer() and (step is None or step.is_integer())):
        raise _bad(f"{name} takes whole numbers here, got {text.partition('=')[2]}", text)
    if step is not None:  # as Optuna has it: the last multiple is the end
        high = low + math.floor((high - low) / step * (1 + 1e-12)) * step
    return Space(name, text, (), low, high, log, whole, step, points)


def _number(name: str, kind: str, text: str) -> float:
    value = read_value(name, kind, text)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad(f"{name} must have finite numbers in a range, got {text}", text)
    return float(value)


def _bad(message: str, value: object) -> KnobError:
    return KnobError(message, "vary", value)
