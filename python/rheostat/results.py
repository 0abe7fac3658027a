"""What functions give that is more than an array; the fast code and the reference share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError


class Logprobs(NamedTuple):
    """`logprobs` and `ranks` have the shape of the token ids; `top_ids` and `top_logprobs` are (top,) or
    (batch, top).

    A log-probability is natural, under what the chain keeps, and -inf outside it. A rank is 1 + the token's
    place in the law's order of the row after masks, biases and penalties. Where fewer than `top` tokens are
    kept, the rest is id -1 at -inf.
    """

    logprobs: NDArray[np.float64]
    ranks: NDArray[np.int64]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float64]


class Verified(NamedTuple):
    """What stays of a draft: `ids` are the first `accepted` drafted tokens and one more."""

    accepted: int
    ids: tuple[int, ...]


class Table(Protocol):
    """Each token's bytes, or None: a `TokenTable`, or a sequence of bytes and None."""

    def __getitem__(self, id: int, /) -> bytes | None: ...


class Token(NamedTuple):
    """What a `Sampler` draws. What was not asked for is None; all numbers are float64."""

    id: int
    """The token's id; -1 for a bad row of a batch."""
    logprob: float | None = None
    """ln p over what was kept; 0.0 when greedy."""
    raw_logprob: float | None = None
    """ln p over the vocabulary in the row as it came: T = 1, no mask, no penalty."""
    rank: int | None = None
    """1 + its place by logit, then by id, in the row as it came."""
    top_logprobs: tuple[tuple[int, float], ...] | None = None
    """The first of what was kept, as (id, logprob); fewer where fewer were kept."""
    kept_count: int | None = None
    """How many tokens were kept."""
    kept_mass: float | None = None
    """What part of the probability was kept, of that after masks and penalties at the final temperature; 1.0
    when greedy."""
    entropy: float | None = None
    """The entropy of what was kept, in nats."""

    def to_openai(self, table: Table) -> dict[str, Any]:
        """The entry of `logprobs.content` in a chat completion; JSON has no infinity, so -inf is -9999.0,
        and nothing is below it.

        The text of a token that is no whole UTF-8 has U+FFFD in it; `bytes` are its own, None without text.

        Raises:
            KnobError: `SamplingParams.logprobs` did not ask for the log-probability.

        >>> from rheostat import Token, TokenTable
        >>> Token(1, -0.5).to_openai(TokenTable.from_bytes([b"a", b"b"]))
        {'token': 'b', 'logprob': -0.5, 'bytes': [98], 'top_logprobs': []}
        """
        if self.logprob is None:
            raise KnobError("logprobs must be at least 0 for a token's entry, got None", "logprobs", None)
        top = [_entry(table, *pair) for pair in self.top_logprobs or ()]
        return _entry(table, self.id, self.logprob) | {"top_logprobs": top}


def _entry(table: Table, id: int, logprob: float) -> dict[str, Any]:
    try:
        text = table[id]
    except IndexError:  # the vocabulary is wider than the table
        text = None
    return {
        "token": (text or b"").decode(errors="replace"),
        "logprob": max(logprob, -9999.0),
        "bytes": None if text is None else list(text),
    }


class Tokens(Sequence[Token]):
    """What a step of a `BatchSampler` gives: `tokens[i]` is the Token of row i."""

    __slots__ = ("_ids", "_kept", "_reasons", "_tokens")

    def __init__(
        self,
        ids: NDArray[np.int64],
        tokens: tuple[Token, ...],
        reasons: tuple[str | None, ...],
        kept: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    ) -> None:
        self._ids, self._tokens, self._reasons, self._kept = ids, tokens, reasons, kept

    @property
    def ids(self) -> NDArray[np.int64]:
        """(rows,) int64: the tokens' ids; -1 for a bad row."""
        return self._ids

    @property
    def reasons(self) -> tuple[str | None, ...]:
        """What is wrong with each row, a sentence; None where nothing is."""
        return self._reasons

    @property
    def kept(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """(indptr, ids), both int64, if asked for: row i kept `ids[indptr[i] : indptr[i + 1]]`, ascending."""
        return self._kept

    def __len__(self) -> int:
        return len(self._tokens)

    @overload
    def __getitem__(self, index: int) -> Token: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Token, ...]: ...
    def __getitem__(self, index: int | slice) -> Token | tuple[Token, ...]:
        return self._tokens[index]

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokens):
            return NotImplemented
        return self._parts() == other._parts()

    __hash__ = None  # type: ignore[assignment]  # as of everything that holds arrays

    def __reduce__(self) -> tuple[Any, ...]:  # the oldest protocols know nothing of slots
        return type(self), (self._ids, self._tokens, self._reasons, self._kept)

    def __repr__(self) -> str:
        return f"Tokens(ids={self.ids!r})"

    def _parts(self) -> tuple[Any, ...]:
        kept = None if self._kept is None else tuple(part.tolist() for part in self._kept)
        return self._ids.tolist(), self._tokens, self._reasons, kept


Token.__module__ = Tokens.__module__ = Verified.__module__ = "rheostat"
