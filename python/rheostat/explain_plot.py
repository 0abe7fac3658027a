"""The picture of an explanation, drawn with matplotlib (the extra `plot`).

Above, the probabilities before and after, likeliest token first, with a mark where each step cut. Below, a
line for each step: grey what it found, blue what it left.
"""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.explain_report import fit
from rheostat.explain_steps import MASKS, MOVERS
from rheostat.extras import needed

if TYPE_CHECKING:
    from rheostat.explain_report import Explanation, StepReport

BEFORE, AFTER, DRAWN, FOUND, MARK = "#9aa5b1", "#1f6feb", "#d1242f", "#dde3ea", "#57606a"

# Names of steps and tokens are anybody's: a $ in one is no formula.
PLAIN = {"parse_math": False}


class Mark(NamedTuple):
    """Where a step cut, among the tokens numbered from 1, likeliest first."""

    step: StepReport
    place: float
    beyond: bool  # it removed tokens on from here that are out of the picture

    @property
    def label(self) -> str:
        name = fit(self.step.name, 24)
        return f"{name} \N{RIGHTWARDS ARROW} {self.place:,.0f}" if self.beyond else name


def plot(explanation: Explanation, tokens: int) -> Any:
    """The figure of at least so many tokens."""
    least = _count_of(tokens)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(needed("plot()", "plot")) from None
    order = np.argsort(-explanation.before, kind="stable")
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(1, order.size + 1)
    places = [np.sort(rank[step.ids]) for step in explanation.steps]
    if len(explanation.steps) > 1:
        steps = explanation.steps[1:]
    else:  # nothing is set: then the input itself
        steps, places = explanation.steps, places * 2
    marks = [
        _mark(step, found, left)
        for step, found, left in zip(steps, places, places[1:], strict=False)
        if step.removed
    ]
    # As far as the farthest filter cut, and a little more. A mask may forbid a token that matters to nobody.
    cuts = [mark.place for mark in marks if mark.step.name not in {*MASKS, *MOVERS}]
    farthest = int(max([*cuts, rank[explanation.token_id], places[-1][-1]]))
    shown = min(max(least, farthest + farthest // 4 + 1), order.size)
    marks = [mark._replace(beyond=mark.place > shown + 0.5) for mark in marks]

    figure = Figure(figsize=(10, 5 + 0.3 * len(steps)), layout="constrained")
    ratios = (4, max(0.33 * len(steps), 0.33))
    curves, strips = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
    for axes in (curves, strips):
        axes.spines[["top", "right"]].set_visible(False)
    strips.set(xscale="log", xlim=(0.7, shown * 1.02 + 0.5))
    _draw_curves(curves, explanation, order[:shown], int(rank[explanation.token_id]))
    _draw_marks(curves, marks, shown)
    _draw_strips(strips, steps, places, shown)
    figure.suptitle(str(explanation.draw), fontsize=10, x=0.01, ha="left", **PLAIN)
    return figure


def _draw_curves(axes: Any, explanation: Explanation, order: NDArray[np.int64], drawn: int) -> None:
    for values, colour, label, size in (
        (explanation.before[order], BEFORE, "before, temperature 1", 10),
        (explanation.after[order], AFTER, "after", 18),
    ):
        (alive,) = np.nonzero(values)
        axes.scatter(
            alive + 1, values[alive], s=size, color=colour, linewidths=0, label=label, rasterized=True
        )
    height = explanation.after[explanation.token_id]
    axes.scatter(
        drawn, height, s=90, facecolors="none", edgecolors=DRAWN, linewidths=1.8, label="drawn", zorder=3
    )
    axes.set(yscale="log", ylabel="probability")
    axes.tick_params(axis="x", which="both", length=0)
    axes.legend(loc="lower left", fontsize=9, edgecolor="none", framealpha=0.85)


def _draw_marks(axes: Any, marks: list[Mark], shown: int) -> None:
    """A line for each, with the step's name over the picture; names that would touch are moved apart."""
    marks = sorted(marks, key=lambda mark: mark.place)
    low, high = np.log(axes.get_xlim())
    at = [(np.log(min(mark.place, shown + 0.5)) - low) / (high - low) for mark in marks]
    for mark, x, label_x in zip(marks, at, _apart(at, 0.03), strict=True):
        line = {"color": MARK, "linewidth": 0.8, "transform": axes.transAxes, "clip_on": False}
        axes.plot([x, x], [0, 1], linestyle=(0, (4, 3)), **line)
        axes.plot([x, label_x], [1, 1.035], **line)
        axes.text(
            label_x, 1.045, mark.label, rotation=55, rotation_mode="anchor", ha="left", va="center",
            fontsize=8, color=MARK, transform=axes.transAxes, gid="mark", **PLAIN,
        )  # fmt: skip


def _draw_strips(
    axes: Any, steps: tuple[StepReport, ...], places: list[NDArray[np.int64]], shown: int
) -> None:
    for line, (found, left) in enumerate(itertools.pairwise(places)):
        for ranks, colour in ((found, FOUND), (left, AFTER)):
            axes.broken_barh(
                _spans(ranks[ranks <= shown]), (line - 0.36, 0.72), color=colour, linewidth=0, snap=False
            )
    labels = [f"{fit(_title(step), 44)}: {step.tokens_after:,}" for step in steps]
    axes.set_yticks(range(len(steps)), labels, fontsize=8, **PLAIN)
    axes.tick_params(axis="y", length=0)
    ticks = _ticks(shown)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=8)
    axes.xaxis.minorticks_off()
    axes.set_xlabel("tokens, likeliest first")
    axes.set_ylim(len(steps) - 0.5, -0.5)


def _mark(step: StepReport, found: NDArray[np.int64], left: NDArray[np.int64]) -> Mark:
    """Where a tail was cut off: its beginning; where the top was: its end; else the likeliest removed."""
    gone = np.setdiff1d(found, left)
    tail, top = np.count_nonzero(gone > left[-1]), np.count_nonzero(gone < left[0])
    if max(tail, top) * 2 < gone.size or step.name in MASKS or step.name in MOVERS:
        place = float(gone[0])
    else:
        place = left[-1] + 0.5 if tail >= top else left[0] - 0.5
    return Mark(step, place, False)


def _title(step: StepReport) -> str:
    """The step with its setting, which may begin with its name."""
    named = step.setting.startswith(step.name.split(",")[0])
    return step.setting if named else f"{step.name} {step.setting}".rstrip()


def _ticks(shown: int) -> list[int]:
    """Numbers of tokens, so many that their labels do not touch."""
    if shown <= 10:
        return list(range(1, shown + 1))
    digits = (1, 2, 5) if shown <= 5000 else (1,)
    return [digit * 10**power for power in range(7) for digit in digits if digit * 10**power <= shown]


def _spans(ranks: NDArray[np.int64]) -> list[tuple[float, int]]:
    """(start, length) of each run of neighbours."""
    if not ranks.size:
        return []
    (ends,) = np.nonzero(np.diff(ranks) > 1)
    starts, stops = ranks[np.r_[0, ends + 1]], ranks[np.r_[ends, ranks.size - 1]]
    return [(start - 0.5, stop - start + 1) for start, stop in zip(starts, stops, strict=True)]


def _apart(places: list[float], gap: float) -> list[float]:
    """Ascending places with at least the gap between them, and none beyond 1 where that can be."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    for at in reversed(range(len(moved))):
        limit = 1.0 if at == len(moved) - 1 else moved[at + 1] - gap
        moved[at] = min(moved[at], limit)
    return moved


def _count_of(tokens: Any) -> int:
    try:
        if isinstance(tokens, bool):
            raise TypeError
        count = operator.index(tokens)
    except TypeError:
        raise TypeError(f"tokens must be an integer, got {type(tokens).__name__}") from None
    if count < 1:
        raise KnobError(f"tokens must be at least 1, got {count}", "tokens", count)
    return count
