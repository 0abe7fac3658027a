"""pyahocorasick: all stops in one pass; it keeps what a stop may need but withholds nothing."""

from __future__ import annotations

from importlib.metadata import version

import ahocorasick
from workloads import STOPS

from peers.base import Peer, Task
from peers.verdicts import PIECES


class Searcher:
    """The iterator of the automaton carries its state from piece to piece."""

    def __init__(self, stops: list[str]) -> None:
        automaton = ahocorasick.Automaton()
        for i, stop in enumerate(stops):
            automaton.add_word(stop, i)
        automaton.make_automaton()
        self.found = automaton.iter("")

    def feed(self, piece: str) -> str:
        self.found.set(piece)
        for _ in self.found:
            return ""
        return piece


def stop(count: int) -> Task:
    searcher, other = Searcher(STOPS[count]), Searcher(STOPS[count])
    return Task(lambda: searcher.feed(" the"), [other.feed(piece) for piece in PIECES])


PEERS = {"pyahocorasick": Peer("pyahocorasick", version("pyahocorasick"), stop=stop)}
