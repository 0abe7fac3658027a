"""`rheostat count`: how long a text is, in characters, words and tokens."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rheostat.cli import models, terminal
from rheostat.cli.errors import UsageError

USAGE = "[TEXT] [OPTIONS]"
DESCRIPTION = """\
Counts a text's characters, words and tokens, and what they leave of the model's context length.

  rheostat count "How long is this?"
  rheostat count --file prompt.txt
  cat *.md | rheostat count --json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("text", nargs="*", help="the text, in quotes; - or none reads standard input")
    parser.add_argument("--file", type=Path, help="read the text from a file")
    models.add_option(parser)
    parser.add_argument("--context-length", type=int, metavar="N", help="in tokens; the model's own")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Counts."""
    given = terminal.one_argument(arguments.text, "the text")
    if arguments.file is not None and given is not None:
        raise UsageError("give the text or --file, not both")
    if arguments.context_length is not None and arguments.context_length < 1:
        raise UsageError(f"--context-length must be at least 1, got {arguments.context_length}")
    if arguments.file is not None:
        text = terminal.text_of_file(arguments.file)
    else:
        text = terminal.text_given(given, "the text")
    model = models.load(arguments.model)
    counted = count(text, model, arguments.context_length)
    if arguments.json:
        print(json.dumps({"model": arguments.model} | counted))
        return 0
    width = max(map(len, counted))
    for name, value in counted.items():
        shown = "any" if value is None else f"{value:,}"
        print(f"{name.replace('_', ' '):<{width}}  {shown:>12}")
    left = counted["left"]
    if left is not None and left < 0:
        terminal.note(f"The text is {-left:,} tokens too long for the context of {arguments.model}.")
    return 0


def count(text: str, model: Any, context_length: int | None) -> dict[str, Any]:
    """The numbers, by name; a context length and what is left of it are None where any length goes."""
    tokens = len(models.encoded(model, text))
    context = model.context_length if context_length is None else context_length
    return {
        "characters": len(text),
        "bytes": len(text.encode()),
        "words": len(text.split()),
        "tokens": tokens,
        "characters_per_token": round(len(text) / tokens, 2) if tokens else None,
        "context_length": context,
        "left": None if context is None else context - tokens,
    }
