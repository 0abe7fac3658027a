"""What can be counted in a text that a model wrote, and how probable the model finds it.

perplexity and bits per byte are those of any language model's text; distinct-n is Li et al. 2016, "A
diversity-promoting objective function for neural conversation models"; repetition is seq-rep-4 of Welleck et
al. 2019, "Neural text generation with unlikelihood training".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import rheostat
from rheostat.generation_model import IncrementalModel

Ids = Sequence[int]


def surprises(model: Callable[[list[int]], Any] | IncrementalModel, prompt: Ids, ids: Ids) -> list[float]:
    """-ln of the probability that the model gives each of `ids` after all before it, in nats.

    No knob is applied, and none of the ids is dropped: this is what the model itself says of a text.

    >>> from rheostat.lab.sweep.metrics import surprises
    >>> [round(nats, 3) for nats in surprises(lambda ids: [0.0, 0.0, 0.0, 0.0], [1], [2, 3])]
    [1.386, 1.386]
    """
    read = list(prompt)
    nats = []
    row = None
    for id in ids:
        if isinstance(model, IncrementalModel):
            row = model.start(read) if row is None else model.next(read[-1])
        else:
            row = model(read)
        nats.append(-float(rheostat.logprobs(row, [id]).logprobs.item()))
        read.append(id)
    return nats


def perplexity(nats: Sequence[float]) -> float:
    """exp of the mean surprise: among how many equally likely tokens each seemed to be chosen.

    >>> from rheostat.lab.sweep.metrics import perplexity
    >>> round(perplexity([0.6931471805599453, 2.0794415416798357]), 6)  # 1/2 and 1/8: 4 in the mean
    4.0
    """
    return math.exp(math.fsum(nats) / len(nats))


def bits_per_byte(nats: Iterable[float], size: int) -> float:
    """The surprise in bits over the bytes of the text, which other tokens for the same text do not change.

    >>> from rheostat.lab.sweep.metrics import bits_per_byte
    >>> round(bits_per_byte([0.6931471805599453, 2.0794415416798357], 8), 6)  # 1 + 3 bits, 8 bytes
    0.5
    """
    return math.fsum(nats) / math.log(2) / size


def grams(ids: Ids, n: int) -> list[tuple[int, ...]]:
    """Every n neighbours."""
    return [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]


def distinct(texts: Iterable[Ids], n: int) -> float:
    """distinct-n: of all n-grams of all texts together the share of different ones; 1.0 where there is none.

    It falls with the amount of text, so only equal amounts compare.

    >>> from rheostat.lab.sweep.metrics import distinct
    >>> distinct([[1, 2, 1, 2], [1, 3]], 1), distinct([[1, 2, 1, 2], [1, 3]], 2)
    (0.5, 0.75)
    """
    found = [gram for ids in texts for gram in grams(ids, n)]
    return len(set(found)) / len(found) if found else 1.0


def repetition(texts: Iterable[Ids], n: int = 4) -> float:
    """seq-rep-n: 1 less the share of different n-grams within a text, the mean of the texts that have any.

    >>> from rheostat.lab.sweep.metrics import repetition
    >>> repetition([[1, 2, 1, 2, 1, 2, 1], [1, 2, 3, 4]])  # 1212, 2121, 1212, 2121: half are repeated
    0.25
    """
    shares = [1 - len(set(found)) / len(found) for ids in texts if (found := grams(ids, n))]
    return math.fsum(shares) / len(shares) if shares else 0.0
