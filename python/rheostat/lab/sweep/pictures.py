"""The pictures of a sweep, drawn with matplotlib (the extra `lab`).

`history`: each trial and the best so far. `importance`: which knob decides. `heat_map`: two knobs, the mean
over whatever else was varied. `effect`: one knob and what it does to each metric.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rheostat.extras import needed

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError:
    raise ImportError(needed("a picture of a sweep", "lab")) from None
from numpy.typing import NDArray
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study

from rheostat.lab.sweep.goals import Metric
from rheostat.lab.sweep.kinds import Scalar, shown
from rheostat.lab.sweep.plan import Plan
from rheostat.lab.sweep.results import DONE, PRUNED, Row
from rheostat.lab.sweep.spaces import Space

EACH, LINE = "#9aa5b1", "#1f6feb"
FEWEST = 4  # results that a picture of importance needs
GOOD = 5  # trials that count as good for the importance, where there are more than twice as many
CELLS = 8  # of an axis of the heat map at most, where a search has drawn the values
MOST = 16  # cells of an axis where they are listed
COLUMNS = 2
WIDE = 30  # times the lowest value: then an axis counts by factors
PLAIN = {"parse_math": False}  # a $ in a value is no formula


def save_all(folder: Path, study: Study, rows: Sequence[Row], plan: Plan) -> list[Path]:
    """Writes the pictures that the results are enough for, and says which."""
    done = [row for row in rows if row.state == DONE]
    figures: dict[str, Figure] = {}
    if done:
        figures["history"] = history(rows, plan)
        for space in plan.spaces:
            if len({row.settings[space.name] for row in done}) > 1:
                figures[f"effect_{space.name}"] = effect(done, plan, space)
    if len(plan.spaces) > 1 and len(done) >= FEWEST:
        shares = importances(study, len(done))
        figures["importance"] = importance(shares, plan)
        first, second = sorted(plan.spaces, key=lambda space: -shares[space.name])[:2]
        figures["heat_map"] = heat_map(done, plan, first, second)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=100)
    return paths


def history(rows: Sequence[Row], plan: Plan) -> Figure:
    """What the goal compares, trial after trial, and the best so far."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    known = sorted((row for row in rows if row.value is not None), key=lambda row: row.number)
    done = [row for row in known if row.state == DONE]
    pruned = [row for row in known if row.state == PRUNED]
    best = np.maximum if plan.goal.is_higher else np.minimum
    numbers = [row.number for row in done]
    axes.plot(
        numbers, best.accumulate(_values(done)), color=LINE, drawstyle="steps-post", label="best so far"
    )
    axes.scatter(numbers, _values(done), s=22, color=EACH, label="each trial", zorder=3)
    if pruned:
        worst = _values(done).min() if plan.goal.is_higher else _values(done).max()
        heights = best(_values(pruned), worst)  # what was worse than all others stands at their edge
        at = [row.number for row in pruned]
        axes.scatter(at, heights, s=22, facecolors="none", edgecolors=EACH, label="ended early", zorder=3)
    axes.set(xlabel="trial", ylabel=_goal_label(plan))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9, edgecolor="none")
    _bare(axes)
    return figure


def importances(study: Study, done: int) -> dict[str, float]:
    """How much each knob decides whether a setting is among the best: PED-ANOVA (Watanabe et al. 2023), as
    Optuna computes it, in shares of 1.
    """
    quantile = min(max(GOOD / done, 0.1), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials, which the picture shows
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=quantile))
    return {str(name): float(share) for name, share in found.items()}


def importance(shares: dict[str, float], plan: Plan) -> Figure:
    """A bar for each knob."""
    names = sorted(shares, key=lambda name: shares[name])
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, [shares[name] for name in names], color=LINE, height=0.6)
    axes.bar_label(bars, [f"{shares[name]:.0%}" for name in names], padding=4, fontsize=9)
    axes.set(xlim=(0, 1.1), xlabel=f"share in what makes the {plan.goal}")
    axes.set_xticks([])
    _bare(axes)
    axes.spines["bottom"].set_visible(False)
    return figure


def heat_map(done: Sequence[Row], plan: Plan, across: Space, up: Space) -> Figure:
    """The goal over two knobs, each cell the mean of its settings; empty ones were never tried."""
    columns, column_of = _cells(done, across)
    lines, line_of = _cells(done, up)
    total, count = np.zeros((2, len(lines), len(columns)))
    for row, column, line in zip(done, column_of, line_of, strict=True):
        total[line, column] += row.value or 0.0
        count[line, column] += 1
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    figure = Figure(figsize=(2.2 + 0.75 * len(columns), 1.6 + 0.5 * len(lines)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        mean, origin="lower", aspect="auto", cmap="viridis" if plan.goal.is_higher else "viridis_r"
    )
    span = np.nanmax(mean) - np.nanmin(mean)
    for (line, column), value in np.ndenumerate(mean):
        if np.isfinite(value):
            is_pale = _brightness(image.cmap(image.norm(value))) > 0.5
            colour = "black" if is_pale or span == 0 else "white"
            axes.text(column, line, f"{value:.3g}", ha="center", va="center", fontsize=8, color=colour)
    axes.set(xlabel=across.name, ylabel=up.name)
    axes.set_xticks(range(len(columns)), columns, fontsize=8, **PLAIN)
    axes.set_yticks(range(len(lines)), lines, fontsize=8, **PLAIN)
    figure.colorbar(image, label=_goal_label(plan))
    return figure


def effect(done: Sequence[Row], plan: Plan, space: Space, metrics: Sequence[Metric] | None = None) -> Figure:
    """A panel for each metric that changes, or for those given: dots for settings, a line for their mean at
    each value of the knob.
    """
    if metrics is None:
        metrics = [m for m in plan.subject.metrics if len({row.metrics[m.name] for row in done}) > 1]
        metrics = metrics or plan.subject.metrics[:1]
    lines = -(-len(metrics) // COLUMNS)
    figure = Figure(figsize=(7, 0.5 + 1.75 * lines), layout="constrained")
    panels = figure.subplots(lines, COLUMNS, sharex=True, squeeze=False).ravel()
    at, ticks = _places(done, space)
    is_wide = not ticks and _is_wide(at)
    is_curve = len(plan.spaces) == 1 or not _is_scattered(at)
    for axes, metric in zip(panels, metrics, strict=False):
        heights = np.array([row.metrics[metric.name] for row in done])
        places = np.unique(at)
        means = [heights[at == place].mean() for place in places]
        if ticks:
            axes.bar(places, means, color=LINE, width=0.5)
        elif is_curve:
            axes.plot(places, means, color=LINE, marker="o", markersize=3.5, linewidth=1.6)
        if not is_curve or len(places) < len(done):
            axes.scatter(at, heights, s=12, color=EACH if is_curve or ticks else LINE, linewidths=0, zorder=3)
        axes.set_title(metric.title, fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        if ticks:
            axes.set_xticks(range(len(ticks)), ticks, **PLAIN)
        if is_wide:
            axes.set_xscale("log")
            if len(places) <= CELLS and (places[1:] / places[:-1]).min() > 1.3:
                axes.set_xticks(places, [f"{place:g}" for place in places])
                axes.minorticks_off()
        if _is_wide(heights) and heights.max() > 1 and not ticks:
            axes.set_yscale("log")
        elif heights.min() < heights.max() / 2:
            axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:,g}")
        _bare(axes)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    for axes in panels[max(len(metrics) - COLUMNS, 0) : len(metrics)]:
        axes.set_xlabel(space.name, fontsize=9)
        axes.tick_params(labelbottom=True)
    return figure


def _is_scattered(values: NDArray[np.float64]) -> bool:
    """Whether most values are of one setting alone, as those that a search draws."""
    return len(np.unique(values)) > max(len(values) / 2, 2)


def _is_wide(values: NDArray[np.float64]) -> bool:
    low, high = values.min(), values.max()
    return bool(low > 0 and high >= WIDE * low)


def _places(done: Sequence[Row], space: Space) -> tuple[NDArray[np.float64], list[str]]:
    """Where each setting stands on the knob's axis, and the labels of an axis that has no numbers."""
    values = [row.settings[space.name] for row in done]
    if space.is_numeric:
        return np.array(values, np.float64), []
    order = [value for value in space.choices if value in values]
    return np.array([order.index(value) for value in values], np.float64), [shown(value) for value in order]


def _cells(done: Sequence[Row], space: Space) -> tuple[list[str], list[int]]:
    """The labels of an axis, and the cell of each setting on it."""
    values: list[Scalar] = [row.settings[space.name] for row in done]
    if space.is_numeric and (len(set(values)) > MOST or _is_scattered(np.array(values, np.float64))):
        numbers = np.array(values, np.float64)
        spaced = np.geomspace if space.log else np.linspace
        cells = min(CELLS, max(math.isqrt(len(numbers)), 2))
        edges = spaced(numbers.min(), numbers.max(), cells + 1)
        place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, cells - 1)
        return [f"{low:.3g}\u2013{high:.3g}" for low, high in itertools.pairwise(edges)], place.tolist()
    in_order: Sequence[Any] = space.choices or sorted(set(values), key=lambda value: float(value or 0))
    tried = [value for value in in_order if value in values]
    return [shown(value) for value in tried], [tried.index(value) for value in values]


def _values(rows: Sequence[Row]) -> NDArray[np.float64]:
    return np.array([row.value for row in rows], np.float64)


def _goal_label(plan: Plan) -> str:
    goal = plan.goal
    if goal.target is None:
        return goal.metric.title
    return f"{goal.metric.title}: distance from {goal.target:g}"


def _brightness(colour: Any) -> float:
    red, green, blue, _ = colour
    return float(0.3 * red + 0.6 * green + 0.1 * blue)


def _bare(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
