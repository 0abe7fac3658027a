"""The whole library in NumPy: short, slow, and what the fast code must equal bit by bit."""

from rheostat.reference.stop import StopMatcher, StopSet
from rheostat.reference.stop_batch import StopBatch
from rheostat.reference.tokens import TokenTable
from rheostat.stops import StopHit

__all__ = ["StopBatch", "StopHit", "StopMatcher", "StopSet", "TokenTable"]
