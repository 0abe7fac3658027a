"""`check_stops`: what a stop matcher shows of streams that tell matchers apart, compared with the definition.

The definition is `rheostat.reference.StopSet`: the stream ends at the least place where any stop is complete,
of those complete there the first listed wins, nothing of it is shown, and nothing else is withheld for longer
than a stop could still claim it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rheostat.errors import KnobError
from rheostat.reference.stop import TIES, StopSet
from rheostat.reference.stop_input import one_of
from rheostat.testing.shrink import fewest
from rheostat.testing.stops_streams import Stream
from rheostat.testing.stops_streams import streams as own_streams

Feed = Callable[[list[str], list[str]], Any]

CAUSES = ("error", "missed", "late", "early", "tie", "order", "leak", "lost", "withheld", "other text")


@dataclass(frozen=True)
class StopDifference:
    """One cause, with the smallest stream found that shows it."""

    cause: str
    """One of `CAUSES`."""
    what: str
    """In words, after "it ..."."""
    streams: int
    """How many of the streams show it."""
    stops: tuple[str, ...]
    pieces: tuple[str, ...]
    theirs: tuple[str, ...]
    """What was shown after each piece."""
    right: tuple[str, ...]
    """What should have been."""

    def __str__(self) -> str:
        many = "s" if self.streams > 1 else ""
        return "\n".join(
            [
                f"{self.cause}: it {self.what} (in {self.streams} stream{many}).",
                f"  Stops {list(self.stops)}, pieces {list(self.pieces)}",
                f"  showed {list(self.theirs)}; right: {list(self.right)}",
            ]
        )


@dataclass(frozen=True)
class StopReport:
    """What `check_stops` found; `str()` of it is the report."""

    streams: int
    """How many streams were tried."""
    differences: tuple[StopDifference, ...]
    """By cause, the most frequent first; empty where everything is right."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.differences

    def __str__(self) -> str:
        total = sum(difference.streams for difference in self.differences)
        head = f"{total} of {self.streams} streams differ." if total else f"All {self.streams} streams agree."
        return "\n".join([head, *map(str, self.differences)])


class Run(NamedTuple):
    """What a matcher showed: an entry for each piece that it read, and one for an end without a stop."""

    shown: tuple[str, ...]
    stopped: bool
    error: str = ""

    @property
    def text(self) -> str:
        return "".join(self.shown)

    @property
    def read(self) -> int:
        return len(self.shown) - (not self.stopped)


class Definition(NamedTuple):
    """How stops are meant."""

    tie: str
    include: bool

    def run(self, stream: Stream) -> Run:
        """What is right for a stream."""
        matcher = StopSet(stream.stops, kind="text", tie=self.tie, include=self.include).matcher()
        shown = []
        for piece in stream.pieces:
            shown.append(matcher.feed(piece))
            if matcher.hit is not None:
                return Run(tuple(shown), True)
        return Run((*shown, matcher.flush()), False)


def check_stops(
    fn: Feed,
    /,
    *,
    tie: str = "first",
    include: bool = False,
    streams: Iterable[tuple[Sequence[str], Sequence[str]]] | None = None,
) -> StopReport:
    """Runs a stop matcher over streams that tell matchers apart, and says by which cause it shows other text.

    Args:
        fn: called as `fn(stops, pieces)` with two lists of str: a new stream, and the pieces that come. It
            gives `(shown, stopped)`: shown is a list of what can be shown after each piece, up to the one in
            which a stop completes; where none does, it has one entry more, for what is shown when the stream
            ends.
        tie: which of several stops that end at the same place is meant to win, ``"first"`` listed or
            ``"longest"``.
        include: whether the stop itself is meant to be shown.
        streams: other streams than the own ones, as (stops, pieces).

    Returns:
        A report: `ok`, and `differences` by cause, each with the smallest stream that shows it.

    Raises:
        KnobError: tie or a stream breaks its rule.
        TypeError: fn gives something else than is said here.

    >>> from rheostat.testing import check_stops
    >>> def within_pieces(stops, pieces):  # a common mistake: a stop that is cut in two is not seen
    ...     shown = []
    ...     for piece in pieces:
    ...         found = [piece.find(stop) for stop in stops if stop in piece]
    ...         shown.append(piece[: min(found)] if found else piece)
    ...         if found:
    ...             return shown, True
    ...     return [*shown, ""], False
    >>> report = check_stops(within_pieces, streams=[(["END"], ["the E", "ND of"])])
    >>> print(report)
    1 of 1 streams differ.
    missed: it does not see a stop that comes in several pieces (in 1 stream).
      Stops ['END'], pieces ['E', 'ND']
      showed ['E', 'ND', '']; right: ['', '']
    """
    one_of(tie, "tie", "must be 'first' or 'longest'", TIES)
    definition = Definition(tie, include)
    tried = (
        own_streams()
        if streams is None
        else [Stream(tuple(stops), tuple(pieces)) for stops, pieces in streams]
    )
    if not tried:
        raise KnobError("streams must hold at least one stream, got none", "streams", 0)
    found: dict[tuple[str, str], list[Stream]] = {}
    for stream in tried:
        why = _cause(fn, stream, definition)
        if why is not None:
            found.setdefault(why, []).append(stream)
    differences = []
    for why, shown in found.items():
        smallest = _shrunk(min(shown, key=Stream.size), lambda s, why=why: _cause(fn, s, definition) == why)  # type: ignore[misc]
        theirs, right = _run(fn, smallest), definition.run(smallest)
        differences.append(StopDifference(*why, len(shown), *smallest, theirs.shown, right.shown))
    return StopReport(len(tried), tuple(sorted(differences, key=lambda difference: -difference.streams)))


def _run(fn: Feed, stream: Stream) -> Run:
    try:
        given = fn(list(stream.stops), list(stream.pieces))
    except Exception as error:
        return Run((), True, f"{type(error).__name__}: {error}")
    if not isinstance(given, tuple) or len(given) != 2:
        raise TypeError(f"fn must return (shown, stopped), got {type(given).__name__}")
    shown, stopped = given
    if not isinstance(shown, list) or not all(isinstance(text, str) for text in shown):
        raise TypeError(f"fn must return a list of str as shown, got {shown!r}")
    most = len(stream.pieces) + 1
    if (len(shown) >= most) if stopped else (len(shown) != most):
        rule = "an entry for each piece, and one more if no stop was found"
        raise KnobError(
            f"fn must return as shown {rule}, got {len(shown)} for {most - 1} pieces", "fn", len(shown)
        )
    return Run(tuple(shown), bool(stopped))


def _cause(fn: Feed, stream: Stream, definition: Definition) -> tuple[str, str] | None:
    """Why a matcher shows something else, or None where it does not."""
    theirs, right = _run(fn, stream), definition.run(stream)
    if theirs.error:
        return "error", f"raises {theirs.error}"
    if theirs == right:
        return None
    if right.stopped and not theirs.stopped:
        whole = Stream(stream.stops, ("".join(stream.pieces),))
        if len(stream.pieces) > 1 and _run(fn, whole).stopped:
            return "missed", "does not see a stop that comes in several pieces"
        return "missed", "does not see a stop"
    if theirs.stopped and not right.stopped:
        return "early", "stops though no stop is complete"
    if theirs.read != right.read:
        late = theirs.read > right.read
        return (
            ("late", "reads on after a stop is complete")
            if late
            else ("early", "stops before any stop is complete")
        )
    if theirs.text == right.text:
        return _timing(theirs, right)
    return _cut(stream, theirs, right, definition)


def _timing(theirs: Run, right: Run) -> tuple[str, str]:
    """The same text in all, shown at other times."""
    for count in range(1, len(right.shown) + 1):
        ours, wanted = "".join(theirs.shown[:count]), "".join(right.shown[:count])
        if len(ours) > len(wanted):
            return "leak", "shows what a stop could still claim"
        if len(ours) < len(wanted):
            return "withheld", "holds back what no stop can claim any more"
    raise AssertionError("two runs that differ are told apart before")


def _cut(stream: Stream, theirs: Run, right: Run, definition: Definition) -> tuple[str, str]:
    """The same end, another text."""
    read = "".join(stream.pieces[: theirs.read])
    if right.stopped:
        hit = StopSet(stream.stops, kind="text", tie=definition.tie).find(read)
        assert hit is not None
        data = read.encode()
        for stop in stream.stops:
            for start in range(len(data)):
                end = start + len(stop.encode())
                cut = data[: end if definition.include else start].decode(errors="replace")
                if stop == hit.stop or data[start:end] != stop.encode() or theirs.text != cut:
                    continue
                if end == hit.end:
                    return "tie", "ends at another of the stops that are complete at the same place"
                return "order", "ends at another stop of a piece than the one that is complete first"
    if len(theirs.text) > len(right.text) and theirs.text.startswith(right.text):
        return "leak", "shows a stop, or what comes after it"
    if right.text.startswith(theirs.text):
        return "lost", "never shows some of the text before the end"
    return "other text", "shows other text than came"


def _shrunk(stream: Stream, shows: Callable[[Stream], bool]) -> Stream:
    """Fewer stops, fewer pieces, fewer characters."""
    stops = fewest(stream.stops, lambda left: shows(Stream(tuple(left), stream.pieces)))
    pieces = fewest(stream.pieces, lambda left: shows(Stream(tuple(stops), tuple(left))))
    for at, piece in enumerate(pieces):
        others = pieces[:at], pieces[at + 1 :]
        shorter = fewest(
            piece,
            lambda left, o=others: shows(Stream(tuple(stops), (*o[0], "".join(left), *o[1]))),  # type: ignore[misc]
        )
        pieces[at] = "".join(shorter)
    return Stream(tuple(stops), tuple(pieces))
