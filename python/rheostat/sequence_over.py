"""One sequence, decoded token by token: what a loop must do between two calls of the model, and nothing of
the model itself. `rheostat.Sequence` and `rheostat.reference.Sequence` are this over their own samplers and
stop matchers.

Inside one token the order is: a stop id or EOS first (its own text is not part of the output unless
`include_stop_str_in_output`), then a stop string, then the limits. While fewer than `min_tokens` tokens are
there nothing but a limit ends the sequence.
"""

from __future__ import annotations

import codecs
import copy
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from rheostat.errors import KnobError
from rheostat.params import SamplingParams
from rheostat.results import Token


class Finish(NamedTuple):
    """Why a sequence ended."""

    reason: str
    """``"stop"`` (a stop string or stop id), ``"eos"``, ``"length"`` (max_tokens) or ``"context"``
    (context_length)."""
    stop: str | bytes | int | None
    """The stop string, or the id of the stop or EOS token; None at a limit."""


class Step(NamedTuple):
    """What a token brought."""

    token: Token | None
    """The last token that was taken; None where none was."""
    text: str
    """What can be shown: it is never taken back, and together it is the sequence's text."""
    finish: Finish | None
    """Why the sequence ended with this token, or None."""


class SequenceOver:
    """A sequence over one implementation of the sampler and the stop matcher; see `rheostat.Sequence`."""

    _Sampler: ClassVar[Any]
    _StopSet: ClassVar[Any]

    def __init__(
        self,
        params: SamplingParams,
        table: Any,
        *,
        prompt_ids: Iterable[int] = (),
        stream: int = 0,
        vocab_size: int | None = None,
    ) -> None:
        if not isinstance(params, SamplingParams):
            raise TypeError(f"params must be a SamplingParams, got {type(params).__name__}")
        if table is None and params.stop:
            raise KnobError(
                f"stop must come with a table of the tokens' bytes, got {params.stop!r} alone",
                "stop",
                params.stop,
            )
        if table is None and vocab_size is None:
            raise KnobError("vocab_size must be given where table is None, got None", "vocab_size", None)
        self._table = table
        self._params = params = params if table is None else params.resolved(table)
        size = len(table) if vocab_size is None else vocab_size
        self._sampler = self._Sampler(params, size, prompt_ids=prompt_ids, stream=stream)
        self._prompt_length = len(self._sampler.prompt_ids)
        if params.context_length is not None and self._prompt_length >= params.context_length:
            rule = "context_length must be greater than the number of prompt_ids"
            message = f"{rule}, {self._prompt_length}, got {params.context_length}"
            raise KnobError(message, "context_length", params.context_length)
        self._eos = _ids(None if params.ignore_eos else params.eos_token_id)
        self._stop_ids = _ids(params.stop_token_ids)
        include = params.include_stop_str_in_output
        self._matcher = self._StopSet(params.stop, include=include).matcher()
        # Stops that are bytes may end inside a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace") if self._is_bytes else None
        self._tokens: list[Token] = []
        self._ends: list[int] = []  # of each token, in bytes of what was fed
        self._text: list[str] = []
        self._finish: Finish | None = None
        self._lock = threading.Lock()

    @property
    def _is_bytes(self) -> bool:
        return bool(self._params.stop) and isinstance(self._params.stop[0], bytes)

    @property
    def params(self) -> SamplingParams:
        """The parameters; breakers that were strings are ids."""
        return self._params

    @property
    def table(self) -> Any:
        """The tokens' bytes, or None."""
        return self._table

    @property
    def vocab_size(self) -> int:
        """How many tokens there are to draw from."""
        return int(self._sampler.vocab_size)

    @property
    def seed(self) -> int:
        """The seed, also where the system gave it."""
        return int(self._sampler.seed)

    @property
    def stream(self) -> int:
        """The stream."""
        return int(self._sampler.stream)

    @property
    def position(self) -> int:
        """How many tokens the output has: the position of the next draw."""
        return int(self._sampler.position)

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The prompt."""
        return tuple(self._sampler.prompt_ids)

    @property
    def output_ids(self) -> tuple[int, ...]:
        """Every token that was taken, with one that ended the sequence."""
        return tuple(self._sampler.output_ids)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._text)

    @property
    def finish(self) -> Finish | None:
        """Why it ended, or None while it goes on."""
        return self._finish

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens that the text was made of, for their log-probabilities.

        Not among them are a stop or EOS token whose text is not part of it, those that begin in a stop
        string, and, while the sequence goes on, those that are held back.
        """
        end = self._matcher.emitted
        if self._finish is None:
            return tuple(t for t, there in zip(self._tokens, self._ends, strict=True) if there <= end)
        if self._matcher.hit is not None:
            starts = [0, *self._ends]
            return tuple(t for t, start in zip(self._tokens, starts, strict=False) if start < end)
        ender = isinstance(self._finish.stop, int) and not self._params.include_stop_str_in_output
        return tuple(self._tokens[:-1] if ender else self._tokens)

    def step(self, logits: Any, /, *, bitmask: Any = None) -> Step:
        """Draws a token from a row of logits and takes it.

        Args:
            logits: (vocab,) as in `sample`.
            bitmask: (words,) int32, as in `sample`.

        Raises:
            RuntimeError: the sequence has ended, or another thread is at work on it.
            KnobError, LogitsError, TypeError: as in `sample`; nothing has changed then.
        """
        with self._alone():
            token = self._sampler.sample(logits, bitmask=bitmask)
            text = self._take(token)
            return Step(token, text, self._finish)

    def push(self, tokens: Any, /) -> Step:
        """Takes tokens that were drawn elsewhere: by a batch, by `verify`, or forced.

        Args:
            tokens: a token id, a `Token`, or a sequence of them. What comes behind the one that ends the
                sequence is dropped: `position` tells how many were taken.

        Raises:
            RuntimeError: as in `step`.
            KnobError, TypeError: what is no id of the vocabulary; nothing has changed then.
        """
        single = isinstance(tokens, Token) or not isinstance(tokens, Iterable)
        given = [tokens] if single else list(tokens)
        ids = [token.id if isinstance(token, Token) else token for token in given]
        with self._alone():
            before = self._sampler.snapshot() if len(ids) > 1 else None
            self._sampler.accept(ids)
            pieces = []
            for id, token in zip(ids, given, strict=True):
                pieces.append(self._take(token if isinstance(token, Token) else Token(int(id))))
                if self._finish is not None:
                    break
            if before is not None and len(pieces) < len(ids):
                self._sampler.restore(before)
                self._sampler.accept(ids[: len(pieces)])
            return Step(self._tokens[-1] if pieces else None, "".join(pieces), self._finish)

    def snapshot(self) -> Snapshot:
        """The state, for `restore`: what a rejected draft or a dropped branch goes back to."""
        with self._alone(ended=True):
            return Snapshot(
                self._sampler.snapshot(),
                self._matcher.clone(),
                copy.copy(self._decoder),
                tuple(self._tokens),
                tuple(self._ends),
                tuple(self._text),
                self._finish,
            )

    def restore(self, snapshot: Snapshot, /) -> None:
        """Goes back to a snapshot of this sequence."""
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"snapshot must be one of this sequence's, got {type(snapshot).__name__}")
        with self._alone(ended=True):
            self._sampler.restore(snapshot.sampler)
            self._matcher = snapshot.matcher.clone()
            self._decoder = copy.copy(snapshot.decoder)
            self._tokens, self._ends = list(snapshot.tokens), list(snapshot.ends)
            self._text, self._finish = list(snapshot.text), snapshot.finish

    def _take(self, token: Token) -> str:
        """The next token of the output: its new text, and the end if it is one."""
        place, id = len(self._tokens), token.id
        finish = self._ender(place, id)
        text = ""
        piece = self._piece(id)
        if piece is not None and (finish is None or self._params.include_stop_str_in_output):
            text = self._decode(self._matcher.feed(piece, place >= self._params.min_tokens))
        finish = finish or self._stop_or_limit(place + 1)
        if finish is not None:
            text += self._decode(self._matcher.flush(), final=True)
        self._tokens.append(token)
        self._ends.append(self._matcher.fed)
        self._text.append(text)
        self._finish = finish
        return text

    def _piece(self, id: int) -> bytes | None:
        """The token's bytes; None without any."""
        if self._table is None or id >= len(self._table):
            return None
        piece: bytes | None = self._table[id]
        return piece

    def _ender(self, place: int, id: int) -> Finish | None:
        """The end by the token itself, which min_tokens puts off."""
        if place < self._params.min_tokens:
            return None
        if id in self._eos:
            return Finish("eos", id)
        return Finish("stop", id) if id in self._stop_ids else None

    def _stop_or_limit(self, length: int) -> Finish | None:
        if self._matcher.hit is not None:
            return Finish("stop", self._matcher.hit.stop)
        if length == self._params.max_tokens:
            return Finish("length", None)
        if self._prompt_length + length == self._params.context_length:
            return Finish("context", None)
        return None

    def _decode(self, output: Any, final: bool = False) -> str:
        return str(output if self._decoder is None else self._decoder.decode(output, final))

    @contextmanager
    def _alone(self, ended: bool = False) -> Iterator[None]:
        """While one thread works on the sequence; `ended` is whether it may have ended."""
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("the sequence is in use by another thread: give each thread its own")
        try:
            if self._finish is not None and not ended:
                raise RuntimeError(f"the sequence has ended ({self._finish.reason}): make a new one")
            yield
        finally:
            self._lock.release()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = "open" if self._finish is None else f"ended: {self._finish.reason}"
        return f"<{type(self).__name__} of {self.position} tokens, {state}>"


class Snapshot(NamedTuple):
    """A state of a sequence."""

    sampler: Any
    matcher: Any
    decoder: Any
    tokens: tuple[Token, ...]
    ends: tuple[int, ...]
    text: tuple[str, ...]
    finish: Finish | None


def _ids(ids: int | Sequence[int] | None) -> frozenset[int]:
    return frozenset((ids,) if isinstance(ids, int) else ids or ())


Finish.__module__ = Step.__module__ = "rheostat"
