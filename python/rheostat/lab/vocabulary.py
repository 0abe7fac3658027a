"""Byte-level BPE: any text is bytes, and pairs that come together often are tokens of their own.

Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword units", over bytes
as in GPT-2 (Radford et al. 2019). Ids 0 to 255 are the bytes, so no text is unknown; then one for each
merge, in the order in which they were learnt; the last is the end of a text, which has no bytes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

# Merges never cross these pieces: a word with the space before it, digits, signs, white space.
PIECE = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")

Pair = tuple[int, int]


def merged(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    """ids with every occurrence of the pair replaced, from left to right.

    >>> merged([1, 2, 1, 1, 2], (1, 2), 9)
    [9, 1, 9]
    """
    out: list[int] = []
    for id in ids:
        if out and (out[-1], id) == pair:
            out[-1] = new
        else:
            out.append(id)
    return out


def learn(texts: Iterable[str], merges: int) -> list[Pair]:
    """So many merges, or all that there are: each of the pair that is then the most frequent; of equals, the
    lower ids.
    """
    counts = Counter(piece for text in texts for piece in PIECE.findall(text))
    words = [list(piece.encode()) for piece in counts]
    times = list(counts.values())
    total: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)  # the words that a pair is, or was, in
    for word, ids in enumerate(words):
        for pair in pairwise(ids):
            total[pair] += times[word]
            places[pair].add(word)
    learnt = []
    for new in range(256, 256 + merges):
        best = min(total, key=lambda pair: (-total[pair], pair), default=None)
        if best is None or total[best] == 0:
            break
        learnt.append(best)
        for word in places.pop(best):
            ids = words[word]
            for pair in pairwise(ids):
                total[pair] -= times[word]
            words[word] = ids = merged(ids, best, new)
            for pair in pairwise(ids):
                total[pair] += times[word]
                places[pair].add(word)
        del total[best]
    return learnt


class Vocabulary:
    """The tokens that the merges make.

    >>> vocabulary = Vocabulary([(ord("t"), ord("h")), (256, ord("e"))])
    >>> vocabulary.encode("the thé")
    [257, 32, 256, 195, 169]
    >>> vocabulary.decode([257, 32, 256, 195, 169])
    'the thé'
    """

    def __init__(self, merges: Sequence[Pair]) -> None:
        self.merges = [(int(a), int(b)) for a, b in merges]
        pieces = [bytes([byte]) for byte in range(256)]
        for a, b in self.merges:
            pieces.append(pieces[a] + pieces[b])
        self.end = len(pieces)
        self.tokens: list[bytes | None] = [*pieces, None]
        self._ranks = {pair: 256 + rank for rank, pair in enumerate(self.merges)}
        self._encode_piece = lru_cache(maxsize=65_536)(self._merge)

    def __len__(self) -> int:
        return len(self.tokens)

    def __reduce__(self) -> tuple[type[Vocabulary], tuple[list[Pair]]]:
        return type(self), (self.merges,)

    def encode(self, text: str) -> list[int]:
        """Each piece by itself: the earliest merge that applies, until none does."""
        return [id for piece in PIECE.findall(text) for id in self._encode_piece(piece)]

    def decode(self, ids: Iterable[int]) -> str:
        """The bytes as text; what is not UTF-8 becomes U+FFFD. The end of a text is empty."""
        return b"".join(self.tokens[id] or b"" for id in ids).decode("utf-8", "replace")

    def _merge(self, piece: str) -> tuple[int, ...]:
        ids = list(piece.encode("utf-8", "surrogatepass"))
        while len(ids) > 1:
            new = min(self._ranks.get(pair, self.end) for pair in pairwise(ids))
            if new == self.end:
                break
            ids = merged(ids, self.merges[new - 256], new)
        return tuple(ids)
