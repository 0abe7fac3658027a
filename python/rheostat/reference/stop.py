"""Stop sequences by definition: the stream is kept, and every question is answered by trying.

T is the stream; a the length of it that was fed unarmed. A stop *completes* at e if e > a and T[:e]
ends with it. The finish is at the least e where any stop completes; of those that complete there the
first listed wins, with tie="longest" the longest. The output is T up to the winner's start.

The hold H(T) is how far before the end of T the start of a winner can still lie, over all
continuations of T. It is found by trying: a winner that starts in T has its first symbols there, so
it is enough to continue T with every rest of every stop and to look who wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rheostat.reference.law import LAW
from rheostat.reference.stop_input import (
    broken,
    flag,
    items,
    kind_of,
    one_of,
    stop_symbols,
    symbols,
)
from rheostat.stops import StopHit, restored

if TYPE_CHECKING:
    from rheostat.reference.stop_batch import StopBatch
    from rheostat.reference.stop_matcher import StopMatcher

KINDS = ("text", "bytes", "tokens")
TIES = ("first", "longest")
MAX_TOTAL = 1 << 20


class StopSet:
    """Stop sequences: str (matched on their UTF-8 bytes), bytes, or ids and sequences of ids.

    >>> from rheostat.reference import StopSet
    >>> stops = StopSet(["\\nUser:", "<|im_end|>"])
    >>> stops.find("Hi.\\nUser: you?")
    StopHit(index=0, stop='\\nUser:', start=3, end=9, discarded=5)
    """

    def __init__(self, stops: Any, *, kind: Any = None, tie: Any = "first", include: Any = False) -> None:
        given = items(stops, "stops", "must be a sequence of stops")
        if kind is not None:
            kind = one_of(kind, "kind", "must be 'text', 'bytes' or 'tokens'", KINDS)
        else:
            kind = kind_of(given[0]) if given else "text"
        self._kind: str = kind
        self._tie = one_of(tie, "tie", "must be 'first' or 'longest'", TIES)
        self._include = flag(include, "include")
        self._symbols = [stop_symbols(stop, kind, f"stops[{i}]") for i, stop in enumerate(given)]
        for i, stop in enumerate(self._symbols):
            if len(stop) == 0:
                raise broken(f"stops[{i}]", "must not be empty", given[i])
        total = sum(map(len, self._symbols))
        if total > MAX_TOTAL:
            raise broken("stops", "must hold at most 1048576 symbols in all", total)

    @property
    def kind(self) -> str:
        """``"text"``, ``"bytes"`` or ``"tokens"``."""
        return self._kind

    @property
    def stops(self) -> tuple[Any, ...]:
        """The stops in the given order: a tuple of str, of bytes or of tuples of ids."""
        return tuple(stop.decode() if self._kind == "text" else stop for stop in self._symbols)

    @property
    def tie(self) -> str:
        """``"first"`` or ``"longest"``: which stop wins of those that end at the same place."""
        return self._tie

    @property
    def include(self) -> bool:
        """Whether the stop itself is part of the output."""
        return self._include

    @property
    def max_len(self) -> int:
        """The length of the longest stop, in bytes or ids; 0 without stops."""
        return max(map(len, self._symbols), default=0)

    @property
    def unreachable(self) -> tuple[int, ...]:
        """The indices of the stops that can never win.

        What beats a stop lies within it: one that ends earlier, or one that ends with it and wins
        the tie. So a stop that wins anywhere wins in its own text.

        >>> from rheostat.reference import StopSet
        >>> StopSet(["ab", "abcd"]).unreachable
        (1,)
        """
        finish = [self._finish(stop, 0) for stop in self._symbols]
        return tuple(i for i, stop in enumerate(self._symbols) if finish[i] != (i, len(stop)))

    @property
    def nbytes(self) -> int:
        """Memory of the stops, in bytes."""
        return sum(map(len, self._symbols)) * (4 if self._kind == "tokens" else 1)

    @property
    def fingerprint(self) -> int:
        """FNV-1a, 64 bits, over all that decides what a matcher does."""
        data = bytes([KINDS.index(self._kind), TIES.index(self._tie), self._include])
        for stop in self._symbols:
            data += len(stop).to_bytes(8, "little")
            data += b"".join(id.to_bytes(4, "little") for id in stop) if self._kind == "tokens" else stop
        hash = 0xCBF29CE484222325
        for byte in data:
            hash = (hash ^ byte) * 0x100000001B3 % 2**64
        return hash

    def _finish(self, text: Any, read: int) -> tuple[int, int] | None:
        """The winner's index and the least end > read at which any stop completes, or None."""
        for end in range(read + 1, len(text) + 1):
            complete = [
                i
                for i, stop in enumerate(self._symbols)
                if end >= len(stop) and text[end - len(stop) : end] == stop
            ]
            if complete and self._tie == "first":
                return min(complete), end
            if complete:
                return min(complete, key=lambda i: (-len(self._symbols[i]), i)), end
        return None

    def _hold(self, text: Any, armed: bool) -> int:
        """H(text): nothing completed so far. Unarmed, arming may come at any later place."""
        if self._include:
            return 0
        hold = 0
        for stop in self._symbols:
            for there in range(1, min(len(stop), len(text) + 1)):
                if text[len(text) - there :] != stop[:there]:
                    continue
                whole = text + stop[there:]
                for read in [len(text)] if armed else range(len(text), len(whole)):
                    finish = self._finish(whole, read)
                    if finish:
                        index, end = finish
                        hold = max(hold, len(text) - (end - len(self._symbols[index])))
        return hold

    def _label(self, text: Any) -> tuple[int, int]:
        """The longest end of the text that begins a stop: the first such stop and the length."""
        for depth in range(min(self.max_len, len(text)), 0, -1):
            for i, stop in enumerate(self._symbols):
                if len(stop) >= depth and text[len(text) - depth :] == stop[:depth]:
                    return i, depth
        return 0, 0

    def _hit(self, index: int, end: int, discarded: int) -> StopHit:
        return StopHit(index, self.stops[index], end - len(self._symbols[index]), end, discarded)

    def find(self, whole: Any) -> StopHit | None:
        """The StopHit in a whole text (str, bytes or ids, as the kind says), or None.

        >>> from rheostat.reference import StopSet
        >>> StopSet([[13, 13], 2]).find([5, 13, 13, 7])
        StopHit(index=0, stop=(13, 13), start=1, end=3, discarded=1)
        """
        text = symbols(whole, self._kind, "whole")
        finish = self._finish(text, 0)
        return self._hit(*finish, len(text) - finish[1]) if finish else None

    def matcher(self) -> StopMatcher:
        """A StopMatcher at the beginning of a stream."""
        from rheostat.reference.stop_matcher import StopMatcher  # it needs this module itself

        return StopMatcher(self)

    def batch(self, n: int) -> StopBatch:
        """A StopBatch of n rows that all end at these stops."""
        from rheostat.reference.stop_batch import StopBatch  # it needs this module itself

        return StopBatch(self, n)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, StopSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.stops, self._kind, self._tie, self._include

    def __repr__(self) -> str:
        knobs = f"kind={self._kind!r}, tie={self._tie!r}, include={self._include!r}"
        return f"StopSet({self.stops!r}, {knobs})"

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), LAW, self.stops, self._kind, self._tie, self._include)
