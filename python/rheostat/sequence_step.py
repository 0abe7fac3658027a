"""What goes into a step of a sequence and what comes out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rheostat.results import Token, Tokens
from rheostat.transcript import Finish, State


class Step(NamedTuple):
    """What a token brought."""

    token: Token | None
    """The last token that was taken; None where none was."""
    text: str
    """What can be shown: it is never taken back, and together it is the sequence's text."""
    finish: Finish | None
    """Why the sequence ended with this token, or None."""
    tokens: tuple[Token, ...] = ()
    """The tokens whose text is now shown: together they are the sequence's `tokens`. One that holds a part of
    a character, or that a stop string may begin in, comes when its text is shown to the end."""


class Snapshot(NamedTuple):
    """A state of a sequence, without its params and table."""

    sampler: bytes
    transcript: State


def ids_of(tokens: Any) -> Any:
    """What a sampler is to accept; what is neither a Token nor among Tokens is for it to judge."""
    if isinstance(tokens, Token):
        return tokens.id
    if isinstance(tokens, list | tuple | Tokens):
        return [token.id if isinstance(token, Token) else token for token in tokens]
    return tokens


def tokens_of(accepted: Any) -> list[Token]:
    """The tokens among what a sampler has accepted."""
    if isinstance(accepted, Token):
        return [accepted]
    if isinstance(accepted, list | tuple | Tokens):
        return [token if isinstance(token, Token) else Token(int(token)) for token in accepted]
    return [Token(int(id)) for id in np.asarray(accepted).reshape(-1)]


Step.__module__ = "rheostat"
