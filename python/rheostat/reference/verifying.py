"""Speculative decoding: which drafted tokens stay, and the one that follows them.

Lossless: Leviathan, Kalman and Matias 2023, "Fast Inference from Transformers via Speculative Decoding". A
token drawn from q stays with probability min(1, p / q), else one is drawn from max(0, p - q), and what comes
out is distributed as p. Here p = Wp / Sp and q = Wq / Sq over the kept sets, so every comparison is one of
integers.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from rheostat.errors import KnobError
from rheostat.params import SamplingParams
from rheostat.reference import knobs as rules
from rheostat.reference import law, lists
from rheostat.reference.arrays import Array, as_logits, named
from rheostat.reference.chance import ACCEPT, RESIDUAL, Chance, words
from rheostat.reference.cuts import Kept
from rheostat.reference.lists import Shape, id_tuple
from rheostat.reference.slot import VOCAB_SIZE, Slot, check_width
from rheostat.reference.stop_input import one_of
from rheostat.results import Verified

METHODS = ("match", "lossless")
IDS = "a sequence of token ids"


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
    """The drafted tokens that stay and one more; see `rheostat.verify`.

    draft_ids (n,), draft_logits (n, vocab) or None for "match", target_logits (n + 1, vocab).
    """
    one_of(method, "method", "must be 'match' or 'lossless'", METHODS)
    seed = rules.one_integer("seed", seed, rules.WORD)
    stream = rules.one_integer("stream", stream, rules.WORD)
    position = rules.one_integer("position", position, rules.WORD)
    target = _matrix("target_logits", target_logits)
    vocab = target.shape[1] if vocab_size is None else rules.one_integer("vocab_size", vocab_size, VOCAB_SIZE)
    check_width(target, vocab)
    drafted = id_tuple("draft_ids", draft_ids, vocab, IDS)
    count = len(drafted)
    _check_rows("target_logits", "one row for each drafted token and one more", count + 1, len(target))
    room = ("must leave room for the drafted tokens below 2**64", lambda first: first + count < 2**64)
    rules.check("position", room, position)
    if method == "lossless" and count and draft_logits is None:
        message = "draft_logits must be given where method is 'lossless', got None"
        raise KnobError(message, "draft_logits", None)
    draft = _matrix("draft_logits", draft_logits) if method == "lossless" and count else None
    if draft is not None:
        _check_rows("draft_logits", "one row for each drafted token", count, len(draft))
        _check_same_width(draft, target)
    slot = Slot(params, vocab, prompt_ids)
    if params.mirostat:
        message = f"mirostat must be 0 to verify, got {params.mirostat}"
        raise KnobError(message, "mirostat", params.mirostat)
    slot.state = slot.state.accept(id_tuple("output_ids", output_ids, vocab, IDS))
    masks = lists.bitmask("bitmask", bitmask, Shape(count + 1, target.shape[1], False, []))

    for i, token in enumerate(drafted):
        chance = Chance(seed, stream, position + i, None)
        with named("target_logits"):
            x = slot.shaped(target, i, masks[i])
        p = slot.kept(x, chance)
        if draft is None:
            found = _draw(p, chance)
        else:
            with named("draft_logits"):
                x = slot.shaped(draft, i, masks[i])
            q = slot.kept(x, chance)
            if not q.w[q.ids == token].any():  # what is not kept, or weighs nothing, was never drawn
                rule = "draft_ids must hold tokens that the draft's own chain keeps"
                raise KnobError(f"{rule}, got {token} in row {i}", "draft_ids", token)
            found = _accepted_or_residual(token, p, q, words(seed, stream, position + i))
        if found != token:
            return Verified(i, (*drafted[:i], found))
        slot.state = slot.state.accept((token,))
    chance = Chance(seed, stream, position + count, None)
    with named("target_logits"):
        x = slot.shaped(target, count, masks[count])
    p = slot.kept(x, chance)
    return Verified(count, (*drafted, _draw(p, chance)))


def _accepted_or_residual(drafted: int, p: Kept, q: Kept, block: tuple[int, int, int, int]) -> int:
    """The drafted token, which weighs something in q, or what takes its place: where it is refused q > p
    holds there, and so p > q elsewhere.
    """
    wp = dict(zip(p.ids.tolist(), p.w.tolist(), strict=True))
    wq = dict(zip(q.ids.tolist(), q.w.tolist(), strict=True))
    sp, sq = law.total(p.w), law.total(q.w)
    if block[ACCEPT] * (wq[drafted] * sp) < 2**64 * (wp.get(drafted, 0) * sq):
        return drafted
    residual = {i: max(0, w * sq - wq.get(i, 0) * sp) for i, w in wp.items()}  # in id order
    r = (block[RESIDUAL] * sum(residual.values())) >> 64
    for i, weight in residual.items():
        if weight > r:
            return int(i)
        r -= weight
    raise AssertionError("r is below the sum")


def _draw(kept: Kept, chance: Chance) -> int:
    return int(kept.ids[law.draw(kept.w, chance.word(0))])


def _matrix(name: str, logits: Any) -> Array:
    with named(name):
        x, is_row = as_logits(logits)
    if is_row:
        raise KnobError(f"{name} must have shape (rows, vocab), got shape {x.shape[1:]}", name, x.shape[1:])
    return x


def _check_rows(name: str, what: str, wanted: int, got: int) -> None:
    if got != wanted:
        raise KnobError(f"{name} must have {what}, {wanted}, got {got}", name, got)


def _check_same_width(draft: Array, target: Array) -> None:
    width = draft.shape[1]
    if width != target.shape[1]:
        rule = f"draft_logits must be as wide as target_logits, {target.shape[1]}"
        raise KnobError(f"{rule}, got {width}", "draft_logits", width)
