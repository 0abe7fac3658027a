"""Many sequences, which come and go: row by row, each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rheostat.errors import KnobError, LogitsError
from rheostat.law_version import check_law
from rheostat.params import SamplingParams
from rheostat.reference import knobs as rules
from rheostat.reference import lists
from rheostat.reference.arrays import as_logits
from rheostat.reference.law import LAW
from rheostat.reference.lists import Shape, is_sequence
from rheostat.reference.slot import (
    VOCAB_SIZE,
    Drawn,
    Guard,
    Prepared,
    Slot,
    check_width,
    ids_of,
    plan_of,
    slot_from_snapshot,
)
from rheostat.reference.state import from_bytes
from rheostat.reference.stop_input import flag, index
from rheostat.results import Token, Tokens

MOST = 2**63
"""The next handle is below this in every state that is taken: as many sequences are never added."""


class BatchSampler:
    """Many sequences, drawn for together; see `rheostat.BatchSampler`."""

    def __init__(self, vocab_size: Any) -> None:
        self._vocab_size = rules.one_integer("vocab_size", vocab_size, VOCAB_SIZE)
        self._slots: dict[int, Slot] = {}
        self._next = 0
        self._guard = Guard("BatchSampler")

    def add(self, params: SamplingParams, *, prompt_ids: Any = (), stream: Any = 0) -> int:
        """Adds a sequence, returns its handle, an int never used again."""
        slot = Slot(params, self._vocab_size, prompt_ids, stream)
        with self._guard:
            handle = self._next
            self._next += 1
            self._slots[handle] = slot
        return handle

    def remove(self, handle: Any) -> None:
        """Forgets a sequence."""
        with self._slot(handle):
            del self._slots[_handle("handle", handle, "an integer")]

    def step(
        self,
        logits: ArrayLike,
        handles: Any = None,
        *,
        bitmask: Any = None,
        on_bad_row: Any = "raise",
        kept: Any = False,
    ) -> Tokens:
        """The next token of several sequences; row i belongs to `handles[i]`."""
        x, is_row = as_logits(logits)
        check_width(x, self._vocab_size)
        given = None if handles is None else _handles(handles, len(x))
        masks = lists.row_masks("bitmask", bitmask, Shape(len(x), x.shape[1], is_row, []))
        if not isinstance(on_bad_row, str) or on_bad_row not in ("raise", "mark"):
            message = f"on_bad_row must be 'raise' or 'mark', got {on_bad_row!r}"
            raise KnobError(message, "on_bad_row", on_bad_row)
        tells_kept = flag(kept, "kept")
        with self._guard:
            named = self._named(given, len(x))
            slots = [self._slots[handle] for handle in named]
            rows: list[Drawn | None] = []
            reasons: list[str | None] = []
            for row, slot in enumerate(slots):
                try:
                    drawn = _draw(slot, slot.prepare(x, row, masks[row]), row, named[row])
                except (KnobError, LogitsError) as error:
                    if on_bad_row == "raise":
                        raise
                    rows.append(None)
                    reasons.append(str(error))
                else:
                    rows.append(drawn)
                    reasons.append(None)
            for slot, each in zip(slots, rows, strict=True):
                if each is not None:
                    slot.accept(each)
        tokens = tuple(Token(-1) if each is None else each.token for each in rows)
        ids = np.array([token.id for token in tokens], np.int64)
        sets = [np.array([], np.int64) if each is None else each.kept for each in rows]
        indptr = np.cumsum([0, *map(len, sets)], dtype=np.int64)
        joined = np.concatenate([np.array([], np.int64), *sets])
        return Tokens(ids, tokens, tuple(reasons), (indptr, joined) if tells_kept else None)

    def accept(self, handle: Any, ids: Any) -> None:
        """Moves a sequence on by tokens that were not drawn here."""
        given = ids_of(ids, self._vocab_size)
        with self._slot(handle) as slot:
            slot.state = slot.state.accept(given)

    def set_params(self, handle: Any, params: SamplingParams) -> None:
        """Other parameters for a sequence; its seed changes only if they have one."""
        plan = plan_of(params, self._vocab_size)
        with self._slot(handle) as slot:
            slot.set_plan(plan)

    def snapshot(self, handle: Any) -> bytes:
        """A sequence's state as bytes: those of `Sampler.snapshot`."""
        with self._slot(handle) as slot:
            return slot.state.to_bytes()

    def restore(self, handle: Any, state: bytes) -> None:
        """Takes a sequence back, or on, to a state that `snapshot` gave."""
        saved = from_bytes(state, self._vocab_size)
        with self._slot(handle) as slot:
            slot.restore(saved)

    def params(self, handle: Any) -> SamplingParams:
        """The SamplingParams of a sequence."""
        with self._slot(handle) as slot:
            return slot.params

    def position(self, handle: Any) -> int:
        """How many tokens a sequence's output has: the position of its next draw."""
        with self._slot(handle) as slot:
            return slot.state.position

    def seed(self, handle: Any) -> int:
        """A sequence's seed, also where it came from the system."""
        with self._slot(handle) as slot:
            return slot.state.seed

    def stream(self, handle: Any) -> int:
        """A sequence's stream."""
        with self._slot(handle) as slot:
            return slot.state.stream

    def mu(self, handle: Any) -> float | None:
        """A sequence's mirostat bound; None where mirostat is off."""
        with self._slot(handle) as slot:
            return slot.state.mu

    def history(self, handle: Any) -> tuple[int, ...]:
        """The ids of a sequence's prompt and output."""
        with self._slot(handle) as slot:
            return slot.state.history.all

    def prompt_ids(self, handle: Any) -> tuple[int, ...]:
        """The ids of a sequence's prompt."""
        with self._slot(handle) as slot:
            return slot.state.history.prompt

    def output_ids(self, handle: Any) -> tuple[int, ...]:
        """The ids after a sequence's prompt."""
        with self._slot(handle) as slot:
            return slot.state.history.output

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return self._vocab_size

    @property
    def handles(self) -> tuple[int, ...]:
        """The handles of all sequences, in the order in which they were added."""
        with self._guard:
            return tuple(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def __getstate__(self) -> tuple[Any, ...]:
        with self._guard:
            slots = self._slots.items()
            return LAW, self._next, tuple((handle, s.params, s.state.to_bytes()) for handle, s in slots)

    def __setstate__(self, state: Any) -> None:
        if not _is_state(state):
            message = "state must be one that BatchSampler.__getstate__ gave, got another"
            raise KnobError(message, "state", "another")
        law, following, sequences = state
        check_law(law)
        slots = {key: slot_from_snapshot(params, self._vocab_size, saved) for key, params, saved in sequences}
        with self._guard:
            self._next, self._slots = following, slots

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._vocab_size,), self.__getstate__()

    def __repr__(self) -> str:
        in_use = ", in use" if self._guard.in_use else ""
        return f"BatchSampler(vocab_size={self._vocab_size}, sequences={len(self)}{in_use})"

    @contextmanager
    def _slot(self, handle: Any) -> Iterator[Slot]:
        """The sequence of a handle, under the lock."""
        key = _handle("handle", handle, "an integer")
        with self._guard:
            if key not in self._slots:
                raise _stranger("handle", handle)
            yield self._slots[key]

    def _named(self, handles: list[Any] | None, rows: int) -> list[int]:
        """The sequences of the rows: those named, each once, or all."""
        if handles is None:
            count = len(self._slots)
            if count != rows:
                message = f"logits must have one row for each of {count} sequences, got {rows}"
                raise KnobError(message, "logits", rows)
            return list(self._slots)
        keys: list[int] = []
        for handle in handles:
            key = _handle("handles", handle, "a sequence of integers")
            if key not in self._slots:
                raise _stranger("handles", handle)
            if key in keys:
                message = f"handles must name each sequence once, got {key} twice"
                raise KnobError(message, "handles", key)
            keys.append(key)
        return keys


def _draw(slot: Slot, prepared: Prepared, row: int, handle: int) -> Drawn:
    """The next token; what a callable of the chain raises is noted where it was."""
    try:
        return slot.draw(prepared)
    except BaseException as error:
        error.add_note(f"in row {row}, of the sequence with handle {handle}")
        raise


def _handle(name: str, value: Any, wanted: str) -> int:
    key = None if isinstance(value, bool) else index(value)
    if key is None:
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")
    return key


def _handles(handles: Any, rows: int) -> list[Any]:
    """The handles as given, one for each row."""
    if not is_sequence(handles):
        raise TypeError(f"handles must be a sequence of handles, got {type(handles).__name__}")
    given = handles.tolist() if hasattr(handles, "tolist") else list(handles)
    for handle in given:
        _handle("handles", handle, "a sequence of integers")
    if len(given) != rows:
        message = f"handles must have one entry for each of {rows} rows, got {len(given)}"
        raise KnobError(message, "handles", len(given))
    return given


def _stranger(name: str, handle: Any) -> KnobError:
    return KnobError(f"{name} must be of a sequence in this batch, got {handle}", name, handle)


def _is_state(state: Any) -> bool:
    """(LAW, the next handle, (handle, params, snapshot) of each sequence), the handles ascending."""
    if not isinstance(state, tuple) or len(state) != 3 or not isinstance(state[2], tuple):
        return False
    if not all(isinstance(each, tuple) and len(each) == 3 for each in state[2]):
        return False
    keys = [*(each[0] for each in state[2]), state[1]]
    if not all(type(key) is int for key in keys):
        return False
    return keys == sorted({*keys}) and 0 <= keys[0] <= keys[-1] < MOST
