"""A run that anyone can repeat: what decides a text is written down, and a difference is found and named.

Run it as `python examples/reproduce.py`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import rheostat
from bigrams import TEXT, bigram_logits
from rheostat import recording

TABLE = rheostat.TokenTable.from_bytes([bytes([byte]) for byte in range(256)])


def run(model: np.ndarray, params: rheostat.SamplingParams, record: Path) -> str:
    """The text of a model of (256, 256) logits, with a line about each step in `record`."""
    done = rheostat.generate(
        lambda ids: model[ids[-1]], list(b"the "), params, table=TABLE, record=record
    ).run()
    return done.text


def main() -> int:
    model = bigram_logits(TEXT)
    # The settings as JSON are all that a paper has to print beside the model: the seed is among them.
    stored = rheostat.SamplingParams(temperature=0.9, min_p=0.03, seed=42, max_tokens=40).to_json()
    print(f"settings  {stored}")
    with tempfile.TemporaryDirectory() as folder:
        first, again, other, warmer = (Path(folder) / f"{name}.jsonl" for name in "abcd")
        params = rheostat.SamplingParams.from_json(stored)
        print(f"text      {run(model, params, first)!r}")
        run(model, params, again)
        print(f"again     {recording.diff(first, again) or 'the same, step by step'}")
        # Two causes that a text alone does not tell apart: the model's last bits, and the sampler's settings.
        run(np.nextafter(model, np.float32(np.inf)), params, other)
        print(f"\nanother model:\n{recording.diff(first, other)}")
        run(model, params.replace(temperature=1.3), warmer)
        print(f"\nother settings:\n{recording.diff(first, warmer)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
