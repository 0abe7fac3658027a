"""`rheostat diff`: where two recordings of a generation part."""

from __future__ import annotations

import argparse
from pathlib import Path

from rheostat import recording
from rheostat.cli.errors import UsageError

USAGE = "A B"
DESCRIPTION = """\
Compares two recordings that `rheostat generate --record` or `rheostat.generate(record=)` wrote, and names the
first step that differs: in the logits, which is the model, or in the token alone, which is the sampler.

  rheostat generate "Hello" --seed 1 --record a.jsonl
  rheostat generate "Hello" --seed 1 --record b.jsonl --top-p 0.5
  rheostat diff a.jsonl b.jsonl

The exit status is 0 where nothing differs, 1 where something does, 2 where a file is no recording.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("a", type=Path, help="a recording")
    parser.add_argument("b", type=Path, help="another")


def run(arguments: argparse.Namespace) -> int:
    """Compares them."""
    try:
        found = recording.diff(arguments.a, arguments.b)
        steps = len(recording.read(arguments.a).steps)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    print(f"The settings and all {steps} steps are equal." if found is None else found)
    return 0 if found is None else 1
