"""A matcher's saved state, checked: what no matcher can be in is refused.

The state is the tuple (version, fingerprint, phase, stop, depth, pending, fed, emitted, hit). The
stream itself is not in it: its last `depth` symbols are the first of stop number `stop`, and no more
of it can matter.
"""

from __future__ import annotations

import codecs
from typing import Any, NamedTuple

from rheostat.reference.stop_input import broken

PHASES = ("unarmed", "armed", "hit", "flushed")


class SavedState(NamedTuple):
    """A state that some matcher can be in. ``text``: the end of the stream that can still matter."""

    phase: str
    text: Any
    pending: bytes
    fed: int
    emitted: int
    hit: tuple[int, int] | None


def parse_state(stop_set: Any, state: Any) -> SavedState:
    """The state in the tuple; KnobError if it is malformed, or of another version or stop set."""
    bad = broken("state", "must be one that StopMatcher.__getstate__ gave", state)
    if not isinstance(state, tuple) or not state or type(state[0]) is not int:
        raise bad
    if state[0] != 1:
        raise broken("state", "must be of version 1", state[0])
    if not _has_shape(state):
        raise bad
    _, fingerprint, phase, stop, depth, pending, fed, emitted, hit = state
    if fingerprint != stop_set.fingerprint:
        raise broken("state", "must come from an equal stop set", fingerprint)
    stops = stop_set._symbols
    nothing: Any = () if stop_set.kind == "tokens" else b""
    if depth > (len(stops[stop]) if stop < len(stops) else 0) or (depth == 0 and stop != 0):
        raise bad
    text = stops[stop][:depth] if depth else nothing
    if (phase == "hit") != (hit is not None) or max(fed, hit[1] if hit else 0) > 2**63 - 1:
        raise bad
    if phase == "hit":
        start = fed - len(stops[hit[0]]) if hit[0] < len(stops) else -1
        fits = start >= 0 and emitted == (fed if stop_set.include else start)
    elif phase == "flushed":
        fits = emitted == fed
    else:
        hold = stop_set._hold(text, phase == "armed")
        fits = depth <= fed and emitted == fed - hold and _pending_fits(pending, text[: depth - hold])
    if phase in ("hit", "flushed"):
        fits = fits and depth == 0 and pending == b""
    if not fits or len(pending) > emitted or (pending and stop_set.kind != "text"):
        raise bad
    return SavedState(phase, text, pending, fed, emitted, hit)


def _has_shape(state: tuple[Any, ...]) -> bool:
    if len(state) != 9:
        return False
    _, fingerprint, phase, stop, depth, pending, fed, emitted, hit = state
    sizes = [(fingerprint, 64), (stop, 32), (depth, 32), (fed, 64), (emitted, 64)]
    if hit is not None:
        if not isinstance(hit, tuple) or len(hit) != 2:
            return False
        sizes += [(hit[0], 32), (hit[1], 64)]
    numbers = all(type(value) is int and 0 <= value < 2**bits for value, bits in sizes)
    return numbers and phase in PHASES and isinstance(pending, bytes)


def _pending_fits(pending: bytes, given: Any) -> bool:
    """Whether those bytes can wait for the rest of a character, with `given` the end of the output."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    waits = decoder.decode(pending) == "" and decoder.getstate()[0] == pending
    both = min(len(pending), len(given))
    return waits and tuple(pending[len(pending) - both :]) == tuple(given[len(given) - both :])
