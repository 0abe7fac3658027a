"""The loop: the model is asked for a row of logits, a sequence takes a token of it, until it ends.

What a text is and where it ends is the sequence's; here is only what the model is asked, how long it took
and, if asked for, a record. `rheostat.generate` and `rheostat.reference.generate` are this over their own
sequences.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any, Self
from weakref import WeakValueDictionary

from rheostat.generation_model import (
    BUSY,
    ENDS,
    Asking,
    IncrementalModel,
    Mask,
    Model,
    PromptIds,
    Target,
    Timings,
    Window,
    check_that_it_ends,
    checked_answer,
    checked_mask,
    lost,
    recorder_of,
)
from rheostat.params import SamplingParams, require
from rheostat.reference.arrays import MAX_VOCAB, as_logits
from rheostat.results import Token
from rheostat.sequence_step import Step

# By the identity of a model, the generation that asked it last: it keeps what it read for that one alone.
_READERS: WeakValueDictionary[int, Loop] = WeakValueDictionary()


class Loop:
    """What a generation has at any time, also before its end; both kinds share it."""

    def __init__(
        self,
        sequence: Callable[..., Any],
        model: Model,
        prompt_ids: PromptIds,
        params: SamplingParams,
        *,
        table: Any = None,
        vocab_size: int | None = None,
        stream: int = 0,
        context: str = "error",
        bitmask: Mask | None = None,
        record: Target | None = None,
    ) -> None:
        self._incremental = isinstance(model, IncrementalModel)
        if not self._incremental and not callable(model):
            raise TypeError(f"model must be callable, or have start and next, got {type(model).__name__}")
        self._window = Window(context, require(params))
        self._model: Any = model
        self._bitmask = checked_mask(bitmask)
        self._is_sized = table is not None or vocab_size is not None
        size = vocab_size if self._is_sized else MAX_VOCAB
        self._begin = partial(sequence, table=table, stream=stream)
        self._sequence = self._begin(self._window.params, prompt_ids=prompt_ids, vocab_size=size)
        self._window.begin(self._sequence.prompt_ids)
        self._is_warm = False  # whether an incremental model has read all but the last id
        self._logits: Any = None
        self._timings = Timings(0.0, 0.0, 0.0, 0)
        self._turn = threading.Lock()  # of one step at a time; `with` a lock, Ctrl-C comes before or inside
        told = self._sequence.vocab_size if self._is_sized else None
        self._recorder = recorder_of(record, self._sequence, self._window, told)

    @property
    def sequence(self) -> Any:
        """The `Sequence` that the tokens go through."""
        return self._sequence

    @property
    def params(self) -> SamplingParams:
        """The parameters, with the context_length at which the oldest tokens slide out."""
        return self._window.asked(self._sequence.params)

    @property
    def text(self) -> str:
        """The text so far; "" without a table."""
        return str(self._sequence.text)

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The prompt."""
        ids: tuple[int, ...] = self._sequence.prompt_ids
        return ids

    @property
    def ids(self) -> tuple[int, ...]:
        """Every token that was drawn, with one that ended the text."""
        ids: tuple[int, ...] = self._sequence.output_ids
        return ids

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens that the text was made of, with what was asked to be told of them; see `Sequence`."""
        tokens: tuple[Token, ...] = self._sequence.tokens
        return tokens

    @property
    def logprobs(self) -> tuple[float | None, ...]:
        """The log-probability of each of `tokens`; None where `SamplingParams.logprobs` is None."""
        return tuple(token.logprob for token in self.tokens)

    @property
    def finish_reason(self) -> str | None:
        """``"stop"``, ``"eos"``, ``"length"`` or ``"context"``, as in `Finish`; None before the end."""
        finish = self._sequence.finish
        return None if finish is None else finish.reason

    @property
    def stop(self) -> str | bytes | int | None:
        """The stop string, or the id of the stop or EOS token, that ended the text."""
        finish = self._sequence.finish
        return None if finish is None else finish.stop

    @property
    def seed(self) -> int:
        """The seed, also where the system gave it: with it the same tokens come again."""
        return int(self._sequence.seed)

    @property
    def dropped(self) -> int:
        """How many of the oldest tokens the model did not see at the last step; 0 unless they slide."""
        return self._window.dropped

    @property
    def logits(self) -> Any:
        """The row that the last token was drawn from, as the model gave it; None before the first. A model
        that reuses its memory has overwritten it at the next step.
        """
        return self._logits

    @property
    def timings(self) -> Timings:
        """Where the time went."""
        return self._timings

    def _question(self) -> tuple[Callable[[Any], Any], Any]:
        """The call that gives the next row, and its argument. Until that row is taken the model counts as
        cold, so that after a failure it starts from all ids again.
        """
        window, model = self._window, self._model
        moved = window.follow(self._sequence)
        if not self._incremental:
            window.slide(halve=False)
            return model, window.seen()
        moved |= window.slide(halve=True)  # a cache is filled anew then, so half of the tokens go
        is_warm, self._is_warm = self._is_warm and _READERS.get(id(model)) is self, False
        _READERS[id(model)] = self
        return (model.next, window.last) if is_warm and not moved else (model.start, window.seen())

    def _take(self, row: Any, seconds: float) -> Step:
        """A token of the row; `seconds` is what the model took for it."""
        sequence = self._sequence if self._is_sized else self._sized(row)
        began = perf_counter()
        words = None if self._bitmask is None else self._bitmask(self.ids)
        if self._recorder is None:
            step: Step = sequence.step(row, bitmask=words)
        else:
            step = self._recorder.step(sequence, row, words)
        sampling = perf_counter() - began
        assert step.token is not None
        self._sequence, self._is_sized = sequence, True
        self._logits = row
        self._window.add(step.token.id)
        self._is_warm = self._incremental
        self._timings = self._timings.plus(seconds, sampling, 1)
        return step

    def _sized(self, row: Any) -> Any:
        """The sequence over the vocabulary that the first row has."""
        old = self._sequence
        params, vocab_size = old.params.replace(seed=old.seed), as_logits(row)[0].shape[1]
        return self._begin(params, prompt_ids=old.prompt_ids, vocab_size=vocab_size)

    def __reduce__(self) -> Any:
        raise TypeError("a generation cannot be copied or pickled, for its model cannot: copy its sequence")

    def __repr__(self) -> str:
        state = "open" if self.finish_reason is None else f"ended: {self.finish_reason}"
        return f"<{type(self).__name__} of {self._timings.tokens} tokens, {state}>"


class Generation(Loop, Iterator[Step]):
    """A text as it comes: an iterator of its steps, which has the result at any time; see `generate`."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Step:
        if self.finish_reason is not None:
            raise StopIteration
        if self._turn.locked():
            raise RuntimeError(BUSY)
        with self._turn:
            try:
                ask, argument = self._question()
                began = perf_counter()
                row = checked_answer(ask(argument))
                return self._take(row, perf_counter() - began)
            except ENDS as error:
                raise lost(error) from error

    def run(self) -> Self:
        """Goes on to the end and gives the generation itself.

        Raises:
            KnobError: nothing in the params can end the text.
        """
        check_that_it_ends(self._sequence.params)
        for _ in self:
            pass
        return self


class AsyncGeneration(Loop, AsyncIterator[Step]):
    """A text as it comes, for `async for`; see `agenerate`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._asking = Asking()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Step:
        if self.finish_reason is not None:
            raise StopAsyncIteration
        if self._turn.locked():
            raise RuntimeError(BUSY)
        with self._turn:
            try:
                await self._asking.settled()
                ask, argument = self._question()
                began = perf_counter()
                row = await self._asking.ask(ask, argument)
                return self._take(row, perf_counter() - began)
            except ENDS as error:
                raise lost(error) from error

    async def run(self) -> Self:
        """Goes on to the end and gives the generation itself; see `Generation.run`."""
        check_that_it_ends(self._sequence.params)
        async for _ in self:
            pass
        return self


Generation.__module__ = AsyncGeneration.__module__ = "rheostat"
