"""Log-probabilities and ranks of given tokens, and of the best: no result has the size of the vocabulary."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.errors import KnobError
from rheostat.reference import knobs as rules
from rheostat.reference import law
from rheostat.reference.arrays import MAX_VOCAB
from rheostat.reference.cuts import Kept
from rheostat.reference.lists import id_tuple, is_sequence
from rheostat.reference.rows import Rows
from rheostat.reference.table import takes_knobs
from rheostat.results import Logprobs


@takes_knobs
def logprobs(
    logits: ArrayLike,
    token_ids: Any,
    /,
    *,
    top: Any = 0,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    prompt_ids: Any = (),
    output_ids: Any = (),
    chain: Any = "vllm",
    **knobs: Any,
) -> Logprobs:
    """For one row an id or (n,) ids; for a batch (batch,), one id for each row, or (batch, n); see
    `rheostat.logprobs`.
    """
    rows = Rows(logits, prompt_ids, output_ids, chain, knobs)
    wanted, shape = _token_ids(token_ids, rows)
    top = rules.integer_of("top", top)
    if isinstance(top, list):
        raise TypeError("top must be an integer, got one per row")
    rules.check("top", ("must be at least 0", lambda top: top >= 0), top)
    rules.check("top", (f"must be at most {MAX_VOCAB}", lambda top: top <= MAX_VOCAB), top)
    chances = rows.chance_per_row(seed, stream, position)
    results = []
    for row, ids in enumerate(wanted):
        x = rows.shaped(row)
        results.append(_of_row(x, rows.kept(x, row, chances[row]), ids, top))
    none = np.empty(0), np.empty(0, np.int64), np.empty((0, top), np.int64), np.empty((0, top))
    own, ranks, top_ids, top_logprobs = map(np.array, zip(*results, strict=True)) if results else none
    if rows.is_row:
        top_ids, top_logprobs = top_ids[0], top_logprobs[0]
    return Logprobs(own.reshape(shape), ranks.reshape(shape), top_ids, top_logprobs)


def _of_row(x: NDArray[np.float32], kept: Kept, ids: tuple[int, ...], top: int) -> Any:
    """(n,) log-probabilities and ranks of the ids; (top,) ids and log-probabilities of the best."""
    log_p = np.full(x.size, -np.inf)
    log_p[kept.ids] = law.log_probabilities(kept.x, kept.temperature, law.total(kept.w))
    ranks = np.empty(x.size, np.int64)
    ranks[law.order(x)] = np.arange(1, x.size + 1)
    best = np.full(top, -1)
    first = kept.ids[law.order(kept.x)][:top]
    best[: first.size] = first
    return log_p[list(ids)], ranks[list(ids)], best, np.where(best < 0, -np.inf, log_p[best])


def _token_ids(value: Any, rows: Rows) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Each row's ids, and the shape of the results: that of the ids."""
    ids = value.tolist() if hasattr(value, "tolist") else value
    vocab = [row.vocab_size or rows.width for row in rows.knobs]
    if rows.is_row:
        kind = "a token id or a sequence of token ids"
        if is_sequence(ids):
            own = id_tuple("token_ids", ids, vocab[0], kind)
            return [own], (len(own),)
        return [id_tuple("token_ids", [ids], vocab[0], kind)], ()
    kind = "a token id or a sequence of token ids for each row"
    if not is_sequence(ids):
        raise TypeError(f"token_ids must be {kind}, got {type(value).__name__}")
    if len(ids) != len(rows):
        message = f"token_ids must have one entry for each of {len(rows)} rows, got {len(ids)}"
        raise KnobError(message, "token_ids", len(ids))
    flat = not any(map(is_sequence, ids))
    lists = [
        id_tuple("token_ids", [item] if flat else item, v, kind) for item, v in zip(ids, vocab, strict=True)
    ]
    lengths = {len(item) for item in lists}
    if len(lengths) > 1:
        raise KnobError(
            "token_ids must hold as many ids for every row, got a ragged list", "token_ids", "a ragged list"
        )
    return lists, (len(rows),) if flat else (len(rows), lengths.pop())
