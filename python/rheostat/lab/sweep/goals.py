"""What a sweep reports of each setting, and which setting is the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rheostat.errors import KnobError


class Metric(NamedTuple):
    """A number about a setting."""

    name: str
    says: str
    higher: bool = False
    """Whether more is better."""
    digits: int = 3
    """Of the numbers in a table, behind the point."""
    unit: str = ""

    @property
    def title(self) -> str:
        """For people."""
        return self.name.replace("_", " ") + (f" ({self.unit})" if self.unit else "")

    def shown(self, value: float) -> str:
        """The number as a table has it."""
        return f"{value:,.{self.digits}f}"


class Goal(NamedTuple):
    """The lowest or highest value of a metric, or the one closest to a target."""

    metric: Metric
    target: float | None = None

    @property
    def is_higher(self) -> bool:
        """Whether more is better."""
        return self.metric.higher and self.target is None

    def value(self, metrics: Mapping[str, float]) -> float:
        """What is compared: the metric, or how far it is from the target."""
        found = metrics[self.metric.name]
        return found if self.target is None else abs(found - self.target)

    def __str__(self) -> str:
        if self.target is not None:
            return f"{self.metric.title} closest to {self.target:g}"
        return f"{'highest' if self.is_higher else 'lowest'} {self.metric.title}"


def read_goal(text: str, metrics: Sequence[Metric]) -> Goal:
    """A metric's name, or NAME=VALUE for the setting that comes closest to it.

    Raises:
        KnobError: there is no such metric, or the value is no finite number.

    >>> from rheostat.lab.sweep.goals import Metric, read_goal
    >>> metrics = [Metric("perplexity", "how surprised the model is")]
    >>> print(read_goal("perplexity", metrics), "|", read_goal("perplexity=20", metrics))
    lowest perplexity | perplexity closest to 20
    """
    name, sign, value = text.partition("=")
    by_name = {metric.name: metric for metric in metrics}
    metric = by_name.get(name.strip().replace("-", "_"))
    if metric is None:
        raise KnobError(f"goal must be one of {', '.join(by_name)}, got {name}", "goal", text)
    if not sign:
        return Goal(metric)
    try:
        target = float(value)
    except ValueError:
        target = math.nan
    if not math.isfinite(target):
        raise KnobError(f"goal must be METRIC or METRIC=NUMBER, got {text}", "goal", text)
    return Goal(metric, target)
