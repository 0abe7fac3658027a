"""What is said about a program that is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]


class Setting(NamedTuple):
    """A sampler of a program, set to some knobs."""

    knobs: dict[str, Any]
    """The same in the words of `rheostat.sample`."""
    code: str
    """How it is called there, for a reader who has a row named `x`."""
    fn: Callable[[Row], Any]
    returns: str = "ids"
    draw: Callable[[Row], Any] | None = None

    @property
    def name(self) -> str:
        """The knobs in short; the chain is told by the program."""
        shown = ", ".join(f"{name}={value}" for name, value in self.knobs.items() if name != "chain")
        return shown or "nothing set"


class Matcher(NamedTuple):
    """A stop matcher of a program."""

    name: str
    code: str
    fn: Callable[[list[str], list[str]], tuple[list[str], bool]]
    tie: str = "first"


class Program(NamedTuple):
    """A program as it is installed."""

    name: str
    version: str
    settings: tuple[Setting, ...]
    matchers: tuple[Matcher, ...] = ()
