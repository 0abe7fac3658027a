"""The report's pictures: time on a logarithmic scale, a line for each program, named at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from report_collect import WITHOUT_AVX512

OURS, FLOOR = "rheostat", "np.max"
COLOURS = {
    OURS: "#c8102e",
    FLOOR: "#8a8a8a",
    "numba": "#009e73",
    "llama.cpp": "#e69f00",
    "NumPy, argpartition": "#0072b2",
    "NumPy, sorted values": "#56b4e9",
    "NumPy, textbook": "#7a4fb5",
    "transformers": "#5d4037",
    "torch": "#5d4037",
    "mlx": "#d6609f",
}
SHAPES = {
    FLOOR: "#8a8a8a",
    "peaked": "#c8102e",
    "eight values": "#0072b2",
    "flat": "#009e73",
    "cut beside a tie": "#5d4037",
    "all equal": "#e69f00",
    "p = 0.999999": "#7a4fb5",
    "misleading sample": "#d6609f",
}
NAMES = {FLOOR: "np.max, which only reads"}
# The ways in NumPy that are near the best somewhere, each where it is best.
BY_VOCABULARY = {"NumPy, textbook", "NumPy, argpartition", "NumPy, argpartition" + WITHOUT_AVX512}
BY_NUCLEUS = {
    "NumPy, textbook",
    *(f"NumPy, {way}{WITHOUT_AVX512}" for way in ("argpartition", "sorted values")),
}
LABEL_GAP = 0.042  # of the height: a line of text


def duration(seconds: float, _: Any = None) -> str:
    """A tick's label."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def axes(title: str, note: str, across: str) -> tuple[plt.Figure, Axes]:
    """Empty axes, both logarithmic, with room at the right for names."""
    figure, ax = plt.subplots(figsize=(10, 6), layout="constrained")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_title(title, loc="left", fontsize=14, fontweight="bold", pad=24)
    ax.text(0, 1.02, note, transform=ax.transAxes, fontsize=9.5, color="#555555")
    ax.set_xlabel(across)
    ax.yaxis.set_major_formatter(FuncFormatter(duration))
    ax.grid(axis="y", which="major", color="#e4e4e4", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def draw(ax: Axes, lines: dict[str, list[tuple[int, float]]], colours: dict[str, str]) -> None:
    """The lines, and their names beside their right ends, pushed apart where they would meet."""
    ends = {}
    for name, points in lines.items():
        family = name.removesuffix(WITHOUT_AVX512)
        x, y = zip(*sorted(points), strict=True)
        style = "--" if name != family else ":" if name == FLOOR else "-"
        front = name == OURS
        width, order = (3, 3) if front else (1.6, 2)
        ax.plot(x, y, style, color=colours[family], linewidth=width, marker="o", markersize=3.5, zorder=order)
        ends[name] = y[-1]
    low, high = np.log10(ax.get_ylim())
    heights = {name: (np.log10(end) - low) / (high - low) for name, end in ends.items()}
    for name, height in spread(heights).items():
        colour = colours[name.removesuffix(WITHOUT_AVX512)]
        ax.annotate(
            f"{NAMES.get(name, name)}  {figures(ends[name])}",
            xy=(1.0, heights[name]),
            xytext=(1.035, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=10,
            fontweight="bold" if name == OURS else "normal",
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "relpos": (0, 0.5)},
            annotation_clip=False,
        )


def spread(places: dict[str, float]) -> dict[str, float]:
    """Each as near to its place as LABEL_GAP between neighbours allows; those that touch move together."""
    groups: list[list[str]] = []

    def bottom(group: list[str]) -> float:
        return np.mean([places[name] for name in group]) - LABEL_GAP * (len(group) - 1) / 2

    for name in sorted(places, key=places.__getitem__):
        groups.append([name])
        while len(groups) > 1 and bottom(groups[-1]) < bottom(groups[-2]) + LABEL_GAP * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return {name: bottom(group) + LABEL_GAP * i for group in groups for i, name in enumerate(group)}


def figures(seconds: float) -> str:
    """Three figures, as a label at a line's end."""
    return duration(float(f"{seconds:.2e}"))


def ticks(ax: Axes, places: list[int]) -> None:
    """Numbers where there are points."""
    ax.set_xticks(places, [f"{place:,}" for place in places])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def some(lines: dict[str, Any], numpy: set[str]) -> dict[str, Any]:
    """All lines but those of NumPy that are not named."""
    return {name: points for name, points in lines.items() if name in numpy or "NumPy" not in name}


def save(report: dict[str, Any], folder: Path) -> None:
    """docs/benchmarks.png and the two beside it."""
    machine = report["machine"]
    note = f"{machine['cpu']}, {machine['simd']}, one thread, NumPy {machine['NumPy']}, {machine['date']}"

    figure, ax = axes(
        "One token from a peaked row: temperature 0.8, top_p 0.9", note, "vocabulary, logits in a row"
    )
    draw(ax, some(report["vocabulary"], BY_VOCABULARY), COLOURS)
    ticks(ax, [vocab for vocab, _ in report["vocabulary"][OURS]])
    figure.savefig(folder / "benchmarks.png", dpi=160)

    figure, ax = axes("rheostat.sample on rows that are hard to cut", note, "vocabulary, logits in a row")
    draw(ax, report["shapes"], SHAPES)
    ticks(ax, [vocab for vocab, _ in report["shapes"][FLOOR]])
    figure.savefig(folder / "benchmarks_vocabulary.png", dpi=160)

    figure, ax = axes(
        "Time by the number of tokens kept: 128,256 logits, top_p 0.9", note, "tokens in the nucleus"
    )
    draw(ax, some(report["nucleus"], BY_NUCLEUS), COLOURS)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    figure.savefig(folder / "benchmarks_nucleus.png", dpi=160)
    plt.close("all")
