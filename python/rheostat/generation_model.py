"""What all loops share: what a model is, which tokens it sees, how it is awaited, and where the time went."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.params import SamplingParams

if TYPE_CHECKING:
    import asyncio

    from rheostat.recording import Recorder

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
PromptIds = Sequence[int] | NDArray[np.integer[Any]]
Mask = Callable[[tuple[int, ...]], Any]
"""From the ids of the output to a grammar's mask for the next token, or None."""


class Writes(Protocol):
    """A text file, or what else can write a str."""

    def write(self, text: str, /) -> Any: ...


Target = str | os.PathLike[str] | Writes
"""Where a record goes."""


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

    def plus(self, model: float, sampling: float, tokens: int) -> Timings:
        """With a call of the model and the tokens that came of it."""
        prompt = self.prompt if self.tokens else model
        return Timings(self.model + model, self.sampling + sampling, prompt, self.tokens + tokens)


class Window:
    """Which tokens of a sequence its model sees: all, or with "slide" the newest, `context_length` at most.

    `params` are those that the sequence is made with: it goes on where its oldest tokens slide out.
    """

    def __init__(self, context: str, params: SamplingParams) -> None:
        if context not in POLICIES:
            raise KnobError(f"context must be 'error' or 'slide', got {context!r}", "context", context)
        self.context = context
        self.params = params
        self._width: int | None = None
        if context == "slide":
            self._width = params.context_length
            if self._width is None:
                message = "context must be 'error' where there is no context_length, got 'slide'"
                raise KnobError(message, "context", context)
            self.params = params.replace(context_length=None)
        self.dropped = 0

    def asked(self, params: SamplingParams) -> SamplingParams:
        """The params of the sequence as they were asked for, with the length at which it slides."""
        return params if self._width is None else params.replace(context_length=self._width)

    def begin(self, prompt_ids: Iterable[int]) -> None:
        """At a prompt."""
        self._ids = list(prompt_ids)
        self._prompt_length = len(self._ids)

    @property
    def last(self) -> int:
        """The newest token."""
        return self._ids[-1]

    def add(self, id: int) -> None:
        """One more token."""
        self._ids.append(id)

    def follow(self, sequence: Any) -> bool:
        """Takes up what the sequence has that `add` was not told of, and whether there was any: an interrupt,
        Ctrl-C, may fall between the two.
        """
        if len(self._ids) - self._prompt_length == sequence.position:
            return False
        self._ids[self._prompt_length :] = sequence.output_ids
        return True

    def slide(self, halve: bool) -> bool:
        """Drops the oldest tokens where there are too many, with `halve` so many that half of the width is
        left, and whether it did.
        """
        if self._width is None or len(self._ids) - self.dropped <= self._width:
            return False
        left = max(1, self._width // 2) if halve else self._width
        self.dropped = len(self._ids) - left
        return True

    def seen(self) -> list[int]:
        """The tokens for the model, in a list of its own."""
        return self._ids[self.dropped :]


BUSY = "the generation is in use by another call: ask for one step after another"
"""A second step at once is an error, not a wait: whoever asks for two expects two tokens, of which the second
needs the first."""

ENDS = (StopIteration, StopAsyncIteration)
"""What would end a text as if it were done, where the model or another function of the caller's raises it."""


def lost(error: BaseException) -> RuntimeError:
    """In place of such an exception, as in generators (PEP 479)."""
    return RuntimeError(f"the model, or a function beside it, raised {type(error).__name__}")


class Asking:
    """Calls a model for an event loop: a coroutine function is awaited, any other runs in a thread. A model
    is never called twice at once, also where the first call was cancelled.
    """

    def __init__(self) -> None:
        self._thread: asyncio.Future[Any] | None = None

    async def settled(self) -> None:
        """When a thread of a call that was cancelled is done."""
        import asyncio  # here, since it takes longer to import than the rest of the library

        if self._thread is not None and not self._thread.done():
            await asyncio.wait([self._thread])

    async def ask(self, model: Callable[[Any], Any], argument: Any) -> Any:
        """What the model gives."""
        import asyncio

        if inspect.iscoroutinefunction(model) or inspect.iscoroutinefunction(type(model).__call__):
            return await model(argument)
        self._thread = asyncio.ensure_future(asyncio.to_thread(_called, model, argument))
        # also where nobody waits for it any more its exception is seen, or asyncio would log it
        self._thread.add_done_callback(lambda thread: thread.cancelled() or thread.exception())
        row = await asyncio.shield(self._thread)
        self._thread = None
        return await row if inspect.isawaitable(row) else row


def _called(model: Callable[[Any], Any], argument: Any) -> Any:
    """In a thread, whose future takes no StopIteration."""
    try:
        return model(argument)
    except StopIteration as error:
        raise lost(error) from error


def checked_mask(mask: Any) -> Mask | None:
    """A `bitmask` of a generation."""
    if mask is not None and not callable(mask):
        rule = "bitmask must be a function of the ids so far, or None"
        raise TypeError(f"{rule}, got {type(mask).__name__}")
    return mask  # type: ignore[no-any-return]


def checked_answer(row: Any) -> Any:
    """What a model gave, where it was not awaited."""
    if isinstance(row, Coroutine):
        row.close()  # so that Python does not say that it was never awaited
        raise TypeError("model must give logits, got a coroutine, which agenerate and agenerate_batch await")
    return row


def check_that_it_ends(params: SamplingParams) -> None:
    """Refuses params under which a text may go on for ever."""
    eos = None if params.ignore_eos else params.eos_token_id
    limits = (params.max_tokens, params.context_length, eos, params.stop_token_ids)
    if all(limit is None for limit in limits) and not params.stop:
        message = "max_tokens must be given where nothing else can end the text, got None"
        raise KnobError(message, "max_tokens", None)


def recorder_of(
    target: Target | None, sequence: Any, window: Window, vocab_size: int | None
) -> Recorder | None:
    """What writes the record of a sequence, where one is asked for."""
    if target is None:
        return None
    from rheostat.recording import Recorder  # here, since few loops write one

    return Recorder(target, sequence, window, vocab_size)


IncrementalModel.__module__ = Timings.__module__ = "rheostat"
