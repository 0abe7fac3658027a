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
    min_p,
    sample,
    set_num_threads,
    softmax,
    top_k,
    top_p,
)
from rheostat.errors import KnobError, LogitsError
from rheostat.stops import StopHit

__all__ = [
    "LAW",
    "KnobError",
    "LogitsError",
    "StopBatch",
    "StopHit",
    "StopMatcher",
    "StopSet",
    "TokenTable",
    "__version__",
    "build_info",
    "choose",
    "kept",
    "log_softmax",
    "min_p",
    "reference",
    "sample",
    "set_num_threads",
    "softmax",
    "top_k",
    "top_p",
]
