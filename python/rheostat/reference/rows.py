"""The rows of a call with all that acts on them, checked; the way from a row to what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.errors import KnobError
from rheostat.reference import chain as chains
from rheostat.reference.arrays import Array, as_logits, check_row
from rheostat.reference.chance import Chance, chances_of
from rheostat.reference.cuts import Kept
from rheostat.reference.lists import Shape, histories
from rheostat.reference.masks import History, allowed, nothing_left
from rheostat.reference.penalties import adjust
from rheostat.reference.table import Knobs, knobs_of

Row = NDArray[np.float32]


class Rows:
    """(batch, vocab) logits, and for each row its knobs and its history; one chain for all."""

    def __init__(
        self, logits: ArrayLike, prompt_ids: Any, output_ids: Any, chain: Any, knobs: Mapping[str, Any]
    ) -> None:
        self.x, self.is_row = as_logits(logits)
        count, self.width = self.x.shape
        self.knobs = knobs_of(knobs, count, self.width, self.is_row)
        vocab = [row.vocab_size or self.width for row in self.knobs]
        shape = Shape(count, self.width, self.is_row, vocab)
        prompts = histories("prompt_ids", prompt_ids, shape)
        outputs = histories("output_ids", output_ids, shape)
        self.histories = [History(*pair) for pair in zip(prompts, outputs, strict=True)]
        self.chain = chains.chain_of(chain, self.knobs)

    def __len__(self) -> int:
        return len(self.x)

    def shaped(self, row: int) -> Row:
        """The row's logits after masks, biases and penalties: (vocab,), what is forbidden at -inf."""
        return shaped(self.x, self.knobs[row], self.histories[row], row)

    def kept(self, x: Row, row: int, chance: Chance) -> Kept:
        """What the chain keeps of the shaped row."""
        return chains.run(x, self.knobs[row], self.chain, self.opens(row, chance))

    def opens(self, row: int, chance: Chance) -> bool:
        return chance.opens(self.knobs[row].xtc_probability)

    def chances(self, seed: Any, stream: Any, position: Any, u: Any = None) -> tuple[list[Chance], bool]:
        """A chance for each row, or for each token wanted of a single row; and whether the result is an
        array.
        """
        if u is not None and any(row.sets("xtc") for row in self.knobs):
            raise KnobError("u must come without xtc_probability, got both", "u", u)
        return chances_of(seed, stream, position, u, len(self), self.is_row)

    def chance_per_row(self, seed: Any, stream: Any, position: Any) -> list[Chance]:
        """Where each row has one result, chance decides XTC alone and is one per row."""
        chances, many = self.chances(seed, stream, position)
        if self.is_row and many:
            got = (len(chances),)
            raise KnobError(
                f"seed, stream and position must be one integer for one row of logits, got shape {got}",
                "seed",
                got,
            )
        return chances


def shaped(logits: Array, knobs: Knobs, history: History, row: int) -> Row:
    """Row `row` of (batch, vocab) logits after masks, biases and penalties: (vocab,), what is forbidden at
    -inf.
    """
    alive, masks = allowed(knobs, history, logits.shape[1], row)
    readable = logits.copy()
    readable[row, ~alive] = -np.inf
    x, takers = adjust(check_row(readable, row), knobs, history, row)
    if not (x > -np.inf).any():
        raise nothing_left(masks + takers, row)
    return x
