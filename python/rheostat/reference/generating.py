"""The loop over the reference's own sequence."""

from __future__ import annotations

from typing import Any

from rheostat.reference.batch_sampler import BatchSampler
from rheostat.reference.sequence import Sequence


def generate(model: Any, prompt_ids: Any, params: Any, **options: Any) -> Any:
    """A text from a model; see `rheostat.generate`."""
    from rheostat.generation_over import Generation  # which imports the reference

    return Generation(Sequence, model, prompt_ids, params, **options)


def generate_batch(model: Any, prompts: Any, params: Any, **options: Any) -> Any:
    """Many texts from one model; see `rheostat.generate_batch`."""
    from rheostat.generation_batch import BatchGeneration  # which imports the reference

    return BatchGeneration(Sequence, BatchSampler, model, prompts, params, **options)


def agenerate(model: Any, prompt_ids: Any, params: Any, **options: Any) -> Any:
    """`generate` for `async for`; see `rheostat.agenerate`."""
    from rheostat.generation_over import AsyncGeneration  # which imports the reference

    return AsyncGeneration(Sequence, model, prompt_ids, params, **options)


def agenerate_batch(model: Any, prompts: Any, params: Any, **options: Any) -> Any:
    """`generate_batch` for `async for`; see `rheostat.agenerate_batch`."""
    from rheostat.generation_batch import AsyncBatchGeneration  # which imports the reference

    return AsyncBatchGeneration(Sequence, BatchSampler, model, prompts, params, **options)
