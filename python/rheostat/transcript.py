"""The text of a sequence as its tokens come: decoded, searched for stops, and ended.

Inside one token the order is: a stop id or EOS first (its own text is not part of the output unless
`include_stop_str_in_output`), then a stop string, then the limits. While fewer than `min_tokens` tokens are
there nothing but a limit ends the sequence.
"""

from __future__ import annotations

import codecs
import copy
import sys
from typing import Any, NamedTuple

from rheostat.params import SamplingParams
from rheostat.results import Token


class Finish(NamedTuple):
    """Why a sequence ended."""

    reason: str
    """``"stop"`` (a stop string or stop id), ``"eos"``, ``"length"`` (max_tokens) or ``"context"``
    (context_length)."""
    stop: str | bytes | int | None
    """The stop string, or the id of the stop or EOS token; None at a limit."""


class State(NamedTuple):
    """Where a transcript is: all of it that changes."""

    matcher: Any
    decoder: Any
    tokens: tuple[Token, ...]
    ends: tuple[int, ...]
    text: tuple[str, ...]
    finish: Finish | None
    shown: int
    released: int


class Transcript:
    """What was taken, what can be shown of it, and why it ended. A function of the tokens alone."""

    __slots__ = (
        "_decoder", "_enders", "_ends", "_has_stops", "_include", "_limit", "_limited", "_matcher",
        "_min_tokens", "_shown", "_size", "_stop_set", "_table", "finish", "released", "text", "tokens",
    )  # fmt: skip

    def __init__(self, params: SamplingParams, table: Any, stop_set: Any, prompt_length: int) -> None:
        self._table, self._size = table, 0 if table is None else len(table)
        self._stop_set, self._has_stops = stop_set, bool(params.stop)
        self._include = params.include_stop_str_in_output
        self._min_tokens = params.min_tokens
        self._enders = {id: Finish("stop", id) for id in _ids(params.stop_token_ids)}
        self._enders |= {id: Finish("eos", id) for id in _ids(params.eos_token_id) if not params.ignore_eos}
        limits = [(params.max_tokens, "length")]
        if params.context_length is not None:
            limits.append((params.context_length - prompt_length, "context"))
        self._limit, reason = min(
            ((limit, reason) for limit, reason in limits if limit is not None),
            key=lambda limit: limit[0],
            default=(sys.maxsize, "length"),
        )
        self._limited = Finish(reason, None)
        self._start()

    def _start(self) -> None:
        self._matcher = self._stop_set.matcher()
        # Stops that are bytes may end inside a character.
        is_bytes = self._stop_set.kind == "bytes"
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace") if is_bytes else None
        self.tokens: list[Token] = []
        self._ends: list[int] = []  # of each token, in bytes of what was fed
        self.text: list[str] = []
        self.finish: Finish | None = None
        self._shown = 0  # bytes whose text was shown
        self.released = 0  # how many tokens belong to what was shown

    def take(self, token: Token) -> str:
        """The next token of the output: its new text, and the end if it is one."""
        place, id = len(self.tokens), token.id
        armed = place >= self._min_tokens
        finish = self._enders.get(id) if armed else None
        matcher, ends = self._matcher, self._ends
        end = ends[-1] if ends else 0
        text = ""
        if id < self._size and (finish is None or self._include):
            piece = self._table[id]
            if piece is not None:
                text = self._decode(matcher.feed(piece, armed))
                end += len(piece)
        hit = matcher.hit if self._has_stops else None
        if finish is None:
            if hit is not None:
                finish = Finish("stop", hit.stop)
            elif place + 1 >= self._limit:
                finish = self._limited
        if finish is not None:
            text += self._decode(matcher.flush(), final=True)
        self.tokens.append(token)
        ends.append(end)
        self.text.append(text)
        self.finish = finish
        if finish is None:
            self._release(text)
        elif hit is not None:
            self._release_before(matcher.emitted)
        else:
            left_out = isinstance(finish.stop, int) and not self._include
            self.released = len(self.tokens) - left_out
        return text

    def end(self) -> str:
        """The end at a limit of the caller's: what was held back."""
        text: str = self._decode(self._matcher.flush(), final=True)
        if self.tokens:
            self.text[-1] += text
        self.finish = Finish("length", None)
        self.released = len(self.tokens)
        return text

    def _release(self, text: str) -> None:
        """The tokens whose text is shown to its end."""
        if "\ufffd" not in text:
            self._shown += len(text) if text.isascii() else len(text.encode())
        else:  # which stands for any bytes
            matcher, decoder = self._matcher, self._decoder
            pending = matcher.__getstate__()[5] if decoder is None else decoder.getstate()[0]
            self._shown = matcher.emitted - len(pending)
        ends, released, shown = self._ends, self.released, self._shown
        while released < len(ends) and ends[released] <= shown:
            released += 1
        self.released = released

    def _release_before(self, end: int) -> None:
        """At a stop string: also the tokens that begin before it."""
        starts = [0, *self._ends]
        while self.released < len(self.tokens) and starts[self.released] < end:
            self.released += 1

    def _decode(self, output: Any, final: bool = False) -> Any:
        return output if self._decoder is None else self._decoder.decode(output, final)

    @property
    def state(self) -> State:
        """The state, which later tokens leave as it is."""
        lists = tuple(self.tokens), tuple(self._ends), tuple(self.text)
        decoder = copy.copy(self._decoder)
        return State(self._matcher.clone(), decoder, *lists, self.finish, self._shown, self.released)

    def restore(self, state: State) -> None:
        """Goes to a state, which stays as it is."""
        self._matcher, self._decoder = state.matcher.clone(), copy.copy(state.decoder)
        self.tokens, self._ends, self.text = list(state.tokens), list(state.ends), list(state.text)
        self.finish, self._shown, self.released = state.finish, state.shown, state.released

    def rewind(self, count: int) -> None:
        """Goes back to the first tokens, by taking them again."""
        tokens = self.tokens[:count]
        self._start()
        for token in tokens:
            self.take(token)

    def has_stops_of(self, state: State) -> bool:
        """Whether a state is of the same stops."""
        return bool(self._matcher.__getstate__()[1] == state.matcher.__getstate__()[1])

    def __copy__(self) -> Transcript:
        twin = object.__new__(type(self))
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.restore(self.state)
        return twin


def _ids(ids: Any) -> tuple[int, ...]:
    return tuple(ids or ())


Finish.__module__ = "rheostat"
