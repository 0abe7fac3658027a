"""The learning rate over a run: what share of it each update takes.

A schedule begins with the warm-up, a straight line up to the whole rate: Adam's first estimates are of few
gradients, and small steps do not go far wrong on them. Then

    constant   1
    step       decay_factor to the power of (epochs done // decay_epochs)
    cosine     0.5 + 0.5 cos(pi t), t from 0 after the warm-up to 1 at the end
    plateau    decay_factor to the power of how often the metric stood still for decay_epochs epochs
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SCHEDULES = ("constant", "step", "cosine", "plateau")


def cosine(step: int, steps: int, warmup_steps: int) -> float:
    """The share of the learning rate at a step: up in a line, then down to 0 along half a cosine
    (Loshchilov and Hutter 2017, "SGDR").

    >>> [round(cosine(step, 10, 2), 2) for step in range(10)]
    [0.5, 1.0, 0.96, 0.85, 0.69, 0.5, 0.31, 0.15, 0.04, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 + 0.5 * math.cos(math.pi * (step + 1 - warmup_steps) / (steps - warmup_steps))


def best_epoch(metrics: Sequence[float], min_delta: float) -> int:
    """The place of the best value, lower is better: the last that was below the best before it by more than
    `min_delta`; -1 where there is none.

    >>> best_epoch([3.0, 2.0, 1.95, 2.5], min_delta=0.1)
    1
    """
    best, place = math.inf, -1
    for at, value in enumerate(metrics):
        if value < best - min_delta:
            best, place = value, at
    return place


def plateaus(metrics: Sequence[float], patience: int, min_delta: float) -> int:
    """How often `patience` values in a row brought no improvement; after each time the count starts anew.

    >>> plateaus([3.0, 2.0, 2.0, 2.1, 1.9, 2.0, 2.0], patience=2, min_delta=0.0)
    2
    """
    best, waited, found = math.inf, 0, 0
    for value in metrics:
        waited += 1
        if value < best - min_delta:
            best, waited = value, 0
        elif waited == patience:
            found, waited = found + 1, 0
    return found
