"""Perplexity of a text: `rheostat.logprobs` of the tokens that came, for all positions in one call.

Run it as `python examples/perplexity.py "the cat sat on the dog."`.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import rheostat
from bigrams import TEXT, bigram_logits


def perplexity(logits: np.ndarray, token_ids: np.ndarray) -> float:
    """exp of the mean surprise of token_ids (n,), each under its row of logits (n, vocab)."""
    return math.exp(-rheostat.logprobs(logits, token_ids).logprobs.mean())


def main(text: str) -> int:
    ids = np.frombuffer(text.encode(), np.uint8).astype(np.int64)
    if len(ids) < 2:
        print("perplexity needs a text of at least two bytes", file=sys.stderr)
        return 2
    logits = bigram_logits(TEXT)[ids[:-1]]  # what the model says after each byte
    result = rheostat.logprobs(logits, ids[1:])
    worst = int(np.argmin(result.logprobs))
    print(f"perplexity {perplexity(logits, ids[1:]):.2f} per byte over {len(ids) - 1} bytes")
    before, came = (chr(ids[place]) for place in (worst, worst + 1))
    print(f"least expected: {came!r} after {before!r}, rank {result.ranks[worst]} of 256")
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "the dog ran on the mat."))
