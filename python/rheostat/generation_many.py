"""`rheostat.generate_batch` and `agenerate_batch`: many texts at once over the fast sequence and sampler."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as ListOf
from typing import Any

from rheostat._rheostat import BatchSampler
from rheostat.generation_batch import AsyncBatchGeneration, BatchGeneration, BatchModel
from rheostat.generation_model import Mask, PromptIds, Target
from rheostat.params import SamplingParams
from rheostat.sequence import Sequence


def generate_batch(
    model: BatchModel,
    prompts: Iterable[PromptIds],
    params: SamplingParams | ListOf[SamplingParams],
    *,
    table: Any = None,
    vocab_size: int | None = None,
    streams: ListOf[int] | None = None,
    max_rows: int | None = None,
    context: str = "error",
    bitmask: Mask | ListOf[Mask | None] | None = None,
    record: ListOf[Target | None] | None = None,
) -> BatchGeneration:
    """Many texts from one model: an iterator of what each got from a call of it, through a `BatchSampler`.

    Each text is the one that `generate` gives alone with its stream: it never sees its neighbours, and
    `max_rows` changes none. A failure of the model changes nothing, as in `generate`.

    Args:
        model: called with a list of lists, all ids of each text that goes on, gives (rows, vocab) logits.
            `.rows` says which texts they are of.
        prompts: the ids of each prompt.
        params: SamplingParams for all, or one for each.
        table, vocab_size: as in `Sequence`; one of the two must be given.
        streams: of each text, 0, 1, 2 .. where they are not given.
        max_rows: how many texts the model is asked for at once; where one ends, the next begins.
        context: as in `generate`, for each text by the context_length of its params.
        bitmask: as in `generate`, for all texts, or one or None for each.
        record: a path or text file for each text, or None, as in `generate`: the record is the one that the
            text has alone.

    Returns:
        A BatchGeneration. A step is a dict from the prompt's index to its `Step`; `sequences` and `texts`
        have the results, `.run()` goes to the end.

    Raises:
        KnobError, TypeError: as in `generate`; lists of other lengths than that of prompts.

    >>> import rheostat
    >>> table = rheostat.TokenTable.from_bytes([b"tick ", b"tock ", b"."])
    >>> def model(texts):
    ...     return [[[0, 5, 1], [5, 0, 1], [0, 0, 0]][ids[-1]] for ids in texts]
    >>> params = rheostat.SamplingParams(temperature=0, max_tokens=3)
    >>> rheostat.generate_batch(model, [[0], [1]], params, table=table).run().texts
    ('tock tick tock ', 'tick tock tick ')
    """
    return BatchGeneration(
        Sequence,
        BatchSampler,
        model,
        prompts,
        params,
        table=table,
        vocab_size=vocab_size,
        streams=streams,
        max_rows=max_rows,
        context=context,
        bitmask=bitmask,
        record=record,
    )


def agenerate_batch(
    model: BatchModel,
    prompts: Iterable[PromptIds],
    params: SamplingParams | ListOf[SamplingParams],
    *,
    table: Any = None,
    vocab_size: int | None = None,
    streams: ListOf[int] | None = None,
    max_rows: int | None = None,
    context: str = "error",
    bitmask: Mask | ListOf[Mask | None] | None = None,
    record: ListOf[Target | None] | None = None,
) -> AsyncBatchGeneration:
    """`generate_batch` for `async for`, and `await .run()`.

    Args:
        model: as in `generate_batch`. A coroutine function is awaited; any other is called in a thread, so
            that the event loop goes on meanwhile.
        prompts, params and the others: as in `generate_batch`.

    Returns:
        An AsyncBatchGeneration, with what a BatchGeneration has. A cancelled step can be asked for again.

    Raises:
        KnobError, TypeError: as in `generate_batch`.

    >>> import asyncio
    >>> import rheostat
    >>> async def model(texts):
    ...     return [[[0, 5], [5, 0]][ids[-1]] for ids in texts]
    >>> async def main():
    ...     params = rheostat.SamplingParams(temperature=0, max_tokens=3)
    ...     return await rheostat.agenerate_batch(model, [[0], [1]], params, vocab_size=2).run()
    >>> [sequence.output_ids for sequence in asyncio.run(main()).sequences]
    [(1, 0, 1), (0, 1, 0)]
    """
    return AsyncBatchGeneration(
        Sequence,
        BatchSampler,
        model,
        prompts,
        params,
        table=table,
        vocab_size=vocab_size,
        streams=streams,
        max_rows=max_rows,
        context=context,
        bitmask=bitmask,
        record=record,
    )


generate_batch.__module__ = agenerate_batch.__module__ = "rheostat"
