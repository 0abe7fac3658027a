"""From a row of logits to a token on a CPU: exact, reproducible, at memory speed."""

from rheostat import recording, reference
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
from rheostat.explanation import explain
from rheostat.generation import agenerate, generate
from rheostat.generation_batch import AsyncBatchGeneration, BatchGeneration
from rheostat.generation_many import agenerate_batch, generate_batch
from rheostat.generation_model import IncrementalModel, Timings
from rheostat.generation_over import AsyncGeneration, Generation
from rheostat.params import SamplingParams
from rheostat.results import Logprobs, Token, Tokens, Verified
from rheostat.sequence import Sequence
from rheostat.sequence_step import Step
from rheostat.stops import StopHit
from rheostat.transcript import Finish

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
