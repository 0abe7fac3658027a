"""What `rheostat generate` shows of a text while it comes."""

from __future__ import annotations

import codecs
import math
import sys
from collections import deque
from typing import Any

import rheostat
from rheostat.cli import terminal

# The least probability of each colour, likeliest first.
COLOURS = ((0.8, "green"), (0.5, "cyan"), (0.2, "yellow"), (0.05, "magenta"), (0.0, "red"))


class Plain:
    """The text, and on a terminal the prompt before it, dim."""

    def prompt(self, text: str) -> None:
        if sys.stdout.isatty() and sys.stderr.isatty():
            terminal.console(stderr=True).print(text, style="dim", end="")

    def step(self, step: rheostat.Step) -> None:
        self.write(step.text)

    def end(self, missing: str) -> None:
        self.write(missing)
        if sys.stdout.isatty():
            terminal.write("\n")

    def legend(self) -> None:
        """What the colours say, on standard error."""

    def write(self, text: str) -> None:
        if text:
            terminal.write(text)


class Held(Plain):
    """The text as a whole at its end, below the explanations of a terminal."""

    def __init__(self) -> None:
        self.start = ""
        self.parts: list[str] = []

    def prompt(self, text: str) -> None:
        self.start = text

    def write(self, text: str) -> None:
        self.parts.append(text)

    def end(self, missing: str) -> None:
        sys.stderr.write("\n")
        super().prompt(self.start)
        terminal.write("".join([*self.parts, missing, "\n"]))


class Probabilities(Plain):
    """Each token in the colour of the probability that the model gave it; without colour the number.

    A step may show the text of several tokens, or of a part of one, where a stop was waited for. So it is
    kept where in the text each token ends: decoded alone it is the text, as far as it is shown.
    """

    def __init__(self, table: Any) -> None:
        self.console = terminal.console()
        self.is_plain = self.console.color_system is None or self.console.no_color
        self.table = table
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.tokens: deque[tuple[int, float]] = deque()  # of those not shown to the end: its end, probability
        self.known = self.shown = 0  # characters: of all tokens, and of the text so far

    def step(self, step: rheostat.Step) -> None:
        assert step.token is not None
        assert step.token.raw_logprob is not None
        id, probability = step.token.id, math.exp(step.token.raw_logprob)
        piece = self.table[id] if id < len(self.table) else None
        self.known += len(self.decoder.decode(piece or b""))
        self.tokens.append((self.known, probability))
        text = step.text
        while text:
            while len(self.tokens) > 1 and self.tokens[0][0] <= self.shown:
                self.tokens.popleft()
            end, probability = self.tokens[0]
            # of the last token is also what is left of a character that is cut off at the end
            count = len(text) if len(self.tokens) == 1 else end - self.shown
            self.show(text[:count], probability, self.shown + count >= end or step.finish is not None)
            self.shown += count
            text = text[count:]

    def show(self, text: str, probability: float, is_end: bool) -> None:
        """A token, or a part of one; `is_end`: its last part."""
        if self.is_plain:
            terminal.write(f"{text}[{probability:.0%}]" if is_end else text)
        else:
            colour = next(colour for least, colour in COLOURS if probability >= least)
            self.console.print(text, style=colour, end="")

    def legend(self) -> None:
        if self.is_plain:
            return
        from rich.text import Text

        names = [(f"{least:.0%} and more" if least else "less", colour) for least, colour in COLOURS]
        legend = Text("the model's probability: ", style="dim")
        for name, colour in names:
            legend.append(f"{name}  ", style=colour)
        terminal.console(stderr=True).print(legend)


class Silent(Plain):
    """Nothing: the JSON says it all."""

    def prompt(self, text: str) -> None:
        return

    def step(self, step: rheostat.Step) -> None:
        return

    def end(self, missing: str) -> None:
        return
