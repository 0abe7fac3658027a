"""Many texts at once: the model is asked for a row for each that goes on, a batch sampler draws for all of
them, and each sequence takes its token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, Self

from rheostat.errors import KnobError
from rheostat.generation_over import Timings, check_that_it_ends
from rheostat.params import SamplingParams
from rheostat.sequence_over import Step

BatchModel = Callable[[list[list[int]]], Any]


class BatchGeneration(Iterator[dict[int, Step]]):
    """Texts as they come: an iterator of what each got from a call of the model; see `generate_batch`."""

    def __init__(
        self,
        sequence: Callable[..., Any],
        batch: Callable[[int], Any],
        model: BatchModel,
        prompts: Iterable[Iterable[int]],
        params: SamplingParams | Sequence[SamplingParams],
        *,
        table: Any = None,
        vocab_size: int | None = None,
        streams: Sequence[int] | None = None,
        max_rows: int | None = None,
    ) -> None:
        if not callable(model):
            raise TypeError(f"model must be callable, got {type(model).__name__}")
        if max_rows is not None and max_rows < 1:
            raise KnobError(f"max_rows must be at least 1, got {max_rows}", "max_rows", max_rows)
        given = list(prompts)
        each = [params] * len(given) if isinstance(params, SamplingParams) else list(params)
        numbers = list(range(len(given))) if streams is None else list(streams)
        for name, values in (("params", each), ("streams", numbers)):
            if len(values) != len(given):
                message = f"{name} must have one entry for each of {len(given)} prompts, got {len(values)}"
                raise KnobError(message, name, len(values))
        self._model = model
        self._max_rows = max_rows
        self._sequences = tuple(
            sequence(own, table, prompt_ids=prompt, stream=stream, vocab_size=vocab_size)
            for own, prompt, stream in zip(each, given, numbers, strict=True)
        )
        self._ids = [list(one.prompt_ids) for one in self._sequences]
        self._open = [index for index, one in enumerate(self._sequences) if one.finish is None]
        self._timings = Timings(0.0, 0.0, 0.0, 0)
        if not given:
            return
        self._batch = batch(self._sequences[0].vocab_size)
        self._handles = [
            self._batch.add(one.params.replace(seed=one.seed), prompt_ids=one.prompt_ids, stream=one.stream)
            for one in self._sequences
        ]

    @property
    def sequences(self) -> tuple[Any, ...]:
        """The `Sequence` of each prompt, with its text, ids, tokens, seed and finish."""
        return self._sequences

    @property
    def texts(self) -> tuple[str, ...]:
        """Each text so far."""
        return tuple(one.text for one in self._sequences)

    @property
    def rows(self) -> tuple[int, ...]:
        """Which prompts the rows of the next call of the model are of, in their order."""
        return tuple(self._open[: self._max_rows])

    @property
    def timings(self) -> Timings:
        """Where the time went."""
        return self._timings

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[int, Step]:
        rows = self.rows
        if not rows:
            raise StopIteration
        began = perf_counter()
        logits = self._model([list(self._ids[index]) for index in rows])
        drawing = perf_counter()
        tokens = self._batch.step(logits, [self._handles[index] for index in rows])
        steps: dict[int, Step] = {}
        for index, token in zip(rows, tokens, strict=True):
            steps[index] = self._sequences[index].push(token)
            self._ids[index].append(token.id)
            if steps[index].finish is not None:
                self._batch.remove(self._handles[index])
                self._open.remove(index)
        ended = perf_counter()
        past = self._timings
        self._timings = Timings(
            past.model + drawing - began,
            past.sampling + ended - drawing,
            past.prompt if past.tokens else drawing - began,
            past.tokens + len(rows),
        )
        return steps

    def run(self) -> Self:
        """Goes on to the end of all texts and gives the generation itself.

        Raises:
            KnobError: nothing in the params of a text can end it.
        """
        for index in self._open:
            check_that_it_ends(self._sequences[index].params)
        for _ in self:
            pass
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._sequences)} texts, {len(self._open)} open>"


BatchGeneration.__module__ = "rheostat"
