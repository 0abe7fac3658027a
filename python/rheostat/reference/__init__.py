"""The whole library in NumPy: short, slow, and what the fast code must equal bit by bit.

Read `law` first, then `cuts`, `chain`, `masks` and `penalties`, then the rest in any order; `table` lists
every knob. The names, signatures and errors are those of `rheostat`.
"""

from typing import TYPE_CHECKING

from rheostat.errors import KnobError, LogitsError
from rheostat.lazy_names import lazily
from rheostat.params import SamplingParams
from rheostat.reference.law import LAW
from rheostat.results import Logprobs, Token, Tokens, Verified
from rheostat.sequence_step import Step
from rheostat.stops import StopHit
from rheostat.transcript import Finish

# The fast code shares the rules and the law with this package; what it does not need is loaded on use.
if TYPE_CHECKING:
    from rheostat.reference.batch_sampler import BatchSampler
    from rheostat.reference.build import build_info, set_num_threads
    from rheostat.reference.explaining import explain
    from rheostat.reference.filters import min_p, top_k, top_p
    from rheostat.reference.generating import agenerate, agenerate_batch, generate, generate_batch
    from rheostat.reference.processing import process
    from rheostat.reference.sampler import Sampler
    from rheostat.reference.sampling import choose, kept, sample
    from rheostat.reference.sequence import Sequence
    from rheostat.reference.softmaxes import log_softmax, softmax
    from rheostat.reference.stop import StopSet
    from rheostat.reference.stop_batch import StopBatch
    from rheostat.reference.stop_matcher import StopMatcher
    from rheostat.reference.token_logprobs import logprobs
    from rheostat.reference.tokens import TokenTable
    from rheostat.reference.verifying import verify
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "BatchSampler": "batch_sampler",
            "Sampler": "sampler",
            "Sequence": "sequence",
            "StopBatch": "stop_batch",
            "StopMatcher": "stop_matcher",
            "StopSet": "stop",
            "TokenTable": "tokens",
            "agenerate": "generating",
            "agenerate_batch": "generating",
            "build_info": "build",
            "choose": "sampling",
            "explain": "explaining",
            "generate": "generating",
            "generate_batch": "generating",
            "kept": "sampling",
            "log_softmax": "softmaxes",
            "logprobs": "token_logprobs",
            "min_p": "filters",
            "process": "processing",
            "sample": "sampling",
            "set_num_threads": "build",
            "softmax": "softmaxes",
            "top_k": "filters",
            "top_p": "filters",
            "verify": "verifying",
        },
    )

__all__ = [
    "LAW",
    "BatchSampler",
    "Finish",
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
    "Token",
    "TokenTable",
    "Tokens",
    "Verified",
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
    "sample",
    "set_num_threads",
    "softmax",
    "top_k",
    "top_p",
    "verify",
]
