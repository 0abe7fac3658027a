"""From a row of logits to a token on a CPU: exact, reproducible, at memory speed."""

from typing import TYPE_CHECKING

from rheostat import reference
from rheostat._rheostat import (
    LAW,
    BatchSampler,
    Sampler,
    StopBatch,
    StopMatcher,
    StopSet,
    TokenTable,
    __version__,
    build_info,
    choose,
    kept,
    log_softmax,
    logprobs,
    min_p,
    process,
    sample,
    set_num_threads,
    softmax,
    top_k,
    top_p,
    verify,
)
from rheostat.errors import KnobError, LogitsError
from rheostat.lazy_names import lazily
from rheostat.params import SamplingParams
from rheostat.results import Logprobs, Token, Tokens, Verified
from rheostat.sequence import Sequence
from rheostat.sequence_step import Step
from rheostat.stops import StopHit
from rheostat.transcript import Finish

# Whoever only samples needs no loop, record or explanation: these are loaded on use.
if TYPE_CHECKING:
    from rheostat import recording
    from rheostat.explanation import explain
    from rheostat.generation import agenerate, generate
    from rheostat.generation_batch import AsyncBatchGeneration, BatchGeneration
    from rheostat.generation_many import agenerate_batch, generate_batch
    from rheostat.generation_model import IncrementalModel, Timings
    from rheostat.generation_over import AsyncGeneration, Generation
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "AsyncBatchGeneration": "generation_batch",
            "AsyncGeneration": "generation_over",
            "BatchGeneration": "generation_batch",
            "Generation": "generation_over",
            "IncrementalModel": "generation_model",
            "Timings": "generation_model",
            "agenerate": "generation",
            "agenerate_batch": "generation_many",
            "explain": "explanation",
            "generate": "generation",
            "generate_batch": "generation_many",
        },
    )

__all__ = [
    "LAW",
    "AsyncBatchGeneration",
    "AsyncGeneration",
    "BatchGeneration",
    "BatchSampler",
    "Finish",
    "Generation",
    "IncrementalModel",
    "KnobError",
    "LogitsError",
    "Logprobs",
    "Sampler",
    "SamplingParams",
    "Sequence",
    "Step",
    "StopBatch",
    "StopHit",
    "StopMatcher",
    "StopSet",
    "Timings",
    "Token",
    "TokenTable",
    "Tokens",
    "Verified",
    "__version__",
    "agenerate",
    "agenerate_batch",
    "build_info",
    "choose",
    "explain",
    "generate",
    "generate_batch",
    "kept",
    "log_softmax",
    "logprobs",
    "min_p",
    "process",
    "recording",
    "reference",
    "sample",
    "set_num_threads",
    "softmax",
    "top_k",
    "top_p",
    "verify",
]
