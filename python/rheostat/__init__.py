"""From a row of logits to a token on a CPU: exact, reproducible, at memory speed."""

from rheostat import reference
from rheostat._rheostat import (
    LAW,
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
)
from rheostat.errors import KnobError, LogitsError
from rheostat.explanation import explain
from rheostat.params import SamplingParams
from rheostat.results import Logprobs
from rheostat.stops import StopHit

__all__ = [
    "LAW",
    "KnobError",
    "LogitsError",
    "Logprobs",
    "SamplingParams",
    "StopBatch",
    "StopHit",
    "StopMatcher",
    "StopSet",
    "TokenTable",
    "__version__",
    "build_info",
    "choose",
    "explain",
    "kept",
    "log_softmax",
    "logprobs",
    "min_p",
    "process",
    "reference",
    "sample",
    "set_num_threads",
    "softmax",
    "top_k",
    "top_p",
]
