"""Speculative decoding: which drafted tokens stay, and the one that follows them.

Lossless: Leviathan, Kalman and Matias 2023, "Fast Inference from Transformers via Speculative Decoding". A token
drawn from q stays with probability min(1, p / q), else one is drawn from max(0, p - q), and what comes out is
distributed as p. Here p = Wp / Sp and q = Wq / Sq over the kept sets, so that every comparison is one of integers.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from rheostat.errors import KnobError
from rheostat.params import SamplingParams
from rheostat.reference import chance, law
from rheostat.reference import knobs as rules
from rheostat.reference.arrays import as_logits
from rheostat.reference.chance import ACCEPT, RESIDUAL, TOKEN, Chance
from rheostat.reference.cuts import Kept
from rheostat.reference.lists import id_tuple
from rheostat.reference.rows import Rows
from rheostat.reference.stop_input import one_of
from rheostat.results import Verified

METHODS = ("match", "lossless")


def verify(
    draft_ids: Any,
    draft_logits: ArrayLike | None,
    target_logits: ArrayLike,
    /,
    params: SamplingParams,
    *,
    seed: Any,
    position: Any,
    stream: Any = 0,
    method: Any = "match",
    prompt_ids: Any = (),
    output_ids: Any = (),
    vocab_size: Any = None,
    bitmask: Any = None,
) -> Verified:
    """The accepted drafted tokens and one more; see `rheostat.verify`.

    draft_ids (n,), draft_logits (n, vocab) or None for "match", target_logits (n + 1, vocab).
    """
    if not isinstance(params, SamplingParams):
        raise TypeError(f"params must be SamplingParams, got {type(params).__name__}")
    one_of(method, "method", "must be 'match' or 'lossless'", METHODS)
    if params.mirostat:
        raise KnobError(f"mirostat must be 0 to verify, got {params.mirostat}", "mirostat", params.mirostat)
    seed, stream, position = (
        _word(name, value) for name, value in (("seed", seed), ("stream", stream), ("position", position))
    )
    target = _matrix("target_logits", target_logits)
    count, width = target.shape
    ids = id_tuple("draft_ids", draft_ids, width, "a sequence of token ids")
    _one_row_each("target_logits", "one row for each drafted token and one more", len(ids) + 1, count)
    rules.check(
        "position",
        ("must leave room for the drafted tokens below 2**64", lambda first: first + len(ids) < 2**64),
        position,
    )
    given = params.knobs()
    chain = given.pop("chain", "vllm")
    prompts, outputs = [list(prompt_ids)] * count, [[*output_ids, *ids[:i]] for i in range(count)]

    def rows(logits: Any, rows: int) -> Rows:
        return Rows(logits, prompts[:rows], outputs[:rows], chain, given | _masks(vocab_size, bitmask, rows))

    targets = rows(target, count)
    drafts = None
    if method == "lossless" and ids:
        draft = _matrix("draft_logits", draft_logits)
        _one_row_each("draft_logits", "one row for each drafted token", len(ids), len(draft))
        if draft.shape[1] != width:
            rule = f"draft_logits must be as wide as target_logits, {width}"
            raise KnobError(f"{rule}, got {draft.shape[1]}", "draft_logits", draft.shape[1])
        drafts = rows(draft, len(ids))

    for i, drafted in enumerate(ids):
        c = Chance(seed, stream, position + i, None)
        p = targets.kept(targets.shaped(i), i, c)
        if drafts is None:
            token = _draw(p, chance.words(seed, stream, position + i)[TOKEN])
        else:
            q = drafts.kept(drafts.shaped(i), i, c)
            if drafted not in q.ids:
                rule = "draft_ids must hold tokens that the draft's own chain keeps"
                raise KnobError(f"{rule}, got {drafted} in row {i}", "draft_ids", drafted)
            token = _accepted_or_residual(drafted, p, q, chance.words(seed, stream, position + i))
        if token != drafted:
            return Verified(i, (*ids[:i], token))
    c = Chance(seed, stream, position + len(ids), None)
    p = targets.kept(targets.shaped(len(ids)), len(ids), c)
    return Verified(len(ids), (*ids, _draw(p, c.word(0))))


def _accepted_or_residual(drafted: int, p: Kept, q: Kept, words: tuple[int, int, int, int]) -> int:
    wp = dict(zip(p.ids.tolist(), p.w.tolist(), strict=True))
    wq = dict(zip(q.ids.tolist(), q.w.tolist(), strict=True))
    sp, sq = law.total(p.w), law.total(q.w)
    if words[ACCEPT] * (wq[drafted] * sp) < 2**64 * (wp.get(drafted, 0) * sq):
        return drafted
    residual = {i: max(0, w * sq - wq.get(i, 0) * sp) for i, w in wp.items()}
    rest = (words[RESIDUAL] * sum(residual.values())) >> 64
    for i in sorted(residual):
        if residual[i] > rest:
            return i
        rest -= residual[i]
    raise AssertionError("what is drawn is below the sum")


def _draw(kept: Kept, u: int) -> int:
    return int(kept.ids[law.draw(kept.w, u)])


def _masks(vocab_size: Any, bitmask: Any, rows: int) -> dict[str, Any]:
    """What belongs to the call and not to the params; of one mask per row the first are the draft's."""
    per_row = getattr(bitmask, "ndim", 1) == 2
    given = {"vocab_size": vocab_size, "bitmask": bitmask[:rows] if per_row else bitmask}
    return {name: value for name, value in given.items() if value is not None}


def _matrix(name: str, logits: Any) -> Any:
    x, is_row = as_logits(logits)
    if is_row:
        raise KnobError(f"{name} must have shape (rows, vocab), got shape {x.shape[1:]}", name, x.shape[1:])
    return x


def _one_row_each(name: str, what: str, wanted: int, got: int) -> None:
    if got != wanted:
        raise KnobError(f"{name} must have {what}, {wanted}, got {got}", name, got)


def _word(name: str, value: Any) -> int:
    number = rules.integer_of(name, value)
    if isinstance(number, list):
        raise TypeError(f"{name} must be an integer, got several")
    return int(rules.check(name, rules.WORD, number))
