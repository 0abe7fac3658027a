"""Random stop sets and streams with many overlaps, and the meaning of stops in a few lines."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# The same examples in every run; `api` is one of two modules, so it may be shared by examples.
checked = settings(
    derandomize=True,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Case:
    """Stops and a stream in pieces, written as letters whatever the kind."""

    alphabet: str
    kind: str
    stops: tuple[str, ...]
    tie: str
    include: bool
    pieces: tuple[str, ...]
    unarmed: int  # so many pieces are fed unarmed

    @property
    def text(self):
        return "".join(self.pieces)

    @property
    def unarmed_length(self):
        return len("".join(self.pieces[: self.unarmed]))

    def symbols(self, letters):
        """The letters as a piece or a stop of this kind."""
        if self.kind == "tokens":
            return [ord(letter) for letter in letters]
        return letters if self.kind == "text" else letters.encode()

    def letters(self, symbols):
        """And back."""
        if isinstance(symbols, bytes):
            return symbols.decode()
        return symbols if isinstance(symbols, str) else "".join(map(chr, symbols))

    def stop_set(self, api):
        stops = [self.symbols(stop) for stop in self.stops]
        return api.StopSet(stops, kind=self.kind, tie=self.tie, include=self.include)

    def feed(self, matcher, number):
        """Feeds a piece by its number, gives the letters."""
        piece = self.symbols(self.pieces[number])
        return self.letters(matcher.feed(piece, armed=number >= self.unarmed))

    def run(self, matcher):
        """Feeds all pieces, gives the letters of each."""
        return [self.feed(matcher, number) for number in range(len(self.pieces))]


@st.composite
def cases(draw, unarmed=True, include=None):
    alphabet = draw(st.sampled_from(["ab", "abc"]))
    word = st.text(alphabet, min_size=1, max_size=5)
    pieces = draw(st.lists(st.text(alphabet, max_size=4), max_size=7))
    return Case(
        alphabet=alphabet,
        kind=draw(st.sampled_from(["text", "bytes", "tokens"])),
        stops=tuple(draw(st.lists(word, max_size=4))),
        tie=draw(st.sampled_from(["first", "longest"])),
        include=draw(st.booleans()) if include is None else include,
        pieces=tuple(pieces),
        unarmed=draw(st.integers(0, len(pieces))) if unarmed else 0,
    )


def finish(text, stops, tie, unarmed_length=0):
    """(index, start, end) of the winner, or None: the definition."""
    for end in range(unarmed_length + 1, len(text) + 1):
        complete = [i for i, stop in enumerate(stops) if text[:end].endswith(stop)]
        if complete:
            longest = tie == "longest"
            index = min(complete, key=lambda i: (-len(stops[i]) if longest else 0, i))
            return index, end - len(stops[index]), end
    return None


def output(case, text):
    """What a stream of this text gives out in all, flush included: the definition."""
    found = finish(text, case.stops, case.tie, case.unarmed_length)
    if found is None:
        return text
    _, start, end = found
    return text[: end if case.include else start]


def words(alphabet, longest):
    """All words up to a length."""
    for length in range(longest + 1):
        for letters in itertools.product(alphabet, repeat=length):
            yield "".join(letters)
