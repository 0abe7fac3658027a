"""What an adapter of another program gives: how it does the same work, and the answer it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Absent(Exception):
    """The program is not installed, or does not do this work."""


class Task(NamedTuple):
    """One row prepared: `step` is timed, `answer` is checked before."""

    step: Callable[[], Any]
    answer: Any  # kept ids; probabilities; what is released piece by piece


class Peer(NamedTuple):
    """A program, and what it can do. What its own users have in its form already is made outside the time."""

    name: str
    version: str
    sample: Callable[[np.ndarray, float, float], Task] | None = None  # row, temperature, top_p
    softmax: Callable[[np.ndarray], Task] | None = None
    log_softmax: Callable[[np.ndarray], Task] | None = None
    stop: Callable[[int], Task] | None = None  # how many stops of workloads.STOPS
