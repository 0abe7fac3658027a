"""The masks: tokens that may not come next. They act before everything else, and the logit of a forbidden
token is never read, so whatever stands there (a NaN, say) is no error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.reference.table import Knobs

Mask = NDArray[np.bool_]


class History(NamedTuple):
    """The sequence so far: the prompt's ids and those that were drawn after it."""

    prompt: tuple[int, ...] = ()
    output: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        return self.prompt + self.output


def allowed(knobs: Knobs, history: History, width: int, row: int) -> tuple[Mask, list[str]]:
    """The tokens that may come next, (width,); and the names of the masks that forbid something.

    A mask that forbids everything is an error which names the masks that did it together.
    """
    alive = np.ones(width, np.bool_)
    names = []
    for name, forbidden in (
        ("vocab_size", past_vocabulary(knobs, width)),
        ("allowed_token_ids", not_allowed(knobs, width)),
        ("bitmask", masked_bits(knobs, width)),
        ("banned_token_ids", flags(knobs.banned_token_ids or (), width)),
        ("bad_words", flags(ends_of_bad_words(knobs, history), width)),
        ("no_repeat_ngram_size", flags(ends_of_ngrams(knobs.no_repeat_ngram_size, history), width)),
        ("min_tokens", flags(too_early(knobs, history), width)),
    ):
        if name == "min_tokens" and knobs.bitmask is not None and not (alive & ~forbidden).any():
            continue  # a grammar that is complete can but end
        if forbidden.any():
            names.append(name)
        alive &= ~forbidden
    if not alive.any():
        raise nothing_left(names, row)
    return alive, names


def past_vocabulary(knobs: Knobs, width: int) -> Mask:
    """The tail of a row that is wider than the vocabulary (a padded head)."""
    return np.arange(width) >= (width if knobs.vocab_size is None else knobs.vocab_size)


def not_allowed(knobs: Knobs, width: int) -> Mask:
    if knobs.allowed_token_ids is None:
        return np.zeros(width, np.bool_)
    return ~flags(knobs.allowed_token_ids, width)


def masked_bits(knobs: Knobs, width: int) -> Mask:
    """The tokens whose bit is 0, and those past the mask's end; bits past the row's end say nothing."""
    if knobs.bitmask is None:
        return np.zeros(width, np.bool_)
    bits = knobs.bitmask[:, None] >> np.arange(32, dtype=np.int32) & 1  # (words, 32), token 32 w + b
    forbidden = np.ones(width, np.bool_)
    ends = min(width, bits.size)
    forbidden[:ends] = bits.reshape(-1)[:ends] == 0
    return forbidden


def ends_of_bad_words(knobs: Knobs, history: History) -> list[int]:
    """The last id of every word whose other ids the sequence ends with."""
    ids = history.all
    return [word[-1] for word in knobs.bad_words or () if ends_with(ids, word[:-1])]


def ends_of_ngrams(n: int, history: History) -> list[int]:
    """The tokens that would complete an n-gram which the sequence already holds. (fairseq)"""
    if n == 0:
        return []
    ids = history.all
    return [ids[i] for i in range(n - 1, len(ids)) if ends_with(ids, ids[i - n + 1 : i])]


def too_early(knobs: Knobs, history: History) -> Sequence[int]:
    """What ends a sequence, while it is shorter than min_tokens."""
    if len(history.output) >= knobs.min_tokens:
        return ()
    return (*(knobs.eos_token_id or ()), *(knobs.stop_token_ids or ()))


def ends_with(ids: tuple[int, ...], end: tuple[int, ...]) -> bool:
    return not end or ids[-len(end) :] == end


def flags(ids: Sequence[int], width: int) -> Mask:
    """(width,) True at the ids."""
    mask = np.zeros(width, np.bool_)
    mask[list(ids)] = True
    return mask


def nothing_left(names: Sequence[str], row: int) -> KnobError:
    together = " together" if len(names) > 1 else ""
    message = f"{' and '.join(names)} must leave at least one token{together}, got none in row {row}"
    return KnobError(message, names[0], 0)
