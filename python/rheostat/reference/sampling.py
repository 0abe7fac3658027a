"""From logits to tokens: the kept set, one draw from it, several draws without replacement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.errors import KnobError
from rheostat.reference import chain as chains
from rheostat.reference import chance, law
from rheostat.reference import knobs as rules
from rheostat.reference.arrays import as_logits, check_row

Ids = NDArray[np.int64]


def kept(
    logits: ArrayLike,
    /,
    *,
    temperature: Any = 1.0,
    top_k: Any = 0,
    top_p: Any = 1.0,
    min_p: Any = 0.0,
    chain: Any = "vllm",
) -> Ids | list[Ids]:
    """The ids that the chain keeps; see `rheostat.kept`."""
    x, is_row = as_logits(logits)
    knobs = chains.knobs_of(len(x), is_row, temperature, top_k, top_p, min_p)
    steps = chains.chain_of(chain, knobs)
    results = []
    for row in range(len(x)):
        ids, _ = chains.run(check_row(x, row), knobs[row], steps)
        results.append(ids)
    return results[0] if is_row else results


def sample(
    logits: ArrayLike,
    /,
    *,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    u: Any = None,
    temperature: Any = 1.0,
    top_k: Any = 0,
    top_p: Any = 1.0,
    min_p: Any = 0.0,
    chain: Any = "vllm",
) -> int | Ids:
    """One token for each row, or for each chance; see `rheostat.sample`."""
    x, is_row = as_logits(logits)
    knobs = chains.knobs_of(len(x), is_row, temperature, top_k, top_p, min_p)
    steps = chains.chain_of(chain, knobs)
    chances, many = _chances(seed, stream, position, u, len(x), is_row)
    tokens = []
    for row in range(len(x)):
        logits_row = check_row(x, row)
        ids, t = chains.run(logits_row, knobs[row], steps)
        w = law.integer_weights(logits_row[ids], t)
        tokens += [int(ids[law.draw(w, c.word(0))]) for c in (chances if is_row else [chances[row]])]
    return np.array(tokens, np.int64) if many else tokens[0]


def choose(
    logits: ArrayLike,
    n: Any,
    /,
    *,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    temperature: Any = 1.0,
    top_k: Any = 0,
    top_p: Any = 1.0,
    min_p: Any = 0.0,
    chain: Any = "vllm",
) -> Ids:
    """n distinct tokens for each row, drawn one after another without replacement; see `rheostat.choose`."""
    x, is_row = as_logits(logits)
    n = rules.integer_of("n", n)
    if isinstance(n, list):
        raise TypeError("n must be an integer, got one per row")
    rules.check("n", ("must be at least 1", lambda n: n >= 1), n)
    knobs = chains.knobs_of(len(x), is_row, temperature, top_k, top_p, min_p)
    steps = chains.chain_of(chain, knobs)
    chances, many = _chances(seed, stream, position, None, len(x), is_row)
    for c in chances:
        rules.check("stream", ("must be at most 2**64 - n", lambda stream: stream <= 2**64 - n), c.stream)
    results = []
    for row in range(len(x)):
        logits_row = check_row(x, row)
        ids, t = chains.run(logits_row, knobs[row], steps)
        w = law.integer_weights(logits_row[ids], t)
        enough = np.count_nonzero(w)
        if n > enough:
            message = (
                "n must be at most the number of kept tokens that have a weight, "
                f"got {n} for {enough} in row {row}"
            )
            raise KnobError(message, "n", n)
        results += [
            _without_replacement(ids, w.copy(), n, c) for c in (chances if is_row else [chances[row]])
        ]
    return np.array(results, np.int64).reshape(-1, n) if many else results[0]


def _without_replacement(ids: Ids, w: NDArray[np.uint64], n: int, c: Chance) -> Ids:
    """Item i is drawn with stream + i from what the items before have left; a drawn token weighs nothing."""
    items = []
    for i in range(n):
        at = law.draw(w, c.word(i))
        w[at] = 0
        items.append(ids[at])
    return np.array(items, np.int64)


class Chance:
    """Where a row's chance comes from: its place in Philox, or a word given by the caller."""

    def __init__(self, seed: int | None, stream: int, position: int, u: int | None) -> None:
        self.seed = chance.fresh_seed() if seed is None and u is None else seed
        self.stream, self.position, self.u = stream, position, u

    def word(self, item: int) -> int:
        """Word 0 of the block, `item` streams on."""
        if self.u is not None:
            return self.u
        assert self.seed is not None
        return chance.words(self.seed, self.stream + item, self.position)[chance.TOKEN]


def _chances(
    seed: Any, stream: Any, position: Any, u: Any, rows: int, is_row: bool
) -> tuple[list[Chance], bool]:
    """A chance for each row, or for each token wanted of a single row; and whether the result is an array."""
    given: dict[str, Any] = {}
    for name, value in (("seed", seed), ("stream", stream), ("position", position), ("u", u)):
        if value is None and name in ("stream", "position"):
            raise TypeError(f"{name} must be an integer or one integer per row, got NoneType")
        given[name] = None if value is None else rules.integer_of(name, value)
    if u is not None and (seed is not None or given["stream"] != 0 or given["position"] != 0):
        raise KnobError("u must come without seed, stream and position, got both", "u", u)
    lists = {name: value for name, value in given.items() if isinstance(value, list)}
    count = len(next(iter(lists.values()))) if is_row and lists else rows
    columns = []
    for name, value in given.items():
        if isinstance(value, list):
            if len(value) != count:
                shape = (len(value),)
                raise KnobError(
                    f"{name} must be an integer or have shape ({count},), got shape {shape}", name, shape
                )
            columns.append([rules.check(name, rules.WORD, item, row) for row, item in enumerate(value)])
        else:
            columns.append([None if value is None else rules.check(name, rules.WORD, value)] * count)
    if rows > 1:
        _refuse_one_chance_for_all(given, rows)
    chances = [Chance(*each) for each in zip(*columns, strict=True)]
    return chances, bool(lists) or not is_row


def _refuse_one_chance_for_all(given: dict[str, Any], rows: int) -> None:
    if isinstance(given["u"], int):
        raise KnobError(
            f"u must hold one integer per row, or all {rows} rows would get the same chance, "
            f"got {given['u']}",
            "u",
            given["u"],
        )
    per_row = any(isinstance(given[name], list) for name in ("seed", "stream", "position"))
    if given["u"] is None and isinstance(given["seed"], int) and not per_row:
        raise KnobError(
            "seed must come with one stream or position per row, "
            f"or all {rows} rows would get the same chance; "
            f"pass stream=np.arange({rows}), got seed={given['seed']} alone",
            "seed",
            given["seed"],
        )
