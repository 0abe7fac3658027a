"""Draws the pictures of docs/training.md: `python docs/training_pictures.py [NAME...]`, minutes on one core.

Each run reads the fables of the tests with the knobs of BASE but for one; lines are the mean of three seeds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # more threads add in another order

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rheostat.lab import Epoch, Training, train_text
from rheostat.lab.corpus import Corpus

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from lab_support import FABLES, PLAIN

HERE = Path(__file__).parent
TEXT = FABLES.read_text(encoding="utf-8")
SEEDS = (1, 2, 3)

# Those of the tests of training: small enough for seconds, large enough to learn seven kilobytes by heart.
BASE = PLAIN.replace(epochs=20, restore_best=False)
COLOURS = ("#9ecae1", "#4292c6", "#08519c", "#d1242f", "#7a0019")
GREY = "#57606a"

Runs = dict[Any, list[Training]]


def runs(values: Iterable[Any], knobs: Callable[[Any], dict[str, Any]]) -> Runs:
    """For each value the runs of all seeds."""
    return {
        value: [train_text(TEXT, BASE.replace(seed=seed, **knobs(value))) for seed in SEEDS]
        for value in values
    }


def mean(trainings: list[Training], of: Callable[[Epoch], float]) -> np.ndarray:
    """Of the seeds, for each epoch."""
    return np.mean([[of(epoch) for epoch in training.epochs] for training in trainings], axis=0)


def held_out(epoch: Epoch) -> float:
    return epoch.held_out_bits_per_byte


def trained_on(epoch: Epoch) -> float:
    return epoch.train_bits_per_byte


def panels(count: int, title: str) -> tuple[Figure, list[Any]]:
    """A figure with so many axes beside one another."""
    figure = Figure(figsize=(8.4, 3.3), layout="constrained", dpi=90)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    axes = list(np.atleast_1d(figure.subplots(1, count)))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def curves(ax: Any, found: Runs, of: Callable[[Epoch], float], label: str, title: str) -> None:
    """A line for each value, over the epochs."""
    for (value, trainings), colour in zip(found.items(), COLOURS, strict=False):
        at = range(1, len(trainings[0].epochs) + 1)
        ax.plot(at, mean(trainings, of), color=colour, label=f"{label} {value}", linewidth=1.8)
    ax.set_title(title, fontsize=9)
    ax.set(xlabel="epoch", ylabel="bits per byte")


def both_texts(found: Runs, label: str, title: str, top: float) -> Figure:
    """The text trained on, and the one held out."""
    figure, (left, right) = panels(2, title)
    curves(left, found, trained_on, label, "text trained on")
    curves(right, found, held_out, label, "text held out")
    for ax in (left, right):
        ax.set(ylim=(0, top), xticks=range(0, 21, 5))
    left.legend(fontsize=8, edgecolor="none")
    return figure


def learning_rate() -> Figure:
    found = runs((0.0003, 0.001, 0.01, 0.1, 0.3), lambda value: {"learning_rate": value, "weight_decay": 0.1})
    return both_texts(found, "rate", "learning rate: too low learns slowly, too high never settles", 7)


def weight_decay() -> Figure:
    found = runs((0.0, 0.1, 1.0, 5.0), lambda value: {"weight_decay": value})
    figure, (left, right) = panels(
        2, "weight decay: small weights, a smooth model; too much, and it knows nothing"
    )
    curves(left, found, held_out, "decay", "text held out")
    left.set(ylim=(2, 4.6), xticks=range(0, 21, 5))
    left.legend(fontsize=8, edgecolor="none")
    for (value, trainings), colour in zip(found.items(), COLOURS, strict=False):
        matrices = trainings[0].model.parameters.values()
        weights = np.concatenate([matrix.ravel() for matrix in matrices if matrix.ndim == 2])
        spread = trainings[0].epochs[-1].weight_spread
        right.hist(
            weights, bins=np.linspace(-1.2, 1.2, 121), density=True, histtype="step", color=colour,
            linewidth=1.5, label=f"decay {value}: spread {spread:.2f}",
        )  # fmt: skip
    right.set_title("all weights at the end", fontsize=9)
    right.set(xlabel="weight", ylabel="density", ylim=(0, 6))
    right.legend(fontsize=8, edgecolor="none")
    return figure


def hidden_size() -> Figure:
    found = runs((4, 8, 16, 32, 64, 128), lambda value: {"hidden_size": value})
    figure, (ax,) = panels(1, "hidden layer size: a large one learns by heart, a small one cannot")
    sizes = list(found)
    for of, colour, label in ((trained_on, GREY, "text trained on"), (held_out, COLOURS[1], "text held out")):
        last = [mean(trainings, of)[-1] for trainings in found.values()]
        ax.plot(sizes, last, color=colour, marker="o", markersize=4, label=f"{label}, after 20 epochs")
    best = [np.mean([held_out(training.best) for training in trainings]) for trainings in found.values()]
    ax.plot(
        sizes, best, color=COLOURS[3], marker="o", markersize=4, label="text held out, at the best epoch",
        linestyle=(0, (4, 2)),
    )  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.set(xlabel="hidden units", ylabel="bits per byte", ylim=(0, None))
    ax.legend(fontsize=8, edgecolor="none")
    return figure


def dropout() -> Figure:
    found = runs((0.0, 0.2, 0.5, 0.8), lambda value: {"dropout": value})
    return both_texts(found, "dropout", "dropout: less is learnt by heart, and more that holds elsewhere", 5)


def batch_size() -> Figure:
    found = runs((2, 8, 32), lambda value: {"batch_size": value, "weight_decay": 0.1, "dropout": 0.5})
    title = "batch size, text held out: a small one makes more of an epoch, a large one more of an update"
    figure, (left, right) = panels(2, title)
    curves(left, found, held_out, "batch", "by epochs")
    left.set(xticks=range(0, 21, 5))
    for (value, trainings), colour in zip(found.items(), COLOURS, strict=False):
        updates = Corpus(TEXT, trainings[0].knobs).updates_per_epoch * np.arange(1, 21)
        right.plot(updates, mean(trainings, held_out), color=colour, label=f"batch {value}", linewidth=1.8)
    right.set_title("by updates", fontsize=9)
    right.set(xlabel="updates", ylabel="bits per byte", xlim=(0, 500))
    for ax in (left, right):
        ax.set(ylim=(2.3, 4.2))
    right.legend(fontsize=8, edgecolor="none")
    return figure


def epochs() -> Figure:
    found = runs((20,), lambda value: {"weight_decay": 0.1})
    figure, (ax,) = panels(
        1, "epochs: the text held out gets better, then worse; early stopping keeps the best"
    )
    (trainings,) = found.values()
    at = range(1, 21)
    ax.plot(at, mean(trainings, trained_on), color=GREY, label="text trained on")
    curve = mean(trainings, held_out)
    ax.plot(at, curve, color=COLOURS[1], label="text held out")
    best = int(np.argmin(curve))
    ax.scatter(
        best + 1, curve[best], s=90, facecolors="none", edgecolors=COLOURS[3], linewidths=1.8, zorder=3,
        label=f"best: epoch {best + 1}, its weights are kept",
    )  # fmt: skip
    ax.axvline(best + 4, color=COLOURS[3], linewidth=1, linestyle=(0, (4, 3)), label="patience 3 stops here")
    ax.set(xlabel="epoch", ylabel="bits per byte", ylim=(0, None), xticks=range(0, 21, 5))
    ax.legend(fontsize=8, edgecolor="none")
    return figure


PICTURES = (learning_rate, weight_decay, hidden_size, dropout, batch_size, epochs)

if __name__ == "__main__":
    for picture in PICTURES:
        if sys.argv[1:] and picture.__name__ not in sys.argv[1:]:
            continue
        path = HERE / f"training_{picture.__name__}.png"
        picture().savefig(path)
        print(f"{path}: {path.stat().st_size:,} bytes", flush=True)
