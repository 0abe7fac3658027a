"""A loop of your own in plain NumPy: the model's row, rheostat's token, a stop, and nothing else.

Run it as `python examples/own_loop.py "the "`.
"""

from __future__ import annotations

import sys

import numpy as np
import rheostat
from bigrams import TEXT, bigram_logits


def write(model: np.ndarray, prompt: bytes, *, seed: int, most: int, stop: str) -> str:
    """The text after the prompt: model is (256, 256) logits, row b those of the byte after b."""
    matcher = rheostat.StopSet([stop]).matcher()
    ids, text = list(prompt), ""
    for position in range(most):
        logits = model[ids[-1]]  # here your model would run
        token = rheostat.sample(
            logits, temperature=0.8, min_p=0.05, frequency_penalty=0.1, output_ids=ids[len(prompt) :],
            seed=seed, position=position,
        )  # fmt: skip
        ids.append(token)
        text += matcher.feed(bytes([token]))
        if matcher.hit:
            return text
    return text + matcher.flush()


def main(prompt: str) -> int:
    if not prompt:
        print("the prompt must have at least one byte", file=sys.stderr)
        return 2
    model = bigram_logits(TEXT)
    for seed in range(3):
        print(f"{prompt}{write(model, prompt.encode(), seed=seed, most=60, stop='.')}")
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "the "))
