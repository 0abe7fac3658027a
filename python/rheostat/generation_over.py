"""The loop: the model is asked for a row of logits, a sequence takes a token of it, until it ends.

What a text is and where it ends is the sequence's; here is only what the model sees, how long it took and,
if asked for, a record. `rheostat.generate` and `rheostat.reference.generate` are this over their own
sequences.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

from rheostat.errors import KnobError
from rheostat.params import SamplingParams
from rheostat.recording import Recorder, Target
from rheostat.reference.arrays import MAX_VOCAB, as_logits
from rheostat.results import Token
from rheostat.sequence_over import Step

if TYPE_CHECKING:
    import asyncio

POLICIES = ("error", "slide")


@runtime_checkable
class IncrementalModel(Protocol):
    """A model that keeps what it has read, as with a key-value cache: it is told only what is new.

    Both methods give the logits for the next token, (vocab,) or (1, vocab), or in `agenerate` may be
    coroutine functions that do.
    """

    def start(self, ids: list[int], /) -> Any:
        """Forgets what it has read and reads these ids."""

    def next(self, id: int, /) -> Any:
        """Reads one more id."""


Model = Callable[[list[int]], Any] | IncrementalModel


class Timings(NamedTuple):
    """Where the time of a generation went, in seconds."""

    model: float
    """In the model."""
    sampling: float
    """From logits to token and text."""
    prompt: float
    """Of `model`, the first row: the reading of the prompt."""
    tokens: int
    """How many tokens came of it."""

    @property
    def tokens_per_second(self) -> float:
        """Of model and sampling together; 0.0 before the first token."""
        return self.tokens / (self.model + self.sampling) if self.tokens else 0.0


class Loop:
    """What a generation has at any time, also before its end; both kinds share it."""

    def __init__(
        self,
        sequence: Callable[..., Any],
        model: Model,
        prompt_ids: Iterable[int],
        params: SamplingParams,
        *,
        table: Any = None,
        vocab_size: int | None = None,
        stream: int = 0,
        context: str = "error",
        bitmask: Callable[[tuple[int, ...]], Any] | None = None,
        record: Target | None = None,
    ) -> None:
        self._incremental = isinstance(model, IncrementalModel)
        if not self._incremental and not callable(model):
            raise TypeError(f"model must be callable, or have start and next, got {type(model).__name__}")
        if context not in POLICIES:
            raise KnobError(f"context must be 'error' or 'slide', got {context!r}", "context", context)
        if not isinstance(params, SamplingParams):
            raise TypeError(f"params must be a SamplingParams, got {type(params).__name__}")
        self._width: int | None = None  # of what the model sees, where the oldest tokens are dropped
        if context == "slide":
            self._width = params.context_length
            if self._width is None:
                message = "context must be 'error' where there is no context_length, got 'slide'"
                raise KnobError(message, "context", context)
            params = params.replace(context_length=None)
        self._model: Any = model
        self._bitmask = bitmask
        self._is_sized = table is not None or vocab_size is not None
        size = vocab_size if self._is_sized else MAX_VOCAB
        self._begin = partial(sequence, table=table, stream=stream)
        self._sequence = self._begin(params, prompt_ids=prompt_ids, vocab_size=size)
        self._ids = list(self._sequence.prompt_ids)
        self._dropped = 0
        self._is_warm = False  # whether an incremental model has read all but the last id
        self._logits: Any = None
        self._timings = Timings(0.0, 0.0, 0.0, 0)
        self._recorder = None if record is None else Recorder(record, self._sequence)

    @property
    def sequence(self) -> Any:
        """The `Sequence` that the tokens go through."""
        return self._sequence

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
        return self._dropped

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
        seen = len(self._ids) - self._dropped
        if self._width is not None and seen > self._width:
            # A cache is filled anew when tokens are dropped, so then half of them go.
            left = max(1, self._width // 2) if self._incremental else self._width
            self._dropped = len(self._ids) - left
            self._is_warm = False
        was_warm, self._is_warm = self._is_warm, False
        if was_warm:
            return self._model.next, self._ids[-1]
        window = self._ids[self._dropped :]
        return (self._model.start if self._incremental else self._model), window

    def _take(self, row: Any, seconds: float) -> Step:
        """A token of the row; `seconds` is what the model took for it."""
        if not self._is_sized:
            self._size(as_logits(row)[0].shape[1])
        began = perf_counter()
        words = None if self._bitmask is None else self._bitmask(self.ids)
        if self._recorder is None:
            step: Step = self._sequence.step(row, bitmask=words)
        else:
            step = self._recorder.step(self._sequence, row, words)
        sampling = perf_counter() - began
        assert step.token is not None
        self._logits = row
        self._ids.append(step.token.id)
        self._is_warm = self._incremental
        past = self._timings
        prompt = past.prompt if past.tokens else seconds
        self._timings = Timings(past.model + seconds, past.sampling + sampling, prompt, past.tokens + 1)
        return step

    def _size(self, vocab_size: int) -> None:
        """The first row tells the size of the vocabulary."""
        old = self._sequence
        params = old.params.replace(seed=old.seed)
        self._sequence = self._begin(params, prompt_ids=old.prompt_ids, vocab_size=vocab_size)
        self._is_sized = True

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
        ask, argument = self._question()
        began = perf_counter()
        row = ask(argument)
        return self._take(row, perf_counter() - began)

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
    """A text as it comes, for `async for`; see `agenerate`. Its model is never called twice at once."""

    _thread: asyncio.Future[Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Step:
        import asyncio  # here, since it takes longer to import than the rest of the library

        if self.finish_reason is not None:
            raise StopAsyncIteration
        if self._thread is not None and not self._thread.done():  # of a call that was cancelled
            await asyncio.wait([self._thread])
        ask, argument = self._question()
        began = perf_counter()
        if inspect.iscoroutinefunction(ask) or inspect.iscoroutinefunction(type(ask).__call__):
            row = await ask(argument)
        else:
            self._thread = asyncio.ensure_future(asyncio.to_thread(ask, argument))
            row = await asyncio.shield(self._thread)
            self._thread = None
        return self._take(row, perf_counter() - began)

    async def run(self) -> Self:
        """Goes on to the end and gives the generation itself; see `Generation.run`."""
        check_that_it_ends(self._sequence.params)
        async for _ in self:
            pass
        return self


def check_that_it_ends(params: SamplingParams) -> None:
    """Refuses params under which a text may go on for ever."""
    eos = None if params.ignore_eos else params.eos_token_id
    limits = (params.max_tokens, params.context_length, eos, params.stop_token_ids)
    if all(limit is None for limit in limits) and not params.stop:
        message = "max_tokens must be given where nothing else can end the text, got None"
        raise KnobError(message, "max_tokens", None)


IncrementalModel.__module__ = Timings.__module__ = "rheostat"
Generation.__module__ = AsyncGeneration.__module__ = "rheostat"
