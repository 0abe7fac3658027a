"""One sequence, decoded token by token: what a loop must do between two calls of the model, and nothing of
the model itself. `rheostat.Sequence` and `rheostat.reference.Sequence` are this over their own samplers and
stop matchers.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.params import SamplingParams, require
from rheostat.reference.state import origin_of, rewound
from rheostat.reference.stop_input import is_indexable
from rheostat.reference.table import SHAPING
from rheostat.sequence_properties import SequenceProperties
from rheostat.sequence_step import Snapshot, Step, ids_of, tokens_of
from rheostat.token_table import Table
from rheostat.transcript import Finish, Transcript

if TYPE_CHECKING:
    from rheostat.reference.masks import History

BUSY = "the sequence is in use by another call: give each thread its own, and let no step of a chain use it"


class SequenceOver(SequenceProperties):
    """A sequence over one implementation of the sampler and the stop matcher; see `rheostat.Sequence`."""

    _Sampler: ClassVar[Any]
    _BatchSampler: ClassVar[Any]
    _StopSet: ClassVar[Any]
    _TokenTable: ClassVar[Any]
    _process: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        params: SamplingParams,
        table: Any,
        *,
        prompt_ids: Sequence[int] | NDArray[np.integer[Any]] = (),
        stream: int = 0,
        vocab_size: int | None = None,
    ) -> None:
        require(params)
        if table is None and params.stop:
            raise KnobError(
                f"stop must come with a table of the tokens' bytes, got {params.stop!r} alone",
                "stop",
                params.stop,
            )
        if table is None and vocab_size is None:
            raise KnobError("vocab_size must be given where table is None, got None", "vocab_size", None)
        if table is not None and not isinstance(table, Table):
            if not is_indexable(table):
                rule = "table must be a TokenTable or a sequence of bytes and None"
                raise TypeError(f"{rule}, got {type(table).__name__}")
            table = self._TokenTable.from_bytes(table)  # read once, so that no token fails on the way
        self._table = table
        self._params = params = params if table is None else params.resolved(table)
        size = len(table) if vocab_size is None else vocab_size
        self._sampler = self._Sampler(params, size, prompt_ids=prompt_ids, stream=stream)
        length = len(self._sampler.prompt_ids)
        if params.context_length is not None and length >= params.context_length:
            rule = "context_length must be greater than the number of prompt_ids"
            message = f"{rule}, {length}, got {params.context_length}"
            raise KnobError(message, "context_length", params.context_length)
        stop_set = self._StopSet(params.stop, include=params.include_stop_str_in_output)
        self._transcript = Transcript(params, table, stop_set, length)
        # `with` a lock, Ctrl-C comes before it is taken or inside. A second call is an error, so it is looked
        # at before; where two look at once, one waits.
        self._lock = threading.Lock()

    @classmethod
    def from_snapshot(
        cls, snapshot: Snapshot, params: SamplingParams, table: Any, *, vocab_size: int | None = None
    ) -> Self:
        """The sequence that a snapshot is of, over a table that many share.

        A pickle of a sequence carries its table; one of a snapshot does not.

        Args:
            snapshot: what `snapshot` gave, here or in another process.
            params, table, vocab_size: those of the sequence.

        Raises:
            KnobError: the snapshot is of other stops; as `Sequence`.

        >>> import pickle, rheostat
        >>> table = rheostat.TokenTable.from_bytes([b"a", b"b"])
        >>> sequence = rheostat.Sequence(rheostat.SamplingParams(), table, prompt_ids=[1])
        >>> step = sequence.push([0, 1])
        >>> saved = pickle.dumps((sequence.snapshot(), sequence.params))
        >>> rheostat.Sequence.from_snapshot(*pickle.loads(saved), table).text
        'ab'
        """
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"snapshot must be one of a sequence, got {type(snapshot).__name__}")
        origin = origin_of(snapshot.sampler)
        prompt = np.frombuffer(origin.prompt, "<u4")
        sequence = cls(params, table, prompt_ids=prompt, stream=origin.stream, vocab_size=vocab_size)
        sequence._sampler.restore(snapshot.sampler)
        sequence.restore(snapshot)
        return sequence

    def step(self, logits: Any, /, *, bitmask: Any = None) -> Step:
        """Draws a token from a row of logits and takes it.

        Args:
            logits: (vocab,) as in `sample`.
            bitmask: (words,) int32, as in `sample`.

        Raises:
            RuntimeError: the sequence has ended, or another call is at work on it.
            KnobError, LogitsError, TypeError: as in `sample`. After any exception nothing has changed.
        """
        if self._lock.locked():
            raise RuntimeError(BUSY)
        with self._lock:
            transcript, sampler = self._transcript, self._sampler
            if transcript.finish is not None:
                raise _ended(transcript.finish)
            place, released = len(transcript.tokens), transcript.released
            mu = sampler.mu if self._params.mirostat else None
            try:
                token = sampler.sample(logits, bitmask=bitmask)
                text = transcript.take(token)
                shown = tuple(transcript.tokens[released : transcript.released])
                return Step(token, text, transcript.finish, shown)
            except BaseException:
                self._undo(place, mu)
                raise

    def push(self, tokens: Any, /) -> Step:
        """Takes tokens that were drawn elsewhere: by a batch, by `verify`, or forced.

        Args:
            tokens: a token id, a `Token`, or a sequence of them. What comes behind the one that ends the
                sequence is dropped: `position` tells how many were taken.

        Raises:
            RuntimeError: as in `step`.
            KnobError, TypeError: what is no id of the vocabulary. After any exception nothing has changed.
        """
        ids = ids_of(tokens)
        if self._lock.locked():
            raise RuntimeError(BUSY)
        with self._lock:
            transcript, sampler = self._transcript, self._sampler
            if transcript.finish is not None:
                raise _ended(transcript.finish)
            place, released = len(transcript.tokens), transcript.released
            mu = sampler.mu if self._params.mirostat else None
            try:
                sampler.accept(ids)
                given = tokens_of(tokens)
                for token in given:
                    transcript.take(token)
                    if transcript.finish is not None:
                        break
                end = len(transcript.tokens)
                if end < place + len(given):
                    sampler.restore(rewound(sampler.snapshot(), end, mu))
                last = transcript.tokens[-1] if given else None
                shown = tuple(transcript.tokens[released : transcript.released])
                return Step(last, "".join(transcript.text[place:]), transcript.finish, shown)
            except BaseException:
                self._undo(place, mu)
                raise

    def end(self) -> Step:
        """Ends the sequence where it is, as at a limit that only the caller knows: what was held back for a
        stop, or of a character, is shown now, and `finish` is ("length", None).

        Raises:
            RuntimeError: as in `step`.

        >>> import rheostat
        >>> table = rheostat.TokenTable.from_bytes([b"one", b" EN", b"D"])
        >>> sequence = rheostat.Sequence(rheostat.SamplingParams(stop=" END"), table)
        >>> sequence.push([0, 1]).text, sequence.end().text, sequence.text
        ('one', ' EN', 'one EN')
        """
        with self._alone():
            transcript = self._transcript
            if transcript.finish is not None:
                raise _ended(transcript.finish)
            released = transcript.released
            text = transcript.end()
            return Step(None, text, transcript.finish, tuple(transcript.tokens[released:]))

    def snapshot(self) -> Snapshot:
        """The state, for `restore` and `from_snapshot`: what a rejected draft or a dropped branch goes back
        to.
        """
        with self._alone():
            return Snapshot(self._sampler.snapshot(), self._transcript.state)

    def restore(self, snapshot: Snapshot, /) -> None:
        """Goes back, or on, to a snapshot of this sequence, or of one with the same prompt, seed, stream and
        stops.

        Raises:
            KnobError: it is of another sequence; nothing has changed then.
        """
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"snapshot must be one of this sequence's, got {type(snapshot).__name__}")
        with self._alone():
            own, other = origin_of(self._sampler.snapshot()), origin_of(snapshot.sampler)
            same = [("prompt", own.prompt == other.prompt)]
            same += [("seed", own.seed == other.seed), ("stream", own.stream == other.stream)]
            same += [("stop", self._transcript.has_stops_of(snapshot.transcript))]
            for name, is_same in same:
                if not is_same:
                    message = f"snapshot must be one of this sequence's, got one with another {name}"
                    raise KnobError(message, "snapshot", snapshot)
            self._sampler.restore(snapshot.sampler)
            self._transcript.restore(snapshot.transcript)

    def _kept(self, x: Any, state: bytes, history: History, bitmask: Any) -> tuple[Any, Any]:
        """What the chain keeps of (1, vocab) logits where the sampler is at that snapshot: the ids, and their
        logits after masks, biases and penalties. For records: the sequence stays as it is.
        """
        params, size = self._params, self.vocab_size
        batch = self._BatchSampler(size)
        batch.restore(batch.add(params), state)
        _, ids = batch.step(x, bitmask=None if bitmask is None else [bitmask], kept=True).kept
        shaping = {name: value for name, value in params.knobs().items() if name in SHAPING}
        prompt, output = history
        shaped = self._process(
            x[0], prompt_ids=prompt, output_ids=output, chain=(), vocab_size=size, bitmask=bitmask, **shaping
        )
        return ids, shaped[ids]

    def _undo(self, place: int, mu: float | None) -> None:
        """Back to the tokens before a call that failed. Nothing is kept for it beforehand, so that no step
        pays for it: the text is a function of the tokens, and so is the sampler's state but for mu.
        """
        sampler = self._sampler
        if sampler.position != place:  # what comes before the sampler moves leaves the text alone too
            sampler.restore(rewound(sampler.snapshot(), place, mu))
            self._transcript.rewind(place)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While one call works on the sequence."""
        if self._lock.locked():
            raise RuntimeError(BUSY)
        with self._lock:
            yield

    def __copy__(self) -> Self:
        """An independent sequence in the same state; what cannot change is shared, the table above all."""
        with self._alone():
            twin = object.__new__(type(self))
            twin.__dict__.update(self.__dict__)
            twin._sampler = copy.copy(self._sampler)
            twin._transcript = copy.copy(self._transcript)
            twin._lock = threading.Lock()
            return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        with self._alone():
            state = {name: value for name, value in self.__dict__.items() if name != "_lock"}
            return state | {"_transcript": copy.copy(self._transcript)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kinds = {
            "_table": object,
            "_params": SamplingParams,
            "_sampler": self._Sampler,
            "_transcript": Transcript,
        }
        if not isinstance(state, dict) or state.keys() != kinds.keys():
            raise KnobError(
                "state must be one that Sequence.__getstate__ gave, got another", "state", "another"
            )
        for name, kind in kinds.items():
            if not isinstance(state[name], kind):
                message = f"state must have a {kind.__name__} as {name}, got {type(state[name]).__name__}"
                raise KnobError(message, "state", type(state[name]).__name__)
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = "open" if self.finish is None else f"ended: {self.finish.reason}"
        return f"<{type(self).__name__} of {self.position} tokens, {state}>"


def _ended(finish: Finish) -> RuntimeError:
    return RuntimeError(f"the sequence has ended ({finish.reason}): make a new one")
