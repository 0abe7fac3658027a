"""One sequence of a sampler: what acts on it, read once from its parameters, and its state."""

from __future__ import annotations

import sys
import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.params import SamplingParams, require
from rheostat.reference import chain as chains
from rheostat.reference import knobs as rules
from rheostat.reference import law
from rheostat.reference.arrays import MAX_VOCAB, Array, check_row
from rheostat.reference.chance import Chance, fresh_seed
from rheostat.reference.cuts import Kept
from rheostat.reference.lists import id_tuple, is_sequence
from rheostat.reference.masks import History
from rheostat.reference.report import reads_given, surprise, token_of
from rheostat.reference.rows import shaped
from rheostat.reference.state import State, from_bytes
from rheostat.reference.table import Knobs, knobs_of
from rheostat.results import Token

VOCAB_SIZE = (f"must be in [1, {MAX_VOCAB}]", lambda size: 1 <= size <= MAX_VOCAB)


class Prepared(NamedTuple):
    """A row: x (vocab,) after masks, biases and penalties; as it came, where that is told of."""

    x: NDArray[np.float32]
    given: NDArray[np.float32]


class Drawn(NamedTuple):
    """A token, what is told of it, and how surprising it was in what was kept."""

    token: Token
    kept: NDArray[np.int64]
    surprise: float


class Slot:
    """A sequence. `draw` changes nothing, `accept` cannot fail: so a failing call changes nothing."""

    def __init__(self, params: Any, vocab_size: int, prompt_ids: Any = (), stream: Any = 0) -> None:
        self.vocab_size = vocab_size
        self.params, self.knobs = plan_of(params, vocab_size)
        prompt = id_tuple("prompt_ids", prompt_ids, vocab_size, "a sequence of token ids")
        stream = rules.one_integer("stream", stream, rules.WORD)
        seed = fresh_seed() if params.seed is None else params.seed
        self.restore(State(History(prompt), seed, stream))

    def restore(self, state: State) -> None:
        """Goes back, or on, to a state. Without a mu mirostat starts, at 2 tau."""
        start = finite(2.0 * self.params.mirostat_tau) if state.mu is None else state.mu
        self.state = state._replace(mu=start if self.params.mirostat else None)

    def set_plan(self, plan: tuple[SamplingParams, Knobs]) -> None:
        """Other parameters from now on; their seed, where they have one."""
        self.params, self.knobs = plan
        seed = self.state.seed if self.params.seed is None else self.params.seed
        self.restore(self.state._replace(seed=seed))

    def prepare(self, logits: Array, row: int, bitmask: NDArray[np.int32] | None) -> Prepared:
        """Row `row` of (batch, vocab) logits after masks, biases and penalties: whatever is wrong with it is
        found here.
        """
        x = self.shaped(logits, row, bitmask)
        is_read = reads_given(self.params)
        return Prepared(x, check_row(logits[:, : self.vocab_size], row) if is_read else x)

    def draw(self, prepared: Prepared) -> Drawn:
        """The next token."""
        chance = Chance(self.state.seed, self.state.stream, self.state.position, None)
        kept = self.kept(prepared.x, chance)
        at = law.draw(kept.w, chance.word(0))
        token = token_of(self.params, kept, prepared.x, prepared.given, at)
        return Drawn(token, kept.ids, surprise(kept, at))

    def shaped(self, logits: Array, row: int, bitmask: NDArray[np.int32] | None) -> NDArray[np.float32]:
        """That row after masks, biases and penalties, (vocab,)."""
        knobs = self.knobs
        if bitmask is not None:
            knobs = Knobs(**(vars(knobs) | {"bitmask": bitmask}))
        return shaped(logits, knobs, self.state.history, row)

    def kept(self, x: NDArray[np.float32], chance: Chance) -> Kept:
        """What the chain keeps of it."""
        xtc = chance.opens(self.knobs.xtc_probability)
        return chains.run(x, self.knobs, self.params.chain_steps(), xtc, self.state.mu)

    def accept(self, drawn: Drawn) -> None:
        """Moves on by a token that was drawn; mirostat's mu follows its surprise."""
        mu = self.state.mu
        if mu is not None:
            mu = finite(mu - self.params.mirostat_eta * (drawn.surprise - self.params.mirostat_tau))
        self.state = self.state.accept((drawn.token.id,))._replace(mu=mu)


def finite(mu: float) -> float:
    """Mirostat's mu, finite whatever the knobs are: so a snapshot can be told from other bytes."""
    return min(max(mu, -sys.float_info.max), sys.float_info.max)


def plan_of(params: Any, vocab_size: int) -> tuple[SamplingParams, Knobs]:
    """The parameters, and their knobs, whose ids must lie in the vocabulary."""
    (knobs,) = knobs_of(require(params).knobs(), 1, vocab_size, True)
    knobs.vocab_size = vocab_size
    return params, knobs


def slot_from_snapshot(params: Any, vocab_size: int, state: Any) -> Slot:
    """A sequence from its parameters and its snapshot."""
    slot = Slot(params, vocab_size)
    slot.restore(from_bytes(state, vocab_size))
    return slot


def ids_of(ids: Any, vocab_size: int) -> tuple[int, ...]:
    """An id, or several."""
    kind = "a token id or a sequence of token ids"
    return id_tuple("ids", ids if is_sequence(ids) else [ids], vocab_size, kind)


def check_width(logits: Array, vocab_size: int) -> None:
    """Refuses a row without a logit for every token."""
    width = logits.shape[1]
    if width < vocab_size:
        message = f"vocab_size must be at most the width of the logits, {width}, got {vocab_size}"
        raise KnobError(message, "vocab_size", vocab_size)


class Guard:
    """A lock that is not waited for: a call that waited would draw a token of a moment that nobody chose."""

    def __init__(self, name: str) -> None:
        self.name, self.lock = name, threading.Lock()

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            message = f"{self.name} must not be used again during a call, got a second call"
            raise RuntimeError(message)

    @property
    def in_use(self) -> bool:
        """Whether a call is under way."""
        return self.lock.locked()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
