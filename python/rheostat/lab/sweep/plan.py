"""What a sweep is to do: which knobs it varies, what it measures, how it searches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rheostat.errors import KnobError
from rheostat.lab.sweep.goals import Goal, Metric
from rheostat.lab.sweep.kinds import Scalar
from rheostat.lab.sweep.spaces import Space

SEARCHES = ("grid", "random", "tpe")
TRIALS = 20
MOST_POINTS = 10_000

Settings = dict[str, Scalar]
Report = Callable[[int, float], None]


class Subject(Protocol):
    """What is measured at each setting: a model's text, or a training run."""

    kinds: dict[str, str]
    """The knobs that can be varied, and what kind of value each takes."""

    @property
    def kind(self) -> str:
        """ "decoding" or "training"."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What `measure` gives."""

    @property
    def reported(self) -> str | None:
        """The one of them that `measure` reports on its way; None where it reports no value."""

    @property
    def step_name(self) -> str:
        """What `report` counts: epochs or texts."""

    def check(self, settings: Settings) -> None:
        """Raises a KnobError where a setting breaks its rule."""

    def measure(self, settings: Settings, report: Report) -> dict[str, float]:
        """The metrics at a setting. `report(step, value)` is told how it goes, and raises to end it early."""

    def command(self, settings: Settings) -> list[str]:
        """The command line that uses the setting."""

    def identity(self) -> dict[str, Any]:
        """What else decides the numbers, as JSON: two workers of one study must agree on it."""


@dataclass(frozen=True)
class Plan:
    """A sweep, checked.

    Args:
        subject: what is measured.
        spaces: the knobs that are varied, at least one.
        goal: which setting is the best.
        search: "grid" tries every combination; "random" draws settings; "tpe" draws them where the good ones
            were (Bergstra et al. 2011, "Algorithms for hyper-parameter optimization").
        trials: how many settings a random or TPE search tries in all; None: 20, and all of a grid.
        prune: whether a setting ends early that is worse than the median at the same epoch; None: in a
            random or TPE search of training.
        seed: of the search.

    Raises:
        KnobError: a value of a space or an argument breaks its rule.
    """

    subject: Subject
    spaces: tuple[Space, ...]
    goal: Goal
    search: str = "grid"
    trials: int | None = None
    prune: bool | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        if self.search not in SEARCHES:
            raise KnobError(f"search must be {', '.join(SEARCHES)}, got {self.search}", "search", self.search)
        if not self.spaces:
            raise KnobError("spaces must hold at least one knob, got none", "spaces", ())
        if self.seed < 0:
            raise KnobError(f"seed must be at least 0, got {self.seed}", "seed", self.seed)
        for space in self.spaces:
            for value in space.ends:
                try:
                    self.subject.check({space.name: value})
                except TypeError as error:
                    raise KnobError(str(error), space.name, value) from error
        if self.search == "grid":
            size = math.prod(len(space.grid()) for space in self.spaces)
            if self.trials is not None:
                message = (
                    f"a grid tries each of its {size} settings: leave trials out, or search by random or tpe"
                )
                raise KnobError(f"{message}, got {self.trials}", "trials", self.trials)
            if size > MOST_POINTS:
                rule = (
                    f"a grid must have at most {MOST_POINTS:,} settings: take fewer points, or search by tpe"
                )
                raise KnobError(f"{rule}, got {size:,}", "vary", size)
        elif self.trials is not None and self.trials < 1:
            raise KnobError(f"trials must be at least 1, got {self.trials}", "trials", self.trials)
        if self.prune and not self._can_prune:
            rule = (
                "prune needs a goal that is known at every epoch, lowest held out bits per byte of training"
            )
            raise KnobError(f"{rule}, got {self.goal}", "prune", True)

    @property
    def points(self) -> list[Settings]:
        """Every setting of the grid; the last knob changes fastest."""
        names = [space.name for space in self.spaces]
        columns = (space.grid() for space in self.spaces)
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*columns)]

    @property
    def budget(self) -> int:
        """How many settings are tried in all, by all workers."""
        if self.search == "grid":
            return math.prod(len(space.grid()) for space in self.spaces)
        return TRIALS if self.trials is None else self.trials

    @property
    def is_pruned(self) -> bool:
        """Whether the worse half is ended early."""
        return self._can_prune and self.search != "grid" if self.prune is None else self.prune

    @property
    def _can_prune(self) -> bool:
        return self.goal.metric.name == self.subject.reported and self.goal.target is None

    def identity(self) -> dict[str, Any]:
        """What a study is of, as JSON; how many trials it gets may change later."""
        return {
            "kind": self.subject.kind,
            "vary": sorted(space.text for space in self.spaces),
            "goal": str(self.goal),
            "search": self.search,
            "prune": self.is_pruned,
            "seed": self.seed,
            **self.subject.identity(),
        }
