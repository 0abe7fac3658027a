"""The whole library in NumPy: short, slow, and what the fast code must equal bit by bit.

Read `law` first, then `chain`, then the rest in any order. The names, signatures and errors are those of
`rheostat`.
"""

from rheostat.errors import KnobError, LogitsError
from rheostat.reference.build import build_info, set_num_threads
from rheostat.reference.filters import min_p, top_k, top_p
from rheostat.reference.law import LAW
from rheostat.reference.sampling import choose, kept, sample
from rheostat.reference.softmax import log_softmax, softmax
from rheostat.reference.stop import StopMatcher, StopSet
from rheostat.reference.stop_batch import StopBatch
from rheostat.reference.tokens import TokenTable
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
    "build_info",
    "choose",
    "kept",
    "log_softmax",
    "min_p",
    "sample",
    "set_num_threads",
    "softmax",
    "top_k",
    "top_p",
]
