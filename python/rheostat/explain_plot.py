"""The picture of an explanation, drawn with matplotlib (the extra `plot`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rheostat.explain_report import Explanation

BEFORE, AFTER, DRAWN = "#9aa5b1", "#1f6feb", "#d1242f"


def plot(explanation: Explanation, tokens: int) -> Any:
    """Above, the probabilities before and after, likeliest token first; below, what each step left."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plot() needs matplotlib: pip install 'rheostat[plot]'") from None
    order = np.argsort(-explanation.before, kind="stable")
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(1, order.size + 1)
    last_kept = max(int(rank[explanation.steps[-1].ids].max()), int(rank[explanation.token_id]))
    shown = min(max(tokens, last_kept + last_kept // 4), order.size)
    steps = explanation.steps[1:]  # the first is the input itself

    figure = Figure(figsize=(10, 4.5 + 0.3 * len(steps)), layout="constrained")
    ratios = (4, max(0.35 * len(steps), 0.35))
    curves, strips = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
    places = np.arange(1, shown + 1)
    for values, colour, label, size in (
        (explanation.before, BEFORE, "before, temperature 1", 9),
        (explanation.after, AFTER, "after", 16),
    ):
        heights = values[order[:shown]]
        curves.scatter(places[heights > 0], heights[heights > 0], s=size, color=colour, label=label)
    drawn = explanation.token_id
    curves.scatter(
        rank[drawn], explanation.after[drawn], s=90, facecolors="none", edgecolors=DRAWN, linewidths=1.8,
        label="drawn", zorder=3,
    )  # fmt: skip
    curves.set(yscale="log", xscale="log", ylabel="probability")
    curves.legend(frameon=False, loc="lower left")
    curves.set_title(str(explanation.draw), fontsize=9, loc="left")

    cut = shown
    for line, step in enumerate(steps):
        kept = np.sort(rank[step.ids])
        kept = kept[kept <= shown]
        ends = np.flatnonzero(np.diff(kept) > 1)
        starts = kept[np.concatenate([[0], ends + 1])] if kept.size else kept
        stops = kept[np.concatenate([ends, [kept.size - 1]])] if kept.size else kept
        spans = [(start - 0.45, stop - start + 0.9) for start, stop in zip(starts, stops, strict=True)]
        strips.broken_barh(spans, (line - 0.35, 0.7), color=AFTER, alpha=0.75)
        if kept.size and kept[-1] < cut:
            cut = kept[-1]
            curves.axvline(cut + 0.5, color=BEFORE, linewidth=0.8, linestyle="--")
            curves.text(
                cut + 0.5, 0.99, step.name, rotation=90, ha="left", va="top", fontsize=8,
                transform=curves.get_xaxis_transform(),
            )  # fmt: skip
    labels = [f"{step.name} {step.setting}: {step.tokens_after}" for step in steps]
    strips.set_yticks(range(len(steps)), labels, fontsize=8)
    ticks = [digit * 10**power for power in range(7) for digit in (1, 2, 5) if digit * 10**power <= shown]
    strips.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    strips.xaxis.minorticks_off()
    strips.set(xlabel="tokens, likeliest first", xlim=(0.5, shown + 0.5))
    if steps:
        strips.set_ylim(len(steps) - 0.5, -0.5)
    return figure
