"""One stream that ends at the first stop of a set: what is given out, piece by piece, and the state."""

from __future__ import annotations

import codecs
from typing import Any

from rheostat.errors import KnobError
from rheostat.reference.stop import StopSet
from rheostat.reference.stop_input import flag, integer, items, symbols, wrong_type
from rheostat.reference.stop_state import parse_state
from rheostat.stops import StopHit


class StopMatcher:
    """One stream of text, bytes or token ids that ends at the first stop of a StopSet.

    >>> from rheostat.reference import StopSet
    >>> matcher = StopSet(["STOP"]).matcher()
    >>> [matcher.feed(piece) for piece in ("Hello S", "un, S", "TOP!")]
    ['Hello ', 'Sun, ', '']
    >>> matcher.hit
    StopHit(index=0, stop='STOP', start=11, end=15, discarded=1)
    """

    def __init__(self, stop_set: StopSet) -> None:
        if not isinstance(stop_set, StopSet):
            raise wrong_type("stop_set", "must be a StopSet", stop_set)
        self._set = stop_set
        self.reset()

    def reset(self) -> None:
        """Starts a new stream."""
        self._phase = "unarmed"  # then "armed"; at the end "hit" or "flushed"
        self._text: Any = () if self._set.kind == "tokens" else b""
        self._before = 0  # symbols of the stream before _text: after a restore its beginning is gone
        self._emitted = 0
        self._hit: StopHit | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: Any, armed: Any = True) -> Any:
        """Reads a piece, returns what is newly safe: a str, bytes or a list of ids.

        >>> from rheostat.reference import StopSet
        >>> matcher = StopSet(["\\n\\n"]).matcher()
        >>> matcher.feed("one\\n"), matcher.feed("two")
        ('one', '\\ntwo')
        """
        return self._feed(symbols(piece, self._set.kind, "piece"), flag(armed, "armed"), "")

    def _feed(self, piece: Any, armed: bool, place: str) -> Any:
        self._refuse_after_flush(place)
        if self._phase == "hit":
            return self._release(self._emitted)
        if self._phase == "armed" and not armed:
            message = f"armed must stay True once it was True, got False{place}"
            raise KnobError(message, "armed", False)
        read, text = len(self._text), self._text + piece
        finish = self._set._finish(text, read) if armed else None
        if finish is None:
            self._phase, self._text = "armed" if armed else "unarmed", text
            return self._release(self.fed - self._set._hold(text, armed))
        index, end = finish
        self._phase, self._text = "hit", text[:end]
        self._hit = self._set._hit(index, self._before + end, len(text) - end)
        return self._release(self._hit.end if self._set.include else self._hit.start)

    def _refuse_after_flush(self, place: str) -> None:
        if self._phase == "flushed":
            raise ValueError(f"feed must not follow flush without a reset{place}")

    def _release(self, until: int) -> Any:
        """The stream from what was given out so far until there."""
        out = self._text[self._emitted - self._before : until - self._before]
        self._emitted = until
        if self._set.kind == "text":
            return self._decoder.decode(out, final=self._phase in ("hit", "flushed"))
        return list(out) if self._set.kind == "tokens" else out

    def feed_many(self, pieces: Any, armed_from: Any = 0) -> tuple[Any, int]:
        """Reads several pieces, returns what is newly safe and how many of the pieces count.

        >>> from rheostat.reference import StopSet
        >>> StopSet(["END"]).matcher().feed_many(["a", "E", "ND", "b"])
        ('a', 3)
        """
        kind = self._set.kind
        given = items(pieces, "pieces", "must be a sequence of pieces")
        given = [symbols(piece, kind, f"pieces[{i}]") for i, piece in enumerate(given)]
        armed_from = integer(armed_from, "armed_from", None, "must be >= 0")
        self._refuse_after_flush("")
        after, used = self.clone(), 0
        output: Any = {"text": "", "bytes": b"", "tokens": []}[kind]
        while used < len(given) and after._phase != "hit":
            output = output + after._feed(given[used], used >= armed_from, "")
            used += 1
        self.__dict__.update(after.__dict__)
        return output, used

    def flush(self) -> Any:
        """Ends the stream without a stop and returns the rest.

        >>> from rheostat.reference import StopSet
        >>> matcher = StopSet(["STOP"]).matcher()
        >>> matcher.feed("ST"), matcher.flush(), matcher.flush()
        ('', 'ST', '')
        """
        if self._phase == "hit":
            return self._release(self._emitted)
        self._phase = "flushed"
        return self._release(self.fed)

    @property
    def hit(self) -> StopHit | None:
        """The StopHit that ended the stream, or None."""
        return self._hit

    @property
    def held(self) -> Any:
        """What the stop rule holds back: bytes for text and bytes, a list of ids for tokens."""
        held = self._text[len(self._text) if self._hit else self._emitted - self._before :]
        return list(held) if self._set.kind == "tokens" else held

    @property
    def fed(self) -> int:
        """How many bytes or ids were read, up to the end of the stop if there was one."""
        return self._before + len(self._text)

    @property
    def emitted(self) -> int:
        """How many bytes or ids were given out; the start of an unfinished character counts."""
        return self._emitted

    def clone(self) -> StopMatcher:
        """An independent matcher in the same state."""
        twin = StopMatcher(self._set)
        twin.__dict__.update(self.__dict__)
        twin._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        twin._decoder.setstate(self._decoder.getstate())
        return twin

    def __getstate__(self) -> tuple[Any, ...]:
        """The state as a tuple of plain values, for any process and for the fast code."""
        ended = self._phase in ("hit", "flushed")
        stop, depth = (0, 0) if ended else self._set._label(self._text)
        pending = self._decoder.getstate()[0]
        hit = (self._hit.index, self._hit.discarded) if self._hit else None
        fingerprint = self._set.fingerprint
        return 1, fingerprint, self._phase, stop, depth, pending, self.fed, self.emitted, hit

    def __setstate__(self, state: Any) -> None:
        """Takes over a state from __getstate__; KnobError if it is malformed or of another StopSet."""
        saved = parse_state(self._set, state)
        self.reset()
        self._phase, self._text, self._emitted = saved.phase, saved.text, saved.emitted
        self._before = saved.fed - len(saved.text)
        self._decoder.setstate((saved.pending, 0))
        self._hit = self._set._hit(saved.hit[0], saved.fed, saved.hit[1]) if saved.hit else None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._set,), self.__getstate__()

    def __repr__(self) -> str:
        return f"StopMatcher(fed={self.fed}, held={self.held!r}, hit={self.hit!r})"
