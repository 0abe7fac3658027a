"""rheostat in transformers: `generate` of any model draws its tokens here, a sequence for each row.

What is said here of the host was read and tested in 5.24.0 (`generation/utils.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence as Many
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat._rheostat import BatchSampler, TokenTable
from rheostat.integrations.rows import checked, each_of, with_eos
from rheostat.integrations.transformers_stop import ONE_CALL, StopCriterion
from rheostat.params import SamplingParams
from rheostat.results import Token
from rheostat.transcript import Finish

__all__ = ["SamplingProcessor", "StopCriterion", "rheostat_generate"]


class SamplingProcessor:
    """A logits processor that draws: it leaves the host one token in every row, drawn by its own sequence.

    The rows go through a `BatchSampler`, over all threads. A row has the chance of `(seed, stream,
    position)`, so with its seed and stream it gets the tokens that it would get alone, in any batch, with any
    padding.

    `arguments` is what `generate` is called with. The rows that it gets are those of the model: of the host's
    own knobs, leave temperature, top_k and the like to the params (with `do_sample=False`, as in `arguments`,
    the host has none; with True they would act on one token, in vain). A repetition penalty or a bias of the
    host acts before. The scores given are not modified, so `output_logits` is what the model said, and the
    host's errors are Python's, so none is lost. One processor is for one call, without beams.

    Args:
        params: SamplingParams, or one for each row. `SamplingParams.from_generation_config(path)` is what a
            model recommends. They must name the `eos_token_id` of the model.
        table: TokenTable, the bytes of every token: `TokenTable.from_tokenizers(tokenizer)`; None for ids
            without text.
        attention_mask: (rows, width), that of the prompts: what it leaves out is padding and no part of the
            history that penalties look at. None: there is no padding.
        streams: the stream of each row; 0, 1, ... where it is not given.
        pad_token_id: what a row gets after its end where the host does not pad it; 0 if not given.

    Raises:
        KnobError: what is wrong with params and the table; at the first token, what is wrong with params and
            the model's vocabulary.

    Example (not run; it needs a model)::

        sampling = SamplingProcessor(params, table, attention_mask=inputs["attention_mask"])
        ids = model.generate(**inputs, **sampling.arguments())
        print(sampling.texts)
    """

    supports_continuous_batching = False

    def __init__(
        self,
        params: SamplingParams | Many[SamplingParams],
        table: TokenTable | None = None,
        *,
        attention_mask: Any = None,
        streams: Many[int] | None = None,
        pad_token_id: int | None = None,
    ) -> None:
        self._params, self._table = checked(params), table
        self._mask, self._streams, self._pad = attention_mask, streams, pad_token_id
        self.criterion = StopCriterion(params, table)
        self._batch: BatchSampler | None = None
        self._handles: list[int] = []
        self._over: list[bool] = []
        self._ids = np.zeros(0, np.int64)
        self._seen: Any = None
        self.tokens: list[list[Token]] = []
        """The tokens drawn for each row, with the log-probabilities that were asked for."""

    @property
    def texts(self) -> list[str]:
        """The text of each row; see `StopCriterion`."""
        return self.criterion.texts

    @property
    def finishes(self) -> list[Finish | None]:
        """Why each row ended; see `StopCriterion`."""
        return self.criterion.finishes

    @property
    def seeds(self) -> list[int]:
        """The seed of each row, also where the system gave it."""
        batch = self._batch
        return [] if batch is None else [batch.seed(handle) for handle in self._handles]

    def end(self) -> None:
        """Ends the rows that go on at a limit of the host's; see `StopCriterion.end`."""
        self.criterion.end()

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `generate`: the processor, the criterion, `do_sample=False` and, where the
        params have max_tokens, the most of them as `max_new_tokens`.
        """
        params = [self._params] if isinstance(self._params, SamplingParams) else list(self._params)
        limits = [each.max_tokens for each in params if each.max_tokens is not None]
        given = {"logits_processor": [self], "stopping_criteria": [self.criterion], "do_sample": False}
        return given | ({"max_new_tokens": max(limits)} if len(limits) == len(params) else {})

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The host's call: (rows, vocab) scores, of which one in each row is 0 and all others are -inf."""
        import torch

        batch = self._batch
        if batch is None:
            batch = self._batch = self._begin(input_ids, scores)
        else:
            self._follow(input_ids)
        ids = np.full(len(self._handles), self._pad or 0, np.int64)
        live = [row for row, over in enumerate(self._over) if not over]
        if live:
            rows = scores.detach().to("cpu", torch.float32)
            drawn = batch.step(
                rows if len(live) == len(ids) else rows[live], [self._handles[row] for row in live]
            )
            ids[live] = drawn.ids
            for row, token in zip(live, drawn, strict=True):
                self.tokens[row].append(token)
        self._ids = self.criterion.drawn = ids
        self._seen = input_ids
        chosen = torch.from_numpy(ids).to(scores.device)[:, None]
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)

    def adopt(
        self, attention_mask: Any, eos_token_id: int | list[int] | None, pad_token_id: int | None
    ) -> None:
        """Takes from the host's configuration what was not given."""
        if self._mask is None:
            self._mask = attention_mask
        if self._pad is None:
            self._pad = pad_token_id
        if isinstance(self._params, SamplingParams):
            self._params = with_eos(self._params, eos_token_id)
        else:
            self._params = tuple(with_eos(params, eos_token_id) for params in self._params)
        self.criterion = StopCriterion(self._params, self._table)

    def _begin(self, input_ids: Any, scores: Any) -> BatchSampler:
        rows, vocab_size = scores.shape
        if _come_of_beams(input_ids, scores):
            raise ValueError(f"{ONE_CALL}, got the log-probabilities that beams have")
        prompts = _prompts(input_ids, self._mask)
        params = each_of(self._params, rows)
        streams = range(rows) if self._streams is None else self._streams
        if len(streams) != rows:
            raise ValueError(f"streams must be one for each of the {rows} rows, got {len(streams)}")
        if self._table is not None:
            params = [each.resolved(self._table) for each in params]
        batch = BatchSampler(vocab_size)
        self._handles = [
            batch.add(each, prompt_ids=prompt, stream=stream)
            for each, prompt, stream in zip(params, prompts, streams, strict=True)
        ]
        self.criterion.begin(params, prompts)
        self._over = [False] * rows
        self.tokens = [[] for _ in range(rows)]
        return batch

    def _follow(self, input_ids: Any) -> None:
        """What the host made of the last tokens: where it is another, it has ended the row and pads it."""
        import torch

        rows, width = self._seen.shape
        if input_ids.shape != (rows, width + 1) or not torch.equal(input_ids[:, :-1], self._seen):
            raise ValueError(ONE_CALL)
        padded = input_ids[:, -1].cpu().numpy() != self._ids
        for row, sequence in enumerate(self.criterion.sequences):
            self._over[row] |= bool(padded[row]) or sequence.finish is not None


def rheostat_generate(
    model: Any,
    input_ids: Any,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    sampling: SamplingProcessor | SamplingParams | Many[SamplingParams],
    **model_kwargs: Any,
) -> Any:
    """The `custom_generate` of a model: the host's loop, with its sampling replaced.

    `generate` prepares inputs, cache and attention mask, and gives its processors and criteria. Of those,
    what only samples (temperature, top_k, ...) is left out, and so is its end at EOS, since the rows end by
    their params. `eos_token_id` is the model's where the params name none, and so is the padding. The host's
    limit of the length holds: give `generate` `max_new_tokens` as well.

    Args:
        sampling: SamplingParams for all rows, a list of one for each, or a SamplingProcessor, which knows the
            texts and the tokens' log-probabilities afterwards.
        model, input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs: the host's.

    Returns:
        What `generate` gives: ids, or with `return_dict_in_generate` an output with them.

    Raises:
        ValueError: the host is to search with beams.
        TypeError: sampling is none of these.

    Example (not run; it needs a model)::

        model.generate(**inputs, custom_generate=rheostat_generate, sampling=params, max_new_tokens=99)
    """
    if not isinstance(sampling, SamplingProcessor):
        sampling = SamplingProcessor(checked(sampling, "sampling"))
    if generation_config.num_beams != 1:
        raise ValueError(f"num_beams must be 1, got {generation_config.num_beams}")
    config = copy.copy(generation_config)
    config.do_sample = False
    eos, pad = config.eos_token_id, config.pad_token_id
    if pad is None and eos is not None:
        pad = eos if isinstance(eos, int) else eos[0]
    mask = None if model.config.is_encoder_decoder else model_kwargs.get("attention_mask")
    sampling.adopt(mask, eos, pad)
    processors = type(logits_processor)(
        each for each in logits_processor if not type(each).__name__.endswith("LogitsWarper")
    )
    criteria = type(stopping_criteria)(
        each for each in stopping_criteria if not hasattr(each, "eos_token_id")
    )
    processors.append(sampling)
    criteria.append(sampling.criterion)
    found = model._sample(
        input_ids,
        logits_processor=processors,
        stopping_criteria=criteria,
        generation_config=config,
        **model_kwargs,
    )
    sampling.end()
    return found


def _come_of_beams(input_ids: Any, scores: Any) -> bool:
    """Whether a beam search begins, which no argument tells: its rows are equal, and their scores
    log-probabilities.
    """
    import torch

    if len(input_ids) < 2 or not (input_ids[0] == input_ids[1]).all():
        return False
    totals = torch.logsumexp(scores.detach().to("cpu", torch.float64), dim=-1)
    return bool((totals.abs() < 1e-3).all())


def _prompts(input_ids: Any, attention_mask: Any) -> list[NDArray[np.int64]]:
    """The ids of each row without its padding. Rows that `generate` has repeated share a mask."""
    ids = input_ids.cpu().numpy()
    if attention_mask is None:
        return list(ids)
    mask = np.asarray(attention_mask.cpu()).astype(bool)
    if mask.ndim != 2 or mask.shape[1] != ids.shape[1] or len(ids) % len(mask):
        raise ValueError(f"attention_mask must have the shape of the prompts, {ids.shape}, got {mask.shape}")
    mask = np.repeat(mask, len(ids) // len(mask), axis=0)
    return [row[there] for row, there in zip(ids, mask, strict=True)]
