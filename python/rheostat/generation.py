"""`rheostat.generate` and `agenerate`: the loop over the fast sequence."""

from __future__ import annotations

from typing import Any

from rheostat.generation_model import Mask, Model, PromptIds, Target
from rheostat.generation_over import AsyncGeneration, Generation
from rheostat.params import SamplingParams
from rheostat.sequence import Sequence


def generate(
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
) -> Generation:
    """A text from your model: an iterator of `Step`s, which has the result.

    The model is called when the next step is asked for. Where it raises, or its logits are refused, nothing
    has changed: iterate again, and the same token comes that would have come. `.run()` goes to the end.

    Args:
        model: called with the list of all ids so far, gives the logits for the next token, (vocab,) or
            (1, vocab), as in `sample`. Or an object with `start(ids)` and `next(id)`, which is told only what
            is new (`IncrementalModel`): `start` once, and again after a failure or when tokens were dropped.
        prompt_ids: the prompt's ids.
        params: SamplingParams, with stops, limits and EOS ids.
        table: TokenTable, the bytes of every token; None for ids without text.
        vocab_size: the number of tokens; the table's length, or without a table that of the first row, where
            it is not given. What of a row is beyond it is forbidden: heads are padded.
        stream: which of the sequences of one seed this is, an integer in [0, 2**64).
        context: at `params.context_length`, "error" ends the text (and a longer prompt is an error); "slide"
            drops the oldest tokens, so that the model never sees more: one at a time, of an incremental model
            half of them, since it has to start anew. `.dropped` says how many.
        bitmask: called with the ids of the output before every token, gives a grammar's mask or None.
        record: a path, or a text file, for a line about every step; see `rheostat.recording`.

    Returns:
        A Generation. It has `text`, `ids`, `finish_reason`, `stop`, `tokens`, `logprobs`, `seed`, `timings`
        and `dropped`, at any time.

    Raises:
        KnobError: what can be wrong with the arguments, at once; see `Sequence`.
        TypeError: model, params, bitmask or record are none.
        RuntimeError: at a step, while another one is asked for.

    >>> import rheostat
    >>> table = rheostat.TokenTable.from_bytes([b"tick", b" tock", b"."])
    >>> def model(ids):
    ...     return [[0, 5, 1], [5, 0, 1], [0, 0, 0]][ids[-1]]
    >>> params = rheostat.SamplingParams(temperature=0, max_tokens=3)
    >>> for step in rheostat.generate(model, [1], params, table=table):
    ...     print(repr(step.text), step.finish)
    'tick' None
    ' tock' None
    'tick' Finish(reason='length', stop=None)
    >>> done = rheostat.generate(model, [0], params.replace(stop="tick"), table=table).run()
    >>> done.text, done.ids, done.finish_reason, done.stop
    (' tock', (1, 0), 'stop', 'tick')
    """
    return Generation(
        Sequence,
        model,
        prompt_ids,
        params,
        table=table,
        vocab_size=vocab_size,
        stream=stream,
        context=context,
        bitmask=bitmask,
        record=record,
    )


def agenerate(
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
) -> AsyncGeneration:
    """`generate` for `async for`, and `await .run()`.

    Args:
        model: as in `generate`. A coroutine function is awaited, also as `start` and `next`; any other is
            called in a thread, so that the event loop goes on meanwhile.
        prompt_ids, params and the others: as in `generate`.

    Returns:
        An AsyncGeneration, with what a Generation has. A cancelled step can be asked for again.

    Raises:
        KnobError, TypeError: as in `generate`.

    >>> import asyncio
    >>> import rheostat
    >>> async def model(ids):
    ...     return [[0, 5], [5, 0]][ids[-1]]
    >>> async def main():
    ...     params = rheostat.SamplingParams(temperature=0, max_tokens=3)
    ...     return [step.token.id async for step in rheostat.agenerate(model, [0], params)]
    >>> asyncio.run(main())
    [1, 0, 1]
    """
    return AsyncGeneration(
        Sequence,
        model,
        prompt_ids,
        params,
        table=table,
        vocab_size=vocab_size,
        stream=stream,
        context=context,
        bitmask=bitmask,
        record=record,
    )


generate.__module__ = agenerate.__module__ = "rheostat"
