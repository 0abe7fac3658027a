"""One sequence on its way. It keeps its history alone, and looks through it at every step: what the fast code
keeps of it beside, the tests hold against this.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from rheostat.errors import KnobError
from rheostat.params import SamplingParams
from rheostat.reference import knobs as rules
from rheostat.reference import lists
from rheostat.reference.arrays import as_logits
from rheostat.reference.lists import Shape
from rheostat.reference.slot import VOCAB_SIZE, Guard, Slot, check_width, ids_of, plan_of
from rheostat.reference.state import from_bytes
from rheostat.results import Token


class Sampler:
    """A sequence that knows what has come and draws what comes next; see `rheostat.Sampler`."""

    def __init__(
        self, params: SamplingParams, vocab_size: Any, *, prompt_ids: Any = (), stream: Any = 0
    ) -> None:
        self._vocab_size = rules.one_integer("vocab_size", vocab_size, VOCAB_SIZE)
        self._slot = Slot(params, self._vocab_size, prompt_ids, stream)
        self._guard = Guard("Sampler")

    def sample(self, logits: ArrayLike, *, bitmask: Any = None) -> Token:
        """The next token, which becomes part of the history."""
        x, is_row = as_logits(logits)
        if len(x) != 1:
            raise KnobError(f"logits must be one row, got shape {x.shape}", "logits", x.shape)
        check_width(x, self._vocab_size)
        (words,) = lists.bitmask("bitmask", bitmask, Shape(1, x.shape[1], is_row, []))
        with self._guard:
            drawn = self._slot.draw(self._slot.prepare(x, 0, words))
            self._slot.accept(drawn)
        return drawn.token

    def accept(self, ids: Any) -> None:
        """Moves on by tokens that were not drawn here."""
        given = ids_of(ids, self._vocab_size)
        with self._guard:
            self._slot.state = self._slot.state.accept(given)

    def set_params(self, params: SamplingParams) -> None:
        """Other parameters from the next token on; the seed changes only if they have one."""
        plan = plan_of(params, self._vocab_size)
        with self._guard:
            self._slot.set_plan(plan)

    @property
    def params(self) -> SamplingParams:
        """The SamplingParams that act."""
        with self._guard:
            return self._slot.params

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return self._vocab_size

    @property
    def position(self) -> int:
        """How many tokens the output has: the position of the next draw."""
        with self._guard:
            return self._slot.state.position

    @property
    def seed(self) -> int:
        """The seed, also where it came from the system."""
        with self._guard:
            return self._slot.state.seed

    @property
    def stream(self) -> int:
        """Which of the sequences with this seed it is."""
        with self._guard:
            return self._slot.state.stream

    @property
    def mu(self) -> float | None:
        """Mirostat's bound on the surprise of the next token, in bits; None where mirostat is off."""
        with self._guard:
            return self._slot.state.mu

    @property
    def history(self) -> tuple[int, ...]:
        """The ids of prompt and output."""
        with self._guard:
            return self._slot.state.history.all

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The ids of the prompt."""
        with self._guard:
            return self._slot.state.history.prompt

    @property
    def output_ids(self) -> tuple[int, ...]:
        """The ids after the prompt."""
        with self._guard:
            return self._slot.state.history.output

    def snapshot(self) -> bytes:
        """The state as bytes, without the parameters."""
        with self._guard:
            return self._slot.state.to_bytes()

    def restore(self, state: bytes) -> None:
        """Goes back, or on, to a state that `snapshot` gave."""
        saved = from_bytes(state, self._vocab_size)
        with self._guard:
            self._slot.restore(saved)

    def __setstate__(self, state: bytes) -> None:
        self.restore(state)

    def __reduce__(self) -> tuple[Any, ...]:
        with self._guard:
            slot = self._slot
            return type(self), (slot.params, self._vocab_size), slot.state.to_bytes()

    def __repr__(self) -> str:
        if self._guard.in_use:
            return f"Sampler(vocab_size={self._vocab_size}, in use)"
        state = self._slot.state
        size, position, seed, stream = self._vocab_size, state.position, state.seed, state.stream
        return f"Sampler(vocab_size={size}, position={position}, seed={seed}, stream={stream})"
