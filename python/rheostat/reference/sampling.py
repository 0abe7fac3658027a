"""From logits to tokens: the kept set, one draw from it, several draws without replacement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.errors import KnobError
from rheostat.reference import knobs as rules
from rheostat.reference import law
from rheostat.reference.arrays import MAX_VOCAB
from rheostat.reference.chance import Chance
from rheostat.reference.rows import Rows
from rheostat.reference.table import takes_knobs

Ids = NDArray[np.int64]


@takes_knobs
def kept(
    logits: ArrayLike,
    /,
    *,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    prompt_ids: Any = (),
    output_ids: Any = (),
    chain: Any = "vllm",
    **knobs: Any,
) -> Ids | list[Ids]:
    """The ids that the chain keeps; see `rheostat.kept`. Chance decides nothing here but XTC."""
    rows = Rows(logits, prompt_ids, output_ids, chain, knobs)
    chances = rows.chance_per_row(seed, stream, position)
    results = [rows.kept(rows.shaped(row), row, chances[row]).ids for row in range(len(rows))]
    return results[0] if rows.is_row else results


@takes_knobs
def sample(
    logits: ArrayLike,
    /,
    *,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    u: Any = None,
    prompt_ids: Any = (),
    output_ids: Any = (),
    chain: Any = "vllm",
    **knobs: Any,
) -> int | Ids:
    """One token for each row, or for each chance; see `rheostat.sample`."""
    rows = Rows(logits, prompt_ids, output_ids, chain, knobs)
    chances, many = rows.chances(seed, stream, position, u)
    tokens = []
    for row in range(len(rows)):
        urns = Urns(rows, row)
        for c in chances if rows.is_row else [chances[row]]:
            ids, w = urns.of(c)
            tokens.append(int(ids[law.draw(w, c.word(0))]))
    return np.array(tokens, np.int64) if many else tokens[0]


@takes_knobs
def choose(
    logits: ArrayLike,
    n: Any,
    /,
    *,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    prompt_ids: Any = (),
    output_ids: Any = (),
    chain: Any = "vllm",
    **knobs: Any,
) -> Ids:
    """n distinct tokens for each row, drawn one after another without replacement; see `rheostat.choose`."""
    n = rules.integer_of("n", n)
    if isinstance(n, list):
        raise TypeError("n must be an integer, got one per row")
    rules.check("n", ("must be at least 1", lambda n: n >= 1), n)
    rows = Rows(logits, prompt_ids, output_ids, chain, knobs)
    chances, many = rows.chances(seed, stream, position)
    rules.check("n", (f"must be at most {MAX_VOCAB}", lambda n: n <= MAX_VOCAB), n)
    for c in chances:
        rules.check("stream", ("must be at most 2**64 - n", lambda stream: stream <= 2**64 - n), c.stream)
    results = []
    for row in range(len(rows)):
        urns = Urns(rows, row)
        for c in chances if rows.is_row else [chances[row]]:
            ids, w = urns.of(c)
            enough = np.count_nonzero(w)
            if n > enough:
                rule = "n must be at most the number of kept tokens that have a weight"
                message = f"{rule}, got {n} for {enough} in row {row}"
                raise KnobError(message, "n", n)
            results.append(_without_replacement(ids, w.copy(), n, c))
    return np.array(results, np.int64).reshape(-1, n) if many else results[0]


class Urns:
    """What a row is drawn from: its kept ids with their weights, which chance changes only through XTC's
    gate.
    """

    def __init__(self, rows: Rows, row: int) -> None:
        self.rows, self.row, self.x = rows, row, rows.shaped(row)
        self.by_gate: dict[bool, tuple[Ids, NDArray[np.uint64]]] = {}

    def of(self, chance: Chance) -> tuple[Ids, NDArray[np.uint64]]:
        gate = self.rows.opens(self.row, chance)
        if gate not in self.by_gate:
            kept = self.rows.kept(self.x, self.row, chance)
            self.by_gate[gate] = kept.ids, kept.w
        return self.by_gate[gate]


def _without_replacement(ids: Ids, w: NDArray[np.uint64], n: int, c: Chance) -> Ids:
    """Item i is drawn with stream + i from what the items before it left; a drawn token weighs nothing."""
    items = []
    for i in range(n):
        at = law.draw(w, c.word(i))
        w[at] = 0
        items.append(ids[at])
    return np.array(items, np.int64)
