"""The state of one sequence: its history, its place in chance, and mirostat's mu; and the same as bytes.

A snapshot, little-endian: `RHEO`, u32 version, u32 LAW, u64 seed, u64 stream, u32 whether there is a mu (0 or
1), f64 mu (0 without), u32 number of prompt ids, u32 number of output ids, the ids as u32.
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

from rheostat.errors import KnobError
from rheostat.reference.law import LAW
from rheostat.reference.masks import History

MAGIC = b"RHEO"
SNAPSHOT_VERSION = 1
VERSIONS = struct.Struct("<4sII")
HEAD = struct.Struct("<QQIdII")


class State(NamedTuple):
    """A sequence between two tokens."""

    history: History
    seed: int
    stream: int
    mu: float | None = None

    @property
    def position(self) -> int:
        """How many tokens the output has: the position of the next draw."""
        return len(self.history.output)

    def accept(self, ids: tuple[int, ...]) -> State:
        """The state after these tokens."""
        prompt, output = self.history
        return self._replace(history=History(prompt, output + ids))

    def to_bytes(self) -> bytes:
        """The snapshot."""
        prompt, output = self.history
        mu = (0, 0.0) if self.mu is None else (1, self.mu)
        head = HEAD.pack(self.seed, self.stream, *mu, len(prompt), len(output))
        ids = prompt + output
        return VERSIONS.pack(MAGIC, SNAPSHOT_VERSION, LAW) + head + struct.pack(f"<{len(ids)}I", *ids)


def from_bytes(state: Any, vocab_size: int) -> State:
    """The state in a snapshot of a sequence over this vocabulary."""
    if not isinstance(state, bytes):
        raise TypeError(f"state must be bytes, got {type(state).__name__}")
    malformed = _broken("must be bytes that Sampler.snapshot gave", f"{len(state)} other bytes")
    if state[:4] != MAGIC or len(state) < 8:
        raise malformed
    (version,) = struct.unpack_from("<I", state, 4)
    if version != SNAPSHOT_VERSION:
        raise _broken(f"must be of version {SNAPSHOT_VERSION}", str(version))
    if len(state) < VERSIONS.size:
        raise malformed
    (law,) = struct.unpack_from("<I", state, 8)
    if law != LAW:
        raise _broken(f"must be of law {LAW}", str(law))
    start = VERSIONS.size + HEAD.size
    if len(state) < start:
        raise malformed
    seed, stream, has_mu, mu, prompt, output = HEAD.unpack_from(state, VERSIONS.size)
    is_zero = state[VERSIONS.size + 20 : VERSIONS.size + 28] == bytes(8)
    if has_mu > 1 or (not has_mu and not is_zero) or len(state) - start != 4 * (prompt + output):
        raise malformed
    if not math.isfinite(mu):
        raise _broken("must have a finite mu", repr(mu))
    ids = struct.unpack_from(f"<{prompt + output}I", state, start)
    for id in ids:
        if id >= vocab_size:
            raise _broken(f"must hold token ids in [0, {vocab_size})", str(id))
    return State(History(ids[:prompt], ids[prompt:]), seed, stream, mu if has_mu else None)


class Origin(NamedTuple):
    """What stays the same while a sequence goes on."""

    seed: int
    stream: int
    prompt: bytes
    """The ids as u32."""


def origin_of(snapshot: bytes) -> Origin:
    """Of which sequence a snapshot is."""
    seed, stream, _, _, prompt, _ = HEAD.unpack_from(snapshot, VERSIONS.size)
    start = VERSIONS.size + HEAD.size
    return Origin(seed, stream, snapshot[start : start + 4 * prompt])


def rewound(snapshot: bytes, position: int, mu: float | None) -> bytes:
    """The snapshot as it was at an earlier position, where mirostat's mu was that."""
    seed, stream, _, _, prompt, _ = HEAD.unpack_from(snapshot, VERSIONS.size)
    start = VERSIONS.size + HEAD.size
    given = (0, 0.0) if mu is None else (1, mu)
    head = HEAD.pack(seed, stream, *given, prompt, position)
    return snapshot[: VERSIONS.size] + head + snapshot[start : start + 4 * (prompt + position)]


def _broken(rule: str, got: str) -> KnobError:
    return KnobError(f"state {rule}, got {got}", "state", got)
