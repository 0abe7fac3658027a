"""Beam search: the best few continuations at every step, each with a stop matcher that follows its beam.

Run it as `python examples/beam_search.py "the "`.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import rheostat
from bigrams import TEXT, bigram_logits


class Beam(NamedTuple):
    """A text so far and the log-probability of what was added to the prompt."""

    text: bytes
    logprob: float


def beam_search(model: np.ndarray, prompt: bytes, *, width: int, stop: bytes, most: int) -> list[Beam]:
    """The `width` most probable texts that end before `stop` or after `most` bytes, the best first.

    A live beam is one row of logits, and one row of a `StopBatch`. After a step a beam may have several heirs
    or none: `reorder` gives each heir the matcher of its parent.
    """
    beams, done = [Beam(prompt, 0.0)] * width, []
    stops = rheostat.StopBatch(rheostat.StopSet([stop]), width)
    for step in range(most):
        logits = model[[beam.text[-1] for beam in beams]]
        best = rheostat.logprobs(logits, np.zeros((len(beams), 0), np.int64), top=width)
        scores = np.array([beam.logprob for beam in beams])[:, None] + best.top_logprobs
        if step == 0:
            scores[1:] = -np.inf  # the beams are still one
        heirs = np.argsort(-scores, axis=None, kind="stable")[:width]
        parents, places = np.unravel_index(heirs, scores.shape)
        tokens = best.top_ids[parents, places]
        beams = [
            Beam(beams[parent].text + bytes([token]), float(scores[parent, place]))
            for parent, place, token in zip(parents, places, tokens, strict=True)
        ]
        stops.reorder(parents)
        stops.feed([bytes([token]) for token in tokens])
        for row in np.flatnonzero(stops.hits >= 0):
            done.append(beams[row]._replace(text=beams[row].text[: -len(stop)]))
            beams[row] = beams[row]._replace(logprob=-np.inf)  # no heir of a finished text is wanted
    finished = done + [beam for beam in beams if beam.logprob > -np.inf]
    return sorted(finished, key=lambda beam: -beam.logprob)[:width]


def main(prompt: str) -> int:
    if not prompt:
        print("beam search needs a prompt of at least one byte", file=sys.stderr)
        return 2
    for beam in beam_search(bigram_logits(TEXT), prompt.encode(), width=4, stop=b".", most=24):
        print(f"{beam.logprob:8.3f}  {beam.text.decode(errors='replace')}")
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "the "))
