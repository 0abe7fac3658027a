"""Many texts at once: the model is asked for a row for each that goes on, a batch sampler draws for all of
them, and each sequence takes its token.

Between the draw and the last sequence that takes its token something may fail: a record that cannot be
written, Ctrl-C. What was drawn is kept until all have it, and the next call begins there.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Self

from rheostat.errors import KnobError
from rheostat.generation_drawn import MAX_ROWS, Drawn, check_files, entries, other_rows
from rheostat.generation_model import (
    BUSY,
    ENDS,
    Asking,
    Mask,
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
from rheostat.reference.arrays import as_logits
from rheostat.reference.knobs import one_integer
from rheostat.reference.state import rewound
from rheostat.sequence_step import Step

BatchModel = Callable[[list[list[int]]], Any]


class BatchLoop:
    """What a generation of many texts has at any time; both kinds share it."""

    def __init__(
        self,
        sequence: Callable[..., Any],
        batch: Callable[[int], Any],
        model: BatchModel,
        prompts: Iterable[PromptIds],
        params: SamplingParams | Sequence[SamplingParams],
        *,
        table: Any = None,
        vocab_size: int | None = None,
        streams: Sequence[int] | None = None,
        max_rows: int | None = None,
        context: str = "error",
        bitmask: Mask | Sequence[Mask | None] | None = None,
        record: Sequence[Target | None] | None = None,
    ) -> None:
        if not callable(model):
            raise TypeError(f"model must be callable, got {type(model).__name__}")
        self._max_rows = None if max_rows is None else one_integer("max_rows", max_rows, MAX_ROWS)
        if not isinstance(prompts, Iterable):
            raise TypeError(f"prompts must be a sequence of prompts, got {type(prompts).__name__}")
        given = list(prompts)
        count = len(given)
        each = [params] * count if isinstance(params, SamplingParams) else entries("params", params, count)
        numbers = range(count) if streams is None else entries("streams", streams, count)
        masks = (
            [bitmask] * count if bitmask is None or callable(bitmask) else entries("bitmask", bitmask, count)
        )
        records = [None] * count if record is None else entries("record", record, count)
        check_files(records)
        self._model = model
        self._masks = [checked_mask(mask) for mask in masks]
        self._windows = [Window(context, require(own)) for own in each]
        self._sequences = tuple(
            sequence(window.params, table, prompt_ids=prompt, stream=stream, vocab_size=vocab_size)
            for window, prompt, stream in zip(self._windows, given, numbers, strict=True)
        )
        for window, one in zip(self._windows, self._sequences, strict=True):
            window.begin(one.prompt_ids)
        self._recorders = [
            recorder_of(target, one, window, one.vocab_size)
            for target, one, window in zip(records, self._sequences, self._windows, strict=True)
        ]
        self._turn = threading.Lock()
        self._timings = Timings(0.0, 0.0, 0.0, 0)
        self._drawn: Drawn | None = None
        self._shown = [(0, 0)] * count  # of each, by its steps: characters and tokens
        self._handles: dict[int, int] = {}
        if not given:
            return
        self._batch = batch(self._sequences[0].vocab_size)
        self._handles = {
            index: self._batch.add(
                one.params.replace(seed=one.seed), prompt_ids=one.prompt_ids, stream=one.stream
            )
            for index, one in enumerate(self._sequences)
            if one.finish is None
        }

    @property
    def sequences(self) -> tuple[Any, ...]:
        """The `Sequence` of each prompt, with its text, ids, tokens, seed and finish."""
        return self._sequences

    @property
    def texts(self) -> tuple[str, ...]:
        """Each text so far."""
        return tuple(one.text for one in self._sequences)

    @property
    def dropped(self) -> tuple[int, ...]:
        """How many of the oldest tokens of each the model did not see at its last step."""
        return tuple(window.dropped for window in self._windows)

    @property
    def rows(self) -> tuple[int, ...]:
        """Which prompts the rows of the next call of the model are of, in their order."""
        drawn = self._drawn
        if drawn is not None:
            return drawn.rows
        going = (index for index in self._handles if self._sequences[index].finish is None)
        return tuple(itertools.islice(going, self._max_rows))

    @property
    def timings(self) -> Timings:
        """Where the time went."""
        return self._timings

    def _question(self) -> list[list[int]]:
        """What the model is asked: the ids of each text of `rows`."""
        self._close()
        rows = self.rows
        for index in rows:
            sequence, handle = self._sequences[index], self._handles[index]
            self._windows[index].follow(sequence)
            self._windows[index].slide(halve=False)
            drawn = self._batch.position(handle)
            if drawn < sequence.position:  # the caller has pushed tokens
                self._batch.accept(handle, sequence.output_ids[drawn:])
        return [self._windows[index].seen() for index in rows]

    def _close(self) -> None:
        """Forgets the samplers of texts that have ended."""
        for index in [index for index in self._handles if self._sequences[index].finish is not None]:
            self._batch.remove(self._handles.pop(index))

    def _draw(self, logits: Any, seconds: float) -> None:
        """A token for each row; where it fails, for none."""
        began = perf_counter()
        rows = self.rows
        handles = [self._handles[index] for index in rows]
        asks = [(self._masks[index], self._sequences[index]) for index in rows]
        masks = [None if ask is None else ask(sequence.output_ids) for ask, sequence in asks]
        given = None if all(mask is None for mask in masks) else masks
        recorded = [self._recorders[index] is not None for index in rows]
        states = [
            self._batch.snapshot(handle) if is_recorded else None
            for handle, is_recorded in zip(handles, recorded, strict=True)
        ]
        with self._whole(rows):
            try:
                tokens = self._batch.step(logits, handles, bitmask=given)
            except KnobError as error:
                if error.argument == "handles":  # which the caller does not know
                    raise other_rows(len(rows), logits) from None
                raise
            sampling = perf_counter() - began
            self._drawn = Drawn(rows, logits, masks, states, tokens, seconds, sampling)

    @contextmanager
    def _whole(self, rows: tuple[int, ...]) -> Iterator[None]:
        """Takes the sampler back where an interrupt, Ctrl-C, comes right behind its draw."""
        mus = [self._batch.mu(self._handles[index]) for index in rows]
        try:
            yield
        except BaseException:
            self._drawn = None
            for index, mu in zip(rows, mus, strict=True):
                handle, place = self._handles[index], self._sequences[index].position
                if self._batch.position(handle) != place:
                    self._batch.restore(handle, rewound(self._batch.snapshot(handle), place, mu))
            raise

    def _settle(self) -> dict[int, Step]:
        """Gives each sequence its token. What raises leaves the others theirs, for the next call."""
        drawn = self._drawn
        assert drawn is not None
        began = perf_counter()
        for place, (index, token) in enumerate(zip(drawn.rows, drawn.tokens, strict=True)):
            if index in drawn.steps:
                continue
            sequence, window = self._sequences[index], self._windows[index]
            text, tokens = self._shown[index]
            if window.follow(sequence):  # an interrupt came right behind the push
                step = Step(token, sequence.text[text:], sequence.finish, sequence.tokens[tokens:])
            else:
                self._write(drawn, place)
                step = sequence.push(token)
            drawn.steps[index] = step
            self._shown[index] = text + len(step.text), tokens + len(step.tokens)
            window.follow(sequence)
        self._drawn = None
        self._close()
        sampling = drawn.sampling + perf_counter() - began
        self._timings = self._timings.plus(drawn.seconds, sampling, len(drawn.rows))
        return drawn.steps

    def _write(self, drawn: Drawn, place: int) -> None:
        """The record of a row's token, where there is to be one."""
        index, state = drawn.rows[place], drawn.states[place]
        recorder = self._recorders[index]
        if recorder is not None and state is not None:
            row, mask = as_logits(drawn.logits)[0][place], drawn.masks[place]
            recorder.write(self._sequences[index], state, row, mask, drawn.tokens[place].id)

    def _check_that_all_end(self) -> None:
        for index in self._handles:
            check_that_it_ends(self._sequences[index].params)

    def __reduce__(self) -> Any:
        raise TypeError("a generation cannot be copied or pickled, for its model cannot: copy its sequences")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._sequences)} texts, {len(self._handles)} open>"


class BatchGeneration(BatchLoop, Iterator[dict[int, Step]]):
    """Texts as they come: an iterator of what each got from a call of the model; see `generate_batch`."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[int, Step]:
        if not self.rows:
            raise StopIteration
        if self._turn.locked():
            raise RuntimeError(BUSY)
        with self._turn:
            try:
                if self._drawn is None:
                    texts = self._question()
                    began = perf_counter()
                    logits = checked_answer(self._model(texts))
                    self._draw(logits, perf_counter() - began)
                return self._settle()
            except ENDS as error:
                raise lost(error) from error

    def run(self) -> Self:
        """Goes on to the end of all texts and gives the generation itself.

        Raises:
            KnobError: nothing in the params of a text can end it.
        """
        self._check_that_all_end()
        for _ in self:
            pass
        return self


class AsyncBatchGeneration(BatchLoop, AsyncIterator[dict[int, Step]]):
    """The same for `async for`; see `agenerate_batch`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._asking = Asking()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[int, Step]:
        if not self.rows:
            raise StopAsyncIteration
        if self._turn.locked():
            raise RuntimeError(BUSY)
        with self._turn:
            try:
                if self._drawn is None:
                    await self._asking.settled()
                    texts = self._question()
                    began = perf_counter()
                    logits = await self._asking.ask(self._model, texts)
                    self._draw(logits, perf_counter() - began)
                return self._settle()
            except ENDS as error:
                raise lost(error) from error

    async def run(self) -> Self:
        """Goes on to the end and gives the generation itself; see `BatchGeneration.run`."""
        self._check_that_all_end()
        async for _ in self:
            pass
        return self


BatchGeneration.__module__ = AsyncBatchGeneration.__module__ = "rheostat"
