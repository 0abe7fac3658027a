"""A model as a loop drives it that tells it only what is new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rheostat import TokenTable
from rheostat.lab.network import Array

if TYPE_CHECKING:
    from rheostat.lab.model import Model


class Reader:
    """A reader of one text: `start` and `next`, as `rheostat.generate` asks a model that keeps what it read.

    A call of the model itself knows nothing but the ids it is given, so of a window that slides, which begins
    elsewhere at each token, it reads all again. The reader's window begins elsewhere after many tokens: when
    it is full the loop drops its older half and starts anew with the rest.

    >>> import rheostat
    >>> from rheostat import lab
    >>> reader = lab.load().reader()
    >>> params = rheostat.SamplingParams(temperature=0, max_tokens=40, context_length=16)
    >>> ids = reader.encode("Return the name of")
    >>> done = rheostat.generate(reader, ids, params, table=reader.table, context="slide").run()
    >>> len(done.ids), done.dropped
    (40, 27)
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.table: TokenTable = model.table
        """As that of the model, and so are the others."""
        self.context_length = model.context_length
        self.eos_token_id = model.eos_token_id
        self.vocab_size = model.vocab_size
        self._state: Array | None = None

    def encode(self, text: str) -> list[int]:
        """The ids of any text."""
        return self.model.encode(text)

    def start(self, ids: Sequence[int]) -> Array:
        """Forgets what was read, reads these, and gives the logits (vocab_size,) of the next token."""
        self._state, logits = self.model.start(ids)
        return logits

    def next(self, id: int) -> Array:
        """Reads one more."""
        if self._state is None:
            return self.start([id])
        self._state, logits = self.model.step(self._state, id)
        return logits
