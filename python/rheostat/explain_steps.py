"""The way of one row through the knobs, with a report for each step.

No hot path: it runs the chain step by step through `kept` and `process` of either implementation, so what it
tells is what that one did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.errors import LogitsError
from rheostat.explain_report import StepReport
from rheostat.reference import law
from rheostat.reference.chain import chain_of
from rheostat.reference.cuts import Kept
from rheostat.reference.knobs import FLOAT32_MAX
from rheostat.reference.table import OFF, TABLE, Knobs, knobs_of

Row = NDArray[np.float32]

# What acts before the chain, in its order: for each line the knob that sets it, then those that only say how.
MASKS = {
    "vocab_size": ("vocab_size",),
    "allowed_token_ids": ("allowed_token_ids",),
    "bitmask": ("bitmask",),
    "banned_token_ids": ("banned_token_ids",),
    "bad_words": ("bad_words",),
    "no_repeat_ngram_size": ("no_repeat_ngram_size",),
    "min_tokens": ("min_tokens", "eos_token_id", "stop_token_ids"),
}
MOVERS = {
    "logit_bias": ("logit_bias",),
    "sequence_bias": ("sequence_bias",),
    "repetition": ("repetition_penalty", "penalty_last_n"),
    "frequency, presence": ("frequency_penalty", "presence_penalty", "penalty_last_n"),
    "dry": tuple(knob.name for knob in TABLE if knob.name.startswith("dry_")),
}
SWITCHES = {"frequency, presence": ("frequency_penalty", "presence_penalty")}


class Implementation(Protocol):
    """What is asked of `rheostat` or `rheostat.reference`."""

    kept: Callable[..., Any]
    process: Callable[..., Any]
    sample: Callable[..., Any]


class Run:
    """One row on its way through the knobs, with a report for each step that is set."""

    def __init__(
        self, api: Implementation, logits: ArrayLike, history: Mapping[str, Any], knobs: Mapping[str, Any]
    ) -> None:
        self.api, self.logits, self.history, self.given = api, logits, history, knobs
        try:
            plain = api.process(logits, chain=())
        except LogitsError:  # a forbidden token's logit may be anything: then the row begins as masked
            plain = self._process([name for names in MASKS.values() for name in names])
        self.width = plain.size
        self.knobs: Knobs = knobs_of(knobs, 1, self.width, True)[0]
        self.kept = all_of(plain)
        self.before = np.zeros(self.width)
        self.before[self.kept.ids] = probabilities(self.kept)
        self.reports: list[StepReport] = []
        self._report("input", "", self.kept)

    def masks(self) -> None:
        """A mask never looks at logits: what it leaves of a row of zeros it leaves of this one."""
        acting: list[str] = []
        for step, names in MASKS.items():
            if not self._is_set(step, names):
                continue
            acting += names
            zeros = np.zeros(self.width, np.float32)
            allowed = self.api.kept(zeros, **self.history, chain=(), **self._only(acting))
            left = np.isin(self.kept.ids, allowed)
            self._report(
                step, self._setting(names), self.kept._replace(ids=self.kept.ids[left], x=self.kept.x[left])
            )

    def movers(self) -> None:
        acting = [name for names in MASKS.values() for name in names]
        for step, names in MOVERS.items():
            if self._is_set(step, names):
                acting += [name for name in names if name not in acting]
                self._report(step, self._setting(names), all_of(self._process(acting)))

    def chain(self, chain: Any, place: Mapping[str, Any]) -> None:
        """The kept set after each step is that of the chain up to it."""
        shaped = np.full(self.width, -np.inf, np.float32)
        shaped[self.kept.ids] = self.kept.x
        steps = chain_of(chain, [self.knobs])
        temperature = 1.0
        for end, step in enumerate(steps, 1):
            if not callable(step) and not self.knobs.sets(step):
                continue
            if step == "temperature":
                temperature = self.knobs.temperature or 1.0
            names = [knob.name for knob in TABLE if knob.acts in steps[:end]]
            ids = self.api.kept(shaped, **place, chain=steps[:end], **self._only(names))
            own = [knob.name for knob in TABLE if knob.acts == step]
            self._report(step_name(step), self._setting(own), Kept(ids, shaped[ids], temperature))

    def _report(self, name: str, setting: str, after: Kept) -> None:
        """Close a step: the mass removed is counted among what it found, at the temperature it ran at."""
        found = self.kept._replace(temperature=after.temperature)
        gone = ~np.isin(found.ids, after.ids)
        removed = float(probabilities(found)[gone].sum())
        likeliest = float(probabilities(after).max())
        report = StepReport(name, setting, found.ids.size, after.ids.size, removed, likeliest, after.ids)
        self.reports.append(report)
        self.kept = after

    def _process(self, names: list[str]) -> Row:
        row: Row = self.api.process(self.logits, **self.history, chain=(), **self._only(names))
        return row

    def _only(self, names: list[str]) -> dict[str, Any]:
        return {name: value for name, value in self.given.items() if name in names}

    def _is_set(self, step: str, names: tuple[str, ...]) -> bool:
        return any(_differs(getattr(self.knobs, name), OFF[name]) for name in SWITCHES.get(step, names[:1]))

    def _setting(self, names: list[str] | tuple[str, ...]) -> str:
        """The values given, named where the step does not tell: "0.9", "threshold 0.1, probability 0.5"."""
        given = {name: self.given[name] for name in names if name in self.given}
        unnamed = names[0] if names and names[0] not in ("frequency_penalty", "xtc_threshold") else None
        if list(given) == ["bitmask"]:
            return f"{np.asarray(given['bitmask']).shape[-1]} words"
        if list(given) == [unnamed]:
            return shown(*given.values())
        return ", ".join(f"{short_name(name)} {shown(value)}" for name, value in given.items())


class Once:
    """A callable of the chain that is asked once and then repeats its answer, so that an answer which follows
    from chance or from a state of its own explains the token that was drawn with it.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step, self.repeats = step, False
        self.answer: Any = None
        self.__name__ = step_name(step)

    def __call__(self, *survivors: Any) -> Any:
        if not self.repeats:
            answer = self.step(*survivors)
            try:
                self.answer = np.array(answer)  # its own: the callable may use the memory again
            except ValueError:  # ragged, which the chain refuses
                self.answer = answer
            return answer
        return self.answer


def probabilities(kept: Kept) -> NDArray[np.float64]:
    """W / S of what is kept: (n,)."""
    return kept.w / float(law.total(kept.w))


def all_of(x: Row) -> Kept:
    """Every token that is not forbidden."""
    ids = np.flatnonzero(x > -np.inf)
    return Kept(ids, x[ids], 1.0)


def step_name(step: Any) -> str:
    return step if isinstance(step, str) else str(getattr(step, "__name__", type(step).__name__))


def short_name(name: str) -> str:
    return name.removesuffix("_penalty").removeprefix("xtc_").removeprefix("dry_")


def shown(value: Any) -> str:
    """A setting in few letters: of what is long only how much was given."""
    value = plain(value)
    if isinstance(value, list | tuple | dict) and len(value) > 3:
        return f"{len(value)} given"
    return str(value)


def plain(value: Any) -> Any:
    """The same in Python's own numbers, lists and dicts; a float32 has no more digits than it needs."""
    if hasattr(value, "tolist"):  # an array, a tensor, or a number of theirs
        value = value.tolist()
        if isinstance(value, float) and abs(value) <= FLOAT32_MAX and float(np.float32(value)) == value:
            return float(str(np.float32(value)))
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else list(map(plain, value))
    return value


def _differs(value: Any, off: Any) -> bool:
    return isinstance(value, np.ndarray) or value != off
