"""`rheostat.Sequence`: the state of one sequence over the fast sampler and stop matcher."""

from __future__ import annotations

from rheostat._rheostat import BatchSampler, Sampler, StopSet, TokenTable, process
from rheostat.sequence_over import SequenceOver


class Sequence(SequenceOver):
    """One sequence from its prompt to its end, with neither a model nor I/O.

    It draws tokens or is given them, keeps what penalties look at, decodes the text, finds the stops and says
    when it is over. A loop asks its model for logits and shows `step.text`. A copy is independent and shares
    the table; a pickle carries the table, and a `snapshot` with `from_snapshot` does not.

    Args:
        params: SamplingParams. The stops, limits and EOS ids in it are looked after here.
        table: TokenTable, the bytes of every token, or a sequence of bytes and None, of which one is made;
            None for ids alone, without text and stop strings.
        prompt_ids: the prompt's ids.
        stream: which of the sequences of one seed this is, an integer in [0, 2**64).
        vocab_size: the number of tokens; the table's length where it is not given.

    Raises:
        KnobError: context_length leaves no room after the prompt; stops without a table; as `Sampler`.
        TypeError: params is no SamplingParams; as `Sampler`.

    >>> import rheostat
    >>> table = rheostat.TokenTable.from_bytes([b"Hi", b"!", b" END"])
    >>> params = rheostat.SamplingParams(temperature=0, stop=["END"], max_tokens=8)
    >>> sequence = rheostat.Sequence(params, table)
    >>> [sequence.step(row).text for row in ([3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0])]
    ['Hi', '!', ' ']
    >>> sequence.text, sequence.finish
    ('Hi! ', Finish(reason='stop', stop='END'))
    """

    _Sampler = Sampler
    _BatchSampler = BatchSampler
    _StopSet = StopSet
    _TokenTable = TokenTable
    _process = staticmethod(process)


Sequence.__module__ = "rheostat"
