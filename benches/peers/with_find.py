"""str.find for every stop at every piece, as many servers do; a stop's length of text is withheld."""

from __future__ import annotations

import platform

from workloads import STOPS

from peers.base import Peer, Task
from peers.verdicts import PIECES


class Finder:
    """Releases all but the last characters, in which a stop may have begun."""

    def __init__(self, stops: list[str]) -> None:
        self.stops = stops
        self.hold = max(map(len, stops)) - 1
        self.held = ""

    def feed(self, piece: str) -> str:
        text = self.held + piece
        for stop in self.stops:
            found = text.find(stop)
            if found >= 0:
                self.held = ""
                return text[:found]
        cut = max(0, len(text) - self.hold)
        self.held = text[cut:]
        return text[:cut]


def stop(count: int) -> Task:
    finder, other = Finder(STOPS[count]), Finder(STOPS[count])
    return Task(lambda: finder.feed(" the"), [other.feed(piece) for piece in PIECES])


PEERS = {"str.find": Peer("str.find", f"Python {platform.python_version()}", stop=stop)}
