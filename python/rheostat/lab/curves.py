"""The curves of a training run, drawn with matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rheostat.extras import needed
from rheostat.lab.trainer import Epoch

TRAIN, HELD_OUT, BEST, OTHER = "#9aa5b1", "#1f6feb", "#d1242f", "#57606a"


def plot(epochs: Sequence[Epoch], best: Epoch | None) -> Any:
    """Above the bits per byte of both texts; below the learning rate and the spread of the weights."""
    if not epochs:
        raise ValueError("there are no curves before the first epoch is done")
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError(needed("plot()", "plot")) from None
    at = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) < 40 else ""
    line = {"linewidth": 1.8, "marker": marker, "markersize": 3.5}
    figure = Figure(figsize=(7, 5.2), layout="constrained")
    bits, rate = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    bits.plot(at, [e.train_bits_per_byte for e in epochs], color=TRAIN, label="text trained on", **line)
    bits.plot(at, [e.held_out_bits_per_byte for e in epochs], color=HELD_OUT, label="text held out", **line)
    if best is not None:
        height = best.held_out_bits_per_byte
        bits.scatter(
            best.epoch, height, s=90, facecolors="none", edgecolors=BEST, linewidths=1.8, zorder=3,
            label=f"best: epoch {best.epoch}, {height:.3f}",
        )  # fmt: skip
    bits.set(ylabel="bits per byte")
    bits.legend(fontsize=9, edgecolor="none", framealpha=0.85)
    rate.plot(at, [e.learning_rate for e in epochs], color=OTHER, **line)
    rate.set(ylabel="learning rate", ylim=(0, None), xlabel="epoch")
    rate.xaxis.set_major_locator(MaxNLocator(integer=True))
    spread = rate.twinx()
    spread.plot(at, [e.weight_spread for e in epochs], color=BEST, linestyle=(0, (4, 2)), **line)
    spread.set_ylabel("spread of weights", color=BEST)
    for axes in (bits, rate, spread):
        axes.spines["top"].set_visible(False)
    bits.spines["right"].set_visible(False)
    return figure
