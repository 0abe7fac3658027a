"""The table of all knobs: name, off value, what it takes, its rule, where it acts. Signatures and checks are
made from it, and the order of its lines is the order of the checks.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple, ParamSpec, TypeVar

from rheostat.reference import knobs as rules
from rheostat.reference import lists
from rheostat.reference.lists import Shape

P = ParamSpec("P")
R = TypeVar("R")


class Knob(NamedTuple):
    name: str
    off: Any
    takes: Callable[
        [str, Any, Shape, Any], list[Any]
    ]  # (name, value, shape, rule) -> one checked value per row
    rule: Any
    acts: str  # "masks", "biases", "penalties", or the name of a step of the chain


def number(name: str, value: Any, shape: Shape, rule: rules.Rule) -> list[Any]:
    return rules.per_row(name, rule, rules.number_of(name, value), shape.rows, shape.is_row)


def integer(name: str, value: Any, shape: Shape, rule: rules.Rule) -> list[Any]:
    return rules.per_row(name, rule, rules.integer_of(name, value), shape.rows, shape.is_row)


def optional_integer(name: str, value: Any, shape: Shape, rule: rules.Rule) -> list[Any]:
    """An integer or None, or one of them per row."""
    if value is None:
        return [None] * shape.rows
    if isinstance(value, list | tuple) and any(item is None for item in value):
        filled = rules.integer_of(name, [0 if item is None else item for item in value])
        if shape.is_row or len(value) != shape.rows:
            return rules.per_row(name, rule, filled, shape.rows, shape.is_row)  # which says what is wrong
        return [
            None if item is None else rules.check(name, rule, number, row)
            for row, (item, number) in enumerate(zip(value, filled, strict=True))  # type: ignore[arg-type]
        ]
    return integer(name, value, shape, rule)


TABLE = (
    # the filters of the chain
    Knob("temperature", 1.0, number, rules.TEMPERATURE, "temperature"),
    Knob("top_k", 0, integer, rules.TOP_K, "top_k"),
    Knob("top_p", 1.0, number, rules.TOP_P, "top_p"),
    Knob("min_p", 0.0, number, rules.MIN_P, "min_p"),
    Knob("typical_p", 1.0, number, rules.TYPICAL_P, "typical_p"),
    Knob("epsilon_cutoff", 0.0, number, rules.CUTOFF, "epsilon_cutoff"),
    Knob("eta_cutoff", 0.0, number, rules.CUTOFF, "eta_cutoff"),
    Knob("top_h", 0.0, number, rules.TOP_H, "top_h"),
    Knob("top_n_sigma", 0.0, number, rules.TOP_N_SIGMA, "top_n_sigma"),
    Knob("xtc_threshold", 0.1, number, rules.XTC_THRESHOLD, "xtc"),
    Knob("xtc_probability", 0.0, number, rules.XTC_PROBABILITY, "xtc"),
    # the vocabulary comes before the lists, whose ids lie in it
    Knob("vocab_size", None, optional_integer, rules.VOCAB_SIZE, "masks"),
    Knob("allowed_token_ids", None, lists.ids, None, "masks"),
    Knob("bitmask", None, lists.bitmask, None, "masks"),
    Knob("banned_token_ids", None, lists.ids, None, "masks"),
    Knob("bad_words", None, lists.words, None, "masks"),
    Knob("no_repeat_ngram_size", 0, integer, rules.COUNT, "masks"),
    Knob("min_tokens", 0, integer, rules.COUNT, "masks"),
    Knob("eos_token_id", None, lists.id_or_ids, None, "masks"),
    Knob("stop_token_ids", None, lists.ids, None, "masks"),
    Knob("logit_bias", None, lists.biases, None, "biases"),
    Knob("sequence_bias", None, lists.sequence_biases, None, "biases"),
    Knob("repetition_penalty", 1.0, number, rules.REPETITION, "penalties"),
    Knob("frequency_penalty", 0.0, number, rules.FINITE, "penalties"),
    Knob("presence_penalty", 0.0, number, rules.FINITE, "penalties"),
    Knob("penalty_last_n", None, optional_integer, rules.WINDOW, "penalties"),
    Knob("dry_multiplier", 0.0, number, rules.DRY_MULTIPLIER, "penalties"),
    Knob("dry_base", 1.75, number, rules.DRY_BASE, "penalties"),
    Knob("dry_allowed_length", 2, integer, rules.LENGTH, "penalties"),
    Knob("dry_penalty_last_n", None, optional_integer, rules.WINDOW, "penalties"),
    Knob("dry_sequence_breakers", None, lists.ids, None, "penalties"),
)
OFF: dict[str, Any] = {knob.name: knob.off for knob in TABLE}

# What acts on the logits before the chain.
SHAPING = frozenset(knob.name for knob in TABLE if knob.acts in ("masks", "biases", "penalties"))

# The steps that a chain can name, and where a step has several knobs, the one that sets it.
STEPS = tuple(dict.fromkeys(knob.acts for knob in TABLE if knob.name not in SHAPING))
SWITCH = {"xtc": "xtc_probability"}


class Knobs(SimpleNamespace):
    """One row's knobs, checked; what is not given is off."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**(OFF | given))

    def sets(self, step: str) -> bool:
        """Whether the step does anything."""
        name = SWITCH.get(step, step)
        return bool(getattr(self, name) != OFF[name])


def knobs_of(given: Mapping[str, Any], rows: int, width: int, is_row: bool) -> list[Knobs]:
    """One `Knobs` for each row, from scalars or one value per row."""
    shape = Shape(rows, width, is_row, [width] * rows)
    columns: dict[str, list[Any]] = {}
    for knob in TABLE:
        if knob.name not in given:
            continue
        columns[knob.name] = knob.takes(knob.name, given[knob.name], shape, knob.rule)
        if knob.name == "vocab_size":
            shape = shape._replace(vocab=_vocabularies(columns["vocab_size"], width))
    return [Knobs(**{name: column[row] for name, column in columns.items()}) for row in range(rows)]


def _vocabularies(sizes: list[int | None], width: int) -> list[int]:
    rule = (f"must be at most the width of the logits, {width}", lambda size: size <= width)
    return [width if size is None else rules.check("vocab_size", rule, size) for size in sizes]


def takes_knobs(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose `**knobs` are those of the table, in its signature too; other names are TypeErrors."""
    return takes_knobs_of(function)(function)


def takes_knobs_of(other: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The same for a function that hands its keywords on to another, which are all of its own."""
    keywords = [p for p in inspect.signature(other).parameters.values() if p.kind == p.KEYWORD_ONLY]
    knobs = [inspect.Parameter(k.name, inspect.Parameter.KEYWORD_ONLY, default=k.off) for k in TABLE]

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in parameters:
                    raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")
            return function(*args, **kwargs)

        places = inspect.signature(function).parameters.values()
        own = [p for p in places if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
        signature = inspect.Signature(own + keywords + knobs)
        parameters = signature.parameters
        checked.__signature__ = signature  # type: ignore[attr-defined]
        return checked

    return decorate
