"""From a row of logits to a token on a CPU: exact, reproducible, at memory speed."""

from rheostat._rheostat import StopBatch, StopMatcher, StopSet, TokenTable, __version__
from rheostat.errors import KnobError, LogitsError
from rheostat.stops import StopHit

__all__ = [
    "KnobError",
    "LogitsError",
    "StopBatch",
    "StopHit",
    "StopMatcher",
    "StopSet",
    "TokenTable",
    "__version__",
]
