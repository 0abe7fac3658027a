"""`Sequence` over the reference's own sampler and stop matcher."""

from __future__ import annotations

from rheostat.reference.batch_sampler import BatchSampler
from rheostat.reference.processing import process
from rheostat.reference.sampler import Sampler
from rheostat.reference.stop import StopSet
from rheostat.reference.tokens import TokenTable
from rheostat.sequence_over import SequenceOver


class Sequence(SequenceOver):
    """One sequence from its prompt to its end; see `rheostat.Sequence`."""

    _Sampler = Sampler
    _BatchSampler = BatchSampler
    _StopSet = StopSet
    _TokenTable = TokenTable
    _process = staticmethod(process)
