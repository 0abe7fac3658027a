"""The baseline: an interpolated Kneser-Ney model over bytes.

Kneser and Ney 1995, in the form of Chen and Goodman 1999, "An empirical study of smoothing techniques for
language modeling", with one discount for each order. A symbol is a byte or END. For a history h of n - 1
symbols and the next symbol w,

    p_n(w | h) = max(c(h w) - d, 0) / c(h .) + d N(h .) / c(h .) p_(n-1)(w | h without its first)

where c counts occurrences in the highest order and, below it, the different symbols that come before; N(h
.) is the number of different symbols after h; d = n1 / (n1 + 2 n2) for n1 sequences counted once and n2
counted twice; and p_0 is uniform.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

END = 256
SYMBOLS = 257


def symbols(documents: Iterable[str], order: int) -> list[int]:
    """The bytes of the documents, END after each, and enough of END before the first for a history."""
    stream = [END] * (order - 1)
    for document in documents:
        stream += [*document.encode(), END]
    return stream


class KneserNey:
    """Counts of the documents up to an order."""

    def __init__(self, documents: Iterable[str], order: int) -> None:
        stream = symbols(documents, order)
        self.order = order
        self.levels = []
        counts = Counter(zip(*(stream[i:] for i in range(order)), strict=False))
        for _ in range(order):
            total: defaultdict[tuple[int, ...], int] = defaultdict(int)
            distinct: defaultdict[tuple[int, ...], int] = defaultdict(int)
            for gram, count in counts.items():
                total[gram[:-1]] += count
                distinct[gram[:-1]] += 1
            of_count = Counter(counts.values())
            discount = of_count[1] / max(of_count[1] + 2 * of_count[2], 1)
            self.levels.append((counts, total, distinct, discount))
            counts = Counter(gram[1:] for gram in counts)  # in how many ways is it continued to the left
        self.levels.reverse()  # from order 1 up

    def probability(self, gram: tuple[int, ...]) -> float:
        """Of the last symbol of (order,) symbols after the others."""
        p = 1 / SYMBOLS
        for n, (counts, total, distinct, discount) in enumerate(self.levels, start=1):
            part = gram[self.order - n :]
            seen = total.get(part[:-1])
            if seen is None:  # then no longer history was seen either
                break
            p = (max(counts.get(part, 0) - discount, 0) + discount * distinct[part[:-1]] * p) / seen
        return p

    def bits_per_byte(self, documents: list[str]) -> float:
        """-log2 of the probability of the documents and of their ends, over their bytes."""
        stream = symbols(documents, self.order)
        grams = zip(*(stream[i:] for i in range(self.order)), strict=False)
        bits = -sum(math.log2(self.probability(gram)) for gram in grams)
        return bits / sum(len(document.encode()) for document in documents)
