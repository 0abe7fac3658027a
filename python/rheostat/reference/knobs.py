"""Checking the knobs: a number or one per row, each within its rule; every refusal is one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rheostat.errors import KnobError

TEMPERATURE = ("must be 0 or in [1e-30, 1e30]", lambda t: t == 0 or 1e-30 <= t <= 1e30)
TOP_K = ("must be at least 0, where 0 is off", lambda k: k >= 0)
TOP_P = ("must be in (0, 1]", lambda p: 0 < p <= 1)
MIN_P = ("must be in [0, 1]", lambda p: 0 <= p <= 1)
TYPICAL_P = TOP_P
CUTOFF = ("must be in [0, 1), where 0 is off", lambda e: 0 <= e < 1)
TOP_H = ("must be in [0, 1], where 0 is off", lambda h: 0 <= h <= 1)
TOP_N_SIGMA = ("must be at least 0 and finite, where 0 is off", lambda n: 0 <= n < math.inf)
XTC_THRESHOLD = MIN_P
XTC_PROBABILITY = MIN_P
VOCAB_SIZE = ("must be at least 1", lambda size: size >= 1)
COUNT = TOP_K
LENGTH = ("must be at least 0", lambda n: n >= 0)
WINDOW = LENGTH

# Penalties and biases are rounded to float32, where they must still be numbers.
FLOAT32_MAX = float(np.finfo(np.float32).max)
FLOAT32_TINY = 2.0**-149
FINITE = ("must be finite in float32", lambda v: abs(v) <= FLOAT32_MAX)
BIAS = (
    "must hold biases that are -inf or finite in float32",
    lambda v: v == -math.inf or abs(v) <= FLOAT32_MAX,
)
REPETITION = ("must be positive and finite in float32", lambda r: FLOAT32_TINY <= r <= FLOAT32_MAX)
DRY_MULTIPLIER = ("must be at least 0 and finite in float32", lambda m: 0 <= m <= FLOAT32_MAX)
DRY_BASE = ("must be at least 1 and finite in float32", lambda b: 1 <= b <= FLOAT32_MAX)
WORD = ("must be in [0, 2**64)", lambda i: 0 <= i < 2**64)

Rule = tuple[str, Callable[[Any], bool]]


def check(argument: str, rule: Rule, value: Any, row: int | None = None) -> Any:
    """The value, if it keeps the rule; the error names the row where there is one value per row."""
    text, holds = rule
    if not holds(value):
        place = "" if row is None else f" for row {row}"
        raise KnobError(f"{argument} {text}, got {value!r}{place}", argument, value)
    return value


def number_of(argument: str, value: Any) -> float | list[float]:
    """A float, or a list of them; a bool, a string or a float-less type is a TypeError."""
    if isinstance(value, bool) or not (isinstance(value, int | float) or array_like(value)):
        raise _wrong_type(argument, "a number", "number", type(value).__name__)
    if isinstance(value, int | float):
        return _float(value)
    array = as_array(argument, value, "a number", "number")
    if array.dtype.kind not in "fiu":
        raise _wrong_type(argument, "a number", "number", f"an array of {array.dtype}")
    numbers: list[float] = np.atleast_1d(array.astype(np.float64)).tolist()
    return numbers if array.ndim else numbers[0]


def integer_of(argument: str, value: Any) -> int | list[int]:
    """An int, or a list of them; a bool or a float is a TypeError."""
    if isinstance(value, bool) or not (isinstance(value, int) or array_like(value)):
        raise _wrong_type(argument, "an integer", "integer", type(value).__name__)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, list | tuple):  # not through an array: NumPy would make floats of [1, 2**63]
        items = []
        for item in value:
            number = None if isinstance(item, list | tuple) else integer_of(argument, item)
            if number is None or isinstance(number, list):
                raise _wrong_type(argument, "an integer", "integer", "a nested list")
            items.append(number)
        return items
    array = as_array(argument, value, "an integer", "integer")
    if array.dtype.kind not in "iu":
        raise _wrong_type(argument, "an integer", "integer", f"an array of {array.dtype}")
    integers: list[int] = np.atleast_1d(array).tolist()
    return integers if array.ndim else integers[0]


def per_row(argument: str, rule: Rule, value: Any, rows: int, is_row: bool) -> list[Any]:
    """One checked value for each row, from a scalar or from a list of `rows` values."""
    if not isinstance(value, list):
        return [check(argument, rule, value)] * rows
    if is_row or len(value) != rows:
        wanted = "be one value for one row of logits" if is_row else f"have shape ({rows},)"
        raise KnobError(f"{argument} must {wanted}, got shape ({len(value)},)", argument, (len(value),))
    return [check(argument, rule, item, row) for row, item in enumerate(value)]


def array_like(value: Any) -> bool:
    return isinstance(value, list | tuple) or hasattr(value, "__array__")


def as_array(argument: str, value: Any, one: str, many: str) -> np.ndarray[Any, Any]:
    """A 0-d or 1-d array of what was given."""
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        raise _wrong_type(argument, one, many, f"a ragged {type(value).__name__}") from None
    if array.ndim > 1:
        shape = tuple(array.shape)
        raise KnobError(f"{argument} must be {one} or one {many} per row, got shape {shape}", argument, shape)
    return array


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond every float
        return math.inf if value > 0 else -math.inf


def _wrong_type(argument: str, one: str, many: str, got: str) -> TypeError:
    return TypeError(f"{argument} must be {one} or one {many} per row, got {got}")


def one_integer(name: str, value: Any, rule: Rule) -> int:
    """An integer that is one, within its rule."""
    integer = integer_of(name, value)
    if isinstance(integer, list):
        raise TypeError(f"{name} must be an integer, got several")
    return int(check(name, rule, integer))
