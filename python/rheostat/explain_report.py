"""What an explanation says, and how a terminal shows it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class StepReport:
    """One step: its name and setting, how many tokens it found and left, which share of the mass it removed.

    The mass is that of the tokens it found, at the temperature the step ran at.
    """

    name: str
    setting: str
    tokens_before: int
    tokens_after: int
    mass_removed: float
    top_probability: float  # of the likeliest token, after the step
    ids: Ids = field(repr=False, compare=False)  # what it left

    @property
    def removed(self) -> int:
        return self.tokens_before - self.tokens_after


@dataclass(frozen=True)
class Survivor:
    """A token of the final set: its probability in the plain row at temperature 1, and the one it is drawn
    with.
    """

    token_id: int
    text: str | None
    before: float
    after: float


@dataclass(frozen=True)
class Draw:
    """The drawn token holds the part [low, high) of the kept mass, in id order, and u fell into it."""

    token_id: int
    text: str | None
    u: float
    low: float
    high: float
    rank: int  # in the law's order of what is kept

    def __str__(self) -> str:
        name = fit(name_of(self.token_id, self.text), 45)
        if (self.low, self.high) == (0, 1):
            return f"{name} was drawn: it alone was left."
        return (
            f"{name} was drawn, number {self.rank} of the kept tokens.\n"
            f"In id order it holds [{self.low:.6f}, {self.high:.6f}) of the kept mass, "
            f"and u = {self.u:.6f} fell into it."
        )


@dataclass(frozen=True)
class Explanation:
    """`str()` is a table for the terminal, `plot()` a picture.

    `before` and `after` are every token's probability in the plain row at temperature 1 and at the end,
    (vocab,).
    """

    steps: tuple[StepReport, ...]
    survivors: tuple[Survivor, ...]
    draw: Draw
    before: NDArray[np.float64] = field(repr=False, compare=False)
    after: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def token_id(self) -> int:
        return self.draw.token_id

    def __str__(self) -> str:
        lines = [f"{'step':<22}{'setting':<30}{'tokens':>10}{'removed':>10}{'mass removed':>15}{'top p':>10}"]
        for step in self.steps:
            removed = f"{-step.removed}" if step.removed else "-"
            mass = f"{step.mass_removed:.4%}" if step.removed else "-"
            lines.append(
                f"{column(step.name, 22)}{column(step.setting, 30)}{step.tokens_after:>10}{removed:>10}"
                f"{mass:>15}{step.top_probability:>10.4f}"
            )
        lines += ["", f"{'token':<46}{'before':>12}{'after':>12}"]
        for survivor in self.survivors:
            mark = "  <- drawn" if survivor.token_id == self.draw.token_id else ""
            name = column(name_of(survivor.token_id, survivor.text), 46)
            lines.append(f"{name}{survivor.before:>12.6f}{survivor.after:>12.6f}{mark}")
        hidden = self.steps[-1].tokens_after - len(self.survivors)
        if hidden > 0:
            lines.append(f"and {hidden} more")
        return "\n".join([*lines, "", str(self.draw)])

    def plot(self, tokens: int = 200) -> Any:
        """A matplotlib figure: the likeliest `tokens` before and after, more where a step cut beyond them,
        and a mark for each step that removed something.
        """
        from rheostat.explain_plot import plot

        return plot(self, tokens)


def name_of(token_id: int, text: str | None) -> str:
    return f"token {token_id}" if text is None else f"{text!r} ({token_id})"


def column(text: str, width: int) -> str:
    """The text and spaces up to the width, of which at least one."""
    fitted = fit(text, width - 1)
    return fitted + " " * (width - cells(fitted))


def fit(text: str, width: int) -> str:
    """The text, or as much of it as fits with dots at its end."""
    if cells(text) <= width:
        return text
    while cells(text) > width - 3:
        text = text[:-1]
    return text + "..."


def cells(text: str) -> int:
    """How many cells of a terminal the text fills: two for a wide letter, none for a mark upon another."""
    return sum(
        0
        if unicodedata.category(letter) in ("Mn", "Me")
        else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )
